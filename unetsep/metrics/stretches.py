"""Spectra of whole songs, a stretch at a time: those of ten minutes at once would take gigabytes."""

from collections.abc import Callable, Iterator
from typing import NamedTuple

from jaxtyping import Complex, Float
from torch import Tensor

from unetsep.audio.stft import check_stft_settings, istft, stft

STRETCH = 1 << 16
"""Samples in a stretch, 1.5 s at 44.1 kHz: their spectra fit the processor's cache, over twice as fast as 12 s."""


class _Stretch(NamedTuple):
    """Samples `start` to `stop` of a signal, and the wider `first` to `last` that their frames look at."""

    first: int
    start: int
    stop: int
    last: int


def _stretches(length: int, n_fft: int, hop: int) -> Iterator[_Stretch]:
    """Cuts a signal such that every frame that touches a stretch is the whole signal's own.

    A frame that touches it is centred within half a window of it and looks half a window further: a margin of one
    window is enough. All but the end of the signal are multiples of the hop, so that frames stand where they would.
    """
    check_stft_settings(n_fft, hop)
    margin = -(-n_fft // hop) * hop
    step = max(STRETCH, 4 * n_fft) // hop * hop
    for start in range(0, max(1, length), step):  # of an empty signal one, which `stft` refuses
        stop = min(start + step, length)
        yield _Stretch(max(0, start - margin), start, stop, min(stop + margin, length))


def spectra_in_stretches(
    waveform: Float[Tensor, "*batch sample"], n_fft: int, hop: int
) -> Iterator[Complex[Tensor, "*batch freq _frame"]]:
    """The frames of `stft(waveform, n_fft, hop)`, each once and in order, a stretch at a time.

    Args:
        waveform: The signal, at least one sample.
        n_fft: Window length in samples, even.
        hop: Step between frames in samples, at most 3/4 of `n_fft`.

    Raises:
        InputError: As `stft`.
    """
    length = waveform.shape[-1]
    for first, start, stop, last in _stretches(length, n_fft, hop):
        end = None if stop == length else (stop - first) // hop
        yield stft(waveform[..., first:last], n_fft, hop)[..., (start - first) // hop : end]


def filter_in_stretches(
    waveform: Float[Tensor, "*batch sample"], n_fft: int, hop: int, change: Callable[[Tensor], Tensor]
) -> Float[Tensor, "source channel sample"]:
    """`istft(change(stft(waveform, n_fft, hop)), n_fft, hop, sample)`, a stretch at a time.

    Args:
        waveform: The signal, at least one sample.
        n_fft: Window length in samples, even.
        hop: Step between frames in samples, at most 3/4 of `n_fft`.
        change: From a spectrum `(*batch, freq, frame)` to the spectra `(source, channel, freq, frame)` of estimates,
            frame by frame.

    Raises:
        InputError: As `stft`.
    """
    length = waveform.shape[-1]
    changed: Tensor | None = None
    for first, start, stop, last in _stretches(length, n_fft, hop):
        piece = istft(change(stft(waveform[..., first:last], n_fft, hop)), n_fft, hop, last - first)
        if changed is None:
            changed = piece.new_empty(*piece.shape[:-1], length)
        changed[..., start:stop] = piece[..., start - first : stop - first]
    assert changed is not None
    return changed
