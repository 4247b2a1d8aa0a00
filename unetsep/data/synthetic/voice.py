"""The singer of the synthetic songs: a glottal pulse train and noise, shaped by moving formants (Fant 1960).

Source and filter are separate, as in a throat. The source has the melody: glides, scoops, vibrato, jitter. The filter
has the words: vowels that flow into each other, consonants that hiss or close the mouth. A separator sees a comb of
harmonics that bends in time under an envelope that does not follow it.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from unetsep.data.synthetic.instruments import RATE, Array, harmonics, read, wavetable

VOWELS = {
    "a": (730.0, 1090.0, 2440.0, 0.7, 0.25),
    "e": (530.0, 1840.0, 2480.0, 0.45, 0.3),
    "i": (270.0, 2290.0, 3010.0, 0.4, 0.35),
    "o": (570.0, 840.0, 2410.0, 0.6, 0.12),
    "u": (300.0, 870.0, 2240.0, 0.35, 0.08),
}
"""First three formants of an adult's vowels in hertz (Peterson and Barney 1952), and how strong the second and the
third are beside the first, in a voice brighter than theirs."""

CONSONANTS = {  # lowest and highest hertz of the noise, its seconds, its level; no noise: a nasal closes the mouth
    "s": (5000.0, 10_000.0, 0.12, 0.5),
    "sh": (2200.0, 6500.0, 0.12, 0.55),
    "f": (1500.0, 12_000.0, 0.09, 0.25),
    "t": (3000.0, 9000.0, 0.035, 0.8),
    "k": (1400.0, 3500.0, 0.045, 0.8),
    "p": (400.0, 2500.0, 0.03, 0.6),
    "h": (500.0, 4000.0, 0.08, 0.2),
    "m": (0.0, 0.0, 0.08, 0.0),
    "l": (0.0, 0.0, 0.06, 0.0),
}

_FRAME, _HOP = 1024, 256  # of the filter: 23 ms, as long as a mouth stands still
_CONTROL = 441.0  # steps per second of pitch and loudness before they are interpolated to samples


@dataclass(frozen=True)
class Syllable:
    """One sung note.

    Args:
        start: seconds from the beginning of the phrase.
        seconds: its length.
        pitch: MIDI number.
        vowel: a key of `VOWELS`.
        consonant: a key of `CONSONANTS`, or empty.
        velocity: loudness, 0 to 1.
    """

    start: float
    seconds: float
    pitch: float
    vowel: str
    consonant: str
    velocity: float


@dataclass(frozen=True)
class Voice:
    """A singer.

    Args:
        lowest: MIDI pitch of the lowest note.
        formants: length of the throat: all formants are multiplied by it.
        tilt: the pulse's harmonics fall as 1 / number ** tilt; low is bright.
        breathiness: noise in the tone, 0 to 1.
        vibrato_hz: rate.
        vibrato: depth in cents.
        glide: seconds from note to note.
        consonants: loudness of consonants.
        ring: level of the singer's formant near 3 kHz.
    """

    lowest: float
    formants: float
    tilt: float
    breathiness: float
    vibrato_hz: float
    vibrato: float
    glide: float
    consonants: float
    ring: float

    @classmethod
    def draw(cls, rng: np.random.Generator) -> "Voice":
        """A singer at random, from bass to soprano: higher voices have shorter throats."""
        lowest = rng.uniform(45, 60)
        return cls(
            lowest=float(np.round(lowest)),
            formants=0.95 + 0.25 * (lowest - 45) / 15 + rng.uniform(-0.06, 0.06),
            tilt=rng.uniform(0.8, 1.3),
            breathiness=rng.uniform(0.02, 0.12),
            vibrato_hz=rng.uniform(4.8, 6.6),
            vibrato=rng.uniform(35, 90),
            glide=rng.uniform(0.03, 0.08),
            consonants=rng.uniform(0.6, 1.3),
            ring=rng.uniform(0.1, 0.4),
        )

    def sing(self, phrase: Sequence[Syllable], rng: np.random.Generator) -> tuple[Array, float]:
        """Sings one phrase, with a breath before it.

        Args:
            phrase: in order of time.
            rng: for jitter, noise and the breath.

        Returns:
            Mono samples, and how many seconds before the phrase's beginning they start.
        """
        lead = 0.45
        seconds = lead + phrase[-1].start + phrase[-1].seconds + 0.3
        samples = int(seconds * RATE)
        control = np.arange(int(seconds * _CONTROL) + 2) / _CONTROL - lead
        time = np.arange(samples) / RATE - lead
        pitch, loudness = self._melody(phrase, control, rng)
        frequency = np.interp(time, control, 440.0 * 2.0 ** ((pitch - 69.0) / 12.0))
        cycles = np.cumsum(frequency) / RATE
        number = harmonics(float(frequency.max()))
        pulses = read(wavetable(1.0 / number**self.tilt), cycles)
        noise = rng.standard_normal(samples)
        # Breath noise is let through while the glottis is open: half of every period.
        breath = self.breathiness * noise * (1.0 + np.sin(2 * np.pi * cycles))
        sound = (pulses + breath) * np.interp(time, control, loudness)
        frames = np.arange(0.0, samples // _HOP + 1) * (_HOP / RATE) - lead
        envelope, hiss = self._mouth(phrase, frames, float(np.median(frequency)))
        return _levelled(_filtered(sound, envelope)) + _filtered(noise, hiss), lead

    def _melody(self, phrase: Sequence[Syllable], time: Array, rng: np.random.Generator) -> tuple[Array, Array]:
        """Pitch (MIDI) and loudness over time: what the throat does."""
        pitch = np.full(len(time), phrase[0].pitch - rng.uniform(0.5, 2.0))  # a scoop up to the first note
        loudness = np.zeros(len(time))
        vibrato = np.zeros(len(time))
        for note in phrase:
            age = time - note.start
            inside = (age >= 0) & (age < note.seconds)
            pitch[age >= 0] = note.pitch
            swell = np.minimum(1.0, age / 0.05) * np.minimum(1.0, (note.seconds - age) / 0.07)
            loudness[inside] = (note.velocity * np.clip(swell, 0, 1) * (1 - 0.25 * age / note.seconds))[inside]
            if note.consonant in ("m", "l", ""):  # sung through
                loudness[inside] = np.maximum(loudness, 0.35 * note.velocity)[inside]
            vibrato[inside] = np.clip((age - 0.18) / 0.25, 0, 1)[inside]
        pitch = _smooth(_smooth(pitch, self.glide), self.glide)
        phase = np.cumsum(self.vibrato_hz * (1 + 0.1 * _smooth(rng.standard_normal(len(time)), 0.3) * 5)) / _CONTROL
        pitch = pitch + self.vibrato / 100 * _smooth(vibrato, 0.1) * np.sin(2 * np.pi * phase)
        pitch = pitch + 0.6 * _smooth(rng.standard_normal(len(time)), 0.15)  # drift
        return pitch, _smooth(loudness, 0.02)

    def _mouth(self, phrase: Sequence[Syllable], time: Array, frequency: float) -> tuple[Array, Array]:
        """Gains (frame, freq) of the voice and of noise: what tongue and lips do."""
        place = np.tile(VOWELS[phrase[0].vowel], (len(time), 1))  # of tongue and lips: three formants, two levels
        mouth = np.ones(len(time))
        bins = np.fft.rfftfreq(_FRAME, 1 / RATE)
        hiss = np.zeros((len(time), len(bins)))
        for note in phrase:
            place[time >= note.start - 0.03] = VOWELS[note.vowel]
            if not note.consonant:
                continue
            low, high, seconds, level = CONSONANTS[note.consonant]
            begin = note.start - 0.6 * seconds
            here = (time >= begin) & (time < begin + seconds)
            if level:
                band = 1.0 / ((1 + (low / (bins + 1)) ** 6) * (1 + (bins / high) ** 6)) ** 0.5
                shape = np.sin(np.pi * np.clip((time[here] - begin) / seconds, 0.05, 0.95)) ** 0.5
                hiss[here] += 0.45 * self.consonants * level * note.velocity * shape[:, None] * band
            else:
                mouth[here] = 0.3
                place[here, 0] = 280.0
        inhale = np.clip(1 - np.abs(time + 0.24) / 0.14, 0, 1) * 0.1 * self.consonants
        hiss += inhale[:, None] / (1 + ((bins - 1700 * self.formants) / 1300) ** 2)
        place = np.stack([_smooth(track, 0.05, RATE / _HOP) for track in place.T], axis=1)
        first = np.maximum(self.formants * place[:, :1], frequency)  # a soprano opens her mouth
        envelope = 0.015 + 1.0 / (1.0 + ((bins - first) / 90.0) ** 2)
        envelope += place[:, 3:4] / (1.0 + ((bins - self.formants * place[:, 1:2]) / 110.0) ** 2)
        envelope += place[:, 4:5] / (1.0 + ((bins - self.formants * place[:, 2:3]) / 160.0) ** 2)
        envelope += self.ring / (1.0 + ((bins - self.formants * 3100.0) / 240.0) ** 2)
        envelope += 0.12 / (1.0 + ((bins - self.formants * 4300.0) / 400.0) ** 2)
        closed = _smooth(mouth, 0.03, RATE / _HOP)[:, None]
        return envelope * closed, hiss


def _smooth(values: Array, seconds: float, rate: float = _CONTROL) -> Array:
    """The running mean over so many seconds; the ends are held."""
    width = max(1, round(seconds * rate))
    padded = np.concatenate([np.repeat(values[:1], width), values, np.repeat(values[-1:], width)])
    total = np.cumsum(padded)
    begin = width // 2
    return np.asarray((total[width:] - total[:-width])[begin : begin + len(values)] / width, dtype=np.float64)


def _levelled(sound: Array) -> Array:
    """Halves differences in level, in decibels: no singer lets a harmonic that meets a formant stick out.

    Levels are means over about 50 ms; a level of 1 is kept.
    """
    block = round(RATE / _CONTROL)
    blocks = -(-len(sound) // block)
    energy = (np.pad(sound, (0, blocks * block - len(sound))) ** 2).reshape(blocks, block).mean(axis=1)
    gain = (_smooth(energy, 0.05) + 1e-4) ** -0.25
    return sound * np.interp(np.arange(len(sound)), (np.arange(blocks) + 0.5) * block, gain)


def _filtered(sound: Array, gains: Array) -> Array:
    """Filters a sound with gains (frame, freq) that change from frame to frame: overlap-add of windowed spectra."""
    frames = len(gains)
    padded = np.zeros((frames + 3) * _HOP)
    padded[_FRAME // 2 : _FRAME // 2 + len(sound)] = sound[: len(padded) - _FRAME // 2]
    # Half a periodic Hann window: four of them, a quarter apart, add up to 1.
    window = 0.25 - 0.25 * np.cos(2 * np.pi * np.arange(_FRAME) / _FRAME)
    active = np.flatnonzero(gains.max(axis=1) > 0)
    pieces = np.lib.stride_tricks.sliding_window_view(padded, _FRAME)[::_HOP][active] * window
    shaped = np.zeros((frames, _FRAME))
    shaped[active] = np.fft.irfft(np.fft.rfft(pieces) * gains[active], _FRAME)
    out = np.zeros((frames + 3) * _HOP)
    for quarter in range(_FRAME // _HOP):
        part = shaped[:, quarter * _HOP : (quarter + 1) * _HOP].reshape(-1)
        out[quarter * _HOP : quarter * _HOP + len(part)] += part
    return out[_FRAME // 2 : _FRAME // 2 + len(sound)]
