"""Other people's separators at work on one sound file, with random weights: `python incumbents.py Open-Unmix SONG`.

Each as its authors run it: Open-Unmix without Wiener iterations, on the whole song at once; torchaudio's Hybrid Demucs
and Moises-Light (here the paper's smaller one) in segments of 10 s and 6 s that overlap by a quarter. "STFT and masks"
is the floor for all of these: one forward and eight inverse transforms with the products between, as plain torch.
`python incumbents.py compiled MODEL SONG` is our own, in float32, through `torch.compile`.
"""

import sys
from collections.abc import Callable

import soundfile
import torch
from torch import Tensor, nn

from unetsep.audio.overlap import overlap_add
from unetsep.audio.stft import istft, stft

RATE = 44_100
SOURCES = ["vocals", "drums", "bass", "other"]


def open_unmix() -> Callable[[Tensor], Tensor]:
    from openunmix.model import OpenUnmix, Separator

    networks = {name: OpenUnmix(nb_bins=2049, max_bin=1487) for name in SOURCES}
    separator = Separator(networks, niter=0, residual=False).eval()
    return lambda mixture: separator(mixture[None])[0]


def hybrid_demucs() -> Callable[[Tensor], Tensor]:
    from torchaudio.models import hdemucs_high

    return segmented(hdemucs_high(SOURCES), 10.0)


def moises_light() -> Callable[[Tensor], Tensor]:
    from moises_light import MoisesLight, configs

    return segmented(MoisesLight(**configs["paper_small"]), 6.0)


def segmented(network: nn.Module, seconds: float) -> Callable[[Tensor], Tensor]:
    network.eval()
    return lambda mixture: overlap_add(network, mixture, round(seconds * RATE), overlap=0.25, batch_size=1)


def stft_and_masks() -> Callable[[Tensor], Tensor]:
    def separate(mixture: Tensor) -> Tensor:
        spectrum = stft(mixture, 4096, 1024)
        mask = torch.rand(len(SOURCES), 1, *spectrum.shape[1:])
        return istft(mask * spectrum, 4096, 1024, mixture.shape[-1])

    return separate


INCUMBENTS: dict[str, Callable[[], Callable[[Tensor], Tensor]]] = {
    "Open-Unmix": open_unmix,
    "Hybrid Demucs": hybrid_demucs,
    "Moises-Light": moises_light,
    "STFT and masks": stft_and_masks,
}


def compiled(model: str) -> Callable[[Tensor], object]:
    from unetsep.deploy.separator import Separator

    separator = Separator.load(model, device="cpu", precision="float32")
    separator.model.net.compile(dynamic=False)  # lengths are few: the first segments, those between, the last
    return lambda mixture: separator.separate(mixture, RATE)


if __name__ == "__main__":
    name, *model, song = sys.argv[1:]
    with torch.inference_mode():
        separate = compiled(*model) if model else INCUMBENTS[name]()
        samples, _ = soundfile.read(song, dtype="float32", always_2d=True)
        separate(torch.from_numpy(samples.T.copy()))
