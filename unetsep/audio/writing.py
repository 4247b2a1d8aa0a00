"""Stems written in blocks, all of a song's or none: no half-written file is ever seen under its own name."""

import contextlib
import fcntl
import io
import os
import secrets
import shutil
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import soundfile
from jaxtyping import Float32

from unetsep.audio.files import InputError, legible

_PREFIX = ".unetsep-"  # of the hidden folders in which stems are written
_LARGEST_WAV = 2**32 - 2**16  # in bytes: the sizes in its header have 32 bits


class _Format(NamedTuple):
    subtype: str
    bytes_per_sample: float  # about as much as noise takes


_FORMATS = {
    "wav": _Format("FLOAT", 4),
    "flac": _Format("PCM_24", 3),
    "ogg": _Format("VORBIS", 0.3),
    "mp3": _Format("MPEG_LAYER_III", 0.2),
}
FORMATS = tuple(_FORMATS)
"""What stems are written as: wav in 32-bit float, flac in 24 bits, ogg (Vorbis), mp3. All keep the length exactly."""


def check_format(format: str, rate: int, channels: int) -> None:
    """Asks the encoder itself whether it can write a sound of this rate and these channels.

    Args:
        format: One of `FORMATS`.
        rate: Sample rate in hertz.
        channels: Number of channels.

    Raises:
        InputError: If it cannot, such as mp3 with more than two channels or at 96 kHz.
    """
    try:
        with _encoder(io.BytesIO(), format, rate, channels) as sound:
            sound.write(np.zeros((1, channels), dtype=np.float32))
    except soundfile.LibsndfileError:
        raise InputError(f"{format} cannot hold {channels} channels at {rate} Hz; write wav") from None


def _encoder(file: Path | io.BytesIO, format: str, rate: int, channels: int, samples: int = 0) -> soundfile.SoundFile:
    large = format == "wav" and samples * channels * 4 > _LARGEST_WAV
    kind = "RF64" if large else format.upper()
    return soundfile.SoundFile(file, "w", rate, channels, _FORMATS[format].subtype, format=kind)


class StemFiles:
    """The files of a song's stems while they are written; `writing_stems` makes it.

    Attributes:
        clipped: Samples beyond full scale so far, which formats other than wav cannot hold.
    """

    def __init__(self, folder: Path, shown: str, format: str, rate: int, channels: int, samples: int) -> None:
        self._folder, self._shown, self._format = folder, shown, format
        self._rate, self._channels, self._samples = rate, channels, samples
        self._open: dict[str, soundfile.SoundFile] = {}
        self._written: dict[str, int] = {}
        self.clipped = 0

    def write(self, stems: Mapping[str, Float32[np.ndarray, "sample channel"]]) -> None:
        """Appends a block to each stem.

        Args:
            stems: Blocks `(sample, channel)` by the stems' names, which are the same each time.

        Raises:
            InputError: If the disk is full, or a block holds NaN or infinite samples.
        """
        for name, block in stems.items():
            if not np.isfinite(block).all():
                raise InputError(f"the model's {legible(name)} holds NaN or infinite samples; nothing is written")
            if self._format != "wav":
                self.clipped += int((np.abs(block) > 1).sum())
                block = np.clip(block, -1, 1)
            with self._full():
                if name not in self._open:
                    path = self._folder / f"{name}.{self._format}"
                    self._open[name] = _encoder(path, self._format, self._rate, self._channels, self._samples)
                self._open[name].write(block)
            self._written[name] = self._written.get(name, 0) + len(block)

    def finish(self) -> None:
        """Closes the files and asks each how long it is: what did not fit on the disk shows here at the latest.

        Raises:
            InputError: If the disk is full.
        """
        with self._full():
            self.close()
            for name, samples in self._written.items():
                with (self._folder / f"{name}.{self._format}").open("rb") as file:
                    os.fsync(file.fileno())  # soundfile does so too, but before the header gets the length
                    if soundfile.info(file.name).frames != samples:
                        raise OSError("shorter than what was written")

    def close(self) -> None:
        """Closes the files as they are."""
        for sound in self._open.values():
            sound.close()

    @contextlib.contextmanager
    def _full(self) -> Iterator[None]:
        try:
            yield
        except (OSError, AssertionError, soundfile.LibsndfileError) as error:  # of a short write, it asserts
            reason = getattr(error, "strerror", None) or "the disk took no more"
            with contextlib.suppress(OSError):
                reason += f", {shutil.disk_usage(self._folder.parent).free / 1e6:.0f} MB free"
            raise InputError(f"cannot write the stems of {self._shown}: {reason}; nothing of it is kept") from None


