"""Short songs at a low rate, and a separator at another one."""

from functools import partial
from pathlib import Path

import numpy as np
import torch

from unetsep.audio.files import write_audio
from unetsep.model import Separator, UNet

RATE = 4000
SECONDS = 4.25
STEMS = ("vocals", "drums", "bass", "other")
TRACKS = ("one", "three", "two")  # in name order


def song(seed: int, channels: int = 1) -> dict[str, np.ndarray]:
    """Noises of different colours, mono because the filters then are a quarter; some stem is silent for a second."""
    random = np.random.default_rng(seed)
    stems = {}
    for index, stem in enumerate(STEMS):
        noise = random.standard_normal((channels, round(SECONDS * RATE)))
        stems[stem] = 0.1 * sum(np.roll(noise, lag, axis=1) * 0.5**lag for lag in range(index + 1))
    stems[STEMS[seed % 4]][:, RATE : 2 * RATE] = 0.0
    return stems


def estimates_of(seed: int, channels: int = 1) -> dict[str, np.ndarray]:
    """Each stem of a song with some of the next one and some noise in it."""
    truth, random = song(seed, channels), np.random.default_rng(100 + seed)
    return {
        stem: truth[stem] + 0.3 * truth[STEMS[(index + 1) % 4]] + 0.02 * random.standard_normal(truth[stem].shape)
        for index, stem in enumerate(STEMS)
    }


def write(folder: Path, stems: dict[str, np.ndarray], rate: int = RATE) -> None:
    for stem, sound in stems.items():
        write_audio(folder / f"{stem}.wav", sound.astype(np.float32), rate, floating=True)


def write_model(path: Path) -> Path:
    """The checkpoint of an untrained separator, mono at twice the songs' rate, as training writes it."""
    torch.manual_seed(0)
    sizes = {"sources": list(STEMS), "sample_rate": 2 * RATE, "audio_channels": 1, "n_fft": 64, "hop": 16}
    separator = Separator(net=partial(UNet, depth=1, width=2), **{**sizes, "sources": STEMS})
    net = {"class_path": "unetsep.model.UNet", "init_args": {"depth": 1, "width": 2}}
    described = {"class_path": "unetsep.model.Separator", "init_args": {**sizes, "net": net}}
    weights = {f"separator.{name}": value for name, value in separator.state_dict().items()}
    path.parent.mkdir(parents=True, exist_ok=True)
    torch.save({"state_dict": weights, "separator": described}, path)
    return path
