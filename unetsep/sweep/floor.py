"""The floor that needs no network, on the very tracks that a sweep's trials are judged by."""

import json
import math
from pathlib import Path

from unetsep.audio.files import replacing
from unetsep.data import StemsDataModule
from unetsep.metrics import apply_masks, fixed_masks
from unetsep.metrics.scores import score_track, summarise


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
    scores = []
    tracks = data.validated()
    for stems, _ in (tracks[number] for number in range(len(tracks))):
        scores.append(score_track(stems, apply_masks(masks, stems.sum(0), n_fft, hop), data.sample_rate, loss=0.0))
    summary = summarise(scores, data.sources)
    return {name: value for name, value in summary.items() if name != "loss" and math.isfinite(value)}


def write_floor(path: Path, floor: dict[str, float]) -> None:
    """Writes `floor.json`."""
    with replacing(path) as unfinished:
        unfinished.write_text(json.dumps(floor, indent=2) + "\n", encoding="utf-8")
