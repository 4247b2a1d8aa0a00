"""Blocks: what a U-Net does at one resolution.

A block maps `(batch, in_channels, freq, frame)` to `(batch, out_channels, freq, frame)`. To add one, subclass `Block`
here: its name is then a value of `block`, `bottleneck` and `block_at` in every config and sweep.
"""

import math
from collections.abc import Callable
from itertools import pairwise
from typing import TypeAlias

import torch
from jaxtyping import Float
from torch import Tensor, nn

Features: TypeAlias = Float[Tensor, "batch _ freq frame"]  # channels may change, sizes do not
Extent: TypeAlias = tuple[float, float]  # so many bins and frames; infinite for a whole axis
Norm: TypeAlias = Callable[[int], nn.Module]
Activation: TypeAlias = Callable[[], nn.Module]


class LayerNorm(nn.GroupNorm):
    """Normalises each example over channel, freq and frame (a group norm with one group), then scales each channel."""

    def __init__(self, channels: int):
        super().__init__(1, channels)


class ConvNorm(nn.Sequential):
    """A convolution of unchanged size, its normalisation and its activation."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel: tuple[int, int],
        norm: Norm,
        activation: Activation,
        groups: int = 1,
    ):
        normalisation = norm(out_channels)
        super().__init__(
            nn.Conv2d(
                in_channels,
                out_channels,
                kernel,
                padding="same",
                groups=groups,
                bias=isinstance(normalisation, nn.Identity),  # a normalisation removes any bias before it
            ),
            normalisation,
            activation(),
        )


class Block(nn.Module):
    """A transformation at one resolution, and how far it sees.

    Args:
        in_channels: channels that arrive.
        out_channels: channels asked for; the block's own `out_channels` says what it returns.
        freqs: frequency bins at this resolution, for blocks that mix the whole axis.
    """

    def __init__(self, in_channels: int, out_channels: int, freqs: int):
        super().__init__()
        self.in_channels = in_channels
        self.out_channels = out_channels
        self.freqs = freqs

    def sees(self, extent: Extent) -> Extent:
        """Input bins and frames that so many neighbouring outputs depend on: a chain of convolutions adds up."""
        kernels = [module.kernel_size for module in self.modules() if isinstance(module, nn.Conv2d)]
        return extent[0] + sum(kernel[0] - 1 for kernel in kernels), extent[1] + sum(
            kernel[1] - 1 for kernel in kernels
        )


BlockFactory: TypeAlias = Callable[[int, int, int], Block]


class NoBlock(Block):
    """Nothing: the resampling convolutions do all the work, as in the deep U-Net of Jansson et al. (2017)."""

    def __init__(self, in_channels: int, out_channels: int, freqs: int):
        super().__init__(in_channels, in_channels, freqs)

    def forward(self, features: Features) -> Features:
        return features


class ConvBlock(Block):
    """Plain convolutions, each normalised and activated (Ronneberger et al. 2015).

    Args:
        in_channels: channels that arrive.
        out_channels: channels returned.
        freqs: frequency bins at this resolution.
        kernel: (freq, frame) size of each convolution, odd.
        layers: number of convolutions.
        norm: takes the number of channels; `torch.nn.Identity` for none.
        activation: takes nothing.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        freqs: int,
        *,
        kernel: tuple[int, int] = (3, 3),
        layers: int = 2,
        norm: Norm = nn.BatchNorm2d,
        activation: Activation = nn.ReLU,
    ):
        super().__init__(in_channels, out_channels, freqs)
        widths = [in_channels, *[out_channels] * layers]
        self.layers = nn.Sequential(*(ConvNorm(a, b, kernel, norm, activation) for a, b in pairwise(widths)))

    def forward(self, features: Features) -> Features:
        return self.layers(features)


class ResidualBlock(Block):
    """Convolutions around a shortcut, activated after the sum (He et al. 2016).

    Args:
        in_channels: channels that arrive; where they differ from `out_channels` the shortcut is a 1x1 convolution.
        out_channels: channels returned.
        freqs: frequency bins at this resolution.
        kernel: (freq, frame) size of each convolution, odd.
        layers: number of convolutions the shortcut passes by.
        norm: takes the number of channels; `torch.nn.Identity` for none.
        activation: takes nothing.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        freqs: int,
        *,
        kernel: tuple[int, int] = (3, 3),
        layers: int = 2,
        norm: Norm = nn.BatchNorm2d,
        activation: Activation = nn.ReLU,
    ):
        super().__init__(in_channels, out_channels, freqs)
        widths = [in_channels, *[out_channels] * layers]
        self.layers = nn.Sequential(
            *(ConvNorm(a, b, kernel, norm, activation) for a, b in pairwise(widths[:-1])),
            ConvNorm(widths[-2], widths[-1], kernel, norm, nn.Identity),
        )
        self.shortcut = match_channels(in_channels, out_channels)
        self.activation = activation()

    def forward(self, features: Features) -> Features:
        return self.activation(self.shortcut(features) + self.layers(features))


class DepthwiseBlock(Block):
    """Depthwise-separable convolutions: each channel filtered alone, then channels mixed (Howard et al. 2017).

    Args:
        in_channels: channels that arrive.
        out_channels: channels returned.
        freqs: frequency bins at this resolution.
        kernel: (freq, frame) size of each depthwise convolution, odd.
        layers: number of depthwise-pointwise pairs.
        norm: takes the number of channels; `torch.nn.Identity` for none.
        activation: takes nothing.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        freqs: int,
        *,
        kernel: tuple[int, int] = (5, 5),
        layers: int = 2,
        norm: Norm = nn.BatchNorm2d,
        activation: Activation = nn.ReLU,
    ):
        super().__init__(in_channels, out_channels, freqs)
        self.layers = nn.Sequential()
        for a, b in pairwise([in_channels, *[out_channels] * layers]):
            self.layers.append(ConvNorm(a, a, kernel, norm, activation, groups=a))
            self.layers.append(ConvNorm(a, b, (1, 1), norm, activation))

    def forward(self, features: Features) -> Features:
        return self.layers(features)


