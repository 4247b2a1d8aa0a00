"""A sampler that tries what is written down, one trial after the other: a list, or a grid."""

import math
from collections.abc import Iterable, Mapping, Sequence
from itertools import product
from typing import Any

import numpy as np
import optuna
from optuna.distributions import BaseDistribution, FloatDistribution
from optuna.samplers import BaseSampler
from optuna.trial import FrozenTrial, TrialState

from unetsep.audio.files import InputError
from unetsep.sweep.domain import Choice, Domain, Fixed, Range, name_of, short, values_of

LARGEST = 100_000  # configs of a grid
_PLACE = "unetsep:listed"  # the system attribute that holds a trial's place in the list


class FixedList(BaseSampler):
    """Tries a list once, in its order. It needs no number of trials.

    Args:
        trials: for each trial a mapping of the space's dotted keys to values.

    Raises:
        ValueError: if it is no such list.
    """

    def __init__(self, trials: Sequence[Mapping[str, Any]]):
        if not isinstance(trials, list | tuple) or not trials or not all(isinstance(each, Mapping) for each in trials):
            raise ValueError("trials: must be a list of mappings of the space's keys to values")
        self.trials = [{short(key): name_of(value) for key, value in trial.items()} for trial in trials]

    def before_trial(self, study: optuna.Study, trial: FrozenTrial) -> None:
        """Gives a trial the first place in the list that none has; the last one given, the list is at its end."""
        places = {
            other.number: other.system_attrs[_PLACE]
            for other in study._storage.get_all_trials(study._study_id, deepcopy=False)
            if _PLACE in other.system_attrs
        }
        left = [place for place in range(len(self.trials)) if place not in places.values()]
        if left and trial.number not in places and "fixed_params" not in trial.system_attrs:
            study._storage.set_trial_system_attr(trial._trial_id, _PLACE, left.pop(0))
        if not left:
            study.stop()

    def sample_independent(
        self, study: optuna.Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        """What the list says.

        Raises:
            InputError: if it does not say anything about this name.
        """
        place = trial.system_attrs.get(_PLACE)
        key = short(param_name.partition(" ")[0])
        if place is None or key not in self.trials[place]:
            raise InputError(f"the list does not say what {param_name} is")
        value = self.trials[place][key]
        return float(value) if isinstance(param_distribution, FloatDistribution) else value

    def infer_relative_search_space(self, study: optuna.Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        """Nothing: every value is looked up when it is asked for."""
        return {}

    def sample_relative(
        self, study: optuna.Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """Nothing."""
        return {}

    def after_trial(
        self, study: optuna.Study, trial: FrozenTrial, state: TrialState, values: Sequence[float] | None
    ) -> None:
        """Nothing: the list is at its end when its last place is given."""


def grid(search_space: Mapping[str, Sequence[Any]], seed: int) -> FixedList:
    """Every combination of values, in an order by chance: of a part of a grid the values are then spread evenly.

    Raises:
        ValueError: if the search space is not a mapping of keys to lists of values.
    """
    if (
        not isinstance(search_space, Mapping)
        or not search_space
        or not all(isinstance(values, list | tuple) and values for values in search_space.values())
    ):
        raise ValueError("search_space: must map the space's keys to lists of values")
    if (size := math.prod(map(len, search_space.values()))) > LARGEST:
        raise ValueError(f"it would have {size:,} configs, more than {LARGEST:,}")
    trials = [dict(zip(search_space, values, strict=True)) for values in product(*search_space.values())]
    order = np.random.default_rng(seed).permutation(len(trials))
    return FixedList([trials[index] for index in order])


def grid_of(domains: Mapping[str, Domain], overridden: Iterable[str]) -> dict[str, list[Any]]:
    """All values of every key, if the same keys exist in all configs and each has so many.

    Args:
        domains: the space.
        overridden: keys that are not searched.

    Raises:
        InputError: naming the key that has no end of values, or exists under some choices only.
    """
    values: dict[str, list[Any]] = {}
    ignored = {short(key) for key in overridden}
    for key, domain in domains.items():
        if isinstance(domain, Fixed) or short(key) in ignored:
            continue
        inner = domain.options if isinstance(domain, Choice) else ()
        flat = all(isinstance(below, Fixed) for option in inner for below in option.space.values())
        found = values_of(domain) if isinstance(domain, Range | Choice) else None
        if not flat or found is None:
            why = "is a range without steps" if isinstance(domain, Range) else "has keys that exist under some choices"
            hint = "give it a step" if isinstance(domain, Range) else "BruteForceSampler goes through those"
            raise InputError(f"sampler: a GridSampler needs a list of values for each key, but {key} {why}; {hint}")
        values[key] = found
    return values
