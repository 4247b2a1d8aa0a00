"""SDR, the signal-to-distortion ratio, in its two current definitions: `csdr` and `usdr`.

With the defaults of BSSEval v4 the 512-tap distortion filters cancel out of SDR: what museval takes minutes for is one
energy ratio a frame, `10 log10(sum s^2 / sum (s - e)^2)`. Numbers here are those of museval 0.4 to 1e-9 dB. SDR as
torchmetrics and fast_bss_eval compute it is BSSEval v3, with filters, and not comparable.
"""

import torch
from jaxtyping import Float, Float64
from torch import Tensor

from unetsep.audio.files import InputError

# The MDX challenges' guard against dividing by zero, in units of energy: 1e-7 is -70 dB of one full-scale sample.
MDX_DELTA = 1e-7

# Samples of a whole track taken at a time: copies of whole songs would take gigabytes.
BLOCK = 1 << 16


def frame_sdr(
    references: Float[Tensor, "source channel sample"],
    estimates: Float[Tensor, "source channel sample"],
    window: int = 44_100,
    hop: int = 44_100,
) -> Float64[Tensor, "source frame"]:
    """SDR of every frame in decibels, as museval (BSSEval v4) computes it and with the frames that museval drops.

    Stöter, Liutkus and Ito, "The 2018 Signal Separation Evaluation Campaign", 2018.

    - Frame `m` is samples `m * hop` to `m * hop + window`; what is left over at the end counts nowhere. A track no
      longer than one window is one frame.
    - A frame in which any reference or any estimate is silent is dropped: NaN for all stems. Silent means that its
      channels sum to zero at every sample, museval's rule.
    - Where museval gives up on a track, this goes on: a reference silent throughout is an absent stem, NaN itself and
      without influence on the others; an estimate silent throughout drops no frame and scores its true 0 dB.

    Args:
        references: The true stems.
        estimates: The separated stems, in the same order.
        window: Length of a frame in samples.
        hop: Step from frame to frame in samples.

    Returns:
        Decibels; NaN in dropped frames and for absent stems, infinity where an estimate is its reference to the bit.

    Raises:
        InputError: If the shapes differ, there are no samples, a setting is below 1, or a sample is NaN or infinite.
    """
    check_alike(references, estimates)
    if window < 1 or hop < 1:
        raise InputError(f"window is {window} and hop {hop} samples; both must be at least 1")
    length = references.shape[-1]
    frames = (length - window) // hop + 1 if window < length else 1
    present = ~silent_throughout(references)
    heard = present & ~silent_throughout(estimates)
    signal, error, dropped = [], [], []
    for start in range(0, frames * hop, hop):
        reference, estimate = references[..., start : start + window], estimates[..., start : start + window]
        dropped.append((_silent(reference) & present | _silent(estimate) & heard).any())
        signal_energy, error_energy = _energies(reference, estimate)
        signal.append(signal_energy)
        error.append(error_energy)
    sdr = 10 * torch.log10(torch.stack(signal, dim=1) / torch.stack(error, dim=1))
    return sdr.masked_fill((torch.stack(dropped) | ~present[:, None]).to(sdr.device), torch.nan)


def csdr(
    references: Float[Tensor, "source channel sample"],
    estimates: Float[Tensor, "source channel sample"],
    sample_rate: int,
) -> Float64[Tensor, " source"]:
    """SDR as SiSEC 2018 and most papers print it: the median of `frame_sdr` over frames of one second without overlap.

    Over tracks, take the median again. The median of an even number of frames is the mean of the two middle ones.

    Args:
        references: The true stems.
        estimates: The separated stems, in the same order.
        sample_rate: Samples per second; the window and the hop.

    Returns:
        Decibels; NaN for absent stems, and for all if every frame is dropped. An estimate that is its reference to the
        bit gives infinity: leave it out of means.

    Raises:
        InputError: As `frame_sdr`.
    """
    return nanmedian(frame_sdr(references, estimates, window=sample_rate, hop=sample_rate))


def dropped_frames(
    references: Float[Tensor, "source channel sample"],
    estimates: Float[Tensor, "source channel sample"],
    window: int = 44_100,
    hop: int = 44_100,
) -> int:
    """How many frames `frame_sdr` drops for all stems; report it beside `csdr`, which is a median over the rest.

    Args:
        references: The true stems.
        estimates: The separated stems, in the same order.
        window: Length of a frame in samples.
        hop: Step from frame to frame in samples.

    Raises:
        InputError: As `frame_sdr`.
    """
    return int(frame_sdr(references, estimates, window, hop).isnan().all(dim=0).sum())


