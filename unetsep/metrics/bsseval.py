"""BSSEval v4, all four measures as museval computes them: SDR, ISR, SIR and SAR by frames, with whole-track filters.

Vincent, Gribonval and Févotte, "Performance measurement in blind audio source separation", 2006; Stöter, Liutkus and
Ito, "The 2018 Signal Separation Evaluation Campaign", 2018.

An estimate is split into four: the true stem `s`; spatial distortion, `P_j e - s`; interference, `P e - P_j e`; and
artefacts, `e - P e`. `P_j` projects on the stem's own channels delayed by 0 to 511 samples, `P` on those of all stems.
The measures are ratios of these parts' energies in each frame. museval filters and transforms back and forth for them;
here, by Parseval's theorem, the spectra are enough: one forward transform of every frame, and products with the
spectra of the filters.
"""

import warnings
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from unetsep.audio.files import InputError
from unetsep.metrics.filters import BINS, GROUP, fast_length, projection_filters
from unetsep.metrics.sdr import BLOCK, check_alike, silent_throughout


class BSSEval(NamedTuple):
    """The four measures in dB, each `(source, frame)` in float64; NaN in dropped frames and for absent stems.

    Attributes:
        sdr: Source to distortion: everything that is not the stem counts.
        isr: Source image to spatial distortion: what a filter of the stem's own channels explains of the difference.
        sir: Source to interference: what filters of the other stems explain.
        sar: Sources to artefacts: what no filter of any stem explains.
    """

    sdr: Any
    isr: Any
    sir: Any
    sar: Any


@torch.no_grad()
def bss_eval(
    references: Any, estimates: Any, window: int = 44_100, hop: int = 44_100, filters_len: int = 512
) -> BSSEval:
    """SDR, ISR, SIR and SAR of every frame, as `museval.metrics.bss_eval` computes them with whole-track filters.

    Frames and the rule for silent ones are those of `frame_sdr`, and so is what happens where museval gives up:

    - A reference silent throughout is an absent stem: NaN itself, and the others as if it and its estimate were not
      there.
    - An estimate silent throughout drops no frame. Its SDR and ISR are their true 0 dB; SIR and SAR, 0 over 0, are NaN.
    - Stems that depend on each other linearly (a stem twice, a mono stem on two channels) leave the filters open but
      not the projections, which are all that the measures see. museval's equations are then singular up to rounding,
      and its numbers can wander; here the shortest filters are approached, and the projections are exact.
    - Where stems hold nothing at all in a part of the spectrum, as music decoded from AAC above 16 kHz, a trace of
      rounding decides what the filters do there. museval's own ISR, SIR and SAR then change with the order of the
      stems, by decibels, and these differ from them as much. Sixteen-bit files are not so.

    A frame's energy is summed over all samples that the filters reach, `window + filters_len - 1`, in float64. The
    memory that is needed beyond the inputs does not grow with their length, but with that of the window.

    Args:
        references: The true stems, an array or tensor `(source, sample, channel)`, or `(source, sample)` if mono.
        estimates: The separated stems in the same order, of the same shape.
        window: Length of a frame in samples; a track no longer than that is one frame.
        hop: Step from frame to frame in samples.
        filters_len: Taps of the filters, from 1 on.

    Returns:
        Tensors on the inputs' device, or arrays if arrays were given.

    Raises:
        InputError: If the shapes differ, there are no samples, a setting is below 1, or a sample is NaN, infinite, or
            so large that its square is.
    """
    arrays = isinstance(references, np.ndarray)
    reference, estimate = _as_tensor(references), _as_tensor(estimates)
    check_alike(reference, estimate, axes="source, sample, channel")
    reference, estimate = reference.transpose(1, 2), estimate.transpose(1, 2)
    for name, value in (("window", window), ("hop", hop), ("filters_len", filters_len)):
        if value < 1:
            raise InputError(f"{name} is {value}, but must be at least 1 sample")
    length = reference.shape[-1]
    # numpy's integers lack what Python's can do, and museval takes an infinite window for the whole track
    window, hop, filters_len = int(min(window, length)), int(min(hop, length)), int(filters_len)
    device = reference.device
    if device.type == "mps":  # which knows no float64
        reference, estimate = reference.cpu(), estimate.cpu()
    for waveforms, whose in ((reference, "references"), (estimate, "estimates")):
        # in the device's own time: one answer, not one for every block
        total = torch.zeros((), dtype=torch.float64, device=waveforms.device)
        for block in waveforms.split(BLOCK, -1):  # a list of sums would fragment the heap: 1 GB for ten minutes
            total += block.sum(dtype=torch.float64)
        if not total.isfinite():
            raise InputError(f"the {whose} hold NaN or infinite samples; BSSEval is defined for finite ones only")
    frames = (length - window) // hop + 1
    result = torch.full((4, len(reference), frames), torch.nan, dtype=torch.float64, device=reference.device)
    present = (~silent_throughout(reference)).nonzero().flatten()
    if len(present):
        # The present stems are picked from every piece, for a copy of all of them would be as large as the inputs.
        filters = projection_filters(reference, estimate, present, filters_len)
        result[:, present] = _measures(reference, estimate, present, *filters, window, hop, frames)
    return BSSEval(*(result.cpu().numpy() if arrays else result.to(device)))


