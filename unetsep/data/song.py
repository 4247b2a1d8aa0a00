"""What the synthetic songs play: tempo, key, form, harmony, melody, rhythm. No sound is made here.

A song is drawn at random but by the rules of the trade: four-bar harmony from common progressions, a motif for the
verse and one for the chorus, melodies that rest on chord tones, sections in which instruments fall silent.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from unetsep.data.voice import CONSONANTS, VOWELS, Syllable, Voice

SCALES = {"major": (0, 2, 4, 5, 7, 9, 11), "minor": (0, 2, 3, 5, 7, 8, 10)}
KEYS = ("c", "c_sharp", "d", "e_flat", "e", "f", "f_sharp", "g", "a_flat", "a", "b_flat", "b")
BEATS = 4  # in a bar

_PROGRESSIONS = {  # scale degrees from 0, a chord per bar
    "major": ((0, 4, 5, 3), (5, 3, 0, 4), (0, 5, 3, 4), (1, 4, 0, 5), (0, 3, 5, 4), (0, 2, 3, 4), (3, 0, 4, 5)),
    "minor": ((0, 5, 2, 6), (0, 3, 5, 4), (0, 6, 5, 6), (5, 6, 0, 0), (0, 2, 6, 3), (3, 5, 0, 6), (0, 3, 6, 2)),
}
_FORMS = ("verse chorus break verse chorus", "intro verse chorus break chorus", "verse break chorus verse chorus")
_RESTS = {  # which stems are silent in a section: one of these
    "intro": (("vocals",), ("vocals", "drums"), ("vocals", "bass"), ("drums", "bass")),
    "verse": ((), (), ("other",), ("bass",)),
    "chorus": ((),),
    "break": (
        ("drums", "bass"),
        ("drums",),
        ("bass",),
        ("other",),
        ("vocals",),
        ("vocals", "other"),
        ("drums", "other"),
    ),
}
_GROOVES = (  # kick, snare, hats in sixteenths of a bar
    ("x.......x.x.....", "....x.......x...", "x.x.x.x.x.x.x.x."),
    ("x...x...x...x...", "....x.......x...", "..o...o...o...o."),
    ("x..x..x...x..x..", "....x..x.x..x...", "xxxxxxxxxxxxxxxx"),
    ("x.....x...x.....", "........x.......", "x.x.x.x.x.x.x.o."),
    ("x..x....x..x....", "....x.......x..x", "x.xxx.xxx.xxx.xx"),
    ("x.x.......x..x..", "....x.......x...", "x...x...x...x..."),
)
_BASS_LINES = (  # per eighth of a bar: r root, f fifth, o octave, - held, . rest
    "r-r-r-r-",
    "rrrrrrrr",
    "r--r--r-",
    "r-----f-",
    "r.o.r.o.",
    "r-.rr-fo",
    "r---....",
    "r-------",
)
_STRUMS = (  # per eighth: x all notes, 1 to 4 one of them, . ring on
    "x...x...",
    "x..x..x.",
    "x.xx.xxx",
    "12324232",
    "1.2.3.2.",
    "13243423",
    ".x.x.x.x",
)


@dataclass(frozen=True)
class Section:
    """A part of the form.

    Args:
        kind: intro, verse, chorus or break.
        first_bar: counted from 0.
        bars: how many.
        rests: the stems that are silent.
    """

    kind: str
    first_bar: int
    bars: int
    rests: tuple[str, ...]


@dataclass(frozen=True)
class Song:
    """A song's score.

    Args:
        tempo: beats per minute, 70 to 150.
        tonic: pitch class, 0 is C.
        mode: major or minor.
        swing: delay of every second eighth (and sixteenth), as a fraction of it.
        sections: in order.
        chords: per bar the scale degree of its root, from 0.
        sevenths: whether chords have four notes.
    """

    tempo: float
    tonic: int
    mode: str
    swing: float
    sections: tuple[Section, ...]
    chords: tuple[int, ...]
    sevenths: bool

    @property
    def bar_seconds(self) -> float:
        """Length of a bar."""
        return BEATS * 60.0 / self.tempo

    @property
    def key(self) -> str:
        """As in a file name, `f_sharp_minor`."""
        return f"{KEYS[self.tonic]}_{self.mode}"

    def seconds(self, bar: float) -> float:
        """When a moment, counted in bars, sounds: with the swing of its eighth or sixteenth."""
        sixteenth = round(bar * 16)
        late = self.swing * (0.5 if sixteenth % 2 else 1.0 if sixteenth % 4 == 2 else 0.0)
        return (bar + late / 8) * self.bar_seconds

    def degree_pitch(self, degree: int) -> int:
        """Semitones above the lowest C of a degree of the scale, which may lie in any octave."""
        octave, step = divmod(degree, 7)
        return self.tonic + 12 * octave + SCALES[self.mode][step]

    def chord(self, bar: int) -> tuple[int, ...]:
        """Pitch classes of a bar's chord, root first."""
        steps = (0, 2, 4, 6) if self.sevenths else (0, 2, 4)
        return tuple(self.degree_pitch(self.chords[bar] + step) % 12 for step in steps)


