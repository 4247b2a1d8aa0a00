"""Skips: how a level's encoder features meet its decoder features.

To add one, subclass `Skip` here: its name is then a value of `skip` and `skip_at` in every config and sweep.
"""

from collections.abc import Callable
from typing import TypeAlias

import torch
from torch import nn

from unetsep.model.blocks import Features


class Skip(nn.Module):
    """Joins one level's encoder and decoder features.

    Shape:
        - Encoded and decoded: `(batch, channels, freq, frame)` both.
        - Output: `(batch, out_channels, freq, frame)`.

    Args:
        channels: of the encoded features and of the decoded ones, which have as many.
        out_channels: of the joined features; the decoder's block reads so many.
    """

    def __init__(self, channels: int, out_channels: int):
        super().__init__()
        self.channels = channels
        self.out_channels = out_channels


SkipFactory: TypeAlias = Callable[[int], Skip]


class Concat(Skip):
    """Keeps both, side by side (Ronneberger et al. 2015)."""

    def __init__(self, channels: int):
        super().__init__(channels, 2 * channels)

    def forward(self, encoded: Features, decoded: Features) -> Features:
        return torch.cat([encoded, decoded], dim=1)


class Add(Skip):
    """Sums them, which halves the decoder's input (Chaurasia and Culurciello 2017, LinkNet)."""

    def __init__(self, channels: int):
        super().__init__(channels, channels)

    def forward(self, encoded: Features, decoded: Features) -> Features:
        return encoded + decoded


class Multiply(Skip):
    """Multiplies them: the decoder masks the encoder's features (Kim et al. 2021, KUIELab-MDX-Net)."""

    def __init__(self, channels: int):
        super().__init__(channels, channels)

    def forward(self, encoded: Features, decoded: Features) -> Features:
        return encoded * decoded


class Gate(Skip):
    """An attention gate: the decoder says which time-frequency bins of the encoder pass (Oktay et al. 2018).

    Args:
        channels: of the encoded and of the decoded features.
        hidden: channels in which the two are compared, from 1 on; half of `channels` when not given.
    """

    def __init__(self, channels: int, *, hidden: int | None = None):
        super().__init__(channels, 2 * channels)
        hidden = max(1, channels // 2) if hidden is None else hidden
        self.encoded = nn.Conv2d(channels, hidden, 1)
        self.decoded = nn.Conv2d(channels, hidden, 1, bias=False)  # one bias is enough for a sum
        self.opening = nn.Sequential(nn.SiLU(), nn.Conv2d(hidden, 1, 1), nn.Sigmoid())

    def forward(self, encoded: Features, decoded: Features) -> Features:
        opening = self.opening(self.encoded(encoded) + self.decoded(decoded))
        return torch.cat([encoded * opening, decoded], dim=1)


class Drop(Skip):
    """Drops the encoder's features: this level has no skip connection."""

    def __init__(self, channels: int):
        super().__init__(channels, channels)

    def forward(self, encoded: Features, decoded: Features) -> Features:
        return decoded
