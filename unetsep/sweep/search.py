"""The search: ask a sampler, judge the config before any training, have it trained rung by rung, tell the study.

Optuna's own `study.optimize` cannot refuse a config before it is trained, cannot stop trials of several objectives
early, and starts a new trial where one was killed. So the study is asked and told here. The study and the trials'
`result.json` together are the whole state, and every decision is made from them alone: whatever stops this program, at
any moment, starting it again goes on under the same numbers and trains nothing twice.
"""

import math
import time
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, Protocol

import optuna
from optuna.trial import FrozenTrial, TrialState

from unetsep.audio.files import InputError
from unetsep.sweep.executors import Executor
from unetsep.sweep.judging import Runner, judge, suggest
from unetsep.sweep.question import Sweep
from unetsep.sweep.rungs import promoted
from unetsep.sweep.sampling import AtRung, exhaustive, make_sampler, seen
from unetsep.sweep.standing import begun, finite, fruitless, in_training, point, rungs_of, waiting
from unetsep.sweep.study import SweepStudy
from unetsep.sweep.trials import Result, Task, read_result, trial_folder, write_result

REFUSALS = 100  # suggestions in a row that come to nothing, after which a search gives up
PATIENCE = 10  # such suggestions, after which chance takes the sampler's place: models can insist on what they know
POLL = 1.0  # seconds between looks at what others do


