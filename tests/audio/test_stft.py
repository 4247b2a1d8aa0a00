import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from unetsep.audio.files import InputError
from unetsep.audio.stft import Signal, frame_count, istft, stft


def error_db(reference, estimate):
    return float(10 * torch.log10((reference - estimate).square().sum() / reference.square().sum()))


@settings(deadline=None, max_examples=60)
@given(length=st.integers(1, 700), half=st.integers(2, 64), fraction=st.floats(0.01, 0.75))
def test_round_trip_is_exact_for_every_length_window_and_hop(length, half, fraction):
    n_fft = 2 * half
    hop = max(1, int(fraction * n_fft))
    waveform = torch.randn(2, length, dtype=torch.float64, generator=torch.Generator().manual_seed(length))
    spectrum = stft(waveform, n_fft, hop)
    assert spectrum.shape == (2, half + 1, frame_count(length, hop))
    assert error_db(waveform, istft(spectrum, n_fft, hop, length)) < -250


@pytest.mark.parametrize(("n_fft", "hop"), [(4096, 1024), (2048, 512), (1024, 768), (2048, 1024)])
def test_round_trip_of_the_published_settings_is_below_minus_120_db_in_float32(n_fft, hop):
    waveform = torch.randn(3, 2, 10_007)
    assert error_db(waveform, istft(stft(waveform, n_fft, hop), n_fft, hop, 10_007)) < -120


def test_a_tone_in_the_middle_of_a_bin_has_all_its_energy_in_three_bins():
    # The periodic Hann window's transform is 1/2 at the bin and 1/4 at its neighbours, times the window's length.
    n_fft, hop, k = 64, 16, 10
    waveform = torch.cos(2 * torch.pi * k * torch.arange(1024, dtype=torch.float64) / n_fft)
    frame = stft(waveform, n_fft, hop)[:, 20].abs()
    torch.testing.assert_close(frame[k - 1 : k + 2], torch.tensor([8.0, 16.0, 8.0], dtype=torch.float64))
    assert frame[: k - 1].max() < 1e-10
    assert frame[k + 2 :].max() < 1e-10


def test_stft_agrees_with_torch_where_both_apply():
    waveform = torch.randn(2, 1024)
    theirs = torch.stft(waveform, 128, 32, window=torch.hann_window(128), pad_mode="constant", return_complex=True)
    torch.testing.assert_close(stft(waveform, 128, 32), theirs)
    changed = theirs * torch.rand(theirs.shape)
    torch.testing.assert_close(
        istft(changed, 128, 32, 1024), torch.istft(changed, 128, 32, window=torch.hann_window(128), length=1024)
    )


def test_the_inverse_passes_correct_gradients():
    spectrum = stft(torch.randn(1, 23, dtype=torch.float64), 8, 3).requires_grad_()
    assert torch.autograd.gradcheck(lambda x: istft(x, 8, 3, 23), spectrum)


def test_half_precision_is_computed_in_float32_also_under_autocast():
    waveform = torch.randn(1, 500)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        spectrum = stft(waveform.bfloat16(), 64, 16)
        assert spectrum.dtype == torch.complex64
        assert istft(spectrum, 64, 16, 500).dtype == torch.float32
        assert error_db(waveform, istft(stft(waveform, 64, 16), 64, 16, 500)) < -120


def test_both_transforms_run_on_the_meta_device_where_costs_are_counted():
    spectrum = stft(torch.empty(2, 1000, device="meta"), 64, 48)
    assert spectrum.shape == (2, 33, 22)
    assert istft(spectrum, 64, 48, 1000).shape == (2, 1000)


@pytest.mark.parametrize(("n_fft", "hop"), [(63, 16), (2, 1), (0, 1), (64, 0), (64, 49), (64, 64)])
def test_settings_that_cannot_be_inverted_are_refused_with_the_range(n_fft, hop):
    with pytest.raises(InputError, match="must"):
        stft(torch.zeros(1, 100), n_fft, hop)


def test_an_empty_waveform_is_refused():
    with pytest.raises(InputError, match="no samples"):
        stft(torch.zeros(2, 0), 64, 16)


def test_a_spectrum_of_another_length_is_refused_with_both_sizes():
    spectrum = stft(torch.zeros(1, 100), 64, 16)
    with pytest.raises(InputError, match=r"33 frequencies and 8 frames.* 200 samples it must have 33 and 14"):
        istft(spectrum, 64, 16, 200)


def test_a_signal_gives_the_same_view_from_either_side_and_computes_it_once():
    waveform = torch.randn(2, 4, 1000)
    heard = Signal(64, 16, waveform=waveform)
    seen = Signal(64, 16, spectrum=heard.spectrum, length=1000)
    assert heard.waveform is waveform
    assert heard.spectrum is heard.spectrum
    assert seen.waveform is seen.waveform
    assert error_db(waveform, seen.waveform) < -120
    assert heard.length == seen.length == 1000


def test_a_signal_needs_one_view_and_says_what_it_was_given():
    waveform = torch.zeros(1, 100)
    with pytest.raises(InputError, match="given nothing;"):
        Signal(64, 16)
    with pytest.raises(InputError, match="given spectrum;"):
        Signal(64, 16, spectrum=stft(waveform, 64, 16))
    with pytest.raises(InputError, match="given waveform, length;"):
        Signal(64, 16, waveform=waveform, length=100)
