"""The sampler of a sweep, by class path, and what it is shown of a study."""

import importlib
import inspect
import zlib
from collections.abc import Container, Iterator, Mapping, Sequence
from copy import copy
from copy import deepcopy as copied
from typing import Any

import numpy as np
import optuna
from optuna.distributions import BaseDistribution
from optuna.samplers import (
    BaseGASampler,
    BaseSampler,
    BruteForceSampler,
    GPSampler,
    GridSampler,
    QMCSampler,
    RandomSampler,
)
from optuna.trial import FrozenTrial, TrialState

from unetsep.audio.files import InputError
from unetsep.sweep.document import label
from unetsep.sweep.listed import FixedList, grid
from unetsep.sweep.standing import point, rungs_of
from unetsep.sweep.study import experiments_allowed


def make_sampler(given: Any, seed: int, number: int) -> BaseSampler:
    """A sampler for one trial.

    Its random numbers depend on the sweep's seed and the trial's number alone, so that a sweep that was stopped and
    started again suggests what it would have suggested, and not its first suggestions once more.

    Args:
        given: a class path, or a mapping with `class_path` and `init_args`; Optuna's samplers and `FixedList` need no
            module's name.
        seed: the sweep's seed.
        number: the trial's number.

    Raises:
        InputError: if there is no such sampler, or it takes no such argument.
    """
    content: Any = {"class_path": given} if isinstance(given, str) else given
    if not isinstance(content, Mapping) or not {"class_path"} <= set(content) <= {"class_path", "init_args"}:
        raise InputError(f"sampler: is {label(given)}, but must be {{class_path: TPESampler, init_args: {{...}}}}")
    module, _, name = str(content["class_path"]).rpartition(".")
    try:
        found = FixedList if not module and name == "FixedList" else None
        found = found or getattr(importlib.import_module(module or "optuna.samplers"), name)
    except (ImportError, AttributeError, ValueError):
        found = None
    if not (inspect.isclass(found) and issubclass(found, BaseSampler)):
        known = [each for each in optuna.samplers.__all__ if each.endswith("Sampler") and not each.startswith("Base")]
        raise InputError(f"sampler: there is no {content['class_path']}; there are {', '.join([*known, 'FixedList'])}")
    arguments = content.get("init_args") or {}
    if not isinstance(arguments, Mapping):
        raise InputError(f"sampler: init_args is {label(arguments)}, but must be a mapping")
    own = int(np.random.SeedSequence([seed, number]).generate_state(1)[0])
    try:
        with experiments_allowed():
            return _made(found, dict(arguments), seed, number, own)
    except (TypeError, ValueError, ImportError) as error:
        reason = " ".join(str(error).split()).replace(f"{name}.__init__() ", "")
        raise InputError(f"sampler: {name} cannot be made with {label(dict(arguments))}: {reason}") from None


def _made(kind: Any, arguments: dict[str, Any], seed: int, number: int, own: int) -> BaseSampler:
    """A sampler of a class, with a seed of its own for every trial."""
    if kind is GridSampler:
        # Optuna's finds its place by the trial's number, of which a refused or known config takes one too
        return grid(**{"seed": seed, **arguments})
    if issubclass(kind, QMCSampler):  # one sequence for all trials, of which each takes its own point
        sampler: BaseSampler = kind(**{"seed": seed, "independent_sampler": RandomSampler(seed=own), **arguments})
        vars(sampler)["_find_sample_id"] = lambda *_: number
    else:
        seeded = {"seed": own} if "seed" in inspect.signature(kind).parameters else {}
        sampler = kind(**{**seeded, **arguments})
    if hasattr(sampler, "_warn_independent_sampling"):
        sampler._warn_independent_sampling = False  # one by one is how keys that depend on choices are suggested
    return sampler


def exhaustive(sampler: BaseSampler) -> bool:
    """Whether a sampler knows its end, so that a sweep needs no number of trials."""
    return isinstance(sampler, FixedList | BruteForceSampler)


def seen(trials: Sequence[FrozenTrial], measures: Sequence[str], enough: int = 10) -> list[FrozenTrial]:
    """A study's trials as a sampler may compare them: at the highest rung that at least so many have reached.

    Trials that reached only lower rungs are left out, for a short training compares with no longer one. What another
    sweep trained to its end stays as it is.

    Args:
        trials: the study's.
        measures: the objectives.
        enough: how many it takes for a rung to be looked at; the first rung is, however many reached it.
    """
    reached = [len(rungs_of(trial)) for trial in trials if trial.state != TrialState.FAIL]
    level = next((level for level in range(max(reached, default=0) - 1, 0, -1) if _above(reached, level) >= enough), 0)
    shown = []
    for trial in trials:
        if trial.state == TrialState.FAIL or not rungs_of(trial):
            shown.append(trial)
        elif len(rungs_of(trial)) > level:
            shown.append(_completed(trial, point(trial, level, measures)))
    return shown


