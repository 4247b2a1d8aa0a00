"""The short-time Fourier transform, its exact inverse, and a signal seen through both.

Written out rather than `torch.istft`, because that one cannot run on the meta device (where costs are counted), checks
its window on the data, and refuses what is easy to allow.
"""

import torch
import torch.nn.functional as F
from jaxtyping import Complex, Float
from torch import Tensor

from unetsep.audio.files import InputError


def check_stft_settings(n_fft: int, hop: int) -> None:
    """Refuses STFT settings whose inverse is impossible or ill conditioned.

    A Hann window fades to zero at its ends: with a hop beyond 3/4 of it, samples between two frames would have to be
    blown up by more than 14 dB.

    Args:
        n_fft: Window length in samples, even and at least 4.
        hop: Step between frames in samples, 1 to 3/4 of `n_fft`.

    Raises:
        InputError: If either lies outside its range.
    """
    if n_fft < 4 or n_fft % 2:
        raise InputError(f"n_fft is {n_fft}; it must be even and at least 4, usually a power of two such as 2048")
    if not 1 <= hop <= 3 * n_fft // 4:
        raise InputError(f"hop is {hop}; with n_fft {n_fft} it must lie between 1 and {3 * n_fft // 4}")


def frame_count(length: int, hop: int) -> int:
    """How many frames `stft` makes of `length` samples: one at 0 and one at every multiple of `hop` up to the end.

    Args:
        length: Of the signal, from 1 on.
        hop: Step between frames in samples, from 1 on.
    """
    return -(-length // hop) + 1


def stft(waveform: Float[Tensor, "*batch sample"], n_fft: int, hop: int) -> Complex[Tensor, "*batch freq frame"]:
    """Short-time Fourier transform with a periodic Hann window.

    Frame `m` is centred on sample `m * hop`; before the start and after the end the signal is zero. The right end is
    padded to a multiple of `hop`, so any length from 1 on works and nothing is lost. Half precision is computed in
    float32, also under autocast.

    Shape:
        - Input: `(*batch, sample)`.
        - Output: `(*batch, freq, frame)` with `freq = n_fft // 2 + 1` and `frame = ceil(sample / hop) + 1`.

    Args:
        waveform: The signal, at least one sample.
        n_fft: Window length in samples, even and at least 4.
        hop: Step between frames in samples, at most 3/4 of `n_fft`.

    Raises:
        InputError: If the waveform is empty or the settings cannot be inverted.
    """
    check_stft_settings(n_fft, hop)
    *batch, length = waveform.shape
    if length < 1:
        raise InputError("the waveform holds no samples; the STFT needs at least one")
    exact = waveform if waveform.dtype == torch.float64 else waveform.float()
    left = n_fft // 2
    right = left + -length % hop
    padded = F.pad(exact.reshape(-1, length), (left, right))
    window = torch.hann_window(n_fft, dtype=exact.dtype, device=exact.device)
    spectrum = torch.stft(padded, n_fft, hop, window=window, center=False, return_complex=True)
    return spectrum.reshape(*batch, *spectrum.shape[-2:])


def istft(
    spectrum: Complex[Tensor, "*batch freq frame"], n_fft: int, hop: int, length: int
) -> Float[Tensor, "*batch sample"]:
    """Inverse of `stft`: exact on spectra of signals, and the least-squares signal for any other spectrum.

    Griffin and Lim, "Signal estimation from modified short-time Fourier transform", 1984: each frame is windowed again,
    the frames are added at their places, and the sum is divided by that of the squared windows.

    Shape:
        - Input: `(*batch, freq, frame)` with `freq = n_fft // 2 + 1` and `frame = ceil(length / hop) + 1`.
        - Output: `(*batch, sample)` with `sample = length`.

    Args:
        spectrum: As `stft` makes it.
        n_fft: Window length in samples, as given to `stft`.
        hop: Step between frames in samples, as given to `stft`.
        length: Length of the signal in samples.

    Raises:
        InputError: If the settings cannot be inverted, or the spectrum's size does not belong to them and this length.
    """
    check_stft_settings(n_fft, hop)
    *batch, freqs, frames = spectrum.shape
    if (freqs, frames) != (n_fft // 2 + 1, frame_count(length, hop)):
        raise InputError(
            f"the spectrum has {freqs} frequencies and {frames} frames; with n_fft {n_fft}, hop {hop} and {length} "
            f"samples it must have {n_fft // 2 + 1} and {frame_count(length, hop)}"
        )
    pieces = torch.fft.irfft(spectrum.reshape(-1, freqs, frames).transpose(1, 2), n=n_fft)
    window = torch.hann_window(n_fft, dtype=pieces.dtype, device=pieces.device)
    added = _add_frames(pieces * window, hop)
    envelope = _add_frames(window.square().expand(1, frames, n_fft), hop)
    kept = slice(n_fft // 2, n_fft // 2 + length)
    return (added[:, kept] / envelope[:, kept]).reshape(*batch, length)


def _add_frames(pieces: Tensor, hop: int) -> Tensor:
    """Adds frames `(batch, frame, n_fft)`, frame `m` starting at `m * hop`, into `(batch, sample)`."""
    batch, frames, n_fft = pieces.shape
    # Cut each frame into blocks of `hop` samples: block k of frame m lands on block m + k of the signal.
    blocks = -(-n_fft // hop)
    cut = F.pad(pieces, (0, blocks * hop - n_fft)).reshape(batch, frames, blocks, hop)
    added = pieces.new_zeros(batch, frames + blocks - 1, hop)
    for block in range(blocks):
        added[:, block : block + frames] += cut[:, :, block]
    return added.flatten(1)


class Signal:
    """A signal seen in time and in frequency; whichever view it was not made from is computed on first use, and kept.

    A loss on waveforms and a loss on spectra take the same object, and neither pays for the other's transform.

    Args:
        n_fft: Window length of the STFT in samples, even.
        hop: Step between its frames in samples.
        waveform: The signal as `(..., sample)`; or else
        spectrum: the signal as a complex `(..., freq, frame)`, with
        length: its length in samples.

    Raises:
        InputError: Unless given either a waveform, or a spectrum and its length, or if the settings cannot be inverted;
            later, as `stft` and `istft`.
    """

    def __init__(
        self,
        n_fft: int,
        hop: int,
        *,
        waveform: Float[Tensor, "*batch sample"] | None = None,
        spectrum: Complex[Tensor, "*batch freq frame"] | None = None,
        length: int | None = None,
    ) -> None:
        check_stft_settings(n_fft, hop)
        if (waveform is None) == (spectrum is None) or (spectrum is None) != (length is None):
            given = {"waveform": waveform, "spectrum": spectrum, "length": length}
            names = ", ".join(name for name, value in given.items() if value is not None) or "nothing"
            raise InputError(f"a Signal was given {names}; give it either a waveform, or a spectrum and its length")
        self.n_fft = n_fft
        self.hop = hop
        self._waveform = waveform
        self._spectrum = spectrum
        self._length = length

    @property
    def length(self) -> int:
        """Length in samples."""
        return self._length if self._length is not None else self.waveform.shape[-1]

    @property
    def waveform(self) -> Float[Tensor, "*batch sample"]:
        """The signal in time, `(..., sample)`."""
        if self._waveform is None:
            assert self._spectrum is not None
            self._waveform = istft(self._spectrum, self.n_fft, self.hop, self.length)
        return self._waveform

    @property
    def spectrum(self) -> Complex[Tensor, "*batch freq frame"]:
        """The signal in frequency, complex `(..., freq, frame)`."""
        if self._spectrum is None:
            assert self._waveform is not None
            self._spectrum = stft(self._waveform, self.n_fft, self.hop)
        return self._spectrum

    def __repr__(self) -> str:
        known = "waveform" if self._waveform is not None else "spectrum"
        shape = tuple((self._waveform if self._waveform is not None else self.spectrum).shape)
        return f"Signal({known} {shape}, n_fft={self.n_fft}, hop={self.hop}, length={self.length})"