class TFC(Block):
    """Time-frequency convolutions, densely connected (Choi et al. 2020): each layer reads all that came before it.

    Args:
        in_channels: channels that arrive.
        out_channels: channels returned, which is also the growth of each layer.
        freqs: frequency bins at this resolution.
        kernel: (freq, frame) size of each convolution, odd.
        layers: number of convolutions; the paper has 5.
        norm: takes the number of channels; `torch.nn.Identity` for none.
        activation: takes nothing.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        freqs: int,
        *,
        kernel: tuple[int, int] = (3, 3),
        layers: int = 5,
        norm: Norm = nn.BatchNorm2d,
        activation: Activation = nn.ReLU,
    ):
        super().__init__(in_channels, out_channels, freqs)
        self.layers = nn.ModuleList(
            ConvNorm(in_channels + k * out_channels, out_channels, kernel, norm, activation) for k in range(layers)
        )

    def forward(self, features: Features) -> Features:
        for layer in self.layers[:-1]:
            features = torch.cat([layer(features), features], dim=1)
        return self.layers[-1](features)


class TDF(Block):
    """A time-distributed fully connected transform (Choi et al. 2020): each frame's whole frequency axis mixed at once.

    It sees harmonics however far apart they are, which convolutions only do when they are deep.

    Args:
        in_channels: channels that arrive; where they differ from `out_channels` a 1x1 convolution comes first.
        out_channels: channels returned.
        freqs: frequency bins at this resolution; the block accepts no other number.
        squeeze: the hidden layer has `freqs / squeeze` units.
        min_units: but at least so many.
        norm: takes the number of channels; `torch.nn.Identity` for none.
        activation: takes nothing.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        freqs: int,
        *,
        squeeze: int = 16,
        min_units: int = 16,
        norm: Norm = nn.BatchNorm2d,
        activation: Activation = nn.ReLU,
    ):
        super().__init__(in_channels, out_channels, freqs)
        units = max(freqs // squeeze, min_units)
        self.project = match_channels(in_channels, out_channels)
        self.squeeze = nn.Linear(freqs, units, bias=False)
        self.between = nn.Sequential(norm(out_channels), activation())
        self.expand = nn.Linear(units, freqs, bias=False)
        self.after = nn.Sequential(norm(out_channels), activation())

    def sees(self, extent: Extent) -> Extent:
        """The whole frequency axis."""
        return math.inf, extent[1]

    def forward(self, features: Features) -> Features:
        frames = self.project(features).transpose(-1, -2)  # frequencies last, where linear layers act
        return self.after(self.expand(self.between(self.squeeze(frames)))).transpose(-1, -2)


class TFCTDF(Block):
    """Dense time-frequency convolutions, then a frequency transform on a shortcut: TFC-TDF (Choi et al. 2020).

    Args:
        in_channels: channels that arrive.
        out_channels: channels returned.
        freqs: frequency bins at this resolution; the block accepts no other number.
        kernel: (freq, frame) size of each convolution, odd.
        layers: number of convolutions; the paper has 5.
        squeeze: the frequency transform's hidden layer has `freqs / squeeze` units.
        min_units: but at least so many.
        norm: takes the number of channels; `torch.nn.Identity` for none.
        activation: takes nothing.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        freqs: int,
        *,
        kernel: tuple[int, int] = (3, 3),
        layers: int = 5,
        squeeze: int = 16,
        min_units: int = 16,
        norm: Norm = nn.BatchNorm2d,
        activation: Activation = nn.ReLU,
    ):
        super().__init__(in_channels, out_channels, freqs)
        self.tfc = TFC(in_channels, out_channels, freqs, kernel=kernel, layers=layers, norm=norm, activation=activation)
        self.tdf = TDF(
            out_channels, out_channels, freqs, squeeze=squeeze, min_units=min_units, norm=norm, activation=activation
        )

    def sees(self, extent: Extent) -> Extent:
        """The whole frequency axis, and the convolutions' frames."""
        return math.inf, self.tfc.sees(extent)[1]

    def forward(self, features: Features) -> Features:
        features = self.tfc(features)
        return features + self.tdf(features)


def match_channels(in_channels: int, out_channels: int) -> nn.Module:
    """A 1x1 convolution where the numbers of channels differ, nothing where they agree."""
    return nn.Identity() if in_channels == out_channels else nn.Conv2d(in_channels, out_channels, 1)
