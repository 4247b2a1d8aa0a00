"""Answers to what a space asks that need no sampler: each in turn, or one by chance."""

import math
from collections import Counter
from random import Random
from typing import Any, Protocol

from unetsep.sweep.domain import Choice, Range, branch_count


class Pick(Protocol):
    """A sampler's answer for one name: a number of the range, or an option of the choice."""

    def __call__(self, name: str, domain: Range | Choice, /) -> Any: ...


class InTurn:
    """Answers so that, one suggestion after the other, every option comes and both ends of every range."""

    def __init__(self) -> None:
        self.picked: Counter[tuple[str, Any]] = Counter()

    def __call__(self, name: str, domain: Range | Choice, /) -> Any:
        """The end, or the option, whose turn it is."""
        if isinstance(domain, Range):
            ends = (domain.low, domain.high)
            index = min(range(2), key=lambda index: self.picked[name, index])
            self.picked[name, index] += 1
            return ends[index]
        # each option in turn, but one with a sub-space as often as that needs: D'Hondt's rule
        index = min(
            range(len(domain.options)),
            key=lambda index: (self.picked[name, index] + 1) / branch_count(domain.options[index].space),
        )
        self.picked[name, index] += 1
        return domain.options[index]


def by_chance(random: Random, domain: Range | Choice) -> Any:
    """A number of a range, or an option of a choice, each as likely as the others."""
    if isinstance(domain, Choice):
        return random.choice(domain.options)
    if domain.log:
        drawn = math.exp(random.uniform(math.log(domain.low), math.log(domain.high)))
        return round(drawn) if domain.integer else min(max(drawn, domain.low), domain.high)
    if (step := domain.step or int(domain.integer)) == 0:
        return random.uniform(domain.low, domain.high)
    return domain.low + step * random.randint(0, int((domain.high - domain.low) / step + 1e-9))
