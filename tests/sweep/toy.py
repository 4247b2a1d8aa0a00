"""A sweep over two numbers whose training is arithmetic."""

from pathlib import Path
from typing import Any

import optuna

from unetsep.sweep.document import Config, parse_yaml
from unetsep.sweep.executors import InProcess
from unetsep.sweep.question import DEFAULTS, Sweep
from unetsep.sweep.rungs import Stop
from unetsep.sweep.search import Search
from unetsep.sweep.study import STUDY, open_study
from unetsep.sweep.trials import Outcome, Result, Task, Watch

LINE = "seed: 1\nspace: {x: {int: [1, 100]}}\ntrials: 5\n"


def sweep_of(text: str) -> Sweep:
    return Sweep("toy.yaml", {**DEFAULTS, **parse_yaml(text, "toy.yaml")})


class Killed(BaseException):
    """What nothing catches."""


class Toy:
    """Scores `-(x - 3)^2` at the cost `x + y`, a little less at a rung; counts what it is asked to do."""

    def __init__(self) -> None:
        self.trained: list[tuple[int, Config]] = []
        self.stops: list[tuple[int, float | None]] = []
        self.fails: dict[int, BaseException] = {}
        self.scores: dict[int, dict[str, float]] = {}

    def resolve(self, config: Config) -> Config:
        return {"y": 0, **config}

    def cost(self, resolved: Config) -> dict[str, float]:
        if resolved["x"] == 13:
            raise ValueError("13 is no size\nfor anything")
        return {"gmacs_per_second": resolved["x"] + resolved["y"], "params": resolved["x"] * 10.0}

    def train(self, config: Config, folder: Path, stop: Stop | None, watch: Watch) -> Outcome:
        number = int(folder.name)
        self.trained.append((number, config))
        self.stops.append((number, stop.amount if stop else None))
        watch("half of it")
        if number in self.fails:
            raise self.fails.pop(number)
        score = -(float(config["x"] - 3) ** 2) - (1 / stop.amount if stop else 0)
        return Outcome(self.scores.get(number, {"val/usdr": score, "val/usdr/vocals": 1.0}), 2)


class Notes:
    """Remembers what it was told."""

    def __init__(self) -> None:
        self.begun: list[tuple[int, int, bool]] = []
        self.ended: list[Result] = []

    def begins(self, task: Task, begun: int, resumed: bool) -> None:
        self.begun.append((task.number, begun, resumed))

    def ends(self, result: Result, begun: int) -> None:
        self.ended.append(result)

    def states(self) -> list[str]:
        return [result.state for result in self.ended]


def run(sweep: Sweep, folder: Path, toy: Any = None) -> tuple[Notes, Toy, str]:
    toy, notes = toy or Toy(), Notes()
    with open_study(folder, sweep.objectives) as study:
        return notes, toy, Search(sweep, folder, study, notes).run(toy, InProcess(toy.train))


def trials_of(folder: Path) -> list[optuna.trial.FrozenTrial]:
    return optuna.load_study(study_name=STUDY, storage=f"sqlite:///{folder}/study.db").get_trials()
