"""Whether short trainings predict long ones: what a sweep's own rungs say about it."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Protocol

from unetsep.sweep.rungs import FAITHFUL, FEWEST, Rungs, correlation
from unetsep.sweep.wording import amount_of


class Trained(Protocol):
    """A trial with its scores, by name, at every rung that it reached."""

    @property
    def rungs(self) -> Sequence[Mapping[str, float]]: ...


@dataclass(frozen=True)
class Agreement:
    """How the scores at two rungs agree.

    Attributes:
        unit: of the amounts: epochs, steps or seconds.
        shorter: the amount of training at the lower rung.
        longer: that at the higher one.
        first: whether the lower rung is the first.
        trials: how many trials have a score at both.
        correlation: Spearman's, from -1 to 1, of their scores; NaN where it says nothing.
    """

    unit: str
    shorter: float
    longer: float
    first: bool
    trials: int
    correlation: float

    @property
    def faithful(self) -> bool | None:
        """Whether the lower rung predicts the higher one; None if that cannot be said."""
        return None if math.isnan(self.correlation) else self.correlation >= FAITHFUL

    @property
    def sentence(self) -> str:
        """The finding, and what to do about it."""
        short = f"{amount_of(self.shorter)} {self.unit[:-1] if self.shorter == 1 else self.unit}"
        both = f"{amount_of(self.shorter)} and of {amount_of(self.longer)} {self.unit}"
        if self.trials < FEWEST:
            number = {0: "No trial has", 1: "Only 1 trial has"}.get(self.trials, f"Only {self.trials} trials have")
            return f"{number} a score after trainings of {both}: too few to say whether one predicts the other."
        if self.faithful is None:
            return f"The {self.trials} trials with trainings of {both} all score alike: nothing predicts anything."
        found = f"rank correlation {self.correlation:.2f} over {self.trials} trials"
        if self.faithful:
            return f"A training of {short} predicts one of {amount_of(self.longer)}: {found}."
        advice = "begin with larger rungs.first" if self.first else "give a larger rungs.first, or a smaller rungs.eta"
        return f"A training of {short} hardly predicts one of {amount_of(self.longer)} ({found}): {advice}."


def agreements(trials: Sequence[Trained], rungs: Rungs, measure: str) -> list[Agreement]:
    """How the scores agree at every two neighbouring rungs, and at the first and the last.

    Only the best went on from a rung, so that among the trials at both the correlation is lower than it would be among
    all.

    Args:
        trials: the sweep's trials, whatever became of them.
        rungs: the sweep's rungs.
        measure: the score, such as `val/usdr`.
    """
    last = len(rungs.amounts) - 1
    pairs = [*pairwise(range(last + 1))] + ([(0, last)] if last > 1 else [])
    found = []
    for low, high in pairs:
        scores = [(each.rungs[low].get(measure, math.nan), each.rungs[high].get(measure, math.nan))
                  for each in trials if len(each.rungs) > high]  # fmt: skip
        finite = [pair for pair in scores if all(map(math.isfinite, pair))]
        value = correlation([short for short, _ in finite], [long for _, long in finite])
        amounts = rungs.amounts[low], rungs.amounts[high]
        found.append(Agreement(rungs.unit, *amounts, first=low == 0, trials=len(finite), correlation=value))
    return found


def faithfulness(trials: Sequence[Trained], rungs: Rungs, measure: str) -> list[str]:
    """The findings of `agreements`, in sentences; too few trials from the first to the last rung need no word twice."""
    *neighbours, ends = agreements(trials, rungs, measure)
    return [
        each.sentence for each in (*neighbours, ends) if each is not ends or not neighbours or each.trials >= FEWEST
    ]
