"""A separator small enough to test with, and its checkpoint."""

from functools import partial
from pathlib import Path

import torch

from unetsep.model import Add, Separator, UNet

SETTINGS = {
    "class_path": "unetsep.model.Separator",
    "init_args": {
        "sources": ["vocals", "rest"],
        "sample_rate": 8000,
        "audio_channels": 1,
        "n_fft": 64,
        "hop": 16,
        "net": {
            "class_path": "unetsep.model.UNet",
            "init_args": {"depth": 1, "width": 2, "skip_at": {0: {"class_path": "unetsep.model.Add"}}},
        },
    },
}


def small_separator() -> Separator:
    torch.manual_seed(0)
    net = partial(UNet, depth=1, width=2, skip_at={0: Add})
    return Separator(("vocals", "rest"), net, sample_rate=8000, audio_channels=1, n_fft=64, hop=16).eval()


def write_checkpoint(path: Path, **changes: object) -> Path:
    """A checkpoint as training writes it: the weights of the whole module, and the separator's settings."""
    weights = {f"separator.{name}": value for name, value in small_separator().state_dict().items()}
    content = {"state_dict": weights | {"loss.window": torch.ones(3)}, "separator": SETTINGS, "epoch": 3}
    path.parent.mkdir(parents=True, exist_ok=True)
    torch.save(content | changes, path)
    return path


def write_decided_checkpoint(path: Path) -> Path:
    """A checkpoint of a separator whose masks differ from bin to bin, as training would have them."""
    generator = torch.Generator().manual_seed(1)
    weights = {
        f"separator.{name}": torch.randn(value.shape, generator=generator) if value.ndim == 4 else value
        for name, value in small_separator().state_dict().items()
    }
    return write_checkpoint(path, state_dict=weights)
