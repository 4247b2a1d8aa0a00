"""The sampler of a sweep, by class path."""

import importlib
import inspect
from collections.abc import Mapping
from typing import Any

import numpy as np
import optuna
from optuna.samplers import BaseSampler

from unetsep.audio.files import InputError
from unetsep.sweep.document import label
from unetsep.sweep.study import experiments_allowed


def make_sampler(given: Any, seed: int, number: int) -> BaseSampler:
    """A sampler for one trial.

    Its random numbers depend on the sweep's seed and the trial's number alone, so that a sweep that was stopped and
    started again suggests what it would have suggested, and not its first suggestions once more.

    Args:
        given: a class path, or a mapping with `class_path` and `init_args`; samplers of Optuna need no module's name.
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
        found = getattr(importlib.import_module(module or "optuna.samplers"), name)
    except (ImportError, AttributeError, ValueError):
        found = None
    if not (inspect.isclass(found) and issubclass(found, BaseSampler)):
        known = [each for each in optuna.samplers.__all__ if each.endswith("Sampler") and each != "BaseSampler"]
        raise InputError(f"sampler: there is no {content['class_path']}; Optuna's are {', '.join(known)}")
    arguments = dict(content.get("init_args") or {})
    if "seed" in inspect.signature(found).parameters and "seed" not in arguments:
        arguments["seed"] = int(np.random.SeedSequence([seed, number]).generate_state(1)[0])
    try:
        with experiments_allowed():
            return found(**arguments)
    except (TypeError, ValueError, ImportError) as error:
        raise InputError(f"sampler: {name} cannot be made with {label(arguments)}: {error}") from None
