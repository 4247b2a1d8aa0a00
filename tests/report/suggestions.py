"""What a sweep may suggest, and the networks that follow from it."""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch

from unetsep.model import (
    TFCTDF,
    Add,
    Block,
    Concat,
    ConvBlock,
    DeepUNet,
    Drop,
    NoBlock,
    ResidualBlock,
    SpectrogramChannels,
    TFCTDFUNet,
    UNet,
)

NET = "model.separator.init_args.net.init_args."
LR = "model.optimizer.init_args.lr"

_BLOCKS: dict[str, type[Block]] = {
    "NoBlock": NoBlock,
    "ConvBlock": ConvBlock,
    "ResidualBlock": ResidualBlock,
    "TFCTDF": TFCTDF,
}
_SKIPS = {"Concat": Concat, "Add": Add, "Drop": Drop}
PUBLISHED: dict[str, tuple[type[UNet], int]] = {
    "base/deep_unet.yaml": (DeepUNet, 7),
    "base/spectrogram_channels.yaml": (SpectrogramChannels, 6),
    "base/tfc_tdf.yaml": (TFCTDFUNet, 5),
}


def suggestion(random: np.random.Generator) -> dict[str, Any]:
    """Settings as the sampler suggests them: what stands under a choice, and a level's skip, exist only with it."""
    depth, block = int(random.integers(1, 7)), str(random.choice(list(_BLOCKS)))
    params: dict[str, Any] = {
        NET + "depth": depth,
        NET + "width": int(random.choice([8, 16, 24])),
        NET + "growth": float(random.choice([1.0, 1.5, 2.0])),
        NET + "stride": [[2, 2], [2, 1]][random.integers(2)],
        NET + "block": block,
    }
    if block in ("ConvBlock", "TFCTDF"):
        params[NET + "block.init_args.layers"] = int(random.integers(1, 3))
    if block == "TFCTDF":
        params[NET + "block.init_args.squeeze"] = int(random.choice([4, 16]))
    params |= {f"{NET}skip_at.{level}": str(random.choice(list(_SKIPS))) for level in range(1, depth)}
    return params | {LR: float(10 ** random.uniform(math.log10(2e-3), -2))}


def network_of(params: Mapping[str, Any]) -> UNet:
    """The network that the settings describe, without weights."""
    block = _BLOCKS[params[NET + "block"]]
    more = {key.rpartition(".")[2]: value for key, value in params.items() if ".block.init_args." in key}

    def build(in_channels: int, out_channels: int, freqs: int) -> Block:
        return block(in_channels, out_channels, freqs, **more)

    skips = {
        int(key.rpartition(".")[2]): _SKIPS[value] for key, value in params.items() if key.startswith(NET + "skip_at.")
    }
    with torch.device("meta"):
        return UNet(
            2,
            8,
            513,
            depth=params[NET + "depth"],
            width=params[NET + "width"],
            growth=params[NET + "growth"],
            stride=tuple(params[NET + "stride"]),
            entry="stride",
            block=build,
            skip_at=skips,
        )


def published(base: str, depth: int) -> UNet:
    """One of the published networks, without weights."""
    with torch.device("meta"):
        return PUBLISHED[base][0](2, 8, 512, depth=depth)


def cost_of(net: UNet, depth: int, width: int) -> dict[str, float]:
    """The cost card: its parameters are the network's, all else grows as it would."""
    return {
        "params": float(sum(weights.numel() for weights in net.parameters())),
        "gmacs_per_second": 1e-4 * width**1.4 * (1 + 0.6 * depth),
        "depth": float(depth),
        "receptive_field_seconds": 0.1 * 2**depth,
        "receptive_field_hz": 40.0 * 2**depth,
        "peak_memory_mb": 16.0 + depth,
        "rtf_cpu": 0.002 * (1 + depth) * width / 8,
    }
