"""Music small enough to train on in a test, and the config of a training on it."""

import signal
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from unetsep.audio.files import write_audio

RATE = 8000
SECONDS = 2.5

# A shell that starts a job in the background has it ignore Ctrl-C, and its children inherit that; the tests send it.
signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def music(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three training, two validation and a test track in mono at 8 kHz; the second validation track has no `other`."""
    root = tmp_path_factory.mktemp("music")
    time = np.arange(round(SECONDS * RATE)) / RATE
    for number, folder in enumerate(["train/one", "train/two", "train/three", "valid/four", "valid/five", "test/six"]):
        random = np.random.default_rng(number)
        pitch = 110 * 2 ** (number / 7)
        stems = {
            "vocals": np.sin(2 * np.pi * 4 * pitch * time + 3 * np.sin(2 * np.pi * 5 * time)) * (time < 1.8),
            "drums": random.standard_normal(len(time)) * np.exp(-20 * (time % 0.5)),
            "bass": np.sin(2 * np.pi * pitch / 2 * time),
            "other": sum(np.sin(2 * np.pi * pitch * ratio * time) for ratio in (2, 2.5, 3)) / 2,
        }
        for name, stem in stems.items():
            silent = folder == "valid/five" and name == "other"
            write_audio(root / folder / f"{name}.wav", 0.2 * stem[None] * (not silent), RATE)
    return root


@pytest.fixture
def config(music: Path, tmp_path: Path) -> dict[str, Any]:
    """Three epochs of three steps of a separator with dropout, in the folder `run`."""
    net = {"class_path": "DeepUNet", "init_args": {"depth": 2, "width": 4}}
    separator = {"audio_channels": 1, "sample_rate": RATE, "n_fft": 256, "hop": 64, "net": net}
    return {
        "seed_everything": 3,
        "out": str(tmp_path / "run"),
        "wandb": "disabled",
        "model": {
            "separator": {"class_path": "Separator", "init_args": separator},
            "optimizer": {"class_path": "Adam", "init_args": {"lr": 0.01}},
            "segment_seconds": 1.0,
        },
        "data": {
            "root": str(music),
            "cache": str(tmp_path / "cache"),
            "segment_seconds": 0.5,
            "batch_size": 2,
            "batches_per_epoch": 3,
            "remix": {"class_path": "Remix"},
        },
        "trainer": {"max_epochs": 3, "log_every_n_steps": 1, "enable_progress_bar": False, "accelerator": "cpu"},
        "listening": {"tracks": 0},
    }
