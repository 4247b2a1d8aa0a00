"""The scores of the synthetic songs: tempo, key, form and harmony. No sound is made here.

A song is drawn at random but by the rules of the trade: common progressions, one for the verse and one for the chorus,
and sections in which instruments fall silent.
"""

from dataclasses import dataclass

import numpy as np

SCALES = {"major": (0, 2, 4, 5, 7, 9, 11), "minor": (0, 2, 3, 5, 7, 8, 10)}
"""Semitones above the tonic."""

KEYS = ("c", "c_sharp", "d", "e_flat", "e", "f", "f_sharp", "g", "a_flat", "a", "b_flat", "b")
"""Names of the pitch classes."""

BEATS = 4
"""Beats in a bar."""

STEMS = ("vocals", "drums", "bass", "other")
"""The stems of MUSDB18."""

_PROGRESSIONS = {  # degrees of the scale from 0, a chord per bar
    "major": ((0, 4, 5, 3), (5, 3, 0, 4), (0, 5, 3, 4), (1, 4, 0, 5), (0, 3, 5, 4), (0, 2, 3, 4), (3, 0, 4, 5)),
    "minor": ((0, 5, 2, 6), (0, 3, 5, 4), (0, 6, 5, 6), (5, 6, 0, 0), (0, 2, 6, 3), (3, 5, 0, 6), (0, 3, 6, 2)),
}
_FORMS = ("verse chorus break verse chorus", "intro verse chorus break chorus", "verse break chorus verse chorus")
_RESTS: dict[str, tuple[tuple[str, ...], ...]] = {  # the stems that are silent in a section are one of these groups
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
_LOUDNESS = {"intro": 0.7, "verse": 0.8, "break": 0.75, "chorus": 1.0}


@dataclass(frozen=True)
class Section:
    """A part of the form.

    Args:
        kind: intro, verse, chorus or break.
        bars: the bars it has, counted from the beginning of the song.
        rests: the stems that are silent in it.
    """

    kind: str
    bars: range
    rests: tuple[str, ...]

    @property
    def loudness(self) -> float:
        """How hard everyone plays, 0 to 1."""
        return _LOUDNESS[self.kind]


@dataclass(frozen=True)
class Song:
    """A song's score.

    Args:
        tempo: beats per minute, 70 to 150.
        tonic: pitch class, 0 is C.
        mode: major or minor.
        swing: how late every second eighth is, in eighths, 0 to 1/3; of sixteenths, half of that.
        sections: in order.
        chords: per bar the degree of its root in the scale, from 0.
        sevenths: whether chords have four notes rather than three.
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
        """As it stands in a folder's name: `f_sharp_minor`."""
        return f"{KEYS[self.tonic]}_{self.mode}"

    def playing(self, stem: str) -> list[Section]:
        """The sections in which a stem is heard."""
        return [section for section in self.sections if stem not in section.rests]

    def seconds(self, bar: float) -> float:
        """When a moment, counted in bars from the beginning, sounds: off-beats swing."""
        sixteenth = round(bar * 16)
        late = self.swing * (0.5 if sixteenth % 2 else 1.0 if sixteenth % 4 == 2 else 0.0)
        return (bar + late / 8) * self.bar_seconds

    def pitch(self, degree: int) -> int:
        """The MIDI pitch of a degree of the scale, counted on through the octaves from the lowest tonic."""
        octave, step = divmod(degree, 7)
        return self.tonic + 12 * octave + SCALES[self.mode][step]

    def chord(self, bar: int) -> tuple[int, ...]:
        """Pitch classes of a bar's chord, root first."""
        steps = (0, 2, 4, 6) if self.sevenths else (0, 2, 4)
        return tuple(self.pitch(self.chords[bar] + step) % 12 for step in steps)

    def voicing(self, bar: int, centre: float) -> list[float]:
        """A bar's chord as MIDI pitches around a centre, low to high, the root doubled: neighbours move little."""
        bottom = round(centre) - 6
        notes = [bottom + (pitch - bottom) % 12 for pitch in self.chord(bar)]
        return sorted(float(note) for note in [*notes, notes[0] + 12])


def compose(seconds: float, rng: np.random.Generator) -> Song:
    """Draws a song that lasts at least so many seconds.

    From 10 seconds on, a section in which a stem is silent lies wholly inside; shorter songs have no silent sections.
    Every stem plays for 2 seconds at least.
    """
    while True:
        song = _draw(seconds, rng)
        rests = any(section.rests for section in song.sections if section.bars.stop * song.bar_seconds <= seconds)
        late = (seconds - 2.0) / song.bar_seconds
        all_play = all(any(section.bars.start <= late for section in song.playing(stem)) for stem in STEMS)
        if seconds < 10 or (rests and all_play):
            return song


def _draw(seconds: float, rng: np.random.Generator) -> Song:
    tempo = float(np.round(rng.uniform(70, 150), 1))
    mode = str(rng.choice(["major", "minor"]))
    bar_seconds = BEATS * 60.0 / tempo
    length = 2 if bar_seconds < 2.6 else 1  # bars in a section: at least 2.6 s, so that its silence outlasts the room
    length *= 2 if seconds > 30 else 1
    form = str(rng.choice(_FORMS)).split()
    verse, chorus = (_PROGRESSIONS[mode][choice] for choice in rng.permutation(len(_PROGRESSIONS[mode]))[:2])
    sections: list[Section] = []
    chords: list[int] = []
    while len(chords) * bar_seconds < seconds:
        kind = form[len(sections) % len(form)]
        bars = range(len(chords), len(chords) + length)
        rests = _RESTS[kind][rng.integers(len(_RESTS[kind]))] if seconds >= 10 else ()
        sections.append(Section(kind, bars, rests))
        chords += [(chorus if kind == "chorus" else verse)[bar % 4] for bar in bars]
    swing = float(rng.choice([0.0, 0.0, rng.uniform(0.1, 0.33)]))
    sevenths = bool(rng.uniform() < 0.35)
    return Song(tempo, int(rng.integers(12)), mode, swing, tuple(sections), tuple(chords), sevenths)
