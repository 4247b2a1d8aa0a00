import math

import pytest
import torch

from unetsep.metrics.segmentation import confusion, dominant_source, seg_accuracy, seg_miou


def spectra(sources=4, channels=2, freqs=9, frames=12, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(sources, channels, freqs, frames, dtype=torch.complex64, generator=generator)


def test_the_dominant_source_has_the_most_energy_over_all_channels():
    # Source 0: 3^2 + 0^2 = 9; source 1: 2^2 + 2.5^2 = 10.25, though no channel of it is the strongest.
    magnitudes = torch.tensor([[3.0, 0.0], [2.0, 2.5]])[:, :, None, None]
    assert dominant_source(magnitudes).tolist() == [[1]]


def test_equally_strong_sources_and_silence_go_to_the_first():
    assert (dominant_source(torch.zeros(4, 2, 3, 5)) == 0).all()
    magnitudes = torch.tensor([1.0, 2.0, 2.0, 0.0])[:, None, None, None].expand(4, 1, 3, 5)
    assert (dominant_source(magnitudes) == 1).all()


def test_a_perfect_estimate_has_a_diagonal_confusion_and_full_marks():
    references = spectra()
    matrix = confusion(references, references)
    assert matrix.dtype == torch.float64
    assert torch.equal(matrix, matrix.diag().diag())
    assert seg_accuracy(matrix) == 1
    assert seg_miou(matrix) == 1


def test_entries_are_the_energy_of_bins_by_true_and_predicted_source():
    # Three bins of one channel. Energy: 9 + 1, 1 + 4, 16 + 9; true: 0, 1, 0; predicted: 0, 0, 1.
    references = torch.tensor([[3.0, 1.0, 4.0], [1.0, 2.0, 3.0]], dtype=torch.complex64)[:, None, :, None]
    estimates = torch.tensor([[5.0, 5.0, 0.0], [1.0, 1.0, 1.0]], dtype=torch.complex64)[:, None, :, None]
    matrix = confusion(references, estimates)
    torch.testing.assert_close(matrix, torch.tensor([[10.0, 25.0], [5.0, 0.0]], dtype=torch.float64))
    assert seg_accuracy(matrix) == pytest.approx(10 / 40)
    assert seg_miou(matrix) == pytest.approx((10 / 40 + 0 / 30) / 2)


def test_the_matrix_holds_all_energy_of_the_references_and_sums_over_tracks():
    first, second = spectra(seed=1), spectra(seed=2)
    matrix = confusion(first, second)
    torch.testing.assert_close(float(matrix.sum()), float(first.abs().square().sum()), rtol=1e-6, atol=0)
    joined = confusion(torch.cat([first, second], -1), torch.cat([second, first], -1))
    torch.testing.assert_close(joined, matrix + confusion(second, first), rtol=1e-6, atol=0)


def test_the_loudness_of_estimates_together_does_not_matter():
    references, estimates = spectra(seed=1), spectra(seed=2)
    assert torch.equal(confusion(references, estimates), confusion(references, 8 * estimates))


def test_permuting_the_sources_permutes_the_matrix_and_keeps_the_marks():
    references, estimates = spectra(seed=1), spectra(seed=1) + spectra(seed=2)
    order = [2, 0, 3, 1]
    matrix, permuted = confusion(references, estimates), confusion(references[order], estimates[order])
    torch.testing.assert_close(permuted, matrix[order][:, order], rtol=1e-6, atol=0)
    assert seg_accuracy(permuted) == pytest.approx(seg_accuracy(matrix))
    assert seg_miou(permuted) == pytest.approx(seg_miou(matrix))
    assert 0 < seg_miou(matrix) < seg_accuracy(matrix) < 1


def test_bins_without_energy_weigh_nothing():
    references, estimates = spectra(seed=1), spectra(seed=2)
    padded = [torch.nn.functional.pad(x, (0, 7)) for x in (references, estimates)]
    padded[1][2, :, :, -7:] = 100
    torch.testing.assert_close(confusion(*padded), confusion(references, estimates))


def test_a_source_that_never_dominates_is_left_out_of_the_mean():
    references, estimates = spectra(seed=1), spectra(seed=2)
    references[3] = 0
    matrix = confusion(references, estimates)
    union = matrix.sum(0) + matrix.sum(1) - matrix.diag()
    assert seg_miou(matrix) == pytest.approx(float((matrix.diag() / union)[:3].mean()))


def test_silence_has_no_marks():
    matrix = confusion(torch.zeros_like(spectra()), spectra())
    assert math.isnan(seg_accuracy(matrix))
    assert math.isnan(seg_miou(matrix))


def test_spectra_of_other_shapes_are_refused():
    with pytest.raises(Exception, match=r"shape|estimates"):
        confusion(spectra(frames=12), spectra(frames=11))
