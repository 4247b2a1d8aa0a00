"""A recording read in blocks, whatever its format and however long: by soundfile, or by the `ffmpeg` program."""

import contextlib
import os
import select
import shutil
import struct
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import numpy as np
import soundfile
from jaxtyping import Float32

from unetsep.audio.files import MP3_SLACK, InputError, legible, opened_sound

RATES = (4_000, 384_000)
"""The lowest and the highest sample rate that is read, in hertz."""

MOST_CHANNELS = 64
"""As many channels are read as the richest formats for cinemas have."""

# What holds sound itself; a playlist (hls, dash, concat) would have ffmpeg open other files, which nobody gave us.
_CONTAINERS = (
    "aac,ac3,aiff,amr,ape,asf,au,avi,caf,dsf,dts,dtshd,eac3,flac,flv,loas,matroska,mov,mp3,mpc,mpc8,mpeg,mpegts,mxf,"
    "ogg,oma,rm,spdif,tak,truehd,tta,voc,w64,wav,wtv,wv,xwma"
)
_UNKNOWN_LENGTH = 2**48  # libsndfile gives more than any recording has where a flac does not say how long it is

_PATIENCE = 60.0  # seconds in which ffmpeg gives something, or hangs

_MALFORMED = 3  # libsndfile's code for a format that it knows in a file that breaks its rules


