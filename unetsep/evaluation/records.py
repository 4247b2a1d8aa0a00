"""An evaluation's folder: a file per track in museval's own format, a table of all, and what was evaluated."""

import csv
import json
import math
import os
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from unetsep import __version__
from unetsep.audio.files import InputError, replacing
from unetsep.metrics.scores import TrackScores

MEASURES = ("SDR", "ISR", "SIR", "SAR")
"""museval's names. The median of a track's SDR over frames is its `csdr`."""


@dataclass(frozen=True)
class Record:
    """The scores of one track.

    Attributes:
        track: Its name.
        frames: Decibels in every frame of a second, by source and measure (`MEASURES`). NaN where the frame is dropped,
            the stem is absent or, as in museval's files, the value is infinite.
        usdr: Decibels of the whole track by source; NaN where the stem is absent.
        confusion: Energy by true (row) and predicted (column) dominant source.
        dropped_frames: Frames in which a reference or an estimate is silent: NaN for all stems.
        seconds: Length of the track.
        rtf: Seconds of separating per second of audio; NaN for what is no separator.
    """

    track: str
    frames: Mapping[str, Mapping[str, Sequence[float]]]
    usdr: Mapping[str, float]
    confusion: Sequence[Sequence[float]]
    dropped_frames: int
    seconds: float
    rtf: float

    @classmethod
    def of(cls, track: str, sources: Sequence[str], scores: TrackScores, seconds: float, rtf: float) -> "Record":
        """The record of what was measured."""
        assert scores.frames is not None
        by_measure = [getattr(scores.frames, measure.lower()).tolist() for measure in MEASURES]
        frames = {
            source: {
                measure: [value if math.isfinite(value) else math.nan for value in rows[index]]
                for measure, rows in zip(MEASURES, by_measure, strict=True)
            }
            for index, source in enumerate(sources)
        }
        usdr = dict(zip(sources, scores.usdr.tolist(), strict=True))
        return cls(track, frames, usdr, scores.confusion.tolist(), scores.dropped_frames, seconds, rtf)

    def median(self, source: str, measure: str) -> float:
        """A measure's median over frames, in decibels; NaN where the stem is absent."""
        return median(self.frames[source][measure])

    def scores(self) -> dict[str, dict[str, float]]:
        """`usdr` and `csdr` by source: what two evaluations are compared by."""
        return {"usdr": dict(self.usdr), "csdr": {source: self.median(source, "SDR") for source in self.frames}}


def median(values: Sequence[float]) -> float:
    """The median of the finite ones among the values; NaN if there are none."""
    finite = [value for value in values if math.isfinite(value)]
    return statistics.median(finite) if finite else math.nan


class Results:
    """The folder of one evaluation, to which tracks are added one by one.

    Args:
        folder: Made with the first record. It may hold the beginning of this very evaluation.
        identity: Plain values that say what is evaluated, on what and how; among them `split`, `estimates`, and
            `tracks`, what each track's files are.

    Raises:
        InputError: If the folder holds something else.
    """

    def __init__(self, folder: Path, identity: Mapping[str, Any]) -> None:
        self.folder = folder
        self.identity: dict[str, Any] = json.loads(json.dumps(identity))  # as it is read back: no tuples
        self._file = folder / "evaluation.json"
        if self._file.is_file():
            if difference := _difference(self._scored(), self.identity):
                raise InputError(
                    f"{folder} holds another evaluation ({difference}): give another --out, or delete that folder"
                )
        elif folder.exists() and (not folder.is_dir() or any(path.name[0] != "." for path in folder.iterdir())):
            raise InputError(f"{folder} exists and is no evaluation's folder: give a new or an empty one as --out")
        there = next(place for place in (folder, *folder.absolute().parents) if place.exists())
        if not (there.is_dir() and os.access(there, os.W_OK)):  # said now, not when the first track is finished
            raise InputError(f"cannot write to {there}: give another place as --out")

    def path(self, track: str) -> Path:
        """The file of a track's record, where museval looks for it."""
        return self.folder / str(self.identity["split"]) / f"{track}.json"

    def read(self, track: str) -> Record:
        """A track's record; see `read_record`."""
        return read_record(self.path(track))

    def write(self, record: Record) -> None:
        """Adds a track's record."""
        # Not earlier: what fails at once leaves no folder behind.
        if not self._file.is_file() or _loaded(self._file) != self.identity:
            with replacing(self._file) as unfinished:
                unfinished.write_text(json.dumps(self.identity, indent=2) + "\n", encoding="utf-8")
        with replacing(self.path(record.track)) as unfinished:
            unfinished.write_text(_as_museval(record, self.identity["estimates"]) + "\n", encoding="utf-8")

    def _scored(self) -> Any:
        """The identity of what has been scored: a track that has no record yet may have been mended since."""
        known = _loaded(self._file)
        if isinstance(known, dict) and isinstance(tracks := known.get("tracks"), dict):
            for track in tracks.keys() & self.identity["tracks"].keys():
                if not self.path(track).is_file():
                    tracks[track] = self.identity["tracks"][track]
        return known


