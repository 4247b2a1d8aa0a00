"""The comparison report of a sweep in Weights & Biases: its specification, made offline, and its publication."""

import contextlib
import io
import json
import math
from pathlib import Path
from typing import Any
from urllib.parse import quote

from unetsep.audio.files import InputError, replacing
from unetsep.report.account import entity_and_project, refuse_without_login, refused
from unetsep.report.answer import answer
from unetsep.report.logged import config_keys, run_ids, summary_key
from unetsep.report.measures import measure
from unetsep.report.panels import COLUMNS, bars, browsers, curves, expr, influences, placed, scatters, wr
from unetsep.report.run import Run, Trial
from unetsep.report.settings import settings_of
from unetsep.sweep.wording import settings_of as settings_line

_TITLE = 128  # letters that a report's title may have


def specification(run: Run, project: str | None = None) -> dict[str, Any]:
    """What the report would be, as Weights & Biases stores it; made without any network.

    Args:
        run: the sweep, or several.
        project: `ENTITY/PROJECT`, or `PROJECT` alone; the runs' own project when not given.

    Raises:
        InputError: if the project is neither.
    """
    entity, name = entity_and_project(project)
    report: Any = _report(run, entity, name)
    # what `Report.save` sends; the library has no public name for it
    stored: dict[str, Any] = report._to_model().model_dump(mode="json", by_alias=True, exclude_none=True)
    return stored


def write_spec(run: Run, path: Path, project: str | None = None) -> None:
    """Writes the report's specification as a JSON file.

    Raises:
        InputError: if the file cannot be written.
    """
    with replacing(Path(path)) as unfinished:
        text = json.dumps(specification(run, project), indent=2, ensure_ascii=False)
        unfinished.write_text(text + "\n", encoding="utf-8")


def publish(run: Run, project: str) -> str:
    """Makes the report in Weights & Biases; the runs that it shows are sent by `unetsep report RUN --sync`.

    Args:
        run: the sweep, or several.
        project: `ENTITY/PROJECT`.

    Returns:
        The report's address.

    Raises:
        InputError: if the project is not of that form, nobody is logged in, or Weights & Biases refuses.
    """
    import wandb

    entity, name = entity_and_project(project)
    if not entity:
        raise refused(project)
    refuse_without_login("publishing a report")
    report = _report(run, entity, name)
    try:
        with contextlib.redirect_stderr(io.StringIO()):  # it would tell an address that a question mark cuts off
            report.save()
    except (wandb.Error, ValueError, OSError) as error:  # what requests raises is an OSError
        words = " ".join(str(error).split())
        raise InputError(
            f"Weights & Biases took no report in {project}: {words}; check the name and your rights"
        ) from error
    return quote(report.url, safe=":/=")


def _report(run: Run, entity: str, project: str) -> wr.Report:
    settings = [(setting, config_keys(run, setting)) for setting in settings_of(run)]
    blocks = [
        *_words(run),
        wr.H2("Score against cost"),
        wr.PanelGrid(runsets=[_all(run)], panels=placed(scatters(run), 12, 8)),
        wr.H2("What was varied"),
        wr.PanelGrid(runsets=[_all(run)], panels=placed(influences(run, settings), COLUMNS, 10)),
    ]
    if stem_bars := bars(run, settings):
        blocks += [wr.H2("Stem by stem"), wr.PanelGrid(runsets=[_all(run)], panels=placed(stem_bars, 12, 8))]
    blocks += [wr.H2("Learning"), wr.PanelGrid(runsets=[_all(run)], panels=placed(curves(run), 12, 8))]
    if media := browsers(run):
        blocks += [
            wr.H2("Listen and look"),
            wr.P("The trials on the front, on the same seconds of the same songs."),
            wr.PanelGrid(runsets=[_front(run)], panels=placed(media, COLUMNS, 10)),
        ]
    comparer = wr.RunComparer(diff_only="split")
    blocks += [wr.H2("Compare configs"), wr.PanelGrid(runsets=[_front(run)], panels=placed([comparer], COLUMNS, 16))]
    title = run.question or f"The sweep {run.name}"
    return wr.Report(
        project=project,
        entity=entity,
        title=title if len(title) <= _TITLE else title[: _TITLE - 1] + "…",
        description=f"{run.name}: {run.tally()}",
        blocks=blocks,
        width="fluid",
    )


def _words(run: Run) -> list[Any]:
    """The question, the answer, and the front as text."""
    score = measure(run.score)
    blocks: list[Any] = [wr.P(run.question)] if run.question else []
    blocks += [wr.P(sentence) for sentence in [*answer(run), *run.agreement]]
    blocks.append(wr.P(f"{run.tally().capitalize()}. {score.name}: {score.definition}."))
    blocks.append(wr.UnorderedList(items=[_line(run, trial) for trial in run.front]))
    return blocks


def _line(run: Run, trial: Trial) -> str:
    """A trial of the front: `trial 7: usdr 5.46 dB, multiply-adds 0.06 GMAC/s; depth 3, width 8`."""
    known = [key for key in run.objectives if math.isfinite(trial.value(key))]
    reached = ", ".join(f"{measure(key).name} {measure(key).show(trial.value(key))}" for key in known)
    return f"trial {trial.key}: {reached}; {settings_line(trial.params)}"


def _all(run: Run) -> wr.Runset:
    """The runs of the sweeps, best first."""
    groups = list(dict.fromkeys(trial.sweep or run.name for trial in run.trials))
    return _runset(run, "all trials", expr.Metric("Group").isin(groups))


def _front(run: Run) -> wr.Runset:
    """The runs of the trials on the front, best first; all where none left its id."""
    ids = run_ids(run.front)
    return _runset(run, "the front", expr.Metric("ID").isin(ids)) if ids else _all(run)


def _runset(run: Run, name: str, chosen: Any) -> wr.Runset:
    columns = [f"summary:{summary_key(key)}" for key in dict.fromkeys([run.score, *run.objectives])]
    best_first = wr.OrderBy(wr.SummaryMetric(summary_key(run.score)), ascending=not run.objectives[run.score])
    return wr.Runset(name=name, filters=expr.And(chosen), order=[best_first], pinned_columns=columns)
