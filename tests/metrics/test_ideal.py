"""The oracles: perfect where the theory says so, in the order it says, and at ease with silence."""

import subprocess
import sys
from functools import partial

import numpy as np
import pytest
import torch

from unetsep.audio.files import InputError
from unetsep.audio.stft import istft, stft
from unetsep.data.synthetic import synthesise
from unetsep.metrics import (
    apply_masks,
    fixed_masks,
    ideal_binary_mask,
    ideal_ratio_mask,
    mixture_as_estimate,
    multichannel_wiener,
    usdr,
)

N_FFT, HOP = 256, 64
ORACLES = {
    "irm1": partial(ideal_ratio_mask, exponent=1.0),
    "irm2": ideal_ratio_mask,
    "ibm": ideal_binary_mask,
    "mwf": multichannel_wiener,
}


@pytest.fixture(params=ORACLES.values(), ids=list(ORACLES))
def oracle(request):
    return request.param


def noise(sources=4, channels=2, samples=6000, seed=0):
    return torch.randn(sources, channels, samples, generator=torch.Generator().manual_seed(seed))


def taking_turns(sources=4, channels=2, samples=8000):
    """Stems that follow one another, with a pause of two windows between."""
    stems = noise(sources, channels, samples)
    turn = samples // sources
    for source in range(sources):
        stems[source, :, : source * turn + N_FFT] = 0
        stems[source, :, (source + 1) * turn - N_FFT :] = 0
    return stems


@pytest.mark.parametrize("channels", [1, 2, 3])
def test_estimates_have_the_stems_shape_and_add_up_to_the_mixture(oracle, channels):
    stems = noise(channels=channels, samples=5003)
    estimates = oracle(stems, N_FFT, HOP)
    assert estimates.shape == stems.shape
    assert estimates.dtype == stems.dtype
    torch.testing.assert_close(estimates.sum(dim=0), stems.sum(dim=0), rtol=0, atol=1e-5)


@pytest.mark.parametrize("channels", [1, 2, 3])
def test_stems_that_never_meet_are_separated_perfectly(oracle, channels):
    stems = taking_turns(channels=channels)
    assert usdr(stems, oracle(stems, N_FFT, HOP)).min() > 100


def test_a_filter_of_two_channels_tells_two_places_apart_however_the_sources_overlap():
    left, right = noise(2, 1)
    stems = torch.stack([left * torch.tensor([[1.0], [0.2]]), right * torch.tensor([[0.5], [0.9]])])
    assert usdr(stems, multichannel_wiener(stems, N_FFT, HOP)).min() > 60
    assert usdr(stems, ideal_ratio_mask(stems, N_FFT, HOP)).max() < 15


def test_sources_at_one_place_have_singular_covariances_and_get_what_the_ratio_mask_gives():
    stems = noise(3, 1).expand(3, 2, -1) * torch.tensor([1.0, 0.5])[:, None]
    estimates = multichannel_wiener(stems, N_FFT, HOP)
    torch.testing.assert_close(estimates, ideal_ratio_mask(stems, N_FFT, HOP), rtol=0, atol=1e-4)


def test_in_mono_the_wiener_filter_is_the_mask_of_power_ratios():
    stems = noise(channels=1)
    wiener, ratio = multichannel_wiener(stems, N_FFT, HOP), ideal_ratio_mask(stems, N_FFT, HOP, exponent=2.0)
    torch.testing.assert_close(wiener, ratio, rtol=0, atol=1e-5)


def test_the_wiener_filter_is_that_of_its_formula():
    stems = noise(3, 3, samples=2000).double()
    spectra = stft(stems, N_FFT, HOP).permute(0, 2, 3, 1)  # source, freq, frame, channel
    power = spectra.abs().square().mean(dim=-1)
    products = spectra[..., :, None] * spectra[..., None, :].conj()
    spatial = products.sum(dim=2) / power.sum(dim=2)[..., None, None]
    model = power[..., None, None] * spatial[:, :, None]
    expected = (model @ torch.linalg.inv(model.sum(dim=0)) @ spectra.sum(dim=0)[..., None])[..., 0]
    # The signal whose spectrum comes closest to the formula's; a filter's output is rarely a spectrum itself.
    expected = istft(expected.permute(0, 3, 1, 2), N_FFT, HOP, 2000)
    torch.testing.assert_close(multichannel_wiener(stems, N_FFT, HOP), expected, rtol=0, atol=1e-6)


