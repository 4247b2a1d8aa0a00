"""The page: one static file with the answer, the front, the leaderboard and the sounds, which opens from disk."""

import json
import math
import os
import re
import shutil
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import quote

import vl_convert
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

import unetsep
from unetsep.audio.files import InputError, replacing
from unetsep.evaluation.comparison import show
from unetsep.model.drawing import draw
from unetsep.model.outline import read_outline
from unetsep.report import charts, effects, settings
from unetsep.report.answer import answer
from unetsep.report.compare import differences_to_best, gains, scored_measure
from unetsep.report.details import details
from unetsep.report.learning import learning
from unetsep.report.measures import measure
from unetsep.report.media import listening
from unetsep.report.networks import networks_by_depth
from unetsep.report.run import Run, Trial
from unetsep.report.tables import HEARD, Column, choices, leaderboard_columns, write_csv

CHOSEN = 3
"""So many of the front's trials are compared when the page is opened."""

GALLERY = 6
"""So many of the front are drawn below the front, from the best to the cheapest."""


def write_report(run: Run, out: Path | None = None, *, heard: int = HEARD, live: bool = False) -> Path:
    """Writes the page of a sweep, finished or still running, and what one takes from it.

    That is `index.html`, `trials.csv`, `pareto.csv`, `front.svg` (where there is a cost) and `best.svg` (the best
    trial's U, where it is known), for slides and papers.

    The page shows numbers from the trials' own files only. It needs no network and no server.

    Args:
        run: One sweep or several.
        out: Where to write. By default `<run>/report`, whose page plays the sounds where the trials left them; in
            another folder they are copied to `media/`, so that the folder can be moved.
        heard: Of how many of the best trials there are sounds and pictures, beside those on the front.
        live: Whether the open page looks for a newer one.

    Returns:
        The path of `index.html`.

    Raises:
        InputError: If `out` is a file.
    """
    folder = out or run.folder / "report"
    if folder.exists() and not folder.is_dir():
        raise InputError(f"cannot write the report into {folder}: it is a file; give a folder")
    link = _linker(folder, run, copy=out is not None)
    write_csv(run, run.trials, folder / "trials.csv")
    write_csv(run, run.front, folder / "pareto.csv")
    outline = read_outline(run.front[0].folder)
    pictures = {
        "front.svg": charts.front_svg(run),
        "best.svg": draw(outline, charts.ON_PAPER["paper"]) if outline else "",
    }
    for name, picture in pictures.items():
        if picture:
            _write(folder / name, picture)
        else:  # of another sweep, or of before
            (folder / name).unlink(missing_ok=True)
    _write(folder / "index.html", _page(run, folder, link, heard, copy=out is not None, live=live))
    return folder / "index.html"


