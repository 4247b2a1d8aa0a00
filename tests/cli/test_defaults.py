"""A class that a config names has its own defaults, not those of the class it takes the place of."""

import inspect
from pathlib import Path

import pytest
import torch
from torch import nn

from unetsep import model
from unetsep.cli import UnetsepCLI
from unetsep.training.module import SeparationModule

BASE = Path(__file__).parents[2] / "sweeps" / "base"


def built(*args):
    return UnetsepCLI([*args, "--data.root=."], run=False).model


@pytest.mark.parametrize(("network", "decay"), [("deep_unet", 0.0), ("spectrogram_channels", 1e-6), ("tfc_tdf", 0.0)])
def test_the_published_networks_train_with_adam_and_only_the_weight_decay_they_name(network, decay):
    module = built(f"--config={BASE / network}.yaml")
    optimizer = module.optimizer([torch.zeros(1, requires_grad=True)])
    assert type(optimizer) is torch.optim.Adam
    assert optimizer.defaults["weight_decay"] == decay


def test_an_instance_normalisation_keeps_no_running_statistics():
    module = built("--model.separator.net.block=ConvBlock", "--model.separator.net.block.norm=torch.nn.InstanceNorm2d")
    norms = [each for each in module.modules() if isinstance(each, nn.InstanceNorm2d)]
    assert norms
    assert not any(each.track_running_stats for each in norms)


def test_no_signature_defaults_to_a_class():
    parts = [getattr(model, name) for name in model.__all__] + [SeparationModule]
    for part in parts:
        for parameter in inspect.signature(part.__init__).parameters.values():
            assert not isinstance(parameter.default, type) or parameter.default is inspect.Parameter.empty, (
                f"{part.__name__}({parameter.name}) defaults to a class, whose arguments another one would inherit"
            )
