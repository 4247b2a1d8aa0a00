"""An evaluation in the terminal: a row per stem, and what the columns mean."""

import math
from collections.abc import Mapping, Sequence

import torch
from rich.console import Console
from rich.table import Table
from rich.text import Text

from unetsep.evaluation.records import Record, median
from unetsep.metrics import seg_accuracy, seg_miou

_DEFINITIONS = (
    "csdr, ISR, SIR, SAR: museval's (BSSEval v4), median over frames of 1 s, median over tracks; csdr is its SDR. "
    "usdr: SDR of the whole track, mean over tracks. mean: over stems. A frame is dropped for all stems where a "
    "reference or an estimate is silent; a stem that is silent throughout a track counts for nothing."
)

_COLUMNS = {"csdr": "SDR", "usdr": "", "ISR": "ISR", "SIR": "SIR", "SAR": "SAR"}


def table_scores(records: Sequence[Record], sources: Sequence[str]) -> dict[str, dict[str, float]]:
    """The table's numbers in dB, by column and row: over tracks the mean of `usdr`, the median of the others.

    The rows are the sources and, last, `mean`: over those that occur.
    """
    scores = {}
    for column, measure in _COLUMNS.items():
        rows = {
            source: median([record.median(source, measure) for record in records])
            if measure
            else _mean([record.usdr[source] for record in records])
            for source in sources
        }
        scores[column] = rows | {"mean": _mean(list(rows.values()))}
    return scores


def print_table(title: str, records: Sequence[Record], sources: Sequence[str], console: Console) -> None:
    """Prints the scores of an evaluation in dB, one row per stem, and the other measures below."""
    scores = table_scores(records, sources)
    present = {source: sum(not math.isnan(record.usdr[source]) for record in records) for source in sources}
    absences = len(set(present.values())) > 1 or max(present.values()) < len(records)
    table = Table(box=None, header_style="dim", pad_edge=False)
    table.add_column("dB", no_wrap=True)
    for column in scores:
        table.add_column(column, justify="right", no_wrap=True)
    if absences:
        table.add_column("tracks", justify="right", no_wrap=True, style="dim")
    for row in [*sources, "mean"]:
        cells = [_shown(scores[column][row]) for column in scores]
        style = "bold" if row == "mean" else ""
        table.add_row(Text(row), *cells, *([str(present.get(row, ""))] if absences else []), style=style)
    console.print(title, markup=False, highlight=False, style="bold")
    console.print(table)
    console.print("; ".join(_remarks(records)), markup=False, highlight=False)
    console.print(_DEFINITIONS, markup=False, highlight=False, style="dim")


def in_a_line(record: Record) -> str:
    """A track's scores in one line: means over its stems."""
    means = {measure: _mean(list(by_source.values())) for measure, by_source in record.scores().items()}
    return f"{record.track}: " + ", ".join(f"{measure} {_shown(mean)} dB" for measure, mean in means.items())


def _remarks(records: Sequence[Record]) -> list[str]:
    energies = torch.tensor([record.confusion for record in records], dtype=torch.float64).sum(0)
    accuracy, iou = seg_accuracy(energies), seg_miou(energies)
    dropped = sum(record.dropped_frames for record in records)
    frames = sum(_frame_count(record.frames) for record in records)
    remarks = [f"segmentation accuracy {_shown(accuracy)}, IoU {_shown(iou)}", f"{dropped} of {frames} frames dropped"]
    timed = [record for record in records if not math.isnan(record.rtf)]
    if timed:
        factor = sum(record.rtf * record.seconds for record in timed) / sum(record.seconds for record in timed)
        remarks.append(f"real-time factor {factor:.3g}")
    return remarks


def _frame_count(frames: Mapping[str, Mapping[str, Sequence[float]]]) -> int:
    return len(next(iter(frames.values()))["SDR"])


def _mean(values: Sequence[float]) -> float:
    known = [value for value in values if math.isfinite(value)]
    return sum(known) / len(known) if known else math.nan


def _shown(value: float) -> str:
    if value > 100:
        return ">100"  # an error that only rounding leaves: a mixture as estimate has no artifacts
    return f"{value:.2f}" if math.isfinite(value) else "-"
