"""The STFT and its inverse for recordings that come and go in blocks: what `stft` gives, at constant memory.

Frames are rows here, `(..., frame, freq)`: Fourier transforms run along memory, and a block of frames fits the cache.
"""

import math
from collections.abc import Iterable, Iterator

import torch
import torch.nn.functional as F
from torch import Tensor

from unetsep.audio.stft import check_stft_settings, frame_count


def stft_blocks(blocks: Iterable[Tensor], n_fft: int, hop: int, frames_at_once: int = 64) -> Iterator[Tensor]:
    """The frames of `stft`, as soon as the samples under them are there.

    Shape:
        - Blocks: `(*batch, sample)`, of any lengths.
        - Yields: complex `(*batch, frame, freq)`: `frames_at_once` frames, fewer at the end.

    Args:
        blocks: The recording, one block after the other.
        n_fft: Window length in samples, even.
        hop: Step between frames in samples, at most 3/4 of `n_fft`.
        frames_at_once: Frames in what is yielded, from 1 on.

    Raises:
        InputError: If the settings cannot be inverted, as soon as the first frames are asked for.
    """
    window = torch.hann_window(n_fft)
    for samples in _under_frames(blocks, n_fft, hop, frames_at_once):
        window = window.to(samples)
        yield torch.fft.rfft(samples.unfold(-1, n_fft, hop) * window)


def power_blocks(blocks: Iterable[Tensor], n_fft: int, hop: int, frames_at_once: int = 64) -> Iterator[Tensor]:
    """The sum over all bins of the squared magnitudes of `stft`, frame by frame, without a transform (Parseval).

    Shape:
        - Blocks: `(*batch, sample)`, of any lengths.
        - Yields: `(*batch, frame)`: `frames_at_once` frames, fewer at the end.

    Args:
        blocks: As for `stft_blocks`, like all that follow.
        n_fft: Window length in samples.
        hop: Step between frames in samples.
        frames_at_once: Frames in what is yielded.

    Raises:
        InputError: As `stft_blocks`.
    """
    check_stft_settings(n_fft, hop)
    rows = math.ceil(n_fft / hop)  # of `hop` samples, on which one frame lies
    window = F.pad(torch.hann_window(n_fft, dtype=torch.float64), (0, rows * hop - n_fft)).view(rows, hop)
    signs = 1 - 2 * (torch.arange(rows * hop) % 2).view(rows, hop)

    def over_rows(samples: Tensor, weights: Tensor, frames: int) -> Tensor:
        """The weighted sum of the samples under each frame."""
        parts = samples @ weights.T.to(samples)
        return torch.stack([parts[..., k : k + frames, k] for k in range(rows)]).sum(0)

    for samples in _under_frames(blocks, n_fft, hop, frames_at_once):
        frames = (samples.shape[-1] - n_fft) // hop + 1
        lines = F.pad(samples, (0, (frames - 1 + rows) * hop - samples.shape[-1])).unflatten(-1, (-1, hop))
        energy, lowest, highest = (
            over_rows(lines.square(), window.square(), frames),
            over_rows(lines, window, frames),
            over_rows(lines, window * signs, frames),
        )
        # all bins but the lowest and the highest stand for two of the whole transform
        yield (n_fft * energy + lowest.square() + highest.square()) / 2


def _under_frames(blocks: Iterable[Tensor], n_fft: int, hop: int, frames_at_once: int) -> Iterator[Tensor]:
    """The samples under the next frames, `frames_at_once` or fewer at the end; silence lies around the recording."""
    check_stft_settings(n_fft, hop)
    wanted = (frames_at_once - 1) * hop + n_fft
    length = 0
    held: Tensor | None = None
    for block in blocks:
        if held is None:
            held = block.new_zeros(*block.shape[:-1], n_fft // 2)
        length += block.shape[-1]
        held = torch.cat([held, block], dim=-1)
        while held.shape[-1] >= wanted:
            yield held[..., :wanted]
            held = held[..., frames_at_once * hop :]
    if held is None or not length:
        return
    held = F.pad(held, (0, n_fft // 2 + -length % hop))
    while held.shape[-1] >= n_fft:
        yield held[..., : min(wanted, (held.shape[-1] - n_fft) // hop * hop + n_fft)]
        held = held[..., frames_at_once * hop :]


def istft_blocks(spectra: Iterable[Tensor], n_fft: int, hop: int, length: int) -> Iterator[Tensor]:
    """The samples of `istft`, as soon as all frames over them are there.

    Shape:
        - Spectra: complex `(*batch, frame, freq)`, in all as many frames as `stft` makes of `length` samples.
        - Yields: `(*batch, sample)`, in all `length` samples.

    Args:
        spectra: The frames, some at a time.
        n_fft: Window length in samples, as given to `stft_blocks`.
        hop: Step between frames in samples, as given to `stft_blocks`.
        length: Samples of the recording.

    Raises:
        InputError: As `stft_blocks`.
    """
    check_stft_settings(n_fft, hop)
    frames = frame_count(length, hop)
    rows = math.ceil(n_fft / hop)  # of `hop` samples, on which one frame lies
    window = F.pad(torch.hann_window(n_fft), (0, rows * hop - n_fft)).view(rows, hop)
    squared = window.square()
    inside = squared.sum(0)  # the squared windows' sum, wherever there are frames on both sides

    position = -(n_fft // 2)  # of the next sample in the recording

    def gain(row: int) -> Tensor:
        """What a row lacks at the ends, where windows are missing."""
        present = [k for k in range(rows) if 0 <= row - k < frames]
        return inside / squared[present].sum(0).clamp_min(1e-12)

    def kept(samples: Tensor) -> Tensor:
        """The part of the next samples that lies in the recording and not in the silence around it."""
        nonlocal position
        first, position = position, position + samples.shape[-1]
        return samples[..., max(0, -first) : max(0, length - first)]

    done = 0
    tail: Tensor | None = None
    synthesis = window / inside
    for spectrum in spectra:
        count = spectrum.shape[-2]
        pieces = torch.fft.irfft(spectrum, n=n_fft)
        if tail is None:
            window, squared, inside, synthesis = (each.to(pieces) for each in (window, squared, inside, synthesis))
            tail = pieces.new_zeros(*pieces.shape[:-2], rows - 1, hop)
        added = torch.cat([tail, pieces.new_zeros(*pieces.shape[:-2], count, hop)], dim=-2)
        for k in range(rows):
            part = pieces[..., k * hop : (k + 1) * hop]
            added[..., k : k + count, : part.shape[-1]].addcmul_(part, synthesis[k, : part.shape[-1]])
        for row in range(done, min(done + count, rows - 1)):
            added[..., row - done, :] *= gain(row)
        done += count
        tail = added[..., count:, :].clone()
        if (samples := kept(added[..., :count, :].flatten(-2))).shape[-1]:
            yield samples
    if tail is not None:
        for k in range(rows - 1):
            tail[..., k, :] *= gain(done + k)
        if (samples := kept(tail.flatten(-2))).shape[-1]:
            yield samples
