"""Another sample rate for a waveform."""

import math

import soxr
import torch
from jaxtyping import Float
from torch import Tensor


def resample(waveform: Float[Tensor, "*batch sample"], rate: int, new_rate: int) -> Float[Tensor, "*batch new_sample"]:
    """The same sound at another rate, by the SoX resampler at its high quality.

    torchaudio's resampler filters each output with a kernel as long as the rates' least common multiple asks for: from
    44100 to the 8192 Hz of Jansson et al. (2017) it takes over a hundred times as long, for the same sound.

    Shape:
        - Input: `(*batch, sample)`.
        - Output: `(*batch, new_sample)` with `new_sample = ceil(sample * new_rate / rate)`; at the same rate the input.

    Args:
        waveform: on the CPU, in float32.
        rate: its sample rate in hertz, from 1 on.
        new_rate: that of the result, from 1 on.
    """
    if rate == new_rate:
        return waveform
    length = math.ceil(waveform.shape[-1] * new_rate / rate)
    resampled = torch.zeros(waveform.shape[:-1].numel(), length)
    for channel, new in zip(waveform.reshape(-1, waveform.shape[-1]), resampled, strict=True):
        sound = torch.from_numpy(soxr.resample(channel.numpy(), rate, new_rate, "HQ"))[:length]
        new[: len(sound)] = sound
    return resampled.reshape(*waveform.shape[:-1], length)
