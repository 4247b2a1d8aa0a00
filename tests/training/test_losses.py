import math

import pytest
import torch
from torch import Tensor

from unetsep.audio.files import InputError
from unetsep.audio.stft import Signal
from unetsep.training.losses import (
    Loss,
    MultiResolutionSTFT,
    SpectrogramL1,
    SpectrogramL2,
    VolumeBalancedL1,
    WaveformL1,
    WeightedSum,
)

LOSSES = {
    "l1": SpectrogramL1,
    "l1 complex": lambda: SpectrogramL1("complex"),
    "l2": SpectrogramL2,
    "l2 complex": lambda: SpectrogramL2("complex"),
    "balanced": VolumeBalancedL1,
    "weighted": lambda: VolumeBalancedL1([3.0, 1.0]),
    "waveform": WaveformL1,
    "resolutions": MultiResolutionSTFT,
    "sum": lambda: WeightedSum({"a": SpectrogramL1, "b": WaveformL1}, {"b": 0.1}),
}


def signal(waveform: Tensor) -> Signal:
    return Signal(256, 64, waveform=waveform)


def stems(*scales: float, seed: int = 0) -> Tensor:
    """(batch 2, source, channel 1, sample 2000) of noise, each source with its own scale."""
    noise = torch.randn(2, len(scales), 1, 2000, generator=torch.Generator().manual_seed(seed))
    return noise * torch.tensor(scales)[None, :, None, None]


def value(loss: Loss, estimates: Tensor, references: Tensor) -> float:
    return float(loss(signal(estimates), signal(references)))


@pytest.mark.parametrize("name", LOSSES)
def test_every_loss_is_zero_for_the_references_themselves_and_positive_for_others(name):
    references = stems(1, 0.3)
    assert value(LOSSES[name](), references, references) == pytest.approx(0, abs=1e-7)
    assert value(LOSSES[name](), stems(1, 0.3, seed=1), references) > 1e-3


@pytest.mark.parametrize("name", LOSSES)
def test_every_loss_has_finite_gradients_where_all_is_silent(name):
    estimates = torch.zeros(2, 2, 1, 2000, requires_grad=True)
    LOSSES[name]()(signal(estimates), signal(torch.zeros(2, 2, 1, 2000))).backward()
    assert estimates.grad is not None
    assert bool(estimates.grad.isfinite().all())


@pytest.mark.parametrize("name", LOSSES)
def test_no_loss_waits_for_the_device(name):
    estimates = torch.zeros(2, 2, 1, 2000, device="meta", requires_grad=True)  # meta holds no number to wait for
    LOSSES[name]().to("meta")(signal(estimates), signal(torch.zeros(2, 2, 1, 2000, device="meta"))).backward()


def test_spectrogram_losses_of_an_estimate_that_is_a_tenth_too_quiet_are_minus_20_db_of_the_reference():
    references = stems(1, 1)
    spectrum = signal(references).spectrum
    l1, l2 = (value(loss(), 0.9 * references, references) for loss in (SpectrogramL1, SpectrogramL2))
    assert 20 * math.log10(l1 / float(spectrum.abs().mean())) == pytest.approx(-20, abs=1e-4)
    assert 10 * math.log10(l2 / float(spectrum.abs().square().mean())) == pytest.approx(-20, abs=1e-4)


@pytest.mark.parametrize("loss", [SpectrogramL1, SpectrogramL2])
def test_magnitudes_do_not_see_a_flipped_sign_and_complex_bins_do(loss):
    references = stems(1, 1)
    assert value(loss("magnitude"), -references, references) == pytest.approx(0, abs=1e-7)
    silence = value(loss("complex"), 0 * references, references)
    factor = 2 if loss is SpectrogramL1 else 4
    assert value(loss("complex"), -references, references) == pytest.approx(factor * silence, rel=1e-5)


def test_waveform_l1_is_the_mean_absolute_difference_of_samples():
    assert value(WaveformL1(), torch.full((1, 1, 1, 9), 0.5), torch.full((1, 1, 1, 9), -0.25)) == pytest.approx(0.75)


def test_balanced_volumes_make_the_same_relative_error_count_the_same_in_a_loud_and_a_quiet_stem():
    references = stems(1.0, 0.25)
    loud, quiet = references.clone(), references.clone()
    loud[:, 0] *= 0.5
    quiet[:, 1] *= 0.5
    assert value(VolumeBalancedL1(), quiet, references) == pytest.approx(
        value(VolumeBalancedL1(), loud, references), rel=1e-5
    )
    assert value(SpectrogramL1(), loud, references) > 3 * value(SpectrogramL1(), quiet, references)


def test_a_silent_stem_weighs_no_more_than_one_at_a_tenth_of_the_average_volume():
    references = stems(1.0, 0.0)
    estimates = stems(1.0, 0.01)
    weight = 1 / 0.05 / (1 + 1 / 0.05)  # the average volume is a half, a tenth of it 0.05
    expected = weight * float(signal(estimates[:, 1:]).spectrum.abs().mean())
    assert value(VolumeBalancedL1(), estimates, references) == pytest.approx(expected, rel=1e-3)


def test_given_weights_of_volumes_count_by_their_ratios_and_one_is_needed_for_each_source():
    references, estimates = stems(1, 1), stems(1, 1, seed=1)
    alone = [value(SpectrogramL1(), estimates[:, [i]], references[:, [i]]) for i in range(2)]
    assert value(VolumeBalancedL1([3, 1]), estimates, references) == pytest.approx(0.75 * alone[0] + 0.25 * alone[1])
    with pytest.raises(InputError, match="3 weights for 2 sources"):
        value(VolumeBalancedL1([1, 1, 1]), estimates, references)


def test_resolutions_measure_a_quieter_copy_by_its_ratio_and_the_ratios_logarithm():
    references = 100 * stems(1, 1)  # far above the floor
    assert value(MultiResolutionSTFT(), 0.1 * references, references) == pytest.approx(0.9 + math.log(10), rel=1e-3)


def test_a_weighted_sum_is_the_sum_of_its_losses_times_their_weights():
    references, estimates = stems(1, 1), stems(1, 1, seed=1)
    both = WeightedSum({"a": SpectrogramL1, "b": WaveformL1}, {"b": 0.1})
    expected = value(SpectrogramL1(), estimates, references) + 0.1 * value(WaveformL1(), estimates, references)
    assert value(both, estimates, references) == pytest.approx(expected)
    with pytest.raises(InputError, match=r"weights for \['c'\] and losses \['a'\]"):
        WeightedSum({"a": SpectrogramL1}, {"c": 1.0})
