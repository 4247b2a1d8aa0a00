"""The training of a separator: its loss, its optimizer and schedule, and its scores on whole tracks."""

import math
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any, Literal, TypeAlias

import numpy as np
import torch
from lightning import Callback, LightningModule, Trainer
from lightning.pytorch.utilities.types import OptimizerLRScheduler
from torch import Tensor
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR

from unetsep.audio.files import InputError
from unetsep.audio.overlap import overlap_add
from unetsep.audio.stft import Signal
from unetsep.data import Batch
from unetsep.metrics.scores import STRETCH_SECONDS, TrackScores, score_track, summarise
from unetsep.model import Separator
from unetsep.training.averaging import MovingAverage
from unetsep.training.losses import LossFactory, SpectrogramL1
from unetsep.training.records import MetricsLog

OptimizerFactory: TypeAlias = Callable[[Iterable[Any]], Optimizer]

LOOK_EVERY = 10
"""Steps between looks at the loss on a GPU: a look waits for all that has been asked of it."""


class NonFiniteLossError(RuntimeError):
    """The loss became NaN or infinite: training on would only spread it."""

    exit_code = 3


class SeededSteps(Callback):
    """Makes the random numbers of a training step, dropout's, depend on the seed and the step alone.

    Whatever was drawn before, by a validation or by the steps of another process before a stop, changes nothing.

    Args:
        seed: from 0 on.
    """

    def __init__(self, seed: int):
        super().__init__()
        self.seed = seed

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:
        """Seeds torch for this step, on this device."""
        step = trainer.fit_loop.epoch_loop.total_batch_idx
        words = np.random.SeedSequence([self.seed, step, trainer.global_rank]).generate_state(1, np.uint64)
        torch.manual_seed(int(words[0] >> np.uint64(1)))


