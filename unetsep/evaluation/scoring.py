"""Track by track: estimates, scores, a record on disk."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Column
from torch import Tensor

from unetsep.audio.files import InputError, audio_info
from unetsep.data import Track
from unetsep.data.musdb18 import StemFile
from unetsep.evaluation.estimates import Estimates
from unetsep.evaluation.records import Record, Results
from unetsep.evaluation.tables import in_a_line
from unetsep.evaluation.verification import Difference, verify
from unetsep.metrics.scores import score_track


def score_tracks(
    tracks: Sequence[Track],
    estimates: Estimates,
    results: Results,
    verified: set[str],
    device: str,
    console: Console,
) -> Difference:
    """Scores the tracks that have no record yet, and compares those to be verified, old or new, with museval.

    Args:
        tracks: All of the evaluation.
        estimates: What is scored.
        results: Where the records are and go, each as soon as its track is finished.
        verified: Names of the tracks to compare with museval.
        device: Where the measures are computed.
        console: For a line per track and, if it is a terminal, a bar.

    Returns:
        The largest difference to museval.

    Raises:
        InputError: If a track or its estimates cannot be read, or do not fit each other.
    """
    difference = Difference()
    done = {track.name for track in tracks if results.path(track.name).is_file()}
    left = [track for track in tracks if track.name not in done - verified]
    if done:
        console.print(f"{len(done)} of {len(tracks)} tracks done already")
    with _bar(console) as bar:
        task = bar.add_task("", total=len(left))
        for number, track in enumerate(left):

            def show(share: float, whole: float, number: int = number) -> None:
                bar.update(task, completed=number + share / whole / 2)  # the other half is the scoring

            bar.update(task, description=track.name, completed=number)
            references, rate = track.read(), _rate(track)
            estimated, seconds = estimates.separate(track, references, rate, show)
            if not estimated.isfinite().all():
                raise InputError(f"{estimates.name}: the estimates of {track} hold NaN or infinite samples")
            record = _scored(track, references, estimated, rate, seconds, device)
            if track.name not in done:
                results.write(record)
                console.print(in_a_line(record))
            if track.name in verified:
                bar.update(task, description=f"{track.name}, by museval")
                difference |= verify(track.name, record.frames, references, estimated, rate)
    return difference


def _scored(track: Track, references: Tensor, estimates: Tensor, rate: int, seconds: float, device: str) -> Record:
    there = device if device.startswith("cuda") else "cpu"  # float64 is needed, which not every device has
    scores = score_track(references.to(there), estimates.to(there), rate, all_measures=True)
    length = references.shape[-1] / rate
    return Record.of(track.name, track.sources, scores, length, seconds / length)


def _rate(track: Track) -> int:
    """A track's own sample rate in hertz."""
    first = track.sources[0]
    return track.stem(first)[1] if isinstance(track, StemFile) else audio_info(track.file(first)).rate


@contextmanager
def _bar(console: Console) -> Iterator[Progress]:
    rest = Column(ratio=1, no_wrap=True, overflow="ellipsis")  # songs have long names, and the others keep their widths
    name, line = TextColumn("{task.description}", markup=False, table_column=rest), BarColumn(bar_width=12)
    columns = (name, line, MofNCompleteColumn(), TimeRemainingColumn())
    live = console.is_terminal  # elsewhere a bar that is taken away again leaves an empty line
    with Progress(*columns, console=console, transient=True, disable=not live, expand=True) as bar:
        yield bar
