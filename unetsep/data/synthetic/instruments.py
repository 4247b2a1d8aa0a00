"""The sounds of the synthetic songs that have a pitch: a bass, plucked and sustained chords, a lead.

Every instrument is a set of numbers drawn once per song, so that no two songs share a guitar. Sounds are read from
wavetables (one period, made of harmonics), because a table look-up costs a tenth of a sine. All arithmetic is double
precision: what platforms compute differently lies far below a 16-bit step.
"""

from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]

RATE = 44_100
"""Samples per second of every synthetic song."""

_TABLE = 1 << 14  # entries of a wavetable: reading the nearest one leaves noise at -73 dB
_TOP_HZ = 16_000.0  # no harmonic lies above: room for vibrato before anything aliases


def hertz(pitch: float) -> float:
    """The frequency of a MIDI pitch (69 is 440 Hz)."""
    return float(440.0 * 2.0 ** ((pitch - 69.0) / 12.0))


def seconds_of(seconds: float) -> Array:
    """The time in seconds of each sample of a sound of that length."""
    return np.arange(round(seconds * RATE)) / RATE


def harmonics(frequency: float) -> Array:
    """The harmonic numbers 1, 2, ... that fit under the highest frequency used, 16 kHz."""
    return np.arange(1.0, max(2.0, _TOP_HZ / frequency))


