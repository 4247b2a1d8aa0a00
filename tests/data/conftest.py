from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile

SOURCES = ("vocals", "drums", "bass", "other")


def noise(*shape: int, seed: int = 0, peak: float = 0.2) -> np.ndarray:
    """White noise on the 16-bit grid, so that a 16-bit file holds it exactly: (channel, sample)."""
    sound = np.random.default_rng(seed).uniform(-peak, peak, shape)
    return np.rint(sound * 32768) / 32768


@pytest.fixture
def write_track() -> Callable[..., dict[str, np.ndarray]]:
    """Writes a track's folder with one sound file per stem, and returns what is in them."""

    def write(
        folder: Path,
        *,
        sources: tuple[str, ...] = SOURCES,
        samples: int = 4000,
        channels: int = 2,
        rate: int = 8000,
        suffix: str = ".wav",
        seed: int = 0,
        mixture: bool = False,
    ) -> dict[str, np.ndarray]:
        folder.mkdir(parents=True)
        stems = {source: noise(channels, samples, seed=100 * seed + i) for i, source in enumerate(sources)}
        if mixture:
            stems["mixture"] = np.sum([stems[source] for source in sources], axis=0)
        for name, stem in stems.items():
            soundfile.write(folder / f"{name}{suffix}", stem.T, rate)
        return stems

    return write


@pytest.fixture
def small_set(tmp_path: Path, write_track: Callable[..., dict[str, np.ndarray]]) -> Path:
    """Three training, two validation and one test track of different lengths around half a second."""
    names = ["train/a", "train/b", "train/c", "valid/d", "valid/e", "test/f"]
    for seed, name in enumerate(names):
        write_track(tmp_path / "set" / name, samples=4000 + 500 * seed, seed=seed)
    return tmp_path / "set"
