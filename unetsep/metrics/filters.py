"""The filters of BSSEval's projections: least squares over a whole track, from the stems delayed to every estimate."""

from functools import partial

import torch
from torch import Tensor

from unetsep.audio.files import InputError

# What is taken at a time: samples of one channel's frames or blocks, so few that those of four stereo stems stay below
# the 32 MB from which glibc asks for new pages at every step, and frequencies, so few that the products of a step stay
# in the processor's cache.
GROUP = 1 << 18
BLOCK = 45_000
BINS = 4096

# Below this share of a delayed channel's energy that the other ones do not explain, the filters count as undetermined.
_SINGULAR = 1e-12


def projection_filters(references: Tensor, estimates: Tensor, present: Tensor, taps: int) -> tuple[Tensor, Tensor]:
    """The least-squares filters from the stems to every estimate: from a stem's own channels, and from all of them.

    Args:
        references: `(source, channel, sample)`.
        estimates: Likewise.
        present: Indices of the sources that are not silent throughout; the others are left out.
        taps: Length of the filters in samples, from 1 on.

    Returns:
        `(source, channel, own channel, tap)` and `(source, channel, any channel, tap)`.

    Raises:
        InputError: If the samples are so large that their energy is infinite.
    """
    sources, channels = len(present), references.shape[1]
    rows = sources * channels
    correlations = _correlations(references, estimates, present, taps)
    if not correlations.isfinite().all():  # no ridge would ever mend that
        raise InputError("the samples are too large, their energy exceeds float64: scale references and estimates down")
    among, towards = correlations[:, :rows], correlations[:, rows:]
    # r_kl(t) = sum_n x_k(n) x_l(n + t), and r_kl(-t) = r_lk(t)
    lags = torch.cat([among.transpose(0, 1)[..., 1:].flip(-1), among], dim=-1)
    gram = lags.new_empty(rows, taps, rows, taps)
    for row, channel_lags in zip(gram, lags, strict=True):  # row by row: the whole matrix once, not thrice
        row.copy_(channel_lags.unfold(-1, taps, 1).flip(-1).transpose(0, 1))
    # museval's own: it shows in stems that hardly sound, and keeps a silent channel from dividing 0 by 0
    gram.view(rows * taps, -1).diagonal().add_(torch.finfo(torch.float64).eps)
    right = towards.transpose(1, 2)  # (channel, tap, estimated channel)
    own = []
    for source in range(sources):
        mine = slice(source * channels, (source + 1) * channels)
        block, answer = gram[mine, :, mine], right[mine, :, mine]
        solved = _solve(block.reshape(channels * taps, -1).clone(), answer.reshape(channels * taps, channels))
        own.append(solved.view(channels, taps, channels).permute(2, 0, 1))
    if sources == 1:  # the same equations: no rounding may pass for interference
        return torch.stack(own), torch.stack(own)
    every = _solve(gram.view(rows * taps, -1), right.reshape(rows * taps, rows))
    return torch.stack(own), every.view(rows, taps, sources, channels).permute(2, 3, 0, 1)


def _correlations(references: Tensor, estimates: Tensor, present: Tensor, taps: int) -> Tensor:
    """`sum_n x_k(n) y_l(n + t)` of each reference `k` with each reference and estimate `l`: `(k, l, t)`, `t < taps`.

    Block by block: the spectrum of a block against that of the block and the `taps - 1` samples that follow it.
    """
    length = references.shape[-1]
    rows = len(present) * references.shape[1]
    n_fft = fast_length(min(BLOCK, length) + taps - 1)
    block = n_fft - taps + 1
    blocks = -(-length // block)
    group = max(1, GROUP // n_fft)
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
                samples = signals[..., start : start + n_fft][present].flatten(0, 1)
                part[:, index, : samples.shape[-1]] = samples
        here[..., :block] = onward[:rows, :, :block]
        left, right = torch.fft.rfft(here).conj_physical_(), torch.fft.rfft(onward)
        for start in range(0, bins, BINS):
            some = slice(start, start + BINS)
            for index in range(count):
                total[..., some].addcmul_(left[:, None, index, some], right[None, :, index, some])
    return torch.fft.irfft(total, n=n_fft)[..., :taps]


def _solve(gram: Tensor, right: Tensor) -> Tensor:
    """Least-squares solution of `gram x = right`; `gram` is symmetric, up to rounding not negative, and written over.

    Where it is singular, a little is added to its diagonal. Refinement takes the error of that out again, and the
    rounding where it is nearly so.
    """
    scale = gram.diagonal().rsqrt()
    gram.mul_(scale).mul_(scale[:, None])
    right = right * scale[:, None]
    factor, info = torch.linalg.cholesky_ex(gram)
    ridge = 0.0
    while info != 0 or (ridge == 0 and factor.diagonal().square().min() <= _SINGULAR):
        ridge = 10 * ridge or _SINGULAR
        factor, info = torch.linalg.cholesky_ex(gram + ridge * torch.eye(len(gram)).to(gram))
    solution = torch.cholesky_solve(right, factor)
    for _ in range(4 if ridge else 2):
        solution += torch.cholesky_solve(right - gram @ solution, factor)
    return solution * scale[:, None]


def fast_length(minimum: int) -> int:
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