def _as_museval(record: Record, estimates: Mapping[str, Any]) -> str:
    """A record as `museval.TrackStore` writes it, in full precision; museval overlooks what stands under `unetsep`."""
    targets = []
    for source, values in record.frames.items():
        rows = zip(*(values[measure] for measure in MEASURES), strict=True)
        frames = [
            {"time": float(second), "duration": 1.0, "metrics": dict(zip(MEASURES, row, strict=True))}
            for second, row in enumerate(rows)
        ]
        targets.append({"name": source, "frames": frames})
    ours = {
        "version": __version__,
        "estimates": estimates,
        "usdr": record.usdr,
        "csdr": record.scores()["csdr"],
        "confusion": record.confusion,
        "dropped_frames": record.dropped_frames,
        "seconds": record.seconds,
        "rtf": record.rtf,
    }
    return json.dumps({"targets": targets, "museval_version": version("museval"), "unetsep": ours}, indent=1)


def read_record(path: Path) -> Record:
    """A track's record from its file.

    Raises:
        InputError: If the file is missing, broken, or was not written here.
    """
    content = _loaded(path)
    try:
        ours = content["unetsep"]
        targets = {target["name"]: target["frames"] for target in content["targets"]}
        usdr = {source: float(value) for source, value in ours["usdr"].items()}
        frames = {
            source: {measure: [float(frame["metrics"][measure]) for frame in targets[source]] for measure in MEASURES}
            for source in usdr
        }
        confusion = [[float(energy) for energy in row] for row in ours["confusion"]]
        seconds, rtf = float(ours["seconds"]), float(ours["rtf"])
        return Record(path.stem, frames, usdr, confusion, int(ours["dropped_frames"]), seconds, rtf)
    except (AttributeError, KeyError, TypeError, ValueError):
        raise InputError(f"{path} is no record that `unetsep evaluate` wrote: delete it, and evaluate again") from None


def read_evaluation(folder: Path, tracks: Sequence[str], sources: Sequence[str]) -> dict[str, Record]:
    """The records of a finished evaluation of the same tracks and sources, by track.

    Raises:
        InputError: If the folder holds none, or one of other tracks or sources; the line names the first that differs.
    """
    identity = _loaded(folder / "evaluation.json")
    try:
        theirs, split, known = set(identity["sources"]), identity["split"], set(identity["tracks"])
    except (KeyError, TypeError):
        raise InputError(f"{folder / 'evaluation.json'} is broken: evaluate again, to another folder") from None
    for what, mine, other in (("source", set(sources), theirs), ("track", set(tracks), known)):
        if differing := sorted(mine ^ other):
            who = "only" if differing[0] in other else "not"
            raise InputError(
                f"{folder} cannot be compared with: the {what} {differing[0]!r} is {who} in it; both must have scored"
                f" the same {what}s"
            )
    return {track: read_record(folder / split / f"{track}.json") for track in tracks}


def write_csv(path: Path, records: Sequence[Record]) -> None:
    """Writes one row per track and stem, measures in dB as medians over frames; an empty cell where there is none."""
    with replacing(path) as unfinished, unfinished.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        head = ["track", "source", "usdr", "csdr", "isr", "sir", "sar"]
        writer.writerow([*head, "dropped_frames", "frames", "seconds", "rtf"])
        for record in records:
            for source, frames in record.frames.items():
                scores = [record.usdr[source], *(median(frames[measure]) for measure in MEASURES)]
                counts = [record.dropped_frames, len(frames["SDR"])]
                row = [*scores, *counts, record.seconds, record.rtf]
                writer.writerow([record.track, source, *("" if math.isnan(value) else value for value in row)])


def _loaded(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InputError(f"there is no {path}: {path.parent} holds no finished evaluation") from None
    except (OSError, ValueError) as error:
        raise InputError(f"{path} cannot be read ({error}): delete it, and evaluate again") from None


def _difference(found: Any, wanted: dict[str, Any], where: str = "") -> str:
    """The first thing in which two identities differ, in words; empty if there is none."""
    if not isinstance(found, dict):
        return "its evaluation.json is broken"
    for key in [*wanted, *(key for key in found if key not in wanted)]:
        ours, theirs = wanted.get(key), found.get(key)
        if ours == theirs:
            continue
        if isinstance(ours, dict) and isinstance(theirs, dict):
            return _difference(theirs, ours, f"{key}.")
        if where == "tracks.":
            how = "are no longer there" if ours is None else "are new" if theirs is None else "have changed since"
            return f"the files of track {key!r} {how}"
        return f"{where}{key} is {_said(theirs)} there, but {_said(ours)} now"
    return ""


def _said(value: Any) -> str:
    return "not given" if value is None else ", ".join(map(str, value)) if isinstance(value, list) else str(value)
