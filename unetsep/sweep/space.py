"""From a sweep's space to whole configs: a sampler's picks, folded into the base."""

import importlib
import inspect
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Protocol

from unetsep.audio.files import InputError
from unetsep.sweep.document import Config, label
from unetsep.sweep.domain import FRAGMENT, Choice, Domain, Fixed, Option, PerLevel, Range, branch_count, every_domain
from unetsep.sweep.fold import MISSING, find, layered, put

Resolve = Callable[[Config], Config]
"""Gives a config as the command line understands it, with full class paths; raises InputError where it refuses."""


class Pick(Protocol):
    """A sampler's answer for one name: a number of the range, or an option of the choice."""

    def __call__(self, name: str, domain: Range | Choice, /) -> Any: ...


@dataclass
class Suggestion:
    """One config of a space.

    Attributes:
        config: nested, not yet completed with defaults.
        params: what was picked, by dotted key, in order.
        steps: everything that was set, in order: what may be wrong when the config is refused.
    """

    config: Config
    params: dict[str, Any] = field(default_factory=dict)
    steps: list[tuple[str, Any]] = field(default_factory=list)


@dataclass(frozen=True)
class Space:
    """All configs that a sweep may try.

    Args:
        base: the config that every trial starts from.
        domains: what is searched, by dotted key.
        fragments: configs by the names under which the key `base` offers them.
        overrides: values by dotted key that hold for every trial and have the last word; what they set is not searched.
    """

    base: Config
    domains: dict[str, Domain]
    fragments: Mapping[str, Config] = field(default_factory=dict)
    overrides: Mapping[str, Any] = field(default_factory=dict)

    def suggest(self, pick: Pick, resolve: Resolve) -> Suggestion:
        """Asks `pick` for every name that exists under the picks before it, and folds the answers into the base.

        Args:
            pick: is given a name and its domain; the name is the dotted key unless that has several domains.
            resolve: finds the network's class, where only its defaults tell how many levels it has.

        Raises:
            InputError: if a key does not fit into the config.
        """
        suggestion = Suggestion(deepcopy(self.base))
        self._walk(self.domains, suggestion, pick, resolve, "", ())
        for key, value in self.overrides.items():
            self._set(suggestion, key, value)
        return suggestion

    def branches(self, resolve: Resolve) -> Iterator[Suggestion]:
        """Suggestions that together pick every option of every choice and both ends of every range."""
        picked: Counter[tuple[str, Any]] = Counter()

        def next_one(name: str, domain: Range | Choice) -> Any:
            if isinstance(domain, Range):
                ends = (domain.low, domain.high)
                index = min(range(2), key=lambda index: picked[name, index])
                picked[name, index] += 1
                return ends[index]
            # each option in turn, but one with a sub-space as often as that needs: D'Hondt's rule
            index = min(
                range(len(domain.options)),
                key=lambda index: (picked[name, index] + 1) / branch_count(domain.options[index].space),
            )
            picked[name, index] += 1
            return domain.options[index]

        for _ in range(branch_count(self.domains)):
            yield self.suggest(next_one, resolve)

    def check(self, resolve: Resolve) -> None:
        """Resolves one suggestion per branch, so that a typo costs a second and not a night.

        Raises:
            InputError: naming the key that is to blame, or that another part of the config sets anyway.
        """
        for suggestion in self.branches(resolve):
            try:
                resolved = resolve(suggestion.config)
            except InputError as error:
                raise InputError(self._blame(suggestion, resolve, str(error))) from None
            for key, value in suggestion.params.items():
                became = value if key == FRAGMENT else find(resolved, key)
                if not _holds(became, value):
                    raise InputError(
                        f"space: {key}: cannot be searched: it was set to {label(value)} and "
                        f"{'was dropped' if became is MISSING else f'became {label(became)}'}: another key of the "
                        "config decides it, so search that one"
                    )

    def _walk(
        self,
        domains: Mapping[str, Domain],
        suggestion: Suggestion,
        pick: Pick,
        resolve: Resolve,
        owner: str,
        path: tuple[str, ...],
    ) -> None:
        for key, domain in domains.items():
            full = owner + key if key.startswith(".") else key
            if isinstance(domain, PerLevel):
                for level in range(domain.first, self._levels(full, suggestion, resolve)):
                    self._visit(f"{full}.{level}", f"{full}.*", domain.each, suggestion, pick, resolve, path)
            else:
                self._visit(full, full, domain, suggestion, pick, resolve, path)

    def _visit(
        self,
        key: str,
        pattern: str,
        domain: Range | Choice | Fixed,
        suggestion: Suggestion,
        pick: Pick,
        resolve: Resolve,
        path: tuple[str, ...],
    ) -> None:
        given = self.overrides.get(key, self.overrides.get(pattern.removesuffix(".*"), MISSING))
        if given is not MISSING:
            option = _option_of(domain, given)
        else:
            name = f"{key} [{', '.join(path)}]" if pattern in self._ambiguous else key
            picked = domain.value if isinstance(domain, Fixed) else pick(name, domain)
            option = picked if isinstance(picked, Option) else Option(picked, picked, {})
            self._set(suggestion, key, option.value)
            if not isinstance(domain, Fixed):
                suggestion.params[key] = option.value
        self._walk(option.space, suggestion, pick, resolve, key, (*path, _step(key, option)))

    def _set(self, suggestion: Suggestion, key: str, value: Any) -> None:
        suggestion.steps.append((key, value))
        if key == FRAGMENT:
            suggestion.config = layered(suggestion.config, self.fragments[value])
        else:
            put(suggestion.config, key, value)

    def _levels(self, key: str, suggestion: Suggestion, resolve: Resolve) -> int:
        """How many levels the network with the argument `key` has: its `depth`, suggested, given or by default."""
        depth_key = f"{key.rpartition('.')[0]}.depth"
        depth = self.overrides.get(depth_key, find(suggestion.config, depth_key))
        if depth is MISSING:
            try:
                resolved = resolve(suggestion.config)
            except InputError as error:
                raise InputError(self._blame(suggestion, resolve, str(error))) from None
            depth = _default(find(resolved, depth_key.removesuffix(".init_args.depth")), "depth")
        if not isinstance(depth, int):
            raise InputError(f"space: {key}: per_level needs the number of levels, but there is no {depth_key}")
        return depth

    @cached_property
    def _ambiguous(self) -> frozenset[str]:
        """The keys with different domains in different branches: each branch's is a name of its own for the sampler."""
        found: dict[str, Domain] = {}
        several = set()
        for key, domain in every_domain(self.domains):
            if found.setdefault(key, domain) != domain:
                several.add(key)
        return frozenset(several)

    def _blame(self, suggestion: Suggestion, resolve: Resolve, message: str) -> str:
        """The message, preceded by the first step after which no config is accepted any more."""
        partial, guilty = Suggestion(deepcopy(self.base)), "base"
        for step in [None, *suggestion.steps]:
            if step is not None:
                self._set(partial, *step)
            try:
                resolve(partial.config)
                guilty = ""
            except InputError as error:
                if step is not None and not guilty:
                    place = "overrides" if step[0] in self.overrides else "space"
                    guilty, message = f"{place}: {step[0]} ({label(step[1])})", str(error)
        return f"{guilty}: {message}" if guilty else message


