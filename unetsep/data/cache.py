"""Each track decoded once: a memory-mapped int16 file from which any chunk is a slice."""

import hashlib
import json
import os
import re
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from unetsep.audio.files import replacing
from unetsep.data.track import Track

_FORMAT = 1  # raise it when the layout or the decoding changes: older files are then made anew


class CachedTrack:
    """The stems of a track, read chunk by chunk without decoding; cheap to send to worker processes.

    The file is one JSON line that says how the samples were made, padded to 64 bytes, then int16 (source, channel,
    sample). A stem that fits is stored in steps of 1/32768, which loses nothing of a 16-bit file; a stem above full
    scale gets larger steps instead of being clipped.

    Args:
        track: the track; its files are decoded now, unless the folder has a copy that is up to date.
        folder: of the cached files.
        sample_rate: in hertz, to which the stems are resampled.
        channels: 1 or 2.

    Raises:
        InputError: if the track cannot be read, or the folder not be written.
    """

    def __init__(self, track: Track, folder: Path, sample_rate: int, channels: int) -> None:
        self.name = track.name
        self.path = folder / _file_name(track, sample_rate, channels)
        wanted = _fingerprint(track)
        header = _read_header(self.path)
        if header is None or header["fingerprint"] != wanted:
            _write(self.path, wanted, track.read(sample_rate, channels))
            header = _read_header(self.path)
            assert header is not None
        self.shape: tuple[int, int, int] = tuple(header["shape"])
        self._steps = torch.tensor(header["steps"], dtype=torch.float64)[:, None, None]
        self._offset: int = header["offset"]
        self._samples: npt.NDArray[np.int16] | None = None

    @property
    def samples(self) -> int:
        """Length in samples per channel."""
        return self.shape[-1]

    def chunk(self, start: int = 0, length: int | None = None) -> Tensor:
        """A part of every stem, or all of it, as float32 (source, channel, sample).

        Args:
            start: first sample.
            length: in samples; past the track's end there is silence. None reads to the end.
        """
        if self._samples is None:
            self._samples = np.memmap(self.path, np.int16, "r", self._offset, self.shape)
        length = self.samples - start if length is None else length
        stored = torch.from_numpy(np.array(self._samples[..., start : start + length]))
        chunk = (stored * self._steps).to(torch.float32)
        return torch.nn.functional.pad(chunk, (0, length - chunk.shape[-1]))

    def __getstate__(self) -> dict[str, Any]:
        # A pickled memory map would carry all samples along: the receiver maps the file itself.
        return self.__dict__ | {"_samples": None}


def cache_folder(root: Path) -> Path:
    """Where a data set's cache lies unless asked otherwise: inside the data set, or in the user's cache folder.

    Args:
        root: the data set's folder; where it cannot be written to, `$XDG_CACHE_HOME/unetsep` (`~/.cache/unetsep`).
    """
    inside = root / ".unetsep"
    try:
        inside.mkdir(exist_ok=True)
        if os.access(inside, os.W_OK):
            return inside
    except OSError:
        pass
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "unetsep"


def _file_name(track: Track, sample_rate: int, channels: int) -> str:
    identity = json.dumps([str(track.path.resolve()), track.sources])
    digest = hashlib.sha256(identity.encode()).hexdigest()[:12]
    return f"{re.sub(r'[^A-Za-z0-9]+', '-', track.name)[:40]}-{digest}-{sample_rate}hz-{channels}ch.stems"


def _fingerprint(track: Track) -> list[Any]:
    """Changes when a file of the track does. Taken before decoding: a change meanwhile is noticed the next time."""
    stats = [(path.name, path.stat()) for path in track.files()]
    return [_FORMAT, *([name, stat.st_size, stat.st_mtime_ns] for name, stat in stats)]


def _read_header(path: Path) -> dict[str, Any] | None:
    """The JSON line of a cached file and where its samples begin, or None if there is no whole file."""
    try:
        with path.open("rb") as file:
            line = file.readline()
            header: dict[str, Any] = json.loads(line)
            header["offset"] = len(line)
            whole = len(line) + 2 * int(np.prod(header["shape"])) == path.stat().st_size
    except (OSError, ValueError, KeyError):
        return None
    return header if whole else None


def _write(path: Path, fingerprint: list[Any], stems: Tensor) -> None:
    steps = []
    for stem in stems:
        fits = float(stem.min()) >= -1.0 and float(stem.max()) <= 32767 / 32768
        steps.append(1 / 32768 if fits else float(stem.abs().max()) / 32767)
    line = json.dumps({"fingerprint": fingerprint, "shape": list(stems.shape), "steps": steps}).encode()
    with replacing(path) as unfinished, unfinished.open("wb") as file:
        file.write(line + b" " * (-(len(line) + 1) % 64) + b"\n")
        for stem, step in zip(stems, steps, strict=True):
            stem.double().div(step).round().clamp(-32768, 32767).to(torch.int16).numpy().tofile(file)
