"""What a sweep varied: its settings, their values, and how much each matters."""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution
from optuna.importance import FanovaImportanceEvaluator, get_param_importances
from sklearn.ensemble import RandomForestRegressor

from unetsep.report.run import Run, Trial
from unetsep.sweep.wording import show_choice

FEW = 8
"""A setting that took no more values than this in a sweep is a choice between them, not a range."""

LEAST = 10
"""Trials below which nothing is said of the settings' importance."""

FORETOLD = 0.1
"""The part of the differences in score that the settings must foretell before it is shared out among them."""

TREES = 32
"""Of the forest behind the importances: twice as many take seconds over 500 trials, and say the same."""

_LEVEL = re.compile(r".*\.skip_at\.(\d+)")


@dataclass(frozen=True)
class Setting:
    """One setting that a sweep varied.

    Attributes:
        key: Its dotted config key.
        name: What it is called within the sweep.
        field: Its field in the charts' data.
        values: The values that measured trials took, each once, in order: numbers from the smallest up.
        shown: The same as one reads them.
        is_range: Whether it is a number that took many values, so that most trials have one of their own.
    """

    key: str
    name: str
    field: str
    values: tuple[Any, ...]
    shown: tuple[str, ...]
    is_range: bool = False

    def has(self, trial: Trial) -> bool:
        """Whether the trial has this setting: a deep level's skip is none of a shallow network's."""
        return math.isfinite(trial.value(self.key)) if self.key.startswith("cost/") else self.key in trial.params

    def of(self, trial: Trial) -> Any:
        """Its value in a trial that has it: a number of a range, otherwise a choice as one reads it."""
        value = self._value(trial)
        return value if self.is_range else legible(value)

    def _value(self, trial: Trial) -> Any:
        return int(trial.value(self.key)) if self.key.startswith("cost/") else trial.params[self.key]

    @property
    def level(self) -> int | None:
        """The level whose skip it is."""
        match = _LEVEL.fullmatch(self.key)
        return int(match[1]) if match else None


def settings_of(run: Run) -> list[Setting]:
    """The settings with more than one value among the measured trials, in the order in which they were suggested.

    Depth is one of them wherever it differs, whatever it follows from.
    """
    names = run.names
    if not any(name.split(".")[-1] == "depth" for name in names.values()):
        names = {"cost/depth": "depth", **names}
    settings = []
    for index, (key, name) in enumerate(names.items()):
        name = legible(name)
        open_end = Setting(key, name, f"s{index}", (), ())
        found = [open_end._value(trial) for trial in run.ranked if open_end.has(trial)]
        taken = {legible(value): value for value in found}
        if len(taken) < 2:
            continue
        numeric = all(is_number(value) for value in taken.values())
        shown = tuple(sorted(taken, key=taken.__getitem__ if numeric else None))
        many = len(taken) > FEW or (len(taken) > len(found) / 2 and any(isinstance(value, float) for value in found))
        values = tuple(taken[text] for text in shown)
        settings.append(Setting(key, name, f"s{index}", values, shown, is_range=numeric and many))
    return settings


def legible(value: Any) -> str:
    """A setting's value or name as one reads it; line ends and the like, which Vega's expressions refuse, as �."""
    return "".join(letter if letter.isprintable() else "\ufffd" for letter in show_choice(value))


def fields(settings: Sequence[Setting], trial: Trial) -> dict[str, Any]:
    """A trial's settings, by their fields in the charts' data."""
    return {setting.field: setting.of(trial) for setting in settings if setting.has(trial)}


@dataclass(frozen=True)
class Importances:
    """How much the settings matter, as far as the trials tell.

    Attributes:
        shares: of the differences in score that a forest of trees explains by them, by key, the largest first; they
            sum to 1.
        explained: the part of the differences that such a forest foretells of trials that it has not seen, 0 to 1.
        trials: How many were compared.
        amount: How long all of these had been trained, in the rungs' unit; NaN without rungs.
    """

    shares: dict[str, float]
    explained: float
    trials: int
    amount: float


def importances(run: Run, settings: Sequence[Setting]) -> Importances | None:
    """How much of the differences in score each setting explains; None where that cannot be told.

    By fANOVA, with a forest fitted to the trials (Hutter et al. 2014), over the settings that every measured trial has:
    of one that only some have, such as the skip of a deep level, no importance is known. All are compared at one length
    of training, the highest rung that ten reached: else what was promoted would seem to be better for its settings. It
    cannot be told of fewer than ten trials, and where a forest foretells next to nothing.
    """
    compared, amount = _at_one_length(run)
    everywhere = [setting for setting in settings if all(map(setting.has, run.ranked))]
    values = [value for _, value in compared]
    if len(compared) < LEAST or not everywhere or min(values) == max(values):
        return None
    ranges: dict[str, BaseDistribution] = {setting.key: _distribution(setting) for setting in everywhere}
    columns = [[_place(setting, trial) for setting in everywhere] for trial, _ in compared]
    forest = RandomForestRegressor(n_estimators=200, oob_score=True, random_state=0).fit(columns, values)
    if forest.oob_score_ < FORETOLD:
        return None
    optuna.logging.set_verbosity(optuna.logging.WARNING)  # it would tell of a new study
    study = optuna.create_study(direction="maximize" if run.objectives[run.score] else "minimize")
    for trial, value in compared:
        params = {setting.key: setting.of(trial) for setting in everywhere}
        study.add_trial(optuna.create_trial(params=params, distributions=ranges, value=value))
    shares = get_param_importances(study, evaluator=FanovaImportanceEvaluator(n_trees=TREES, seed=0))
    told = {key: float(share) for key, share in shares.items()}
    return Importances(told, float(forest.oob_score_), len(compared), amount)


def _at_one_length(run: Run) -> tuple[list[tuple[Trial, float]], float]:
    """The trials with their scores at the highest rung that enough of them reached, and how long that was."""
    for level in reversed(range(len(run.rungs.amounts) if run.rungs else 0)):
        there = [trial for trial in run.ranked if len(trial.rungs) > level]
        scored = [(trial, trial.rungs[level].get(run.score, math.nan)) for trial in there]
        scored = [pair for pair in scored if math.isfinite(pair[1])]
        if len(scored) >= LEAST and run.rungs:
            return scored, float(run.rungs.amounts[level])
    scored = [(trial, trial.value(run.score)) for trial in run.ranked if math.isfinite(trial.value(run.score))]
    return ([], math.nan) if run.rungs else (scored, math.nan)


def _place(setting: Setting, trial: Trial) -> float:
    """The setting as a number: of a range its own, of a choice its place among them."""
    value = setting.of(trial)
    return float(value) if setting.is_range else float(setting.shown.index(value))


def _distribution(setting: Setting) -> BaseDistribution:
    if not setting.is_range:
        return CategoricalDistribution(setting.shown)
    low, high = float(setting.values[0]), float(setting.values[-1])
    return FloatDistribution(low, high, log=low > 0 and high / low >= 10)


def is_number(value: Any) -> bool:
    """Whether a setting's value is a number: True, False and infinity are choices."""
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
