"""Sound files in and out: one clear line for whatever is wrong with them, and never half a file left behind."""

import contextlib
import errno
import os
import re
import secrets
import stat
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import soundfile
from jaxtyping import Float, Float32

READABLE = "wav, flac, ogg and mp3 files are read"

# A writer into a pipe cannot know the length and promises as much as 31 or 32 bits hold, less a header and what is no
# whole sample: ffmpeg 2^32 - 1 bytes, sox 2^31 - 4096 and in an aiff 0x7F000000 and 8. That is no sign of a cut.
_NO_LENGTH = tuple(range(limit - 8192, limit + 1) for limit in (0x7F000008, 2**31, 2**32))

# An mp3 without an index says how long it is only by its size in bytes, tags included: off by up to two of its frames.
MP3_SLACK = 2 * 1152


class InputError(ValueError):
    """Something the user gave is wrong: a file, a setting, an array. The message is one line and says what to do."""


class AudioInfo(NamedTuple):
    """What a sound file says of itself.

    Attributes:
        samples: Length in samples per channel.
        rate: Sample rate in hertz.
        channels: Number of channels.
    """

    samples: int
    rate: int
    channels: int


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Writes a file whole or not at all: yields a temporary path beside it and renames that to `path` at the end.

    The folder is made if it is missing. If the body raises, `path` is as it was before and the temporary file is gone.

    Args:
        path: The file to write or replace.

    Yields:
        A path with the same suffix in the same folder (a hidden name), for the body to write to.

    Raises:
        InputError: If `path` is a folder, or its folder cannot be made or written to.
    """
    if path.is_dir():
        raise InputError(f"cannot write the file {path}: there is a folder of that name; choose another name")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"cannot make the folder {path.parent}: {error.strerror}; choose another place") from error
    if not os.access(path.parent, os.W_OK):
        raise InputError(f"cannot write to the folder {path.parent}: permission denied; choose another place")
    temporary = path.with_name(f".{secrets.token_hex(8)}{path.suffix}")  # short: songs have long names
    try:
        yield temporary
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def legible(name: object) -> str:
    """A name from elsewhere as one reads it, in one line: line ends and control characters as �."""
    text = os.fsencode(name).decode(errors="replace") if isinstance(name, Path) else str(name)
    return "".join(letter if letter.isprintable() else "\ufffd" for letter in text)


@contextlib.contextmanager
def opened_sound(path: Path) -> Iterator[soundfile.SoundFile]:
    """The open sound file, with every reason not to trust it as an `InputError`.

    Args:
        path: A regular file; what is in it decides, not the suffix.

    Raises:
        InputError: If the file is missing, no regular file, not to be opened, empty, truncated or of an unknown format.
            Where libsndfile raised, its own error is the cause.
    """
    shown = legible(path)
    try:
        kind = path.stat().st_mode
    except OSError as error:
        if error.errno == errno.ENOENT and not path.is_symlink():
            raise InputError(f"no such sound file: {shown}") from None
        raise InputError(f"cannot open {shown}: {error.strerror}; give a sound file") from None
    except ValueError as error:
        raise InputError(f"cannot open {shown}: {error}; give a sound file") from None
    if not stat.S_ISREG(kind):
        what = "a folder" if stat.S_ISDIR(kind) else "a pipe or a device"
        raise InputError(f"no such sound file: {shown} is {what}")
    if not path.stat().st_size:
        raise InputError(f"cannot read {shown}: the file is empty; copy it again")
    try:
        # By its number: of a name, libsndfile would believe the suffix.
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_BINARY", 0))
    except OSError as error:
        raise InputError(f"cannot open {shown}: {error.strerror}; give a file that you may read") from None
    try:
        with soundfile.SoundFile(descriptor, closefd=False) as sound:
            if _is_cut(sound, path):
                raise InputError(f"{shown} is truncated: its header promises more than the file holds; copy it again")
            yield sound
    except soundfile.LibsndfileError as error:
        reason = error.error_string.rstrip(".")
        raise InputError(f"cannot read {shown}: {reason}; it may be truncated ({READABLE})") from error
    finally:
        os.close(descriptor)


def _is_cut(sound: soundfile.SoundFile, path: Path) -> bool:
    """Whether a file ends before what its header promises: libsndfile reads many such files without a complaint.

    Its log tells. A paf, pvf or ircam file promises nothing, and of what a nist file promises the log says nothing.
    """
    log = sound.extra_info
    if re.search(r"lacks an end-of-stream bit|[Ss]eems to be (?:a )?truncated", log):
        return True
    if "Junk after the last page" in log:  # of an ogg file: a tag, or the half of a page
        return _ends_within_a_page(path)
    sizes = re.search(r"^ *(?:data|SSND|BODY|Data Size|Data length)\s*:? (\d+) \(?should be (\d+)", log, re.MULTILINE)
    if sizes and int(sizes[2]) < int(sizes[1]):
        return not any(int(sizes[1]) in unknown for unknown in _NO_LENGTH)
    # What it does not compare.
    told = defaultdict(int, {label: int(number) for label, number in re.findall(r"(\w+(?: \w+)?) *: (\d+)\n", log)})
    align = told["Block Align"] or 1
    promised = {"AVR": told["Frames"], "MPC2K": told["Frames"], "MAT5": told["Cols"]}
    promised["RF64"] = told["Data size"] // align
    promised["W64"] = (told["data"] - 31) // align  # its own header counts, and sometimes what fills it up to 8 bytes
    return promised.get(sound.format, 0) > sound.frames


def _ends_within_a_page(path: Path) -> bool:
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - 65_536))  # a page is shorter
        page = file.read()
    page = page[page.rfind(b"OggS") :]
    return len(page) < 27 or len(page) < 27 + page[26] + sum(page[27 : 27 + page[26]])


def audio_info(path: Path) -> AudioInfo:
    """The length, sample rate and channels of a sound file, without decoding it.

    Raises:
        InputError: If the file is missing, unreadable, empty or truncated (of flac and mp3 files, reading tells that).
    """
    with opened_sound(path) as sound:
        if sound.frames == 0:
            raise InputError(f"{path} holds no samples")
        return AudioInfo(sound.frames, sound.samplerate, sound.channels)


def read_audio(path: Path, start: int = 0, frames: int = -1) -> tuple[Float32[np.ndarray, "channel sample"], int]:
    """Reads a sound file, or a part of it.

    An mp3 whose length is only an estimate may end up to 2304 samples before it; zeros fill these, so that what is read
    is always as long as `audio_info` says.

    Args:
        path: A wav, flac, ogg or mp3 file.
        start: First sample to read, from 0.
        frames: How many samples to read; fewer come back where the file ends earlier. -1 reads to the end.

    Returns:
        The waveform in float32, full scale at 1.0, and the sample rate in hertz.

    Raises:
        InputError: If the file is missing, unreadable, empty, truncated or holds NaN or infinite samples, or if `start`
            lies outside it.
    """
    with opened_sound(path) as sound:
        length = sound.frames
        if length == 0:
            raise InputError(f"{path} holds no samples")
        if not 0 <= start < length:
            raise InputError(f"cannot read {path} from sample {start}: it has samples 0 to {length - 1}")
        if start:
            sound.seek(start)
        waveform = sound.read(frames, dtype="float32", always_2d=True).T
        rate = sound.samplerate
        slack = MP3_SLACK if sound.format == "MP3" else 0
    expected = length - start if frames < 0 else min(frames, length - start)
    missing = expected - waveform.shape[1]
    if missing > slack:
        raise InputError(f"{path} is truncated: {expected} samples promised, {waveform.shape[1]} found; copy it again")
    if missing:
        waveform = np.pad(waveform, ((0, 0), (0, missing)))
    if not np.isfinite(waveform).all():
        channel, sample = np.argwhere(~np.isfinite(waveform))[0]
        value = waveform[channel, sample]
        raise InputError(f"{path} holds {value} at sample {start + sample} of channel {channel}; export it again")
    return np.ascontiguousarray(waveform), rate


def write_audio(
    path: Path,
    waveform: Float[Any, "channel sample"],
    rate: int,
    *,
    floating: bool = False,
) -> None:
    """Writes a sound file whole or not at all; the suffix of `path` decides the format.

    Sixteen-bit samples are `round(32768 x)`, clipped to the 16-bit range: reading such a file and writing it again
    changes nothing, and the error is at most half a step (-96 dB of full scale) inside the range.

    Args:
        path: The file to write, `.wav` or `.flac`.
        waveform: A tensor or an array, full scale at 1.0.
        rate: Sample rate in hertz.
        floating: Write a 32-bit float wav instead of 16-bit samples: nothing is rounded and nothing clipped.

    Raises:
        InputError: If the suffix is another one, the waveform holds no samples or NaN or infinite ones, the format
            cannot hold this rate or number of channels, or the place cannot be written to.
    """
    suffix = path.suffix.lower()
    if suffix not in (".wav", ".flac"):
        raise InputError(f"cannot write {path}: its suffix is {suffix or 'missing'}; .wav and .flac are written")
    if floating and suffix != ".wav":
        raise InputError(f"cannot write {path} in floating point: only .wav holds it; drop the option or write .wav")
    # Told by what it can do: a command that only reads its arguments must not wait for torch.
    samples = waveform.detach().cpu().numpy() if hasattr(waveform, "detach") else waveform
    if samples.size == 0:
        raise InputError(
            f"cannot write {path}: the waveform has {samples.shape[0]} channels, {samples.shape[1]} samples"
        )
    if not np.isfinite(samples).all():
        raise InputError(f"cannot write {path}: the waveform holds NaN or infinite samples")
    if floating:
        data = samples.T.astype(np.float32)
    else:
        # Scaled here and not by libsndfile, which writes with 32767 and reads with 32768: each copy would be quieter.
        data = np.clip(np.rint(samples.T.astype(np.float64) * 32768), -32768, 32767).astype(np.int16)
    with replacing(path) as temporary:
        try:
            soundfile.write(temporary, data, rate, format=suffix[1:].upper(), subtype="FLOAT" if floating else "PCM_16")
        except soundfile.LibsndfileError as error:
            what = f"{samples.shape[0]} channels at {rate} Hz"
            raise InputError(f"cannot write {path} with {what}: {error.error_string.rstrip('.')}") from error
