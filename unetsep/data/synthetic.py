"""A set of synthetic songs in the layout of MUSDB18-HQ, so that everything can be tried and tested without data.

The songs are made so that no fixed equaliser tells the stems apart. They share registers, harmonics and hiss: the
melody sings the chords' notes, the bass reaches into the chords, the kick lies under the bass, snare and hats sound like
consonants and picks. What tells them apart needs time (attack, decay, vibrato, glides) and frequency (combs, formants).
"""

import json
import shutil
import tempfile
import wave
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import numpy.typing as npt
from scipy.fft import irfft, next_fast_len, rfft
from tqdm import tqdm

from unetsep.audio.files import InputError, replacing
from unetsep.data.instruments import RATE, Array, DrumKit, Pad, String, noise_band, panned
from unetsep.data.song import Song, bass_notes, compose, drum_hits, melody, strum_steps, voicing
from unetsep.data.voice import Voice

STEMS = ("vocals", "drums", "bass", "other")
SPLITS = ("train", "valid", "test")

_VERSION = 1  # of the sounds: a set of another version is another set
_PEAK = 0.89  # of the mixture, -1 dBFS
_TAIL = 0.6  # seconds at most that a room rings


def synthesise(seed: int, split: str, index: int, seconds: float) -> dict[str, npt.NDArray[np.int16]]:
    """Makes one song.

    Args:
        seed: of the set.
        split: train, valid or test.
        index: of the song in its split.
        seconds: its length.

    Returns:
        Stems by name, int16 (channel, sample) in stereo at 44.1 kHz; their sum does not clip.
    """
    song = song_of(seed, split, index, seconds)
    rng = np.random.default_rng([seed, SPLITS.index(split), index, 1])
    samples = round(seconds * RATE)
    stems = {
        "vocals": _vocals(song, samples, rng),
        "drums": _drums(song, samples, rng),
        "bass": _bass(song, samples, rng),
        "other": _other(song, samples, rng),
    }
    sides = [noise_band(int(_TAIL * RATE), 200, rng.uniform(3000, 8000), rng) for _ in range(2)]
    time = np.arange(int(_TAIL * RATE)) / RATE
    room = np.stack(sides) * np.exp(-time / rng.uniform(0.06, 0.12)) * (1 - time / _TAIL) / 40
    size = next_fast_len(samples + len(time), real=True)
    room = rfft(room, size)
    for name, wet in {"vocals": 0.5, "drums": 0.15, "bass": 0.0, "other": 0.35}.items():
        stem = stems[name]
        if wet and stem.any():
            stem += wet * irfft(room * rfft(stem.mean(axis=0), size), size)[:, :samples]
        stem *= 10 ** (rng.uniform(-2, 2) / 20) / np.sqrt((stem**2).mean() + 1e-12)
    gain = _PEAK / np.abs(sum(stems.values())).max() * 32767
    return {name: np.round(stem * gain).astype(np.int16) for name, stem in stems.items()}


def song_of(seed: int, split: str, index: int, seconds: float) -> Song:
    """The score of the song that `synthesise` makes of the same arguments."""
    return compose(seconds, np.random.default_rng([seed, SPLITS.index(split), index, 0]))


def write_set(out: Path, train: int, valid: int, test: int, seconds: float, seed: int) -> None:
    """Writes `out/{train,valid,test}/<song>/{vocals,drums,bass,other,mixture}.wav`, bit-identical for a seed.

    A song's folder appears complete or not at all, so an interrupted call goes on where it stopped, and a call with the
    same arguments on a finished set returns at once. The arguments are kept in `out/synthetic.json`.

    Args:
        out: folder, made if missing.
        train: number of songs, 0 or more.
        valid: number of songs.
        test: number of songs.
        seconds: length of every song, at least 1.
        seed: 0 or more.

    Raises:
        InputError: if a number is out of range, or the folder holds another set.
    """
    counts = {"train": train, "valid": valid, "test": test}
    if min(counts.values()) < 0 or not sum(counts.values()):
        raise InputError(f"cannot make {counts} songs: give counts of 0 or more, and at least one song in all")
    if not 1 <= seconds <= 3600:
        raise InputError(f"cannot make songs of {seconds} seconds: give 1 to 3600")
    if seed < 0:
        raise InputError(f"the seed is {seed}: give a whole number of 0 or more")
    _claim(out, {"version": _VERSION, **counts, "seconds": float(seconds), "seed": seed})
    missing = []
    for split, count in counts.items():
        for index in range(count):
            song = song_of(seed, split, index, seconds)
            folder = out / split / f"{split}_{index:03d}_{song.tempo:.0f}_bpm_{song.key}"
            if not folder.is_dir():
                missing.append((folder, split, index))
    if not missing:
        return

    def write(job: tuple[Path, str, int]) -> None:
        folder, split, index = job
        _write_song(folder, synthesise(seed, split, index, seconds))

    with ThreadPoolExecutor() as threads:  # numpy lets go of the interpreter while it works
        for _ in tqdm(threads.map(write, missing), total=len(missing), desc="synthetic songs", unit="song"):
            pass


