"""How far there is to go: what masks and filters reach that are computed from the true stems.

The oracles of SiSEC 2018 (Stöter, Liutkus and Ito, "The 2018 Signal Separation Evaluation Campaign", 2018). They keep
the mixture's phase, or one filter per frame and frequency, and so bound what a separator of that kind can reach. The
STFT decides the bound, too: SiSEC's has a window of 2048 samples at 44.1 kHz.

All take the stems `(source, channel, sample)` of one track, whose sum is the mixture, and return estimates of that
shape. They work through the track in stretches, so that a song's spectra never exist at once.
"""

from functools import reduce

import torch
from jaxtyping import Complex128, Float
from torch import Tensor

from unetsep.audio.files import InputError
from unetsep.metrics.segmentation import dominant_source
from unetsep.metrics.stretches import filter_in_stretches, spectra_in_stretches

EPSILON = 1e-9
"""Added to the diagonal of spatial covariances, whose mean diagonal is one: stems panned to one point have rank one."""


def ideal_ratio_mask(
    stems: Float[Tensor, "source channel sample"], n_fft: int, hop: int, exponent: float = 2.0
) -> Float[Tensor, "source channel sample"]:
    """Separates with the ideal ratio mask `|S|^a / sum |S|^a` over sources, each channel by itself.

    With `a = 2` the masks share out power, the Wiener filter of a local Gaussian model (SiSEC's IRM2, and
    `multichannel_wiener` in mono); with `a = 1` magnitude (SiSEC's IRM1). The larger `a`, the closer to
    `ideal_binary_mask`. Estimates add up to the mixture.

    Args:
        stems: The true stems.
        n_fft: Window length of the STFT in samples.
        hop: Step between frames in samples.
        exponent: The `a` above, greater than 0.

    Raises:
        InputError: If the exponent is not above zero, there are no samples, or the STFT settings are refused.
    """
    if not exponent > 0:
        raise InputError(f"exponent is {exponent}; it must be above 0, 1 for shares of magnitude or 2 for power")

    def separate(spectra: Tensor) -> Tensor:
        return _shares(spectra.abs(), exponent) * spectra.sum(dim=0)

    return filter_in_stretches(stems, n_fft, hop, separate)


def ideal_binary_mask(
    stems: Float[Tensor, "source channel sample"], n_fft: int, hop: int
) -> Float[Tensor, "source channel sample"]:
    """Separates by giving every time-frequency bin to its strongest source, each channel by itself.

    It is what a faultless segmentation reaches, and the limit of `ideal_ratio_mask`. SiSEC's IBM asks instead for each
    source whether it makes up half of the mixture or more, so that a bin may go to nobody or to several; here every bin
    has one owner, the first of equals, and estimates add up to the mixture.

    Args:
        stems: The true stems.
        n_fft: Window length of the STFT in samples.
        hop: Step between frames in samples.

    Raises:
        InputError: If there are no samples, or the STFT settings are refused.
    """

    def separate(spectra: Tensor) -> Tensor:
        owner = torch.stack([dominant_source(channel[:, None]) for channel in spectra.abs().unbind(dim=1)])
        sources = torch.arange(len(spectra), device=spectra.device)
        return (owner == sources[:, None, None, None]) * spectra.sum(dim=0)

    return filter_in_stretches(stems, n_fft, hop, separate)


def multichannel_wiener(
    stems: Float[Tensor, "source channel sample"], n_fft: int, hop: int
) -> Float[Tensor, "source channel sample"]:
    """Separates with the multichannel Wiener filter of the local Gaussian model, its parameters taken from the stems.

    Duong, Vincent and Gribonval, "Under-determined reverberant audio source separation using a full-rank spatial
    covariance model", 2010: source `j` has the power `v_j`, the mean of `|S_j|^2` over channels, in each bin, and a
    covariance `R_j` of the channels, fixed over time, in each frequency: `sum S_j S_j^H / sum v_j` over frames. Its
    estimate from the mixture `x` is `v_j R_j (sum v R)^-1 x`. Estimates add up to the mixture. In mono this is
    `ideal_ratio_mask` with exponent 2.

    Computed in float64, which MPS lacks: there, pass stems on the CPU.

    Args:
        stems: The true stems, of any number of channels.
        n_fft: Window length of the STFT in samples.
        hop: Step between frames in samples.

    Raises:
        InputError: If there are no samples, or the STFT settings are refused.
    """
    spatial = _spatial_covariances(stems, n_fft, hop)

    def separate(spectra: Tensor) -> Tensor:
        exact = spectra.to(torch.complex128)
        # The common scale of the powers in a bin cancels. Shares sum to one, in silence too: nothing is singular.
        shares = _shares(exact.abs().square().mean(dim=1).sqrt(), 2.0)
        covariance = torch.einsum("jfcd,jfn->fncd", spatial, shares.to(exact.dtype))
        whitened = torch.linalg.solve(covariance, exact.sum(dim=0).permute(1, 2, 0))
        return (shares[:, None] * torch.einsum("jfcd,fnd->jcfn", spatial, whitened)).to(spectra.dtype)

    return filter_in_stretches(stems, n_fft, hop, separate)


def _shares(magnitudes: Tensor, exponent: float) -> Tensor:
    """Each source's part of a bin, `(source, ...)`, summing to one; equal parts where all are silent."""
    loudest = magnitudes.amax(dim=0)
    # Relative to the loudest, so that no power of a small or a large magnitude leaves the floating-point range.
    powers = (magnitudes / loudest).pow(exponent).where(loudest > 0, 1.0)
    return powers / powers.sum(dim=0)


def _spatial_covariances(
    stems: Float[Tensor, "source channel sample"], n_fft: int, hop: int
) -> Complex128[Tensor, "source freq channel channel"]:
    """The `R_j` of `multichannel_wiener`, regularised; loud frames weigh more, and a trace is the channel count."""

    def products(spectra: Tensor) -> Tensor:
        exact = spectra.to(torch.complex128)
        return torch.einsum("jcfn,jdfn->jfcd", exact, exact.conj())

    # Added in place: small results that stay, between large ones that go, would fragment the memory by gigabytes.
    total = reduce(Tensor.add_, map(products, spectra_in_stretches(stems, n_fft, hop)))
    power = total.diagonal(dim1=-2, dim2=-1).real.mean(dim=-1)[..., None, None]
    identity = torch.eye(stems.shape[1], dtype=total.dtype, device=stems.device)
    # An absent stem has no power: any covariance will do, its share of every bin is zero.
    return total / power.where(power > 0, 1.0) + EPSILON * identity
