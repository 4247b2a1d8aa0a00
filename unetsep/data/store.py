"""The file of a cached track: a line of JSON that says what it is, and 16-bit numbers."""

import json
import math
import os
from pathlib import Path
from typing import Any, Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from unetsep.audio.files import InputError, replacing

CacheType: TypeAlias = Literal["int16", "float16"]

FORMAT = 2
"""Raise it when the layout or the decoding changes: older files are then made anew."""

_SILENCE = 1e-6  # mean square of the mixture: -60 dB below full scale
_BLOCK_SECONDS = 0.1
_LONGEST_HEADER = 2**22  # bytes; what has no end of line by then is no header


class NoCacheError(InputError):
    """The folder of the cache cannot be written to: it is of no use to decode further tracks."""


class BrokenError(ValueError):
    """A file is no whole cached track; says why, to follow its name."""


def read_header(path: Path) -> dict[str, Any]:
    """The JSON line of a cached file, and where its samples begin as `offset`.

    Raises:
        FileNotFoundError: if there is none.
        BrokenError: if it is not whole, or another program's.
    """
    try:
        with path.open("rb") as file:
            line = file.readline(_LONGEST_HEADER)
            size = os.fstat(file.fileno()).st_size
        header: dict[str, Any] = json.loads(line)
        header["offset"] = len(line)
        whole = whole_size(header)
    except (FileNotFoundError, NotADirectoryError) as error:
        raise FileNotFoundError(path) from error
    except OSError as error:
        raise BrokenError(f"cannot be read ({error.strerror})") from error
    except (ValueError, KeyError, TypeError) as error:
        raise BrokenError("is truncated or no cached track") from error
    if header.get("format") != FORMAT:
        raise BrokenError("is of another version of unetsep")
    if size != whole:
        raise BrokenError(f"is {'truncated' if size < whole else 'damaged'}: {size} bytes, not {whole}")
    return header


def whole_size(header: dict[str, Any]) -> int:
    """How many bytes the file must have."""
    return int(header["offset"]) + 2 * math.prod(map(int, header["shape"]))


def write_track(path: Path, origin: dict[str, Any], stems: npt.NDArray[np.float32]) -> None:
    """Writes a cached track whole or not at all.

    Args:
        path: of the file; its folder is made if it is missing.
        origin: what the header says besides what is found out here: `track`, `sources`, `sample_rate`, `dtype`, ...
        stems: (source, channel, sample).

    Raises:
        NoCacheError: if the folder cannot be written to, or is full.
    """
    # In numpy, which leaves torch's threads alone: several tracks are written at once.
    steps = [_step(stem) if origin["dtype"] == "int16" else 1.0 for stem in stems]
    mixture = stems.sum(axis=0)
    levels = map(_level_db, [mixture, *stems])
    header = {
        **origin,
        "shape": list(stems.shape),
        "steps": steps,
        "loudness_db": dict(zip(["mixture", *origin["sources"]], levels, strict=True)),
        "silent": _silences(mixture, origin["sample_rate"]),
    }
    line = json.dumps(header).encode()
    line += b" " * (-(len(line) + 1) % 64) + b"\n"
    try:
        with replacing(path) as unfinished, unfinished.open("wb") as file:
            file.write(line)
            for stem, step in zip(stems, steps, strict=True):
                scaled = stem / np.float32(step)
                if origin["dtype"] == "int16":
                    scaled = np.clip(np.rint(scaled, out=scaled), -32768, 32767, out=scaled)
                file.write(np.ascontiguousarray(scaled, origin["dtype"]).data)
    except OSError as error:
        raise NoCacheError(
            f"cannot write the cached track {origin['track']} to {path.parent}: {error.strerror or error}; it needs"
            f" {len(line) + 2 * stems.size} bytes: make room there, or choose another folder for the cache"
        ) from error
    except InputError as error:
        raise NoCacheError(str(error)) from error


def _step(stem: npt.NDArray[np.float32]) -> float:
    fits = float(stem.min()) >= -1.0 and float(stem.max()) <= 32767 / 32768
    return 1 / 32768 if fits else float(np.abs(stem).max()) / 32767


def _level_db(waveform: npt.NDArray[np.float32]) -> float | None:
    power = float(np.square(waveform).mean(dtype=np.float64))
    return round(10 * math.log10(power), 2) if power else None


def _silences(mixture: npt.NDArray[np.float32], rate: int) -> list[list[int]]:
    samples, block = mixture.shape[-1], max(1, round(_BLOCK_SECONDS * rate))
    starts = np.arange(0, samples, block)
    lengths = np.minimum(block, samples - starts)
    powers = np.add.reduceat(np.square(mixture).mean(axis=0, dtype=np.float64), starts) / lengths
    edges = np.flatnonzero(np.diff(powers < _SILENCE, prepend=False, append=False))
    return [[int(start) * block, min(int(end) * block, samples)] for start, end in edges.reshape(-1, 2)]
