"""Songs as sets of stems: where they come from, and how they reach a network."""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from unetsep.data.cache import CachedTrack
    from unetsep.data.chunks import Batch
    from unetsep.data.datamodule import StemsDataModule
    from unetsep.data.remix import Remix
    from unetsep.data.track import Track
    from unetsep.data.tracks import find_tracks

_HOMES = {
    "Batch": "chunks",
    "CachedTrack": "cache",
    "Remix": "remix",
    "StemsDataModule": "datamodule",
    "Track": "track",
    "find_tracks": "tracks",
}

__all__ = ["Batch", "CachedTrack", "Remix", "StemsDataModule", "Track", "find_tracks"]


def __getattr__(name: str) -> Any:
    # Imported on first use: `unetsep data --help` lives in this package and must not wait for torch and Lightning.
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
