"""The published U-Nets, against the numbers and shapes of their papers."""

from itertools import pairwise

import pytest
import torch
from torch import nn

from unetsep.model import DeepUNet, Drop, Level, SpectrogramChannels, TFCTDFUNet


def shapes(net, freqs, frames, channels, kinds=(nn.Conv2d, nn.ConvTranspose2d, nn.Linear)):
    """Output shape (channel, freq, frame) of every layer of some kinds, in the order of the computation."""
    seen = []
    for module in net.modules():
        if isinstance(module, kinds):
            module.register_forward_hook(lambda module, inputs, output: seen.append(tuple(output.shape[1:])))
    with torch.no_grad():
        net.eval()(torch.randn(1, channels, freqs, frames))
    return seen


def parameters(net):
    return sum(p.numel() for p in net.parameters())


def test_deep_unet_has_the_papers_layers():
    # Jansson et al. 2017, section 3.1: patches of 512 bins by 128 frames, six layers with 16 to 512 channels, and back
    net = DeepUNet(1, 1, 512)
    down = [(16 * 2**k, 256 // 2**k, 64 // 2**k) for k in range(6)]
    up = [*reversed(down[:-1]), (1, 512, 128)]
    assert shapes(net, 512, 128, 1) == [*down, *up]
    convolutions = [module for module in net.modules() if isinstance(module, nn.Conv2d | nn.ConvTranspose2d)]
    assert {(conv.kernel_size, conv.stride) for conv in convolutions} == {((5, 5), (2, 2))}
    leaky = [module for module in net.modules() if isinstance(module, nn.LeakyReLU)]
    assert [module.negative_slope for module in leaky] == [0.2] * 6


def test_deep_unet_has_9_8_million_parameters():
    net = DeepUNet(1, 1, 512)
    down, back = (1, 16, 32, 64, 128, 256, 512), (512, 256, 128, 64, 32, 16)
    weights = 25 * sum(a * b for a, b in pairwise(down))
    # after the first, each transposed convolution reads the one before and the skip
    weights += 25 * (512 * 256 + 2 * sum(a * b for a, b in zip(back[1:], (*back[2:], 1), strict=True)))
    norms = 2 * (sum(down[1:]) + sum(back[1:]))
    assert parameters(net) == weights + norms + 1
    assert round(parameters(net) / 1e6, 1) == 9.8


def test_deep_unet_drops_out_in_its_first_three_decoders_only():
    ups = [module for module in DeepUNet(1, 1, 512).modules() if type(module).__name__ == "TransposedConv"]
    outermost_last = sorted(ups, key=lambda up: -up.conv.in_channels)
    assert [any(isinstance(m, nn.Dropout) for m in up.modules()) for up in outermost_last] == [True] * 3 + [False] * 3


def test_spectrogram_channels_has_the_papers_layers():
    # Oh et al. 2018, figure 2: 32 to 512 channels, two convolutions a level down and one up, a channel for each source
    net = SpectrogramChannels(1, 4, 1024)
    sizes = [(1024 // 2**k, 160 // 2**k) for k in range(5)]
    down = [(32 * 2**k, *sizes[k]) for k in range(5) for _ in range(2)]
    up = [(32 * 2**k, *sizes[k]) for k in (3, 2, 1, 0) for _ in range(2)]
    assert shapes(net, 1024, 160, 1) == [*down, *up, (4, 1024, 160)]
    assert sum(isinstance(module, nn.MaxPool2d) for module in net.modules()) == 4
    assert [module.p for module in net.modules() if isinstance(module, nn.Dropout)] == [0.4] * 4


def test_spectrogram_channels_has_10_6_million_parameters():
    widths = (32, 64, 128, 256, 512)
    weights = 9 * sum(a * b + b * b for a, b in zip((1, *widths), widths, strict=False))
    weights += sum(25 * 2 * w * w + 9 * 2 * w * w for w in widths[:-1])
    norms = 2 * (2 * sum(widths) + 2 * sum(widths[:-1]))
    net = SpectrogramChannels(1, 4, 1024)
    assert parameters(net) == weights + norms + (32 + 1) * 4
    assert round(parameters(net) / 1e6, 1) == 10.6


def test_tfc_tdf_has_the_papers_layers():
    # Choi et al. 2020: seven blocks of 24 channels, five convolutions and a frequency transform of f / 16 units in each
    net = TFCTDFUNet(4, 4, 1024)
    heights, frames = (1024, 512, 256, 128), (128, 64, 32, 16)

    def block(k):
        units = max(heights[k] // 16, 16)
        return [(24, heights[k], frames[k])] * 5 + [(24, frames[k], units), (24, frames[k], heights[k])]

    expected = [(24, 1024, 128)]
    for k in range(3):
        expected += [*block(k), (24, heights[k + 1], frames[k + 1])]
    expected += block(3)
    for k in (2, 1, 0):
        expected += [(24, heights[k], frames[k]), *block(k)]
    assert shapes(net, 1024, 128, 4) == [*expected, (4, 1024, 128)]


def test_tfc_tdf_with_seven_blocks_has_0_99_million_parameters():
    assert round(parameters(TFCTDFUNet(4, 4, 1024)) / 1e6, 2) == 0.99


def test_tfc_tdf_with_nine_blocks_and_twice_the_bins_has_2_23_million_parameters():
    assert round(parameters(TFCTDFUNet(4, 4, 2048, depth=4)) / 1e6, 2) == pytest.approx(2.23, abs=0.01)


@pytest.mark.parametrize("network", [DeepUNet, SpectrogramChannels, TFCTDFUNet])
@pytest.mark.parametrize("depth", range(1, 8))
def test_every_depth_is_one_override_away(network, depth):
    net = network(2, 8, 256, depth=depth, width=2).eval()
    assert net.depth == depth
    assert net(torch.randn(1, 2, 256, 65)).shape == (1, 8, 256, 65)


@pytest.mark.parametrize("network", [DeepUNet, SpectrogramChannels, TFCTDFUNet])
def test_any_level_may_lose_its_skip(network):
    net = network(2, 8, 64, depth=3, width=2, skip_at={2: Drop})
    levels = [module for module in net.modules() if isinstance(module, Level)]
    assert [type(level.skip) for level in levels[-2:]][-1] is Drop
    assert sum(type(level.skip) is Drop for level in levels) == 1
