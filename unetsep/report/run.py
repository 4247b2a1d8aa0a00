"""A sweep's folder, read: its question, its objectives, its floor, and what became of every trial.

Only files are read (`sweep.yaml`, `floor.json`, and each trial's `result.json`, `metrics.jsonl` and `tracks.jsonl`),
so a report can be written while the sweep is still running, on another machine, and from a copy.
"""

import json
import math
from collections import Counter
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from unetsep.audio.files import InputError
from unetsep.sweep.document import read_yaml
from unetsep.sweep.faith import faithfulness
from unetsep.sweep.front import pareto_front
from unetsep.sweep.rungs import Rungs, read_rungs

MEASURED = ("complete", "stopped", "paused")  # the states of trials whose scores are those of their checkpoints


@dataclass(frozen=True)
class Trial:
    """One trial as its folder tells it.

    Attributes:
        state: `complete`; `stopped` or `paused` at a rung; `failed`, `refused`, `duplicate`; or `unfinished` where no
            result is yet.
        scores: Measured values by key: `val/usdr`, `val/usdr/vocals`, ... in dB; means, if there are several seeds.
        spread: Their standard deviations over the seeds.
        rungs: The scores at every rung that it reached.
        cost: The cost card, by name: `gmacs_per_second`, `params`, `depth`, ...
        params: What the sampler suggested, by dotted config key.
        seconds: Wall time of the training; NaN if unknown.
        epoch: The epoch of the best score, if known.
    """

    number: int
    folder: Path
    state: str
    reason: str = ""
    scores: dict[str, float] = field(default_factory=dict)
    cost: dict[str, float] = field(default_factory=dict)
    params: dict[str, Any] = field(default_factory=dict)
    seconds: float = math.nan
    epoch: int | None = None
    spread: dict[str, float] = field(default_factory=dict)
    rungs: tuple[dict[str, float], ...] = ()

    def value(self, key: str) -> float:
        """What the trial reached in `val/usdr`, or costs in `cost/params`; NaN where that was not measured."""
        kind, _, name = key.partition("/")
        return self.cost.get(name, math.nan) if kind == "cost" else self.scores.get(key, math.nan)

    def curve(self, key: str) -> list[tuple[float, float]]:
        """The pairs (epoch, value) that the trial logged of `key`, in the order of logging."""
        points = []
        for row, line in enumerate(json_lines(self.folder / "metrics.jsonl")):
            value = _number(line.get(key))
            if math.isfinite(value):
                points.append((_number(line.get("epoch", row)), value))
        return points


@dataclass(frozen=True)
class Run:
    """A sweep: its question, what it optimises (key -> True if more is better), its floor and its trials by number."""

    folder: Path
    question: str
    objectives: dict[str, bool]
    floor: dict[str, float]
    trials: list[Trial]
    rungs: Rungs | None = None

    @property
    def name(self) -> str:
        """The sweep's name, which is its folder's."""
        return self.folder.resolve().name

    @property
    def score(self) -> str:
        """The objective that ranks the trials: the first that is not a cost."""
        return next((key for key in self.objectives if not key.startswith("cost/")), next(iter(self.objectives)))

    @property
    def cost(self) -> str | None:
        """The cost that the score is weighed against: the first among the objectives, else GMAC/s where it is known."""
        others = [key for key in self.objectives if key != self.score]
        costs = [key for key in others if key.startswith("cost/")] or others
        if not costs and any("gmacs_per_second" in trial.cost for trial in self.trials):
            costs = ["cost/gmacs_per_second"]
        return costs[0] if costs else None

    @cached_property
    def ranked(self) -> list[Trial]:
        """The trials with a score, best first, unmeasured ones last; ties by cost, then by number."""
        sign = -1.0 if self.objectives[self.score] else 1.0

        def rank(trial: Trial) -> tuple[float, float, int]:
            worst = math.inf
            keys = (sign * trial.value(self.score), trial.value(self.cost) if self.cost else 0.0)
            first, second = (key if math.isfinite(key) else worst for key in keys)
            return first, second, trial.number

        return sorted((trial for trial in self.trials if trial.state in MEASURED), key=rank)

    @cached_property
    def front(self) -> list[Trial]:
        """The trials with a score that no other beats in every objective, best score first."""
        points = [[trial.value(key) for key in self.objectives] for trial in self.ranked]
        return [self.ranked[index] for index in pareto_front(points, list(self.objectives.values()))]

    @property
    def rest(self) -> list[Trial]:
        """The trials without a score: failed, refused, duplicate, unfinished."""
        return [trial for trial in self.trials if trial.state not in MEASURED]

    @property
    def agreement(self) -> list[str]:
        """Whether short trainings predicted long ones, in sentences; none without rungs or without a score."""
        if self.rungs is None or self.score.startswith("cost/"):
            return []
        return faithfulness(self.trials, self.rungs, self.score)

    def trained(self, trial: Trial) -> float:
        """How far a trial was trained, in the rungs' unit; NaN where that is not known."""
        if self.rungs is None or not trial.rungs:
            return math.nan
        return float(self.rungs.amounts[min(len(trial.rungs), len(self.rungs.amounts)) - 1])

    @property
    def stems(self) -> list[str]:
        """The stems whose own scores were measured, as the objective's key names them."""
        prefix = self.score + "/"
        return list(
            dict.fromkeys(key[len(prefix) :] for trial in self.ranked for key in trial.scores if key.startswith(prefix))
        )

    def floor_of(self, key: str) -> float:
        """The floor's value of `val/usdr` or `val/usdr/vocals`: what a fixed mask per stem reaches; NaN if unknown."""
        return self.floor.get(key.partition("/")[2], math.nan)

    def above_floor(self, trial: Trial) -> float:
        """How far the trial's score lies above the floor, in the score's unit; NaN if either is unknown."""
        return trial.value(self.score) - self.floor_of(self.score)

    def tally(self) -> str:
        """How many trials ended how: `12 trials: 9 complete, 2 refused, 1 unfinished`."""
        counts = Counter(trial.state for trial in self.trials)
        ends = ", ".join(f"{count} {state}" for state, count in counts.most_common())
        return f"{len(self.trials)} trial{'s' * (len(self.trials) != 1)}: {ends}" if self.trials else "no trials"


