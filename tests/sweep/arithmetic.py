"""A training that is arithmetic, for processes that import it: Ray's workers, and drivers to be killed."""

import os
import signal
import sys
import time
from pathlib import Path

from unetsep.sweep.cluster import Cluster, Needs
from unetsep.sweep.document import Config
from unetsep.sweep.rungs import Stop
from unetsep.sweep.trials import Outcome, Result, Task, Train, Watch, read_result, trial_folder

ONE = Needs(cpus=1, gpus=0)


def train(config: Config, folder: Path, stop: Stop | None, watch: Watch) -> Outcome:
    """Scores `x` after some seconds, or when there is a file `go`.

    For every time it is asked to there is a line in `begun`, with the process and its GPUs.
    """
    with (folder / "begun").open("a") as begun:
        begun.write(f"{os.getpid()} {os.environ.get('CUDA_VISIBLE_DEVICES')}\n")
    if config.get("dies"):
        os.kill(os.getpid(), signal.SIGKILL)
    if config.get("fails"):
        raise ValueError("no such\nnetwork")
    time.sleep(config.get("seconds", 0))
    while config.get("waits") and not (folder.parent / "go").exists():
        time.sleep(0.05)
    return Outcome({"val/usdr": config["x"]}, 1)


def make() -> Train:
    return train


def task(run: Path, number: int, **config: float) -> Task:
    return Task(number, trial_folder(run, number), {"x": float(number), **config}, {}, {"params": 1.0}, ("val/usdr",))


def begun(run: Path, number: int) -> list[list[str]]:
    """For every time a task was begun the process's number and its GPUs."""
    path = trial_folder(run, number) / "begun"
    return [line.split(" ") for line in path.read_text().splitlines()] if path.is_file() else []


def finish(cluster: Cluster, tasks: list[Task], seconds: float = 60.0) -> list[Result]:
    """Has tasks carried out as the search would, but all of them, in the order of their numbers."""
    waiting, results, end = list(tasks), [], time.monotonic() + seconds
    while len(results) < len(tasks):
        assert time.monotonic() < end, f"{len(results)} of {len(tasks)} after {seconds} s"
        while waiting and cluster.room() > 0:
            cluster.submit(waiting.pop(0))
        results += cluster.wait(0.2)
    return sorted(results, key=lambda result: result.number)


def drive(address: str, run: Path, numbers: range, seconds: float) -> None:
    """What a driver does: trains what has no result yet."""
    with Cluster(address, make, ONE, run) as cluster:
        left = [number for number in numbers if read_result(trial_folder(run, number)) is None]
        finish(cluster, [task(run, number, seconds=seconds) for number in left])


if __name__ == "__main__":
    drive(sys.argv[1], Path(sys.argv[2]), range(int(sys.argv[3])), float(sys.argv[4]))
