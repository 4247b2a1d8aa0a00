"""The page: one static file with the answer, the front, the leaderboard and the sounds, which opens from disk."""

import math
import re
import shlex
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

import unetsep
from unetsep.audio.files import InputError, replacing
from unetsep.audio.pictures import source_colours
from unetsep.evaluation.comparison import show
from unetsep.report.answer import answer, reached_by_choice
from unetsep.report.compare import differences_to_best, gains, scored_measure
from unetsep.report.figure import axis_over, score_against_cost, score_at_rungs, sparkline
from unetsep.report.measures import measure
from unetsep.report.media import Excerpt, excerpts, linker
from unetsep.report.run import Run, Trial, read_run
from unetsep.report.tables import Column, choices, leaderboard_columns, write_csv


def write_report(run: Path, out: Path | None = None) -> Path:
    """Writes `index.html`, `trials.csv` and `pareto.csv` for a sweep, finished or still running.

    The page shows numbers from the trials' result files only. It needs no network and no server.

    Args:
        run: The sweep's folder.
        out: Where to write. By default `<run>/report`, whose page plays the sounds where the trials left them; in
            another folder the sounds and pictures of the front are copied to `media/`, so that the folder can be moved.

    Returns:
        The path of `index.html`.

    Raises:
        InputError: If the folder is no sweep's, or no trial has a score yet.
    """
    sweep = read_run(run)
    folder = out or sweep.folder / "report"
    if folder.exists() and not folder.is_dir():
        raise InputError(f"cannot write the report into {folder}: it is a file; give a folder")
    link = linker(folder, sweep.folder, copy=out is not None)
    write_csv(sweep, sweep.trials, folder / "trials.csv")
    write_csv(sweep, sweep.front, folder / "pareto.csv")
    environment = Environment(
        loader=PackageLoader("unetsep", "report/templates"), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    environment.filters["unbroken"] = _unbroken
    environment.filters["share"] = lambda share: f"{100 * share:.2f}%"
    columns = leaderboard_columns(sweep)
    colours = source_colours(sweep.stems)
    page = environment.get_template("index.html").render(
        run=sweep,
        version=unetsep.__version__,
        answer=answer(sweep),
        objectives=" and ".join(measure(key).name for key in sweep.objectives),
        front_numbers=", ".join(str(trial.number) for trial in sweep.front),
        figure=score_against_cost(sweep),
        climbs=score_at_rungs(sweep),
        score=measure(sweep.score),
        colours=colours,
        columns=columns,
        rows=[_row(sweep, trial, columns) for trial in sweep.ranked],
        differences=_differences(sweep),
        choices=_choice_bars(sweep),
        entries=[_entry(sweep, trial, columns, list(colours), link) for trial in sweep.front],
        rest=[(trial, choices(sweep, trial)) for trial in sweep.rest],
        terms=_terms(sweep, columns),
    )
    with replacing(folder / "index.html") as unfinished:
        unfinished.write_text(page, encoding="utf-8")
    return folder / "index.html"


def _unbroken(text: str) -> str:
    """Text in which no line ends inside `U-Net` or between a number and its unit."""
    return re.sub(r"(?<=\d) (?=\w)", "\u00a0", text.replace("-", "\u2011"))


def _terms(run: Run, columns: list[Column]) -> dict[str, str]:
    """What each column means; the stems share one line."""
    terms = {column.heading: column.measure.definition for column in columns if not column.stem}
    if run.stems:
        terms[", ".join(run.stems)] = f"{measure(run.score).heading}, of this stem alone"
    return {term: definition for term, definition in terms.items() if definition}


def _row(run: Run, trial: Trial, columns: list[Column]) -> dict[str, Any]:
    """One line of the leaderboard: for each measure its text, and its exact value to sort by."""
    values = [(column.show(trial), column.value(trial)) for column in columns]
    return {
        "trial": trial,
        "on_front": trial.number in {best.number for best in run.front},
        "cells": [{"text": text, "value": repr(value) if math.isfinite(value) else ""} for text, value in values],
        "choices": choices(run, trial),
    }


def _differences(run: Run) -> dict[str, Any] | None:
    """The trials on the front less the best one, as far as there are scores of the same tracks."""
    if not (compared := differences_to_best(run)):
        return None
    name = scored_measure(run)
    return {
        "measure": measure(f"val/{name}"),
        "tracks": compared[0][1].tracks,
        "rows": [
            (trial, {stem: (show(gain), gain.clear) for stem, gain in gains(comparison, name).items()})
            for trial, comparison in compared
        ],
    }


def _choice_bars(run: Run) -> dict[str, Any]:
    """For each choice the best score per value, with the length of its bar: from the floor, or from the lowest, up."""
    bars = {}
    for name, values in reached_by_choice(run).items():
        scores = [reached.score for reached in values]
        bottom = min([*scores, run.floor_of(run.score)] if math.isfinite(run.floor_of(run.score)) else scores)
        axis = axis_over([bottom, max(scores)], margin=0.05)
        bars[name] = [(reached, axis.place(reached.score)) for reached in values]
    return bars


def _entry(run: Run, trial: Trial, columns: list[Column], stems: list[str], link: Any) -> dict[str, Any]:
    """What the page shows of a trial on the front."""
    return {
        "trial": trial,
        "headline": [
            (column.measure.name, column.measure.show(column.value(trial)))
            for column in columns
            if not column.stem and math.isfinite(column.value(trial))
        ],
        "choices": choices(run, trial),
        "curve": sparkline(trial.curve(run.score)),
        "excerpts": [_linked(excerpt, stems, link) for excerpt in excerpts(trial.folder, stems)],
        "commands": _commands(run, trial),
    }


def _commands(run: Run, trial: Trial) -> list[tuple[str, str]]:
    """What can be done with a trial, as far as its files are there: each purpose with its command."""
    config = run.folder / "pareto" / f"{trial.folder.name}.yaml"
    commands = []
    if config.is_file():
        out = Path("runs") / f"{run.name}-{trial.folder.name}"
        commands.append(("Train it anew", shlex.join(["unetsep", "fit", "--config", str(config), "--out", str(out)])))
    if (trial.folder / "checkpoints" / "best.ckpt").is_file():
        commands.append(("Use it", shlex.join(["unetsep", "separate", str(trial.folder)]) + " song.wav --out stems"))
    return commands


def _linked(excerpt: Excerpt, stems: list[str], link: Any) -> dict[str, Any]:
    """An excerpt with addresses in place of files; a stem's index is that of its colour."""
    return {
        "track": excerpt.track or "pictures",
        "mixture": link(excerpt.mixture) if excerpt.mixture else "",
        "stems": [
            {
                "name": stem.name,
                "index": stems.index(stem.name) if stem.name in stems else len(stems),
                "reference": link(stem.reference) if stem.reference else "",
                "estimate": link(stem.estimate) if stem.estimate else "",
            }
            for stem in excerpt.stems.values()
        ],
        "pictures": [(title, link(path)) for title, path in excerpt.pictures.items()],
    }
