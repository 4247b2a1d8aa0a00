"""One trial's folder: what is to be done there, what came of it, and that what was trained is never trained again."""

import json
import math
import traceback
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from time import monotonic, time
from typing import Any, Literal, NamedTuple, TypeAlias

import numpy as np

from unetsep.audio.files import InputError, replacing
from unetsep.sweep.document import Config
from unetsep.sweep.lock import sole
from unetsep.sweep.rungs import Stop

State: TypeAlias = Literal["paused", "complete", "stopped", "failed", "refused", "duplicate"]

SECOND = "seeds"  # the folder, in a trial's, of the trainings with the second seed and those after it
OFTEN = 0.5  # seconds between two lines about one training
PATIENCE = 60.0  # seconds in which whoever else works on a trial, an orphan of a killed driver, must let go of it


class Outcome(NamedTuple):
    """What a training came to so far: the scores of its best epoch, by name, and that epoch's number."""

    scores: dict[str, float]
    epoch: int | None


Watch: TypeAlias = Callable[[str], None]
"""Takes one line about how far a training is."""

Train: TypeAlias = Callable[[Config, Path, Stop | None, Watch], Outcome]
"""Trains a config in a folder as far as `Stop` says, or to its end, going on from what already lies there."""


@dataclass(frozen=True)
class Task:
    """A trial to be trained to one rung. Whatever carries it out needs nothing else, and may do so twice.

    Attributes:
        number: the trial's number in the study, and its folder's name.
        folder: where everything about it lies.
        config: the config to train.
        params: what was suggested, by dotted key.
        cost: its cost card.
        measures: the objectives that its result must hold.
        level: the number of the rung, from 0 on.
        stop: where the training stops; None for its own end.
        last: whether that is the last rung.
        seeds: the seeds it is trained with, one after the other; empty for the config's own.
    """

    number: int
    folder: Path
    config: Config
    params: dict[str, Any]
    cost: dict[str, float]
    measures: tuple[str, ...]
    level: int = 0
    stop: Stop | None = None
    last: bool = True
    seeds: tuple[int, ...] = ()


@dataclass(frozen=True)
class Result:
    """What has become of a trial: the content of its `result.json`.

    Attributes:
        number: the trial's number in the study.
        state: `paused` at a rung; `complete`; `stopped` at a rung for good; `failed` in training; `refused` before it;
            or `duplicate` of another trial, not trained.
        reason: why it is not complete, in one line.
        scores: measured values of the best epoch so far, such as `val/usdr` and `val/usdr/vocals`, in dB; means over
            the seeds, if there are several.
        spread: their standard deviations over the seeds.
        rungs: the scores at every rung it reached, in order.
        cost: the cost card.
        params: what was suggested, by dotted key.
        seconds: wall time of the training, without what a killed process had begun.
        epoch: the best epoch so far, of the first seed.
    """

    number: int
    state: State
    reason: str = ""
    scores: dict[str, float] = field(default_factory=dict)
    spread: dict[str, float] = field(default_factory=dict)
    rungs: tuple[dict[str, float], ...] = ()
    cost: dict[str, float] = field(default_factory=dict)
    params: dict[str, Any] = field(default_factory=dict)
    seconds: float = 0.0
    epoch: int | None = None

    @property
    def trained(self) -> bool:
        """Whether it counts as one of the sweep's trials."""
        return self.state not in ("refused", "duplicate")

    @property
    def measured(self) -> bool:
        """Whether it has scores that stand for what its checkpoint does."""
        return self.state in ("paused", "complete", "stopped")

    @property
    def final(self) -> bool:
        """Whether nothing more will become of it."""
        return self.state != "paused"

    def reached(self, level: int) -> bool:
        """Whether nothing is left to be trained up to a rung."""
        return self.final or len(self.rungs) > level

    def value(self, measure: str) -> float:
        """The value of `val/usdr` or `cost/params`; NaN where it was not measured."""
        kind, _, name = measure.partition("/")
        return self.cost.get(name, math.nan) if kind == "cost" else self.scores.get(measure, math.nan)


def trial_folder(run: Path, number: int) -> Path:
    """The folder of one trial of a run."""
    return run / "trials" / f"{number:04d}"


def read_result(folder: Path) -> Result | None:
    """The result that lies in a trial's folder; None if there is none yet.

    Raises:
        InputError: if there is a file that is no result.
    """
    path = folder / "result.json"
    if not path.is_file():
        return None
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        for key in _NUMBERS:
            content[key] = _known(content.get(key, {}))
        content["rungs"] = tuple(_known(rung) for rung in content.get("rungs", ()))
        return Result(**content)
    except (TypeError, ValueError, KeyError, AttributeError) as error:
        raise InputError(
            f"{path} is no trial's result ({error!r}); remove it, and the trial is trained again"
        ) from None


