"""The floor that needs no network: one fixed frequency mask per stem, the best in the least-squares sense."""

from collections.abc import Iterable

import torch
from jaxtyping import Float
from torch import Tensor

from unetsep.audio.files import InputError
from unetsep.audio.stft import istft, stft


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
        InputError: If there are no tracks, they differ in the number of sources, or the STFT settings are refused.
    """
    shared: Tensor | None = None
    power: Tensor | None = None
    for stems in tracks:
        in_track = stems.new_zeros(len(stems), n_fft // 2 + 1, dtype=torch.float64)
        power_in_track = torch.zeros_like(in_track[0])
        for channel in range(stems.shape[1]):  # one channel, one source at a time: a song's spectra take gigabytes
            mixture = stft(stems[:, channel].sum(dim=0), n_fft, hop)
            power_in_track += mixture.abs().square().sum(dim=-1, dtype=torch.float64)
            for source, waveform in enumerate(stems[:, channel]):
                spectrum = stft(waveform, n_fft, hop)
                product = spectrum.real * mixture.real + spectrum.imag * mixture.imag
                in_track[source] += product.sum(dim=-1, dtype=torch.float64)
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
        InputError: If the masks have another number of frequencies than `n_fft // 2 + 1`.
    """
    if masks.shape[1] != n_fft // 2 + 1:
        raise InputError(f"the masks have {masks.shape[1]} frequencies; n_fft {n_fft} has {n_fft // 2 + 1}")
    spectrum = stft(mixture, n_fft, hop)
    stems = [istft(spectrum * mask[:, None], n_fft, hop, mixture.shape[-1]) for mask in masks.to(spectrum.real)]
    return torch.stack(stems)