def _claim(out: Path, arguments: dict[str, float]) -> None:
    """Makes the folder this set's own, or raises if it is another's."""
    manifest = out / "synthetic.json"
    if not manifest.is_file():
        if out.exists() and any(out.iterdir()):
            raise InputError(f"{out} holds other files: give a new or an empty folder")
        with replacing(manifest) as unfinished:
            unfinished.write_text(json.dumps(arguments, indent=2) + "\n")
        return
    try:
        found = json.loads(manifest.read_text())
    except ValueError:
        found = "something unreadable"
    if found != arguments:
        raise InputError(f"{out} holds the synthetic set {found}, not {arguments}: give another folder or delete it")


def _write_song(folder: Path, stems: dict[str, npt.NDArray[np.int16]]) -> None:
    folder.parent.mkdir(parents=True, exist_ok=True)
    mixture = sum(stem.astype(np.int32) for stem in stems.values())
    unfinished = Path(tempfile.mkdtemp(prefix=".unfinished-", dir=folder.parent.parent))
    try:
        for name, stem in {**stems, "mixture": np.asarray(mixture, dtype=np.int16)}.items():
            with wave.open(str(unfinished / f"{name}.wav"), "wb") as file:
                file.setnchannels(2)
                file.setsampwidth(2)
                file.setframerate(RATE)
                file.writeframes(stem.T.astype("<i2").tobytes())
        unfinished.chmod(0o755)
        unfinished.rename(folder)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)


def _add(track: Array, sound: Array, seconds: float) -> None:
    """Adds a sound (channel, sample) to a track from a moment on; what lies outside is cut."""
    start = round(seconds * RATE)
    sound = sound[:, max(0, -start) : max(0, track.shape[1] - start)]
    start = max(0, start)
    track[:, start : start + sound.shape[1]] += sound


def _vocals(song: Song, samples: int, rng: np.random.Generator) -> Array:
    """The lead singer, a little off the middle; in some songs the chorus is sung twice, wide."""
    voice, track = Voice.draw(rng), np.zeros((2, samples))
    position = rng.uniform(-0.2, 0.2)
    for start, phrase in melody(song, voice, rng):
        if start * RATE < samples:
            sound, lead = voice.sing(phrase, rng)
            _add(track, panned(sound, position), start - lead)
    return track


def _drums(song: Song, samples: int, rng: np.random.Generator) -> Array:
    kit, track = DrumKit.draw(rng), np.zeros((2, samples))
    for drum, seconds, velocity in drum_hits(song, rng):
        if seconds * RATE >= samples:
            continue
        if drum == "open hat":
            sound = kit.hat(velocity, rng, openness=4.0)
        else:
            sound = getattr(kit, drum)(velocity, rng)
        _add(track, sound, seconds)
    return np.asarray(np.tanh(track))


def _bass(song: Song, samples: int, rng: np.random.Generator) -> Array:
    bass, track = String.bass(rng), np.zeros((2, samples))
    for start, length, pitch, velocity in bass_notes(song, rng):
        if start * RATE < samples:
            _add(track, bass.play(pitch, length, velocity, 0.0, rng), start)
    return track


def _other(song: Song, samples: int, rng: np.random.Generator) -> Array:
    """Plucked chords to one side, sustained ones to the other; sections have either or both."""
    string, pad, track = String.plucked(rng), Pad.draw(rng), np.zeros((2, samples))
    side, centre = rng.uniform(0.2, 0.7) * rng.choice([-1, 1]), rng.uniform(54, 64)
    balance = rng.uniform(0.25, 0.5)
    for section in (section for section in song.sections if "other" not in section.rests):
        parts = ["plucked", "sustained"] if section.kind == "chorus" else [str(rng.choice(["plucked", "sustained"]))]
        steps = strum_steps(rng)
        for bar in range(section.first_bar, section.first_bar + section.bars):
            if song.seconds(bar) * RATE >= samples:
                break
            notes = voicing(song, bar, centre)
            if "sustained" in parts:
                for note in notes:
                    sound = pad.play(note, song.bar_seconds - 0.05, balance, -side * rng.uniform(0, 1), rng)
                    _add(track, sound, song.seconds(bar))
            if "plucked" in parts:
                for step, mark in enumerate(steps):
                    chosen = notes if mark == "x" else [notes[int(mark) - 1]] if mark.isdigit() else []
                    start = song.seconds(bar + step / 8)
                    left = song.seconds(bar + 1) - start
                    for number, note in enumerate(chosen):
                        sound = string.play(note, left, 0.5 * rng.uniform(0.7, 1.0), side, rng)
                        _add(track, sound, start + 0.012 * number)
    return track
