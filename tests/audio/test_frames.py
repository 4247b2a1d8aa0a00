"""The STFT in blocks is the STFT."""

import pytest
import torch

from unetsep.audio.files import InputError
from unetsep.audio.frames import istft_blocks, power_blocks, stft_blocks
from unetsep.audio.stft import istft, stft

SETTINGS = [(64, 16), (64, 32), (64, 48), (50, 17), (4, 1)]
LENGTHS = [1, 15, 16, 63, 64, 1000, 4801]


def cut(signal: torch.Tensor, size: int) -> list[torch.Tensor]:
    return list(signal.split(size, dim=-1))


@pytest.mark.parametrize(("n_fft", "hop"), SETTINGS)
@pytest.mark.parametrize("length", LENGTHS)
def test_the_frames_of_blocks_are_those_of_the_whole(n_fft, hop, length):
    signal = torch.randn(2, 3, length)
    whole = stft(signal, n_fft, hop).transpose(-1, -2)
    for size in (7, 500):
        found = list(stft_blocks(cut(signal, size), n_fft, hop, frames_at_once=8))
        assert all(part.shape[-2] == 8 for part in found[:-1])
        torch.testing.assert_close(torch.cat(found, dim=-2), whole)


@pytest.mark.parametrize(("n_fft", "hop"), SETTINGS)
@pytest.mark.parametrize("length", LENGTHS)
def test_the_power_of_frames_needs_no_transform(n_fft, hop, length):
    signal = torch.randn(2, 3, length, dtype=torch.float64) + 0.5
    whole = stft(signal, n_fft, hop).abs().square().sum(-2)
    for size in (7, 500):
        found = list(power_blocks(cut(signal, size), n_fft, hop, frames_at_once=8))
        assert all(part.shape[-1] == 8 for part in found[:-1])
        torch.testing.assert_close(torch.cat(found, dim=-1), whole)


@pytest.mark.parametrize(("n_fft", "hop"), SETTINGS)
@pytest.mark.parametrize("length", LENGTHS)
def test_the_samples_of_any_frames_are_those_of_the_whole_inverse(n_fft, hop, length):
    spectrum = stft(torch.randn(2, length), n_fft, hop) * torch.rand(2, n_fft // 2 + 1, 1)
    spectrum = spectrum * torch.rand_like(spectrum.real)  # no signal has this spectrum
    for count in (1, 8):
        blocks = spectrum.transpose(-1, -2).split(count, dim=-2)
        samples = torch.cat(list(istft_blocks(blocks, n_fft, hop, length)), dim=-1)
        torch.testing.assert_close(samples, istft(spectrum, n_fft, hop, length), atol=2e-5, rtol=1e-4)


def test_nothing_has_no_frames():
    assert list(stft_blocks([], 64, 16)) == []
    assert list(stft_blocks([torch.zeros(2, 0)], 64, 16)) == []


def test_a_hop_that_cannot_be_inverted_is_refused():
    for blocks in (stft_blocks, power_blocks):
        for hop in (64, 0):
            with pytest.raises(InputError, match=f"hop is {hop}"):
                next(blocks([torch.zeros(1, 100)], 64, hop))
