"""What early stopping buys: hypervolume against training, by chance, by Optuna's TPE, and by `unetsep sweep`'s rungs.

The space is the table of learning curves that `curves.py` made, so that whole searches take seconds: only the trainings
are looked up, all else is the engine's own. Every measured score counts for all methods, those in the middle of a
training too. The hypervolume is of (usdr above 0 dB, logarithm of GMAC/s below the dearest config's), as a share of
the whole table's.

python benchmarks/search.py
"""

import argparse
import gzip
import json
import math
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median
from typing import Any

import moocore
import numpy as np
import optuna
import report

from unetsep.sweep.document import Config
from unetsep.sweep.executors import InProcess
from unetsep.sweep.question import DEFAULTS, Sweep
from unetsep.sweep.rungs import Stop, correlation
from unetsep.sweep.search import Search
from unetsep.sweep.study import open_study
from unetsep.sweep.trials import Outcome, Watch

OBJECTIVES = {"val/usdr": "maximize", "cost/gmacs_per_second": "minimize"}
FULL = 27  # epochs


class Table:
    """Every config's learning curve and cost, and what a search has seen of them."""

    def __init__(self, path: Path):
        content = json.loads(gzip.decompress(path.read_bytes()))
        self.grid: dict[str, list[Any]] = content["grid"]
        self.rows = {self.key(row["settings"]): row for row in content["configs"]}
        self.dearest = max(row["cost"]["gmacs_per_second"] for row in self.rows.values())
        self.whole = self.volume([(max(row["usdr"]), row["cost"]["gmacs_per_second"]) for row in self.rows.values()])

    def key(self, settings: Config) -> str:
        """Settings as text."""
        return json.dumps({name: settings[name] for name in self.grid})

    def volume(self, points: Sequence[tuple[float, float]]) -> float:
        """Hypervolume of (score, cost) points."""
        losses = [(-max(score, 0.0), math.log(cost / self.dearest)) for score, cost in points]
        return float(moocore.hypervolume(np.array(losses), ref=[0.0, 1e-9]))


class Spending:
    """What a search has seen, and what that took."""

    def __init__(self, table: Table):
        self.table = table
        self.best: dict[str, float] = {}
        self.trained: dict[str, int] = {}
        self.epochs = self.work = 0.0
        self.history: list[tuple[float, float, float]] = []  # epochs, epochs x GMAC/s, share of the whole hypervolume

    def train(self, settings: Config, upto: int, again: bool = False) -> float:
        """Trains a config up to an epoch, from where it stands or, `again`, anew; its best score so far."""
        key = self.table.key(settings)
        row = self.table.rows[key]
        more = upto - (0 if again else self.trained.get(key, 0))
        self.trained[key] = max(upto, self.trained.get(key, 0))
        self.best[key] = max(row["usdr"][: self.trained[key]])
        self.epochs += more
        self.work += more * row["cost"]["gmacs_per_second"]
        points = [(score, self.table.rows[each]["cost"]["gmacs_per_second"]) for each, score in self.best.items()]
        self.history.append((self.epochs, self.work, self.table.volume(points) / self.table.whole))
        return max(row["usdr"][:upto])


def chance(table: Table, seed: int, trials: int) -> Spending:
    """Random configs, none twice, each trained to the end."""
    spending = Spending(table)
    for number in np.random.default_rng(seed).permutation(len(table.rows))[:trials]:
        spending.train(list(table.rows.values())[number]["settings"], FULL)
    return spending


def tpe(table: Table, seed: int, trials: int, pays_twice: bool = True) -> Spending:
    """Optuna's own loop with its default sampler for several objectives, each config trained to the end.

    Args:
        table: the space.
        seed: the sampler's.
        trials: how many.
        pays_twice: whether a config that is suggested again is trained again, as it is with Optuna.
    """
    spending = Spending(table)

    def objective(trial: optuna.Trial) -> tuple[float, float]:
        settings = {name: trial.suggest_categorical(name, values) for name, values in table.grid.items()}
        score = spending.train(settings, FULL, again=pays_twice)
        return score, table.rows[table.key(settings)]["cost"]["gmacs_per_second"]

    study = optuna.create_study(directions=list(OBJECTIVES.values()), sampler=optuna.samplers.TPESampler(seed=seed))
    study.optimize(objective, n_trials=trials)
    return spending


