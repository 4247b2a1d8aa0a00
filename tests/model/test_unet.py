"""Invariants of the U-Net, over every block, skip, bottleneck and estimate."""

import math
from functools import partial

import pytest
import torch
from torch import nn

from unetsep.audio.files import InputError
from unetsep.model import (
    TDF,
    TFC,
    Add,
    AttentionBlock,
    Block,
    Concat,
    ConvBlock,
    DepthwiseBlock,
    Drop,
    Interpolate,
    LayerNorm,
    Level,
    MaxPool,
    RecurrentBlock,
    ResidualBlock,
    Separator,
    Skip,
    SoftmaxMask,
    StridedConv,
    TransposedConv,
    UNet,
)

from ..parts import BLOCKS, BOTTLENECKS, ESTIMATES, SKIPS


def small(estimate=SoftmaxMask, audio_channels=2, **settings):
    """A separator of four sources with a tiny U-Net, odd numbers of bins and frames included."""
    torch.manual_seed(0)
    net = partial(UNet, **({"depth": 2, "width": 4} | settings))
    return Separator(net=net, estimate=estimate, audio_channels=audio_channels, sample_rate=8000, n_fft=54, hop=16)


def test_the_lists_of_this_test_name_every_block_skip_and_estimate():
    from unetsep.model import Estimate
    from unetsep.model.sequence import SequenceBlock

    assert set(Block.__subclasses__()) == {*BLOCKS, SequenceBlock}
    assert {ConvBlock, *SequenceBlock.__subclasses__()} == set(BOTTLENECKS)
    assert set(Skip.__subclasses__()) == set(SKIPS)
    assert set(Estimate.__subclasses__()) == set(ESTIMATES)


@pytest.mark.parametrize("estimate", ESTIMATES)
@pytest.mark.parametrize("skip", SKIPS)
@pytest.mark.parametrize("block", BLOCKS)
class TestEveryBlockSkipAndEstimate:
    def test_stems_have_the_mixtures_size_and_every_parameter_a_gradient(self, block, skip, estimate):
        separator = small(estimate, block=block, skip=skip)
        stems = separator(torch.randn(2, 2, 397))
        assert stems.shape == (2, 4, 2, 397)
        assert stems.isfinite().all()
        (stems * torch.randn_like(stems)).sum().backward()
        without = [name for name, p in separator.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0]
        assert not without

    def test_in_eval_one_example_does_not_change_another(self, block, skip, estimate):
        separator = small(estimate, block=block, skip=skip).eval()
        mixture = torch.randn(3, 2, 200)
        with torch.no_grad():
            torch.testing.assert_close(separator(mixture)[1:2], separator(mixture[1:2]), atol=1e-5, rtol=1e-4)

    def test_saved_and_loaded_weights_give_the_same_stems(self, block, skip, estimate, tmp_path):
        separator, mixture = small(estimate, block=block, skip=skip), torch.randn(1, 2, 150)
        separator(mixture)  # moves the running statistics
        torch.save(separator.state_dict(), tmp_path / "weights.pt")
        again = small(estimate, block=block, skip=skip)
        again.load_state_dict(torch.load(tmp_path / "weights.pt", weights_only=True))
        with torch.no_grad():
            assert torch.equal(separator.eval()(mixture), again.eval()(mixture))


@pytest.mark.parametrize("block", BLOCKS)
@pytest.mark.parametrize(("freqs", "frames"), [(27, 13), (16, 8), (9, 1), (31, 50)])
def test_a_unet_keeps_any_size(block, freqs, frames):
    net = UNet(3, 5, freqs, depth=3, width=4, block=block).eval()
    assert net(torch.randn(2, 3, freqs, frames)).shape == (2, 5, freqs, frames)


@pytest.mark.parametrize("bottleneck", BOTTLENECKS)
def test_every_bottleneck_keeps_the_size_and_learns(bottleneck):
    net = UNet(2, 3, 19, depth=2, width=4, bottleneck=bottleneck)
    out = net(torch.randn(2, 2, 19, 23))
    assert out.shape == (2, 3, 19, 23)
    (out * torch.randn_like(out)).sum().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in net.parameters())


@pytest.mark.parametrize("depth", range(1, 8))
@pytest.mark.parametrize("stride", [(2, 2), (2, 1), (1, 2), (3, 2), (4, 1)])
@pytest.mark.parametrize("entry", ["block", "project", "stride"])
def test_every_depth_stride_and_entry_keeps_the_size(depth, stride, entry):
    net = UNet(1, 2, 37, depth=depth, width=2, growth=1.3, stride=stride, entry=entry, subbands=2).eval()
    assert net.depth == depth
    assert sum(isinstance(module, Level) for module in net.modules()) == depth - (entry == "stride")
    assert net(torch.randn(1, 1, 37, 21)).shape == (1, 2, 37, 21)


