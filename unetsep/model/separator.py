"""The separator: a waveform to its stems, through one network on the mixture's spectrogram."""

from collections.abc import Callable
from typing import Any

import torch
from jaxtyping import Complex, Float
from torch import Tensor, nn

from unetsep.audio.files import InputError
from unetsep.audio.recording import RATES
from unetsep.audio.stft import Signal, check_stft_settings
from unetsep.model.estimates import Estimate, SoftmaxMask
from unetsep.model.unet import UNet

_LONGEST = 2**20  # samples of a frame: 24 seconds at 44.1 kHz, and no instrument changes so slowly


class Separator(nn.Module):
    """Separates a mixture into stems: STFT, network, estimate, inverse STFT.

    It owns the STFT and the names of the sources, so a checkpoint is complete. The network sees `n_fft / 2` bins (the
    highest one shares its neighbour's estimate) of a mixture scaled to a root mean square of one: a louder recording of
    the same music gives the same stems, louder.

    Args:
        sources: names of the stems, each once, in the order of the output.
        net: takes channels in, channels out and frequency bins; `UNet` when not given.
        audio_channels: 1 for mono, 2 for stereo.
        sample_rate: in hertz, 1 to 384,000.
        n_fft: samples of an STFT frame, even and from 4 to 2**20.
        hop: samples between frames, at most 3/4 of `n_fft`.
        estimate: what the network's output means; `SoftmaxMask` when not given.
        compression: exponent in (0, 1] on the magnitudes that the network reads; quiet partials count for more below 1.

    Raises:
        InputError: if a setting is out of its range.
    """

    net: Any  # a module that knows its depth, its frame_stride and its receptive_field(), as UNet does

    def __init__(
        self,
        sources: tuple[str, ...] = ("vocals", "drums", "bass", "other"),
        net: Callable[[int, int, int], nn.Module] | None = None,
        *,
        audio_channels: int = 2,
        sample_rate: int = 44_100,
        n_fft: int = 4096,
        hop: int = 1024,
        estimate: Callable[[], Estimate] | None = None,
        compression: float = 0.3,
    ):
        super().__init__()
        if not sources or len(set(sources)) < len(sources):
            raise InputError(f"sources are {list(sources)}: name at least one, each once")
        if audio_channels not in (1, 2):
            raise InputError(f"audio_channels is {audio_channels}: use 1 for mono or 2 for stereo")
        if not 1 <= sample_rate <= RATES[1]:
            raise InputError(f"sample_rate is {sample_rate}: use 1 to {RATES[1]} samples a second")
        check_stft_settings(n_fft, hop)
        if n_fft > _LONGEST:
            raise InputError(f"n_fft is {n_fft}: use at most {_LONGEST}")
        if not 0 < compression <= 1:
            raise InputError(f"compression is {compression}: use more than 0 and at most 1")
        self.sources = tuple(sources)
        self.audio_channels = audio_channels
        self.sample_rate = sample_rate
        self.n_fft = n_fft
        self.hop = hop
        self.compression = compression
        self.estimate = (estimate or SoftmaxMask)()
        planes_out = len(sources) * audio_channels * self.estimate.planes_out
        self.net = (net or UNet)(audio_channels * self.estimate.planes_in, planes_out, n_fft // 2)

    @property
    def depth(self) -> int:
        """The network's depth."""
        return int(self.net.depth)

    @property
    def frame_stride(self) -> int:
        """Frames by which a mixture may be shifted so that the network's output is only shifted as well."""
        return int(self.net.frame_stride)

    def receptive_field(self) -> tuple[float, float]:
        """Seconds and hertz of the mixture that one bin of the output may depend on; infinite seconds for all of it."""
        bins, frames = self.net.receptive_field()
        seconds = ((frames - 1) * self.hop + self.n_fft) / self.sample_rate
        return seconds, min(bins * self.sample_rate / self.n_fft, self.sample_rate / 2)

    def signal(
        self,
        waveform: Float[Tensor, "*axes sample"] | None = None,
        spectrum: Complex[Tensor, "*axes freq frame"] | None = None,
        length: int | None = None,
    ) -> Signal:
        """A signal with this separator's STFT, from its waveform or from its spectrum and length in samples.

        Raises:
            InputError: As `Signal`.
        """
        return Signal(self.n_fft, self.hop, waveform=waveform, spectrum=spectrum, length=length)

    def forward(self, mixture: Float[Tensor, "batch channel sample"]) -> Float[Tensor, "batch source channel sample"]:
        """Stems of the mixture's length, whatever that is.

        Raises:
            InputError: If the mixture holds no samples.
        """
        return self.separate(self.signal(mixture)).waveform

    def separate(self, mixture: Signal) -> Signal:
        """Stems `(batch, source, channel, ...)` of a mixture `(batch, channel, ...)`, in time or frequency as asked."""
        spectrum = mixture.spectrum
        scale = _power(spectrum).mean(dim=(1, 2, 3), keepdim=True).sqrt().clamp_min(1e-8)
        scaled = spectrum / scale
        output = self.net(self.read(scaled[:, :, :-1])).float()
        output = torch.cat([output, output[:, :, -1:]], dim=2)
        planes = output.unflatten(1, (len(self.sources), self.audio_channels, self.estimate.planes_out))
        return self.signal(spectrum=self.estimate(planes, scaled) * scale[:, None], length=mixture.length)

    def read(self, spectrum: Complex[Tensor, "batch channel freq frame"]) -> Float[Tensor, "batch plane freq frame"]:
        """What the network sees: compressed magnitudes, or real and imaginary parts with compressed magnitudes."""
        # the square root's slope is infinite at zero, and digital silence is exactly zero
        power = _power(spectrum) + 1e-12
        if self.estimate.planes_in == 1:
            return power ** (self.compression / 2)
        compressed = spectrum * power ** ((self.compression - 1) / 2)
        return torch.view_as_real(compressed).movedim(-1, 2).flatten(1, 2)


def _power(spectrum: Tensor) -> Tensor:
    """Squared magnitudes; a sum over the last axis of `view_as_real` would take five times as long."""
    return spectrum.real.square() + spectrum.imag.square()
