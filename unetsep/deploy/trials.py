"""Which file a path means: itself, or the best checkpoint in a run's folder or a sweep's."""

import contextlib
import json
import math
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeGuard

import yaml

from unetsep.audio.files import InputError


def parse_at_most(text: str) -> tuple[str, float]:
    """A limit of cost as it is given on the command line, `gmacs_per_second=0.5`, as its measure and number.

    Raises:
        InputError: If it is anything else.
    """
    measure, _, number = text.partition("=")
    with contextlib.suppress(ValueError):
        if measure.strip() and not math.isnan(most := float(number)):
            return measure.strip().removeprefix("cost/"), most
    raise InputError(f"--at-most is given {text!r}, but takes a measure of cost and a number: gmacs_per_second=0.5")


def find_checkpoint(path: Path, at_most: Mapping[str, float] | None = None) -> Path:
    """The model that a path means: itself, or the best checkpoint of a run's, trial's or sweep's folder.

    Args:
        path: A file, or a folder.
        at_most: For a sweep's folder: limits on what the trial costs, by measure, as its `result.json` names them.

    Returns:
        A file; of a folder `checkpoints/best.ckpt`, or `last.ckpt` where that is all there is. Of a sweep's folder that
        of the complete trial with the best value of the first objective that is no cost.

    Raises:
        InputError: If there is none, or none within the limits.
    """
    if not path.exists():
        raise InputError(f"no model at {path}: give a checkpoint, an exported file, a run's folder or a sweep's")
    sweep = (path / "sweep.yaml").is_file()
    if at_most and not sweep:
        raise InputError(
            f"--at-most chooses among the trials of a sweep, but {path} is no sweep's folder: leave it out"
        )
    if path.is_file():
        return path
    folder = _best_trial(path, at_most or {}) if sweep else path
    for name in ("best.ckpt", "last.ckpt"):
        if (folder / "checkpoints" / name).is_file():
            return folder / "checkpoints" / name
    raise InputError(f"no checkpoint in {folder}: it has no checkpoints/best.ckpt; give a trained run")


def _best_trial(sweep: Path, at_most: Mapping[str, float]) -> Path:
    """The complete trial with the best first score among the sweep's objectives, of those that cost no more."""
    settings = _held(sweep / "sweep.yaml", yaml.safe_load)
    objectives = settings.get("objectives") if isinstance(settings, dict) else None
    if not isinstance(objectives, dict) or not objectives:
        raise InputError(
            f"{sweep / 'sweep.yaml'} names no objectives, so its best trial is unknown: give a trial's folder"
        )
    score = next((key for key in objectives if not str(key).startswith("cost/")), None)
    if score is None:
        raise InputError(f"{sweep} optimises costs only, so it has no best trial: give a trial's folder")
    sign = 1.0 if objectives[score] == "maximize" else -1.0
    found: list[tuple[float, Path, dict[str, float]]] = []
    for file in sorted((sweep / "trials").glob("*/result.json")):
        result = _held(file, json.loads)
        scores = result.get("scores") if isinstance(result, dict) else None
        if not isinstance(scores, dict):
            raise InputError(f"{file} is no trial's result: it holds no scores; give a trial's folder")
        cost = result.get("cost")
        costs = {key: float(value) for key, value in cost.items() if _finite(value)} if isinstance(cost, dict) else {}
        value = scores.get(score)
        if result.get("state") == "complete" and _finite(value):
            found.append((sign * value, file.parent, costs))
    if not found:
        raise InputError(f"no trial in {sweep} has a {score} yet: let `unetsep sweep` finish one")
    for measure, most in at_most.items():
        known = [trial for trial in found if measure in trial[2]]
        if not known:
            names = sorted({name for trial in found for name in trial[2]})
            raise InputError(f"no trial in {sweep} knows its {measure}: use one of {', '.join(names)}")
        found = [trial for trial in known if trial[2][measure] <= most]
        if not found:
            _, nearest, costs = min(known, key=lambda trial: trial[2][measure])
            raise InputError(
                f"no trial in {sweep} has at most {most:g} {measure}"
                f"{' within the other limits' if len(at_most) > 1 else ''}: "
                f"the nearest is {nearest.name} with {costs[measure]:.4g}"
            )
    return max(found, key=lambda trial: trial[0])[1]


def _finite(value: Any) -> TypeGuard[float]:
    return isinstance(value, int | float) and abs(value) <= sys.float_info.max  # as JSON knows longer integers


def _held(file: Path, parse: Callable[[str], Any]) -> Any:
    try:
        return parse(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError, yaml.YAMLError) as error:
        raise InputError(f"{file} cannot be read ({one_line(error)}); give a trial's folder") from None


def one_line(error: BaseException) -> str:
    """The error's text as one line that is not too long to read."""
    text = " ".join(str(error).split()) or type(error).__name__
    return text if len(text) <= 300 else text[:297] + "..."