def wavetable(amplitudes: Array) -> Array:
    """One period of a sum of sines with the given amplitudes of harmonics 1, 2, ..."""
    spectrum = np.zeros(_TABLE // 2 + 1, dtype=np.complex128)
    spectrum[1 : len(amplitudes) + 1] = -0.5j * _TABLE * amplitudes
    return np.asarray(np.fft.irfft(spectrum, _TABLE), dtype=np.float64)


def read(table: Array, cycles: Array) -> Array:
    """Reads a wavetable at a phase in cycles (of any size, not wrapped)."""
    return np.asarray(table.take((cycles * _TABLE).astype(np.int64) & (_TABLE - 1)))


def noise_band(samples: int, low_hz: float, high_hz: float, rng: np.random.Generator) -> Array:
    """White noise between two frequencies, with slopes of 12 dB per octave; unit RMS before the cut."""
    size = 1 << (samples - 1).bit_length()  # a power of two is transformed many times faster than a prime
    frequencies = np.fft.rfftfreq(size, 1 / RATE) + 1e-9
    gain = 1.0 / np.sqrt((1.0 + (low_hz / frequencies) ** 4) * (1.0 + (frequencies / high_hz) ** 4))
    return np.asarray(np.fft.irfft(np.fft.rfft(rng.standard_normal(size)) * gain, size)[:samples], dtype=np.float64)


def faded(sound: Array, attack: float, release: float) -> Array:
    """Fades a sound (..., sample) in and out, in place, within so many seconds, so that its ends do not click."""
    for ends, seconds in ((sound, attack), (sound[..., ::-1], release)):
        ramp = np.arange(1.0, min(sound.shape[-1], round(seconds * RATE)) + 1) / max(1.0, seconds * RATE)
        ends[..., : len(ramp)] *= ramp
    return sound


def panned(sound: Array, position: float) -> Array:
    """A mono or stereo sound in stereo (channel, sample), from -1 (left) to 1 (right), with constant power."""
    angle = (position + 1.0) * np.pi / 4
    return np.array([[np.cos(angle)], [np.sin(angle)]]) * sound


@dataclass(frozen=True)
class String:
    """A bass string, a guitar string or an electric piano's reed: harmonics that die away, the higher the sooner.

    Args:
        position: where it is plucked, as a fraction of its length: harmonics with a node there are missing.
        tilt: amplitudes fall as 1 / number ** tilt.
        decay: seconds in which the lowest harmonics fall by 9 dB.
        damping: how much sooner high harmonics die.
        body_hz: resonances of the body, which colour every pitch alike.
        drive: saturation, 0 for none.
        detune: cents between the left and the right channel.
        pick: level of the pick's noise.
    """

    position: float
    tilt: float
    decay: float
    damping: float
    body_hz: tuple[float, ...]
    drive: float
    detune: float
    pick: float

    @classmethod
    def bass(cls, rng: np.random.Generator) -> "String":
        """A bass at random: fingered to picked, clean to driven."""
        return cls(
            position=rng.uniform(0.1, 0.35),
            tilt=rng.uniform(0.8, 1.6),
            decay=rng.uniform(0.35, 1.2),
            damping=rng.uniform(0.5, 2.0),
            body_hz=tuple(rng.uniform([90, 400], [200, 1200]).tolist()),
            drive=rng.uniform(0.2, 1.2),
            detune=rng.uniform(0, 3),
            pick=rng.uniform(0.05, 0.3),
        )

    @classmethod
    def plucked(cls, rng: np.random.Generator) -> "String":
        """A guitar, a harp or an electric piano at random."""
        return cls(
            position=rng.uniform(0.08, 0.45),
            tilt=rng.uniform(0.6, 1.4),
            decay=rng.uniform(0.3, 1.1),
            damping=rng.uniform(0.5, 2.0),
            body_hz=tuple(rng.uniform([200, 600, 1500], [500, 1400, 3500]).tolist()),
            drive=rng.uniform(0.0, 0.8),
            detune=rng.uniform(1, 8),
            pick=rng.uniform(0.1, 0.4),
        )

    def play(self, pitch: float, seconds: float, velocity: float, rng: np.random.Generator) -> Array:
        """One note (channel, sample); at its end it is damped within 50 ms.

        Args:
            pitch: MIDI number, may be fractional.
            seconds: until it is damped.
            velocity: 0 to 1; harder is brighter.
            rng: for the pick's noise.
        """
        frequency = hertz(pitch)
        time = seconds_of(min(seconds + 0.05, 8 * self.decay))
        sides = np.zeros((2, len(time)))
        for lowest, group in self._groups(pitch):
            decay = self.decay / (1.0 + self.damping * 0.3 * (lowest - 1))
            audible = time[: round(8 * decay * RATE)]
            envelope = np.exp(-audible / decay) / lowest ** (0.6 * (1 - velocity))
            for side, cents in zip(sides, (-self.detune / 2, self.detune / 2), strict=True):
                side[: len(audible)] += read(group, audible * (frequency * 2 ** (cents / 1200))) * envelope
        if self.drive:
            sides = np.tanh(self.drive * sides) / self.drive
        noise = time[: round(0.025 * RATE)]
        sides[:, : len(noise)] += self.pick * noise_band(len(noise), 800, 5000, rng) * np.exp(-noise / 0.005)
        return faded(velocity * sides, 0.002, 0.05)

    @lru_cache(maxsize=64)  # noqa: B019 - a song plays few pitches many times
    def _groups(self, pitch: float) -> list[tuple[int, Array]]:
        """Three groups of harmonics, each with its own decay: the lowest number and the wavetable of each."""
        number = harmonics(hertz(pitch))
        amplitudes = np.abs(np.sin(np.pi * self.position * number)) / number**self.tilt
        for body in self.body_hz:
            amplitudes *= 1.0 + 1.5 / (1.0 + ((number * hertz(pitch) - body) / (0.25 * body)) ** 2)
        amplitudes /= np.sqrt((amplitudes**2).sum())
        edges = (1, 3, 7, len(number) + 1)
        return [(low, wavetable(amplitudes * ((number >= low) & (number < high)))) for low, high in pairwise(edges)]


@dataclass(frozen=True)
class Pad:
    """A sustained sound: an organ, strings, a reed or a synthesiser, its brightness swelling slowly.

    Args:
        tilt: amplitudes fall as 1 / number ** tilt.
        odd: share of the even harmonics that is missing, 0 (saw) to 1 (square, clarinet).
        attack: seconds.
        detune: cents between the left and the right channel, at most.
        swell_hz: rate of the swelling.
        vibrato: depth in cents.
        vibrato_hz: rate.
    """

    tilt: float
    odd: float
    attack: float
    detune: float
    swell_hz: float
    vibrato: float
    vibrato_hz: float

    @classmethod
    def chords(cls, rng: np.random.Generator) -> "Pad":
        """Sustained chords at random: some still, some with the slight vibrato of an ensemble."""
        return cls(
            tilt=rng.uniform(1.0, 1.9),
            odd=rng.uniform(0.0, 0.9),
            attack=rng.uniform(0.02, 0.2),
            detune=rng.uniform(4, 16),
            swell_hz=rng.uniform(0.15, 0.6),
            vibrato=rng.choice([0.0, rng.uniform(4, 12)]),
            vibrato_hz=rng.uniform(4, 6),
        )

    @classmethod
    def lead(cls, rng: np.random.Generator) -> "Pad":
        """A violin, a flute or a synthesiser with a vibrato like a singer's, but no words."""
        return cls(
            tilt=rng.uniform(0.9, 1.8),
            odd=rng.uniform(0.0, 1.0),
            attack=rng.uniform(0.02, 0.08),
            detune=rng.uniform(1, 5),
            swell_hz=rng.uniform(0.3, 1.0),
            vibrato=rng.uniform(5, 35),
            vibrato_hz=rng.uniform(4, 6.5),
        )

    def play(self, pitch: float, seconds: float, velocity: float, rng: np.random.Generator) -> Array:
        """One note (channel, sample), released within 120 ms after its end; arguments as of `String.play`."""
        time = seconds_of(seconds + 0.12)
        frequency = hertz(pitch)
        dark, bright = self._waves(pitch)
        swell = 0.5 - 0.5 * np.cos(2 * np.pi * (self.swell_hz * time + rng.uniform()))
        # Vibrato of the phase, in cycles: the integral of frequency * (2 ** (cents / 1200) - 1).
        depth = frequency * self.vibrato / 1200 * np.log(2) / (2 * np.pi * self.vibrato_hz)
        bend = depth * np.sin(2 * np.pi * (self.vibrato_hz * time + rng.uniform())) if depth else 0.0
        sides = []
        for cents in rng.uniform(-0.5, 0.5, size=2) * self.detune:
            cycles = frequency * 2.0 ** (cents / 1200) * time + bend + rng.uniform()
            low, high = read(dark, cycles), read(bright, cycles)
            sides.append(low + swell * (high - low))
        return faded(velocity * np.stack(sides), self.attack, 0.12)

    @lru_cache(maxsize=64)  # noqa: B019 - as above
    def _waves(self, pitch: float) -> tuple[Array, Array]:
        """The wavetables between which the brightness swells, the darker one first."""
        number = harmonics(hertz(pitch))
        amplitudes = (1.0 - self.odd * (number % 2 == 0)) / number**self.tilt
        return wavetable(amplitudes / number**0.7), wavetable(amplitudes)
