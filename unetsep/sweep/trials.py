"""One trial's folder: what is to be done there, what came of it, and that a finished trial is never run again."""

import json
import math
import traceback
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from time import monotonic
from typing import Any, Literal, NamedTuple, TypeAlias

from unetsep.audio.files import InputError, replacing
from unetsep.sweep.document import Config

State: TypeAlias = Literal["complete", "failed", "refused", "duplicate"]


class Outcome(NamedTuple):
    """What a training came to: the scores of its best epoch, by name, and that epoch's number."""

    scores: dict[str, float]
    epoch: int | None


Watch: TypeAlias = Callable[[str], None]
"""Takes one line about how far a training is."""

Train: TypeAlias = Callable[[Config, Path, Watch], Outcome]
"""Trains a config in a folder, going on from what already lies there."""


@dataclass(frozen=True)
class Task:
    """A trial to be trained. Whatever carries it out needs nothing else, and may do so twice.

    Attributes:
        number: the trial's number in the study, and its folder's name.
        folder: where everything about it lies.
        config: the config to train.
        params: what was suggested, by dotted key.
        cost: its cost card.
        measures: the objectives that its result must hold.
    """

    number: int
    folder: Path
    config: Config
    params: dict[str, Any]
    cost: dict[str, float]
    measures: tuple[str, ...]


@dataclass(frozen=True)
class Result:
    """What became of a trial: the content of its `result.json`.

    Attributes:
        number: the trial's number in the study.
        state: `complete`; `failed` in training; `refused` before it; or `duplicate` of another trial, not trained.
        reason: why it is not complete, in one line.
        scores: measured values of the best epoch, such as `val/usdr` and `val/usdr/vocals`, in dB.
        cost: the cost card.
        params: what was suggested, by dotted key.
        seconds: wall time of the training, of the last start if there were several.
        epoch: the best epoch.
    """

    number: int
    state: State
    reason: str = ""
    scores: dict[str, float] = field(default_factory=dict)
    cost: dict[str, float] = field(default_factory=dict)
    params: dict[str, Any] = field(default_factory=dict)
    seconds: float = 0.0
    epoch: int | None = None

    @property
    def trained(self) -> bool:
        """Whether it counts as one of the sweep's trials."""
        return self.state in ("complete", "failed")

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
        for key in ("scores", "cost"):
            content[key] = {name: math.nan if value is None else value for name, value in content[key].items()}
        return Result(**content)
    except (TypeError, ValueError, KeyError, AttributeError) as error:
        raise InputError(
            f"{path} is no trial's result ({error!r}); remove it, and the trial is trained again"
        ) from None


def write_result(folder: Path, result: Result) -> None:
    """Writes the result into a trial's folder, as the last thing that happens there; what is not finite as null."""

    def known(numbers: Mapping[str, float]) -> dict[str, float | None]:
        return {name: value if math.isfinite(value) else None for name, value in numbers.items()}

    content = asdict(result) | {"scores": known(result.scores), "cost": known(result.cost)}
    with replacing(folder / "result.json") as unfinished:
        unfinished.write_text(json.dumps(content, indent=2, allow_nan=False) + "\n", encoding="utf-8")


def carry_out(task: Task, train: Train, watch: Watch) -> Result:
    """Trains a task, unless its folder already holds the result, and leaves the result there.

    An exception in the training is this trial's failure and nobody else's: its traceback lies beside the result.
    """
    if (known := read_result(task.folder)) is not None:
        return known
    start = monotonic()
    outcome, reason = Outcome({}, None), ""
    try:
        outcome = train(task.config, task.folder, watch)
    except Exception as error:
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        with replacing(task.folder / "error.txt") as unfinished:
            unfinished.write_text(traceback.format_exc(), encoding="utf-8")
    reason = reason or _missing(task, outcome.scores)
    result = Result(
        number=task.number,
        state="failed" if reason else "complete",
        reason=reason,
        scores=outcome.scores,
        cost=task.cost,
        params=task.params,
        seconds=monotonic() - start,
        epoch=outcome.epoch,
    )
    write_result(task.folder, result)
    return result


def _missing(task: Task, scores: Mapping[str, float]) -> str:
    measured = Result(task.number, "complete", scores=dict(scores), cost=task.cost)
    bad = [measure for measure in task.measures if not math.isfinite(measured.value(measure))]
    return f"{', '.join(bad)} was not measured, or is not a finite number" if bad else ""
