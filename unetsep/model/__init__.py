"""The parameterised U-Net: blocks, skips, resampling, estimates, and the separator around them."""

from unetsep.model.blocks import Block, ConvBlock, DepthwiseBlock, LayerNorm, NoBlock, ResidualBlock
from unetsep.model.estimates import ComplexMask, Estimate, Magnitude, SigmoidMask, SoftmaxMask, Spectrum
from unetsep.model.frequency import TDF, TFC, TFCTDF
from unetsep.model.references import DeepUNet, SpectrogramChannels, TFCTDFUNet
from unetsep.model.resample import Down, Interpolate, MaxPool, StridedConv, TransposedConv, Up
from unetsep.model.separator import Separator
from unetsep.model.sequence import AttentionBlock, RecurrentBlock
from unetsep.model.skips import Add, Concat, Drop, Gate, Multiply, Skip
from unetsep.model.unet import Level, UNet

__all__ = [
    "TDF",
    "TFC",
    "TFCTDF",
    "Add",
    "AttentionBlock",
    "Block",
    "ComplexMask",
    "Concat",
    "ConvBlock",
    "DeepUNet",
    "DepthwiseBlock",
    "Down",
    "Drop",
    "Estimate",
    "Gate",
    "Interpolate",
    "LayerNorm",
    "Level",
    "Magnitude",
    "MaxPool",
    "Multiply",
    "NoBlock",
    "RecurrentBlock",
    "ResidualBlock",
    "Separator",
    "SigmoidMask",
    "Skip",
    "SoftmaxMask",
    "SpectrogramChannels",
    "Spectrum",
    "StridedConv",
    "TFCTDFUNet",
    "TransposedConv",
    "UNet",
    "Up",
]
