"""Blocks: what a U-Net does at one resolution.

A block maps `(batch, in_channels, freq, frame)` to `(batch, out_channels, freq, frame)`. To add one, subclass `Block`
here: its name is then a value of `block`, `bottleneck` and `block_at` in every config and sweep.
"""

from collections.abc import Callable
from itertools import pairwise
from typing import TypeAlias

from jaxtyping import Float
from torch import Tensor, nn

Features: TypeAlias = Float[Tensor, "batch _ freq frame"]  # channels may change, sizes do not
Extent: TypeAlias = tuple[float, float]  # so many bins and frames; infinite for a whole axis
Norm: TypeAlias = Callable[[int], nn.Module]
Activation: TypeAlias = Callable[[], nn.Module]


class LayerNorm(nn.GroupNorm):
    """Normalises each example over channel, freq and frame (Ba et al. 2016), then scales each channel.

    It is a group norm with one group (Wu and He 2018).

    Args:
        channels: of what is normalised.
    """

    def __init__(self, channels: int):
        super().__init__(1, channels)


class ConvNorm(nn.Sequential):
    """A convolution of unchanged size, its normalisation and its activation.

    Args:
        in_channels: channels that arrive.
        out_channels: channels returned.
        kernel: (freq, frame) size, odd.
        norm: takes the number of channels; None for batch normalisation, `torch.nn.Identity` for none.
        activation: takes nothing; None for ReLU.
        groups: into which the channels are divided, each convolved by itself.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel: tuple[int, int],
        norm: Norm | None,
        activation: Activation | None,
        groups: int = 1,
    ):
        normalisation = make_norm(norm, out_channels)
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
            make_activation(activation),
        )


class Block(nn.Module):
    """A transformation at one resolution, and how far it sees.

    Shape:
        - Input: `(batch, in_channels, freq, frame)`, any number of frames.
        - Output: `(batch, out_channels, freq, frame)`.

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
    """Nothing: the resampling convolutions do all the work, as in the deep U-Net of Jansson et al. (2017).

    Args:
        in_channels: channels that arrive, and are returned.
        out_channels: not used.
        freqs: not used.
    """

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
        layers: number of convolutions, from 1 on.
        norm: takes the number of channels; batch normalisation when not given, `torch.nn.Identity` for none.
        activation: takes nothing; ReLU when not given.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        freqs: int,
        *,
        kernel: tuple[int, int] = (3, 3),
        layers: int = 2,
        norm: Norm | None = None,
        activation: Activation | None = None,
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
        layers: number of convolutions the shortcut passes by, from 1 on.
        norm: takes the number of channels; batch normalisation when not given, `torch.nn.Identity` for none.
        activation: takes nothing; ReLU when not given.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        freqs: int,
        *,
        kernel: tuple[int, int] = (3, 3),
        layers: int = 2,
        norm: Norm | None = None,
        activation: Activation | None = None,
    ):
        super().__init__(in_channels, out_channels, freqs)
        widths = [in_channels, *[out_channels] * layers]
        self.layers = nn.Sequential(
            *(ConvNorm(a, b, kernel, norm, activation) for a, b in pairwise(widths[:-1])),
            ConvNorm(widths[-2], widths[-1], kernel, norm, nn.Identity),
        )
        self.shortcut = match_channels(in_channels, out_channels)
        self.activation = make_activation(activation)

    def forward(self, features: Features) -> Features:
        return self.activation(self.shortcut(features) + self.layers(features))


class DepthwiseBlock(Block):
    """Depthwise-separable convolutions: each channel filtered alone, then channels mixed (Howard et al. 2017).

    Args:
        in_channels: channels that arrive.
        out_channels: channels returned.
        freqs: frequency bins at this resolution.
        kernel: (freq, frame) size of each depthwise convolution, odd.
        layers: number of depthwise-pointwise pairs, from 1 on.
        norm: takes the number of channels; batch normalisation when not given, `torch.nn.Identity` for none.
        activation: takes nothing; ReLU when not given.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        freqs: int,
        *,
        kernel: tuple[int, int] = (5, 5),
        layers: int = 2,
        norm: Norm | None = None,
        activation: Activation | None = None,
    ):
        super().__init__(in_channels, out_channels, freqs)
        self.layers = nn.Sequential()
        for a, b in pairwise([in_channels, *[out_channels] * layers]):
            self.layers.append(ConvNorm(a, a, kernel, norm, activation, groups=a))
            self.layers.append(ConvNorm(a, b, (1, 1), norm, activation))

    def forward(self, features: Features) -> Features:
        return self.layers(features)


def match_channels(in_channels: int, out_channels: int) -> nn.Module:
    """A 1x1 convolution where the numbers of channels differ, nothing where they agree."""
    return nn.Identity() if in_channels == out_channels else nn.Conv2d(in_channels, out_channels, 1)


def make_norm(norm: Norm | None, channels: int) -> nn.Module:
    """The normalisation, batch normalisation when none is given.

    The default stands here and not in the signatures: a config that names another class would inherit its arguments,
    and an instance normalisation would keep running statistics.
    """
    return (norm or nn.BatchNorm2d)(channels)


def make_activation(activation: Activation | None) -> nn.Module:
    """The activation, a ReLU when none is given."""
    return (activation or nn.ReLU)()
