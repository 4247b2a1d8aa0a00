"""From settings that exist already back to what a sampler would have picked: a config's, or another trial's."""

import re
from collections.abc import Callable, Mapping
from copy import deepcopy
from dataclasses import dataclass
from functools import partial
from typing import Any

from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution

from unetsep.audio.files import InputError
from unetsep.sweep.document import Config, label
from unetsep.sweep.domain import FRAGMENT, Choice, Option, Range, chosen, short
from unetsep.sweep.fold import MISSING, find, put
from unetsep.sweep.space import Resolve, Space, Suggestion

Answer = Callable[[str, Range | Choice], Any]
"""Gives, for a dotted key and its domain, a number of the range or an option of the choice; None if it is neither."""

_LEVEL = re.compile(r"(.+)_at\.(\d+)")  # `skip_at.3` says of a level what `skip` says of all others


@dataclass(frozen=True)
class Found:
    """A point of a space.

    Attributes:
        suggestion: its config.
        params: what was picked as the study stores it, by name.
        distributions: what it was picked from, by name.
    """

    suggestion: Suggestion
    params: dict[str, Any]
    distributions: dict[str, BaseDistribution]


def of_values(space: Space, values: Mapping[str, Any], resolve: Resolve) -> Found:
    """The point of a space with certain values, each as a config or as the study has it.

    Args:
        space: the space.
        values: by dotted key; those that are not searched must be what the space sets them to.
        resolve: the command line.

    Raises:
        InputError: naming the key that is missing, outside of the space or not what the space sets it to.
    """
    given = {short(key): value for key, value in values.items()}
    asked = set()

    def answer(key: str, domain: Range | Choice) -> Any:
        asked.add(short(key))
        if short(key) not in given:
            raise InputError(f"{key} is missing")
        found = chosen(domain, given[short(key)])
        if found is None:
            raise InputError(f"{key} is {label(given[short(key)])}, which is outside of the space")
        return found

    found = _walked(space, answer, resolve)
    for key, value in given.items():
        held = MISSING if key in asked else find(found.suggestion.config, key)
        if key not in asked and held != value:
            there = "there is no such key" if held is MISSING else f"it is {label(held)} there"
            raise InputError(f"{key} is {label(value)}, which is outside of the space: {there}")
    return found


def of_config(space: Space, resolved: Config, resolve: Resolve) -> list[Found]:
    """The points of a space that have a config's values in all that is searched: one for each fragment that fits.

    Args:
        space: the space.
        resolved: a config as the command line completes it.
        resolve: the command line.

    Raises:
        InputError: naming the key that is outside of the space.
    """
    whole = resolve(resolved)

    def answer(fragment: Option | None, key: str, domain: Range | Choice) -> Any:
        if key == FRAGMENT:
            return fragment
        held = find(whole, key)
        if held is MISSING and (level := _LEVEL.fullmatch(key)):
            held = find(whole, level[1])
        if held is MISSING:
            raise InputError(f"{key} is not set")
        found = chosen(domain, held)
        if found is None and isinstance(domain, Choice):
            found = next((option for option in domain.options if _says(option, held, key, whole, resolve)), None)
        if found is None:
            raise InputError(f"{key} is {label(held)}, which is outside of the space")
        return found

    found: list[Found] = []
    reasons: list[InputError] = []
    choice = space.domains.get(FRAGMENT)
    for fragment in choice.options if isinstance(choice, Choice) else (None,):
        try:
            found.append(_walked(space, partial(answer, fragment), resolve))
        except InputError as error:  # noqa: PERF203, of a handful
            reasons.append(error)
    if not found:
        raise reasons[0]
    return found


def _walked(space: Space, answer: Answer, resolve: Resolve) -> Found:
    params: dict[str, Any] = {}
    distributions: dict[str, BaseDistribution] = {}

    def pick(name: str, domain: Range | Choice) -> Any:
        found = answer(name.partition(" ")[0], domain)
        params[name] = found.name if isinstance(found, Option) else found
        distributions[name] = distribution_of(domain)
        return found

    return Found(space.suggest(pick, resolve), params, distributions)


def distribution_of(domain: Range | Choice) -> BaseDistribution:
    """What a domain is to the study: the same as when a trial is asked for it."""
    if isinstance(domain, Choice):
        return CategoricalDistribution([option.name for option in domain.options])
    if domain.integer:
        return IntDistribution(int(domain.low), int(domain.high), log=domain.log, step=int(domain.step or 1))
    return FloatDistribution(domain.low, domain.high, log=domain.log, step=domain.step)


def _says(option: Option, held: Any, key: str, whole: Config, resolve: Resolve) -> bool:
    """Whether a completed config holds, in other words, an option: putting it in would change nothing."""
    if isinstance(held, Mapping) and isinstance(option.value, str):
        return str(held.get("class_path")).rpartition(".")[2] == option.value.rpartition(".")[2]
    if not isinstance(option.value, Mapping | list):
        return False
    changed = deepcopy(whole)
    try:
        put(changed, key, option.value)
        return find(resolve(changed), key) == held
    except InputError:
        return False
