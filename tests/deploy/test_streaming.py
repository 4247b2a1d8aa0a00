"""Segments fit together to one pass over the whole, for every block, skip, way down and up, and estimate."""

import math
import shutil
from functools import partial

import numpy as np
import pytest
import torch
from torch import nn

from unetsep.audio.files import InputError
from unetsep.audio.recording import open_recording
from unetsep.deploy.separator import Separator
from unetsep.deploy.streaming import plan
from unetsep.model import (
    AttentionBlock,
    ComplexMask,
    ConvBlock,
    DeepUNet,
    Interpolate,
    LayerNorm,
    MaxPool,
    NoBlock,
    RecurrentBlock,
    SigmoidMask,
    SoftmaxMask,
    SpectrogramChannels,
    Spectrum,
    StridedConv,
    TFCTDFUNet,
    TransposedConv,
    UNet,
)
from unetsep.model import Separator as Model

from ..parts import BLOCKS, ESTIMATES, SKIPS

RATE, N_FFT, HOP = 8000, 64, 16
wide = partial(StridedConv, kernel=(5, 5))
wide_up = partial(TransposedConv, kernel=(5, 5))


def model(net=UNet, estimate=SoftmaxMask, audio_channels=1, **settings) -> Model:
    """A model of three stems whose batch normalisations have seen something."""
    torch.manual_seed(0)
    settings = {"depth": 2, "width": 3} | settings
    built = Model(("vocals", "drums", "rest"), partial(net, **settings), audio_channels=audio_channels,
                  sample_rate=RATE, n_fft=N_FFT, hop=HOP, estimate=estimate)  # fmt: skip
    for _ in range(2):
        built(torch.randn(1, audio_channels, 4000))
    return built.eval()


def song(samples: int, channels: int = 1) -> torch.Tensor:
    """Tones that come and go over noise, loud and soft."""
    time = torch.arange(samples) / RATE
    tones = sum(torch.sin(2 * math.pi * pitch * time) * (torch.sin(2 * math.pi * time / pitch * 50) > 0)
                for pitch in (110.0, 440.0, 1234.5))  # fmt: skip
    noise = torch.randn(channels, samples, generator=torch.Generator().manual_seed(1))
    return 0.1 * (tones + noise) * (0.2 + torch.sin(2 * math.pi * time / 7).abs())


@pytest.fixture(scope="module")
def music() -> torch.Tensor:
    """Seven seconds of a real song, mono: MUSDB18's excerpt, which comes along with stempeg."""
    stempeg = pytest.importorskip("stempeg")
    blocks = list(open_recording(stempeg.example_stem_path()).blocks())
    return torch.from_numpy(np.concatenate(blocks).mean(1)[None, ::4].copy())


def decibels(signal: torch.Tensor, reference: torch.Tensor) -> float:
    return 10 * math.log10(float(signal.square().sum() / reference.square().sum()) + 1e-30)


def difference_db(built: Model, mixture: torch.Tensor, **settings) -> float:
    """The worst stem's difference from one pass over the whole."""
    with torch.inference_mode():
        whole = built(mixture[None])[0]
    stems = Separator(built, device="cpu", precision="float32").separate(mixture, RATE, consistent=False, **settings)
    return max(decibels(stems[name] - one, whole) for name, one in zip(built.sources, whole, strict=True))


@pytest.mark.parametrize(
    "settings",
    [
        *({"block": block} for block in BLOCKS),
        *({"skip": skip} for skip in SKIPS),
        *({"estimate": each} for each in ESTIMATES),
        *({"entry": entry, "subbands": 2} for entry in ("block", "project", "stride")),
        *({"down": down, "up": up} for down in (wide, MaxPool) for up in (wide_up, Interpolate)),
        *({"stride": stride, "depth": 3} for stride in ((2, 1), (1, 2), (2, 3))),
        {"depth": 5, "width": 2, "block": NoBlock, "down": wide, "up": wide_up, "entry": "stride"},
        {"net": DeepUNet, "depth": 4},
        {"net": SpectrogramChannels, "depth": 3},
        {"net": TFCTDFUNet, "depth": 2, "layers": 2},
        {"audio_channels": 2, "block": ConvBlock},
    ],
    ids=str,
)
def test_segments_give_what_one_pass_over_the_whole_gives(settings):
    built = model(**settings)
    mixture = song(round(1.5 * plan(built).step) * HOP + 3, built.audio_channels)
    # of spectra as such less is exact: bins without sound are amplified by compression, and FFTs round them otherwise
    assert difference_db(built, mixture, segment_seconds=None) < (-80 if settings.get("estimate") is Spectrum else -100)


@pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="ffmpeg reads the excerpt")
@pytest.mark.parametrize("settings", [{}, {"estimate": ComplexMask}, {"net": DeepUNet, "depth": 4}], ids=str)
def test_segments_of_music_give_what_one_pass_gives(settings, music):
    built = model(**settings)
    assert music.shape[1] > 2 * plan(built).step * HOP
    assert music.abs().max() > 0.1
    assert difference_db(built, music) < -100


@pytest.mark.parametrize("seconds", [0.5, 0.7, 1.9])
def test_segments_of_any_length_are_exact_as_long_as_the_network_has_room(seconds):
    built = model()
    assert difference_db(built, song(3 * RATE + 1), segment_seconds=seconds) < -100


class Untouched(nn.Identity):
    """A network that hands on the very memory that it reads."""

    depth = frame_stride = 1

    def __init__(self, in_channels: int, out_channels: int, freqs: int):
        super().__init__()

    def receptive_field(self) -> tuple[float, float]:
        return 1.0, 1.0


def test_a_network_that_hands_on_what_it_reads_keeps_it_while_the_next_segment_is_read():
    alone = Model(
        ("everything",), Untouched, audio_channels=1, sample_rate=RATE, n_fft=N_FFT, hop=HOP, estimate=SigmoidMask
    )
    assert difference_db(alone, song(60_000), segment_seconds=0.2) < -100


@pytest.mark.parametrize("bottleneck", [RecurrentBlock, partial(AttentionBlock, heads=1)])
def test_a_network_that_sees_everything_fades_from_segment_to_segment(bottleneck):
    built = model(bottleneck=bottleneck)
    assert math.isinf(built.net.receptive_field()[1])
    assert plan(built).fade > 0
    mixture = song(9 * RATE)
    assert difference_db(built, mixture, segment_seconds=20) < -100  # one pass
    assert difference_db(built, mixture, segment_seconds=3) < -30  # all that 3 s do not show


@pytest.mark.parametrize("norm", [LayerNorm, nn.InstanceNorm2d])
def test_a_network_that_normalises_by_the_whole_sees_everything(norm):
    built = model(block=partial(ConvBlock, norm=norm))
    assert built.net.receptive_field() == (math.inf, math.inf)
    assert plan(built).fade > 0


def test_too_little_overlap_fades_and_leaves_no_click():
    built = model(down=wide, up=wide_up, depth=4)
    segments = plan(built, segment_seconds=0.5, overlap=0.1)
    assert segments.fade > 0
    mixture = song(4 * RATE)
    with torch.inference_mode():
        whole = built(mixture[None])[0, 0, 0]
    stem = Separator(built, device="cpu", precision="float32").separate(mixture, RATE, segment_seconds=0.5, overlap=0.1)
    steps = (stem["vocals"][0] - whole).diff().abs()
    assert steps.max() < 0.5 * whole.diff().abs().max()


def test_enough_overlap_is_exact():
    built = model()
    assert plan(built, 1.0, 0.5).fade == 0
    assert difference_db(built, song(5 * RATE), segment_seconds=1.0, overlap=0.5) < -100


@pytest.mark.parametrize("rate", [1.0, -0.1, math.nan])
def test_an_overlap_out_of_its_range_is_refused(rate):
    with pytest.raises(InputError, match=r"overlap is .* from 0 to less than 1"):
        plan(model(), overlap=rate)


@pytest.mark.parametrize("seconds", [0.0, -1.0, math.nan, math.inf, 1e308])
def test_a_segment_of_no_length_is_refused(seconds):
    with pytest.raises(InputError, match=r"segment_seconds is .* must be more than 0"):
        plan(model(), seconds)


def test_a_segment_without_room_for_what_the_network_sees_is_refused():
    with pytest.raises(InputError, match=r"segment_seconds is 0.01, but the network sees .* s around a frame"):
        plan(model(), 0.01)
