"""Losses: how far estimates lie from references, both seen in time and in frequency.

To add one, subclass `Loss` here: its name is then a value of `model.loss` in every config and sweep.
"""

from collections.abc import Callable
from typing import Literal, TypeAlias

import torch
from torch import Tensor, nn

from unetsep.audio.files import InputError
from unetsep.audio.stft import Signal, stft

View: TypeAlias = Literal["magnitude", "complex"]


class Loss(nn.Module):
    """A distance between signals whose waveforms are `(batch, source, channel, sample)`; a mean, so no size matters."""

    def forward(self, estimates: Signal, references: Signal) -> Tensor:
        """One number, 0 where the estimates are the references.

        Raises:
            NotImplementedError: Where a subclass does not say how.
        """
        raise NotImplementedError(f"{type(self).__name__} is a Loss without a forward")


LossFactory: TypeAlias = Callable[[], Loss]


class SpectrogramL1(Loss):
    """Mean absolute difference of spectrograms (Jansson et al. 2017).

    Args:
        of: "magnitude": of magnitudes, whatever the phases; "complex": of complex bins, their modulus.
    """

    def __init__(self, of: View = "magnitude"):
        super().__init__()
        self.of = of

    def forward(self, estimates: Signal, references: Signal) -> Tensor:
        return _distance(estimates, references, self.of).mean()


class SpectrogramL2(Loss):
    """Mean squared difference of spectrograms (Choi et al. 2020, with complex bins).

    Args:
        of: "magnitude": of magnitudes, whatever the phases; "complex": of complex bins, their squared modulus.
    """

    def __init__(self, of: View = "magnitude"):
        super().__init__()
        self.of = of

    def forward(self, estimates: Signal, references: Signal) -> Tensor:
        if self.of == "complex":
            return torch.view_as_real(estimates.spectrum - references.spectrum).square().sum(-1).mean()
        return _distance(estimates, references, self.of).square().mean()


class VolumeBalancedL1(Loss):
    """Mean absolute difference of magnitude spectrograms, weighted to balance the stems' volumes (Oh et al. 2018).

    A loud stem's errors are large in themselves and would be all that a plain mean sees. So each stem's mean counts
    with a weight, and the weights add up to one.

    Args:
        weights: one for each source, in their order; only their ratios matter. When not given, each stem weighs the
            inverse of its own mean magnitude in the batch, where a stem below a tenth of the stems' average counts as
            that tenth: silence must not weigh without bound.

    Raises:
        InputError: if a weight is negative or all are 0; later, if there is not one for each source.
    """

    weights: Tensor | None

    def __init__(self, weights: list[float] | None = None):
        super().__init__()
        if weights is not None and (min(weights, default=0) < 0 or sum(weights) <= 0):
            raise InputError(f"VolumeBalancedL1's weights are {weights}: use numbers from 0 on, at least one above 0")
        self.register_buffer("weights", None if weights is None else torch.tensor(weights), persistent=False)

    def forward(self, estimates: Signal, references: Signal) -> Tensor:
        stems = (0, 2, 3, 4)  # every axis but the source's
        weights = self._weights(references.spectrum.abs().mean(stems))
        return (weights * _distance(estimates, references, "magnitude").mean(stems)).sum()

    def _weights(self, volumes: Tensor) -> Tensor:
        if self.weights is None:
            weights = 1 / torch.maximum(volumes, 0.1 * volumes.mean() + 1e-8)
        elif len(self.weights) == len(volumes):
            weights = self.weights.to(volumes)
        else:
            raise InputError(
                f"VolumeBalancedL1 has {len(self.weights)} weights for {len(volumes)} sources: give one for each"
            )
        return weights / weights.sum()


class WaveformL1(Loss):
    """Mean absolute difference of waveforms (Defossez et al. 2019, Demucs)."""

    def forward(self, estimates: Signal, references: Signal) -> Tensor:
        return (estimates.waveform - references.waveform).abs().mean()


class MultiResolutionSTFT(Loss):
    """Differences of spectrograms at several resolutions, each the sum of two terms (Yamamoto et al. 2020).

    The spectral convergence `||R - E|| / ||R||` of the magnitudes, which sees the loud bins, and the mean absolute
    difference of their natural logarithms, which sees the quiet ones as well; their sum, averaged over resolutions.

    Args:
        n_ffts: samples of a frame at each resolution, even and at least 4; the hop is a quarter of it.
        floor: above 0; magnitudes count as at least this in the logarithm, so that digital silence has one.

    Raises:
        InputError: if there is no resolution, or the floor is not above 0; later, if a frame's length is refused.
    """

    def __init__(self, n_ffts: tuple[int, ...] = (512, 1024, 2048), floor: float = 1e-3):
        super().__init__()
        if not n_ffts or floor <= 0:
            raise InputError(f"MultiResolutionSTFT has n_ffts {list(n_ffts)} and floor {floor}: use some, and above 0")
        self.n_ffts = tuple(n_ffts)
        self.floor = floor

    def forward(self, estimates: Signal, references: Signal) -> Tensor:
        terms = []
        for n_fft in self.n_ffts:
            reference = stft(references.waveform, n_fft, n_fft // 4).abs()
            estimate = stft(estimates.waveform, n_fft, n_fft // 4).abs()
            convergence = torch.linalg.vector_norm(reference - estimate) / (
                torch.linalg.vector_norm(reference) + self.floor
            )
            logarithms = estimate.clamp_min(self.floor).log() - reference.clamp_min(self.floor).log()
            terms.append(convergence + logarithms.abs().mean())
        return torch.stack(terms).mean()


class WeightedSum(Loss):
    """Several losses, each times its weight.

    Args:
        losses: a loss under a name of your choice: `{spectrogram: SpectrogramL1, waveform: WaveformL1}`.
        weights: by the same names; 1 where none is given.

    Raises:
        InputError: if there is no loss, or a weight names none.
    """

    def __init__(self, losses: dict[str, LossFactory], weights: dict[str, float] | None = None):
        super().__init__()
        unknown = set(weights or {}) - set(losses)
        if not losses or unknown:
            raise InputError(
                f"WeightedSum has weights for {sorted(unknown)} and losses {list(losses)}: "
                "give at least one loss, and weights only under the names of losses"
            )
        self.losses = nn.ModuleDict({name: loss() for name, loss in losses.items()})
        self.weights = {name: (weights or {}).get(name, 1.0) for name in losses}

    def forward(self, estimates: Signal, references: Signal) -> Tensor:
        terms = [self.weights[name] * loss(estimates, references) for name, loss in self.losses.items()]
        return torch.stack(terms).sum()


def _distance(estimates: Signal, references: Signal, of: View) -> Tensor:
    """Absolute differences of bins, `(batch, source, channel, freq, frame)`."""
    if of == "complex":
        return (estimates.spectrum - references.spectrum).abs()
    return (estimates.spectrum.abs() - references.spectrum.abs()).abs()
