"""Other people's separators for the benchmarks: Open-Unmix (Stöter et al. 2019) and Hybrid Demucs (Défossez 2021).

Both are the authors' own code, from `openunmix` (pip install 'unetsep[bench]') and torchaudio. As a benchmark's peer
each trains as its own script does; inside our `Separator`, `open_unmix.yaml` names the adapter `OpenUnmixNet`.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable

import torch
import torch.nn.functional as F
from openunmix.model import OpenUnmix
from openunmix.transforms import ComplexNorm, make_filterbanks
from torch import Tensor, nn
from torchaudio.models import hdemucs_high

from unetsep.data.track import SOURCES

RATE = 44_100
MAX_BIN = 1487  # Open-Unmix reads nothing above 16 kHz: bins of 4096 samples at 44.1 kHz


class Peer(nn.Module, ABC):
    """A separator with its own loss; `forward` takes stems `(batch, source, channel, sample)` and returns the loss."""

    @abstractmethod
    def optimizer(self) -> torch.optim.Optimizer:
        """The one it was published with."""


class OpenUnmixPeer(Peer):
    """Open-Unmix as its `train.py` has it: a network a stem, squared distance of magnitudes, Adam; no inverse STFT."""

    def __init__(self) -> None:
        super().__init__()
        self.networks = nn.ModuleList(OpenUnmix(nb_bins=2049, max_bin=MAX_BIN) for _ in SOURCES)
        self.magnitudes = nn.Sequential(make_filterbanks()[0], ComplexNorm())

    def forward(self, stems: Tensor) -> Tensor:
        mixture = self.magnitudes(stems.sum(1))
        pairs = zip(self.networks, stems.unbind(1), strict=True)
        return torch.stack([F.mse_loss(net(mixture), self.magnitudes(stem.contiguous())) for net, stem in pairs]).sum()

    def optimizer(self) -> torch.optim.Optimizer:
        return torch.optim.Adam(self.networks.parameters(), lr=1e-3, weight_decay=1e-5)


class HybridDemucsPeer(Peer):
    """torchaudio's `hdemucs_high`: all stems at once, L1 distance of waveforms, Adam."""

    def __init__(self) -> None:
        super().__init__()
        self.network = hdemucs_high(list(SOURCES))

    def forward(self, stems: Tensor) -> Tensor:
        return F.l1_loss(self.network(stems.sum(1)), stems)

    def optimizer(self) -> torch.optim.Optimizer:
        return torch.optim.Adam(self.parameters(), lr=3e-4)


PEERS: dict[str, Callable[[], Peer]] = {"Open-Unmix, 4 networks": OpenUnmixPeer, "hdemucs_high": HybridDemucsPeer}


class OpenUnmixNet(nn.Module):
    """Open-Unmix's networks, one a stem, as a net of our `Separator` (with `estimate: Magnitude`, `compression: 1`).

    Open-Unmix standardises each bin by its mean and deviation over the training set; here by those of the first batch
    it is trained on. Both are trained on from there.

    Args:
        in_channels: audio channels, one magnitude each.
        out_channels: stems times audio channels.
        bins: frequency bins.
        hidden_size: of the LSTMs.
        max_bin: the network reads the bins below this one; it writes them all.
    """

    depth = 1  # every frame is one vector: there are no resolutions

    def __init__(
        self, in_channels: int, out_channels: int, bins: int, *, hidden_size: int = 512, max_bin: int = MAX_BIN
    ) -> None:
        super().__init__()
        self.bins = bins
        self.standardised = False
        self.networks = nn.ModuleList(
            OpenUnmix(bins, in_channels, hidden_size, max_bin=min(max_bin, bins))
            for _ in range(out_channels // in_channels)
        )

    def forward(self, magnitudes: Tensor) -> Tensor:
        if self.training and not self.standardised:
            self._standardise(magnitudes.float())
        return torch.cat([net(magnitudes) for net in self.networks], dim=1)

    @torch.no_grad()
    def _standardise(self, magnitudes: Tensor) -> None:
        deviation, mean = torch.std_mean(magnitudes.mean(1), dim=(0, 2))
        deviation = deviation.clamp_min(1e-4 * deviation.max())  # as Open-Unmix's own statistics do
        for net in self.networks:
            net.input_mean.copy_(-mean[: net.nb_bins])
            net.input_scale.copy_(1 / deviation[: net.nb_bins])
        self.standardised = True

    def receptive_field(self) -> tuple[float, float]:
        return self.bins, float("inf")
