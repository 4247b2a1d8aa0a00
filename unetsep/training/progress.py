"""One line of progress: a bar that moves with every step, and a line that stays for every validation."""

import sys
import time
from typing import Any

from lightning import LightningModule, Trainer
from lightning.pytorch.callbacks import ProgressBar
from tqdm import tqdm


class Progress(ProgressBar):
    """A bar for the epoch where there is a terminal, and one line per validation in any case."""

    def __init__(self) -> None:
        super().__init__()
        self._bar: tqdm[Any] | None = None
        self._started = time.monotonic()
        self._enabled = True

    def disable(self) -> None:
        """Shows nothing, as on all processes but the first."""
        self._enabled = False

    def enable(self) -> None:
        """Shows again."""
        self._enabled = True

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Starts the clock."""
        self._started = time.monotonic()

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Opens the epoch's bar."""
        self._open(f"epoch {self._epoch(trainer)}", self.total_train_batches)

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Moves the bar, and says the loss."""
        if self._bar is not None:
            if not self._bar.disable and batch_idx % 10 == 0:  # not always: to say the loss is to wait for a GPU
                self._bar.set_postfix_str(_number("loss", trainer.callback_metrics.get("train/loss")), refresh=False)
            self._bar.update()

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Closes the epoch's bar."""
        self._close()

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Opens a bar over the tracks."""
        self._open_tracks(trainer, "validating", trainer.num_val_batches)

    def on_validation_batch_end(self, trainer: Trainer, *_: Any) -> None:
        """Moves it."""
        self._update()

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Leaves a line with the epoch's scores."""
        self._close()
        if self._enabled and trainer.state.fn == "fit" and not trainer.sanity_checking:
            metrics = trainer.callback_metrics
            words = [
                f"epoch {self._epoch(trainer)}",
                _number("train/loss", metrics.get("train/loss")),
                _number("val/loss", metrics.get("val/loss")),
                _number("val/usdr", metrics.get("val/usdr"), "{:.2f} dB"),
                f"{time.monotonic() - self._started:.0f} s",
            ]
            print("  ".join(word for word in words if word), file=sys.stderr, flush=True)

    def on_test_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Opens a bar over the tracks."""
        self._open_tracks(trainer, "testing", trainer.num_test_batches)

    def on_test_batch_end(self, trainer: Trainer, *_: Any) -> None:
        """Moves it."""
        self._update()

    def on_test_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Closes it."""
        self._close()

    def on_predict_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Opens a bar over the tracks."""
        self._open_tracks(trainer, "separating", trainer.num_predict_batches)

    def on_predict_batch_end(self, trainer: Trainer, *_: Any) -> None:
        """Moves it."""
        self._update()

    def on_predict_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Closes it."""
        self._close()

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        """Leaves the terminal clean for the message."""
        self._close()

    def _open_tracks(self, trainer: Trainer, what: str, tracks: list[int | float]) -> None:
        self._close()
        if not trainer.sanity_checking:
            self._open(what, sum(tracks))

    def _open(self, what: str, total: int | float) -> None:
        self._close()
        if self._enabled:
            self._bar = tqdm(
                total=total if total != float("inf") else None,
                desc=what,
                leave=False,
                disable=None,  # where the output is no terminal
                dynamic_ncols=True,
                file=sys.stderr,
                bar_format="{desc} {bar:20} {n_fmt}/{total_fmt}{postfix}  {remaining}",  # postfix brings its own comma
            )

    def _update(self) -> None:
        if self._bar is not None:
            self._bar.update()

    def _close(self) -> None:
        if self._bar is not None:
            self._bar.close()
            self._bar = None

    @staticmethod
    def _epoch(trainer: Trainer) -> str:
        limit = trainer.max_epochs
        return f"{trainer.current_epoch + 1}" + (f"/{limit}" if limit and limit > 0 else "")


def _number(name: str, value: Any, form: str = "{:.4f}") -> str:
    return "" if value is None else f"{name} {form.format(float(value))}"
