import pytest
import torch

from unetsep.audio.files import InputError
from unetsep.audio.stft import stft
from unetsep.metrics.oracles import apply_masks, fixed_masks, mixture_as_estimate
from unetsep.metrics.sdr import usdr

N_FFT, HOP = 256, 64


def noise(sources=4, channels=2, samples=6000, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(sources, channels, samples, generator=generator)


def in_bands(sources=4, seed=0):
    """Stems that each live in a band of their own, with an empty gap between two bands; silent at both ends."""
    stems = noise(sources, samples=8000, seed=seed)
    spectrum = torch.fft.rfft(stems)
    width = spectrum.shape[-1] // sources
    for source in range(sources):
        keep = slice(source * width + width // 8, (source + 1) * width - width // 8)
        band = torch.zeros(spectrum.shape[-1])
        band[keep] = 1
        spectrum[source] *= band
    return torch.fft.irfft(spectrum, n=8000) * torch.hann_window(8000)


def test_the_mixture_stands_for_every_source():
    stems = noise(3, 2, 500)
    estimates = mixture_as_estimate(stems)
    assert estimates.shape == stems.shape
    assert all(torch.equal(estimate, stems.sum(dim=0)) for estimate in estimates)
    equally_loud = torch.eye(3)[:, None]  # a click each, at other times: the two others are the error
    assert usdr(equally_loud, mixture_as_estimate(equally_loud)).tolist() == pytest.approx([-3.0103] * 3, abs=1e-3)


def test_stems_in_disjoint_bands_are_recovered_exactly():
    stems = in_bands()
    masks = fixed_masks([stems], N_FFT, HOP)
    scores = usdr(stems, apply_masks(masks, stems.sum(dim=0), N_FFT, HOP))
    assert scores.min() > 60
    middle = N_FFT // 2 // 8
    assert masks[:, middle :: 2 * middle][:, :4].round(decimals=3).tolist() == torch.eye(4).tolist()


def test_masks_are_fitted_on_some_tracks_and_hold_for_others():
    masks = fixed_masks((in_bands(seed=seed) for seed in (1, 2)), N_FFT, HOP)
    stems = in_bands(seed=3)
    assert usdr(stems, apply_masks(masks, stems.sum(dim=0), N_FFT, HOP)).min() > 60


def test_masks_are_what_a_least_squares_solver_finds():
    tracks = [noise(seed=1), noise(seed=2, samples=3000)]
    masks = fixed_masks(tracks, N_FFT, HOP)
    spectra = torch.cat([stft(track, N_FFT, HOP) for track in tracks], dim=-1)
    freq = 17
    stems = torch.view_as_real(spectra[:, :, freq]).flatten(1).double()
    solution = torch.linalg.lstsq(stems.sum(dim=0)[:, None], stems.T).solution[0]
    torch.testing.assert_close(masks[:, freq].double(), solution, rtol=0, atol=1e-6)


def test_masks_of_all_sources_sum_to_one():
    masks = fixed_masks([noise()], N_FFT, HOP)
    torch.testing.assert_close(masks.sum(dim=0), torch.ones(N_FFT // 2 + 1))


@pytest.mark.parametrize("seed", range(5))
def test_a_fixed_mask_is_never_worse_than_the_constant_quarter(seed):
    # Loud in the middle of the track, silent at both ends, and unequal from stem to stem.
    stems = noise(seed=seed) * torch.hann_window(6000) * torch.tensor([1.0, 0.5, 2.0, 0.1])[:, None, None]
    masks = fixed_masks([stems], N_FFT, HOP)
    mixture = stems.sum(dim=0)
    spectra, mixed = stft(stems, N_FFT, HOP), stft(mixture, N_FFT, HOP)
    fitted = (spectra - masks[:, None, :, None] * mixed).abs().square().sum(dim=(1, 3))
    quarter = (spectra - mixed / 4).abs().square().sum(dim=(1, 3))
    assert (fitted <= quarter * (1 + 1e-5)).all()
    assert (usdr(stems, apply_masks(masks, mixture, N_FFT, HOP)) >= usdr(stems, mixture.expand(4, -1, -1) / 4)).all()


def test_silence_gives_masks_of_zero():
    assert (fixed_masks([torch.zeros(4, 2, 1000)], N_FFT, HOP) == 0).all()


def test_a_silent_track_among_others_changes_nothing():
    alone = fixed_masks([noise()], N_FFT, HOP)
    assert torch.equal(fixed_masks([noise(), torch.zeros(4, 2, 500)], N_FFT, HOP), alone)


def test_no_tracks_other_numbers_of_stems_and_other_masks_are_refused():
    with pytest.raises(InputError, match="there are no tracks"):
        fixed_masks([], N_FFT, HOP)
    with pytest.raises(InputError, match="a track has 3 stems, the first one 4"):
        fixed_masks([noise(), noise(sources=3)], N_FFT, HOP)
    with pytest.raises(InputError, match="129 frequencies; n_fft 512 has 257"):
        apply_masks(fixed_masks([noise()], N_FFT, HOP), noise()[0], 512, 128)
