"""BSSEval v4, all four measures as museval computes them: SDR, ISR, SIR and SAR by frames, with whole-track filters.

Vincent, Gribonval and Févotte, "Performance measurement in blind audio source separation", 2006; Stöter, Liutkus and
Ito, "The 2018 Signal Separation Evaluation Campaign", 2018.

An estimate is split into four: the true stem `s`; spatial distortion, `P_j e - s`; interference, `P e - P_j e`; and
artefacts, `e - P e`. `P_j` projects on the stem's own channels delayed by 0 to 511 samples, `P` on those of all stems.
The measures are ratios of these parts' energies in each frame. museval filters and transforms back and forth for them;
here, by Parseval's theorem, the spectra are enough: one forward transform of every frame, and products with the
spectra of the filters.
"""

from functools import partial
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from unetsep.audio.files import InputError
from unetsep.metrics.sdr import BLOCK, check_alike, silent_throughout

# What is taken at a time: samples of one channel's frames or blocks, and frequencies, so few that the products of a
# step stay in the processor's cache.
_GROUP = 1 << 19
_BLOCK = 1 << 14
_BINS = 1024

# Below this share of a delayed channel's energy that the other ones do not explain, the filters count as undetermined.
_SINGULAR = 1e-12


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
        InputError: If the shapes differ, there are no samples, a setting is below 1, or a sample is NaN or infinite.
    """
    arrays = isinstance(references, np.ndarray)
    reference, estimate = _channels_first(references), _channels_first(estimates)
    check_alike(reference, estimate)
    for name, value in (("window", window), ("hop", hop), ("filters_len", filters_len)):
        if value < 1:
            raise InputError(f"{name} is {value}, but must be at least 1 sample")
    device = reference.device
    if device.type == "mps":  # which knows no float64
        reference, estimate = reference.cpu(), estimate.cpu()
    for waveforms, whose in ((reference, "references"), (estimate, "estimates")):
        # in the device's own time: one answer, not one for every block
        if not torch.stack([block.sum(dtype=torch.float64) for block in waveforms.split(BLOCK, -1)]).isfinite().all():
            raise InputError(f"the {whose} hold NaN or infinite samples; BSSEval is defined for finite ones only")
    length = reference.shape[-1]
    window = min(window, length)
    frames = (length - window) // hop + 1
    result = torch.full((4, len(reference), frames), torch.nan, dtype=torch.float64, device=reference.device)
    present = ~silent_throughout(reference)
    if present.any():
        if not present.all():  # choosing copies whole songs
            reference, estimate = reference[present], estimate[present]
        filters = _filters(reference, estimate, filters_len)
        result[:, present] = _measures(reference, estimate, *filters, window, hop, frames)
    return BSSEval(*(result.cpu().numpy() if arrays else result.to(device)))


def _filters(references: Tensor, estimates: Tensor, taps: int) -> tuple[Tensor, Tensor]:
    """The least-squares filters from the stems to every estimate: from a stem's own channels, and from all of them.

    Returns:
        `(source, channel, own channel, tap)` and `(source, channel, any channel, tap)`.
    """
    sources, channels, _ = references.shape
    rows = sources * channels
    correlations = _correlations(references.flatten(0, 1), estimates.flatten(0, 1), taps)
    among, towards = correlations[:, :rows], correlations[:, rows:]
    # r_kl(t) = sum_n x_k(n) x_l(n + t), and r_kl(-t) = r_lk(t)
    lags = torch.cat([among.transpose(0, 1)[..., 1:].flip(-1), among], dim=-1)
    gram = lags.new_empty(rows, taps, rows, taps)
    for row, channel_lags in zip(gram, lags, strict=True):  # row by row: the whole matrix once, not thrice
        row.copy_(channel_lags.unfold(-1, taps, 1).flip(-1).transpose(0, 1))
    right = towards.transpose(1, 2)  # (channel, tap, estimated channel)
    every = _solve(gram.view(rows * taps, -1), right.reshape(rows * taps, rows))
    every = every.view(rows, taps, sources, channels).permute(2, 3, 0, 1)
    if sources == 1:  # the same equations: no rounding may pass for interference
        return every, every
    own = []
    for source in range(sources):
        mine = slice(source * channels, (source + 1) * channels)
        block, answer = gram[mine, :, mine], right[mine, :, mine]
        solved = _solve(block.reshape(channels * taps, -1), answer.reshape(channels * taps, channels))
        own.append(solved.view(channels, taps, channels).permute(2, 0, 1))
    return torch.stack(own), every


def _correlations(references: Tensor, estimates: Tensor, taps: int) -> Tensor:
    """`sum_n x_k(n) y_l(n + t)` of each reference `k` with each reference and estimate `l`: `(k, l, t)`, `t < taps`.

    Block by block: the spectrum of a block against that of the block and the `taps - 1` samples that follow it.
    """
    rows, length = references.shape
    n_fft = _fast_length(min(_BLOCK, length) + taps - 1)
    block = n_fft - taps + 1
    blocks = -(-length // block)
    group = max(1, _GROUP // n_fft)
    bins = n_fft // 2 + 1
    zeros = partial(torch.zeros, dtype=torch.float64, device=references.device)
    total = torch.complex(zeros(rows, 2 * rows, bins), zeros(1))
    for first in range(0, blocks, group):
        count = min(group, blocks - first)
        here = zeros(rows, count, n_fft)
        onward = zeros(2 * rows, count, n_fft)
        for index in range(count):
            start = (first + index) * block
            for part, signals in ((onward[:rows], references), (onward[rows:], estimates)):
                samples = signals[:, start : start + n_fft]
                part[:, index, : samples.shape[-1]] = samples
        here[..., :block] = onward[:rows, :, :block]
        left, right = torch.fft.rfft(here).conj_physical_(), torch.fft.rfft(onward)
        for start in range(0, bins, _BINS):
            some = slice(start, start + _BINS)
            for index in range(count):
                total[..., some].addcmul_(left[:, None, index, some], right[None, :, index, some])
    return torch.fft.irfft(total, n=n_fft)[..., :taps]


def _solve(gram: Tensor, right: Tensor) -> Tensor:
    """Least-squares solution of `gram x = right`, where `gram` is symmetric and, up to rounding, not negative.

    Where it is singular, a little is added to its diagonal and the error of that is taken out again by refinement.
    """
    scale = gram.diagonal().sqrt()
    scale = torch.where(scale > 0, scale, 1.0).reciprocal()
    scaled = gram * scale * scale[:, None]
    factor, info = torch.linalg.cholesky_ex(scaled)
    determined = (info == 0) & (factor.diagonal().square().min() > _SINGULAR)
    answer = right * scale[:, None]
    if determined:
        return torch.cholesky_solve(answer, factor) * scale[:, None]
    ridge = _SINGULAR
    factor, info = torch.linalg.cholesky_ex(_with_ridge(scaled, ridge))
    while info != 0:
        ridge *= 10
        factor, info = torch.linalg.cholesky_ex(_with_ridge(scaled, ridge))
    solution = torch.cholesky_solve(answer, factor)
    for _ in range(4):
        solution += torch.cholesky_solve(answer - scaled @ solution, factor)
    return solution * scale[:, None]


def _with_ridge(matrix: Tensor, ridge: float) -> Tensor:
    return matrix + ridge * torch.eye(len(matrix), dtype=matrix.dtype, device=matrix.device)


def _measures(
    references: Tensor, estimates: Tensor, own: Tensor, every: Tensor, window: int, hop: int, frames: int
) -> Tensor:
    """SDR, ISR, SIR and SAR from the filters: `(measure, source, frame)`."""
    sources, channels, _ = references.shape
    taps = own.shape[-1]
    n_fft = _fast_length(window + taps - 1)
    bins = n_fft // 2 + 1
    others = every.clone()
    to_distortion = own.clone()
    for channel in range(channels):
        to_distortion[:, channel, channel, 0] -= 1
    for source in range(sources):
        others[source, :, source * channels : (source + 1) * channels] -= own[source]
    to_distortion, to_interference = torch.fft.rfft(to_distortion, n=n_fft), torch.fft.rfft(others, n=n_fft)
    heard = ~silent_throughout(estimates)
    group = min(frames, max(1, _GROUP // n_fft))
    padded = torch.zeros(2, sources, channels, group, n_fft, dtype=torch.float64, device=references.device)
    measures = []
    for first in range(0, frames, group):
        count = min(group, frames - first)
        for kind, waveforms in enumerate((references, estimates)):
            part = waveforms[..., first * hop : (first + count - 1) * hop + window]
            padded[kind, ..., :count, :window] = part.unfold(-1, window, hop)
        silent = ~padded[..., :count, :window].sum(2).any(-1)
        dropped = (silent[0] | silent[1] & heard[:, None]).any(0)
        spectra = torch.fft.rfft(padded[..., :count, :])
        spectra[..., 0] *= 0.5**0.5  # of a real signal's spectrum, half is there: the other bins stand for two
        if n_fft % 2 == 0:
            spectra[..., -1] *= 0.5**0.5
        energies = torch.zeros(7, sources, count, dtype=torch.float64, device=references.device)
        for start in range(0, bins, _BINS):
            some = slice(start, start + _BINS)
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


def _fast_length(minimum: int) -> int:
    """The next length whose Fourier transform is fast: a high power of two times a product of 3, 5 and 7."""
    step = 2 ** max(1, minimum.bit_length() - 8)
    length = -(-minimum // step) * step
    while not _is_smooth(length):
        length += step
    return length


def _is_smooth(length: int) -> bool:
    for prime in (2, 3, 5, 7):
        while length % prime == 0:
            length //= prime
    return length == 1


def _channels_first(waveforms: Any) -> Tensor:
    """(source, sample, channel) as museval takes it, or (source, sample), as (source, channel, sample)."""
    tensor = torch.as_tensor(waveforms)
    return (tensor[..., None] if tensor.ndim == 2 else tensor).transpose(-1, -2) if tensor.ndim > 1 else tensor
