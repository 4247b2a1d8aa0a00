"""Chunks per second from the cache against musdb and soundfile, and the loader against what training consumes.

Songs are stored as by MUSDB18 (.stem.mp4) and MUSDB18-HQ (wav), with the same samples in both, which is checked.
Every reader gives a float32 tensor (source, channel, sample) and finds the files in the system's memory.

python benchmarks/data.py --json data.json
"""

import argparse
import os
import random
import statistics
import sys
import tempfile
import time
import warnings
from collections.abc import Iterable
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_WAIT_POLICY", "passive")  # as the command line sets it, before torch is loaded

import report
import torch
from lightning import Callback
from readers import CACHE, RATE, make_songs, readers
from torch.utils.data import DataLoader

from unetsep.cli import UnetsepCLI
from unetsep.cli.terminal import quiet
from unetsep.data import Batch, StemsDataModule
from unetsep.data.track import SOURCES

TENTH = RATE // 10  # chunks begin at tenths of a second, which musdb's microseconds hold exactly
BASE = Path(__file__).parent.parent / "sweeps" / "base"
TRAINING = "training"
GOALS = {"musdb": 50, "soundfile": 5}  # times as fast as these the cache is meant to be
SKIPPED = 1  # steps that load libraries and choose algorithms


def compare_readers(root: Path, options: argparse.Namespace) -> dict[str, list[float]]:
    """Chunks per second of every reader in every round; within a round all read the same chunks in the same order."""
    length = round(options.chunk_seconds * RATE)
    speeds: dict[str, list[float]] = {}
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # as in a worker
    songs, ways = readers(root, length)
    last = (round(options.seconds * RATE) - length) // TENTH
    for number in range(options.rounds):
        print(f"reading, round {number + 1} of {options.rounds}", file=sys.stderr)
        draw = random.Random(number)
        chunks = [(draw.choice(songs), TENTH * draw.randint(0, last)) for _ in range(10_000)]
        for name, read in ways.items():
            if not torch.equal(read(*chunks[0]), ways[CACHE](*chunks[0])):
                raise SystemExit(f"{name} reads other samples than the cache at {chunks[0]}: nothing is comparable")
            speeds.setdefault(name, []).append(per_second((read(*chunk) for chunk in chunks), options.budget))
    torch.set_num_threads(threads)
    return speeds


def per_second(items: Iterable[Any], budget: float) -> float:
    """How many items a second are taken, within so many seconds; three at the least."""
    begin = time.perf_counter()
    for count, _ in enumerate(items, start=1):
        elapsed = time.perf_counter() - begin
        if elapsed > budget and count >= 3:
            break
    return count / elapsed


class Clock(Callback):
    """Notes when the steps that do not count are over, and when all are."""

    def __init__(self) -> None:
        self.times: list[float] = []

    def on_train_batch_end(self, trainer: Any, pl_module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        if batch_idx + 1 in (SKIPPED, trainer.max_steps):
            if pl_module.device.type == "cuda":
                torch.cuda.synchronize()
            self.times.append(time.perf_counter())


def preset(name: str, root: Path, options: argparse.Namespace) -> UnetsepCLI:
    """The command that fits a preset on the songs, saying and keeping nothing."""
    settings = {
        "config": BASE / f"{name}.yaml",
        "out": root / "run",
        "wandb": "disabled",
        "data.root": root / "mp4",
        "data.cache": root / "cache",
        "data.batches_per_epoch": 10_000,
        "data.workers": 0,
        "trainer.accelerator": options.device,
        "trainer.max_steps": SKIPPED + options.steps,
        "trainer.limit_val_batches": 0,
        "trainer.enable_progress_bar": False,
    }
    if options.batch_size:
        settings["data.batch_size"] = options.batch_size
    return UnetsepCLI([f"--{key}={value}" for key, value in settings.items()], run=False)


def consumed(command: UnetsepCLI, batch: Batch, steps: int) -> float:
    """Chunks per second that Lightning trains on when one batch lies on the device; no remix, which would slow it."""
    clock = Clock()
    ready = Batch(batch.stems.to(command.trainer.strategy.root_device), batch.tracks)
    command.trainer.callbacks = [clock]  # without checkpoints
    with quiet():
        command.trainer.fit(command.model, DataLoader([ready] * (SKIPPED + steps), batch_size=None))
    begin, end = clock.times
    return steps * len(batch.stems) / (end - begin)


def loaded(data: StemsDataModule, workers: int, budget: float) -> float:
    """Chunks per second that the loader gives to somebody who does nothing with them."""
    data.workers = workers
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="This DataLoader will create")  # more workers than cores are advised
        batches = iter(data.train_dataloader())
        for _ in range(1 + 3 * workers):  # the workers start, and what they prepared meanwhile goes
            next(batches)
        return per_second(batches, budget) * data.batch_size


