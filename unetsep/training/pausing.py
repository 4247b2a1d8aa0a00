"""Trainings that pause and go on, and those that ended early and stay ended."""

import math
import time
from typing import Any, Literal

from lightning import Callback, LightningModule, Trainer
from lightning.pytorch.callbacks import EarlyStopping


class Pause(Callback):
    """Stops a training at the end of an epoch, from whose checkpoint it can go on bit by bit.

    What was done lies in the checkpoints and counts from the training's very beginning, so a training that has already
    got so far does nothing. None is stopped before its first validation: there would be no score to judge it by.

    Args:
        unit: "epochs", "steps" of the optimizer, or "seconds" of training, without validation.
        amount: it stops in the epoch in which it has done so much.
    """

    def __init__(self, unit: Literal["epochs", "steps", "seconds"] = "epochs", amount: float = math.inf):
        super().__init__()
        self.unit = unit
        self.amount = amount
        self._done = {"epochs": 0, "steps": 0, "seconds": 0.0}
        self._validated = False
        self._since = 0.0

    def state_dict(self) -> dict[str, Any]:
        """What was done so far."""
        return {**self._done, "validated": self._validated}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Takes up what was done before."""
        self._done = {unit: state_dict[unit] for unit in self._done}
        self._validated = state_dict["validated"]

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Stops at once where enough was done before."""
        self._stop_if_reached(trainer)

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Starts the clock."""
        self._since = time.monotonic()

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Stops the clock."""
        if not trainer.sanity_checking:
            self._done["seconds"] += time.monotonic() - self._since

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Starts it again."""
        if not trainer.sanity_checking:
            self._since = time.monotonic()
            self._validated = True

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Counts the epoch, before the checkpoints are written."""
        self._done["epochs"] += 1
        self._done["steps"] = trainer.global_step
        self._done["seconds"] += time.monotonic() - self._since
        self._stop_if_reached(trainer)

    def _stop_if_reached(self, trainer: Trainer) -> None:
        reached = self._validated and self._done[self.unit] >= self.amount
        if trainer.strategy.broadcast(reached):  # processes have clocks of their own
            trainer.should_stop = True
            # a least length is one of the whole training
            trainer.fit_loop.min_epochs = trainer.fit_loop.epoch_loop.min_steps = None


class Patience(EarlyStopping):
    """Ends a training when so many validations in a row brought no better score; it stays ended, if asked to go on.

    Args:
        monitor: the score, of which more is better.
        patience: how many validations.
    """

    def __init__(self, monitor: str, patience: int):
        super().__init__(monitor, mode="max", patience=patience, check_finite=False)

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Takes up the best score and what came after it; how many validations to wait is for this config to say."""
        super().load_state_dict({**state_dict, "patience": self.patience})

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Ends a training again that had ended."""
        if self.wait_count >= max(1, self.patience):
            trainer.should_stop = True
