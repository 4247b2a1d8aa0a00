import pytest
import torch

from unetsep.audio.files import InputError
from unetsep.audio.stft import istft, stft
from unetsep.metrics import stretches
from unetsep.metrics.stretches import filter_in_stretches, spectra_in_stretches

# Lengths around the ends of stretches of 1000 samples, which hop 60 makes 960.
LENGTHS = [1, 59, 128, 959, 960, 961, 1020, 1919, 1920, 1921, 1980, 2500, 5000]


@pytest.fixture(autouse=True)
def short_stretches(monkeypatch):
    monkeypatch.setattr(stretches, "STRETCH", 1000)


@pytest.mark.parametrize("hop", [60, 96, 32])
@pytest.mark.parametrize("length", LENGTHS)
def test_stretches_hold_the_very_frames_of_the_whole(length, hop):
    signal = torch.randn(2, length, dtype=torch.float64, generator=torch.Generator().manual_seed(length))
    joined = torch.cat(list(spectra_in_stretches(signal, 128, hop)), dim=-1)
    torch.testing.assert_close(joined, stft(signal, 128, hop), rtol=0, atol=1e-12)


@pytest.mark.parametrize("hop", [60, 96, 32])
@pytest.mark.parametrize("length", LENGTHS)
def test_filtering_in_stretches_is_filtering_the_whole(length, hop):
    def bent(spectrum):  # not linear, and no spectrum of any signal
        return torch.stack([spectrum * spectrum.abs(), spectrum.abs() + 0j, spectrum.conj()])

    signal = torch.randn(2, length, dtype=torch.float64, generator=torch.Generator().manual_seed(length))
    whole = istft(bent(stft(signal, 128, hop)), 128, hop, length)
    torch.testing.assert_close(filter_in_stretches(signal, 128, hop, bent), whole, rtol=0, atol=1e-10)


def test_a_window_longer_than_a_stretch_is_no_trouble():
    signal = torch.randn(1, 20_000, dtype=torch.float64)
    assert len(list(spectra_in_stretches(signal, 2048, 512))) == 3
    same = filter_in_stretches(signal, 2048, 512, lambda spectrum: spectrum[None])[0]
    torch.testing.assert_close(same, signal, rtol=0, atol=1e-12)


@pytest.mark.parametrize(
    ("samples", "n_fft", "hop", "message"),
    [(0, 128, 32, "holds no samples"), (100, 127, 32, "n_fft is 127"), (100, 128, 0, "hop is 0")],
)
def test_no_samples_and_impossible_settings_are_refused(samples, n_fft, hop, message):
    with pytest.raises(InputError, match=message):
        list(spectra_in_stretches(torch.zeros(2, samples), n_fft, hop))
    with pytest.raises(InputError, match=message):
        filter_in_stretches(torch.zeros(2, samples), n_fft, hop, lambda spectrum: spectrum[None])
