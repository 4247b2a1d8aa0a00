"""Checkpoints that a verb begins from: whatever is wrong with one is said in one line, before anything is written."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from unetsep.audio.files import InputError
from unetsep.deploy.weights import load_separator

_TO_GO_ON = ("epoch", "global_step", "loops", "optimizer_states", "lr_schedulers")


def epoch_to_go_on_from(path: Path, separator: Mapping[str, Any]) -> int:
    """The last whole epoch of a training that goes on from this checkpoint.

    Raises:
        InputError: as `check_checkpoint`, or if the checkpoint holds weights only.
    """
    checkpoint = check_checkpoint(path, separator)
    if missing := [key for key in _TO_GO_ON if key not in checkpoint]:
        raise InputError(f"{path} holds no {missing[0]}, so no training can go on from it: give another --out")
    return int(checkpoint["epoch"])


def check_checkpoint(path: Path, separator: Mapping[str, Any]) -> dict[str, Any]:
    """Reads a checkpoint, of which no code is run, and compares its separator with the config's.

    Args:
        path: of a checkpoint.
        separator: the config's, as `class_path` and `init_args`.

    Returns:
        What is in it.

    Raises:
        InputError: if it is broken, would run code, is not from unetsep, or is of another separator.
    """
    load_separator(path)  # whatever it refuses, the trainer must not load either
    checkpoint: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
    if difference := _difference(checkpoint["separator"], separator, "model.separator"):
        key, there, here = difference
        raise InputError(
            f"{path} is of another separator: {key} is {there} there and {here} here; "
            "give the run's own config.yaml, or another --out"
        )
    return checkpoint


def _difference(there: Any, here: Any, key: str) -> tuple[str, str, str] | None:
    """The first dotted key under which two configs differ, and both values."""
    if isinstance(there, Mapping) and isinstance(here, Mapping):
        for name in [*here, *(name for name in there if name not in here)]:
            if found := _difference(there.get(name), here.get(name), f"{key}.{name}"):
                return found
        return None
    return None if there == here else (key, _said(there), _said(here))


def _said(value: Any) -> str:
    text = str(value["class_path"] if isinstance(value, Mapping) and "class_path" in value else value)
    return text if len(text) <= 60 else f"{text[:57]}..."
