"""Scores: what is measured on whole tracks, and how many tracks become one number."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from unetsep.audio.stft import stft
from unetsep.metrics.bsseval import BSSEval, bss_eval
from unetsep.metrics.sdr import check_alike, frame_sdr, nanmedian, usdr
from unetsep.metrics.segmentation import confusion, seg_accuracy, seg_miou

STRETCH_SECONDS = 20.0
"""Spectra of a whole song at once would fill the memory: they are made and summed stretch by stretch."""

PROJECTIONS = ("isr", "sir", "sar")
"""The measures of BSSEval that need its distortion filters; SDR does not."""


def measuring_stft(sample_rate: int) -> tuple[int, int]:
    """The STFT of the segmentation measures: frames of about 93 ms, the hop a quarter, whatever the separator's own.

    A separator that chose the measure's resolution with its own would be scored on another task than the next one.

    Args:
        sample_rate: In hertz, from 1 on.

    Returns:
        `n_fft`, the power of two nearest to 93 ms (4096 at 44.1 kHz), and the hop, both in samples.
    """
    n_fft = 2 ** max(4, round(math.log2(0.0929 * sample_rate)))
    return n_fft, n_fft // 4


@dataclass(frozen=True)
class TrackScores:
    """The measures of one track.

    Attributes:
        usdr: whole-track SDR in dB by source; NaN where the stem is absent.
        csdr: median of the SDR of 1 s frames in dB by source; NaN where the stem is absent.
        confusion: energy of the mixture's bins by true (row) and predicted (column) dominant source.
        dropped_frames: frames that `csdr` leaves out.
        loss: the training loss over the track.
        frames: where all measures were asked for, SDR, ISR, SIR and SAR of every frame in dB, each (source, frame).
    """

    usdr: Float[Tensor, " source"]
    csdr: Float[Tensor, " source"]
    confusion: Float[Tensor, "source source"]
    dropped_frames: int
    loss: float
    frames: BSSEval | None = None

    @property
    def measures(self) -> dict[str, Float[Tensor, " source"]]:
        """What there is in dB by source: `usdr`, `csdr`, and with `frames` their medians `isr`, `sir` and `sar`."""
        measures = {"usdr": self.usdr, "csdr": self.csdr}
        if self.frames is not None:
            measures |= {name: nanmedian(getattr(self.frames, name)) for name in PROJECTIONS}
        return measures


def score_track(
    references: Float[Tensor, "source channel sample"],
    estimates: Float[Tensor, "source channel sample"],
    sample_rate: int,
    loss: float = math.nan,
    *,
    all_measures: bool = False,
) -> TrackScores:
    """Measures one track, in float64 on the device of the waveforms.

    Args:
        references: the true stems.
        estimates: the separated stems, in the same order.
        sample_rate: in Hz; the frames are one second long, without overlap.
        loss: to be kept with the scores.
        all_measures: whether ISR, SIR and SAR are measured as well, which takes many times as long as SDR alone.

    Raises:
        InputError: if the shapes differ, there are no samples, or a sample is NaN or infinite.
    """
    check_alike(references, estimates)
    n_fft, hop = measuring_stft(sample_rate)
    length = max(n_fft, round(STRETCH_SECONDS * sample_rate))
    energies = torch.zeros(len(references), len(references), dtype=torch.float64)
    for reference, estimate in zip(references.split(length, -1), estimates.split(length, -1), strict=True):
        energies += confusion(stft(reference, n_fft, hop), stft(estimate, n_fft, hop)).cpu()
    frames = None
    if all_measures:
        frames = bss_eval(references.transpose(1, 2), estimates.transpose(1, 2), window=sample_rate, hop=sample_rate)
        frames = BSSEval(*(values.cpu() for values in frames))
    sdr = frames.sdr if frames is not None else frame_sdr(references, estimates, sample_rate, sample_rate).cpu()
    return TrackScores(
        usdr=usdr(references, estimates).cpu(),
        csdr=nanmedian(sdr),
        confusion=energies,
        dropped_frames=int(sdr.isnan().all(dim=0).sum()),
        loss=loss,
        frames=frames,
    )


def summarise(tracks: Sequence[TrackScores], sources: Sequence[str]) -> dict[str, float]:
    """One number for each measure, under the names that are logged.

    `usdr/<source>` is the mean over tracks, `csdr/<source>` the median over tracks, absent stems left out of both, and
    likewise `isr`, `sir` and `sar` where every track has them; `usdr`, `csdr`, ... are their means over sources. A
    perfect frame's SDR is infinite, and no infinity is ever averaged: one that is a track's median is left out as well.
    The loss is the tracks' mean, the segmentation measures come from the tracks' summed energies, and the dropped
    frames are counted together. `seg_confusion/<true>/<predicted>` is the share, 0 to 1, of the energy that one source
    dominates which the estimates give to another, or rightly to itself; NaN for a source that dominates nowhere.

    Args:
        tracks: scores as `score_track` gives them, all of the same sources.
        sources: names of the stems, in the scores' order.

    Returns:
        Decibels, shares from 0 to 1, and counts as floats, by name.

    Raises:
        ValueError: if there are no tracks.
    """
    if not tracks:
        raise ValueError("there are no tracks to summarise")
    by_source = {"usdr": torch.stack([track.usdr for track in tracks]).nanmean(0)}
    complete = all(track.frames is not None for track in tracks)
    for name in ("csdr", *(PROJECTIONS if complete else ())):
        by_track = torch.stack([track.measures[name] for track in tracks], dim=1)
        by_source[name] = nanmedian(by_track.where(by_track.isfinite(), torch.nan))
    scores: dict[str, float] = {"loss": sum(track.loss for track in tracks) / len(tracks)}
    for name, values in by_source.items():
        scores[name] = float(values.nanmean())
        scores |= {f"{name}/{source}": float(value) for source, value in zip(sources, values, strict=True)}
    energies = torch.stack([track.confusion for track in tracks]).sum(0)
    scores["seg_accuracy"] = seg_accuracy(energies)
    scores["seg_miou"] = seg_miou(energies)
    shares = energies / energies.sum(1, keepdim=True)
    for true, row in zip(sources, shares, strict=True):
        for predicted, share in zip(sources, row, strict=True):
            scores[f"seg_confusion/{true}/{predicted}"] = float(share)
    scores["dropped_frames"] = float(sum(track.dropped_frames for track in tracks))
    return scores