class Recording:
    """A sound file that can be read from its start as often as wanted, a block at a time.

    Attributes:
        path: The file.
        rate: Sample rate in hertz, 4000 to 384000.
        channels: Number of channels, 1 to 64.
        samples: Length in samples per channel; None where that is known only after the first reading to the end, as
            with what ffmpeg decodes.

    Raises:
        InputError: As `open_recording`, by which it is made.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.samples: int | None = None
        self._by_ffmpeg = False
        try:
            with opened_sound(path) as sound:
                self.rate, self.channels = sound.samplerate, sound.channels
                known = sound.frames < _UNKNOWN_LENGTH
                self.samples = sound.frames if known else None
        except InputError as error:
            cause = error.__cause__
            if not isinstance(cause, soundfile.LibsndfileError) or cause.code == _MALFORMED:
                raise
            self._by_ffmpeg = True
            with _decoded(path) as (_, self.rate, self.channels):
                pass
        if self.samples == 0:
            raise InputError(f"{legible(path)} holds no samples")
        low, high = RATES
        if not low <= self.rate <= high:
            raise InputError(f"{legible(path)} has {self.rate} samples a second; {low} to {high} are read: resample it")
        if not 1 <= self.channels <= MOST_CHANNELS:
            raise InputError(f"{legible(path)} has {self.channels} channels; 1 to {MOST_CHANNELS} are read: split it")

    def blocks(self, samples_per_block: int = 65_536) -> Iterator[Float32[np.ndarray, "sample channel"]]:
        """Reads the file from its start, at a memory that does not depend on its length.

        The same samples come each time. An mp3 whose length is only an estimate may end up to 2304 samples before it;
        zeros fill these.

        Args:
            samples_per_block: How many samples of each channel come at once, from 1 on; fewer come at the end.

        Yields:
            `(sample, channel)` in float32, full scale at 1.0.

        Raises:
            InputError: If the file is truncated, broken, changed or gone, holds NaN or infinite samples or none at all,
                or ffmpeg gives nothing for a minute. What came before the fault has been yielded by then.
        """
        position = 0
        read = self._by_ffmpeg_blocks if self._by_ffmpeg else self._soundfile_blocks
        for block in read(samples_per_block):
            if not np.isfinite(block).all():
                sample, channel = np.argwhere(~np.isfinite(block))[0]
                raise InputError(
                    f"{legible(self.path)} holds {block[sample, channel]} at sample {position + sample} of channel "
                    f"{channel}; export it again"
                )
            position += len(block)
            yield block
        if not position:
            raise InputError(f"{legible(self.path)} holds no samples")
        self.samples = position

    def _soundfile_blocks(self, samples: int) -> Iterator[Float32[np.ndarray, "sample channel"]]:
        with opened_sound(self.path) as sound:
            promised = sound.frames if sound.frames < _UNKNOWN_LENGTH else None
            found = 0
            while len(block := sound.read(samples, dtype="float32", always_2d=True)):
                found += len(block)
                yield block
            missing = 0 if promised is None else promised - found
            if missing > (MP3_SLACK if sound.format == "MP3" else 0):
                raise InputError(
                    f"{legible(self.path)} is truncated: {promised} samples promised, {found} found; copy it again"
                )
            if missing > 0:
                yield np.zeros((missing, sound.channels), dtype=np.float32)

    def _by_ffmpeg_blocks(self, samples: int) -> Iterator[Float32[np.ndarray, "sample channel"]]:
        with _decoded(self.path) as (program, rate, channels):
            if (rate, channels) != (self.rate, self.channels):
                raise InputError(f"{legible(self.path)} was changed while it was read")
            while data := program.read(samples * channels * 4):
                whole = len(data) // (channels * 4) * channels
                yield np.frombuffer(data, ">f4", whole).reshape(-1, channels).astype(np.float32)
            program.finish()


class _Program:
    """ffmpeg at work, and what it says."""

    def __init__(self, path: Path, said: IO[bytes]) -> None:
        if not (program := shutil.which("ffmpeg")):
            raise InputError(
                f"{legible(path)} is no wav, flac, ogg or mp3 file; to read anything else, install the program ffmpeg"
            )
        self.path, self.said = path, said
        command = [program, "-nostdin", "-hide_banner", "-loglevel", "error", "-xerror"]
        command += ["-protocol_whitelist", "file", "-format_whitelist", _CONTAINERS, "-i", f"file:{path}"]
        # Sun's format: its header is short and needs no length, and tells the rate and the channels.
        command += ["-map", "0:a:0", "-c:a", "pcm_f32be", "-f", "au", "pipe:1"]
        self.process = subprocess.Popen(
            command,
            bufsize=0,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=self.said,
            start_new_session=True,
        )

    def read(self, size: int) -> bytes:
        """As many bytes, fewer at the end.

        Raises:
            InputError: If the program gives nothing for a minute.
        """
        assert self.process.stdout
        data = bytearray()
        while len(data) < size:
            if not select.select([self.process.stdout], [], [], _PATIENCE)[0]:
                raise self._hangs()
            if not (part := self.process.stdout.read(size - len(data))):
                break
            data += part
        return bytes(data)

    def finish(self) -> None:
        """Waits for the program's end.

        Raises:
            InputError: If it found something wrong, or does not end.
        """
        try:
            code = self.process.wait(_PATIENCE)
        except subprocess.TimeoutExpired:
            raise self._hangs() from None
        if code:
            self.said.seek(0)
            lines = self.said.read(4096).decode(errors="replace").replace(f"file:{self.path}: ", "").splitlines()
            reason = legible(lines[-1].rstrip(".") if lines else "no sound in it")[:200]
            if "matches no streams" in " ".join(lines):
                reason = "there is no sound in it"
            raise InputError(f"cannot read {legible(self.path)}: {reason}; it may be truncated or hold no sound")

    def _hangs(self) -> InputError:
        return InputError(f"cannot read {legible(self.path)}: ffmpeg gives nothing; convert it to wav")

    def close(self) -> None:
        """Stops the program, wherever it is."""
        self.process.kill()
        if self.process.stdout:
            self.process.stdout.close()
        self.process.wait()


@contextlib.contextmanager
def _decoded(path: Path) -> Iterator[tuple[_Program, int, int]]:
    """The program that decodes a file, at the first of its samples, and the rate and channels it tells."""
    with tempfile.TemporaryFile() as said, contextlib.closing(_Program(path, said)) as program:
        header = program.read(24)
        if len(header) < 24 or header[:4] != b".snd":
            program.finish()
            raise InputError(f"cannot read {legible(path)}: there is no sound in it")
        _, offset, _, _, rate, channels = struct.unpack(">4sIIIII", header)
        program.read(offset - 24)
        yield program, rate, channels


def open_recording(path: Path | str) -> Recording:
    """A sound file of any format, to be read in blocks.

    wav, aiff, flac, ogg and mp3 files are read by libsndfile; what it does not know (m4a, the sound of a video) goes
    through the `ffmpeg` program, which is told to open nothing but this file. The suffix does not matter.

    Args:
        path: A regular file: no folder, pipe or device.

    Raises:
        InputError: If the file is missing, not regular or not to be opened; truncated, empty or without sound; if it
            needs ffmpeg, and that is missing or gives nothing for a minute; or if its rate is not 4000 to 384000 Hz or
            its channels are not 1 to 64. One line.
    """
    return Recording(Path(os.fspath(path)))
