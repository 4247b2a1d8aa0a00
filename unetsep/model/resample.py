"""Resampling: the ways down to half the resolution and back up.

`Down` maps `(batch, in_channels, freq, frame)` to sizes divided by the stride, rounded up; `Up` maps them back to the
size that it is told. Strides are (freq, frame): (2, 1) halves frequencies only, (1, 2) frames only.
"""

import math
from collections.abc import Callable
from typing import TypeAlias

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from unetsep.audio.files import InputError
from unetsep.model.blocks import Activation, Extent, Norm, make_activation, make_norm

Size: TypeAlias = tuple[int, int]
Features: TypeAlias = Float[Tensor, "batch _ _ _"]  # (batch, channel, freq, frame), of which all but the first change


class Down(nn.Module):
    """A way down: `out_channels` says what arrives there; each output reads a patch of the `kernel`'s size.

    Shape:
        - Input: `(batch, in_channels, freq, frame)`.
        - Output: `(batch, out_channels, ceil(freq / stride[0]), ceil(frame / stride[1]))`.

    Args:
        out_channels: channels returned.
        stride: (freq, frame), each from 1 on.
        kernel: (freq, frame) of the patch.
    """

    def __init__(self, out_channels: int, stride: Size, kernel: Size):
        super().__init__()
        self.out_channels = out_channels
        self.stride = stride
        self.kernel = kernel

    def sees(self, extent: Extent) -> Extent:
        """Input bins and frames that so many neighbouring outputs depend on."""
        (freq, frame), (freqs, frames), kernel = self.stride, extent, self.kernel
        return freq * (freqs - 1) + kernel[0], frame * (frames - 1) + kernel[1]

    def fill(self, features: Features) -> Features:
        """Adds zeros at the far ends up to a multiple of the stride, so that nothing is cut off."""
        freqs, frames = features.shape[-2:]
        return F.pad(features, (0, -frames % self.stride[1], 0, -freqs % self.stride[0]))


DownFactory: TypeAlias = Callable[[int, int, Size], Down]


class StridedConv(Down):
    """A strided convolution, normalised and activated (Jansson et al. 2017).

    Args:
        in_channels: channels that arrive.
        out_channels: channels returned.
        stride: (freq, frame).
        kernel: (freq, frame); odd, and at least the stride; the stride itself when not given (Choi et al. 2020).
        norm: takes the number of channels; batch normalisation when not given, `torch.nn.Identity` for none.
        activation: takes nothing; ReLU when not given, `torch.nn.Identity` for none.

    Raises:
        InputError: if the kernel is even and not the stride, or smaller than it.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        stride: Size,
        *,
        kernel: Size | None = None,
        norm: Norm | None = None,
        activation: Activation | None = None,
    ):
        kernel, padding = kernel_and_padding(kernel, stride)
        super().__init__(out_channels, stride, kernel)
        normalisation = make_norm(norm, out_channels)
        bias = isinstance(normalisation, nn.Identity)
        self.conv = nn.Conv2d(in_channels, out_channels, kernel, stride, padding, bias=bias)
        self.finish = nn.Sequential(normalisation, make_activation(activation))

    def forward(self, features: Features) -> Features:
        return self.finish(self.conv(self.fill(features)))


class MaxPool(Down):
    """The largest value of each stride's patch; the next block changes the channels (Ronneberger et al. 2015).

    Args:
        in_channels: channels that arrive, and are returned.
        out_channels: not used.
        stride: (freq, frame).
    """

    def __init__(self, in_channels: int, out_channels: int, stride: Size):
        super().__init__(in_channels, stride, stride)
        self.pool = nn.MaxPool2d(stride, stride)

    def forward(self, features: Features) -> Features:
        return self.pool(self.fill(features))


class Up(nn.Module):
    """A way up: a convolution and its finish; each input is spread over a patch of the `kernel`'s size.

    Shape:
        - Input: `(batch, in_channels, freq, frame)`, and the (freq, frame) to return, at most the stride's multiple.
        - Output: `(batch, out_channels, *size)`.

    Args:
        out_channels: channels returned.
        stride: (freq, frame), each from 1 on.
        kernel: (freq, frame) of the patch.
        conv: what changes the size, or smooths what was repeated.
        finish: what follows it: normalisation, activation, dropout.
    """

    def __init__(self, out_channels: int, stride: Size, kernel: Size, conv: nn.Module, finish: nn.Module):
        super().__init__()
        self.out_channels = out_channels
        self.stride = stride
        self.kernel = kernel
        self.conv = conv
        self.finish: nn.Module = finish

    def sees(self, extent: Extent) -> Extent:
        """Input bins and frames that so many neighbouring outputs depend on, where these lie worst."""
        # as many as there are multiples of the stride among the starts of the patches that meet these outputs
        starts = (n + k - 2 for n, k in zip(extent, self.kernel, strict=True))
        freqs, frames = (n if math.isinf(n) else n // s + 1 for n, s in zip(starts, self.stride, strict=True))
        return freqs, frames

    def linear(self) -> "Up":
        """Itself with a bias in place of its finish: the last layer of a network leaves the range to the estimate."""
        self.finish = nn.Identity()
        self.conv.bias = nn.Parameter(torch.zeros(self.out_channels))
        return self


UpFactory: TypeAlias = Callable[[int, int, Size], Up]


class TransposedConv(Up):
    """A transposed convolution, normalised and activated, with dropout if asked for (Jansson et al. 2017).

    Args:
        in_channels: channels that arrive.
        out_channels: channels returned.
        stride: (freq, frame).
        kernel: (freq, frame); odd, and at least the stride; the stride itself when not given (Choi et al. 2020).
        norm: takes the number of channels; batch normalisation when not given, `torch.nn.Identity` for none.
        activation: takes nothing; ReLU when not given, `torch.nn.Identity` for none.
        dropout: probability in [0, 1) with which each value is zeroed in training.

    Raises:
        InputError: if the kernel is even and not the stride, or smaller than it.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        stride: Size,
        *,
        kernel: Size | None = None,
        norm: Norm | None = None,
        activation: Activation | None = None,
        dropout: float = 0.0,
    ):
        kernel, padding = kernel_and_padding(kernel, stride)
        normalisation = make_norm(norm, out_channels)
        finish = nn.Sequential(normalisation, make_activation(activation), *([nn.Dropout(dropout)] if dropout else []))
        conv = nn.ConvTranspose2d(
            in_channels,
            out_channels,
            kernel,
            stride,
            padding,
            output_padding=(stride[0] + 2 * padding[0] - kernel[0], stride[1] + 2 * padding[1] - kernel[1]),
            bias=isinstance(normalisation, nn.Identity),
        )
        super().__init__(out_channels, stride, kernel, conv, finish)

    def forward(self, features: Features, size: Size) -> Features:
        return self.finish(self.conv(features)[..., : size[0], : size[1]])


