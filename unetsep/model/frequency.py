"""The blocks of the TFC-TDF U-Net: dense convolutions, and transforms of a frame's whole frequency axis."""

import math

import torch
from torch import nn

from unetsep.model.blocks import (
    Activation,
    Block,
    ConvNorm,
    Extent,
    Features,
    Norm,
    make_activation,
    make_norm,
    match_channels,
)


class TFC(Block):
    """Time-frequency convolutions, densely connected (Choi et al. 2020): each layer reads all that came before it.

    Args:
        in_channels: channels that arrive.
        out_channels: channels returned, which is also the growth of each layer.
        freqs: frequency bins at this resolution.
        kernel: (freq, frame) size of each convolution, odd.
        layers: number of convolutions, from 1 on; the paper has 5.
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
        layers: int = 5,
        norm: Norm | None = None,
        activation: Activation | None = None,
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
        squeeze: the hidden layer has `freqs / squeeze` units, rounded down; from 1 on.
        min_units: but at least so many.
        norm: takes the number of channels; batch normalisation when not given, `torch.nn.Identity` for none.
        activation: takes nothing; ReLU when not given.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        freqs: int,
        *,
        squeeze: int = 16,
        min_units: int = 16,
        norm: Norm | None = None,
        activation: Activation | None = None,
    ):
        super().__init__(in_channels, out_channels, freqs)
        units = max(freqs // squeeze, min_units)
        self.project = match_channels(in_channels, out_channels)
        self.squeeze = nn.Linear(freqs, units, bias=False)
        self.between = nn.Sequential(make_norm(norm, out_channels), make_activation(activation))
        self.expand = nn.Linear(units, freqs, bias=False)
        self.after = nn.Sequential(make_norm(norm, out_channels), make_activation(activation))

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
        layers: number of convolutions, from 1 on; the paper has 5.
        squeeze: the frequency transform's hidden layer has `freqs / squeeze` units, rounded down; from 1 on.
        min_units: but at least so many.
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
        layers: int = 5,
        squeeze: int = 16,
        min_units: int = 16,
        norm: Norm | None = None,
        activation: Activation | None = None,
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