def compose(seconds: float, rng: np.random.Generator) -> Song:
    """Draws a song that lasts at least so many seconds.

    From 10 seconds on, at least one section lies wholly inside in which a stem is silent; shorter songs have no rests.
    """
    tempo = float(np.round(rng.uniform(70, 150), 1))
    mode = str(rng.choice(["major", "minor"]))
    bar_seconds = BEATS * 60.0 / tempo
    bars = 2 if bar_seconds < 2.6 else 1  # in a section: at least 2.6 s, so that its silence outlasts the room
    if seconds > 30:
        bars *= 2
    total = int(np.ceil(seconds / bar_seconds))
    form = str(rng.choice(_FORMS)).split()
    sections: list[Section] = []
    verse, chorus = (_PROGRESSIONS[mode][choice] for choice in rng.permutation(len(_PROGRESSIONS[mode]))[:2])
    chords: list[int] = []
    while len(chords) < total:
        kind = form[len(sections) % len(form)]
        rests = _RESTS[kind][rng.integers(len(_RESTS[kind]))] if seconds >= 10 else ()
        progression = chorus if kind == "chorus" else verse
        sections.append(Section(kind, len(chords), bars, rests))
        chords += [progression[(len(chords) + bar) % 4] for bar in range(bars)]
    inside = [number for number in range(len(sections)) if (number + 1) * bars * bar_seconds <= seconds]
    if seconds >= 10 and not any(sections[number].rests for number in inside):
        chosen = inside[rng.integers(len(inside))]
        rests = _RESTS["break"][rng.integers(len(_RESTS["break"]))]
        sections[chosen] = Section("break", sections[chosen].first_bar, bars, rests)
    swing = float(rng.choice([0.0, 0.0, rng.uniform(0.1, 0.33)]))
    return Song(tempo, int(rng.integers(12)), mode, swing, tuple(sections), tuple(chords), bool(rng.uniform() < 0.35))


def drum_hits(song: Song, rng: np.random.Generator) -> list[tuple[str, float, float]]:
    """All hits as (drum, seconds, velocity)."""
    hits = []
    kick, snare, hats = _GROOVES[rng.integers(len(_GROOVES))]
    for section in (section for section in song.sections if "drums" not in section.rests):
        lines = {"kick": kick, "snare": snare, "hat": hats}
        if section.kind in ("intro", "break"):
            lines.pop(str(rng.choice(["snare", "kick", "none"])), None)
        if section.kind == "chorus":
            hits.append(("crash", song.seconds(section.first_bar), 0.9))
        for bar in range(section.first_bar, section.first_bar + section.bars):
            fill = bar == section.first_bar + section.bars - 1 and rng.uniform() < 0.6
            for drum, line in lines.items():
                for step, mark in enumerate(line):
                    ghost = drum == "snare" and mark == "." and rng.uniform() < 0.06
                    if (mark == "." and not ghost) or (fill and step >= 12 and drum != "kick"):
                        continue
                    accent = 1.0 if step % 4 == 0 else 0.75
                    velocity = (0.25 if ghost else accent) * rng.uniform(0.8, 1.0)
                    name = "open hat" if mark == "o" else drum
                    hits.append((name, song.seconds(bar + step / 16) + rng.normal(0, 0.003), velocity))
            if fill:
                for step in range(12, 16):
                    hits.append((str(rng.choice(["snare", "tom"])), song.seconds(bar + step / 16), 0.6 + 0.02 * step))
    return [(drum, max(0.0, at), velocity) for drum, at, velocity in hits]