def compare_loading(root: Path, options: argparse.Namespace) -> dict[str, dict[str, list[float]]]:
    """By preset: chunks per second that training consumes, and that the loader gives by number of workers."""
    speeds: dict[str, dict[str, list[float]]] = {name: {} for name in options.presets}
    for number in range(options.rounds):
        for name, found in speeds.items():
            print(f"training on {name}, round {number + 1} of {options.rounds}", file=sys.stderr)
            command = preset(name, root, options)
            batch = next(iter(command.datamodule.train_dataloader()))
            found.setdefault(TRAINING, []).append(consumed(command, batch, options.steps))
            for workers in options.workers:
                speed = loaded(command.datamodule, workers, options.budget)
                found.setdefault(f"workers: {workers}", []).append(speed)
    return speeds


def paired(speeds: dict[str, list[float]], one: str) -> dict[str, list[float]]:
    """Every other speed over that of `one`, round by round."""
    return {
        name: [value / other for value, other in zip(values, speeds[one], strict=True)]
        for name, values in speeds.items()
        if name != one
    }


def tables(result: dict[str, Any]) -> str:
    """The medians over the rounds."""
    options, reading = result["options"], result["reading_chunks_per_second"]
    rows = [[CACHE, statistics.median(reading[CACHE]), "", ""]]
    for name, ratios in result["cache_over_reader"].items():
        goal = GOALS[name.partition(",")[0]]
        rows.append([name, statistics.median(reading[name]), statistics.median(ratios), f"{goal}"])
    size = f"{options['chunk_seconds']:g} s of {len(SOURCES)} stereo stems in songs of {options['seconds']:g} s"
    first = report.table((f"{size}, one thread", "chunks/s", "the cache is faster by", "goal"), rows)

    columns = ["chunks/s (loader over training: goal 10 times)", "training"]
    for workers in options["workers"]:
        columns += [f"loader, workers: {workers}", "over training, times"]
    rows = []
    for name, found in result["loading_chunks_per_second"].items():
        over = result["loader_over_training"][name]
        row = [name, statistics.median(found[TRAINING])]
        for kind, ratios in over.items():
            row += [statistics.median(found[kind]), statistics.median(ratios)]
        rows.append(row)
    return first + "\n" + report.table(columns, rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path, help="also write the result here")
    parser.add_argument("--folder", type=Path, help="where the songs lie meanwhile; the system's for temporary files")
    parser.add_argument("--songs", type=int, default=4)
    parser.add_argument("--seconds", type=float, default=60.0, help="of a song; musdb is slower in longer ones")
    parser.add_argument("--chunk-seconds", type=float, default=6.0, help="of a chunk where readers are compared")
    parser.add_argument("--rounds", type=int, default=5, help="in which everything is timed in turn")
    parser.add_argument("--budget", type=float, default=2.0, help="seconds for every reader and loader in a round")
    parser.add_argument("--presets", nargs="*", default=sorted(path.stem for path in BASE.glob("*.yaml")))
    parser.add_argument("--batch-size", type=int, help="for every preset; its own if not given")
    parser.add_argument(
        "--steps", type=int, default=2, help=f"of training that are timed, after {SKIPPED} that are not"
    )
    parser.add_argument("--workers", type=int, nargs="+", default=[0, report.cores()], help="that load chunks")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu", help="that trains")
    options = parser.parse_args()
    if options.seconds < options.chunk_seconds:
        parser.error(f"--seconds is {options.seconds}: a song must not be shorter than --chunk-seconds")

    with tempfile.TemporaryDirectory(dir=options.folder, prefix="unetsep-bench-") as folder:
        root = Path(folder)
        make_songs(root, options.songs, options.seconds)
        reading = compare_readers(root, options)
        loading = compare_loading(root, options)

    result: dict[str, Any] = {
        **report.facts("Chunks a second from the cache, by other readers, and into training", options.device),
        "options": {name: value for name, value in vars(options).items() if name not in ("json", "folder")},
        "reading_chunks_per_second": reading,
        "cache_over_reader": {name: [1 / each for each in ratios] for name, ratios in paired(reading, CACHE).items()},
        "loading_chunks_per_second": loading,
        "loader_over_training": {name: paired(found, TRAINING) for name, found in loading.items()},
    }
    print(report.heading(result))
    print(tables(result))
    report.write(options.json, result)


if __name__ == "__main__":
    main()