class Progress(Protocol):
    """Who is told what happens."""

    def begins(self, task: Task, begun: int, resumed: bool) -> None:
        """A training to a rung begins, or goes on; so many trials were begun, with this one."""

    def ends(self, result: Result, begun: int) -> None:
        """A trial is at a rung, or has its last result; so many trials were begun."""


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
        self.measures = list(sweep.objectives)
        self.maximize = [direction == "maximize" for direction in sweep.objectives.values()]
        self.levels = len(sweep.rungs.amounts) if sweep.rungs else 1
        self.exhaustive = exhaustive(self._given_sampler(0))
        if sweep.trials is None and not self.exhaustive:
            raise InputError(f"{sweep.source}: trials: is missing; only samplers of lists and grids know their end")
        self.working: dict[int, Task] = {}
        folders = sorted((run / "trials").glob("[0-9]*"))  # before the study: another driver may add to both
        known = {self._folder(trial) for trial in self._trials()}
        if stray := [folder for folder in folders if folder not in known]:
            raise InputError(f"{stray[0]} is of no trial in this run's study; give another --out, or remove {run}")

    @property
    def begun(self) -> int:
        """How many trials were trained, or are being trained."""
        return sum(map(begun, self._trials()))

    @property
    def done(self) -> bool:
        """Whether nothing is left to be trained."""
        trials = self._trials()
        return not self._wants_more(trials) and not any(trial.state == TrialState.RUNNING for trial in trials)

    def run(self, runner: Runner, executor: Executor) -> str:
        """Goes on until the sweep is done.

        Args:
            runner: what resolves configs and knows their cost.
            executor: what trains them.

        Returns:
            Why it gave up before that, in one line; empty if it did not.
        """
        while True:
            with self.study.deciding():
                while executor.room() > 0 and (task := self._next(runner)) is not None:
                    self.working[task.number] = task
                    executor.submit(task)
                if not self.working and not any(map(in_training, trials := self._trials())):
                    self._close(trials)
                    break
            if not self.working:  # other drivers work: there may be more to do after that
                time.sleep(POLL)
            for result in executor.wait(POLL):
                with self.study.deciding():
                    del self.working[result.number]
                    self._settle(self._trials(), result)
        vain = fruitless(self._trials())
        if self.done or vain < REFUSALS:
            return ""
        return (
            f"gave up after {vain} suggestions in a row that were over budget, impossible or known "
            "(the space seems exhausted: widen it, or the budget)"
        )

    def _trials(self) -> list[FrozenTrial]:
        return self.study.get_trials(deepcopy=False)

    def _folder(self, trial: FrozenTrial) -> Path:
        return trial_folder(self.run_folder, trial.number)

    def _wants_more(self, trials: Sequence[FrozenTrial]) -> bool:
        """Whether new trials are wanted: up to a number, and whatever was queued."""
        if any(trial.state == TrialState.WAITING for trial in trials):
            return True
        if self.sweep.trials is not None and sum(map(begun, trials)) >= self.sweep.trials:
            return False
        return not self.study.exhausted

    def _next(self, runner: Runner) -> Task | None:
        """The next task, or None while there is none: what was left behind, before who goes on, before what is new."""
        while True:
            trials = self._trials()
            asks = self._wants_more(trials) and (self.exhaustive or fruitless(trials) < REFUSALS)
            if left := next((trial for trial in trials if self._is_left(trial)), None):
                task = self._take_up(trials, left, runner)
            elif best := self._promotable(trials, closing=not asks and not any(map(in_training, trials))):
                task = self._claim(trials, best._trial_id, self._task(best, len(rungs_of(best)), runner), resumed=True)
            elif asks:
                task = self._judge(trials, self._ask(trials), runner)
            else:
                return None
            if task is not None:
                return task

    def _is_left(self, trial: FrozenTrial) -> bool:
        """Whether a trial was left behind, suggested or in training, by a driver that is no more."""
        if trial.state != TrialState.RUNNING or trial.number in self.working:
            return False
        if not begun(trial):
            return True  # from suggestion to claim a driver decides alone: there is none that still does
        driver = trial.user_attrs["work"]["driver"]
        return in_training(trial) and (driver == self.study.driver or not self.study.lives(driver))

    def _take_up(self, trials: Sequence[FrozenTrial], trial: FrozenTrial, runner: Runner) -> Task | None:
        """The task of a trial that was left behind, unless its result is there already."""
        result = read_result(self._folder(trial))
        level = trial.user_attrs["work"]["level"] if begun(trial) else 0
        if result is not None and result.reached(level):
            self._settle(trials, result)
            return None
        if begun(trial):
            return self._claim(trials, trial._trial_id, self._task(trial, level, runner), resumed=True)
        self.study.sampler = self._sampler(trial.number, trials)
        return self._judge(trials, optuna.Trial(self.study, trial._trial_id), runner)

    def _promotable(self, trials: Sequence[FrozenTrial], closing: bool) -> FrozenTrial | None:
        """The best trial that waits at the highest rung from which one may go on.

        When nothing else is left to do, one may go on from every rung: the sweep ends with a whole training.
        """
        if self.sweep.rungs is None:
            return None
        for level in reversed(range(self.levels - 1)):
            here = [trial for trial in trials if len(rungs_of(trial)) > level and begun(trial)]
            points = [self._scaled(point(trial, level, self.measures)) for trial in here]
            for index in promoted(points, self.maximize, self.sweep.rungs.eta, at_least=int(closing)):
                if waiting(here[index]) and len(rungs_of(here[index])) == level + 1:
                    return here[index]
        return None

    def _scaled(self, values: Sequence[float]) -> list[float]:
        """Objectives on scales where equal steps weigh alike: decibels as they are, costs by their logarithms."""
        return [
            math.log(value) if measure.startswith("cost/") and value > 0 else value
            for measure, value in zip(self.measures, values, strict=True)
        ]

    def _ask(self, trials: Sequence[FrozenTrial]) -> optuna.Trial:
        queued = (trial.number for trial in trials if trial.state == TrialState.WAITING)
        self.study.sampler = self._sampler(next(queued, len(trials)), trials)
        return self.study.ask()

    def _sampler(self, number: int, trials: Sequence[FrozenTrial]) -> optuna.samplers.BaseSampler:
        if fruitless(trials) >= PATIENCE and not self.exhaustive:
            sampler = make_sampler("RandomSampler", self.sweep.document["seed"], number)
        else:
            sampler = self._given_sampler(number)
        return AtRung(sampler, seen(trials, self.measures))

    def _given_sampler(self, number: int) -> optuna.samplers.BaseSampler:
        return make_sampler(self.sweep.document["sampler"], self.sweep.document["seed"], number)

    def _judge(self, trials: Sequence[FrozenTrial], trial: optuna.Trial, runner: Runner) -> Task | None:
        """The claimed task, if the suggested config is worth training; else the study is told why it is not."""
        trained = {each.user_attrs["judged"]["config"]: each.number for each in reversed(trials) if begun(each)}
        verdict = judge(trial, self.sweep, runner, trained)
        if verdict.reason:
            result = Result(trial.number, verdict.state, verdict.reason, cost=verdict.cost, params=verdict.params)
            self.study.secure()  # before anything lies in the trial's folder
            write_result(trial_folder(self.run_folder, trial.number), result)
            self._settle(self._trials(), result)
            return None
        self._note(trial._trial_id, "judged", {"config": verdict.fingerprint, "cost": finite(verdict.cost)})
        task = self._described(trial.number, verdict.config, verdict.params, verdict.cost)
        return self._claim(trials, trial._trial_id, task)

    def _task(self, trial: FrozenTrial, level: int, runner: Runner) -> Task:
        """What is to be done for a trial, judged before, to reach a rung."""
        suggestion = self.sweep.space.suggest(partial(suggest, trial), runner.resolve)
        known = read_result(self._folder(trial))
        cost = known.cost if known else runner.cost(runner.resolve(suggestion.config))
        return self._described(trial.number, suggestion.config, suggestion.params, cost, level)

    def _described(
        self, number: int, config: dict[str, Any], params: dict[str, Any], cost: dict[str, float], level: int = 0
    ) -> Task:
        return Task(
            number=number,
            folder=trial_folder(self.run_folder, number),
            config=config,
            params=params,
            cost=cost,
            measures=tuple(self.measures),
            level=level,
            stop=self.sweep.rungs.stop(level) if self.sweep.rungs else None,
            last=level == self.levels - 1,
            seeds=self.sweep.seeds,
        )

    def _claim(self, trials: Sequence[FrozenTrial], trial_id: int, task: Task, resumed: bool = False) -> Task:
        """Puts this driver's name to a task, before anything lies in the trial's folder."""
        self._note(trial_id, "work", {"level": task.level, "driver": self.study.driver})
        self.study.secure()
        others = sum(begun(trial) for trial in trials if trial.number != task.number)
        self.progress.begins(task, others + 1, resumed)
        return task

    def _settle(self, trials: Sequence[FrozenTrial], result: Result) -> None:
        """Tells the study what has become of a trial."""
        trial = trials[result.number]
        if len(result.rungs) > len(rungs_of(trial)):
            self._note(trial._trial_id, "rungs", [finite(rung) for rung in result.rungs])
        if result.final:
            self._note(trial._trial_id, "state", result.state)
            if result.reason:
                self._note(trial._trial_id, "reason", result.reason)
            if result.scores:
                self._note(trial._trial_id, "scores", finite(result.scores))
            if self.exhaustive:  # it is told whether that was the last one, whoever asked it
                self.study.sampler = self._sampler(trial.number, trials)
            if result.measured:
                self.study.tell(trial.number, [result.value(measure) for measure in self.measures])
            else:
                # a pruned trial with a violated constraint teaches the samplers; what failed or is known does not
                state = TrialState.PRUNED if result.state == "refused" else TrialState.FAIL
                self.study.tell(trial.number, state=state)
        self.progress.ends(result, sum(map(begun, trials)))

    def _close(self, trials: Sequence[FrozenTrial]) -> None:
        """Nothing is left that would go on: what waits at a rung is stopped for good."""
        for trial in filter(waiting, trials):
            result = read_result(self._folder(trial))
            if result is None:
                raise InputError(f"{self._folder(trial)} has lost its result.json; give another --out")
            if not result.final:
                result = replace(result, state="stopped")
                write_result(self._folder(trial), result)
            self._settle(trials, result)

    def _note(self, trial_id: int, key: str, value: Any) -> None:
        # not by way of `optuna.Trial`, which would draw from the sampler once more
        self.study._storage.set_trial_user_attr(trial_id, key, value)
