"""A set of synthetic songs in the layout of MUSDB18-HQ, so that everything can be tried and tested without data.

The songs are made so that no fixed equaliser tells the stems apart. They share registers, harmonics and hiss: the
melody sings the chords' notes, the bass reaches into the chords, the kick lies under the bass, snare and hats sound
like consonants and picks. What tells them apart needs time (attack, decay, vibrato, glides) and frequency (combs,
formants).
"""

import json
import os
import shutil
import sys
import tempfile
import wave
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import numpy.typing as npt
from tqdm import tqdm

from unetsep.audio.files import InputError, replacing
from unetsep.data.synthetic.band import perform
from unetsep.data.synthetic.instruments import RATE
from unetsep.data.synthetic.song import Song, compose

SPLITS = ("train", "valid", "test")

_VERSION = 2  # of the sounds: a set of another version is another set
_PEAK = 0.89  # of the mixture, -1 dBFS
_SECONDS_AT_ONCE = 480  # of songs in the making: 9 MB of memory each


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
    stems = perform(song, round(seconds * RATE), rng)
    for stem in stems.values():
        played = (np.abs(stem) > 1e-4).mean()  # who plays little is louder than who plays always, but not in the sum
        level = 10 ** (rng.uniform(-1.5, 1.5) / 10) * np.sqrt(played)
        stem *= np.sqrt(level / ((stem**2).mean() + 1e-12))
    loudest = max(np.abs(sound).max() for sound in [*stems.values(), np.sum(list(stems.values()), axis=0)])
    return {name: np.round(stem * (32767 * _PEAK / loudest)).astype(np.int16) for name, stem in stems.items()}


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

    at_once = min(os.cpu_count() or 1, max(1, int(_SECONDS_AT_ONCE / seconds)))
    threads = ThreadPoolExecutor(at_once)  # numpy works without the interpreter's lock
    try:
        pause = 0.1 if sys.stderr.isatty() else 5.0  # seconds; a log wants few lines
        written = threads.map(write, missing)
        for _ in tqdm(written, total=len(missing), desc="synthetic songs", unit="song", mininterval=pause):
            pass
    finally:
        threads.shutdown(cancel_futures=True)  # after Ctrl-C: only the songs that are begun are finished


def _claim(out: Path, arguments: dict[str, float]) -> None:
    """Makes the folder this set's own, or raises if it is another's."""
    manifest = out / "synthetic.json"
    if not manifest.is_file():
        if out.exists() and (not out.is_dir() or any(out.iterdir())):
            raise InputError(f"{out} exists and is no empty folder: give a new or an empty one")
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
    """Writes the stems and their exact sum beside the set, then moves them to their place at once."""
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
        if not folder.is_dir():  # unless another process was faster
            unfinished.rename(folder)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
