"""Whether a sweep can be answered at all, before anything is trained or written."""

import math
from collections.abc import Callable, Iterator
from itertools import islice
from random import Random

from unetsep.audio.files import InputError
from unetsep.sweep.document import Config, label
from unetsep.sweep.listed import FixedList
from unetsep.sweep.lookup import of_values
from unetsep.sweep.picks import by_chance
from unetsep.sweep.question import Sweep
from unetsep.sweep.sampling import exhaustive, make_sampler
from unetsep.sweep.space import Resolve, Suggestion

DRAWS = 200  # configs of which none meets the budget: then nothing does
LISTED = 1000  # configs of a list that are looked at

Build = Callable[[Config], dict[str, float]]
"""Gives a resolved config's cost card, without what takes seconds to measure; InputError if there is no network."""


def check_sweep(sweep: Sweep, resolve: Resolve, build: Build) -> Suggestion:
    """Refuses a space with keys that no config has, a list with points outside of it and a budget that nothing meets.

    Args:
        sweep: the question.
        resolve: the command line.
        build: knows the cost of a config.

    Returns:
        A suggestion whose network can be built.

    Raises:
        InputError: naming the file and the key.
    """
    try:
        sampler = make_sampler(sweep.document["sampler"], sweep.document["seed"], 0)
        if sweep.trials is None and not exhaustive(sampler):
            raise InputError("trials: is missing; only samplers of lists and grids know their end")
        first = sweep.space.check(resolve, build)
        if isinstance(sampler, FixedList):
            _check_list(sweep, sampler, resolve)
        meets_budget(sweep, resolve, build)
    except InputError as error:
        raise InputError(f"{sweep.source}: {error}") from None
    return first


def _check_list(sweep: Sweep, sampler: FixedList, resolve: Resolve) -> None:
    point = 0
    try:
        for point in range(min(len(sampler.trials), LISTED)):
            of_values(sweep.space, sampler.trials[point], resolve)
    except InputError as error:
        given = sweep.document["sampler"]
        listed = isinstance(given, dict) and "trials" in given["init_args"]
        place = f"trial {point + 1} of the list" if listed else "search_space"
        raise InputError(f"sampler: {place}: {error}") from None


def meets_budget(sweep: Sweep, resolve: Resolve, build: Build) -> None:
    """Draws configs until one meets the budget: every branch of the space first, then by chance.

    Of the budget, what is measured on this machine is left to the trials.

    Raises:
        InputError: if none of many does, naming what the nearest one costs.
    """
    if not sweep.budget:
        return
    drawn: list[tuple[float, str, float]] = []  # how many times over the limit, of what, and what it is
    seen = set()
    for suggestion in islice(_draws(sweep, resolve), DRAWS):
        if (params := label(suggestion.params)) in seen:
            continue
        seen.add(params)
        try:
            cost = build(resolve(suggestion.config))
        except (InputError, ValueError):
            continue
        parts = [(_part(cost[key], limit), key) for key, limit in sweep.budget.items() if key in cost]
        excess, key = max(parts, default=(0.0, ""))
        if excess <= 1:
            return
        drawn.append((excess, key, cost[key]))
    if drawn:
        _, key, value = min(drawn, key=lambda each: each[0])
        raise InputError(
            f"budget: none of {len(drawn)} configs drawn meets it; the nearest has {key} {_said(value)}, "
            f"over {_said(sweep.budget[key])}"
        )


def _part(value: float, limit: float) -> float:
    return math.inf if math.isnan(value) else value / limit


def _draws(sweep: Sweep, resolve: Resolve) -> Iterator[Suggestion]:
    yield from sweep.space.branches(resolve)
    random = Random(sweep.document["seed"])
    while True:
        yield sweep.space.suggest(lambda _, domain: by_chance(random, domain), resolve)


def _said(value: float) -> str:
    return f"{value:,.0f}" if 1000 <= value < math.inf or float(value).is_integer() else f"{value:.3g}"
