"""The most memory that `unetsep separate` holds for recordings of a minute, ten minutes, an hour and ten hours.

From disk to disk, each length in a process of its own, one stem written as ogg so that little disk is needed (the wav
of ten hours itself takes 7 GB for as long as it is separated). A program ffmpeg that decodes beside us is not counted.

python benchmarks/memory.py --json memory.json
"""

import argparse
import subprocess
import tempfile
from pathlib import Path

import process
import report
from separation import checkpoint, described, song

MODEL = "depth 2, width 8, 8 subbands"
KINDS = {  # of recordings, stereo: the suffix, and how ffmpeg makes them
    "wav": (".wav", ["-rf64", "auto"]),
    "wav at 48 kHz, resampled": (".wav", ["-ar", "48000", "-rf64", "auto"]),
    "mp3": (".mp3", []),
    "m4a, through ffmpeg": (".m4a", []),
}
COLUMNS = ["recording", "minutes", "peak, MB", "seconds", "real-time factor"]
ALLOWED = 1.1  # times the peak of ten minutes, for ten hours


def ffmpeg(*arguments: str) -> None:
    subprocess.run(["ffmpeg", "-nostdin", "-loglevel", "error", "-y", *arguments], check=True)


def recording(minute: Path, path: Path, minutes: float) -> None:
    """Repeats an encoded minute without encoding it anew."""
    large = ["-rf64", "auto"] if path.suffix == ".wav" else []
    ffmpeg("-stream_loop", "-1", "-i", str(minute), "-t", str(60 * minutes), "-c", "copy", *large, str(path))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path, help="also write the result here")
    parser.add_argument("--minutes", type=float, nargs="+", default=[1, 10, 60, 600], help="default: %(default)s")
    parser.add_argument("--kinds", nargs="+", default=list(KINDS), choices=list(KINDS), metavar="KIND")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--device", help="as the other benchmarks have it; everything here is on the CPU")
    options = parser.parse_args()

    result = report.facts(__doc__.partition("\n")[0], packages=("torch", "soundfile", "soxr"))
    rows, found = [], {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        checkpoint(folder / "model.ckpt", described()[MODEL])
        song(folder / "minute.wav", 60.0)
        for kind in options.kinds:
            suffix, encoding = KINDS[kind]
            minute, whole = folder / f"encoded{suffix}", folder / f"whole{suffix}"
            ffmpeg("-i", str(folder / "minute.wav"), *encoding, str(minute))
            peaks: dict[float, float] = {}
            for minutes in options.minutes:
                recording(minute, whole, minutes)
                asked = ["--stems=vocals", "--format=ogg", "--force", f"--out={folder / 'stems'}"]
                command = ["separate", str(folder / "model.ckpt"), str(whole), *asked]
                usage = process.measured("-m unetsep", *command, threads=options.threads)
                whole.unlink()
                peaks[minutes] = usage.peak_mb
                rows.append([kind, minutes, usage.peak_mb, usage.seconds, usage.seconds / (60 * minutes)])
                found.setdefault(kind, []).append(dict(zip(COLUMNS[1:], rows[-1][1:], strict=True)))
                print(f"{kind}: {rows[-1][1:]}", flush=True)
            if 10 in peaks and max(peaks) > 10:
                growth = peaks[max(peaks)] / peaks[10]
                goal = "held" if growth <= ALLOWED else "MISSED"
                print(f"{kind}: {growth:.3f} times the memory of ten minutes, {goal}")
    print("\n" + report.heading(result))
    print(report.table(COLUMNS, rows))
    report.write(options.json, result | {"model": MODEL, "recordings": found})


if __name__ == "__main__":
    main()
