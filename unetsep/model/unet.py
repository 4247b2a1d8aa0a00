"""The U-Net: levels nested around a bottleneck, each of them free to differ from the others."""

import math
from collections.abc import Iterable, Mapping
from typing import Any, Literal

import torch
from torch import nn
from torch.nn import functional as F

from unetsep.audio.files import InputError
from unetsep.model.blocks import Block, BlockFactory, ConvBlock, ConvNorm, Extent, Features
from unetsep.model.resample import Down, DownFactory, Size, StridedConv, TransposedConv, Up, UpFactory
from unetsep.model.resample import Features as Resampled
from unetsep.model.skips import Concat, Skip, SkipFactory

DEEPEST = 7
"""At 7 levels a stride of 2 has shrunk 2048 bins to 16, and a growth of 2 has made 16 channels 2048."""


class Level(nn.Module):
    """One resolution: encode, go deeper and come back, join, decode.

    Shape:
        - Input: `(batch, encode.in_channels, freq, frame)`.
        - Output: `(batch, decode.out_channels, freq, frame)`.

    Args:
        encode: the encoder's block.
        down: the way to the next lower resolution.
        inner: what is done there: the next level, or the bottleneck.
        up: the way back.
        skip: joins encoded and decoded features.
        decode: the decoder's block.
    """

    out_channels: int

    def __init__(self, encode: Block, down: Down, inner: "Block | Level", up: Up, skip: Skip, decode: Block):
        super().__init__()
        self.encode = encode
        self.down = down
        self.inner = inner
        self.up = up
        self.skip = skip
        self.decode = decode
        self.out_channels = decode.out_channels

    def sees(self, extent: Extent) -> Extent:
        """Input bins and frames that so many neighbouring outputs depend on, through the bottleneck."""
        for part in (self.decode, self.up, self.inner, self.down, self.encode):
            extent = part.sees(extent)
        return extent

    def forward(self, features: Features) -> Features:
        encoded = self.encode(features)
        decoded = self.up(self.inner(self.down(encoded)), encoded.shape[-2:])
        return self.decode(self.skip(encoded, decoded))