def _default(part: Any, argument: str) -> Any:
    """What a class that a config names takes for an argument that the config does not give."""
    module, _, name = str(part.get("class_path") if isinstance(part, Mapping) else "").rpartition(".")
    if not module:
        return MISSING
    parameters = inspect.signature(getattr(importlib.import_module(module), name)).parameters
    return parameters[argument].default if argument in parameters else MISSING


def _option_of(domain: Range | Choice | Fixed, value: Any) -> Option:
    options = domain.options if isinstance(domain, Choice) else ()
    return next((option for option in options if option.value == value), Option(value, value, {}))


def _step(key: str, option: Option) -> str:
    name = next((part for part in reversed(key.split(".")) if part not in ("init_args", "class_path")), key)
    return f"{name}={option.name}"


def _holds(resolved: Any, value: Any) -> bool:
    """Whether a completed config still holds what was set; a class may be spelled out, a number read from a string."""
    if resolved is MISSING:
        return False
    if isinstance(resolved, Mapping) and isinstance(value, str):
        resolved = str(resolved.get("class_path"))
    if isinstance(resolved, str) and isinstance(value, str):
        return resolved.rpartition(".")[2] == value.rpartition(".")[2]
    return type(resolved) is not type(value) or isinstance(value, Mapping) or bool(resolved == value)
