"""Two trainings compared track by track, from the scores that each left of its best validation."""

import contextlib
import math
from pathlib import Path
from typing import Any

from unetsep.audio.files import InputError
from unetsep.evaluation.comparison import STATISTICS, Comparison, Scores, compare, print_comparison
from unetsep.metrics.bootstrap import Difference
from unetsep.report.reading import read_run
from unetsep.report.run import Run, Trial, json_lines

MOST = 10
"""So many of the front are compared track by track: each takes the bootstrap a tenth of a second."""


def best_tracks(folder: Path) -> Scores:
    """The scores by track of a training's best validation, which is that of `checkpoints/best.ckpt`.

    Args:
        folder: Of the training, with `tracks.jsonl`.

    Raises:
        InputError: If there are no such scores.
    """
    path = folder / "tracks.jsonl"
    validations = [line.get("tracks") for line in json_lines(path) if line.get("stage") == "val"]
    if not any(validations):
        raise InputError(
            f"{path} {'holds no validation' if path.is_file() else 'is missing'}, and with it the scores by track: "
            "compare checkpoints by `unetsep evaluate --against`, or train anew"
        )
    try:
        return max(filter(None, validations), key=_usdr)
    except (AttributeError, KeyError, TypeError) as error:
        raise InputError(f"{path} holds no scores by track, or not all ({error!r})") from None


def print_differences(run: Path | None, ours: str, theirs: str) -> None:
    """Prints how far one training is ahead of another on the same validation tracks, stem by stem.

    Args:
        run: The sweep's folder, whose trials may be named by their numbers.
        ours: A trial's number, or a training's folder.
        theirs: Another one.

    Raises:
        InputError: If one is not there, has no scores by track, or has other tracks or stems.
    """
    one, other = (best_tracks(_folder(run, given)) for given in (ours, theirs))
    name, other_name = (f"trial {given}" if given.isdecimal() else given for given in (ours, theirs))
    print_comparison(compare(one, other, _stems(one)), name, other_name)


def differences_to_best(run: Run) -> list[tuple[Trial, Comparison]]:
    """The front's first trials less the best one; without those that left no scores of the same tracks."""
    best, *others = run.front[:MOST]
    compared: list[tuple[Trial, Comparison]] = []
    for trial in others:
        with contextlib.suppress(InputError):  # as of old trainings: the page has less to show, and is no worse for it
            ours, theirs = best_tracks(trial.folder), best_tracks(best.folder)
            compared.append((trial, compare(ours, theirs, _stems(theirs))))
    return compared


def scored_measure(run: Run) -> str:
    """The measure by track that a sweep is ranked by: `usdr` of `val/usdr`; usdr as well where it has none by track."""
    return next((name for name in run.score.split("/") if name in STATISTICS), "usdr")


def gains(comparison: Comparison, measure: str) -> dict[str, Difference]:
    """The differences in one measure: `mean`, and by stem."""
    by_source = comparison.by_source
    return {source: by_source[source][measure] for source in sorted(by_source, key=lambda source: source != "mean")}


def _folder(run: Path | None, given: str) -> Path:
    if not given.isdecimal():
        if not Path(given).is_dir():
            raise InputError(f"there is no folder {given}: give a trial's number, or the folder of a training")
        return Path(given)
    if run is None:
        raise InputError(f"trial {given} of which sweep? Give its folder: unetsep report RUN --compare {given} ...")
    for trial in read_run(run).trials:
        if trial.number == int(given):
            return trial.folder
    raise InputError(f"{run} has no trial {given}")


def _stems(scores: Scores) -> list[str]:
    return list(next(iter(scores.values()))["usdr"])


def _usdr(tracks: dict[str, Any]) -> float:
    """What the validation logged as `val/usdr`: the mean over tracks, then over stems."""
    by_stem: dict[str, list[float]] = {}
    for track in tracks.values():
        for stem, value in track["usdr"].items():
            by_stem.setdefault(stem, []).extend([] if value is None else [value])
    means = [sum(values) / len(values) for values in by_stem.values() if values]
    return sum(means) / len(means) if means else -math.inf
