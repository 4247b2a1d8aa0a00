"""What the plain keys of a sweep's file may hold."""

import math
from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from typing import Any

from unetsep.audio.files import InputError
from unetsep.sweep.cluster import read_resources
from unetsep.sweep.document import Config, label
from unetsep.sweep.means import check_storage, check_warm_start

COST = (
    "params",
    "gmacs_per_second",
    "depth",
    "receptive_field_seconds",
    "receptive_field_hz",
    "peak_memory_mb",
    "rtf_cpu",
)
SCORES = ("loss", "usdr", "csdr", "seg_accuracy", "seg_miou", "dropped_frames")
SYNTHETIC: dict[str, Any] = {"train": 24, "valid": 6, "test": 2, "seconds": 20.0, "seed": 0}


def check_values(document: Config) -> None:
    """Refuses what is no value for its key.

    Args:
        document: a sweep's file with all keys.

    Raises:
        InputError: naming the key.
    """
    if not isinstance(document["question"], str):
        raise InputError(f"question: is {label(document['question'])}, but must be words")
    objectives, budget = mapping(document, "objectives"), mapping(document, "budget")
    if not objectives:
        raise InputError("objectives: is empty; write {val/usdr: maximize, cost/gmacs_per_second: minimize}")
    for key, direction in objectives.items():
        kind, _, measure = str(key).partition("/")
        if kind == "cost" and measure:
            refuse_unknown([measure], COST, "objectives: cost")
        elif kind == "val" and measure:
            refuse_unknown([measure.partition("/")[0]], SCORES, "objectives: val")
        else:
            raise InputError(f"objectives: {key} is no measure; they are called val/usdr, val/csdr/vocals, cost/params")
        if direction not in ("maximize", "minimize"):
            raise InputError(f"objectives: {key} is {label(direction)}, but must be maximize or minimize")
    refuse_unknown(budget, COST, "budget")
    for key, limit in budget.items():
        if not _is_number(limit) or not 0 < limit < math.inf:
            raise InputError(f"budget: {key} is {label(limit)}, but must be a number above 0")
    trials, seed = document["trials"], document["seed"]
    if trials is not None and (not isinstance(trials, int) or isinstance(trials, bool) or trials < 1):
        raise InputError(f"trials: is {label(trials)}, but must be a whole number, 1 or more")
    if not isinstance(seed, int) or isinstance(seed, bool) or seed < 0:
        raise InputError(f"seed: is {label(seed)}, but must be a whole number, 0 or more")
    read_resources(document["resources"])
    check_storage(document["storage"])
    check_warm_start(document["warm_start"])
    if document["synthetic"] is not None:
        synthetic = mapping(document, "synthetic")
        refuse_unknown(synthetic, SYNTHETIC, "synthetic")
        for key, value in synthetic.items():
            if not _is_number(value) or value < 0 or (key != "seconds" and not isinstance(value, int)):
                raise InputError(f"synthetic: {key} is {label(value)}, but must be a number, 0 or more")


def mapping(document: Config, key: str) -> Config:
    """The mapping under a key; InputError if there is something else."""
    if not isinstance(document[key], Mapping):
        raise InputError(f"{key}: is {label(document[key])}, but must be a mapping")
    return dict(document[key])


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def refuse_unknown(given: Iterable[Any], allowed: Iterable[str], where: str) -> None:
    """Refuses what is not among the allowed words, with the most similar one of these."""
    for key in given:
        if key not in allowed:
            near = get_close_matches(str(key), list(allowed), n=1)
            hint = f"did you mean {near[0]}?" if near else ""
            raise InputError(f"{where}: {key} is unknown; {hint} there are {', '.join(allowed)}".replace(";  ", "; "))
