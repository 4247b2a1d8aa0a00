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
        frames_at_once: Frames in what is yielded.

    Raises:
        InputError: If the settings cannot be inverted.
    """
    check_stft_settings(n_fft, hop)
    wanted = (frames_at_once - 1) * hop + n_fft
    length = 0
    held: Tensor | None = None
    window = torch.hann_window(n_fft)
    for block in blocks:
        if held is None:
            window = window.to(block)
            held = block.new_zeros(*block.shape[:-1], n_fft // 2)  # before the start is silence
        length += block.shape[-1]
        held = torch.cat([held, block], dim=-1)
        while held.shape[-1] >= wanted:
            yield _transformed(held[..., :wanted], window, hop)
            held = held[..., frames_at_once * hop :]
    if held is None or not length:
        return
    held = F.pad(held, (0, n_fft // 2 + -length % hop))
    while held.shape[-1] >= n_fft:
        yield _transformed(held[..., :wanted], window, hop)
        held = held[..., frames_at_once * hop :]


def _transformed(samples: Tensor, window: Tensor, hop: int) -> Tensor:
    return torch.fft.rfft(samples.unfold(-1, len(window), hop) * window)


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
