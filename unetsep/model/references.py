"""Three published U-Nets, as settings of `UNet`, with what one varies when making them shallow.

What surrounds each network (STFT, target, loss, optimiser) stands in `sweeps/base/`: `deep_unet.yaml`,
`spectrogram_channels.yaml` and `tfc_tdf.yaml`.
"""

from functools import partial

from torch import nn

from unetsep.model.blocks import ConvBlock, NoBlock
from unetsep.model.frequency import TFCTDF
from unetsep.model.resample import MaxPool, StridedConv, TransposedConv
from unetsep.model.skips import SkipFactory
from unetsep.model.unet import UNet


class DeepUNet(UNet):
    """The deep U-Net of Jansson et al. (2017), "Singing voice separation with deep U-Net convolutional networks".

    Strided 5x5 convolutions with batch normalisation and leaky ReLUs, doubling their channels on the way down;
    transposed ones with ReLUs on the way up, the first three with dropout; concatenated skips; nothing else.

    Args:
        in_channels: channels of the input.
        out_channels: channels of the output, for a sigmoid mask in the paper.
        freqs: frequency bins of the input; 512 in the paper.
        depth: number of strided convolutions; 6 in the paper.
        width: channels after the first; 16 in the paper, so 512 after the sixth.
        dropout: probability on the way up from the three deepest levels.
        skip: how encoder and decoder features are joined; `Concat` when not given.
        skip_at: the skip of single levels, from 1 on: full resolution has none.

    Raises:
        InputError: as `UNet`.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        freqs: int,
        *,
        depth: int = 6,
        width: int = 16,
        dropout: float = 0.5,
        skip: SkipFactory | None = None,
        skip_at: dict[int, SkipFactory] | None = None,
    ):
        up = partial(TransposedConv, kernel=(5, 5))
        super().__init__(
            in_channels,
            out_channels,
            freqs,
            depth=depth,
            width=width,
            entry="stride",
            block=NoBlock,
            down=partial(StridedConv, kernel=(5, 5), activation=partial(nn.LeakyReLU, 0.2)),
            up=up,
            up_at=dict.fromkeys(range(max(0, depth - 3), depth), partial(up, dropout=dropout)),
            skip=skip,
            skip_at=skip_at,
        )


class SpectrogramChannels(UNet):
    """The network of Oh et al. (2018), "Spectrogram-channels U-Net: a source separation model [...]".

    Two 3x3 convolutions a level and max pooling on the way down; transposed 5x5 convolutions with dropout, then one
    3x3 convolution a level on the way up; all with batch normalisation and ReLUs. One output channel per source.

    Args:
        in_channels: channels of the input.
        out_channels: channels of the output, the sources' magnitudes in the paper.
        freqs: frequency bins of the input; 1024 in the paper.
        depth: number of poolings; 4 in the paper.
        width: channels of the outermost level; 32 in the paper, so 512 at the bottom.
        dropout: probability on every way up; 0.4 in the paper.
        skip: how encoder and decoder features are joined; `Concat` when not given.
        skip_at: the skip of single levels.

    Raises:
        InputError: as `UNet`.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        freqs: int,
        *,
        depth: int = 4,
        width: int = 32,
        dropout: float = 0.4,
        skip: SkipFactory | None = None,
        skip_at: dict[int, SkipFactory] | None = None,
    ):
        super().__init__(
            in_channels,
            out_channels,
            freqs,
            depth=depth,
            width=width,
            block=partial(ConvBlock, layers=2),
            decoder=partial(ConvBlock, layers=1),
            down=MaxPool,
            up=partial(TransposedConv, kernel=(5, 5), dropout=dropout),
            skip=skip,
            skip_at=skip_at,
        )


class TFCTDFUNet(UNet):
    """The TFC-TDF U-Net of Choi et al. (2020), "Investigating U-Nets with various intermediate blocks [...]".

    TFC-TDF blocks of one width at every level, resampled by 2x2 convolutions that are normalised but not activated.
    Its "7 blocks" are depth 3: three on the way down, one at the bottom, three on the way up. (The paper's first and
    last convolutions span 2 bins, to turn 1025 bins into 1024; here the separator sees to that and they are 1x1.)

    Args:
        in_channels: channels of the input.
        out_channels: channels of the output, real and imaginary parts in the paper.
        freqs: frequency bins of the input; 1024 in the paper.
        depth: number of resolutions below the first; 3 in the paper's smaller network, 4 in its larger one.
        width: channels of every level; 24 in the paper.
        layers: convolutions in a block; 5 in the paper.
        squeeze: the frequency transforms' hidden layers have `freqs / squeeze` units; 16 in the paper.
        skip: how encoder and decoder features are joined; `Concat` when not given.
        skip_at: the skip of single levels.

    Raises:
        InputError: as `UNet`.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        freqs: int,
        *,
        depth: int = 3,
        width: int = 24,
        layers: int = 5,
        squeeze: int = 16,
        skip: SkipFactory | None = None,
        skip_at: dict[int, SkipFactory] | None = None,
    ):
        super().__init__(
            in_channels,
            out_channels,
            freqs,
            depth=depth,
            width=width,
            growth=1.0,
            entry="project",
            block=partial(TFCTDF, layers=layers, squeeze=squeeze),
            down=partial(StridedConv, activation=nn.Identity),
            up=partial(TransposedConv, activation=nn.Identity),
            skip=skip,
            skip_at=skip_at,
        )