@contextlib.contextmanager
def writing_stems(
    folder: Path, names: Sequence[str], *, format: str, rate: int, channels: int, samples: int, force: bool = False
) -> Iterator[StemFiles]:
    """Writes the stems of a song block by block into `folder/<stem>.<format>`: all of them, or none.

    They are written into a hidden folder beside `folder` and renamed at the end. Whatever raises meanwhile, Ctrl-C too,
    removes them; what a killed process left is removed by the next one that writes there. A folder that exists gets
    them file by file, each whole: there alone a kill, or with `force` a failure, between two may leave some.

    Args:
        folder: The song's folder, made if it is missing.
        names: The stems' names.
        format: One of `FORMATS`.
        rate: Sample rate in hertz.
        channels: Number of channels.
        samples: Length of the song in samples per channel: from 4 GB on, a wav file has another header (RF64).
        force: Replace stems that exist.

    Yields:
        Where the blocks go.

    Raises:
        InputError: If a stem exists and `force` is not given, a name is none of a file, the format cannot hold the
            sound, there is no room for it, or the place cannot be written to.
    """
    shown = legible(folder.name)
    check_targets(folder, names, format, force=force)
    check_format(format, rate, channels)
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        free = shutil.disk_usage(folder.parent).free
        needed = len(names) * samples * channels * _FORMATS[format].bytes_per_sample
        if needed > free:
            raise InputError(
                f"the stems of {shown} take about {needed / 1e6:.0f} MB, but {legible(folder.parent)} has "
                f"{free / 1e6:.0f} MB left; make room, choose another place or --format ogg"
            )
        _remove_leftovers(folder.parent)
        temporary, lock = _locked_folder(folder.parent)
    except OSError as error:
        raise InputError(f"cannot write to {legible(folder.parent)}: {error.strerror}; choose another place") from None
    try:
        stems = StemFiles(temporary, shown, format, rate, channels, samples)
        with contextlib.closing(stems):
            yield stems
            stems.finish()
        check_targets(folder, names, format, force=force)  # somebody else may have been faster
        _publish(temporary, folder)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
        os.close(lock)


def check_targets(folder: Path, names: Sequence[str], format: str, *, force: bool = False) -> None:
    """Refuses to write where something is.

    Args:
        folder: The song's folder, which need not be there.
        names: The stems' names.
        format: One of `FORMATS`.
        force: Let stems that exist be replaced.

    Raises:
        InputError: If a stem exists and `force` is not given, something else is in the way, or a name is none of a
            file.
    """
    for name in names:
        target = folder / f"{name}.{format}"
        if target.parent != folder or target.name.startswith(".") or not name.isprintable():
            raise InputError(f"the model names a stem {legible(target.name)!r}, which is no file name")
        if target.is_dir() or (os.path.lexists(target) and not force):
            raise InputError(f"{legible(target)} exists already; use --force to replace it, or choose another place")
    if os.path.lexists(folder) and not folder.is_dir():
        raise InputError(f"cannot write into {legible(folder)}: a file has that name; choose another place")


def _publish(temporary: Path, folder: Path) -> None:
    """Moves the stems to their names: all at once, or file by file into a folder that exists; a failure undoes that."""
    try:
        if not folder.exists():
            temporary.rename(folder)
            return
        with contextlib.ExitStack() as undo:
            for file in sorted(temporary.iterdir()):
                target = folder / file.name
                if not os.path.lexists(target):
                    undo.callback(target.unlink, missing_ok=True)
                file.replace(target)
            undo.pop_all()
    except OSError as error:
        raise InputError(f"cannot write into {legible(folder)}: {error.strerror}; choose another place") from None


def _locked_folder(parent: Path) -> tuple[Path, int]:
    """A new hidden folder, held by a lock that a killed process lets go of.

    Until it is locked, another process that writes there may take it for a leftover: then another is made.
    """
    while True:
        temporary = parent / f"{_PREFIX}{secrets.token_hex(8)}"
        temporary.mkdir()
        with contextlib.suppress(FileNotFoundError):
            descriptor = os.open(temporary, os.O_RDONLY)
            if _locked(descriptor) and temporary.exists():
                return temporary, descriptor
            os.close(descriptor)


def _locked(descriptor: int) -> bool:
    """Whether nobody else holds the lock, as always on a file system without locks: nobody will clean up there."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return True
    return True


def _remove_leftovers(parent: Path) -> None:
    for folder in parent.glob(f"{_PREFIX}*"):
        with contextlib.suppress(OSError):
            descriptor = os.open(folder, os.O_RDONLY | os.O_NOFOLLOW | os.O_DIRECTORY)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(folder, ignore_errors=True)
            finally:
                os.close(descriptor)