class Interpolate(Up):
    """Each value repeated over its patch, then a convolution, which leaves no chequerboard (Odena et al. 2016).

    Args:
        in_channels: channels that arrive.
        out_channels: channels returned.
        stride: (freq, frame).
        kernel: (freq, frame) of the convolution, odd.
        norm: takes the number of channels; batch normalisation when not given, `torch.nn.Identity` for none.
        activation: takes nothing; ReLU when not given, `torch.nn.Identity` for none.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        stride: Size,
        *,
        kernel: Size = (3, 3),
        norm: Norm | None = None,
        activation: Activation | None = None,
    ):
        normalisation = make_norm(norm, out_channels)
        bias = isinstance(normalisation, nn.Identity)
        # after the repetition: before it a convolution would cost less, but could not smooth the edges of the patches
        conv = nn.Conv2d(in_channels, out_channels, kernel, padding="same", bias=bias)
        spread = (kernel[0] + stride[0] - 1, kernel[1] + stride[1] - 1)
        super().__init__(out_channels, stride, spread, conv, nn.Sequential(normalisation, make_activation(activation)))

    def forward(self, features: Features, size: Size) -> Features:
        repeated = features.repeat_interleave(self.stride[0], -2).repeat_interleave(self.stride[1], -1)
        return self.finish(self.conv(repeated[..., : size[0], : size[1]]))


def kernel_and_padding(kernel: Size | None, stride: Size) -> tuple[Size, Size]:
    """The kernel that was asked for, or the stride, and the padding with which sizes divide exactly by the stride.

    Raises:
        InputError: if the kernel is even and not the stride, or smaller than it.
    """
    kernel = stride if kernel is None else kernel
    for k, s in zip(kernel, stride, strict=True):
        if k < s or (k % 2 == 0 and k != s):
            raise InputError(
                f"kernel {kernel} does not fit stride {stride}: on each axis it must be odd and at least the stride, "
                f"or equal to the stride (leave `kernel` out for that)"
            )
    return kernel, ((kernel[0] - stride[0] + 1) // 2, (kernel[1] - stride[1] + 1) // 2)