class SeparationModule(LightningModule):
    """Trains a separator on chunks and scores it on whole tracks.

    Args:
        separator: the network with its STFT.
        loss: what is minimised; the mixture is the sum of the stems. `SpectrogramL1` when not given.
        optimizer: takes the parameters; `torch.optim.AdamW`, fused, when not given.
        warmup_steps: over so many steps the learning rate rises linearly from 0 to the optimizer's own.
        schedule: what comes then: "cosine" falls to 0 at the last step (Loshchilov and Hutter 2017), "constant" stays.
        ema_decay: where given, validation, the checkpoints' weights and all that follows use an exponential moving
            average of the weights with this decay per step, 0 to less than 1.
        segment_seconds: whole tracks are separated in segments of this length, which
        overlap: share this part of their length with the next one.
        compile: compile the network with `torch.compile`: a minute of waiting, then faster steps on a GPU.

    Raises:
        InputError: if a number is out of range.
    """

    def __init__(
        self,
        separator: Separator,
        loss: LossFactory | None = None,
        optimizer: OptimizerFactory | None = None,
        *,
        warmup_steps: int = 0,
        schedule: Literal["cosine", "constant"] = "cosine",
        ema_decay: float | None = None,
        segment_seconds: float = 6.0,
        overlap: float = 0.25,
        compile: bool = False,
    ):
        super().__init__()
        if warmup_steps < 0:
            raise InputError(f"warmup_steps is {warmup_steps}: use 0 or more")
        if ema_decay is not None and not 0 <= ema_decay < 1:
            raise InputError(f"ema_decay is {ema_decay}: use 0 to less than 1, usually 0.99 or more, or null for none")
        if segment_seconds * separator.sample_rate < 1 or not 0 <= overlap < 1:
            raise InputError(
                f"segment_seconds is {segment_seconds} and overlap {overlap}: "
                "use more than 0 seconds, and an overlap from 0 to less than 1"
            )
        self.separator = separator
        self.loss = (loss or SpectrogramL1)()
        # not in the signature: a config that names Adam would inherit AdamW's weight decay
        self.optimizer = optimizer or partial(torch.optim.AdamW, fused=True)
        self.warmup_steps = warmup_steps
        self.schedule = schedule
        self.ema_decay = ema_decay
        self.segment = max(1, round(segment_seconds * separator.sample_rate))
        self.overlap = overlap
        self.compiled = compile
        self.separator_config: dict[str, Any] | None = None
        """The separator as `class_path` and `init_args`, which the command line puts here for the checkpoints."""
        self._scored: dict[str, TrackScores] = {}
        self._unseen: list[tuple[Tensor, int, int, list[str]]] = []  # losses, each with its epoch, step and tracks

    def setup(self, stage: str) -> None:
        """Compiles the network, once, where that was asked for."""
        if self.compiled:
            self.compiled = False
            self.separator.net.compile()  # not the STFT: the compiler does not know complex numbers

    def configure_callbacks(self) -> list[Callback]:
        """The average of the weights, where one was asked for; there is none to load outside training."""
        if self.ema_decay is None or self.trainer.state.fn != "fit":
            return []
        return [MovingAverage(self.ema_decay)]

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """The loss of a batch of chunks.

        Raises:
            NonFiniteLossError: If it, or on a GPU one of the last steps', is NaN or infinite.
        """
        stems = batch.stems
        estimates = self.separator.separate(self.separator.signal(stems.sum(1)))
        loss = self.loss(estimates, self.separator.signal(stems))
        due = (batch_idx + 1) % LOOK_EVERY == 0 or loss.device.type == "cpu"
        self._check_finite(loss, batch, now=due)
        self.log("train/loss", loss, batch_size=len(stems))  # for a bar, Lightning would wait for the number
        # on the CPU: as a plain number it would be copied to the device, which waits for the step
        self.log("train/learning_rate", torch.tensor(self.trainer.optimizers[0].param_groups[0]["lr"]))
        return loss

    def validation_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """Scores one track and returns its stems `(source, channel, sample)`, for whoever listens."""
        return self._score(batch)

    def test_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """Scores one track in all measures and returns its stems `(source, channel, sample)`."""
        return self._score(batch, all_measures=True)

    def predict_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """Separates one track: `(source, channel, sample)`."""
        return self._separate(batch.stems[0].sum(0))

    def on_train_epoch_end(self) -> None:
        """Looks at what is left, before the weights are kept."""
        self._look()

    def on_validation_epoch_end(self) -> None:
        """Logs the scores as `val/...`."""
        self._log_scores("val")

    def on_test_epoch_end(self) -> None:
        """Logs the scores as `test/...`."""
        self._log_scores("test")

    def configure_optimizers(self) -> OptimizerLRScheduler:
        """The optimizer, and its schedule by steps.

        Raises:
            InputError: If the schedule is "cosine" and the trainer has no last step.
        """
        optimizer = self.optimizer(self.parameters())
        # A fused optimizer could undo a loss scale by itself, so Lightning refuses to clip its gradients in bf16 too,
        # where there is none. Without the mark the scaler undoes the scale before the gradients are clipped.
        optimizer._step_supports_amp_scaling = False  # type: ignore[attr-defined]
        total = self.trainer.estimated_stepping_batches
        if self.schedule == "cosine" and not math.isfinite(total):
            raise InputError(
                "model.schedule is cosine, which falls to 0 at the last step, but the trainer has no last step: "
                "give trainer.max_epochs or trainer.max_steps, or set model.schedule to constant"
            )

        def factor(step: int) -> float:
            if step < self.warmup_steps:
                return (step + 1) / (self.warmup_steps + 1)
            if self.schedule == "constant":
                return 1.0
            progress = (step - self.warmup_steps) / max(1, total - self.warmup_steps)
            return 0.5 * (1 + math.cos(math.pi * min(1.0, progress)))

        return {
            "optimizer": optimizer,
            "lr_scheduler": {"scheduler": LambdaLR(optimizer, factor), "interval": "step"},
        }

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Puts the separator's config beside its weights, so that the file alone can be deployed."""
        if self.separator_config is not None:
            checkpoint["separator"] = self.separator_config

    def _separate(self, mixture: Tensor) -> Tensor:
        return overlap_add(self.separator, mixture, self.segment, self.overlap)

    def _score(self, batch: Batch, *, all_measures: bool = False) -> Tensor:
        [stems] = batch.stems
        estimates = self._separate(stems.sum(0))
        loss = self._whole_loss(estimates, stems)
        self._check_finite(loss, batch, now=True)
        # MPS has no float64, which the scores are computed in
        on = "cpu" if stems.device.type == "mps" else stems.device
        self._scored[batch.tracks[0]] = score_track(
            stems.to(on), estimates.to(on), self.separator.sample_rate, float(loss), all_measures=all_measures
        )
        return estimates

    def _whole_loss(self, estimates: Tensor, stems: Tensor) -> Tensor:
        """The loss over a whole track, in stretches, each weighing as long as it is."""
        length = max(1, round(STRETCH_SECONDS * self.separator.sample_rate))
        total = stems.new_zeros(())
        for estimate, reference in zip(estimates.split(length, -1), stems.split(length, -1), strict=True):
            signals: list[Signal] = [self.separator.signal(waveform[None]) for waveform in (estimate, reference)]
            total += self.loss(*signals) * (reference.shape[-1] / stems.shape[-1])
        return total

    def _check_finite(self, loss: Tensor, batch: Batch, *, now: bool) -> None:
        """Looks at the loss, or keeps it on its device for the next look: each look waits for the device."""
        self._unseen.append((loss.detach(), self.current_epoch, self.global_step, batch.tracks))
        if now:
            self._look()

    def _look(self) -> None:
        unseen, self._unseen = self._unseen, []
        losses = torch.stack([loss for loss, *_ in unseen]).tolist() if unseen else []
        for value, (_, epoch, step, tracks) in zip(losses, unseen, strict=True):
            if not math.isfinite(value):
                raise NonFiniteLossError(
                    f"the loss is {value} in epoch {epoch}, step {step}, on {', '.join(dict.fromkeys(tracks))}: try a "
                    "lower learning rate or trainer.gradient_clip_val, and let `unetsep data check` look at the data"
                )

    def _log_scores(self, stage: str) -> None:
        scored = self._scored
        self._scored = {}
        if self.trainer.world_size > 1:  # every process scored its share, and some tracks twice to make shares equal
            shares: list[dict[str, TrackScores]] = [{} for _ in range(self.trainer.world_size)]
            torch.distributed.all_gather_object(shares, scored)
            scored = {track: scores for share in shares for track, scores in share.items()}
        if scored and not self.trainer.sanity_checking:
            summary = summarise(list(scored.values()), self.separator.sources)
            self.log_dict({f"{stage}/{name}": value for name, value in summary.items()})
            for logger in self.trainer.loggers:
                if isinstance(logger, MetricsLog):
                    logger.log_tracks(stage, scored, self.separator.sources, self.global_step, self.current_epoch)
