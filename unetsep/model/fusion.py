"""Batch normalisations folded into the convolutions before them, for networks that are no longer trained."""

from typing import TypeVar

from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from unetsep.model.blocks import ConvNorm
from unetsep.model.resample import Interpolate, StridedConv, TransposedConv

_RESAMPLING = StridedConv | TransposedConv | Interpolate
Network = TypeVar("Network", bound=nn.Module)


def fused(network: Network) -> Network:
    """The network itself, changed: the same outputs up to rounding, with fewer passes over memory.

    Args:
        network: In evaluation mode; its weights change, so copy it first if it is still needed as it was.
    """
    for module in network.modules():
        if isinstance(module, ConvNorm):
            module[0], module[1] = _pair(module[0], module[1])
        elif isinstance(module, StridedConv | TransposedConv | Interpolate) and isinstance(
            module.finish, nn.Sequential
        ):
            module.conv, module.finish[0] = _pair(module.conv, module.finish[0])
    for module in network.modules():
        if isinstance(module, ConvNorm | _RESAMPLING):
            for part in module.modules():
                if isinstance(part, nn.ReLU | nn.LeakyReLU):
                    part.inplace = True  # on what the convolution has just made
    return network


def _pair(conv: nn.Module, norm: nn.Module) -> tuple[nn.Module, nn.Module]:
    if not (isinstance(norm, nn.BatchNorm2d) and norm.track_running_stats):
        return conv, norm
    transposed = isinstance(conv, nn.ConvTranspose2d)
    return fuse_conv_bn_eval(conv, norm, transpose=transposed), nn.Identity()  # type: ignore[type-var]