def _measures(
    references: Tensor,
    estimates: Tensor,
    present: Tensor,
    own: Tensor,
    every: Tensor,
    window: int,
    hop: int,
    frames: int,
) -> Tensor:
    """SDR, ISR, SIR and SAR from the filters: `(measure, source, frame)`."""
    sources, channels = len(present), references.shape[1]
    taps = own.shape[-1]
    n_fft = fast_length(window + taps - 1)
    bins = n_fft // 2 + 1
    others = every.clone()
    to_distortion = own.clone()
    for channel in range(channels):
        to_distortion[:, channel, channel, 0] -= 1
    for source in range(sources):
        others[source, :, source * channels : (source + 1) * channels] -= own[source]
    to_distortion, to_interference = torch.fft.rfft(to_distortion, n=n_fft), torch.fft.rfft(others, n=n_fft)
    heard = ~silent_throughout(estimates)[present]
    group = min(frames, max(1, GROUP // n_fft))
    padded = torch.zeros(2, sources, channels, group, n_fft, dtype=torch.float64, device=references.device)
    measures = []
    for first in range(0, frames, group):
        count = min(group, frames - first)
        for kind, waveforms in enumerate((references, estimates)):
            part = waveforms[..., first * hop : (first + count - 1) * hop + window][present]
            padded[kind, ..., :count, :window] = part.unfold(-1, window, hop)
        silent = ~padded[..., :count, :window].sum(2).any(-1)
        dropped = (silent[0] | silent[1] & heard[:, None]).any(0)
        spectra = torch.fft.rfft(padded[..., :count, :])
        spectra[..., 0] *= 0.5**0.5  # of a real signal's spectrum, half is there: the other bins stand for two
        if n_fft % 2 == 0:
            spectra[..., -1] *= 0.5**0.5
        energies = torch.zeros(7, sources, count, dtype=torch.float64, device=references.device)
        for start in range(0, bins, BINS):
            some = slice(start, start + BINS)
            true, estimate = spectra[..., some]
            _add_energies(energies, true, estimate, to_distortion[..., some], to_interference[..., some])
        true, error, spatial, filtered, interference, projected, artefacts = energies
        ratios = torch.stack([true / error, true / spatial, filtered / interference, projected / artefacts])
        measures.append((10 * torch.log10(ratios)).masked_fill(dropped, torch.nan))
    return torch.cat(measures, dim=-1)


def _add_energies(
    energies: Tensor, true: Tensor, estimate: Tensor, to_distortion: Tensor, to_interference: Tensor
) -> None:
    """Adds the energies of some frequencies.

    Shape:
        - Energies: `(7, source, frame)`.
        - True and estimated: `(source, channel, frame, freq)`.
        - Filters: `(source, channel, own channel, freq)` and `(source, channel, any channel, freq)`.
    """
    spatial = to_distortion[:, :, 0, None] * true[:, :1]
    for channel in range(1, true.shape[1]):
        spatial.addcmul_(to_distortion[:, :, channel, None], true[:, channel : channel + 1])
    inputs = true.flatten(0, 1)
    interference = to_interference[:, :, 0, None] * inputs[0]
    for channel in range(1, len(inputs)):
        interference.addcmul_(to_interference[:, :, channel, None], inputs[channel])
    filtered = spatial + true
    projected = filtered + interference
    for energy, part in zip(
        energies,
        (true, true - estimate, spatial, filtered, interference, projected, estimate - projected),
        strict=True,
    ):
        energy += torch.linalg.vector_norm(torch.view_as_real(part), dim=(1, 3, 4)).square()


def _as_tensor(waveforms: Any) -> Tensor:
    """(source, sample, channel) as museval takes it, or (source, sample) as (source, sample, 1)."""
    if isinstance(waveforms, np.ndarray) and min(waveforms.strides, default=0) < 0:  # of which torch knows none
        waveforms = waveforms.copy()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that a read-only array could be written to: it is not
        tensor = torch.as_tensor(waveforms)
    return tensor[..., None] if tensor.ndim == 2 else tensor
