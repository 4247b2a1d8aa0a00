"""Files that cannot be separated, and what is wrong with each: made anew by every test that wants one."""

import os
import struct
import subprocess
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import soundfile

BAD: dict[str, Callable[[Path], None]] = {}


def bad(name: str) -> Callable[[Callable[[Path], None]], Callable[[Path], None]]:
    """Adds a maker of a bad file of this name to the corpus."""

    def add(make: Callable[[Path], None]) -> Callable[[Path], None]:
        BAD[name] = make
        return make

    return add


def music(samples: int = 8000, channels: int = 2) -> np.ndarray:
    return np.random.default_rng(0).uniform(-0.5, 0.5, (samples, channels)).astype(np.float32)


def sound(path: Path, data: np.ndarray | None = None, rate: int = 8000, format: str = "WAV", subtype: str = "PCM_16"):
    soundfile.write(path, music() if data is None else data, rate, format=format, subtype=subtype)


def wav(
    path: Path, *, channels: int = 1, rate: int = 8000, bits: int = 16, tag: int = 1, data: bytes = bytes(2000), **lies
):
    """A wav file byte by byte, with whatever lies in its header."""
    align = lies.get("align", channels * bits // 8)
    fmt = struct.pack("<HHIIHH", tag, channels, rate, (rate * align) & 0xFFFFFFFF, align & 0xFFFF, bits)
    body = b"WAVEfmt " + struct.pack("<I", 16) + fmt + b"data" + struct.pack("<I", lies.get("length", len(data))) + data
    path.write_bytes(b"RIFF" + struct.pack("<I", lies.get("riff", len(body))) + body)


def cut(path: Path, keep: float, **made: str) -> None:
    sound(path, **made)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(len(whole) * keep)])


def ffmpeg(path: Path, *args: str) -> None:
    subprocess.run(["ffmpeg", "-nostdin", "-loglevel", "error", "-y", *args, str(path)], check=True)


def tone(seconds: int = 1) -> list[str]:
    return ["-f", "lavfi", "-i", f"sine=d={seconds}:r=8000"]


bad("empty.wav")(lambda path: path.write_bytes(b""))
bad("text.wav")(lambda path: path.write_text("no sound at all\n" * 100))
bad("text.mp3")(lambda path: path.write_text("no sound at all\n" * 100))
bad("page.m4a")(lambda path: path.write_text("<html><body>404 not found</body></html>"))
bad("noise.mp3")(lambda path: path.write_bytes(np.random.default_rng(1).bytes(5000)))
bad("zeros.flac")(lambda path: path.write_bytes(bytes(5000)))
bad("header only.wav")(lambda path: wav(path, data=b""))
bad("truncated header.wav")(lambda path: path.write_bytes(b"RIFF\x24\0\0\0WAVEfmt \x10\0"))
bad("one byte.wav")(lambda path: path.write_bytes(b"R"))
bad("truncated.wav")(lambda path: cut(path, 0.5))
bad("truncated.flac")(lambda path: cut(path, 0.5, format="FLAC"))
bad("truncated.ogg")(lambda path: cut(path, 0.5, format="OGG", subtype="VORBIS"))
bad("truncated.aiff")(lambda path: cut(path, 0.5, format="AIFF"))
bad("cut in its last page.ogg")(lambda path: cut(path, 0.97, format="OGG", subtype="VORBIS"))
bad("cut rf64.wav")(lambda path: cut(path, 0.5, format="RF64"))
bad("cut.w64")(lambda path: cut(path, 0.5, format="W64"))
bad("cut.voc")(lambda path: cut(path, 0.5, format="VOC"))
bad("cut 3 GB.wav")(lambda path: wav(path, length=3 * 2**30))
bad("lying length.wav")(lambda path: wav(path, length=10**9))
bad("no channels.wav")(lambda path: wav(path, channels=0, align=2))
bad("65535 channels.wav")(lambda path: wav(path, channels=65535, data=bytes(400_000)))
bad("100 channels.wav")(lambda path: wav(path, channels=100, data=bytes(20_000)))
bad("rate 0.wav")(lambda path: wav(path, rate=0))
bad("rate 2^31.wav")(lambda path: wav(path, rate=2**31))
bad("rate 100.wav")(lambda path: wav(path, rate=100))
bad("rate 2 MHz.wav")(lambda path: wav(path, rate=2_000_000))
bad("0 bits.wav")(lambda path: wav(path, bits=0))
bad("unknown codec.wav")(lambda path: wav(path, tag=0x1234))
bad("nan.wav")(lambda path: sound(path, np.array([0.1, np.nan, 0.2]), subtype="FLOAT"))
bad("infinite.wav")(lambda path: sound(path, np.array([0.1, np.inf, 0.2]), subtype="FLOAT"))
bad("id3 only.mp3")(lambda path: path.write_bytes(b"ID3\x03\0\0\0\0\x07\x76" + bytes(1014)))
bad("playlist.m3u8")(lambda path: _playlist(path))
bad("playlist.wav")(lambda path: _playlist(path))
bad("list.ffconcat")(lambda path: _concat(path))
bad("no moov.m4a")(lambda path: _without_moov(path))
bad("silent video.mp4")(lambda path: ffmpeg(path, "-f", "lavfi", "-i", "color=s=16x16:d=0.2", "-an"))
bad("picture.png")(lambda path: ffmpeg(path, "-f", "lavfi", "-i", "color=s=16x16", "-frames:v", "1"))
bad("folder.wav")(lambda path: path.mkdir())
bad("broken link.wav")(lambda path: path.symlink_to("nothing"))
bad("circle.wav")(lambda path: path.symlink_to(path.name))
bad("pipe.wav")(lambda path: os.mkfifo(path))
bad("device.wav")(lambda path: path.symlink_to("/dev/zero"))
bad("missing.wav")(lambda path: None)
bad("missing\nwith a line end.wav")(lambda path: None)
bad("text\n\x1b[31m\U0001f3b5 'quoted\".wav")(lambda path: path.write_text("no sound"))
bad("..wav")(lambda path: path.write_text("no sound"))
bad("...wav")(lambda path: path.write_text("no sound"))
bad("x" * 300 + ".wav")(lambda path: None)


@bad("archive.wav")
def _archive(path: Path) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("sound.wav", bytes(2000))


@bad("sparse.wav")
def _sparse(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(8 * 2**30)


@bad("broken frame.flac")
def _broken_frame(path: Path) -> None:
    sound(path, music(60_000), format="FLAC")
    content = bytearray(path.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 20_000] = bytes(20_000)
    path.write_bytes(content)


@bad("truncated.m4a")
def _truncated_m4a(path: Path) -> None:
    ffmpeg(path, *tone(5), "-movflags", "faststart")
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 2 // 3])


def _without_moov(path: Path) -> None:
    ffmpeg(path, *tone())
    path.write_bytes(path.read_bytes().split(b"moov")[0][:-4])


def _playlist(path: Path) -> None:
    """It names a file that could be separated; following it would read what nobody gave."""
    other = path.with_name("named.ts")
    ffmpeg(other, *tone(), "-c:a", "aac", "-f", "mpegts")
    path.write_text(f"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\n{other}\n#EXT-X-ENDLIST\n")


def _concat(path: Path) -> None:
    sound(path.with_name("named.wav"))
    path.write_text("ffconcat version 1.0\nfile named.wav\n")
