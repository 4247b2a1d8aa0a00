"""Two separators on the same tracks: how far one is ahead, stem by stem, and how sure that is."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

import torch
from rich.console import Console
from rich.table import Table
from rich.text import Text
from torch import Tensor

from unetsep.audio.files import InputError
from unetsep.metrics.bootstrap import Difference, paired_difference

Scores: TypeAlias = Mapping[str, Mapping[str, Mapping[str, float | None]]]
"""Track -> measure (`usdr`, `csdr`) -> source -> dB; None or NaN where the stem is absent."""

STATISTICS: dict[str, Literal["mean", "median"]] = {"usdr": "mean", "csdr": "median"}
"""How a measure's tracks become one number."""

FOOTNOTE = (
    "In brackets the 95 % interval, paired bootstrap over tracks; bold where it leaves zero out. It says nothing of "
    "other seeds. usdr: SDR of whole tracks, mean over tracks; csdr: median over 1 s frames, then over tracks."
)


@dataclass(frozen=True)
class Comparison:
    """What one separator gains over another.

    Attributes:
        by_source: source -> measure -> difference in dB; the last "source" is `mean`, the mean over sources.
        tracks: how many tracks were compared.
    """

    by_source: dict[str, dict[str, Difference]]
    tracks: int


def compare(ours: Scores, theirs: Scores, sources: Sequence[str]) -> Comparison:
    """Compares two separators over the tracks that both were scored on.

    Args:
        ours: the scores of one, by track.
        theirs: those of the other.
        sources: the stems to compare, in this order.

    Raises:
        InputError: if one has a track, a measure or a stem that the other has not; the message names the first.
    """
    _refuse_others(ours, theirs, sources)
    differences: dict[str, dict[str, Difference]] = {source: {} for source in (*sources, "mean")}
    for measure, statistic in STATISTICS.items():
        pair = [_table(scores, list(ours), measure, sources) for scores in (ours, theirs)]
        for column, source in enumerate(sources):
            differences[source][measure] = paired_difference(pair[0][:, column], pair[1][:, column], statistic)
        differences["mean"][measure] = paired_difference(pair[0], pair[1], statistic)
    return Comparison(differences, len(ours))


def print_comparison(comparison: Comparison, ours: str, theirs: str, console: Console | None = None) -> None:
    """Prints a table of the differences `ours` less `theirs`, in dB: a row for each stem, a column for each measure.

    What stands clear of zero is bold.

    Args:
        comparison: as `compare` makes it.
        ours: what to call the one,
        theirs: and the other.
        console: where to print; the terminal if not given.
    """
    console = console or Console()
    tracks = f"{comparison.tracks} track{'s' * (comparison.tracks != 1)}"
    console.print(Text(f"{ours} less {theirs}, in dB over {tracks}"))
    table = Table(box=None, header_style="dim", pad_edge=False)
    table.add_column("stem", no_wrap=True)
    for measure in STATISTICS:
        table.add_column(measure, no_wrap=True)
    table.add_column("tracks", justify="right")
    for source, by_measure in comparison.by_source.items():
        cells = [Text(show(gain), style="bold" if gain.clear else "") for gain in by_measure.values()]
        table.add_row(Text(source), *cells, str(by_measure["usdr"].count))
    console.print(table)
    one = "; one track has no interval" if comparison.tracks == 1 else ""
    console.print(Text(f"{FOOTNOTE}{one}", style="dim"))


def show(difference: Difference) -> str:
    """A difference as text: `+0.31 [+0.12, +0.49]`; without its interval where there is none, a dash for no value."""
    if math.isnan(difference.value):
        return "-"
    if math.isnan(difference.low):
        return f"{difference.value:+.2f}"
    return f"{difference.value:+.2f} [{difference.low:+.2f}, {difference.high:+.2f}]"


def _refuse_others(ours: Scores, theirs: Scores, sources: Sequence[str]) -> None:
    for track in [*ours, *theirs]:
        for scores, whose in ((ours, "the first"), (theirs, "the second")):
            if track not in scores:
                raise InputError(
                    f"track {track!r} is missing from {whose} of the two: compare scores of the same tracks"
                )
            for measure in STATISTICS:
                if missing := [source for source in sources if source not in scores[track].get(measure, {})]:
                    raise InputError(f"track {track!r} of {whose} of the two has no {measure} of {missing[0]}")
    if not ours:
        raise InputError("there are no tracks to compare")


def _table(scores: Scores, tracks: Sequence[str], measure: str, sources: Sequence[str]) -> Tensor:
    """Scores by track and source; None becomes NaN."""
    rows = [[scores[track][measure][source] for source in sources] for track in tracks]
    return torch.tensor([[math.nan if value is None else value for value in row] for row in rows], dtype=torch.float64)
