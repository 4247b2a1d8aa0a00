"""Separation seen as segmentation: which source owns each time-frequency bin, and how often the model says so."""

import torch
from jaxtyping import Complex, Float, Float64, Int
from torch import Tensor

from unetsep.audio.files import InputError


def dominant_source(magnitudes: Float[Tensor, "source channel freq frame"]) -> Int[Tensor, "freq frame"]:
    """The segmentation map: the index of the source with the most energy over all channels, per time-frequency bin.

    Where sources are equally strong, as in silence, it is the first of them.

    Args:
        magnitudes: Magnitude spectrograms of the sources.
    """
    energy = magnitudes.square().sum(dim=1)
    # Not argmax: it leaves open which of equal values it returns, and across the first axis it is five times slower.
    most, owner = energy[0], torch.zeros(energy.shape[1:], dtype=torch.int64, device=energy.device)
    for source in range(1, len(energy)):
        owner = torch.where(energy[source] > most, source, owner)
        most = torch.maximum(most, energy[source])
    return owner


def confusion(
    references: Complex[Tensor, "source channel freq frame"], estimates: Complex[Tensor, "source channel freq frame"]
) -> Float64[Tensor, "source source"]:
    """Confusion matrix of the dominant source per time-frequency bin, weighted by energy.

    Entry `[i, j]` is the energy of the bins that source `i` owns and in which the estimate of source `j` is the
    strongest. A bin's energy is the sum of `|S|^2` over the true sources and channels, so that silence and inaudible
    bins weigh nothing. Matrices of several tracks may be added.

    Args:
        references: Spectra of the true stems.
        estimates: Spectra of the separated stems, in the same order.

    Raises:
        InputError: If the shapes differ.
    """
    if references.shape != estimates.shape:
        raise InputError(
            f"references have the shape {tuple(references.shape)}, estimates {tuple(estimates.shape)}; "
            "both must be (source, channel, freq, frame) of the same sizes"
        )
    magnitudes = references.abs()
    sources = len(references)
    cell = dominant_source(magnitudes) * sources + dominant_source(estimates.abs())
    # Counted on the CPU: bincount with weights is not deterministic on a GPU, and MPS knows no float64.
    energy = magnitudes.square().sum(dim=(0, 1)).cpu().double()
    return torch.bincount(cell.cpu().flatten(), energy.flatten(), minlength=sources**2).reshape(sources, sources)


def seg_accuracy(confusion: Float64[Tensor, "source source"]) -> float:
    """Share of the energy that lies in bins whose dominant source is predicted rightly, 0 to 1; NaN if all is silent.

    Args:
        confusion: As `confusion` makes it, rows true.
    """
    return float(confusion.trace() / confusion.sum())


def seg_miou(confusion: Float64[Tensor, "source source"]) -> float:
    """Mean intersection over union, 0 to 1, over the sources that own any energy; NaN if all is silent.

    A source's intersection is the energy rightly given to it, its union all energy that it owns or is given.

    Args:
        confusion: As `confusion` makes it, rows true.
    """
    owned, predicted, right = confusion.sum(dim=1), confusion.sum(dim=0), confusion.diagonal()
    occurs = owned > 0
    return float((right / (owned + predicted - right))[occurs].mean())
