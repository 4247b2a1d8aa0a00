"""Every part that a U-Net can be built of: what holds for each is tested over these lists.

`tests/model/test_unet.py` holds them to the package: a new block, skip or estimate belongs here.
"""

from unetsep.model import (
    TDF,
    TFC,
    TFCTDF,
    Add,
    AttentionBlock,
    ComplexMask,
    Concat,
    ConvBlock,
    DepthwiseBlock,
    Drop,
    Gate,
    Magnitude,
    Multiply,
    NoBlock,
    RecurrentBlock,
    ResidualBlock,
    SigmoidMask,
    SoftmaxMask,
    Spectrum,
)

BLOCKS = [NoBlock, ConvBlock, ResidualBlock, DepthwiseBlock, TFC, TDF, TFCTDF]
BOTTLENECKS = [ConvBlock, RecurrentBlock, AttentionBlock]
SKIPS = [Concat, Add, Multiply, Gate, Drop]
ESTIMATES = [SoftmaxMask, SigmoidMask, ComplexMask, Magnitude, Spectrum]
