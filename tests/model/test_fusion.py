"""Folding normalisations into convolutions changes nothing that is heard."""

import copy
from functools import partial

import pytest
import torch
from torch import nn

from unetsep.model import (
    Block,
    ConvBlock,
    DepthwiseBlock,
    Interpolate,
    LayerNorm,
    MaxPool,
    NoBlock,
    ResidualBlock,
    StridedConv,
    TransposedConv,
    UNet,
)
from unetsep.model.fusion import fused


def unet(**settings) -> UNet:
    """A U-Net whose batch normalisations have seen something."""
    torch.manual_seed(0)
    net = UNet(2, 3, 33, **({"depth": 2, "width": 4} | settings))
    for _ in range(3):
        net(torch.randn(2, 2, 33, 20) + 0.5)
    return net.eval()


@pytest.mark.parametrize("block", [NoBlock, ConvBlock, ResidualBlock, DepthwiseBlock])
@pytest.mark.parametrize("down", [StridedConv, partial(StridedConv, kernel=(5, 5)), MaxPool])
@pytest.mark.parametrize("up", [TransposedConv, partial(TransposedConv, kernel=(5, 5), dropout=0.5), Interpolate])
@pytest.mark.parametrize("entry", ["project", "stride"])
def test_a_folded_network_answers_as_before(block: type[Block], down, up, entry):
    net = unet(block=block, down=down, up=up, entry=entry)
    folded = fused(copy.deepcopy(net))
    features = torch.randn(1, 2, 33, 21)
    with torch.no_grad():
        torch.testing.assert_close(folded(features), net(features), atol=1e-5, rtol=1e-4)
    assert not any(isinstance(part, nn.BatchNorm2d) for part in folded.modules())


def test_normalisations_by_a_frames_own_statistics_stay():
    net = unet(block=partial(ConvBlock, norm=LayerNorm))
    kept = sum(isinstance(part, LayerNorm) for part in net.modules())
    assert kept > 0
    assert sum(isinstance(part, LayerNorm) for part in fused(copy.deepcopy(net)).modules()) == kept
