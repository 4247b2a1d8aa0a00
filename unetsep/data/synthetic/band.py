"""The band: performs a synthetic song's score and gives back what each stem's microphones hear."""

from collections.abc import Sequence

import numpy as np

from unetsep.data.synthetic.drums import DrumKit
from unetsep.data.synthetic.instruments import RATE, Array, Pad, String, noise_band, panned
from unetsep.data.synthetic.parts import Note, bass_notes, drum_hits, melody, plucked_notes, sustained_notes
from unetsep.data.synthetic.song import STEMS, Song
from unetsep.data.synthetic.voice import Voice

_ECHOES = {"vocals": 0.5, "drums": 0.15, "other": 0.25}  # how much of the room is heard with each


def perform(song: Song, samples: int, rng: np.random.Generator) -> dict[str, Array]:
    """Performs a song.

    Args:
        song: its score.
        samples: the length to record.
        rng: draws the instruments and everything the score leaves open.

    Returns:
        For each of `STEMS` (channel, sample) in stereo, at no particular level.
    """
    parts = {"vocals": _vocals, "drums": _drums, "bass": _bass, "other": _other}
    stems = {stem: parts[stem](song, samples, rng) for stem in STEMS}
    room = _Room(rng)
    for stem, share in _ECHOES.items():
        stems[stem] += share * room.echo(stems[stem].mean(axis=0))
    return stems


def _vocals(song: Song, samples: int, rng: np.random.Generator) -> Array:
    """The lead singer, a little off the middle; in some songs the choruses are doubled to both sides."""
    voice, track = Voice.draw(rng), np.zeros((2, samples))
    position, doubled = rng.uniform(-0.25, 0.25), rng.uniform() < 0.5
    for section, start, syllables in melody(song, song.playing("vocals"), voice.lowest, rng):
        if start * RATE >= samples:
            continue
        sound, lead = voice.sing(syllables, rng)
        _add(track, panned(sound, position), start - lead)
        if doubled and section.kind == "chorus":  # no singer sings the same twice
            sound, lead = voice.sing(syllables, rng)
            _add(track, 0.5 * panned(sound, 0.8), start - lead + 0.018)
            _add(track, 0.5 * panned(sound, -0.8), start - lead + 0.031)
    return track


def _drums(song: Song, samples: int, rng: np.random.Generator) -> Array:
    """The kit, through a bus that saturates."""
    kit, track = DrumKit.draw(rng), np.zeros((2, samples))
    takes: dict[str, list[Array]] = {}
    for drum, start, velocity in drum_hits(song, rng):
        if start * RATE < samples:
            if drum not in takes:
                takes[drum] = kit.takes(drum, rng)
            _add(track, velocity * takes[drum][rng.integers(len(takes[drum]))], start)
    return np.tanh(track)


def _bass(song: Song, samples: int, rng: np.random.Generator) -> Array:
    bass, track = String.bass(rng), np.zeros((2, samples))
    _play(track, bass, bass_notes(song, rng), 0.0, rng)
    return track


def _other(song: Song, samples: int, rng: np.random.Generator) -> Array:
    """Plucked chords to one side, sustained ones to the other, and in some songs a lead where no one sings."""
    string, pad, lead = String.plucked(rng), Pad.chords(rng), Pad.lead(rng)
    track = np.zeros((2, samples))
    side, centre = rng.uniform(0.2, 0.7) * rng.choice([-1, 1]), rng.uniform(54, 64)
    level, lead_everywhere = rng.uniform(0.35, 0.7), rng.uniform() < 0.3
    for section in song.playing("other"):
        parts = ["plucked", "sustained"] if section.kind == "chorus" else [str(rng.choice(["plucked", "sustained"]))]
        if "plucked" in parts:
            _play(track, string, plucked_notes(song, section, centre, rng), side, rng)
        if "sustained" in parts:
            _play(track, pad, sustained_notes(song, section, centre), -0.5 * side, rng, level)
    solos = [section for section in song.playing("other") if "vocals" in section.rests or lead_everywhere]
    for _, start, syllables in melody(song, solos, centre + 2, rng):
        notes = [Note(start + s.start, s.seconds, s.pitch, s.velocity) for s in syllables]
        _play(track, lead, notes, 0.5 * side, rng, 2 * level)
    return track


def _play(
    track: Array,
    player: String | Pad,
    notes: Sequence[Note],
    position: float,
    rng: np.random.Generator,
    level: float = 1.0,
) -> None:
    for note in notes:
        if note.start * RATE < track.shape[1]:
            sound = player.play(note.pitch, note.seconds, level * note.velocity, rng)
            _add(track, np.sqrt(2.0) * panned(sound, position), note.start)


def _add(track: Array, sound: Array, seconds: float) -> None:
    """Adds a sound (channel, sample) to a track from a moment on; what lies outside is cut."""
    start = round(seconds * RATE)
    sound = sound[:, max(0, -start) : max(0, track.shape[1] - start)]
    start = max(0, start)
    track[:, start : start + sound.shape[1]] += sound


class _Room:
    """The room all play in: noise that dies away, other noise on the left than on the right."""

    _TAIL, _BLOCK = 20_480, 1 << 16  # samples; the room ends after 0.46 s, so that silence is silence

    def __init__(self, rng: np.random.Generator) -> None:
        time = np.arange(self._TAIL) / RATE
        envelope = np.exp(-time / rng.uniform(0.05, 0.12)) * (1 - np.arange(self._TAIL) / self._TAIL) / 40
        top = rng.uniform(3000, 8000)
        sides = [noise_band(self._TAIL, 200, top, rng) * envelope for _ in range(2)]
        self.response = np.fft.rfft(np.stack(sides), self._BLOCK)[:, None]

    def echo(self, sound: Array) -> Array:
        """A mono sound (sample) as the room gives it back (channel, sample): convolved block by block."""
        hop = self._BLOCK - self._TAIL
        blocks = np.zeros((-(-len(sound) // hop), hop))
        blocks.reshape(-1)[: len(sound)] = sound
        pieces = np.fft.irfft(np.fft.rfft(blocks, self._BLOCK) * self.response, self._BLOCK)
        echo = np.zeros((2, len(blocks) * hop + self._TAIL))
        echo[:, : len(blocks) * hop] = pieces[:, :, :hop].reshape(2, -1)
        for number in range(len(blocks)):
            echo[:, (number + 1) * hop :][:, : self._TAIL] += pieces[:, number, hop:]
        return echo[:, : len(sound)]