@pytest.mark.parametrize("entry", ["block", "project", "stride"])
@pytest.mark.parametrize("subbands", [1, 4, 5])
def test_the_order_in_memory_changes_nothing(subbands, entry):
    net = UNet(2, 3, 38, depth=2, width=4, entry=entry, subbands=subbands).eval().double()
    features = torch.randn(2, 2, 38, 21, dtype=torch.float64)
    plain = net(features)
    net.to(memory_format=torch.channels_last)
    torch.testing.assert_close(net(features), plain)
    torch.testing.assert_close(net(features.mT.contiguous().mT), plain)


@pytest.mark.parametrize("down", [StridedConv, partial(StridedConv, kernel=(5, 3)), MaxPool])
@pytest.mark.parametrize("up", [TransposedConv, partial(TransposedConv, kernel=(5, 3), dropout=0.3), Interpolate])
@pytest.mark.parametrize("norm", [nn.BatchNorm2d, partial(nn.InstanceNorm2d, affine=True), LayerNorm, nn.Identity])
def test_every_way_down_and_up_with_every_norm_keeps_the_size_and_learns(down, up, norm):
    block = partial(ConvBlock, norm=norm, activation=nn.GELU)
    net = UNet(2, 3, 21, depth=2, width=4, block=block, down=down, up=up)
    out = net(torch.randn(2, 2, 21, 11))
    assert out.shape == (2, 3, 21, 11)
    (out * torch.randn_like(out)).sum().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in net.parameters())


@pytest.mark.parametrize("length", [1, 2, 15, 16, 17, 1000])
@pytest.mark.parametrize("channels", [1, 2])
def test_any_length_comes_back_whole(length, channels):
    separator = small(audio_channels=channels).eval()
    assert separator(torch.randn(1, channels, length)).shape == (1, 4, channels, length)


def test_silence_gives_finite_stems_and_gradients():
    for estimate in ESTIMATES:
        separator = small(estimate)
        stems = separator(torch.zeros(2, 2, 300))
        stems.sum().backward()
        assert stems.isfinite().all()
        assert all(p.grad is None or p.grad.isfinite().all() for p in separator.parameters())


