"""The search: ask a sampler, judge the config before any training, have it trained, tell the study.

Optuna's own `study.optimize` cannot refuse a config before it is trained, and starts a new trial where one was killed.
So the study is asked and told here, and `study.db` and the trials' `result.json` together are the whole state: whatever
stops this program, at any moment, starting it again goes on under the same numbers and trains nothing twice.
"""

import hashlib
import json
import math
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any, Protocol

import optuna
from optuna.trial import FrozenTrial, TrialState

from unetsep.audio.files import InputError
from unetsep.sweep.document import Config
from unetsep.sweep.domain import Choice, Option, Range
from unetsep.sweep.question import Sweep
from unetsep.sweep.sampling import make_sampler
from unetsep.sweep.study import SweepStudy
from unetsep.sweep.trials import (
    Outcome,
    Result,
    Task,
    Watch,
    carry_out,
    read_result,
    trial_folder,
    write_result,
)

REFUSALS = 100  # suggestions in a row that come to nothing, after which a search gives up
PATIENCE = 10  # such suggestions, after which chance takes the sampler's place: models can insist on what they know
PLACE = ("out", "name", "group", "tags", "wandb")  # config keys that say where a trial lies and not what it is


class Runner(Protocol):
    """What the search needs of the command line: to understand a config, to know its cost, to train it."""

    def resolve(self, config: Config) -> Config:
        """The config as the command line understands it; InputError if it is refused."""

    def cost(self, resolved: Config) -> dict[str, float]:
        """The cost card of a resolved config; InputError or ValueError if there is no such network."""

    def train(self, config: Config, folder: Path, watch: Watch) -> Outcome:
        """Trains a config in a folder, going on from what lies there."""


class Progress(Protocol):
    """Who is told what happens."""

    def begins(self, task: Task, trained: int, resumed: bool) -> None:
        """A training begins, after so many."""

    def watches(self, line: str) -> None:
        """Something happened in the training."""

    def ends(self, result: Result, trained: int) -> None:
        """A trial has its result; so many are trained now."""


