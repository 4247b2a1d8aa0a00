"""What validation costs for a minute of audio: seconds and memory, for every preset of `sweeps/base`.

A whole track is separated by a network of random weights, judged by the loss and scored, as after every epoch. Each
preset has a process of its own. Memory is what the process (on a GPU: torch there) holds at most, beyond what it held
before.

python benchmarks/validation.py --json validation.json
"""

import argparse
import math
import multiprocessing
import os
import re
import statistics
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_WAIT_POLICY", "passive")  # as the command line sets it, before torch is loaded

import report
import torch
from training import BASE, command, write_data

from unetsep.cli.terminal import quiet

STATUS = Path("/proc/self/status")


def memory(what: str) -> float:
    """Megabytes of this process: `VmRSS` now, `VmHWM` at most so far; NaN where the system is not Linux."""
    found = re.search(rf"^{what}:\s+(\d+) kB", STATUS.read_text(), re.MULTILINE) if STATUS.exists() else None
    return int(found[1]) * 1024 / 1e6 if found else math.nan


def validate(preset: str, root: Path, device: str, rounds: int) -> dict[str, Any]:
    """Times of the rounds after the first, which loads libraries and is the one whose memory is measured."""
    built = command(preset, root, **{"trainer.accelerator": device, "trainer.limit_val_batches": 1.0})
    built.datamodule.tracks("valid")  # decoded before the clock starts
    if STATUS.exists():
        (STATUS.parent / "clear_refs").write_text("5")  # decoding held more than some validations: VmHWM begins anew
    before, times = memory("VmRSS"), []
    for _ in range(rounds + 1):
        begin = time.perf_counter()
        with quiet():
            built.trainer.validate(built.model, datamodule=built.datamodule, verbose=False)
        times.append(time.perf_counter() - begin)
        if len(times) == 1:
            peak = torch.cuda.max_memory_allocated() / 1e6 if device == "cuda" else memory("VmHWM") - before
    return {"name": preset, "precision": built.trainer.precision, "seconds": times[1:], "peak_megabytes": peak}


def main() -> None:
    presets = sorted(path.stem for path in BASE.glob("*.yaml"))
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path, help="also write the result here")
    parser.add_argument("--presets", nargs="*", default=presets, choices=presets)
    parser.add_argument("--device", default="cpu", choices=("cpu", "cuda"))
    parser.add_argument("--rounds", type=int, default=3, help="medians count")
    parser.add_argument("--seconds", type=float, nargs="+", default=[60.0, 240.0], help="lengths of the track")
    options = parser.parse_args()

    measured: list[dict[str, Any]] = []
    for seconds in options.seconds:
        with tempfile.TemporaryDirectory() as folder:
            root = write_data(Path(folder), train=1, valid_seconds=seconds)
            for preset in options.presets:
                with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as process:
                    each = process.submit(validate, preset, root, options.device, options.rounds).result()
                measured.append({"track_seconds": seconds} | each)
                print(f"{seconds:g} s, {preset}: {statistics.median(each['seconds']):.3g} s", flush=True)
    for each in measured:
        each["seconds_per_minute"] = statistics.median(each["seconds"]) * 60 / each["track_seconds"]
        each["megabytes_per_minute"] = each["peak_megabytes"] * 60 / each["track_seconds"]
    result = report.facts(__doc__.partition("\n")[0], options.device, ("torch", "lightning"))
    result |= {"settings": {key: value for key, value in vars(options).items() if key != "json"}, "presets": measured}
    print("\n" + report.heading(result))
    columns = ["preset", "precision", "track, s", "s per minute", "peak, MB", "MB per minute"]
    keys = ("name", "precision", "track_seconds", "seconds_per_minute", "peak_megabytes", "megabytes_per_minute")
    print(report.table(columns, [[each[key] for key in keys] for each in measured]))
    report.write(options.json, result)


if __name__ == "__main__":
    main()