def ours(table: Table, seed: int, trials: int, first: int, **question: Any) -> Spending:
    """The engine of `unetsep sweep`, with rungs from `first` epochs on."""
    spending = Spending(table)

    class LookedUp:
        """Stands where the command line stands."""

        def resolve(self, config: Config) -> Config:
            return config

        def cost(self, resolved: Config) -> dict[str, float]:
            return dict(table.rows[table.key(resolved)]["cost"])

        def train(self, config: Config, folder: Path, stop: Stop | None, watch: Watch) -> Outcome:
            return Outcome({"val/usdr": spending.train(config, int(stop.amount) if stop else FULL)}, None)

    class Silence:
        def begins(self, *_: Any) -> None: ...

        def ends(self, *_: Any) -> None: ...

    document = {
        **DEFAULTS,
        "objectives": OBJECTIVES,
        "space": {name: {"choice": values} for name, values in table.grid.items()},
        "rungs": {"unit": "epochs", "first": first, "eta": 3, "last": FULL},
        "trials": trials,
        "seed": seed,
        **question,
    }
    runner = LookedUp()
    with tempfile.TemporaryDirectory() as folder:
        sweep = Sweep("benchmark", document)
        with open_study(Path(folder), OBJECTIVES) as study:
            Search(sweep, Path(folder), study, Silence()).run(runner, InProcess(runner.train))
    return spending


def reached(spending: Spending, target: float, column: int) -> float:
    """What it took to reach a share of the hypervolume: epochs (0) or work (1); infinity if it was not reached."""
    return next((step[column] for step in spending.history if step[2] >= target), math.inf)


def quartiles(values: Sequence[float]) -> list[float]:
    """Lower quartile, median, upper quartile, where infinities are large."""
    ordered = sorted(values)
    return [ordered[int(share * (len(ordered) - 1) + 0.5)] for share in (0.25, 0.5, 0.75)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--table", type=Path, default=Path(__file__).parent / "curves.json.gz")
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--full", type=int, nargs="+", default=[10, 20, 40, 80], help="trainings of the full searches")
    parser.add_argument("--trials", type=int, default=150, help="that ours begins")
    parser.add_argument("--first", type=int, default=1, help="epochs of the first rung; each is three times the last")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--device", help="as the other benchmarks have it; nothing here needs one")
    options = parser.parse_args()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    table = Table(options.table)
    curves = [row["usdr"] for row in table.rows.values()]
    pairs = [(1, 3), (3, 9), (9, 27), (1, 27), (3, 27)]
    faith = {
        f"{low} -> {high}": correlation([curve[low - 1] for curve in curves], [curve[high - 1] for curve in curves])
        for low, high in pairs
    }
    most = max(options.full)
    methods: dict[str, Callable[[int], Spending]] = {
        "random, full trainings": lambda seed: chance(table, seed, most),
        "Optuna's TPE, full trainings": lambda seed: tpe(table, seed, most),
        "the same, duplicates for free": lambda seed: tpe(table, seed, most, pays_twice=False),
        "rungs, random": lambda seed: ours(table, seed, options.trials, options.first, sampler="RandomSampler"),
        "rungs, TPE (the default)": lambda seed: ours(table, seed, options.trials, options.first),
    }
    runs: dict[str, list[Spending]] = {}
    for name, method in methods.items():
        begin = time.perf_counter()
        runs[name] = [method(seed) for seed in range(options.seeds)]
        print(f"{name}: {time.perf_counter() - begin:.0f} s for {options.seeds} searches", flush=True)
    result = report.facts("search", packages=("optuna", "moocore")) | {
        "configs": len(table.rows),
        "seeds": options.seeds,
        "first": options.first,
        "trials": options.trials,
        "rank_correlations": faith,
        "targets": [],
        "histories": {name: [spending.history for spending in found] for name, found in runs.items()},
    }
    print(f"\n{report.heading(result)}")
    print(report.table(["rank correlation of the scores after epochs", *faith], [["", *faith.values()]]))
    for baseline in list(methods)[:2]:
        for count in options.full:
            target = median(found.history[count - 1][2] for found in runs[baseline])
            rows = []
            for name, found in runs.items():
                entry = {"target": f"{baseline}, {count}", "share": target, "method": name}
                for column, unit in enumerate(("epochs", "epochs x GMAC/s")):
                    entry[unit] = quartiles([reached(each, target, column) for each in found])
                    entry[f"ratio of {unit}"] = quartiles([reached(each, target, column) for each in runs[baseline]])[1]
                    entry[f"ratio of {unit}"] /= entry[unit][1]  # NaN where neither got so far in half of its searches
                result["targets"].append(entry)
                low, middle, high = entry["epochs"]
                rows.append(
                    [
                        name,
                        middle,
                        f"{low:.0f} to {high:.0f}",
                        entry["ratio of epochs"],
                        entry["ratio of epochs x GMAC/s"],
                    ]
                )
            print(
                f"\n{target:.3f} of the hypervolume, the median of {baseline}, after {count} ({count * FULL} epochs)\n"
            )
            print(report.table(["", "epochs", "quartiles", "times fewer", "times fewer epochs x GMAC/s"], rows))
    report.write(options.json, result)


if __name__ == "__main__":
    main()