def test_softmax_stems_add_up_to_the_mixture():
    mixture = torch.randn(2, 2, 777)
    torch.testing.assert_close(small().eval()(mixture).sum(1), mixture, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("estimate", ESTIMATES)
def test_a_mixture_ten_times_louder_gives_the_same_stems_ten_times_louder(estimate):
    separator, mixture = small(estimate).eval(), torch.randn(1, 2, 500)
    torch.testing.assert_close(separator(10 * mixture), 10 * separator(mixture), atol=1e-4, rtol=1e-3)


@pytest.mark.parametrize("dropped", [0, 1])
@pytest.mark.parametrize("block", BLOCKS)
def test_drop_makes_the_encoders_features_irrelevant_to_that_level(dropped, block):
    net = UNet(2, 3, 16, depth=2, width=4, block=block, skip_at={dropped: Drop}).eval()
    levels = [module for module in net.modules() if isinstance(module, Level)]
    decoded = torch.randn(1, levels[dropped].skip.channels, 16, 8)
    noise = torch.randn_like(decoded)
    assert torch.equal(levels[dropped].skip(decoded + noise, decoded), levels[dropped].skip(noise, decoded))
    # and in the whole network: with the way down blocked, what was encoded no longer matters there but does elsewhere
    features = torch.randn(2, 2, 16, 8)
    levels[dropped].inner.register_forward_pre_hook(lambda module, inputs: (inputs[0] * 0,))
    with torch.no_grad():
        first, second = net(features)
    assert torch.equal(first, second) == (dropped == 0)


def test_exceptions_change_only_their_level():
    net = UNet(1, 1, 32, depth=3, width=4, skip_at={1: Add}, block_at={2: TFC}, stride_at={0: (2, 1)})
    levels = [module for module in net.modules() if isinstance(module, Level)]
    assert [type(level.skip) for level in levels] == [Concat, Add, Concat]
    assert [type(level.encode) for level in levels] == [ConvBlock, ConvBlock, TFC]
    assert [type(level.decode) for level in levels] == [ConvBlock, ConvBlock, TFC]
    assert [level.down.stride for level in levels] == [(2, 1), (2, 2), (2, 2)]


@pytest.mark.parametrize(
    ("settings", "complaint"),
    [
        ({"depth": 0}, "depth is 0: use 1 to 7"),
        ({"depth": 8}, "depth is 8"),
        ({"width": 0}, "width is 0"),
        ({"growth": -1.0}, "growth -1.0"),
        ({"subbands": 99}, "subbands is 99: use 1 to 32"),
        ({"skip_at": {7: Drop}}, "skip_at names level 7, but the levels are 0, 1, 2, 3"),
        ({"entry": "stride", "skip_at": {0: Drop}}, "skip_at names level 0, but the levels are 1, 2, 3"),
        ({"stride_at": {-1: (2, 2)}}, "stride_at names level -1"),
        ({"down": partial(StridedConv, kernel=(4, 4))}, "kernel .4, 4. does not fit stride .2, 2."),
        ({"bottleneck": AttentionBlock, "width": 3, "depth": 1}, "6 channels and 4 heads"),
    ],
)
def test_settings_out_of_range_are_refused_in_one_line(settings, complaint):
    with pytest.raises(InputError, match=complaint) as refusal:
        UNet(1, 1, 32, **settings)
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize(
    ("settings", "complaint"),
    [
        ({"sources": ()}, "name at least one"),
        ({"sources": ("bass", "bass")}, "each once"),
        ({"n_fft": 1023}, "n_fft is 1023"),
        ({"n_fft": 1024, "hop": 1000}, "hop is 1000"),
        ({"compression": 0.0}, "compression is 0.0"),
        ({"audio_channels": 0}, "audio_channels is 0: use 1 for mono or 2 for stereo"),
        ({"sample_rate": 0}, "sample_rate is 0"),
    ],
)
def test_a_separator_refuses_settings_out_of_range(settings, complaint):
    with pytest.raises(InputError, match=complaint):
        Separator(**settings)


class TestReceptiveField:
    """Against the network itself: not-a-number put into one bin shows up in every output bin that depends on it."""

    @staticmethod
    def measured(net, size=128):
        """Most bins and most frames that one output depends on, over outputs at every place within the strides."""
        places = torch.eye(size).bool()
        outputs = slice(size // 2, size // 2 + 8)
        bins = net(torch.zeros(size, 1, size, 8).masked_fill(places[:, None, :, None], torch.nan))
        frames = net(torch.zeros(size, 1, 8, size).masked_fill(places[:, None, None, :], torch.nan))
        return (
            int(bins.isnan().any(-1)[:, 0, outputs].sum(0).max()),
            int(frames.isnan().any(-2)[:, 0, outputs].sum(0).max()),
        )

    @pytest.mark.parametrize("depth", [1, 2, 3])
    @pytest.mark.parametrize("stride", [(2, 2), (2, 1), (1, 2)])
    @pytest.mark.parametrize("down", [StridedConv, partial(StridedConv, kernel=(5, 5)), MaxPool])
    @pytest.mark.parametrize("entry", ["block", "stride"])
    def test_it_bounds_what_a_bin_reaches_and_is_no_more_than_a_stride_too_wide(self, depth, stride, down, entry):
        up = partial(TransposedConv, kernel=(5, 5)) if isinstance(down, partial) else TransposedConv
        block = partial(ConvBlock, layers=1)
        settings = {"stride": stride, "block": block, "down": down, "up": up, "entry": entry}
        net = UNet(1, 1, 128, depth=depth, width=1, growth=1.0, **settings).eval()
        bins, frames = self.measured(net)
        most_bins, most_frames = net.receptive_field()
        assert most_bins - stride[0] ** depth < bins <= most_bins
        assert most_frames - stride[1] ** depth < frames <= most_frames

    @pytest.mark.parametrize("block", [ResidualBlock, DepthwiseBlock, TFC])
    def test_blocks_know_their_convolutions(self, block):
        net = UNet(1, 1, 128, depth=1, width=1, growth=1.0, block=block).eval()
        assert self.measured(net) == net.receptive_field()

    def test_frequency_transforms_see_all_bins_and_sequences_all_frames(self):
        assert UNet(1, 1, 64, depth=1, width=4, block=TDF).receptive_field()[0] == math.inf
        assert UNet(1, 1, 64, depth=2, width=4, decoder=TDF).receptive_field()[0] == math.inf
        for bottleneck in (RecurrentBlock, AttentionBlock):
            assert UNet(1, 1, 64, depth=1, width=4, bottleneck=bottleneck).receptive_field()[1] == math.inf

    def test_subbands_widen_it(self):
        one, four = (UNet(1, 1, 64, depth=1, width=2, subbands=k).receptive_field() for k in (1, 4))
        assert four == (4 * one[0], one[1])

    def test_seconds_and_hertz_follow_from_the_stft(self):
        separator = small(depth=1)  # 3x3 twice, down by 2, 3x3 twice, up by 2, 3x3 twice: 1 + 4 + 1 + 8 + 0 + 4 bins
        assert separator.receptive_field() == pytest.approx(((17 * 16 + 54) / 8000, 18 * 8000 / 54))
