"""Where a trial stands, as the study tells it.

A trial is RUNNING in the study until nothing more will become of it. Its user attributes say more: `judged` (its
config's fingerprint and its cost), `work` (the rung it was last begun for, and the driver that did) and `rungs` (its
scores at every rung that it reached).
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from itertools import takewhile

from optuna.trial import FrozenTrial, TrialState

KNOWN = "known"  # the state of a trial that another sweep trained


def begun(trial: FrozenTrial) -> bool:
    """Whether it was ever trained, or is being trained."""
    return "work" in trial.user_attrs


def rungs_of(trial: FrozenTrial) -> list[dict[str, float]]:
    """Its scores by name, for every rung that it reached."""
    rungs: list[dict[str, float]] = trial.user_attrs.get("rungs", [])
    return rungs


def in_training(trial: FrozenTrial) -> bool:
    """Whether someone began to train it to a rung that it has not reached yet."""
    return (
        trial.state == TrialState.RUNNING and begun(trial) and trial.user_attrs["work"]["level"] >= len(rungs_of(trial))
    )


def waiting(trial: FrozenTrial) -> bool:
    """Whether it waits at a rung for the word to go on."""
    return trial.state == TrialState.RUNNING and begun(trial) and not in_training(trial)


def point(trial: FrozenTrial, level: int, measures: Iterable[str]) -> list[float]:
    """A trial's objectives at a rung that it reached; NaN where one was not measured."""
    scores, cost = rungs_of(trial)[level], trial.user_attrs.get("judged", {}).get("cost", {})
    return [
        cost.get(measure.removeprefix("cost/"), math.nan)
        if measure.startswith("cost/")
        else scores.get(measure, math.nan)
        for measure in measures
    ]


def fruitless(trials: Sequence[FrozenTrial]) -> int:
    """How many suggestions in a row, the last ones, came to nothing."""
    own = [trial for trial in trials if trial.state != TrialState.WAITING and trial.user_attrs.get("state") != KNOWN]
    return sum(1 for _ in takewhile(lambda trial: not begun(trial), reversed(own)))


def finite(numbers: Mapping[str, float]) -> dict[str, float]:
    """Those that a study can hold: its attributes are JSON, which knows neither NaN nor infinity."""
    return {name: value for name, value in numbers.items() if math.isfinite(value)}
