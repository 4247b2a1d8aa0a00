"""One or several sweeps' folders, read.

Only files are read (`sweep.yaml`, `floor.json`, and each trial's `result.json`, `metrics.jsonl` and `tracks.jsonl`),
so a report can be written while the sweep is still running, on another machine, and from a copy.
"""

import json
import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from unetsep.audio.files import InputError
from unetsep.report.run import Run, Trial, json_lines, number
from unetsep.sweep.document import read_yaml
from unetsep.sweep.rungs import read_rungs


def read_run(folder: Path) -> Run:
    """Reads a sweep's folder, finished or not.

    Raises:
        InputError: If the folder is no sweep's, or no trial of it has finished with a score.
    """
    folder = Path(folder)
    if not (folder / "sweep.yaml").is_file():
        is_trial = (folder.parent.parent / "sweep.yaml").is_file()
        hint = (
            f"that is one trial; give {folder.parent.parent}"
            if is_trial
            else "give the folder that `unetsep sweep` wrote"
        )
        raise InputError(f"no sweep in {folder}: it has no sweep.yaml ({hint})")
    sweep = read_yaml(folder / "sweep.yaml")
    run = Run(
        folder=folder,
        name=folder.resolve().name,
        question=str(sweep.get("question") or "").strip(),
        objectives=_objectives(sweep, folder),
        trials=[_read_trial(path) for path in sorted((folder / "trials").glob("[0-9]*")) if path.name.isdecimal()],
        floor=_bound(folder / "floor.json"),
        mixture=_bound(folder / "mixture.json"),
        oracle=_bound(folder / "oracle.json"),
        rungs=read_rungs(sweep.get("rungs")),
    )
    if not run.front:
        reasons = "".join(f"; trial {trial.number} {trial.state}: {trial.reason}" for trial in run.rest if trial.reason)
        raise InputError(
            f"nothing to report in {folder}: no trial has a score yet ({run.tally()}{reasons}). "
            "`unetsep sweep` with the same folder goes on where it stopped."
        )
    return run


def read_runs(folders: Sequence[Path]) -> Run:
    """Reads several sweeps' folders as one run, whose trials are called by the names of their sweeps as well.

    Bounds and rungs in which the sweeps differ are left out, and the run's `remarks` say so: other bounds on tracks of
    the same names mean other songs, sample rates or windows.

    Raises:
        InputError: As `read_run`; or if the sweeps have the same name, or other objectives or validation tracks, so
            that their scores do not compare.
    """
    runs = [read_run(folder) for folder in folders]
    first, *others = runs
    if not others:
        return first
    for run in others:
        if [other.name for other in runs].count(run.name) > 1:
            raise InputError(f"two of the sweeps are called {run.name}: give folders of different names")
        if run.objectives != first.objectives:
            raise InputError(
                f"{first.name} has the objectives {', '.join(first.objectives)}, but {run.name} "
                f"{', '.join(run.objectives)}: report them one by one"
            )
        if (tracks := _tracks(run)) and (known := _tracks(first)) and tracks != known:
            raise InputError(
                f"{first.name} and {run.name} were judged on different tracks ({len(known)} and {len(tracks)}, "
                f"{len(known & tracks)} in both), so that their scores do not compare: report them one by one"
            )
    differ = [
        bound
        for bound in ("floor", "mixture", "oracle")
        if any(getattr(run, bound) != getattr(first, bound) for run in others)
    ]
    other_rungs = any(run.rungs != first.rungs for run in others)
    remarks = []
    if differ:
        remarks.append(
            f"The sweeps differ in the {' and the '.join(differ)} of their tracks, so in songs, sample rate or window, "
            "or one was not measured: mind this where their scores are close."
        )
    if other_rungs:
        remarks.append("The sweeps have other lengths of training: a trial of one may have been trained for longer.")
    return Run(
        folder=first.folder,
        name=" + ".join(run.name for run in runs),
        question=" ".join(dict.fromkeys(run.question for run in runs if run.question)),
        objectives=first.objectives,
        trials=[replace(trial, sweep=run.name) for run in runs for trial in run.trials],
        floor={} if "floor" in differ else first.floor,
        mixture={} if "mixture" in differ else first.mixture,
        oracle={} if "oracle" in differ else first.oracle,
        rungs=None if other_rungs else first.rungs,
        remarks=tuple(remarks),
    )


def _tracks(run: Run) -> set[str]:
    """The names of the tracks that the best trial was judged on; empty where it left none."""
    lines = json_lines(run.front[0].folder / "tracks.jsonl")
    return {name for line in lines[-1:] if isinstance(line.get("tracks"), dict) for name in line["tracks"]}


def _objectives(sweep: dict[str, Any], folder: Path) -> dict[str, bool]:
    given = sweep.get("objectives")
    if not isinstance(given, dict) or not given or not set(map(str, given.values())) <= {"maximize", "minimize"}:
        raise InputError(
            f"{folder / 'sweep.yaml'} names no objectives: `objectives` is {given!r}, but must map each measure to "
            "maximize or minimize, such as {val/usdr: maximize, cost/gmacs_per_second: minimize}"
        )
    return {str(key): direction == "maximize" for key, direction in given.items()}


def _read_trial(folder: Path) -> Trial:
    own = int(folder.name)
    if not (folder / "result.json").is_file():
        epochs = [
            epoch for line in json_lines(folder / "metrics.jsonl") if math.isfinite(epoch := number(line.get("epoch")))
        ]
        reason = f"logged up to epoch {max(epochs):.0f}" if epochs else "nothing logged yet"
        return Trial(own, folder, "unfinished", reason)
    try:
        return _measured(own, folder, _mapping(folder / "result.json"))
    except InputError as error:
        return Trial(own, folder, "failed", str(error))
    except (TypeError, ValueError, AttributeError) as error:
        return Trial(own, folder, "failed", f"{folder / 'result.json'} is no trial's result: {error}")


def _measured(own: int, folder: Path, result: dict[str, Any]) -> Trial:
    epoch = number(result.get("epoch"))
    return Trial(
        number=own,
        folder=folder,
        state=str(result.get("state", "failed")),
        reason=str(result.get("reason") or ""),
        scores=_numbers(result.get("scores")),
        cost=_numbers(result.get("cost")),
        params=dict(result.get("params") or {}),
        seconds=number(result.get("seconds")),
        epoch=int(epoch) if math.isfinite(epoch) else None,
        spread=_numbers(result.get("spread")),
        rungs=tuple(_numbers(rung) for rung in result.get("rungs") or ()),
    )


def _bound(path: Path) -> dict[str, float]:
    """Empty where it was not measured, or is only half there: a report has less to show, and is no worse for it."""
    try:
        return _numbers(_mapping(path)) if path.is_file() else {}
    except (InputError, AttributeError):
        return {}


def _mapping(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (json.JSONDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise InputError(f"{path} is not JSON: {error}") from None
    if not isinstance(content, dict):
        raise InputError(f"{path} holds {type(content).__name__}, but must hold a mapping of names to values")
    return content


def _numbers(values: Any) -> dict[str, float]:
    return {str(key): number(value) for key, value in (values or {}).items()}
