"""Records of a run: every number in `metrics.jsonl`, and one Weights & Biases run."""

import argparse
import contextlib
import json
import math
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from lightning import Callback, LightningModule, Trainer
from lightning.pytorch.loggers import Logger, WandbLogger
from lightning_utilities.core.rank_zero import rank_zero_only

from unetsep.audio.files import InputError, replacing
from unetsep.metrics.scores import TrackScores

WandbMode = Literal["offline", "online", "disabled"]


class MetricsLog(Logger):
    """The run's own record: one JSON object per logging call, flushed at once, so that a killed run loses nothing.

    Each line holds `step`, `epoch`, `time` (seconds since 1970) and the logged numbers; what is not finite is `null`.
    Beside them lie the scores of every track, a line for each validation: runs are compared track by track.

    Args:
        folder: of the run; the files are `metrics.jsonl` and `tracks.jsonl`, which hold the training alone, and
            `evaluations.jsonl` and `evaluated_tracks.jsonl` beside them, which hold what later scored its checkpoints:
            that says nothing of how the training went.
    """

    def __init__(self, folder: Path):
        super().__init__()
        self.path = folder / "metrics.jsonl"
        self.tracks_path = folder / "tracks.jsonl"
        self._evaluating = False

    @property
    def name(self) -> str:
        """What Lightning calls the record."""
        return "metrics"

    @property
    def version(self) -> str:
        """There is one record per run."""
        return ""

    @property
    def save_dir(self) -> str:
        """The run's folder."""
        return str(self.path.parent)

    @contextlib.contextmanager
    def evaluating(self) -> Iterator[None]:
        """Meanwhile lines go to `evaluations.jsonl` and `evaluated_tracks.jsonl`."""
        self._evaluating = True
        try:
            yield
        finally:
            self._evaluating = False

    @rank_zero_only
    def log_hyperparams(self, params: dict[str, Any] | argparse.Namespace, *args: Any, **kwargs: Any) -> None:
        """Nothing: the run's `config.yaml` holds them."""

    @rank_zero_only
    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        """Adds a line."""
        numbers = {name: float(value) for name, value in metrics.items()}
        line: dict[str, Any] = {"step": step or 0, "epoch": int(numbers.pop("epoch", 0)), "time": round(time.time(), 3)}
        _add(self._place(self.path, "evaluations.jsonl"), line | _finite(numbers))

    @rank_zero_only
    def log_tracks(
        self, stage: str, scored: Mapping[str, TrackScores], sources: Sequence[str], step: int, epoch: int
    ) -> None:
        """Adds a line of every track's scores.

        Args:
            stage: `val` or `test`.
            scored: scores by track.
            sources: the stems' names, in the scores' order.
            step: the optimizer's steps so far.
            epoch: from 0 on.
        """
        tracks: dict[str, dict[str, Any]] = {}
        for name, scores in scored.items():
            tracks[name] = {
                measure: _finite(dict(zip(sources, decibels.tolist(), strict=True)))
                for measure, decibels in scores.measures.items()
            }
            tracks[name]["dropped_frames"] = scores.dropped_frames
        line = {"stage": stage, "step": step, "epoch": epoch, "tracks": tracks}
        _add(self._place(self.tracks_path, "evaluated_tracks.jsonl"), line)

    def lines(self) -> list[dict[str, Any]]:
        """What has been logged so far; a line that a killed run left unfinished is not there."""
        return _lines(self.path)

    def best(self, monitor: str = "val/usdr") -> dict[str, Any]:
        """The line with the highest value of a measure: that of the best checkpoint; empty where there is none."""
        scored = [line for line in self.lines() if line.get(monitor) is not None]
        return max(scored, key=lambda line: float(line[monitor])) if scored else {}

    def forget_after(self, epoch: int) -> None:
        """Drops the lines of later epochs: a run that goes on from its last checkpoint takes these again."""
        for path in (self.path, self.tracks_path):
            kept = [json.dumps(line) + "\n" for line in _lines(path) if line["epoch"] <= epoch]
            with replacing(path) as unfinished:
                unfinished.write_text("".join(kept), encoding="utf-8")

    def _place(self, path: Path, evaluated: str) -> Path:
        return path.with_name(evaluated) if self._evaluating else path