def test_ratio_masks_near_the_binary_mask_as_the_exponent_grows():
    stems = noise()
    binary = ideal_binary_mask(stems, N_FFT, HOP)
    gaps = [(ideal_ratio_mask(stems, N_FFT, HOP, exponent) - binary).abs().max() for exponent in (1.0, 4.0, 1e6)]
    assert gaps[0] > gaps[1] > gaps[2]
    assert gaps[2] < 1e-3


def test_of_equal_sources_the_binary_mask_takes_the_first_and_the_others_share():
    stems = noise(1).expand(3, -1, -1)
    expected = torch.stack([3 * stems[0], 0 * stems[0], 0 * stems[0]])
    torch.testing.assert_close(ideal_binary_mask(stems, N_FFT, HOP), expected, rtol=0, atol=1e-5)
    for shared in (ideal_ratio_mask, multichannel_wiener):
        torch.testing.assert_close(shared(stems, N_FFT, HOP), stems, rtol=0, atol=1e-5)


def test_an_absent_stem_stays_silent_to_the_bit_and_changes_nothing_for_the_others(oracle):
    stems = noise(3)
    without = oracle(stems, N_FFT, HOP)
    with_silence = oracle(torch.cat([stems[:1], torch.zeros(1, 2, 6000), stems[1:]]), N_FFT, HOP)
    assert (with_silence[1] == 0).all()
    torch.testing.assert_close(with_silence[[0, 2, 3]], without, rtol=0, atol=1e-6)


def test_silence_gives_silence(oracle):
    assert (oracle(torch.zeros(4, 2, 3000), N_FFT, HOP) == 0).all()


def test_pauses_within_a_track_stay_silent_to_the_bit(oracle):
    estimates = oracle(taking_turns(), N_FFT, HOP)
    assert (estimates[0, :, 2000 + N_FFT :] == 0).all()
    assert (estimates[1:, :, : 2000 - N_FFT] == 0).all()


@pytest.mark.parametrize("gain", [1e-18, 1e15])
def test_level_does_not_matter(oracle, gain):
    stems = noise()
    torch.testing.assert_close(oracle(stems * gain, N_FFT, HOP) / gain, oracle(stems, N_FFT, HOP), rtol=0, atol=1e-4)


def test_a_channel_that_is_empty_stays_empty(oracle):
    stems = noise() * torch.tensor([1.0, 0.0])[:, None]
    assert (oracle(stems, N_FFT, HOP)[:, 1] == 0).all()


@pytest.mark.parametrize("index", [0, 1])
def test_the_more_an_oracle_knows_the_better_it_separates_a_song(index):
    song = synthesise(seed=0, split="test", index=index, seconds=10.0)
    stems = torch.stack([torch.from_numpy(stem.astype(np.float32) / 2**15) for stem in song.values()])
    settings = (2048, 512)
    mixture = mixture_as_estimate(stems)
    estimates = {
        "mixture": mixture,
        "fixed_mask": apply_masks(fixed_masks([stems], *settings), mixture[0], *settings),
        "ibm": ideal_binary_mask(stems, *settings),
        "irm": ideal_ratio_mask(stems, *settings),
        "mwf": multichannel_wiener(stems, *settings),
    }
    scores = [float(usdr(stems, estimate).nanmean()) for estimate in estimates.values()]
    assert scores == sorted(scores)


def test_one_sample_and_the_wrong_exponent(oracle):
    stems = noise(samples=1)
    torch.testing.assert_close(oracle(stems, N_FFT, HOP).sum(dim=0), stems.sum(dim=0))
    for exponent in (0.0, -1.0, float("nan")):
        with pytest.raises(InputError, match=r"exponent is .*; it must be above 0"):
            ideal_ratio_mask(stems, N_FFT, HOP, exponent=exponent)


def test_impossible_settings_are_refused(oracle):
    with pytest.raises(InputError, match="hop is 300"):
        oracle(noise(), N_FFT, 300)
    with pytest.raises(InputError, match="holds no samples"):
        oracle(noise(samples=0), N_FFT, HOP)


@pytest.mark.slow
def test_ten_minutes_in_stereo_take_few_hundred_megabytes_beyond_stems_and_estimates():
    script = """
import resource, torch
from unetsep.metrics import multichannel_wiener
stems = torch.empty(4, 2, 600 * 44_100).normal_()
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
estimates = multichannel_wiener(stems, 2048, 512)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before - estimates.numel() * 4 // 1024)
"""
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert int(run.stdout) < 400 * 1024