def bass_notes(song: Song, rng: np.random.Generator) -> list[tuple[float, float, float, float]]:
    """The bass line as (seconds, length in seconds, MIDI pitch, velocity); every bar begins with the chord's root."""
    notes = []
    lines = {kind: _BASS_LINES[rng.integers(len(_BASS_LINES))] for kind in _RESTS}
    lowest = int(rng.integers(28, 33))  # E1 to A1
    for section in (section for section in song.sections if "bass" not in section.rests):
        line = lines[section.kind]
        for bar in range(section.first_bar, section.first_bar + section.bars):
            root = lowest + (song.chord(bar)[0] - lowest) % 12
            for step in (step for step, mark in enumerate(line) if mark in "rfo"):
                held = len(line[step + 1 :]) - len(line[step + 1 :].lstrip("-"))
                start, end = song.seconds(bar + step / 8), song.seconds(bar + (step + 1 + held) / 8)
                fifth = (song.chord(bar)[2] - song.chord(bar)[0]) % 12
                pitch = root + {"r": 0, "f": fifth, "o": 12}[line[step]]
                notes.append((start, 0.92 * (end - start), float(pitch), rng.uniform(0.75, 1.0)))
    return notes


def voicing(song: Song, bar: int, centre: float) -> list[float]:
    """The chord's notes around a MIDI pitch, lowest first, the root doubled: neighbouring chords move little."""
    notes = [centre - 6 + (pitch - centre + 6) % 12 for pitch in song.chord(bar)]
    notes.append(centre + 6 + (song.chord(bar)[0] - centre - 6) % 12)
    return sorted(float(np.round(note)) for note in notes)


def strum_steps(rng: np.random.Generator) -> str:
    """A pattern of eighths for the plucked chords: x all notes, a digit one of them, a dot none."""
    return _STRUMS[rng.integers(len(_STRUMS))]


def melody(song: Song, voice: Voice, rng: np.random.Generator) -> list[tuple[float, list[Syllable]]]:
    """The sung phrases as (seconds, syllables); a phrase is a section or two bars, with a rest at its end."""
    motifs = {kind: _motif(song, 2, rng) for kind in _RESTS}
    phrases = []
    for section in (section for section in song.sections if "vocals" not in section.rests):
        for first in range(section.first_bar, section.first_bar + section.bars, 2):
            bars = min(2, section.first_bar + section.bars - first)
            motif = motifs[section.kind] if bars == 2 else _motif(song, bars, rng)
            phrases.append(_phrase(song, voice, first, motif, 1.0 if section.kind == "chorus" else 0.85, rng))
    return phrases


def _motif(song: Song, bars: int, rng: np.random.Generator) -> list[tuple[float, float, int]]:
    """(Beat, beats, steps up the scale) of each note; the last is long, and a rest follows it."""
    end = BEATS * bars - float(rng.choice([0.5, 1.0, 1.5]))
    beat = float(rng.choice([0.0, 0.0, 0.5, 1.0]))
    last = end - float(rng.choice([1.5, 2.0]))
    slow = 1.0 if song.tempo < 110 else 2.0
    notes = []
    while beat < last:
        beats = slow * float(rng.choice([0.5, 0.5, 0.5, 1.0, 1.0, 0.25 if slow > 1 else 0.75]))
        beats = min(beats, last - beat)
        notes.append((beat, beats, int(rng.choice([-2, -1, -1, 0, 1, 1, 2]))))
        beat += beats
    return [*notes, (beat, end - beat, int(rng.choice([-1, 0, 1])))]


def _phrase(
    song: Song,
    voice: Voice,
    first: int,
    motif: Sequence[tuple[float, float, int]],
    loudness: float,
    rng: np.random.Generator,
) -> tuple[float, list[Syllable]]:
    degrees = np.arange(0, 77)
    pitches = np.array([song.degree_pitch(int(degree)) for degree in degrees], dtype=np.float64)
    low = int(np.searchsorted(pitches, voice.lowest))
    at = low + int(rng.integers(3, 7))
    begin = song.seconds(first + motif[0][0] / BEATS)
    syllables = []
    for beat, beats, step in motif:
        at = int(np.clip(at + step, low, low + 9))
        bar = first + min(int(beat // BEATS), len(song.chords) - 1 - first)
        if beats >= 1 or beat % 2 == 0:  # long and strong notes belong to the chord
            near = [at + shift for shift in (0, 1, -1, 2, -2)]
            at = next((degree for degree in near if pitches[degree] % 12 in song.chord(bar)), at)
        start, end = song.seconds(first + beat / BEATS), song.seconds(first + (beat + beats) / BEATS)
        consonant = str(rng.choice([*CONSONANTS, ""]))
        velocity = loudness * rng.uniform(0.8, 1.0)
        vowel = str(rng.choice(list(VOWELS)))
        syllables.append(Syllable(start - begin, 0.97 * (end - start), float(pitches[at]), vowel, consonant, velocity))
    return begin, syllables
