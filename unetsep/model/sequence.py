"""Blocks that read along time: for a bottleneck that remembers what a shallow U-Net's kernels cannot reach."""

import math

from torch import nn
from torch.nn import functional as F

from unetsep.audio.files import InputError
from unetsep.model.blocks import Block, Extent, Features, match_channels


class SequenceBlock(Block):
    """A block that treats each frequency bin as a sequence of frames, weights shared between bins, on a shortcut.

    Args:
        in_channels: channels that arrive; where they differ from `out_channels` a 1x1 convolution comes first.
        out_channels: channels returned.
        freqs: frequency bins at this resolution.
    """

    def __init__(self, in_channels: int, out_channels: int, freqs: int):
        super().__init__(in_channels, out_channels, freqs)
        self.project = match_channels(in_channels, out_channels)
        self.norm = nn.LayerNorm(out_channels)

    def sees(self, extent: Extent) -> Extent:
        """All frames."""
        return extent[0], math.inf


class RecurrentBlock(SequenceBlock):
    """A bidirectional GRU (Cho et al. 2014) over time in every frequency bin, on a shortcut.

    Args:
        in_channels: channels that arrive.
        out_channels: channels returned.
        freqs: frequency bins at this resolution.
        hidden: units of each direction, from 1 on; as many as `out_channels` when not given.
        layers: number of stacked GRUs, from 1 on.
    """

    def __init__(self, in_channels: int, out_channels: int, freqs: int, *, hidden: int | None = None, layers: int = 1):
        super().__init__(in_channels, out_channels, freqs)
        hidden = out_channels if hidden is None else hidden
        self.gru = nn.GRU(out_channels, hidden, layers, batch_first=True, bidirectional=True)
        self.linear = nn.Linear(2 * hidden, out_channels)

    def forward(self, features: Features) -> Features:
        features = self.project(features)
        batch, _, freqs, _ = features.shape
        sequences = self.norm(features.permute(0, 2, 3, 1).flatten(0, 1))  # (batch * freq, frame, channel)
        read = self.linear(self.gru(sequences)[0])
        return features + read.unflatten(0, (batch, freqs)).permute(0, 3, 1, 2)


class AttentionBlock(SequenceBlock):
    """Multi-head self-attention over time in every frequency bin, on a shortcut (Vaswani et al. 2017).

    It carries no positions: the convolutions around it mark the order of frames.

    Args:
        in_channels: channels that arrive.
        out_channels: channels returned, a multiple of `heads`.
        freqs: frequency bins at this resolution.
        heads: number of attention heads, from 1 on.

    Raises:
        InputError: if `out_channels` is no multiple of `heads`.
    """

    def __init__(self, in_channels: int, out_channels: int, freqs: int, *, heads: int = 4):
        super().__init__(in_channels, out_channels, freqs)
        if out_channels % heads:
            raise InputError(
                f"AttentionBlock got {out_channels} channels and {heads} heads: "
                f"the channels must be a multiple of the heads, so choose other `heads` or another `width`"
            )
        self.heads = heads
        self.queries_keys_values = nn.Linear(out_channels, 3 * out_channels, bias=False)  # a key's bias would cancel
        self.linear = nn.Linear(out_channels, out_channels)

    def forward(self, features: Features) -> Features:
        features = self.project(features)
        sequences = self.norm(features.permute(0, 2, 3, 1))  # (batch, freq, frame, channel)
        heads = self.queries_keys_values(sequences).unflatten(-1, (3 * self.heads, -1)).transpose(-2, -3)
        attended = F.scaled_dot_product_attention(*heads.chunk(3, dim=-3))
        read = self.linear(attended.transpose(-2, -3).flatten(-2))
        return features + read.permute(0, 3, 1, 2)
