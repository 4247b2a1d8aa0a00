"""The floors that need no network: the mixture itself, and the best fixed frequency mask per stem (least squares)."""

from collections.abc import Iterable

import torch
from jaxtyping import Float
from torch import Tensor

from unetsep.audio.files import InputError
from unetsep.metrics.stretches import filter_in_stretches, spectra_in_stretches


def mixture_as_estimate(stems: Float[Tensor, "source channel sample"]) -> Float[Tensor, "source channel sample"]:
    """The mixture, the sum of the stems, as the estimate of every source: what no separation at all scores.

    The estimates share their memory: copy before writing into one.

    Args:
        stems: The true stems.
    """
    return stems.sum(dim=0).expand_as(stems)


def fixed_masks(
    tracks: Iterable[Float[Tensor, "source _channel _sample"]], n_fft: int, hop: int
) -> Float[Tensor, "source freq"]:
    """The real mask per source and frequency that, held fixed, comes closest to the stems of the given tracks.

    It minimises `sum |S - m X|^2` over tracks, channels and frames, where `X` is the mixture, the sum of the stems:
    `m = Re<S, X> / <X, X>`. Masks of all sources sum to one; they may be negative. Where the mixture has no energy the
    mask is zero.

    Args:
        tracks: Stems `(source, channel, sample)`, track by track; lengths may differ. Each is read once: a
            generator will do.
        n_fft: Window length of the STFT in samples.
        hop: Step between frames in samples.

    Raises:
        InputError: If there are no tracks, one holds no samples, they differ in the number of sources, or the STFT
            settings are refused.
    """
    shared: Tensor | None = None
    power: Tensor | None = None
    for stems in tracks:
        in_track = stems.new_zeros(len(stems), n_fft // 2 + 1, dtype=torch.float64)
        power_in_track = torch.zeros_like(in_track[0])
        for spectra in spectra_in_stretches(stems, n_fft, hop):
            mixture = spectra.sum(dim=0)
            power_in_track += mixture.abs().square().sum(dim=(0, 2), dtype=torch.float64)
            product = spectra.real * mixture.real + spectra.imag * mixture.imag
            in_track += product.sum(dim=(1, 3), dtype=torch.float64)
        if shared is None or power is None:
            shared, power = torch.zeros_like(in_track), torch.zeros_like(power_in_track)
        if len(stems) != len(shared):
            raise InputError(f"a track has {len(stems)} stems, the first one {len(shared)}; all must have the same")
        shared += in_track
        power += power_in_track
    if shared is None or power is None:
        raise InputError("there are no tracks; the fixed masks need at least one to be fitted to")
    return torch.where(power > 0, shared / power, 0.0).to(torch.float32)


def apply_masks(
    masks: Float[Tensor, "source freq"], mixture: Float[Tensor, "channel sample"], n_fft: int, hop: int
) -> Float[Tensor, "source channel sample"]:
    """Separates a mixture with fixed masks.

    Args:
        masks: One factor per source and frequency, as `fixed_masks` fits them.
        mixture: The recording.
        n_fft: Window length of the STFT in samples, that of the masks.
        hop: Step between frames in samples.

    Raises:
        InputError: If the masks have another number of frequencies than `n_fft // 2 + 1`, there are no samples, or the
            STFT settings are refused.
    """
    if masks.shape[1] != n_fft // 2 + 1:
        raise InputError(f"the masks have {masks.shape[1]} frequencies; n_fft {n_fft} has {n_fft // 2 + 1}")
    factors = masks[:, None, :, None]
    return filter_in_stretches(mixture, n_fft, hop, lambda spectrum: factors.to(spectrum.real) * spectrum)
