"""The trials as tables: the leaderboard's columns, the leaderboard in the terminal, and the CSV files."""

import csv
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from unetsep.audio.files import replacing
from unetsep.report.answer import answer
from unetsep.report.measures import Measure, measure
from unetsep.report.run import Run, Trial
from unetsep.report.terminal import front_plot
from unetsep.sweep.picture import forgiving
from unetsep.sweep.wording import show_choice

HEARD = 50
"""Sounds and pictures are shown of so many of the best trials, and of all on the front."""

ROWS = 20
"""The terminal shows this many trials at most, and all of the front; the page and the CSV file show every one."""

WIDE = 120
"""A terminal of fewer columns has no room for the choices beside the numbers: those of the front stand below."""


@dataclass(frozen=True)
class Column:
    """A measured column of the leaderboard; a stem's own score stands under the stem's name alone."""

    measure: Measure
    value: Callable[[Trial], float]
    stem: str = ""

    @property
    def heading(self) -> str:
        """The head of the column, with the unit."""
        return self.stem or self.measure.heading

    def show(self, trial: Trial) -> str:
        """The trial's value without its unit, which stands in the heading."""
        return self.measure.show(self.value(trial), unit=False)


def leaderboard_columns(run: Run) -> list[Column]:
    """The score, its stems, the distance above the floor, the other objectives, and the size of the network."""

    def column(key: str, stem: str = "") -> Column:
        return Column(measure(key), lambda trial: trial.value(key), stem)

    columns = [column(run.score), *(column(f"{run.score}/{stem}", stem) for stem in run.stems)]
    if math.isfinite(run.floor_of(run.score)):
        words = "score less the floor's, which is one fixed frequency mask per stem, the best on the training tracks"
        columns.append(Column(Measure("above floor", measure(run.score).unit, words), run.above_floor))
    if any(run.score in trial.spread for trial in run.ranked):
        words = "standard deviation of the score over the seeds"
        columns.append(Column(Measure("± seeds", measure(run.score).unit, words), _spread_of(run.score)))
    if run.rungs:
        words = f"how long it was trained; {run.rungs.amounts[-1]:g} are the whole, less where others did better"
        columns.append(Column(Measure(run.rungs.unit, "", words), run.trained))
    costs = [key for key in (run.cost, *run.objectives, "cost/params", "cost/depth") if key and key != run.score]
    known = [key for key in dict.fromkeys(costs) if any(math.isfinite(trial.value(key)) for trial in run.ranked)]
    return columns + [column(key) for key in known]


def _spread_of(key: str) -> Callable[[Trial], float]:
    return lambda trial: trial.spread.get(key, math.nan)


def choices(run: Run, trial: Trial) -> list[tuple[str, str]]:
    """The trial's suggested settings, each under the shortest name that is clear within the sweep."""
    return [(run.names[key], show_choice(value)) for key, value in trial.params.items()]


def print_leaderboard(sweep: Run, console: Console | None = None) -> None:
    """Prints a sweep's best trials, the front marked with a dot, its front as a plot, and its answer.

    Args:
        sweep: One sweep or several.
        console: Where to print; the terminal if not given.
    """
    console = forgiving(console or Console())
    columns, front = leaderboard_columns(sweep), sweep.front_keys
    shown = [trial for rank, trial in enumerate(sweep.ranked) if rank < ROWS or trial.key in front]
    settings = {trial.key: ", ".join(map(" ".join, choices(sweep, trial))) for trial in shown}
    wide = console.width >= WIDE
    table = Table(title=_plain(f"{sweep.name}: {sweep.tally()}"), title_justify="left", box=None, header_style="dim")
    table.pad_edge, table.collapse_padding = False, not wide
    table.add_column("", no_wrap=True)
    table.add_column("trial", justify="right", no_wrap=True)
    for column in columns:
        heading = column.heading.replace("-", "-\n").replace(", ", "\n").replace(" ", "\n")
        table.add_column(Text(heading), justify="right", no_wrap=True)
    if wide:
        table.add_column("choices", overflow="fold")
    for trial in shown:
        mark, style = ("●", "bold") if trial.key in front else ("", "")
        cells: list[str | Text] = [mark, _plain(trial.key), *(column.show(trial) for column in columns)]
        table.add_row(*cells, *([_plain(settings[trial.key])] if wide else []), style=style)
    console.print(table)
    if not wide:
        for trial in sweep.front:
            console.print(_plain(f"trial {trial.key}: {settings[trial.key]}"), highlight=False)
    if len(shown) < len(sweep.ranked):
        console.print(f"and {len(sweep.ranked) - len(shown)} more in trials.csv", style="dim", highlight=False)
    for trial in sweep.rest:
        reason = f"trial {trial.key} {trial.state}: {trial.reason or 'no reason given'}"
        console.print(_plain(reason, "dim"), highlight=False)
    if plot := front_plot(sweep, console.width):
        console.print(plot)
    if sweep.question:
        console.print(_plain(sweep.question, "italic"), highlight=False)
    for sentence in [*answer(sweep), *sweep.remarks, *sweep.agreement]:
        console.print(_plain(sentence), highlight=False)


def _plain(text: str, style: str = "") -> Text:
    """Text from a run's folder: its brackets are no markup, and nothing in it commands the terminal."""
    return Text("".join(letter if letter.isprintable() else "\ufffd" for letter in text), style)


def write_csv(run: Run, trials: Sequence[Trial], path: Path) -> None:
    """Writes one row per trial with everything known of it; what was not measured is an empty cell.

    Scores stand under their own keys in dB, costs under `cost/<name>`, settings under their dotted config keys.
    """
    front = run.front_keys

    def keys(of: Callable[[Trial], dict[str, Any]]) -> list[str]:
        return list(dict.fromkeys(key for trial in run.trials for key in of(trial)))

    scores, spreads, costs, settings = (
        keys(lambda trial: trial.scores),
        keys(lambda trial: trial.spread),
        keys(lambda trial: trial.cost),
        keys(lambda trial: trial.params),
    )
    with replacing(path) as unfinished, unfinished.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        head = ["number", "state", "on_front", *scores, "above_floor", *(f"spread/{key}" for key in spreads)]
        head += [*([run.rungs.unit] if run.rungs else []), *(f"cost/{name}" for name in costs)]
        writer.writerow([*head, "seconds", "epoch", *settings, "reason"])
        for trial in trials:
            numbers = [trial.scores.get(key, math.nan) for key in scores] + [run.above_floor(trial)]
            numbers += [trial.spread.get(key, math.nan) for key in spreads]
            numbers += [run.trained(trial)] if run.rungs else []
            numbers += [trial.cost.get(name, math.nan) for name in costs] + [trial.seconds]
            row = [trial.key, trial.state, int(trial.key in front), *map(_cell, numbers)]
            row += ["" if trial.epoch is None else trial.epoch]
            texts = [*(trial.params.get(key, "") for key in settings), trial.reason]
            writer.writerow([*row, *map(_harmless, texts)])


def _harmless(value: Any) -> Any:
    """A text that a spreadsheet would take for a formula, quoted as such programs do."""
    return "'" + value if isinstance(value, str) and value[:1] in tuple("=+-@") else value


def _cell(value: float) -> float | int | str:
    if math.isnan(value):
        return ""
    return int(value) if value.is_integer() else value
