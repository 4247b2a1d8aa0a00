"""The training step: its precision, its optimizer, and what it waits for."""

import copy
import math
from functools import partial
from types import SimpleNamespace

import pytest
import torch
from lightning import Trainer
from lightning.pytorch.callbacks import EMAWeightAveraging
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from unetsep.data import Batch
from unetsep.model import DeepUNet, Separator
from unetsep.training.averaging import MovingAverage
from unetsep.training.losses import SpectrogramL1, WaveformL1
from unetsep.training.module import LOOK_EVERY, NonFiniteLossError, OptimizerFactory, SeparationModule

SETTINGS = {"audio_channels": 1, "sample_rate": 8000, "n_fft": 256, "hop": 64}


@pytest.fixture
def separator() -> Separator:
    torch.manual_seed(0)
    return Separator(net=partial(DeepUNet, depth=2, width=4, dropout=0.0), **SETTINGS)


def batch(seed: int = 0) -> Batch:
    return Batch(0.1 * torch.randn(2, 4, 1, 3000, generator=torch.Generator().manual_seed(seed)), ["one", "two"])


def training(module: SeparationModule) -> SeparationModule:
    """The module as if a trainer had it, without the trainer's loops."""
    module.log = lambda *_, **__: None  # type: ignore[method-assign]
    optimizer = SimpleNamespace(param_groups=[{"lr": 0.1}])
    trainer = SimpleNamespace(optimizers=[optimizer], current_epoch=2, global_step=7)
    module.__dict__["_trainer"] = trainer
    return module


def trained(separator: Separator, optimizer: OptimizerFactory, precision: str = "32-true") -> dict[str, Tensor]:
    module = SeparationModule(copy.deepcopy(separator), WaveformL1, optimizer)
    trainer = Trainer(
        max_steps=3,
        limit_val_batches=0,
        precision=precision,
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        gradient_clip_val=0.01,
    )
    loader = torch.utils.data.DataLoader([batch(step) for step in range(3)], batch_size=None)
    trainer.fit(module, loader, loader)
    return module.state_dict()


@pytest.mark.parametrize("precision", ["32-true", "bf16-mixed"])
@pytest.mark.parametrize("kind", [torch.optim.Adam, torch.optim.AdamW])
def test_a_fused_optimizer_with_clipped_gradients_gives_the_weights_of_a_plain_one(separator, kind, precision):
    plain, fused = (trained(separator, partial(kind, lr=1e-3, fused=how), precision) for how in (False, True))
    start = separator.state_dict()
    for name, weights in plain.items():
        torch.testing.assert_close(fused[name], weights, atol=1e-6, rtol=1e-4)
    assert any(not torch.equal(plain[f"separator.{name}"], weights) for name, weights in start.items())


def test_the_default_optimizer_is_a_fused_adamw(separator):
    optimizer = SeparationModule(separator).optimizer(separator.parameters())
    assert type(optimizer) is torch.optim.AdamW
    assert optimizer.defaults["fused"]


def test_under_autocast_the_network_alone_is_in_bf16_and_the_loss_hardly_changes(separator):
    module = training(SeparationModule(separator, SpectrogramL1))
    seen: dict[str, torch.dtype] = {}
    separator.net.register_forward_hook(lambda _, arguments, output: seen.update(net=output.dtype))
    with torch.no_grad():
        exact = float(module.training_step(batch(), 0))
        assert seen == {"net": torch.float32}
        with torch.autocast("cpu", torch.bfloat16):
            signal = separator.separate(separator.signal(batch().stems.sum(1)))
            loss = module.training_step(batch(), 0)
    assert (seen["net"], signal.spectrum.dtype, signal.waveform.dtype, loss.dtype) == (
        torch.bfloat16,
        torch.complex64,
        torch.float32,
        torch.float32,
    )
    assert float(loss) == pytest.approx(exact, rel=0.01)


class Waits(TorchDispatchMode):
    """Counts the moments in which the host asks a device for a number, or gives it one and waits until it is there."""

    def __init__(self) -> None:
        super().__init__()
        self.count = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        self.count += func is torch.ops.aten._local_scalar_dense.default
        return func(*args, **(kwargs or {}))


def test_a_step_on_a_gpu_does_not_wait_for_the_loss(separator):
    module = training(SeparationModule(separator.to("meta"), SpectrogramL1))  # meta holds no number to wait for
    stems = Batch(torch.empty(2, 4, 1, 3000, device="meta"), ["one", "two"])
    for step in range(LOOK_EVERY - 1):
        module.training_step(stems, step).backward()
    with pytest.raises(RuntimeError, match="meta"):
        module.training_step(stems, LOOK_EVERY - 1)


def test_a_step_on_a_cpu_asks_for_the_loss_alone(separator):
    module = training(SeparationModule(separator, SpectrogramL1))
    with Waits() as waits:
        module.training_step(batch(), 0).backward()
    assert waits.count <= 1


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_loss_seen_later_is_still_named_with_its_own_epoch_step_and_tracks(separator, value):
    module = training(SeparationModule(separator))
    module._check_finite(torch.tensor(1.0), batch(), now=False)
    module.trainer.global_step = 8  # type: ignore[misc]
    module._check_finite(torch.tensor(value), batch()._replace(tracks=["bad", "bad", "worse"]), now=False)
    module.trainer.global_step = 9  # type: ignore[misc]
    with pytest.raises(NonFiniteLossError, match=f"the loss is {value} in epoch 2, step 8, on bad, worse: try"):
        module._check_finite(torch.tensor(math.nan), batch(), now=True)


def test_no_epoch_ends_before_its_losses_were_looked_at(separator):
    module = training(SeparationModule(separator))
    module._check_finite(torch.tensor(math.nan), batch(), now=False)
    with pytest.raises(NonFiniteLossError):
        module.on_train_epoch_end()
    module.on_train_epoch_end()  # where nothing is left


def test_the_moving_average_is_lightnings_and_asks_the_device_for_nothing(separator):
    module = SeparationModule(separator)
    module.register_buffer("steps", torch.zeros(1, dtype=torch.int64))
    ours, theirs = MovingAverage(0.9), EMAWeightAveraging(decay=0.9)
    for average in (ours, theirs):
        average.setup(SimpleNamespace(), module, "fit")
    for step in range(1, 5):
        with torch.no_grad():
            for weights in module.parameters():
                weights.add_(0.1 * torch.randn(weights.shape))
        module.steps += 1
        trainer = SimpleNamespace(global_step=step)
        theirs.on_train_batch_end(trainer, module, None, None, step)
        for _ in range(2):  # a batch without a step of the optimizer changes nothing
            with Waits() as waits:
                ours.on_train_batch_end(trainer, module, None, None, step)
            assert waits.count == 0 or step == 1
        state = ours._average_model.module.state_dict()
        assert state.pop("steps") == step
        for name, weights in state.items():
            torch.testing.assert_close(weights, theirs._average_model.module.state_dict()[name])
