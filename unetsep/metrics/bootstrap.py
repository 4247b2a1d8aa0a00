"""How sure the difference between two separators is that were scored on the same tracks."""

import math
from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Float, Int
from scipy.special import ndtr, stdtrit
from torch import Tensor

from unetsep.audio.files import InputError
from unetsep.metrics.sdr import nanmedian

BATCH = 1_000
"""Resamples taken at a time: a thousand of 500 tracks with four stems are 16 MB."""


@dataclass(frozen=True)
class Difference:
    """A difference in dB with its confidence interval.

    Attributes:
        value: the one's score less the other's; NaN where no track has both.
        low: lower end of the interval; NaN where fewer than two tracks have both.
        high: upper end of the interval.
        count: tracks that have both.
    """

    value: float
    low: float
    high: float
    count: int

    @property
    def clear(self) -> bool:
        """Whether the interval leaves zero out: which of the two is better is then no matter of these tracks."""
        return self.low > 0 or self.high < 0


def paired_difference(
    ours: Float[Tensor, " track *source"],
    theirs: Float[Tensor, " track *source"],
    statistic: Literal["mean", "median"],
    *,
    resamples: int = 10_000,
    confidence: float = 0.95,
    seed: int = 0,
) -> Difference:
    """The difference between two separators' scores, with an interval from the paired bootstrap over tracks.

    The tracks are drawn with replacement, both separators' scores of a track together, and the interval lies between
    two percentiles of the resampled differences (Efron and Tibshirani, "An Introduction to the Bootstrap", 1993,
    chapter 13). Of `n` tracks these percentiles are those of a normal distribution at `sqrt(n / (n - 1))` times
    Student's quantile (Hesterberg, "What Teachers Should Know About the Bootstrap", 2015): the plain 95 % interval of
    a mean over 4 tracks holds the truth 80 times in 100, this one 86, and over 8 tracks 91 and 95. BCa, which
    `scipy.stats.bootstrap` offers, mends this as little, and the jackknife in it fails for medians.

    It says how much depends on which tracks were scored, and nothing of other seeds in training.

    Args:
        ours: Scores of one separator by track, or by track and source, in dB. What is not finite counts as absent, and
            a score is left out where either has none.
        theirs: Those of the other.
        statistic: How scores become one number over tracks; of several sources the mean is taken afterwards.
        resamples: How often the tracks are drawn.
        confidence: Probability that the interval holds the truth, 0 to 1.
        seed: Of the draws.

    Raises:
        InputError: If the shapes differ, or a setting is out of range.
    """
    if ours.shape != theirs.shape or ours.ndim not in (1, 2):
        raise InputError(
            f"one has scores of the shape {tuple(ours.shape)}, the other {tuple(theirs.shape)}; "
            "both must be (track) or (track, source) of the same sizes"
        )
    if not 0 < confidence < 1 or resamples < 1:
        raise InputError(f"confidence is {confidence} and resamples {resamples}: use 0 to 1 without the ends, and 1 up")
    known = ours.isfinite() & theirs.isfinite()
    pair = torch.stack([ours, theirs]).double().where(known, torch.nan).reshape(2, len(ours), -1)
    pair = pair[:, known.reshape(pair.shape[1:]).any(dim=1)].cpu()
    count = pair.shape[1]
    value = float(_difference(pair, torch.arange(count)[None], statistic)) if count else math.nan
    if count < 2:
        return Difference(value, math.nan, math.nan, count)
    random = torch.Generator().manual_seed(seed)
    drawn = torch.randint(count, (resamples, count), generator=random)
    differences = torch.cat([_difference(pair, some, statistic) for some in drawn.split(BATCH)])
    tail = float(ndtr(math.sqrt(count / (count - 1)) * stdtrit(count - 1, (1 - confidence) / 2)))
    low, high = differences.nanquantile(torch.tensor([tail, 1 - tail], dtype=torch.float64)).tolist()
    return Difference(value, low, high, count)


def _difference(
    pair: Float[Tensor, "2 track source"], drawn: Int[Tensor, "draw _track"], statistic: Literal["mean", "median"]
) -> Float[Tensor, " draw"]:
    """Ours less theirs for each draw of tracks; a source that no drawn track has is left out."""
    scores = pair[:, drawn].movedim(2, -1)  # (2, draw, source, track)
    over_tracks = scores.nanmean(dim=-1) if statistic == "mean" else nanmedian(scores)
    ours, theirs = over_tracks.nanmean(dim=-1)
    return ours - theirs
