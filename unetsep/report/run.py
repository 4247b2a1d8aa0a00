"""What a report is about: one sweep or several, their objectives, bounds and trials."""

import json
import math
from collections import Counter
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from unetsep.sweep.faith import faithfulness
from unetsep.sweep.front import pareto_front
from unetsep.sweep.rungs import Rungs
from unetsep.sweep.wording import short_names

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
        sweep: The name of its sweep where several are reported as one, and empty otherwise.
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
    sweep: str = ""

    @property
    def key(self) -> str:
        """What the trial is called: `7`, or `depth-7` where several sweeps are reported as one."""
        return f"{self.sweep}-{self.number}" if self.sweep else str(self.number)

    def value(self, key: str) -> float:
        """What the trial reached in `val/usdr`, or costs in `cost/params`; NaN where that was not measured."""
        kind, _, name = key.partition("/")
        return self.cost.get(name, math.nan) if kind == "cost" else self.scores.get(key, math.nan)

    def curve(self, key: str) -> list[tuple[float, float]]:
        """The pairs (epoch, value) that the trial logged of `key`, in the order of logging."""
        points = []
        for row, line in enumerate(json_lines(self.folder / "metrics.jsonl")):
            value = number(line.get(key))
            if math.isfinite(value):
                points.append((number(line.get("epoch", row)), value))
        return points


@dataclass(frozen=True)
class Run:
    """A sweep, or several that are reported as one.

    Attributes:
        folder: The sweep's folder; of several, the first one's.
        name: Its name, which is its folder's; of several, all names.
        objectives: What is optimised, and whether more of it is better.
        trials: All of them, by number.
        floor: What one fixed frequency mask per stem reaches on the same tracks: `usdr`, `usdr/vocals`, ...; here and
            in the next two: empty where it is unknown.
        mixture: What the mixture reaches that is taken for every stem.
        oracle: What the ideal ratio mask reaches, which knows the stems.
        rungs: The lengths of training, where there are rungs.
        remarks: What is to be minded where several sweeps are compared, in sentences.
    """

    folder: Path
    name: str
    question: str
    objectives: dict[str, bool]
    trials: list[Trial]
    floor: dict[str, float] = field(default_factory=dict)
    mixture: dict[str, float] = field(default_factory=dict)
    oracle: dict[str, float] = field(default_factory=dict)
    rungs: Rungs | None = None
    remarks: tuple[str, ...] = ()

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

    @cached_property
    def front_keys(self) -> frozenset[str]:
        """The keys of the trials on the front."""
        return frozenset(trial.key for trial in self.front)

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

    @cached_property
    def names(self) -> dict[str, str]:
        """The settings' short names, clear within the sweep, by their dotted config keys."""
        return short_names(list(dict.fromkeys(key for trial in self.trials for key in trial.params)))

    @cached_property
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


def number(value: Any) -> float:
    """A number out of a file; NaN for whatever is none."""
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else math.nan
