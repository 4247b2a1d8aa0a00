"""Damages sound files at random and reads them: `python benchmarks/fuzz.py --seconds 600 --json fuzz.json`.

Whatever the bytes, a reader must end with samples or with an `InputError` of one line. Another process reads, so that a
crash of the library is a finding and not the end; each finding's file is kept.
"""

import argparse
import multiprocessing
import os
import queue
import random
import resource
import shutil
import subprocess
import tempfile
import time
from collections import Counter
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
from report import facts, heading, table, write

PATIENCE = 20.0  # seconds for a file of an eighth of a second, and then it is a hang
LONGEST = 50_000_000  # samples in it, and then it is a bomb
MEMORY = 4 << 30  # bytes of addresses

BY_SOUNDFILE = {
    "wav": ("WAV", "PCM_16"),
    "wav 24": ("WAV", "PCM_24"),
    "wav float": ("WAV", "FLOAT"),
    "wav adpcm": ("WAV", "IMA_ADPCM"),
    "aiff": ("AIFF", "PCM_16"),
    "au": ("AU", "PCM_16"),
    "caf": ("CAF", "PCM_16"),
    "w64": ("W64", "PCM_16"),
    "flac": ("FLAC", "PCM_24"),
    "ogg": ("OGG", "VORBIS"),
    "opus": ("OGG", "OPUS"),
    "mp3": ("MP3", "MPEG_LAYER_III"),
}
BY_FFMPEG = {"m4a": "ipod", "mkv": "matroska", "mpegts": "mpegts", "aac": "adts"}


def good_files(folder: Path) -> dict[str, bytes]:
    """A short file of each format, by its name."""
    sound = np.random.default_rng(0).uniform(-0.5, 0.5, (6000, 2)).astype(np.float32)
    for name, (format, subtype) in BY_SOUNDFILE.items():
        soundfile.write(folder / name, sound, 48_000, format=format, subtype=subtype)
    for name, format in BY_FFMPEG.items():
        source = ["ffmpeg", "-nostdin", "-loglevel", "error", "-y", "-i", str(folder / "wav")]
        subprocess.run([*source, "-c:a", "aac", "-f", format, str(folder / name)], check=True)
    return {name: (folder / name).read_bytes() for name in (*BY_SOUNDFILE, *BY_FFMPEG)}


def damaged(content: bytes, dice: random.Random) -> bytes:
    """The file with one to 32 faults, most of them in its header."""
    data = bytearray(content)
    for _ in range(dice.choice([1, 1, 2, 4, 8, 32])):
        if not data:
            break
        place = dice.randrange(min(len(data), 200) if dice.random() < 0.6 else len(data))
        extreme = dice.choice([bytes(4), b"\xff" * 4, b"\xff\xff\xff\x7f", b"\0\0\0\x80"])
        end, size = len(data), dice.randrange(1, 200)
        faults = {
            "byte": (slice(place, place + 1), bytes([dice.randrange(256)])),
            "bit": (slice(place, place + 1), bytes([data[place] ^ 1 << dice.randrange(8)])),
            "extreme": (slice(place, place + 4), extreme),
            "gap": (slice(place, place + size), b""),
            "intruder": (slice(place, place), dice.randbytes(size)),
            "cut": (slice(place, end), b""),
            "repeat": (slice(place, place + 32), bytes(data[-size:])),
        }
        where, what = faults[dice.choices(list(faults), weights=[7, 3, 3, 2, 2, 1, 1])[0]]
        data[where] = what
    return bytes(data)


def read_files(path: Path, told: Connection, good: dict[str, bytes], seed: int) -> None:
    """Damages and reads files until it is killed; tells how each ended."""
    from unetsep.audio.files import InputError
    from unetsep.audio.recording import open_recording

    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)  # what libmpg123 warns of
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    dice = random.Random(seed)
    while True:
        name = dice.choice(list(good))
        path.write_bytes(damaged(good[name], dice))
        told.send((name, "begun", ""))
        ended, why, samples = "read", "", 0
        try:
            for block in open_recording(path).blocks():
                samples += len(block)
                if samples > LONGEST:
                    ended, why = "bomb", f"more than {LONGEST} samples"
                    break
        except InputError as error:
            ended, why = ("refused", "") if len(str(error).splitlines()) == 1 else ("many lines", str(error))
        except BaseException as error:
            ended, why = "traceback", repr(error)
        told.send((name, ended, why))


def fuzz(seconds: float, seed: int, keep: Path) -> tuple[Counter[tuple[str, str]], list[dict[str, str]]]:
    """How files ended, by format and end, and the findings."""
    ends: Counter[tuple[str, str]] = Counter()
    findings: list[dict[str, str]] = []
    stop = time.monotonic() + seconds
    with tempfile.TemporaryDirectory() as folder:
        good, path = good_files(Path(folder)), Path(folder) / "damaged"
        while time.monotonic() < stop:
            seed += 1
            ours, theirs = multiprocessing.Pipe(duplex=False)
            reader = multiprocessing.Process(target=read_files, args=(path, theirs, good, seed), daemon=True)
            reader.start()
            theirs.close()
            name = ""
            try:
                while time.monotonic() < stop:
                    if not ours.poll(PATIENCE):
                        raise queue.Empty
                    name, ended, why = ours.recv()
                    if ended != "begun":
                        ends[name, ended] += 1
                    if ended not in ("begun", "read", "refused"):
                        findings.append(finding(path, keep, name, ended, why))
            except (EOFError, queue.Empty) as error:
                ended = "hang" if isinstance(error, queue.Empty) else "crash"
                ends[name, ended] += 1
                findings.append(finding(path, keep, name, ended, f"exit code {reader.exitcode}"))
            reader.kill()
            reader.join()
    return ends, findings


def finding(path: Path, keep: Path, name: str, ended: str, why: str) -> dict[str, str]:
    keep.mkdir(parents=True, exist_ok=True)
    kept = keep / f"{ended}-{name}-{time.time_ns()}"
    shutil.copy(path, kept)
    return {"format": name, "ended": ended, "why": why, "file": kept.name}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=600.0, help="how long (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--keep", type=Path, default=Path("fuzz"), help="where files that are findings are kept")
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    ends, findings = fuzz(given.seconds, given.seed, given.keep)
    names, kinds = [*BY_SOUNDFILE, *BY_FFMPEG], sorted({kind for _, kind in ends})
    result: dict[str, Any] = facts(f"Damaged sound files, read for {given.seconds:.0f} s", packages=["soundfile"])
    result |= {"files": sum(ends.values()), "findings": findings}
    result["ends"] = {name: {kind: ends[name, kind] for kind in kinds} for name in names}
    print(heading(result))
    print(table(["format", *kinds], [[name, *(ends[name, kind] for kind in kinds)] for name in names]))
    print(f"{result['files']} files, {len(findings)} findings" + "".join(f"\n- {each}" for each in findings))
    write(given.json, result)


if __name__ == "__main__":
    main()
