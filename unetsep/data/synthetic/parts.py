"""The parts of the synthetic songs: what drummer, bassist, singer and the others play when."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from unetsep.data.synthetic.song import BEATS, Section, Song
from unetsep.data.synthetic.voice import CONSONANTS, VOWELS, Syllable

_GROOVES = (  # kick, snare, hats in sixteenths of a bar; o is an open hat
    ("x.......x.x.....", "....x.......x...", "x.x.x.x.x.x.x.x."),
    ("x...x...x...x...", "....x.......x...", "..o...o...o...o."),
    ("x..x..x...x..x..", "....x..x.x..x...", "xxxxxxxxxxxxxxxx"),
    ("x.....x...x.....", "........x.......", "x.x.x.x.x.x.x.o."),
    ("x..x....x..x....", "....x.......x..x", "x.xxx.xxx.xxx.xx"),
    ("x.x.......x..x..", "....x.......x...", "x...x...x...x..."),
)
_BASS_LINES = (  # in eighths of a bar: r root, f fifth, o octave, - hold on, . rest
    "r-r-r-r-",
    "rrrrrrrr",
    "r--r--r-",
    "r-----f-",
    "r.o.r.o.",
    "r-.rr-fo",
    "r---....",
    "r-------",
)
_STRUMS = (  # in eighths: x all notes of the chord, 1 to 4 one of them, . let ring
    "x...x...",
    "x..x..x.",
    "x.xx.xxx",
    "12324232",
    "1.2.3.2.",
    "13243423",
    ".x.x.x.x",
)


class Hit(NamedTuple):
    """A stroke on a drum of `DrumKit.takes`, in seconds from the beginning, with a velocity of 0 to 1."""

    drum: str
    start: float
    velocity: float


class Note(NamedTuple):
    """A note: seconds from the beginning, its length in seconds, MIDI pitch, velocity of 0 to 1."""

    start: float
    seconds: float
    pitch: float
    velocity: float


class Phrase(NamedTuple):
    """A sung phrase: its section, seconds from the beginning, and its syllables, in seconds from there."""

    section: Section
    start: float
    syllables: list[Syllable]


def drum_hits(song: Song, rng: np.random.Generator) -> list[Hit]:
    """One groove a song, with fills at the ends of sections, crashes on choruses, and thinner in intros and breaks."""
    hits = []
    groove = dict(zip(("kick", "snare", "hat"), _GROOVES[rng.integers(len(_GROOVES))], strict=True))
    for section in song.playing("drums"):
        left_out = str(rng.choice(["kick", "snare", ""])) if section.kind in ("intro", "break") else ""
        lines = {drum: line for drum, line in groove.items() if drum != left_out}
        if section.kind == "chorus":
            hits.append(Hit("crash", song.seconds(section.bars[0]), 0.9))
        for bar in section.bars:
            fill = bar == section.bars[-1] and rng.uniform() < 0.6
            for drum, line in lines.items():
                for step, mark in enumerate(line):
                    ghost = drum == "snare" and mark == "." and rng.uniform() < 0.06
                    if (mark == "." and not ghost) or (fill and step >= 12 and drum != "kick"):
                        continue
                    accent = 0.25 if ghost else 1.0 if step % 4 == 0 else 0.75
                    start = max(0.0, song.seconds(bar + step / 16) + rng.normal(0, 0.003))
                    velocity = section.loudness * accent * rng.uniform(0.8, 1.0)
                    hits.append(Hit("open hat" if mark == "o" else drum, start, velocity))
            for step in range(12, 16) if fill else ():
                drum = str(rng.choice(["snare", "tom"]))
                hits.append(Hit(drum, song.seconds(bar + step / 16), section.loudness * (0.3 + 0.04 * step)))
    return hits


def bass_notes(song: Song, rng: np.random.Generator) -> list[Note]:
    """A bass line; every bar begins with the root of its chord."""
    notes = []
    lowest = int(rng.integers(28, 33))  # E1 to G#1
    lines: dict[str, str] = {}
    for section in song.playing("bass"):
        line = lines.setdefault(section.kind, _BASS_LINES[rng.integers(len(_BASS_LINES))])
        for bar in section.bars:
            root, _, fifth, *_ = song.chord(bar)
            above = {"r": 0, "f": (fifth - root) % 12, "o": 12}
            for step in (step for step, mark in enumerate(line) if mark in above):
                after = line[step + 1 :]
                held = len(after) - len(after.lstrip("-"))
                start, end = song.seconds(bar + step / 8), song.seconds(bar + (step + 1 + held) / 8)
                pitch = lowest + (root - lowest) % 12 + above[line[step]]
                notes.append(Note(start, 0.92 * (end - start), float(pitch), section.loudness * rng.uniform(0.8, 1.0)))
    return notes


def plucked_notes(song: Song, section: Section, centre: float, rng: np.random.Generator) -> list[Note]:
    """A section's chords, strummed or broken, each note ringing until the next chord."""
    notes = []
    steps = _STRUMS[rng.integers(len(_STRUMS))]
    for bar in section.bars:
        chord = song.voicing(bar, centre)
        for step, mark in enumerate(steps):
            start = song.seconds(bar + step / 8)
            chosen = chord if mark == "x" else [] if mark == "." else [chord[int(mark) - 1]]
            for number, pitch in enumerate(chosen):
                late = 0.012 * number  # a hand takes its time over the strings
                velocity = section.loudness * rng.uniform(0.7, 1.0)
                notes.append(Note(start + late, song.seconds(bar + 1) - start - late, pitch, velocity))
    return notes