class Search:
    """One sweep in one run folder.

    Args:
        sweep: the question.
        run: the run folder.
        study: the open study in it.
        progress: who is told.

    Raises:
        InputError: if the sweep does not say how many trials it wants, or the folder's trials are not the study's.
    """

    def __init__(self, sweep: Sweep, run: Path, study: SweepStudy, progress: Progress):
        self.sweep = sweep
        self.run_folder = run
        self.study = study
        self.progress = progress
        self.exhaustive = isinstance(make_sampler(sweep.document["sampler"], 0, 0), optuna.samplers.BruteForceSampler)
        if sweep.trials is None and not self.exhaustive:
            raise InputError(f"{sweep.source}: trials: is missing; only a BruteForceSampler knows when all was tried")
        self.seen: dict[str, int] = {}
        self.trained = 0
        self.fruitless = 0
        trials = study.get_trials(deepcopy=False)
        known = {trial_folder(run, trial.number) for trial in trials}
        if stray := [folder for folder in sorted((run / "trials").glob("[0-9]*")) if folder not in known]:
            raise InputError(f"{stray[0]} is of no trial in {run / 'study.db'}; give another --out, or remove {run}")
        for trial in trials:
            if trial.state.is_finished():
                self._remember(trial)

    @property
    def done(self) -> bool:
        """Whether nothing is left to be trained."""
        if self.sweep.trials is not None and self.trained >= self.sweep.trials:
            return True
        return self.study.exhausted and not self._running()

    def run(self, runner: Runner) -> str:
        """Goes on until the sweep is done.

        Args:
            runner: what resolves, costs and trains configs.

        Returns:
            Why it gave up before that, in one line; empty if it did not.
        """
        for trial in self._running():
            if not self.done:
                self.study.sampler = self._sampler(trial.number)
                self._settle(optuna.Trial(self.study, trial._trial_id), runner, resumed=True)
        while not self.done:
            if self.fruitless >= REFUSALS and not self.exhaustive:
                return (
                    f"gave up after {self.fruitless} suggestions in a row that were over budget, impossible or known "
                    "(the space seems exhausted: widen it, or the budget)"
                )
            self._settle(self._ask(), runner)
        return ""

    def _running(self) -> list[FrozenTrial]:
        return self.study.get_trials(deepcopy=False, states=(TrialState.RUNNING,))

    def _ask(self) -> optuna.Trial:
        number = len(self.study.get_trials(deepcopy=False))
        self.study.sampler = self._sampler(number)
        return self.study.ask()

    def _sampler(self, number: int) -> optuna.samplers.BaseSampler:
        chance = self.fruitless >= PATIENCE and not self.exhaustive
        given = "RandomSampler" if chance else self.sweep.document["sampler"]
        return make_sampler(given, self.sweep.document["seed"], number)

    def _settle(self, trial: optuna.Trial, runner: Runner, resumed: bool = False) -> None:
        """Brings one trial from its suggestion to its result."""
        folder = trial_folder(self.run_folder, trial.number)
        result = read_result(folder)
        if result is None:
            judged = self._judge(trial, folder, runner)
            self.study.secure()  # before anything lies in the trial's folder
            if isinstance(judged, Result):
                write_result(folder, judged)
                result = judged
            else:
                self.progress.begins(judged, self.trained, resumed)
                result = carry_out(judged, runner.train, self.progress.watches)
        self._tell(trial, result)
        self.progress.ends(result, self.trained)

    def _judge(self, trial: optuna.Trial, folder: Path, runner: Runner) -> Result | Task:
        """The task, if the suggested config is worth training, else why it is not."""
        number, params = trial.number, dict(trial.params)
        try:
            suggestion = self.sweep.space.suggest(partial(suggest, trial), runner.resolve)
            params = suggestion.params
            resolved = runner.resolve(suggestion.config)
            fingerprint = fingerprint_of(resolved)
            if (twin := self.seen.get(fingerprint)) is not None:
                return Result(number, "duplicate", f"the same config as trial {twin}", params=params)
            cost = runner.cost(resolved)
        except (InputError, ValueError) as error:
            # impossible combinations are a lesson too: as far from feasible as twice the budget
            _constrain(trial, "possible", 1.0)
            return Result(number, "refused", " ".join(str(error).split()), params=params)
        trial.set_user_attr("config", fingerprint)
        trial.set_user_attr("cost", _finite(cost))
        over = []
        for key, limit in self.sweep.budget.items():
            excess = cost.get(key, math.nan) / limit - 1
            _constrain(trial, key, excess if math.isfinite(excess) else 1.0)
            if not excess <= 0:
                over.append(f"{key} is {cost.get(key, math.nan):.3g}, over the budget of {limit:g}")
        if over:
            return Result(number, "refused", "; ".join(over), cost=cost, params=params)
        return Task(number, folder, suggestion.config, params, cost, tuple(self.sweep.objectives))

    def _tell(self, trial: optuna.Trial, result: Result) -> None:
        trial.set_user_attr("state", result.state)
        if result.reason:
            trial.set_user_attr("reason", result.reason)
        if result.scores:
            trial.set_user_attr("scores", _finite(result.scores))
        if result.state == "complete":
            self.study.tell(trial, [result.value(measure) for measure in self.sweep.objectives])
        else:
            # a pruned trial with a violated constraint teaches the samplers; what failed or is known teaches nothing
            state = TrialState.PRUNED if result.state == "refused" else TrialState.FAIL
            self.study.tell(trial, state=state)
        self._remember(self.study.get_trials(deepcopy=False)[trial.number])

    def _remember(self, trial: FrozenTrial) -> None:
        trained = trial.user_attrs.get("state") in ("complete", "failed")
        self.trained += trained
        self.fruitless = 0 if trained else self.fruitless + 1
        if trained and "config" in trial.user_attrs:
            self.seen.setdefault(trial.user_attrs["config"], trial.number)


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


def _finite(numbers: Mapping[str, float]) -> dict[str, float]:
    return {name: value for name, value in numbers.items() if math.isfinite(value)}  # what JSON knows