def usdr(
    references: Float[Tensor, "source channel sample"], estimates: Float[Tensor, "source channel sample"]
) -> Float64[Tensor, " source"]:
    """SDR of the whole track as the MDX and SDX challenges rank by: over tracks, take the mean.

    Mitsufuji et al., "Music Demixing Challenge 2021", 2022: `10 log10((sum s^2 + d) / (sum (s - e)^2 + d))` with sums
    over channels and samples and `d = 1e-7`, so it is always finite. Silence scores 0 dB.

    Args:
        references: The true stems.
        estimates: The separated stems, in the same order.

    Returns:
        Decibels; NaN for absent stems, whose reference is all zero.

    Raises:
        InputError: If the shapes differ, there are no samples, or a sample is NaN or infinite.
    """
    check_alike(references, estimates)
    blocks = zip(references.split(BLOCK, dim=-1), estimates.split(BLOCK, dim=-1), strict=True)
    signal, error = torch.stack([torch.stack(_energies(*block)) for block in blocks]).sum(dim=0)
    sdr = 10 * torch.log10((signal + MDX_DELTA) / (error + MDX_DELTA))
    return sdr.masked_fill(signal == 0, torch.nan)


def nanmedian(values: Float[Tensor, "*source frame"]) -> Float[Tensor, "*source"]:
    """The median over the last axis, of one value at least, NaN left out; NaN if all are.

    Of an even number it is the mean of the middle two.

    `torch.nanmedian` takes the lower of the two, and `torch.nanquantile` makes NaN of two infinities.
    """
    values = values.sort(dim=-1).values  # NaN last
    count = values.isnan().logical_not().sum(dim=-1)
    middle = torch.stack([(count - 1).clamp(min=0) // 2, count // 2], dim=-1).clamp(max=values.shape[-1] - 1)
    return values.gather(-1, middle).mean(dim=-1)


def _energies(references: Tensor, estimates: Tensor) -> tuple[Tensor, Tensor]:
    """Sums over channels and samples of `s^2` and `(s - e)^2` per source, in float64."""
    signal, error = [], []
    for reference, estimate in zip(references, estimates, strict=True):
        if reference.device.type == "mps":  # which knows no float64
            reference, estimate = reference.cpu(), estimate.cpu()
        exact = reference.double()
        difference = (exact - estimate).flatten()
        exact = exact.flatten()
        signal.append(exact.dot(exact))  # dot: no array of squares, ten times faster than square().sum()
        error.append(difference.dot(difference))
    energies = torch.stack(signal), torch.stack(error)
    # A NaN in an estimate would look like a dropped frame and leave the median as if nothing were wrong.
    for energy, whose in zip(energies, ("references", "estimates"), strict=True):
        if not energy.isfinite().all():
            raise InputError(f"the {whose} hold NaN or infinite samples; SDR is defined for finite ones only")
    return energies


def _silent(waveforms: Tensor) -> Tensor:
    """Per source, whether its channels sum to zero at every sample: museval's rule."""
    return ~waveforms.sum(dim=1).any(dim=1)


def silent_throughout(waveforms: Tensor) -> Tensor:
    """Per source of `(source, channel, sample)`, whether it is silent from the first to the last sample: `(source)`."""
    return torch.stack([_silent(block) for block in waveforms.split(BLOCK, dim=-1)]).all(dim=0)


def check_alike(references: Tensor, estimates: Tensor, axes: str = "source, channel, sample") -> None:
    """Refuses what cannot be compared; a single reference would otherwise broadcast over all estimates.

    Args:
        references: The true stems, with three axes.
        estimates: The separated stems.
        axes: What the message calls the axes.

    Raises:
        InputError: If the shapes differ or have other than three axes, or there are no samples.
    """
    if references.shape != estimates.shape or references.ndim != 3 or references.numel() == 0:
        raise InputError(
            f"references have the shape {tuple(references.shape)}, estimates {tuple(estimates.shape)}; "
            f"both must be ({axes}) of the same sizes, with at least one sample"
        )
