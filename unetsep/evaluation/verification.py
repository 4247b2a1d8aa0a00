"""The numbers against museval itself, on tracks at hand."""

import importlib.util
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from torch import Tensor

from unetsep.evaluation.records import MEASURES

# museval's own numbers move by up to 1e-6 dB when it is given the stems in another order or three times as loud, where
# stems end at 16 kHz, as AAC leaves them, and estimates do not: the filters are then hardly determined.
TOLERANCE_DB = 1e-5
"""A larger difference to museval is a bug here or there."""

# Of an error 1e-10 times as strong as what it is compared with, only rounding is left that differs from one way to
# compute it to the next, in museval as here: mixtures as estimates have no artifacts, yet 150 or 300 dB of SAR.
_ROUNDING_DB = 100.0


@dataclass(frozen=True)
class Difference:
    """The largest difference to museval in one or several tracks.

    Attributes:
        decibels: Over all measures, stems and frames, values beyond ±100 dB taken for 100 dB.
        where: Measure, stem, frame and track of it.
        nan_frames_agree: Whether the same frames of the same stems are NaN.
    """

    decibels: float = 0.0
    where: str = ""
    nan_frames_agree: bool = True

    def __or__(self, other: "Difference") -> "Difference":
        larger = max(self, other, key=lambda difference: difference.decibels)
        return Difference(larger.decibels, larger.where, self.nan_frames_agree and other.nan_frames_agree)

    @property
    def agrees(self) -> bool:
        """Whether the numbers are museval's."""
        return self.decibels <= TOLERANCE_DB and self.nan_frames_agree


def verify(
    track: str,
    frames: Mapping[str, Mapping[str, Sequence[float]]],
    references: Tensor,
    estimates: Tensor,
    rate: int,
) -> Difference:
    """Compares a track's frames with museval's.

    museval refuses a track with an absent stem or a silent estimate, so absent stems are left out of what it is given,
    and for a silent estimate it is given the reference, and that stem is not compared.

    Args:
        track: Its name.
        frames: Decibels by source and measure, as a `Record` holds them.
        references: `(source, channel, sample)`.
        estimates: Likewise.
        rate: Samples per second; museval's window and hop.
    """
    sources = list(frames)
    present = [index for index, stem in enumerate(references) if _sounds(stem)]
    if not present:
        return Difference()
    heard = [_sounds(estimates[index]) for index in present]
    given = [(estimates if known else references)[index] for index, known in zip(present, heard, strict=True)]
    arrays = ([_as_museval(stem) for stem in stems] for stems in ([references[index] for index in present], given))
    theirs = _museval().bss_eval(*map(np.stack, arrays), window=rate, hop=rate)
    largest = Difference()
    for measure, rows in zip(MEASURES, theirs[:4], strict=True):
        for index, known, row in zip(present, heard, rows, strict=True):
            if known:
                source = sources[index]
                largest |= _compared(frames[source][measure], row, f"{measure} of {source} in {track}")
    return largest


def described(difference: Difference, tracks: int) -> str:
    """The result as a line."""
    nan = "the same frames are NaN" if difference.nan_frames_agree else "OTHER FRAMES ARE NaN"
    where = f" ({difference.where})" if difference.where else ""
    verdict = "" if difference.agrees else ": THIS IS NOT MUSEVAL'S RESULT"
    return (
        f"museval {version('museval')} on {tracks} track{'s' * (tracks != 1)}: largest difference"
        f" {difference.decibels:.1e} dB{where}, {nan}{verdict}"
    )


def _compared(ours: Sequence[float], theirs: npt.NDArray[np.float64], where: str) -> Difference:
    mine = np.asarray(ours, dtype=np.float64)
    known = np.isfinite(theirs)  # infinities are NaN in what is recorded, as in museval's own files
    if mine.shape != theirs.shape:
        return Difference(np.inf, where, False)
    both = known & np.isfinite(mine)
    apart = np.abs(np.clip(mine, -_ROUNDING_DB, _ROUNDING_DB) - np.clip(theirs, -_ROUNDING_DB, _ROUNDING_DB))
    apart = np.where(both, apart, 0.0)
    frame = int(apart.argmax())
    # An infinite value of theirs may be a huge one here, and the other way round.
    agree = bool((np.isnan(theirs) <= np.isnan(mine)).all() and (np.abs(theirs[np.isnan(mine) & known]) > 100).all())
    return Difference(float(apart[frame]), f"{where}, frame {frame}", agree)


def _sounds(stem: Tensor) -> bool:
    """museval's rule: silent is what sums to zero over channels at every sample."""
    return bool(stem.sum(dim=0).any())


def _as_museval(stem: Tensor) -> npt.NDArray[np.float64]:
    return stem.T.double().cpu().numpy()


def _museval() -> Any:
    """museval's measures without the package around them, which cannot be imported where ffmpeg is missing."""
    package = importlib.util.find_spec("museval")
    assert package is not None
    assert package.origin is not None
    spec = importlib.util.spec_from_file_location("museval_metrics", Path(package.origin).parent / "metrics.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
