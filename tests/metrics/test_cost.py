import math
from functools import partial

import pytest
import torch
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from unetsep.audio.stft import istft, stft
from unetsep.metrics import cost
from unetsep.metrics.cost import cost_card
from unetsep.model import AttentionBlock, DeepUNet, RecurrentBlock, Separator, TFCTDFUNet, UNet

RATE, N_FFT, HOP = 8000, 256, 64


class Masker(nn.Module):
    """Three convolutions over the spectrogram, or whatever comes after them."""

    def __init__(self, after=None, width=5, sources=3, channels=2):
        super().__init__()
        self.sample_rate, self.audio_channels, self.depth, self.sources = RATE, channels, 2, sources
        self.enter = nn.Conv2d(channels, width, (3, 5), padding=(1, 2))
        self.norm = nn.BatchNorm2d(width)
        self.leave = nn.Conv2d(width, sources * channels, 1)
        self.after = after

    def receptive_field(self):
        return 0.25, 93.75

    def forward(self, mixture):
        spectrum = stft(mixture, N_FFT, HOP)
        hidden = self.norm(self.enter(spectrum.abs()))
        if self.after is not None:
            hidden = hidden + self.after(hidden.mean(dim=2).transpose(1, 2)).transpose(1, 2)[:, :, None]
        masks = self.leave(hidden.relu()).unflatten(1, (self.sources, self.audio_channels)).softmax(dim=1)
        return istft(spectrum[:, None] * masks, N_FFT, HOP, mixture.shape[-1])


class Recurrent(nn.Module):
    def __init__(self, kind):
        super().__init__()
        self.layer = kind(5, 5, batch_first=True)

    def forward(self, x):
        return self.layer(x)[0]