def _page(run: Run, folder: Path, link: Callable[[Path], str], heard: int, *, copy: bool, live: bool) -> str:
    columns, varied, costs = leaderboard_columns(run), settings.settings_of(run), charts.costs_of(run)
    matter = settings.importances(run, varied)
    shares = matter.shares if matter else {}
    known = [trial for rank, trial in enumerate(run.ranked) if rank < heard or trial.key in run.front_keys]
    data: dict[str, Any] = {
        "trials": details(run, columns, link),
        "rows": [row | settings.fields(varied, trial) for row, trial in zip(charts.rows(run), run.ranked, strict=True)],
        "selected": [trial.key for trial in run.front[:CHOSEN]],
        "listening": listening(run, known, folder, copy=copy),
        "charts": _charts(run, costs, varied, shares),
    }
    environment = Environment(
        loader=PackageLoader("unetsep", "report/templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["unbroken"] = _unbroken
    environment.filters["drawing"] = Markup  # an SVG of unetsep's own, escaped where it was drawn
    return environment.get_template("index.html").render(
        run=run,
        version=unetsep.__version__,
        answer=answer(run),
        seeded=any(trial.spread for trial in run.ranked),
        objectives=" and ".join(measure(key).name for key in run.objectives),
        score=measure(run.score),
        data=_as_json(data),
        listening=data["listening"],
        costs=[(cost, measure(f"cost/{cost}").heading) for cost in costs],
        gallery=[data["trials"][trial.key] for trial in run.front[:GALLERY]],
        charts=data["charts"],
        settings=[setting for setting in varied if setting.level is None],
        importances=matter,
        networks=networks_by_depth(run),
        columns=columns,
        rows=[_row(run, trial, columns) for trial in run.ranked],
        differences=_differences(run),
        rest=[(trial, choices(run, trial)) for trial in run.rest],
        terms=_terms(run, columns),
        vega=_vega(),
        live=live,
    )


def _charts(
    run: Run, costs: list[str], varied: list[settings.Setting], shares: dict[str, float]
) -> dict[str, charts.Spec]:
    """The specifications of all charts by name; those that a sweep has nothing for are left out."""
    page = charts.ON_PAGE
    drawn: dict[str, Any] = {f"front-{cost}": charts.score_against(run, cost, page) for cost in costs}
    drawn |= {f"by-{each.field}": effects.score_by(run, each, page) for each in varied if each.level is None}
    drawn["skips"] = effects.skip_chart(run, varied, page)
    drawn["importance"] = effects.importance_chart(shares, varied, page) if shares else None
    drawn["parallel"] = effects.parallel(run, varied, shares, page)
    drawn["learning"] = learning(run, page)
    return {name: charts.spec_of(chart, page) for name, chart in drawn.items() if chart is not None}


@cache
def _vega() -> Markup:
    """The text of Vega, Vega-Lite and vega-embed, which defines `vegaEmbed`; made in a second."""
    bundle: str = vl_convert.javascript_bundle()  # type: ignore[call-arg]  # its stub asks for what has a default
    return Markup(bundle.replace("</script", "<\\/script"))


def _as_json(data: Any) -> Markup:
    """JSON for a script element: `<` is escaped, so that nothing in it can end the element or begin another."""
    text = json.dumps(data, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return Markup(text.replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029"))


def _write(path: Path, text: str) -> None:
    with replacing(path) as unfinished:
        unfinished.write_text(text, encoding="utf-8")


def _linker(page: Path, run: Run, *, copy: bool) -> Callable[[Path], str]:
    """A function from a trial's config to its address on the page, where it is copied to `configs/` if asked for."""
    names = {trial.folder / "config.yaml": trial.key for trial in run.trials}

    def link(file: Path) -> str:
        target = file
        if copy:
            target = page / "configs" / f"{names[file]}.yaml"
            with replacing(target) as unfinished:
                shutil.copyfile(file, unfinished)
        return quote(Path(os.path.relpath(target.resolve(), page.resolve())).as_posix())

    return link


def _unbroken(text: str) -> str:
    """Text in which no line ends inside `U-Net` or between a number and its unit."""
    return re.sub(r"(?<=\d) (?=\w)", "\u00a0", text.replace("-", "\u2011"))


def _terms(run: Run, columns: list[Column]) -> dict[str, str]:
    """What each column means, and each bound; the stems share one line."""
    terms = {column.heading: column.measure.definition for column in columns if not column.stem}
    if run.stems:
        terms[", ".join(run.stems)] = f"{measure(run.score).heading}, of this stem alone"
    bounds = {
        "floor": (run.floor, "one fixed frequency mask per stem, no network, the best on the training tracks"),
        "mixture": (run.mixture, "the mixture itself taken for every stem"),
        "oracle": (run.oracle, "the ideal ratio mask, which knows the stems: what masks could reach at best"),
    }
    terms |= {name: words for name, (known, words) in bounds.items() if known}
    return {term: definition for term, definition in terms.items() if definition}


def _row(run: Run, trial: Trial, columns: list[Column]) -> dict[str, Any]:
    """One line of the leaderboard: for each measure its text, and its exact value to sort and filter by."""
    values = [(column.show(trial), column.value(trial)) for column in columns]
    return {
        "trial": trial,
        "on_front": trial.key in run.front_keys,
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
