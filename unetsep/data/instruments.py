"""The sounds of the synthetic songs: a drum kit, a bass, plucked and sustained chords.

Every instrument is a set of numbers drawn once per song, so that no two songs share a kit or a guitar. Periodic sounds
are read from wavetables (one period, made of harmonics), because a table look-up costs a tenth of a sine. All arithmetic
is double precision: what platforms compute differently lies far below a 16-bit step.
"""

from dataclasses import dataclass

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


def seconds_of(samples: int) -> Array:
    """The time in seconds of each of so many samples."""
    return np.arange(samples) / RATE


def harmonics(frequency: float) -> Array:
    """The harmonic numbers 1, 2, ... that fit under the highest frequency used, 16 kHz."""
    return np.arange(1.0, max(2.0, _TOP_HZ / frequency))


def wavetable(amplitudes: Array) -> Array:
    """One period of a sum of sines with the given amplitudes of harmonics 1, 2, ..."""
    spectrum = np.zeros(_TABLE // 2 + 1, dtype=np.complex128)
    spectrum[1 : len(amplitudes) + 1] = -0.5j * _TABLE * amplitudes
    return np.fft.irfft(spectrum, _TABLE)


def read(table: Array, cycles: Array) -> Array:
    """Reads a wavetable at a phase in cycles (of any size, not wrapped)."""
    return table[(cycles * _TABLE).astype(np.int64) & (_TABLE - 1)]


def noise_band(samples: int, low_hz: float, high_hz: float, rng: np.random.Generator) -> Array:
    """White noise between two frequencies, with slopes of 12 dB per octave; unit RMS before the cut."""
    size = 1 << (samples - 1).bit_length()  # a power of two is transformed many times faster than a prime
    frequencies = np.fft.rfftfreq(size, 1 / RATE) + 1e-9
    gain = 1.0 / np.sqrt((1.0 + (low_hz / frequencies) ** 4) * (1.0 + (frequencies / high_hz) ** 4))
    return np.fft.irfft(np.fft.rfft(rng.standard_normal(size)) * gain, size)[:samples]


def faded(sound: Array, attack: float = 0.001, release: float = 0.01) -> Array:
    """The sound with a linear fade in and out of so many seconds, so that it neither begins nor ends with a click."""
    ramp = np.arange(1.0, len(sound) + 1)
    envelope = np.minimum(1.0, ramp / max(1.0, attack * RATE))
    return sound * envelope * np.minimum(1.0, ramp[::-1] / max(1.0, release * RATE))


def panned(sound: Array, position: float) -> Array:
    """A mono sound in stereo (channel, sample), from -1 (left) to 1 (right), with constant power."""
    angle = (position + 1.0) * np.pi / 4
    return np.stack([np.cos(angle) * sound, np.sin(angle) * sound])


@dataclass(frozen=True)
class DrumKit:
    """Kick, snare, hats, tom and crash, each `(velocity, rng) -> (channel, sample)`: no two hits are alike.

    Args:
        kick_hz: where the kick's pitch ends; it starts `kick_sweep` times higher.
        kick_sweep: see above.
        kick_decay: seconds.
        snare_hz: the lower of the drum head's two modes.
        snare_decay: seconds, of the wires' noise.
        snare_wires: share of noise in the snare, 0 to 1.
        hat_hz: where the hats' noise begins.
        hat_decay: seconds, closed.
        width: how far hats, toms and crash sit from the middle, 0 to 1.
    """

    kick_hz: float
    kick_sweep: float
    kick_decay: float
    snare_hz: float
    snare_decay: float
    snare_wires: float
    hat_hz: float
    hat_decay: float
    width: float

    @classmethod
    def draw(cls, rng: np.random.Generator) -> "DrumKit":
        """A kit at random."""
        return cls(
            kick_hz=rng.uniform(42, 66),
            kick_sweep=rng.uniform(3, 7),
            kick_decay=rng.uniform(0.09, 0.25),
            snare_hz=rng.uniform(150, 240),
            snare_decay=rng.uniform(0.06, 0.2),
            snare_wires=rng.uniform(0.45, 0.8),
            hat_hz=rng.uniform(3000, 7000),
            hat_decay=rng.uniform(0.025, 0.07),
            width=rng.uniform(0.2, 0.7) * rng.choice([-1, 1]),
        )

    def kick(self, velocity: float, rng: np.random.Generator) -> Array:
        """A sine that falls in pitch, and the beater's click."""
        time = seconds_of(int(RATE * 5 * self.kick_decay))
        sound = 1.3 * self._head(time, self.kick_hz, self.kick_sweep, 0.03) * np.exp(-time / self.kick_decay)
        click = min(len(time), 1 << 10)
        sound[:click] += 0.35 * noise_band(click, 1500, 6000, rng) * np.exp(-time[:click] / 0.004)
        return panned(faded(velocity * sound, 0.0005), 0.0)

    def snare(self, velocity: float, rng: np.random.Generator) -> Array:
        """Two modes of the head under the noise of the wires."""
        time = seconds_of(int(RATE * 5 * self.snare_decay))
        head = self._head(time, self.snare_hz, 1.4, 0.02) + 0.6 * np.sin(2 * np.pi * 1.83 * self.snare_hz * time)
        sound = (1 - self.snare_wires) * head * np.exp(-time / (0.6 * self.snare_decay))
        wires = noise_band(len(time), 900, 9000, rng) + 0.3 * noise_band(len(time), 250, 2000, rng)
        sound += 0.9 * self.snare_wires * wires * np.exp(-time / self.snare_decay)
        return panned(faded(velocity * sound, 0.0005), 0.1 * self.width)

    def hat(self, velocity: float, rng: np.random.Generator, openness: float = 1.0) -> Array:
        """High noise over a cluster of inharmonic squares; an open hat rings `openness` times longer."""
        time = seconds_of(int(RATE * 5 * self.hat_decay * openness))
        ratios = np.array([1.0, 1.34, 1.51, 1.79, 2.26, 2.61])[:, None]
        metal = np.sign(np.sin(2 * np.pi * 0.11 * self.hat_hz * ratios * time)).mean(axis=0)
        metal = np.diff(metal, prepend=0.0)
        sound = 0.4 * noise_band(len(time), self.hat_hz, 14_000, rng) + 0.6 * metal
        return panned(faded(velocity * sound * np.exp(-time / (self.hat_decay * openness)), 0.0005), self.width)

    def tom(self, velocity: float, rng: np.random.Generator) -> Array:
        """A higher and longer kick, somewhere in the stereo field."""
        time = seconds_of(int(RATE * 0.5))
        pitch = rng.choice([1.6, 2.0, 2.5]) * self.kick_hz
        sound = self._head(time, pitch, 1.6, 0.05) * np.exp(-time / 0.13)
        sound += 0.1 * noise_band(len(time), 500, 4000, rng) * np.exp(-time / 0.02)
        return panned(faded(velocity * sound), -self.width)

    def crash(self, velocity: float, rng: np.random.Generator) -> Array:
        """A long, wide cymbal; its noise differs left and right."""
        time = seconds_of(int(RATE * 1.4))
        sides = [noise_band(len(time), 0.6 * self.hat_hz, 13_000, rng) * np.exp(-time / 0.35) for _ in range(2)]
        return np.stack([faded(0.3 * velocity * side, 0.002, 0.2) for side in sides])

    @staticmethod
    def _head(time: Array, frequency: float, sweep: float, fall: float) -> Array:
        """A sine from `sweep` times its final frequency down to it; the phase is the integral of that."""
        cycles = frequency * (time + (sweep - 1) * fall * (1 - np.exp(-time / fall)))
        return np.sin(2 * np.pi * cycles)


@dataclass(frozen=True)
class String:
    """A bass string, a guitar string or an electric piano's reed: harmonics that die away, the higher the sooner.

    Args:
        position: where it is plucked, as a fraction of its length: harmonics with a node there are missing.
        tilt: amplitudes fall as 1 / number ** tilt.
        decay: seconds of the lowest harmonics.
        damping: how much faster high harmonics die.
        body_hz: resonances of the body, which colour every pitch alike.
        drive: saturation, 0 for none.
        detune: cents between the left and the right channel.
    """

    position: float
    tilt: float
    decay: float
    damping: float
    body_hz: tuple[float, ...]
    drive: float
    detune: float

    @classmethod
    def bass(cls, rng: np.random.Generator) -> "String":
        """A bass at random: fingered to picked, clean to driven."""
        body = tuple(float(frequency) for frequency in rng.uniform([90, 500], [250, 1500]))
        tilt, decay, drive = rng.uniform(0.8, 1.6), rng.uniform(0.5, 1.6), rng.uniform(0.3, 1.5)
        return cls(rng.uniform(0.1, 0.35), tilt, decay, rng.uniform(0.3, 1.2), body, drive, rng.uniform(0, 3))

    @classmethod
    def plucked(cls, rng: np.random.Generator) -> "String":
        """A guitar, harp or electric piano at random."""
        body = tuple(float(frequency) for frequency in rng.uniform([200, 600, 1500], [500, 1400, 3500]))
        tilt, decay, drive = rng.uniform(0.6, 1.4), rng.uniform(0.35, 1.3), rng.uniform(0.0, 1.0)
        return cls(rng.uniform(0.08, 0.45), tilt, decay, rng.uniform(0.6, 2.0), body, drive, rng.uniform(1, 8))

    def play(self, pitch: float, seconds: float, velocity: float, pan: float, rng: np.random.Generator) -> Array:
        """One note (channel, sample); at its end it is damped within 60 ms.

        Args:
            pitch: MIDI number, may be fractional.
            seconds: until it is damped.
            velocity: 0 to 1; harder is brighter.
            pan: -1 to 1.
            rng: for the pick's noise.
        """
        seconds = min(seconds, 4 * self.decay) + 0.06
        time = seconds_of(int(RATE * seconds))
        frequency = hertz(pitch)
        number = harmonics(frequency)
        amplitudes = np.abs(np.sin(np.pi * self.position * number)) / number ** (self.tilt + 0.6 * (1 - velocity))
        for body in self.body_hz:
            amplitudes *= 1.0 + 1.5 / (1.0 + ((number * frequency - body) / (0.25 * body)) ** 2)
        amplitudes /= np.sqrt((amplitudes**2).sum())
        sides = np.zeros((2, len(time)))
        edges = np.array([0, 2, 6, len(number)])  # three groups of harmonics, each with its own decay
        for low, high in zip(edges[:-1], edges[1:], strict=True):
            group = wavetable(np.where((number > low) & (number <= high), amplitudes, 0.0))
            decay = self.decay / (1.0 + self.damping * 0.25 * low)
            envelope = np.exp(-time / decay)
            for side, cents in enumerate([-self.detune / 2, self.detune / 2]):
                sides[side] += read(group, time * (frequency * 2 ** (cents / 1200))) * envelope
        if self.drive:
            sides = np.tanh((1 + self.drive) * sides) / (0.5 + 0.5 * self.drive)
        pick = min(len(time), 1 << 10)
        sides[:, :pick] += 0.25 * noise_band(pick, 800, 5000, rng) * np.exp(-time[:pick] / 0.005)
        ends = faded(np.ones(len(time)), 0.002, 0.05)
        return velocity * sides * ends * panned(np.ones(1), pan) * np.sqrt(2.0)


@dataclass(frozen=True)
class Pad:
    """Sustained chords: an organ, strings or a synthesiser; two detuned waves a side, brightness swelling slowly.

    Args:
        tilt: amplitudes fall as 1 / number ** tilt.
        odd: share of the even harmonics that is missing, 0 (saw) to 1 (square, clarinet).
        attack: seconds.
        detune: cents between the waves.
        swell_hz: rate of the swelling brightness.
        vibrato: cents, of ensemble strings.
    """

    tilt: float
    odd: float
    attack: float
    detune: float
    swell_hz: float
    vibrato: float

    @classmethod
    def draw(cls, rng: np.random.Generator) -> "Pad":
        """A pad at random."""
        tilt, odd, attack = rng.uniform(0.9, 1.8), rng.uniform(0.0, 0.9), rng.uniform(0.02, 0.2)
        return cls(tilt, odd, attack, rng.uniform(4, 16), rng.uniform(0.15, 0.6), rng.uniform(0, 12))

    def play(self, pitch: float, seconds: float, velocity: float, pan: float, rng: np.random.Generator) -> Array:
        """One note (channel, sample), released within 150 ms after its end; arguments as of `String.play`."""
        time = seconds_of(int(RATE * (seconds + 0.15)))
        frequency = hertz(pitch)
        number = harmonics(frequency)
        amplitudes = (1.0 - self.odd * (number % 2 == 0)) / number**self.tilt
        dark = wavetable(amplitudes / number**0.7)
        bright = wavetable(amplitudes)
        swell = 0.5 - 0.5 * np.cos(2 * np.pi * (self.swell_hz * time + rng.uniform()))
        sides = np.zeros((2, len(time)))
        for side in range(2):
            ratio = 2.0 ** (rng.uniform(-1, 1) * self.detune / 1200)
            cycles = frequency * ratio * time + rng.uniform()
            if self.vibrato > 2:
                depth = frequency * self.vibrato / 1200 * np.log(2) / (2 * np.pi * 5)
                cycles += depth * np.sin(2 * np.pi * (5.0 * time + rng.uniform()))
            sides[side] = read(dark, cycles) * (1 - swell) + read(bright, cycles) * swell
        return velocity * sides * faded(np.ones(len(time)), self.attack, 0.15) * panned(np.ones(1), pan) * np.sqrt(2.0)
