"""What the sweep engine adds to each trial: a small real sweep, taken apart.

`sweeps/shallow.yaml` with very short trainings on a few synthetic songs, in process, Weights & Biases offline. Every
moment between the ends of two trials belongs to one of: the fit loop (training, validation, checkpoints, records), what
is kept to listen to and look at, Weights & Biases, and the engine, which is all the rest: what is suggested and refused
in between, judging, the study, parsing, building the model and the trainer, progress, results. Seconds that passed, and
those in which the main thread was busy.

python benchmarks/overhead.py --json overhead.json
"""

import argparse
import functools
import os
import statistics
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_WAIT_POLICY", "passive")  # as the command line sets it, before torch is loaded

import report
from lightning.pytorch.loops.fit_loop import _FitLoop

import unetsep.sweep
from unetsep.data.synthetic import write_set
from unetsep.sweep.executors import InProcess
from unetsep.sweep.trial import Watching
from unetsep.training.listening import Listening
from unetsep.training.pausing import Pause
from unetsep.training.records import WandbRun

QUESTION = Path(__file__).parent.parent / "sweeps" / "shallow.yaml"
GOAL = 0.3  # seconds of the engine per trial
CLOCKS: dict[str, Callable[[], float]] = {
    "passed": time.perf_counter,
    "busy": time.thread_time,
}  # where others compute too, the second one counts
KINDS = ("engine", "fit loop", "listening", "Weights & Biases")


class Meter:
    """Gives every moment to the innermost of what is going on, and begins anew with every trial."""

    def __init__(self) -> None:
        self.trials: list[dict[str, dict[str, float]]] = []
        self._seconds: dict[str, defaultdict[str, float]] = {clock: defaultdict(float) for clock in CLOCKS}
        self._inside = [KINDS[0]]
        self._since = {clock: read() for clock, read in CLOCKS.items()}

    def measure(self, owner: type, names: str, kind: str) -> None:
        """Makes methods and properties of a class, by names with spaces between, belong to a kind."""
        for name in names.split():
            given = owner.__dict__[name]
            if isinstance(given, property):
                assert given.fget is not None
                setattr(owner, name, property(self._measured(given.fget, kind)))
            else:
                setattr(owner, name, self._measured(given, kind))

    def ends(self) -> None:
        """A trial is at its end."""
        self._turn()
        self.trials.append(
            {clock: {kind: counted.pop(kind, 0.0) for kind in KINDS} for clock, counted in self._seconds.items()}
        )

    def _measured(self, function: Callable[..., Any], kind: str) -> Callable[..., Any]:
        @functools.wraps(function)
        def measured(*args: Any, **kwargs: Any) -> Any:
            self._turn()
            self._inside.append(kind)
            try:
                return function(*args, **kwargs)
            finally:
                self._turn()
                self._inside.pop()

        return measured

    def _turn(self) -> None:
        for clock, read in CLOCKS.items():
            now = read()
            self._seconds[clock][self._inside[-1]] += now - self._since[clock]
            self._since[clock] = now


class Measured(InProcess):
    """The executor of sweeps in one process, which tells the meter that a trial ended."""

    meter: Meter

    def wait(self, seconds: float) -> list[Any]:
        """Carries out the task."""
        results = super().wait(seconds)
        if results:
            self.meter.ends()
        return results


def run(folder: Path, options: argparse.Namespace) -> list[dict[str, dict[str, float]]]:
    """Seconds by kind of every trial after the first, which waits for what is imported and decoded once."""
    meter = Measured.meter = Meter()
    meter.measure(_FitLoop, "run", "fit loop")
    meter.measure(Watching, "on_train_batch_end on_validation_end", "engine")
    meter.measure(Pause, "on_train_epoch_end", "engine")
    meter.measure(Listening, "on_validation_batch_end on_validation_end on_fit_end", "listening")
    meter.measure(WandbRun, "__init__ experiment summarise log_files finalize", "Weights & Biases")
    for name in ("log_metrics", "log_hyperparams"):  # Lightning's own
        setattr(WandbRun, name, meter._measured(getattr(WandbRun, name), "Weights & Biases"))
    vars(unetsep.sweep)["InProcess"] = Measured
    write_set(folder / "songs", train=4, valid=2, test=1, seconds=options.seconds, seed=0)
    settings = {"data.batches_per_epoch": options.steps, "trainer.max_epochs": options.epochs, "wandb": options.wandb}
    arguments = [
        str(QUESTION),
        f"--data={folder / 'songs'}",
        f"--out={folder / 'run'}",
        f"--trials={options.trials + 1}",
    ]
    unetsep.sweep.main([*arguments, *(f"--{key}={value}" for key, value in settings.items())])
    return meter.trials[1:]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path, help="also write the result here")
    parser.add_argument("--trials", type=int, default=12, help="that are measured")
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--steps", type=int, default=5, help="in an epoch")
    parser.add_argument("--seconds", type=float, default=8.0, help="length of the songs")
    parser.add_argument("--device", help="as the other benchmarks have it; the trainer takes a GPU by itself")
    parser.add_argument("--wandb", default="offline", choices=("offline", "disabled"))
    options = parser.parse_args()

    with tempfile.TemporaryDirectory() as folder:
        trials = run(Path(folder), options)
    result = report.facts(__doc__.partition("\n")[0], packages=("torch", "lightning", "optuna", "jsonargparse"))
    settings = {key: value for key, value in vars(options).items() if key != "json"}
    every = {clock: {kind: [trial[clock][kind] for trial in trials] for kind in KINDS} for clock in CLOCKS}
    medians = {clock: {kind: statistics.median(found) for kind, found in each.items()} for clock, each in every.items()}
    result |= {"settings": settings, "goal_seconds": GOAL, "median_seconds": medians, "trials": trials}
    print("\n" + report.heading(result))
    columns = ["seconds a trial", "passed, median", "least", "most", "busy, median"]
    rows = [
        [kind, medians["passed"][kind], min(found), max(found), medians["busy"][kind]]
        for kind, found in every["passed"].items()
    ]
    print(report.table(columns, rows))
    print(f"The engine: {medians['passed']['engine']:.2f} s a trial; the goal is {GOAL} s.")
    report.write(options.json, result)


if __name__ == "__main__":
    main()
