"""From a sweep's space to whole configs: a sampler's picks, folded into the base."""

import importlib
import inspect
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from copy import deepcopy
from dataclasses import dataclass, field
from functools import cached_property
from random import Random
from typing import Any

from unetsep.audio.files import InputError
from unetsep.sweep.document import Config, label
from unetsep.sweep.domain import (
    FRAGMENT,
    Choice,
    Domain,
    Fixed,
    Option,
    PerLevel,
    Range,
    branch_count,
    every_domain,
    short,
)
from unetsep.sweep.fold import MISSING, find, layered, put
from unetsep.sweep.picks import InTurn, Pick, by_chance

TRIES = 16  # random configs with one option of a choice, none of which has a network: then the option is an error

Resolve = Callable[[Config], Config]
"""Gives a config as the command line understands it, with full class paths; raises InputError where it refuses."""


@dataclass
class Suggestion:
    """One config of a space.

    Attributes:
        config: nested, not yet completed with defaults.
        params: what was picked, by dotted key, in order.
        steps: everything that was set, in order: what may be wrong when the config is refused.
        options: the options that were picked, each as its choice's name and its value in YAML, after one that all have.
    """

    config: Config
    params: dict[str, Any] = field(default_factory=dict)
    steps: list[tuple[str, Any]] = field(default_factory=list)
    options: dict[tuple[str, str], None] = field(default_factory=lambda: {("", ""): None})


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
        pick = InTurn()
        for _ in range(branch_count(self.domains)):
            yield self.suggest(pick, resolve)

    def check(self, resolve: Resolve, build: Callable[[Config], Any] | None = None) -> Suggestion:
        """Resolves and builds one suggestion per branch, so that a typo costs a second and not a night.

        Args:
            resolve: refuses what no config may say.
            build: refuses a resolved config that describes no network. Some may: only an option of a choice with which
                no network is found is an error.

        Returns:
            The first suggestion whose network can be built.

        Raises:
            InputError: naming the key that is to blame, or that another part of the config sets anyway.
        """

        def try_to_build(config: Config) -> Config:
            resolved = resolve(config)
            if build is not None:
                build(resolved)
            return resolved

        built: list[Suggestion] = []
        failed: dict[tuple[str, str], tuple[Suggestion, str]] = {}
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
            try:
                try_to_build(suggestion.config)
                built.append(suggestion)
            except InputError as error:
                for option in suggestion.options:
                    failed.setdefault(option, (suggestion, str(error)))
        for option, (suggestion, message) in failed.items():
            if not any(option in other.options for other in built):
                if (found := self._search(option, resolve, try_to_build)) is None:
                    raise InputError(self._blame(suggestion, try_to_build, message))
                built.append(found)
        return built[0]

    def _search(self, option: tuple[str, str], resolve: Resolve, try_to_build: Resolve) -> Suggestion | None:
        """A suggestion with a certain option whose network can be built, if chance finds one."""
        random = Random(0)

        def chance(name: str, domain: Range | Choice) -> Any:
            if isinstance(domain, Choice):
                wanted = [each for each in domain.options if (name, label(each.value)) == option]
                return random.choice(wanted or domain.options)
            return by_chance(random, domain)

        tries = 0
        for _ in range(200):
            suggestion = self.suggest(chance, resolve)
            if option in suggestion.options and tries < TRIES:
                tries += 1
                with suppress(InputError):
                    try_to_build(suggestion.config)
                    return suggestion
        return None

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
        given = self._override(key, self._override(pattern.removesuffix(".*"), MISSING))
        if given is not MISSING:
            option = _option_of(domain, given)
        else:
            name = f"{key} [{', '.join(path)}]" if pattern in self._ambiguous else key
            picked = domain.value if isinstance(domain, Fixed) else pick(name, domain)
            option = picked if isinstance(picked, Option) else Option(picked, picked, {})
            self._set(suggestion, key, option.value)
            if not isinstance(domain, Fixed):
                suggestion.params[key] = option.value
            if isinstance(domain, Choice):
                suggestion.options[name, label(option.value)] = None
        self._walk(option.space, suggestion, pick, resolve, key, (*path, _step(key, option)))

    def _set(self, suggestion: Suggestion, key: str, value: Any) -> None:
        suggestion.steps.append((key, value))
        if key == FRAGMENT:
            suggestion.config = layered(suggestion.config, self.fragments[value])
        else:
            put(suggestion.config, key, value)

    def _override(self, key: str, otherwise: Any) -> Any:
        """What the overrides set a key to, whichever of the two spells out the `init_args` on its way."""
        return next((value for given, value in self.overrides.items() if short(given) == short(key)), otherwise)

    def _levels(self, key: str, suggestion: Suggestion, resolve: Resolve) -> int:
        """How many levels the network with the argument `key` has: its `depth`, suggested, given or by default."""
        depth_key = f"{key.rpartition('.')[0]}.depth"
        depth = self._override(depth_key, find(suggestion.config, depth_key))
        if depth is MISSING:
            try:
                resolved = resolve(suggestion.config)
            except InputError as error:
                raise InputError(self._blame(suggestion, resolve, str(error))) from None
            depth = _default(find(resolved, depth_key.removesuffix(".depth").removesuffix(".init_args")), "depth")
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
