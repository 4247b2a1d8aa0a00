"""A model at work: any rate, length and number of channels, and stems that add up."""

import math
from functools import partial

import numpy as np
import pytest
import torch
from torch import nn

import unetsep
from unetsep.audio.files import InputError
from unetsep.deploy.separator import Separator
from unetsep.model import ComplexMask, Magnitude, SigmoidMask, SoftmaxMask, Spectrum, UNet
from unetsep.model import Separator as Model

STEMS = ("low", "high")


class Shares(nn.Module):
    """A network that answers with fixed shares, which softmax makes 1/4 and 3/4 of the mixture."""

    depth = 1
    frame_stride = 1

    def __init__(self, in_channels: int, out_channels: int, freqs: int):
        super().__init__()
        self.out_channels = out_channels

    def receptive_field(self) -> tuple[float, float]:
        return 1.0, 1.0

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        batch, _, freqs, frames = features.shape
        answer = features.new_zeros(batch, self.out_channels, freqs, frames)
        answer[:, self.out_channels // 2 :] = math.log(3)
        return answer


def shares(rate: int = 8000, channels: int = 1, **settings) -> Separator:
    model = Model(STEMS, Shares, audio_channels=channels, sample_rate=rate, n_fft=64, hop=16)
    return Separator(model, device="cpu", precision="float32", **settings)


def trained(estimate=SoftmaxMask, sources=("vocals", "drums", "rest"), channels: int = 1) -> Separator:
    torch.manual_seed(0)
    net = partial(UNet, depth=2, width=3)
    model = Model(sources, net, audio_channels=channels, sample_rate=8000, n_fft=64, hop=16, estimate=estimate)
    return Separator(model, device="cpu", precision="float32")


def noise(channels: int, samples: int) -> torch.Tensor:
    return 0.1 * torch.randn(channels, samples, generator=torch.Generator().manual_seed(0))


def decibels(signal: torch.Tensor, reference: torch.Tensor) -> float:
    return 10 * math.log10(float(signal.square().sum() / reference.square().sum()) + 1e-30)


@pytest.mark.parametrize("channels", [1, 2, 3, 6])
@pytest.mark.parametrize("width", [1, 2])
def test_every_channel_is_separated_by_a_mono_and_by_a_stereo_model(channels, width):
    mixture = noise(channels, 5000)
    stems = shares(channels=width).separate(mixture, 8000, consistent=False)
    assert list(stems) == list(STEMS)
    torch.testing.assert_close(stems["low"], 0.25 * mixture, atol=1e-6, rtol=1e-4)
    torch.testing.assert_close(stems["high"], 0.75 * mixture, atol=1e-6, rtol=1e-4)


@pytest.mark.parametrize("rate", [4000, 11_025, 16_000, 44_100, 192_000])
def test_a_tone_at_another_rate_comes_back_within_a_tenth_of_a_decibel(rate):
    time = torch.arange(rate * 2 + 13) / rate
    mixture = torch.sin(2 * math.pi * 440 * time)[None]
    stem = shares().separate(mixture, rate, stems=["low"])["low"]
    assert stem.shape == (1, rate * 2 + 13)
    inside = slice(rate // 20, -rate // 20)  # a resampler rings where a tone is cut off
    residual = (4 * stem - mixture)[:, inside]
    assert decibels(residual, mixture[:, inside]) < -40
    assert decibels(stem[:, inside], mixture[:, inside]) == pytest.approx(20 * math.log10(0.25), abs=0.1)


@pytest.mark.parametrize("samples", [1, 2, 7, 441])
@pytest.mark.parametrize("rate", [8000, 44_100])
def test_the_shortest_recordings_keep_their_length(samples, rate):
    stems = trained().separate(noise(2, samples), rate)
    assert {stem.shape for stem in stems.values()} == {(2, samples)}
    assert all(stem.isfinite().all() for stem in stems.values())


@pytest.mark.parametrize("estimate", [SoftmaxMask, SigmoidMask, ComplexMask, Magnitude, Spectrum])
@pytest.mark.parametrize(("rate", "channels"), [(8000, 1), (8000, 3), (11_025, 2)])
def test_consistent_stems_add_up_to_the_recording(estimate, rate, channels):
    mixture = noise(channels, 9001)
    stems = trained(estimate).separate(mixture, rate)
    assert decibels(sum(stems.values()) - mixture, mixture) < -120


@pytest.mark.parametrize("estimate", [SigmoidMask, ComplexMask, Spectrum])
def test_consistency_takes_no_stem_further_from_the_truth_than_it_was_altogether(estimate):
    mixture, separator = noise(1, 9000), trained(estimate)
    raw = separator.separate(mixture, 8000, consistent=False)
    assert decibels(sum(raw.values()) - mixture, mixture) > -20
    stems = separator.separate(mixture, 8000)
    moved = [(stems[name] - raw[name]) for name in stems]
    for one in moved[1:]:  # what is missing is shared evenly
        torch.testing.assert_close(one, moved[0], atol=1e-5, rtol=1e-3)


@pytest.mark.parametrize("rate", [8000, 11_025])
def test_one_stem_alone_is_what_it_is_among_all(rate):
    mixture, separator = noise(2, 20_000), trained(ComplexMask)
    for consistent in (True, False):
        everything = separator.separate(mixture, rate, consistent=consistent)
        for name in separator.sources:
            alone = separator.separate(mixture, rate, stems=[name], consistent=consistent)
            assert list(alone) == [name]
            torch.testing.assert_close(alone[name], everything[name], atol=1e-5, rtol=1e-3)


@pytest.mark.parametrize("estimate", [SigmoidMask, ComplexMask])
def test_the_only_stem_of_a_model_is_not_made_the_whole_recording(estimate):
    mixture, separator = noise(1, 9000), trained(estimate, sources=("vocals",))
    stems = separator.separate(mixture, 8000, stems=["vocals"], minus=["vocals"])
    torch.testing.assert_close(stems["vocals"], separator.separate(mixture, 8000, consistent=False)["vocals"])
    torch.testing.assert_close(stems["vocals"] + stems["minus_vocals"], mixture)
    assert decibels(stems["minus_vocals"], mixture) > -20


def test_the_mixture_minus_some_stems_is_the_others():
    mixture, separator = noise(2, 9000), trained()
    stems = separator.separate(mixture, 8000, stems=["vocals", "drums", "rest"], minus=["drums", "vocals"])
    assert list(stems) == ["vocals", "drums", "rest", "minus_drums_vocals"]
    torch.testing.assert_close(stems["minus_drums_vocals"], stems["rest"], atol=1e-6, rtol=1e-4)
    assert list(separator.separate(mixture, 8000, minus=["vocals"])) == ["minus_vocals"]


def test_numpy_and_a_single_row_are_waveforms_too():
    mixture = noise(1, 1000)
    (stem,) = shares().separate(mixture[0].numpy(), 8000, stems=["low"]).values()
    assert stem.shape == (1000,)
    torch.testing.assert_close(stem, 0.25 * mixture[0], atol=1e-6, rtol=1e-4)


def test_a_louder_recording_gives_the_same_stems_louder():
    mixture, separator = noise(1, 9000), trained()
    soft, loud = (separator.separate(gain * mixture, 8000)["vocals"] for gain in (1, 100))
    torch.testing.assert_close(loud, 100 * soft, atol=1e-3, rtol=1e-3)


def test_silence_stays_silent():
    stems = trained().separate(torch.zeros(2, 3000), 8000)
    assert all((stem == 0).all() for stem in stems.values())


def test_progress_grows_to_the_whole_recording():
    told: list[tuple[float, float]] = []
    trained().separate(noise(2, 200_000), 8000, on_progress=lambda done, total: told.append((done, total)))
    done = [seconds for seconds, _ in told]
    assert done == sorted(done)
    assert len(set(done)) > 3
    assert told[-1] == (25.0, 25.0)


@pytest.mark.parametrize("size", [1, 1000, 100_000])
@pytest.mark.parametrize("rate", [8000, 11_025])
def test_how_a_recording_is_cut_into_blocks_changes_nothing(size, rate):
    mixture, separator = noise(2, 3001), trained(channels=2)
    blocks = [part.T.numpy() for part in mixture.split(size, dim=1)]
    parts = list(separator.stream(lambda: iter(blocks), rate, 2, stems=["vocals"]))
    stem = torch.from_numpy(np.concatenate([part["vocals"] for part in parts])).T
    torch.testing.assert_close(stem, separator.separate(mixture, rate)["vocals"], atol=1e-6, rtol=1e-4)


def test_the_model_that_is_given_stays_as_it_is():
    torch.manual_seed(0)
    model = Model(STEMS, partial(UNet, depth=1, width=2), sample_rate=8000, n_fft=64, hop=16).train()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    Separator(model, device="cpu").separate(noise(2, 500), 8000)
    assert model.training
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())


def test_bfloat16_is_close_to_float32():
    torch.manual_seed(0)
    model = Model(STEMS, partial(UNet, depth=2, width=4), sample_rate=8000, n_fft=64, hop=16).eval()
    mixture = noise(2, 9000)
    exact, coarse = (
        Separator(model, device="cpu", precision=precision).separate(mixture, 8000)["low"]
        for precision in ("float32", "bfloat16")
    )
    assert -100 < decibels(coarse - exact, exact) < -30


@pytest.mark.parametrize(
    ("waveform", "line"),
    [
        (torch.zeros(2, 0), "at least one of each"),
        (torch.zeros(0, 5), "at least one of each"),
        (torch.zeros(1, 2, 3), "at least one of each"),
        (torch.tensor([[0.0, math.nan]]), "NaN or infinite"),
        (torch.tensor([[0.0, math.inf]]), "NaN or infinite"),
    ],
)
def test_what_is_no_recording_is_refused(waveform, line):
    with pytest.raises(InputError, match=line):
        shares().separate(waveform, 8000)


@pytest.mark.parametrize("asked", [{"stems": ["piano"]}, {"minus": ["piano"]}])
def test_a_stem_that_the_model_lacks_is_refused(asked):
    with pytest.raises(InputError, match="there is no stem 'piano': the model separates low, high"):
        shares().separate(noise(1, 10), 8000, **asked)


def test_a_rate_of_zero_is_refused():
    with pytest.raises(InputError, match="1 channels at 0 Hz"):
        shares().separate(noise(1, 10), 0)


@pytest.mark.parametrize("rate", [8000, 11_025])
@pytest.mark.parametrize("change", [-4000, -100, -1, 1, 100, 4000])
def test_a_recording_that_changes_while_it_is_read_is_refused(change, rate):
    lengths = iter([8000, 8000 + change])
    with pytest.raises(InputError, match="changed while it was read"):
        list(trained().stream(lambda: iter([noise(1, next(lengths)).T.numpy()]), rate, 1, stems=["vocals"]))


def test_a_recording_too_loud_to_compute_with_is_refused():
    with pytest.raises(InputError, match="too loud to compute with: scale it"):
        trained().separate(1e25 * noise(1, 9000), 8000)


@pytest.mark.parametrize(
    ("settings", "line"),
    [
        ({"device": "nonsense"}, "cannot compute on the device 'nonsense'"),
        ({"device": "meta"}, "cannot compute on the device 'meta'"),
        ({"precision": "float8"}, "precision is 'float8': use auto, float32, bfloat16, float16"),
        ({"device": "cpu", "precision": "float16"}, "use bfloat16 or float32"),
    ],
)
def test_a_device_or_precision_that_is_not_there_is_refused(settings, line):
    model = Model(STEMS, Shares, sample_rate=8000, n_fft=64, hop=16)
    with pytest.raises(InputError, match=line):
        Separator(model, **settings)


def test_a_checkpoint_is_loaded_by_the_packages_own_name(checkpoint):
    stems = unetsep.Separator.load(checkpoint, device="cpu").separate(noise(2, 2000), 22_050)
    assert {name: stem.shape for name, stem in stems.items()} == {"vocals": (2, 2000), "rest": (2, 2000)}