def _add(path: Path, line: Mapping[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a", encoding="utf-8") as file:  # closing flushes
        file.write(json.dumps(line) + "\n")


def _lines(path: Path) -> list[dict[str, Any]]:
    found = []
    if path.is_file():
        for line in path.read_text(encoding="utf-8").splitlines():
            with contextlib.suppress(json.JSONDecodeError):
                found.append(json.loads(line))
    return found


def _finite(numbers: Mapping[str, float]) -> dict[str, float | None]:
    return {name: value if math.isfinite(value) else None for name, value in numbers.items()}


class WandbRun(WandbLogger):
    """One Weights & Biases run per training, in the run's folder, silent and closed at its end.

    A training that is stopped and goes on keeps the run's id, so that `wandb sync` makes one run of its parts. Offline,
    wandb 0.31 numbers the rows of every part from 0, so that they would not be told apart: here each part numbers them
    from another million on.

    Args:
        folder: of the run; the files lie in `wandb/` there.
        mode: "offline" writes files only, "online" uploads as well.
        name: of the run.
        group: of the runs it belongs to, the sweep's name.
        tags: words to filter by.
    """

    def __init__(
        self, folder: Path, *, mode: WandbMode, name: str, group: str | None = None, tags: list[str] | None = None
    ):
        self.folder = folder.absolute()
        self.mode = mode
        super().__init__(
            project="unetsep",
            save_dir=str(self.folder),
            id=self._run_id(),
            name=name,
            group=group,
            tags=list(tags or []),
            mode=mode,
        )
        self._wandb_init.pop("anonymous", None)  # wandb warns of the argument, which Lightning always passes

    def _parts(self) -> list[Path]:
        """What the folder holds of the run."""
        # such as `offline-run-20261125_222600-dbfffa4c`, and `...-1` for a second part that begins in the same second
        return sorted((self.folder / "wandb").glob("*run-*-*"))

    def _run_id(self) -> str:
        """The id of the run that the folder holds, or else a new one."""
        held = self._parts()
        # not wandb's own generator: one seed for every trial must not make one id for every trial
        return held[-1].name.partition("run-")[2].split("-")[1] if held else uuid.uuid4().hex[:8]

    @property
    def experiment(self) -> Any:
        """The open `wandb` run."""
        earlier = 0
        if self._experiment is None:
            import wandb

            earlier = len(self._parts()) if self.mode == "offline" else 0  # online, the server knows its rows
            self._wandb_init["settings"] = wandb.Settings(
                silent=True,
                console="off",  # the terminal is the user's
                disable_git=True,
                save_code=False,
                x_disable_meta=True,  # host, user and paths are nobody's business
                host="-",
                x_transaction_log_flush_interval=1.0,  # what a killed run loses, in seconds
            )
            (self.folder / "wandb").mkdir(parents=True, exist_ok=True)  # wandb falls back to a temporary folder
            if wandb.run is not None:  # left open by someone else; Lightning would write into it
                wandb.run.finish()
        run = super().experiment
        if earlier:
            run.log({}, step=1_000_000 * earlier, commit=False)
        return run

    @rank_zero_only
    def summarise(self, numbers: Mapping[str, float]) -> None:
        """Puts numbers beside the run's curves: its costs, its best score."""
        self.experiment.summary.update(dict(numbers))

    @rank_zero_only
    def log_files(self, *, step: int, sounds: Mapping[str, Path], pictures: Mapping[str, Path]) -> None:
        """Logs sound files and pictures under their keys."""
        import wandb

        media: dict[str, Any] = {key: wandb.Audio(str(path), caption=path.stem) for key, path in sounds.items()}
        media |= {key: wandb.Image(str(path), caption=path.stem) for key, path in pictures.items()}
        self.experiment.log({**media, "trainer/global_step": step})

    @rank_zero_only
    def finalize(self, status: str) -> None:
        """Closes the run: the next one in this process must not write into it."""
        if self._experiment is not None:
            self._experiment.finish(exit_code=0 if status == "success" else 1)
            self._experiment = None


def check_wandb(mode: WandbMode) -> None:
    """Refuses to go online without a login, instead of asking for one in the middle of a run.

    Raises:
        InputError: if the mode is "online" and nobody is logged in.
    """
    if mode == "online":
        import wandb

        if not wandb.login(prompt=False, verify=False):
            raise InputError("wandb is online, but nobody is logged in: run `wandb login`, or leave it offline")


class Facts(Callback):
    """Tells the loggers what is known once: the config and the cost before training, the best scores after it.

    Args:
        config: the whole run's, nested.
        cost: the separator's cost card.
    """

    def __init__(self, config: dict[str, Any], cost: dict[str, float]):
        super().__init__()
        self.config = config
        self.cost = {f"cost/{name}": value for name, value in cost.items()}

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Logs the config and the cost."""
        for logger in trainer.loggers:
            logger.log_hyperparams(self.config)
            if isinstance(logger, WandbRun):
                logger.summarise(self.cost)
            elif trainer.ckpt_path is None:  # a run that goes on has said it before
                logger.log_metrics(self.cost, step=0)

    def on_fit_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Logs the best scores, as `best/...`: the summary's own are the last ones."""
        best = next((logger.best() for logger in trainer.loggers if isinstance(logger, MetricsLog)), {})
        numbers = {f"best/{name.removeprefix('val/')}": value for name, value in best.items() if value is not None}
        for logger in trainer.loggers:
            if isinstance(logger, WandbRun):
                logger.summarise({name: value for name, value in numbers.items() if name != "best/time"})
