"""What the page knows of each trial, for its card, its curve and its place in the charts."""

import math
import shlex
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from unetsep.model.drawing import draw
from unetsep.model.outline import read_outline
from unetsep.report.measures import measure
from unetsep.report.run import Run, Trial
from unetsep.report.tables import Column, choices

CARD = (
    "gmacs_per_second",
    "params",
    "depth",
    "receptive_field_seconds",
    "receptive_field_hz",
    "peak_memory_mb",
    "rtf_cpu",
)
"""The cost card's lines, as far as they were measured."""

DIGITS = 4
"""Significant digits of the numbers that only charts need."""


def details(run: Run, columns: Sequence[Column], link: Callable[[Path], str]) -> dict[str, dict[str, Any]]:
    """Every measured trial by its key, as plain data.

    Args:
        run: The trials.
        columns: The leaderboard's, whose values are told.
        link: From a file in the run's folder to its address on the page.
    """
    return {trial.key: _detail(run, trial, columns, link) for trial in run.ranked}


def _detail(run: Run, trial: Trial, columns: Sequence[Column], link: Callable[[Path], str]) -> dict[str, Any]:
    score, config = measure(run.score), trial.folder / "config.yaml"
    spread = trial.spread.get(run.score, math.nan)
    shown = score.show(trial.value(run.score)) + (
        f" ± {score.show(spread, unit=False)}" if math.isfinite(spread) else ""
    )
    outline = read_outline(trial.folder)
    return {
        "key": trial.key,
        "onFront": trial.key in run.front_keys,
        "state": trial.state,
        "score": f"{score.name} {shown}",
        "values": {key: value for key, value in _values(run, trial) if math.isfinite(value)},
        "stems": [
            [column.stem, column.measure.show(column.value(trial))]
            for column in columns
            if column.stem and math.isfinite(column.value(trial))
        ],
        "card": [
            [measure(f"cost/{name}").name, measure(f"cost/{name}").show(trial.cost[name])]
            for name in CARD
            if math.isfinite(trial.cost.get(name, math.nan))
        ],
        "choices": [list(choice) for choice in choices(run, trial)],
        "u": draw(outline) if outline else "",
        "curve": [[_short(amount), _short(value)] for amount, value in _curve(run, trial)],
        "config": link(config) if config.is_file() and not config.is_symlink() else "",
        "commands": [list(command) for command in _commands(trial)],
    }


def _values(run: Run, trial: Trial) -> list[tuple[str, float]]:
    """What the leaderboard can be filtered by, under names that one would type: `usdr`, `vocals`, `params`."""
    stems = [(stem, trial.value(f"{run.score}/{stem}")) for stem in run.stems]
    scores = [(key.partition("/")[2], value) for key, value in trial.scores.items() if key.count("/") == 1]
    return [*scores, *stems, *trial.cost.items()]


def _curve(run: Run, trial: Trial) -> list[tuple[float, float]]:
    """The score against the length of training: after every epoch, or where rungs are in another unit, at the rungs."""
    if run.rungs is None or run.rungs.unit == "epochs":
        curve = [(epoch + 1, value) for epoch, value in trial.curve(run.score)]
    else:
        curve = [
            (float(amount), rung.get(run.score, math.nan))
            for amount, rung in zip(run.rungs.amounts, trial.rungs, strict=False)
        ]
    return [point for point in curve if all(map(math.isfinite, point))]


def _short(value: float) -> float:
    return float(f"{value:.{DIGITS}g}")


def _commands(trial: Trial) -> list[tuple[str, str]]:
    """What can be done with a trial, as far as its files are there: each purpose with its command."""
    sweep, commands = trial.folder.parent.parent, []
    config = sweep / "pareto" / f"{trial.folder.name}.yaml"
    if config.is_file():
        out = Path("runs") / f"{sweep.resolve().name}-{trial.folder.name}"
        commands.append(("Train it anew", shlex.join(["unetsep", "fit", "--config", str(config), "--out", str(out)])))
    if (trial.folder / "checkpoints" / "best.ckpt").is_file():
        commands.append(("Use it", shlex.join(["unetsep", "separate", str(trial.folder)]) + " song.wav --out stems"))
    return commands