class UNet(nn.Module):
    """A U-Net over spectrograms: `(batch, in_channels, freq, frame)` to `(batch, out_channels, freq, frame)`.

    Every setting holds for all levels; `block_at`, `skip_at`, `stride_at` and `up_at` say where one level differs.
    Level 0 is the outermost. `print(unet)` shows the U. Shifting the input by `frame_stride` frames shifts the output.

    Args:
        in_channels: channels of the input.
        out_channels: channels of the output, which has no activation.
        freqs: frequency bins of the input, whose number of frames is free.
        depth: how often the resolution is reduced, 1 to 7.
        width: channels of the outermost blocks, from 1 on.
        growth: factor by which channels grow from level to level, above 0.
        stride: (freq, frame) reduction between levels; (2, 1) keeps every frame, (1, 2) every bin.
        subbands: folds so many neighbouring bins, 1 to `freqs`, into channels before the first level and back after the
            last, space to depth (Shi et al. 2016): full resolution is bound by memory, so this is the cheapest speed
            there is.
        entry: what reads the spectrogram and writes the estimate at full resolution. "block": the outermost blocks
            themselves, and a 1x1 convolution out (Ronneberger et al. 2015). "project": a 1x1 convolution in, too (Choi
            et al. 2020). "stride": the first way down and the last way up, so that there are no blocks and no skip at
            full resolution (Jansson et al. 2017).
        block: the encoders' block, and the decoders' and the bottleneck's unless given; `ConvBlock` when not given.
        decoder: the decoders' block; as `block` when not given.
        bottleneck: the innermost block; as `block` when not given.
        down: the way to the next lower resolution; `StridedConv` when not given.
        up: the way back; `TransposedConv` when not given.
        skip: how encoder and decoder features are joined; `Concat` when not given.
        block_at: encoder's and decoder's block of single levels.
        skip_at: the skip of single levels.
        stride_at: the stride between a level and the next lower one.
        up_at: the way back to single levels.

    Raises:
        InputError: if `depth`, `width`, `growth` or `subbands` is out of range, or an exception names a level that
            there is not.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        freqs: int,
        *,
        depth: int = 4,
        width: int = 16,
        growth: float = 2.0,
        stride: Size = (2, 2),
        subbands: int = 1,
        entry: Literal["block", "project", "stride"] = "block",
        block: BlockFactory | None = None,
        decoder: BlockFactory | None = None,
        bottleneck: BlockFactory | None = None,
        down: DownFactory | None = None,
        up: UpFactory | None = None,
        skip: SkipFactory | None = None,
        block_at: dict[int, BlockFactory] | None = None,
        skip_at: dict[int, SkipFactory] | None = None,
        stride_at: dict[int, Size] | None = None,
        up_at: dict[int, UpFactory] | None = None,
    ):
        super().__init__()
        # defaults stand here and not above: a config that names another class would inherit the default's arguments
        block, down, up, skip = block or ConvBlock, down or StridedConv, up or TransposedConv, skip or Concat
        if not 1 <= depth <= DEEPEST:
            raise InputError(f"depth is {depth}: use 1 to {DEEPEST}")
        if width < 1 or growth <= 0:
            raise InputError(f"width is {width} and growth {growth}: use a width of 1 or more and a growth above 0")
        if not 1 <= subbands <= freqs:
            raise InputError(f"subbands is {subbands}: use 1 to {freqs}, the number of frequency bins")
        self.in_channels = in_channels
        self.freqs = freqs
        self.depth = depth
        self.subbands = subbands
        self.entry = entry
        strides = by_level("stride_at", stride, stride_at, range(depth))
        self.frame_stride = math.prod(frames for _, frames in strides.values())
        outermost = 1 if entry == "stride" else 0
        ups = by_level("up_at", up, up_at, range(depth))
        skips = by_level("skip_at", skip, skip_at, range(outermost, depth))
        encoders = by_level("block_at", block, block_at, range(outermost, depth))
        decoders = by_level("block_at", decoder or block, block_at, range(outermost, depth))
        widths = [max(1, round(width * growth ** (level - outermost))) for level in range(depth + 1)]
        heights = [math.ceil(freqs / subbands)]
        for level in range(depth):
            heights.append(math.ceil(heights[-1] / strides[level][0]))

        def build(level: int, arriving: int) -> Block | Level:
            if level == depth:
                return (bottleneck or block)(arriving, widths[level], heights[level])
            encode = encoders[level](arriving, widths[level], heights[level])
            way_down = down(encode.out_channels, widths[level + 1], strides[level])
            inner = build(level + 1, way_down.out_channels)
            way_up = ups[level](inner.out_channels, encode.out_channels, strides[level])
            joined = skips[level](encode.out_channels)
            decode = decoders[level](joined.out_channels, widths[level], heights[level])
            return Level(encode, way_down, inner, way_up, joined, decode)

        folded_in, folded_out = in_channels * subbands, out_channels * subbands
        self.enter: nn.Module
        self.exit: nn.Module
        if entry == "stride":
            enter = down(folded_in, width, strides[0])
            self.enter, self.levels = enter, build(1, enter.out_channels)
            self.exit = ups[0](self.levels.out_channels, folded_out, strides[0]).linear()
        else:
            project = entry == "project"
            self.enter = ConvNorm(folded_in, width, (1, 1), nn.BatchNorm2d, nn.ReLU) if project else nn.Identity()
            self.levels = build(0, width if project else folded_in)
            self.exit = nn.Conv2d(self.levels.out_channels, folded_out, 1)

    def forward(self, features: Features) -> Features:
        freqs = features.shape[-2]
        folded = self._fold(features)
        if folded.is_cuda:  # where tensor cores take channels last; on CPUs it gains as often as it loses
            folded = folded.contiguous(memory_format=torch.channels_last)
        inner = self.levels(self.enter(folded))
        out = self.exit(inner, folded.shape[-2:]) if isinstance(self.exit, Up) else self.exit(inner)
        return self._unfold(out)[..., :freqs, :]

    def _fold(self, features: Features) -> Resampled:
        """(batch, channel, freq, frame) -> (batch, channel * subbands, freq / subbands rounded up, frame)."""
        if self.subbands == 1:
            return features
        missing = -features.shape[-2] % self.subbands
        filled = F.pad(features, (0, 0, 0, missing)) if missing else features
        batch, channels, _, frames = filled.shape  # named, since ONNX would take an unflattened size for fixed
        subbands = filled.reshape(batch, channels, -1, self.subbands, frames)
        if filled.stride(2) == 1:  # as a transform leaves them: memory that stays in order is copied fastest
            return subbands.permute(0, 2, 4, 1, 3).flatten(3).permute(0, 3, 1, 2)
        return subbands.transpose(2, 3).reshape(batch, channels * self.subbands, -1, frames)

    def _unfold(self, features: Resampled) -> Resampled:
        if self.subbands == 1:
            return features
        batch, _, freqs, frames = features.shape
        subbands = features.reshape(batch, -1, self.subbands, freqs, frames)
        if features.is_contiguous(memory_format=torch.channels_last):
            rows = subbands.permute(0, 1, 4, 3, 2).reshape(batch, -1, frames, freqs * self.subbands)
            return rows.transpose(2, 3)
        return subbands.transpose(2, 3).reshape(batch, -1, freqs * self.subbands, frames)

    def _repr_svg_(self) -> str:
        """The network drawn as a U, which notebooks show."""
        from unetsep.model.drawing import draw
        from unetsep.model.outline import outline

        return draw(outline(self))

    def _repr_html_(self) -> str:
        """The same, which notebooks prefer: set into the page, it takes the page's colours, in the dark as well."""
        return self._repr_svg_()

    def receptive_field(self) -> Extent:
        """Bins and frames of the input that one output bin may depend on; infinite where it is a whole axis."""
        if any(isinstance(part, nn.GroupNorm | nn.InstanceNorm2d) for part in self.modules()):
            return math.inf, math.inf  # normalised by the statistics of both axes, also when trained
        extent: Extent = (1.0, 1.0)
        for part in (self.exit, self.levels, self.enter):
            if isinstance(part, Level | Block | Down | Up):  # and not the 1x1 convolutions around the levels
                extent = part.sees(extent)
        return self.subbands * extent[0], extent[1]


def by_level(name: str, default: Any, exceptions: Mapping[int, Any] | None, levels: Iterable[int]) -> dict[int, Any]:
    """One value for each level: the default, but for the exceptions.

    Raises:
        InputError: if an exception names none of the levels; the line begins with `name`.
    """
    values = dict.fromkeys(levels, default)
    for level, value in (exceptions or {}).items():
        if int(level) not in values:
            raise InputError(f"{name} names level {level}, but the levels are {', '.join(map(str, values)) or 'none'}")
        values[int(level)] = value
    return values
