"""Each track decoded once: a memory-mapped file of 16-bit numbers from which any chunk is a slice."""

import hashlib
import json
import math
import os
import re
import sys
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from tqdm import tqdm

from unetsep.audio.files import InputError
from unetsep.data.store import FORMAT, BrokenError, CacheType, read_header, whole_size, write_track
from unetsep.data.track import Track


class CachedTrack:
    """The stems of a track, read chunk by chunk without decoding; cheap to send to worker processes.

    The file is one JSON line that says how the samples were made, padded to 64 bytes, then the samples as int16 or
    float16 (source, channel, sample). As int16 a stem that fits is stored in steps of 1/32768, which loses nothing of a
    16-bit file; a stem above full scale gets larger steps instead of being clipped. float16 keeps 11 bits at any level.

    A file that is truncated or not ours is made anew, after a line on stderr. Any number of processes may share the
    folder: files are written under another name and renamed, and readers keep what they have opened.

    Args:
        track: the track; its files are decoded now, unless the folder has a copy that is up to date.
        folder: of the cached files.
        sample_rate: in hertz, to which the stems are resampled.
        channels: 1 or 2.
        dtype: of the stored samples.

    Raises:
        InputError: if the track cannot be read.
        NoCacheError: if the folder cannot be written to, or is full.
    """

    def __init__(self, track: Track, folder: Path, sample_rate: int, channels: int, dtype: CacheType = "int16") -> None:
        self.name = track.name
        self.path = folder / _file_name(track, folder, sample_rate, channels, dtype)
        wanted = _origin(track, sample_rate, channels, dtype)
        header = _usable_header(self.path)
        self.decoded = header is None or any(header.get(key) != value for key, value in wanted.items())
        """Whether the files were decoded just now: false where the folder had a copy."""
        if self.decoded:
            write_track(self.path, wanted, track.read(sample_rate, channels).numpy())
            header = read_header(self.path)
        assert header is not None
        self._header = header
        self.shape: tuple[int, int, int] = tuple(header["shape"])
        self._mapped: tuple[int, Tensor] | None = None  # the file's number on its disk, its samples

    @property
    def samples(self) -> int:
        """Length in samples per channel."""
        return self.shape[-1]

    @property
    def seconds(self) -> float:
        """Length in seconds."""
        return self.samples / int(self._header["sample_rate"])

    @property
    def bytes(self) -> int:
        """Size of the cached file."""
        return whole_size(self._header)

    @property
    def loudness_db(self) -> dict[str, float]:
        """Mean square over channels and samples, in dB of full scale, by source and of the `mixture`; -inf if silent.

        It is not weighted by frequency as in ITU-R BS.1770: it says what the network is given, at any sample rate.
        """
        stored: dict[str, float | None] = self._header["loudness_db"]
        return {name: -math.inf if level is None else level for name, level in stored.items()}

    @property
    def silent(self) -> list[tuple[int, int]]:
        """Where the mixture is silent: (first sample, end), in order and apart from each other.

        The track is cut into blocks of 0.1 s, the last one may be shorter; a block whose mean square lies below -60 dB
        of full scale is silent, and neighbouring ones are one silence.
        """
        return [(start, end) for start, end in self._header["silent"]]

    def chunk(self, start: int = 0, length: int | None = None, out: Tensor | None = None) -> Tensor:
        """A part of every stem, or all of it, as float32 (source, channel, sample).

        Args:
            start: first sample.
            length: in samples; past the track's end there is silence. None reads to the end.
            out: what to fill and return, in place of a new tensor.

        Raises:
            InputError: if the file was taken away or cut since this object was made.
        """
        length = self.samples - start if length is None else length
        stored = self._samples()[..., start : start + length]
        chunk = torch.empty(*self.shape[:-1], length) if out is None else out
        found = stored.shape[-1]
        steps = torch.tensor(self._header["steps"])[:, None, None]
        chunk[..., :found].copy_(stored).mul_(steps)  # 16-bit numbers and their steps are exact in float32
        chunk[..., found:] = 0.0
        return chunk

    def _samples(self) -> Tensor:
        """The mapped samples. What is beyond a file's end kills the process that looks at it: so look at the size."""
        try:
            status = self.path.stat()
            if self._mapped is None:
                if read_header(self.path) != self._header:
                    raise InputError(self._lost("was changed"))
                stored = getattr(torch, self._header["dtype"])
                everything = torch.from_file(str(self.path), shared=False, size=self.bytes // 2, dtype=stored)
                self._mapped = status.st_ino, everything[self._header["offset"] // 2 :].view(self.shape)
            elif self._mapped[0] == status.st_ino and status.st_size < self.bytes:
                raise InputError(self._lost("was truncated"))
        except FileNotFoundError:
            if self._mapped is None:  # a mapped file stays where it is until everybody lets go of it
                raise InputError(self._lost("was removed")) from None
        except BrokenError as broken:
            raise InputError(self._lost(str(broken))) from None
        return self._mapped[1]

    def _lost(self, what: str) -> str:
        return f"the cached track {self.path} {what} while it was in use: start again, and it is decoded again"

    def __getstate__(self) -> dict[str, Any]:
        # A pickled mapping would carry all samples along: the receiver maps the file itself.
        return self.__dict__ | {"_mapped": None}


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


def _file_name(track: Track, folder: Path, sample_rate: int, channels: int, dtype: CacheType) -> str:
    # Where the track lies, seen from the cache: a data set that is moved as a whole takes its cache along.
    identity = json.dumps([os.path.relpath(track.path.resolve(), folder.resolve()), track.sources])
    digest = hashlib.sha256(identity.encode()).hexdigest()[:12]
    name = re.sub(r"[^A-Za-z0-9]+", "-", track.name)[:40]
    return f"{name}-{digest}-{sample_rate}hz-{channels}ch-{dtype}.stems"


def _origin(track: Track, sample_rate: int, channels: int, dtype: CacheType) -> dict[str, Any]:
    """Changes when a file of the track does. Taken before decoding: a change meanwhile is noticed the next time."""
    stats = [(path.name, path.stat()) for path in track.files()]
    return {
        "format": FORMAT,
        "track": track.name,
        "files": [[name, stat.st_size, stat.st_mtime_ns] for name, stat in stats],
        "sources": list(track.sources),
        "sample_rate": sample_rate,
        "channels": channels,
        "dtype": dtype,
    }


def _usable_header(path: Path) -> dict[str, Any] | None:
    """The header of a whole file. A file that is anything else is refused in a line on stderr."""
    try:
        return read_header(path)
    except FileNotFoundError:
        return None
    except BrokenError as broken:
        tqdm.write(f"unetsep: the cached track {path} {broken}: it is decoded again", file=sys.stderr)
        return None
