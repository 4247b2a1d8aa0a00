"""What bounds a sweep's scores from below and above, on the very tracks that its trials are judged by."""

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

from torch import Tensor

from unetsep.audio.files import replacing
from unetsep.data import StemsDataModule
from unetsep.metrics import apply_masks, fixed_masks, ideal_ratio_mask, mixture_as_estimate
from unetsep.metrics.scores import score_track, summarise
from unetsep.sweep.bounds import BOUNDS

Separate: TypeAlias = Callable[[Tensor], Tensor]
"""From a track's true stems, of which it may know as much as it likes, to estimates of them."""


def fixed_mask_floor(data: StemsDataModule, n_fft: int, hop: int) -> dict[str, float]:
    """What one fixed frequency mask per stem scores on the validation tracks, learned on the training tracks.

    Args:
        data: the tracks, at the sample rate and with the channels of the trials.
        n_fft: length of the masks' window in samples.
        hop: step between its frames in samples.

    Returns:
        `usdr`, `csdr` (dB), `usdr/<stem>` and so on, as validation logs them, what is not finite left out.
    """
    masks = fixed_masks((track.chunk() for track in data.tracks("train")), n_fft, hop)
    return _scored(data, lambda stems: apply_masks(masks, stems.sum(0), n_fft, hop))


def mixture_floor(data: StemsDataModule, n_fft: int, hop: int) -> dict[str, float]:
    """What the mixture itself scores, taken for every stem: no separation at all. As `fixed_mask_floor`."""
    return _scored(data, mixture_as_estimate)


def oracle_ceiling(data: StemsDataModule, n_fft: int, hop: int) -> dict[str, float]:
    """What the ideal ratio mask of the trials' STFT scores, which knows the stems. As `fixed_mask_floor`."""
    return _scored(data, lambda stems: ideal_ratio_mask(stems, n_fft, hop))


_MEASURED: dict[str, Callable[[StemsDataModule, int, int], dict[str, float]]] = {
    "mixture.json": mixture_floor,
    "floor.json": fixed_mask_floor,
    "oracle.json": oracle_ceiling,
}


def write_bounds(folder: Path, data: StemsDataModule, n_fft: int, hop: int) -> None:
    """Writes those of `BOUNDS` that are not there yet into a sweep's folder; arguments as of `fixed_mask_floor`."""
    for name in BOUNDS:
        if not (folder / name).is_file():
            scores = _MEASURED[name](data, n_fft, hop)
            with replacing(folder / name) as unfinished:
                unfinished.write_text(json.dumps(scores, indent=2) + "\n", encoding="utf-8")


def _scored(data: StemsDataModule, separate: Separate) -> dict[str, float]:
    scores = []
    tracks = data.validated()
    for stems, _ in (tracks[number] for number in range(len(tracks))):
        scores.append(score_track(stems, separate(stems), data.sample_rate, loss=0.0))
    summary = summarise(scores, data.sources)
    return {name: value for name, value in summary.items() if name != "loss" and math.isfinite(value)}