def read_run(folder: Path) -> Run:
    """Reads a sweep's folder, finished or not.

    Raises:
        InputError: If the folder is no sweep's, or no trial of it has finished with a score.
    """
    folder = Path(folder)
    if not (folder / "sweep.yaml").is_file():
        is_trial = (folder.parent.parent / "sweep.yaml").is_file()
        hint = (
            f"that is one trial; give {folder.parent.parent}"
            if is_trial
            else "give the folder that `unetsep sweep` wrote"
        )
        raise InputError(f"no sweep in {folder}: it has no sweep.yaml ({hint})")
    sweep = read_yaml(folder / "sweep.yaml")
    trials = [_read_trial(path) for path in sorted((folder / "trials").glob("[0-9]*")) if path.name.isdigit()]
    floor = _mapping(folder / "floor.json") if (folder / "floor.json").is_file() else {}
    question, rungs = str(sweep.get("question", "")).strip(), read_rungs(sweep.get("rungs"))
    run = Run(folder, question, _objectives(sweep, folder), _numbers(floor), trials, rungs)
    if not run.front:
        reasons = "".join(f"; trial {trial.number} {trial.state}: {trial.reason}" for trial in run.rest if trial.reason)
        raise InputError(
            f"nothing to report in {folder}: no trial has a score yet ({run.tally()}{reasons}). "
            "`unetsep sweep` with the same folder goes on where it stopped."
        )
    return run


def _objectives(sweep: dict[str, Any], folder: Path) -> dict[str, bool]:
    given = sweep.get("objectives")
    if not isinstance(given, dict) or not given or not set(map(str, given.values())) <= {"maximize", "minimize"}:
        raise InputError(
            f"{folder / 'sweep.yaml'} names no objectives: `objectives` is {given!r}, but must map each measure to "
            "maximize or minimize, such as {val/usdr: maximize, cost/gmacs_per_second: minimize}"
        )
    return {str(key): direction == "maximize" for key, direction in given.items()}


def _read_trial(folder: Path) -> Trial:
    number = int(folder.name)
    if not (folder / "result.json").is_file():
        epochs = [
            epoch for line in json_lines(folder / "metrics.jsonl") if math.isfinite(epoch := _number(line.get("epoch")))
        ]
        reason = f"logged up to epoch {max(epochs):.0f}" if epochs else "nothing logged yet"
        return Trial(number, folder, "unfinished", reason)
    try:
        result = _mapping(folder / "result.json")
    except InputError as error:
        return Trial(number, folder, "failed", str(error))
    epoch = _number(result.get("epoch"))
    return Trial(
        number=number,
        folder=folder,
        state=str(result.get("state", "failed")),
        reason=str(result.get("reason") or ""),
        scores=_numbers(result.get("scores")),
        cost=_numbers(result.get("cost")),
        params=dict(result.get("params") or {}),
        seconds=_number(result.get("seconds")),
        epoch=int(epoch) if math.isfinite(epoch) else None,
        spread=_numbers(result.get("spread")),
        rungs=tuple(_numbers(rung) for rung in result.get("rungs") or ()),
    )


def _mapping(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"{path} is not JSON: {error}") from None
    if not isinstance(content, dict):
        raise InputError(f"{path} holds {type(content).__name__}, but must hold a mapping of names to values")
    return content


def json_lines(path: Path) -> list[dict[str, Any]]:
    """The rows of a log that may be growing: a half-written last line is left out."""
    rows = []
    if path.is_file():
        for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
            try:
                row = json.loads(line)
            except json.JSONDecodeError:
                continue
            if isinstance(row, dict):
                rows.append(row)
    return rows


def _number(value: Any) -> float:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else math.nan


def _numbers(values: Any) -> dict[str, float]:
    return {str(key): _number(value) for key, value in (values or {}).items()}
