"""Whether a suggested config is worth training: it is understood, makes a network, is new and within the budget."""

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Literal, Protocol

import optuna

from unetsep.audio.files import InputError
from unetsep.sweep.document import Config
from unetsep.sweep.domain import Choice, Option, Range
from unetsep.sweep.question import Sweep

PLACE = ("out", "name", "group", "tags", "wandb")  # config keys that say where a trial lies and not what it is


class Runner(Protocol):
    """What the search needs of the command line: to understand a config and to know its cost."""

    def resolve(self, config: Config) -> Config:
        """The config as the command line understands it; InputError if it is refused."""

    def cost(self, resolved: Config) -> dict[str, float]:
        """The cost card of a resolved config; InputError or ValueError if there is no such network."""


@dataclass
class Verdict:
    """What is known of a suggestion before it is trained.

    Attributes:
        params: what was suggested, by dotted key.
        config: the config to train.
        fingerprint: of that config.
        cost: its cost card.
        state: why it is not trained, if it is not.
        reason: the same in one line; empty if it is worth training.
    """

    params: dict[str, Any]
    config: Config = field(default_factory=dict)
    fingerprint: str = ""
    cost: dict[str, float] = field(default_factory=dict)
    state: Literal["refused", "duplicate"] = "refused"
    reason: str = ""


def judge(trial: optuna.Trial, sweep: Sweep, runner: Runner, trained: Mapping[str, int]) -> Verdict:
    """Completes a trial's suggestion and judges it. The trial gets a constraint for each part of the budget.

    Args:
        trial: an open trial; what it has already been asked for stays.
        sweep: the question.
        runner: the command line.
        trained: trials' numbers by the fingerprints of their configs, which are not trained again.
    """
    verdict = Verdict(dict(trial.params))
    try:
        suggestion = sweep.space.suggest(partial(suggest, trial), runner.resolve)
        verdict.params, verdict.config = suggestion.params, suggestion.config
        resolved = runner.resolve(suggestion.config)
        verdict.fingerprint = fingerprint_of(resolved)
        if (twin := trained.get(verdict.fingerprint)) is not None:
            verdict.state, verdict.reason = "duplicate", f"the same config as trial {twin}"
            return verdict
        verdict.cost = runner.cost(resolved)
    except (InputError, ValueError) as error:
        # impossible combinations are a lesson too: as far from feasible as twice the budget
        _constrain(trial, "possible", 1.0)
        verdict.reason = " ".join(str(error).split())
        return verdict
    over = []
    for key, limit in sweep.budget.items():
        excess = verdict.cost.get(key, math.nan) / limit - 1
        _constrain(trial, key, excess if math.isfinite(excess) else 1.0)
        if not excess <= 0:
            over.append(f"{key} is {verdict.cost.get(key, math.nan):.3g}, over the budget of {limit:g}")
    verdict.reason = "; ".join(over)
    return verdict


def suggest(trial: optuna.trial.BaseTrial, name: str, domain: Range | Choice) -> Any:
    """Asks a trial for a number of the range, or an option of the choice."""
    if isinstance(domain, Choice):
        options: dict[Any, Option] = {option.name: option for option in domain.options}
        return options[trial.suggest_categorical(name, list(options))]
    if domain.integer:
        return trial.suggest_int(name, int(domain.low), int(domain.high), step=int(domain.step or 1), log=domain.log)
    return trial.suggest_float(name, domain.low, domain.high, step=domain.step, log=domain.log)


def fingerprint_of(resolved: Mapping[str, Any]) -> str:
    """A hash of what a resolved config trains, wherever its results lie."""
    content = {key: value for key, value in resolved.items() if key not in PLACE}
    return hashlib.sha256(json.dumps(content, sort_keys=True, default=str).encode()).hexdigest()[:16]


def _constrain(trial: optuna.Trial, key: str, excess: float) -> None:
    if key not in trial.constraints:  # an adopted trial may have been judged before it was killed
        trial.set_constraint(key, excess)
