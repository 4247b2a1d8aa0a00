"""Songs as MUSDB18 and MUSDB18-HQ store them, and every way to read a chunk of one."""

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import musdb
import numpy as np
import soundfile
import stempeg
import torch

from unetsep.audio.files import write_audio
from unetsep.data import StemsDataModule
from unetsep.data.track import SOURCES

RATE = 44_100
CACHE = "the cache"
Read = Callable[[str, int], torch.Tensor]


def make_songs(root: Path, songs: int, seconds: float) -> None:
    """Makes songs of stempeg's example over and over; both forms hold the same samples.

    Args:
        root: gets `mp4/train/<song>.stem.mp4` and, decoded from these, `wav/train/<song>/<stem>.wav`.
        songs: how many, all alike but each with files of its own.
        seconds: length of a song.
    """
    folder = root / "mp4" / "train"
    folder.mkdir(parents=True)
    first = folder / "song 0.stem.mp4"
    example = ["-stream_loop", "-1", "-i", stempeg.example_stem_path(), "-map", "0:a", "-t", str(seconds)]
    subprocess.run(["ffmpeg", "-v", "error", *example, "-c:a", "aac", "-b:a", "256k", str(first)], check=True)
    for number in range(1, songs):
        shutil.copy(first, folder / f"song {number}.stem.mp4")
    data = musdb.DB(str(root / "mp4"), subsets="train")
    stems = data[0].stems
    for track in data:
        for name, stream in data.setup["stem_ids"].items():
            write_audio(root / "wav" / "train" / track.name / f"{name}.wav", stems[stream].T, RATE)


def readers(root: Path, length: int) -> tuple[list[str], dict[str, Read]]:
    """The names of the songs, and every way to read one of them from a sample on.

    Args:
        root: where `make_songs` put them; the cache is made there.
        length: of a chunk in samples.

    Returns:
        The names, and readers of float32 (source, channel, sample) by name.
    """
    stem_files = musdb.DB(str(root / "mp4"), subsets="train")
    folders = musdb.DB(str(root / "wav"), subsets="train", is_wav=True)
    mp4, wav = ({track.name: track for track in data} for data in (stem_files, folders))
    streams = [stem_files.setup["stem_ids"][source] for source in SOURCES]
    module = StemsDataModule(root / "mp4", cache=root / "cache")
    cached = {track.name: track for track in module.tracks("train")}
    files = {song: [root / "wav" / "train" / song / f"{source}.wav" for source in SOURCES] for song in cached}
    opened = {song: [soundfile.SoundFile(path) for path in paths] for song, paths in files.items()}

    def from_cache(song: str, start: int) -> torch.Tensor:
        return cached[song].chunk(start, length)

    def from_mp4(song: str, start: int) -> torch.Tensor:
        track = mp4[song]
        track.chunk_start, track.chunk_duration = start / RATE, length / RATE
        return as_tensor(track.stems[streams])  # one call is musdb's quickest way here, though it reads the mixture too

    def from_wav(song: str, start: int) -> torch.Tensor:
        track = wav[song]
        track.chunk_start, track.chunk_duration = start / RATE, length / RATE
        return as_tensor([track.sources[source].audio for source in SOURCES])

    def from_paths(song: str, start: int) -> torch.Tensor:
        return as_tensor([soundfile.read(path, length, start, dtype="float32")[0] for path in files[song]])

    def from_opened(song: str, start: int) -> torch.Tensor:
        for file in opened[song]:
            file.seek(start)
        return as_tensor([file.read(length, dtype="float32") for file in opened[song]])

    return list(cached), {
        CACHE: from_cache,
        "musdb, .stem.mp4": from_mp4,
        "musdb, wav": from_wav,
        "soundfile, wav": from_paths,
        "soundfile, wav kept open": from_opened,
    }


def as_tensor(stems: Any) -> torch.Tensor:
    """Stems (sample, channel) as float32 (source, channel, sample)."""
    return torch.stack([torch.from_numpy(stem.astype(np.float32, copy=False)).T for stem in stems])
