"""The average of the weights over the steps: what is validated, kept and deployed."""

from itertools import chain
from typing import Any

import torch
from lightning import LightningModule, Trainer
from lightning.pytorch.callbacks import WeightAveraging


class MovingAverage(WeightAveraging):
    """An exponential moving average of the weights and buffers, which begins with those after the first step.

    Lightning's `EMAWeightAveraging` asks the device in every step whether it is the first, and waits for the answer.

    Args:
        decay: per step, 0 to less than 1.
    """

    def __init__(self, decay: float):
        super().__init__()
        self._decay = decay

    @torch.no_grad()
    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Moves the average towards the weights, if the optimizer has changed them."""
        if not self._latest_update_step:
            super().on_train_batch_end(trainer, pl_module, outputs, batch, batch_idx)  # takes them as they are
        elif trainer.global_step > self._latest_update_step:
            self._latest_update_step = trainer.global_step
            assert self._average_model is not None
            average = self._average_model.module
            held, given = (chain(each.parameters(), each.buffers()) for each in (average, pl_module))
            pairs = list(zip(held, given, strict=True))
            weights = [pair for pair in pairs if pair[0].is_floating_point()]
            torch._foreach_lerp_([ours for ours, _ in weights], [theirs for _, theirs in weights], 1 - self._decay)
            for ours, theirs in pairs:
                if not ours.is_floating_point():  # a count
                    ours.copy_(theirs)