def _above(reached: Sequence[int], level: int) -> int:
    return sum(count > level for count in reached)


def latest(trials: Sequence[FrozenTrial], measures: Sequence[str]) -> list[FrozenTrial]:
    """A study's trials, each with what it had at the highest rung that it reached."""
    return [
        _completed(trial, point(trial, -1, measures)) if rungs_of(trial) and trial.state != TrialState.FAIL else trial
        for trial in trials
    ]


def with_refused(trials: Sequence[FrozenTrial], most: int = 50) -> list[FrozenTrial]:
    """Trials, of which the last refused ones count as measured: in the middle of the others, and over the budget.

    A sampler that looks at measured trials alone never learns where the budget ends.
    """
    measured = [trial for trial in trials if trial.state == TrialState.COMPLETE]
    if not measured:
        return list(trials)
    middle = [float(value) for value in np.median([trial.values for trial in measured], axis=0)]
    limits = set(measured[0].constraints)
    refused = [
        trial for trial in trials if trial.state == TrialState.PRUNED and limits == set(trial.constraints) != set()
    ]
    return [
        *(trial for trial in trials if trial not in refused),
        *(_completed(each, middle) for each in refused[-most:]),
    ]


def _completed(trial: FrozenTrial, values: Sequence[float]) -> FrozenTrial:
    other = copy(trial)
    other.state, other.values = TrialState.COMPLETE, list(values)
    return other


class AtRung(BaseSampler):
    """A sampler that is shown other trials than its study's own.

    What it draws for one name depends on that name, and not on how many names came before: where a kill interrupted a
    suggestion, the rest of it is what it would have been.

    Args:
        inner: the sampler that suggests; a new one for every trial.
        trials: what it is shown of the study. A genetic one is shown every trial at the highest rung that it reached
            instead, lest its parents vanish; stopping at a rung is selection too.
    """

    def __init__(self, inner: BaseSampler, trials: Sequence[FrozenTrial]):
        self.inner = inner
        self.trials = trials
        self._seeds = [(each, each.get_state(legacy=False)["state"]["key"][:4]) for each in _generators(inner)]

    def reseed_rng(self) -> None:
        """Gives the sampler other random numbers."""
        self.inner.reseed_rng()

    def infer_relative_search_space(self, study: optuna.Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        """What is suggested at once."""
        return self.inner.infer_relative_search_space(self._view(study, trial), trial)

    def sample_relative(
        self, study: optuna.Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """Suggests what is suggested at once."""
        return self.inner.sample_relative(self._view(study, trial), trial, search_space)

    def sample_independent(
        self, study: optuna.Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        """Suggests one value."""
        for generator, seed in self._seeds:
            generator.seed([*map(int, seed), zlib.crc32(param_name.encode())])
        return self.inner.sample_independent(self._view(study, trial), trial, param_name, param_distribution)

    def before_trial(self, study: optuna.Study, trial: FrozenTrial) -> None:
        """Prepares a trial."""
        self.inner.before_trial(self._view(study, trial), trial)

    def after_trial(
        self, study: optuna.Study, trial: FrozenTrial, state: TrialState, values: Sequence[float] | None
    ) -> None:
        """Takes note of a trial's end."""
        self.inner.after_trial(self._view(study, trial), trial, state, values)

    def _view(self, study: optuna.Study, trial: FrozenTrial) -> optuna.Study:
        trials = self.trials
        if isinstance(self.inner, BaseGASampler) and study.metric_names:
            trials = latest(study.get_trials(deepcopy=False), study.metric_names)
        # a trial that was asked before a kill and is asked again must not see what was suggested for itself
        trials = [other for other in trials if other.number != trial.number]
        if isinstance(self.inner, GPSampler) and _count(trials, TrialState.COMPLETE) >= self.inner._n_startup_trials:
            trials = with_refused(trials)
        return _View(study, trials)


def _count(trials: Sequence[FrozenTrial], state: TrialState) -> int:
    return sum(trial.state == state for trial in trials)


def _generators(sampler: BaseSampler) -> Iterator[np.random.RandomState]:
    """All that a sampler draws random numbers from."""
    for part in vars(sampler).values():
        if isinstance(part, BaseSampler):
            yield from _generators(part)
        elif isinstance(found := getattr(part, "rng", None), np.random.RandomState):
            yield found


class _View(optuna.Study):
    """A study with other trials."""

    def __init__(self, study: optuna.Study, trials: list[FrozenTrial]):
        self.__dict__.update(study.__dict__)
        self._study, self._shown = study, trials

    def _get_trials(
        self, deepcopy: bool = True, states: Container[TrialState] | None = None, use_cache: bool = False
    ) -> list[FrozenTrial]:
        trials = [trial for trial in self._shown if states is None or trial.state in states]
        return copied(trials) if deepcopy else trials

    def stop(self) -> None:
        self._study.stop()