def write_result(folder: Path, result: Result) -> None:
    """Writes the result into a trial's folder, as the last thing that happens there; what is not finite as null."""
    content = asdict(result) | {key: _finite(getattr(result, key)) for key in _NUMBERS}
    content["rungs"] = [_finite(rung) for rung in result.rungs]
    with replacing(folder / "result.json") as unfinished:
        unfinished.write_text(json.dumps(content, indent=2, allow_nan=False) + "\n", encoding="utf-8")


_NUMBERS = ("scores", "spread", "cost")


def _finite(numbers: Mapping[str, float]) -> dict[str, float | None]:
    return {name: value if math.isfinite(value) else None for name, value in numbers.items()}


def _known(numbers: Mapping[str, float | None]) -> dict[str, float]:
    return {name: math.nan if value is None else value for name, value in numbers.items()}


def carry_out(task: Task, train: Train) -> Result:
    """Trains a task, unless its folder already holds the result, and leaves the result there.

    Meanwhile `progress.json` in the folder tells how far it is. An exception in the training is this trial's failure
    and nobody else's: its traceback lies beside the result.
    """
    task.folder.mkdir(parents=True, exist_ok=True)
    with sole(task.folder / ".worker", PATIENCE):
        before = read_result(task.folder) or Result(task.number, "paused")
        if before.reached(task.level):
            return before
        start = monotonic()
        outcome, reason = Outcome({}, None), ""
        spread: dict[str, float] = {}
        try:
            outcome, spread = _over_seeds(task, train)
        except Exception as error:
            reason = " ".join(f"{type(error).__name__}: {error}".split())
            with replacing(task.folder / "error.txt") as unfinished:
                unfinished.write_text(traceback.format_exc(), encoding="utf-8")
        reason = reason or _missing(task, outcome.scores)
        result = Result(
            number=task.number,
            state="failed" if reason else "complete" if task.last else "paused",
            reason=reason,
            scores=outcome.scores,
            spread=spread,
            rungs=before.rungs if reason else (*before.rungs, outcome.scores),
            cost=task.cost,
            params=task.params,
            seconds=before.seconds + monotonic() - start,
            epoch=outcome.epoch,
        )
        write_result(task.folder, result)
        (task.folder / "progress.json").unlink(missing_ok=True)
        return result


def _over_seeds(task: Task, train: Train) -> tuple[Outcome, dict[str, float]]:
    """The mean outcome over the seeds and its standard deviations."""
    watch = _written(task)
    if not task.seeds:
        return train(task.config, task.folder, task.stop, watch), {}
    outcomes: list[Outcome] = []
    for seed in task.seeds:
        folder = task.folder if not outcomes else task.folder / SECOND / str(seed)
        head = f"seed {seed}, " if len(task.seeds) > 1 else ""
        config = {**task.config, "seed_everything": seed}
        outcomes.append(train(config, folder, task.stop, lambda line, head=head: watch(head + line)))  # type: ignore[misc]
    everywhere = [name for name in outcomes[0].scores if all(name in outcome.scores for outcome in outcomes)]
    values = {name: np.array([outcome.scores[name] for outcome in outcomes]) for name in everywhere}
    mean = {name: float(value.mean()) for name, value in values.items()}
    spread = {name: float(value.std(ddof=1)) for name, value in values.items()} if len(outcomes) > 1 else {}
    return Outcome(mean, outcomes[0].epoch), spread


def _written(task: Task) -> Watch:
    """Writes the last line into the trial's folder for whoever asks, not more often than one wants to know."""
    last, about = -math.inf, {"begun": time(), "params": task.params}

    def watch(line: str) -> None:
        nonlocal last
        if monotonic() - last >= OFTEN:
            last = monotonic()
            with replacing(task.folder / "progress.json") as unfinished:
                unfinished.write_text(json.dumps({"line": line, "time": time(), **about}), encoding="utf-8")

    return watch


def _missing(task: Task, scores: Mapping[str, float]) -> str:
    measured = Result(task.number, "complete", scores=dict(scores), cost=task.cost)
    bad = [measure for measure in task.measures if not math.isfinite(measured.value(measure))]
    return f"{', '.join(bad)} was not measured, or is not a finite number" if bad else ""