def sustained_notes(song: Song, section: Section, centre: float) -> list[Note]:
    """A section's chords, each held for its bar."""
    bar_seconds = song.bar_seconds - 0.05
    return [
        Note(song.seconds(bar), bar_seconds, pitch, section.loudness)
        for bar in section.bars
        for pitch in song.voicing(bar, centre)
    ]


def melody(song: Song, sections: Sequence[Section], lowest: float, rng: np.random.Generator) -> list[Phrase]:
    """The phrases of a melody, each of two bars at most, with a rest at its end.

    Long notes and those on strong beats belong to the chord, the others to the scale. Sections of a kind share a motif.

    Args:
        song: gives harmony and time.
        sections: those with melody.
        lowest: MIDI pitch; the melody stays within ten notes of the scale above it.
        rng: draws motifs and words.
    """
    motifs: dict[tuple[str, int], list[tuple[float, float, int]]] = {}
    phrases = []
    for section in sections:
        for first in section.bars[::2]:
            bars = min(2, section.bars.stop - first)
            motif = motifs.setdefault((section.kind, bars), _motif(bars, song.tempo, rng))
            start = song.seconds(first + motif[0][0] / BEATS)
            phrases.append(Phrase(section, start, _syllables(song, section, first, motif, lowest, rng)))
    return phrases


def _motif(bars: int, tempo: float, rng: np.random.Generator) -> list[tuple[float, float, int]]:
    """(Beat, length in beats, steps along the scale) of each note; the last is long, and a rest follows it."""
    end = BEATS * bars - float(rng.choice([0.5, 1.0, 1.5]))
    last = end - float(rng.choice([1.5, 2.0]))
    lengths = [0.5, 0.5, 0.5, 0.75, 1.0, 1.0] if tempo < 110 else [0.5, 1.0, 1.0, 1.0, 2.0, 2.0]
    beat = float(rng.choice([0.0, 0.0, 0.5]))
    notes = []
    while beat < last:
        beats = min(float(rng.choice(lengths)), last - beat)
        notes.append((beat, beats, int(rng.choice([-2, -1, -1, 0, 1, 1, 2]))))
        beat += beats
    return [*notes, (beat, end - beat, int(rng.choice([-1, 0, 1])))]


def _syllables(
    song: Song,
    section: Section,
    first: int,
    motif: Sequence[tuple[float, float, int]],
    lowest: float,
    rng: np.random.Generator,
) -> list[Syllable]:
    pitches = [float(song.pitch(degree)) for degree in range(77)]
    low = next(degree for degree, pitch in enumerate(pitches) if pitch >= lowest)
    at = low + int(rng.integers(3, 7))
    begin = song.seconds(first + motif[0][0] / BEATS)
    syllables = []
    for beat, beats, step in motif:
        at = min(max(at + step, low), low + 9)
        chord = song.chord(first + int(beat // BEATS))
        if beats >= 1 or beat % 2 == 0:
            near = (at + shift for shift in (0, 1, -1, 2, -2))
            at = next((degree for degree in near if pitches[degree] % 12 in chord), at)
        start, end = song.seconds(first + beat / BEATS), song.seconds(first + (beat + beats) / BEATS)
        vowel, consonant = str(rng.choice(list(VOWELS))), str(rng.choice([*CONSONANTS, ""]))
        velocity = section.loudness * rng.uniform(0.8, 1.0)
        syllables.append(Syllable(start - begin, 0.97 * (end - start), pitches[at], vowel, consonant, velocity))
    return syllables
