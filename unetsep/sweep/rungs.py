"""Asynchronous successive halving on the Pareto front: who trains on, and whether a short training predicts a long one.

ASHA (Li et al., A System for Massively Parallel Hyperparameter Tuning, 2020) trains every config a little and lets the
best 1/eta of those that have come as far go on, without waiting for the others; MO-ASHA (Schmucker et al.,
Multi-objective Asynchronous Successive Halving, 2021) takes the rank in the Pareto front for "best".
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, TypeAlias

import moocore
import numpy as np
from scipy.stats import spearmanr

from unetsep.audio.files import InputError
from unetsep.sweep.document import label

Unit: TypeAlias = Literal["epochs", "steps", "seconds"]
UNITS: tuple[Unit, ...] = ("epochs", "steps", "seconds")
FEWEST = 5  # trainings that reached two rungs, below which their rank correlation says nothing
FAITHFUL = 0.5  # a rank correlation below which a rung is no guide to the next one
_REFERENCE = 1.1  # a little worse than the worst of a front, whose objectives lie from 0 to 1


class Stop(NamedTuple):
    """How far a training goes, counted from its very beginning: to the end of the epoch in which it has done so much.

    Attributes:
        unit: of the amount; seconds are those of training, without validation.
        amount: above 0.
    """

    unit: Unit
    amount: float

    def __str__(self) -> str:
        return f"{self.amount:g} {self.unit}"


@dataclass(frozen=True)
class Rungs:
    """The lengths of training at which a sweep looks and decides.

    Attributes:
        unit: of the amounts.
        amounts: ascending; the last one is the whole training.
        eta: of those that reached a rung, one in so many goes on.
    """

    unit: Unit
    amounts: tuple[float, ...]
    eta: float

    @property
    def settings(self) -> dict[str, Any]:
        """What the trainer is told, by dotted key: the whole training's length, which a schedule needs to know."""
        last = self.amounts[-1]
        if self.unit == "epochs":
            return {"trainer.max_epochs": int(last)}
        return {"trainer.max_epochs": -1} | ({"trainer.max_steps": int(last)} if self.unit == "steps" else {})

    def stop(self, level: int) -> Stop | None:
        """Where the training to a rung stops; None where it ends by itself."""
        ends = level == len(self.amounts) - 1 and self.unit != "seconds"
        return None if ends else Stop(self.unit, self.amounts[level])


def read_rungs(given: Any) -> Rungs | None:
    """The rungs that a sweep's file describes as `{unit: epochs, first: 1, eta: 3, last: 27}`; None for none.

    Raises:
        InputError: naming the key that is wrong.
    """
    if given is None:
        return None
    form = "{unit: epochs, first: 1, eta: 3, last: 27}"
    if not isinstance(given, Mapping) or set(given) != {"unit", "first", "eta", "last"}:
        raise InputError(f"rungs: is {label(given)}, but must be like {form}")
    unit, first, eta, last = (given[key] for key in ("unit", "first", "eta", "last"))
    if unit not in UNITS:
        raise InputError(f"rungs: unit is {label(unit)}, but must be one of {', '.join(UNITS)}")
    for key, value in (("first", first), ("eta", eta), ("last", last)):
        number = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
        whole = key != "eta" and unit != "seconds"
        if not number or not value > (1 if key == "eta" else 0) or (whole and not isinstance(value, int)):
            kind = "a number above 1" if key == "eta" else f"a {'whole ' * whole}number above 0"
            raise InputError(f"rungs: {key} is {label(value)}, but must be {kind}")
    if not first < last:
        raise InputError(f"rungs: first is {first} and last {last}, but first must be less than last")
    amounts = [first]
    # half a step short of the last rung would be as good as the last one
    while (after := amounts[-1] * eta) < last / math.sqrt(eta):
        amounts.append(after if unit == "seconds" else max(round(after), amounts[-1] + 1))
    return Rungs(unit, (*amounts, last), eta)


def ranking(points: Sequence[Sequence[float]], maximize: Sequence[bool]) -> list[int]:
    """Indices of points, best first: by non-dominated rank, and within a rank by what each adds to the hypervolume.

    Within a rank the point whose loss costs the front least is taken out, again and again, so that of two alike only
    one comes late. What is NaN or infinite comes last. Ties go to the earlier point.

    Args:
        points: one row per trial, one value per objective, each on a scale where equal steps weigh alike.
        maximize: for each objective, True if more is better.
    """
    finite = [index for index, point in enumerate(points) if all(map(math.isfinite, point))]
    others = [index for index in range(len(points)) if index not in set(finite)]
    if not finite:
        return others
    losses = np.array([points[index] for index in finite]) * np.where(maximize, -1.0, 1.0)
    ranks = moocore.pareto_rank(losses)
    order: list[int] = []
    for rank in range(int(ranks.max()) + 1):
        members = np.flatnonzero(ranks == rank)
        order += [finite[members[each]] for each in _by_contribution(losses[members])]
    return order + others


def _by_contribution(losses: np.ndarray) -> list[int]:
    """Indices of points that do not dominate each other, the most needed first."""
    if losses.shape[1] == 1 or len(losses) < 3:
        return list(range(len(losses)))
    low, high = losses.min(0), losses.max(0)
    scaled = (losses - low) / np.where(high > low, high - low, 1.0)
    left, order = list(range(len(losses))), []
    while left:
        added = moocore.hv_contributions(scaled[left], ref=_REFERENCE)
        order.append(left.pop(len(left) - 1 - int(np.argmin(added[::-1]))))
    return order[::-1]


def promoted(points: Sequence[Sequence[float]], maximize: Sequence[bool], eta: float, at_least: int = 0) -> list[int]:
    """Indices of the points at a rung that may go on to the next one, best first: the top 1/eta, rounded down.

    Args:
        points: what every trial that reached the rung had there, objective by objective.
        maximize: for each objective, True if more is better.
        eta: one in so many goes on.
        at_least: how many go on in any case.
    """
    return ranking(points, maximize)[: max(int(len(points) / eta + 1e-9), at_least)]


def correlation(shorter: Sequence[float], longer: Sequence[float]) -> float:
    """Spearman's rank correlation between the scores at two rungs, trial by trial; NaN for fewer than `FEWEST` trials.

    Where only the best went on it is that among the best, and so lower than among all.
    """
    if len(shorter) < FEWEST or len(set(shorter)) < 2 or len(set(longer)) < 2:
        return math.nan
    return float(spearmanr(shorter, longer).statistic)
