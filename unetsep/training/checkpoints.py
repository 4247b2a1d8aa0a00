"""The checkpoints of a run: the last one, to go on from, and the best one, to use."""

import math
from pathlib import Path
from typing import Any, Literal

import torch
from lightning import LightningModule, Trainer
from lightning.pytorch.callbacks import ModelCheckpoint


class RunCheckpoint(ModelCheckpoint):
    """Keeps `checkpoints/last.ckpt` after every epoch, or `checkpoints/best.ckpt` after every better one.

    Its own state in a checkpoint is the best score alone: no path, so a run's folder can be moved and go on.

    Args:
        folder: of the run.
        name: "last" or "best".
        monitor: what "best" means, highest first; none for "last".
    """

    def __init__(self, folder: Path, name: Literal["last", "best"], monitor: str | None = None):
        super().__init__(
            dirpath=folder / "checkpoints",
            filename=name,
            monitor=monitor,
            mode="max",
            save_top_k=1,
            save_on_train_epoch_end=True,  # in the middle of an epoch a stopped run could not go on bit by bit
            enable_version_counter=False,
        )
        self.path = folder / "checkpoints" / f"{name}.ckpt"

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Leaves out Lightning's warning that the folder is not empty: going on is what it is for."""
        self.dirpath = str(self.path.parent.absolute())

    def _save_topk_checkpoint(self, trainer: Trainer, monitor_candidates: dict[str, torch.Tensor]) -> None:
        if self.monitor is None or self.monitor in monitor_candidates:  # not every epoch ends with a validation
            super()._save_topk_checkpoint(trainer, monitor_candidates)

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Without a single validation the last weights are the best ones known."""
        held = trainer.strategy.broadcast(self.path.is_file())  # the processes must agree: they save together
        if not held and not self._should_skip_saving_checkpoint(trainer):
            self._save_checkpoint(trainer, str(self.path))

    def state_dict(self) -> dict[str, Any]:
        """The best score so far; -inf where there was none."""
        return {"best": -math.inf if self.best_model_score is None else float(self.best_model_score)}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Takes the best score up again, if the best checkpoint is still there."""
        if self.monitor is not None and self.path.is_file():
            path, self.best_model_score = str(self.path.absolute()), torch.tensor(state_dict["best"])
            self.best_k_models = {path: self.best_model_score}
            self.kth_best_model_path = self.best_model_path = path
            self.kth_value = self.best_model_score