class Attention(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.MultiheadAttention(5, 1, batch_first=True)

    def forward(self, x):
        return self.layer(x, x, x, need_weights=False)[0]


def counted_on_real_tensors(separator, seconds):
    # The counter does not know the CPU's fused attention kernel; the plain one it does.
    with FlopCounterMode(display=False) as counter, torch.no_grad(), sdpa_kernel(SDPBackend.MATH):
        separator.eval()(torch.randn(1, separator.audio_channels, round(seconds * RATE)))
    return counter.get_total_flops() / 2 / seconds / 1e9


def test_macs_of_a_convolutional_net_are_those_counted_by_hand():
    seconds = 2.0
    bins = (N_FFT // 2 + 1) * (math.ceil(seconds * RATE / HOP) + 1)
    macs = bins * (2 * 5 * 3 * 5 + 5 * 6)
    card = cost_card(Masker(), measure=False, seconds=seconds)
    assert card["gmacs_per_second"] == pytest.approx(macs / seconds / 1e9, rel=1e-12)


@pytest.mark.parametrize("after", [None, nn.Linear(5, 5), Recurrent(nn.GRU), Attention()])
def test_macs_agree_with_torch_s_own_counter_on_real_tensors(after):
    separator = Masker(after)
    card = cost_card(separator, measure=False, seconds=0.5)
    assert card["gmacs_per_second"] == pytest.approx(counted_on_real_tensors(separator, 0.5), rel=1e-12)


@pytest.mark.parametrize(
    "net",
    [
        UNet,
        DeepUNet,
        TFCTDFUNet,
        partial(UNet, depth=2, bottleneck=RecurrentBlock),
        partial(UNet, depth=2, bottleneck=AttentionBlock),
    ],
    ids=["unet", "deep_unet", "tfc_tdf", "recurrent", "attention"],
)
def test_macs_of_the_separators_agree_with_torch_s_own_counter(net):
    separator = Separator(net=net, audio_channels=1, sample_rate=RATE, n_fft=512, hop=256)
    card = cost_card(separator, measure=False, seconds=0.5)
    assert card["gmacs_per_second"] == pytest.approx(counted_on_real_tensors(separator, 0.5), rel=1e-12)
    assert card["params"] == sum(parameter.numel() for parameter in separator.parameters())
    assert card["depth"] == separator.depth


def test_the_macs_of_an_lstm_are_counted_although_torch_overlooks_them_on_the_cpu():
    frames = math.ceil(0.5 * RATE / HOP) + 1
    with_lstm = cost_card(Masker(Recurrent(nn.LSTM)), measure=False, seconds=0.5)["gmacs_per_second"]
    without = cost_card(Masker(), measure=False, seconds=0.5)["gmacs_per_second"]
    assert with_lstm - without == pytest.approx(frames * 4 * (5 * 5 + 5 * 5) / 0.5 / 1e9, rel=1e-6)


@pytest.mark.parametrize("kind", [nn.GRU, nn.LSTM, nn.RNN])
@pytest.mark.parametrize("shape", [{}, {"num_layers": 2}, {"bidirectional": True, "num_layers": 3}])
def test_recurrent_layers_cost_what_they_would_if_every_frame_were_gone_through(kind, shape, monkeypatch):
    separator = Masker(nn.Sequential(Recurrent(partial(kind, **shape)), nn.Linear(10 if len(shape) == 2 else 5, 5)))
    at_once = cost_card(separator, measure=False, seconds=0.5)
    monkeypatch.setattr(cost, "_recurrent", lambda layers, stepwise, sequence: stepwise(sequence))
    stepwise = cost_card(separator, measure=False, seconds=0.5)
    assert at_once["gmacs_per_second"] == pytest.approx(stepwise["gmacs_per_second"], rel=1e-12)
    assert at_once["peak_memory_mb"] == pytest.approx(stepwise["peak_memory_mb"], rel=0.01)


def test_params_depth_and_receptive_field_are_the_separator_s_own():
    separator = Masker()
    card = cost_card(separator, measure=False, seconds=0.1)
    assert card["params"] == (2 * 5 * 3 * 5 + 5) + (5 + 5) + (5 * 6 + 6)
    assert (card["depth"], card["receptive_field_seconds"], card["receptive_field_hz"]) == (2, 0.25, 93.75)
    assert all(type(value) is float for value in card.values())


def test_frozen_and_shared_parameters_count_once():
    separator = Masker()
    separator.requires_grad_(False)
    before = cost_card(separator, measure=False, seconds=0.1)
    separator.again = separator.enter
    after = cost_card(separator, measure=False, seconds=0.1)
    assert after == before


class Doubling(nn.Module):
    """Holds a parameter, a buffer and two arrays of the input's size at its worst moment."""

    sample_rate, audio_channels, depth = RATE, 1, 0

    def __init__(self):
        super().__init__()
        self.gain = nn.Parameter(torch.ones(1000))
        self.register_buffer("window", torch.ones(500))

    def receptive_field(self):
        return 0.0, 0.0

    def forward(self, mixture):
        first = mixture * 2  # input, first
        second = first + 1  # input, first, second: the peak
        del first
        second += self.gain[0]  # in place: nothing new
        third = second * 2  # input, second, third: the peak again, for the first is gone
        return third[:, None]  # a view: nothing new


def test_peak_memory_is_the_bytes_alive_at_the_worst_moment():
    card = cost_card(Doubling(), measure=False, seconds=1.0)
    assert card["peak_memory_mb"] == 4 * (1000 + 500 + 3 * RATE) / 1e6


def test_the_card_is_the_same_each_time_and_leaves_the_separator_alone():
    separator = Masker(Recurrent(nn.GRU)).train()
    before = {name: value.clone() for name, value in separator.state_dict().items()}
    cards = [cost_card(separator, measure=False, seconds=0.5) for _ in range(3)]
    assert cards[0] == cards[1] == cards[2]
    assert separator.training
    assert all(torch.equal(value, before[name]) for name, value in separator.state_dict().items())
    assert all(parameter.device.type == "cpu" for parameter in separator.parameters())


def test_a_separator_of_any_size_is_counted_without_its_memory():
    separator = Masker(width=4)
    with torch.device("meta"):
        separator.leave = nn.Conv2d(4, 6, 1001)  # 24 million weights that do not exist
        separator.leave.padding = (500, 500)
    card = cost_card(separator, measure=False, seconds=0.5)
    assert card["params"] > 24e6
    assert card["peak_memory_mb"] > 96


def test_a_wider_net_costs_more_memory_and_macs():
    narrow, wide = (cost_card(Masker(width=width), measure=False, seconds=0.5) for width in (4, 8))
    assert wide["peak_memory_mb"] > narrow["peak_memory_mb"]
    assert wide["gmacs_per_second"] == pytest.approx(2 * narrow["gmacs_per_second"])


def test_the_real_time_factor_is_measured_on_request():
    card = cost_card(Masker(), seconds=0.5, measure_seconds=0.5)
    assert 0 < card["rtf_cpu"] < 10
    assert "rtf_cpu" not in cost_card(Masker(), measure=False, seconds=0.5)


@pytest.mark.parametrize("lengths", [{"seconds": 0.0}, {"measure_seconds": -1.0}])
def test_lengths_below_one_sample_are_refused(lengths):
    with pytest.raises(ValueError, match=r"at least one sample, 0\.000125"):
        cost_card(Masker(), **lengths)
