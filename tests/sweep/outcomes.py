"""What sweeps came to, and in what two of them differ."""

import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from unetsep.sweep.document import read_yaml
from unetsep.sweep.trials import Result, read_result

from .toy import trials_of

TIMES = ("time",)  # what no two trainings have in common


def results_of(run: Path) -> list[Result]:
    found = [read_result(folder) for folder in sorted((run / "trials").iterdir())]
    assert all(found)
    return [result for result in found if result is not None]


def lines_of(path: Path) -> list[dict[str, Any]]:
    lines = [json.loads(line) for line in path.read_text().splitlines()] if path.is_file() else []
    return [{key: value for key, value in line.items() if key not in TIMES} for line in lines]


def outcome(run: Path) -> dict[str, Any]:
    """All that a sweep came to, but for times and for who did it."""
    told: dict[str, Any] = {}
    for trial in trials_of(run):
        noted = {key: value for key, value in trial.user_attrs.items() if key != "work"}
        told[f"{trial.number:04d} in the study"] = (
            trial.state.name,
            trial.values,
            trial.params,
            trial.constraints,
            noted,
        )
    for result in results_of(run):
        folder = run / "trials" / f"{result.number:04d}"
        told[f"{folder.name} result"] = (
            result.state,
            result.reason,
            result.params,
            result.scores,
            result.rungs,
            result.cost,
            result.epoch,
        )
        for name in ("metrics.jsonl", "tracks.jsonl"):
            told[f"{folder.name} {name}"] = lines_of(folder / name)
        told[f"{folder.name} files"] = sorted(
            str(path.relative_to(folder)) for path in folder.rglob("*") if visible(path.relative_to(folder))
        )
    for path in sorted((run / "pareto").iterdir()):
        told[f"pareto {path.name}"] = read_yaml(path)
    return told


def visible(path: Path) -> bool:
    """Whether a file matters: W&B's names hold times, and hidden ones are locks and what a kill left unfinished."""
    return path.parts[0] != "wandb" and not any(part.startswith(".") for part in path.parts)


def differences(run: Path, whole: Path) -> list[str]:
    return list(differing(outcome(run), outcome(whole), run.name))


def differing(mine: Any, theirs: Any, where: str) -> Iterator[str]:
    """Says what differs in two nested values, and where."""
    if isinstance(mine, dict) and isinstance(theirs, dict):
        for key in dict.fromkeys([*mine, *theirs]):
            yield from differing(mine.get(key), theirs.get(key), f"{where}, {key}")
    elif isinstance(mine, list | tuple) and isinstance(theirs, list | tuple) and len(mine) == len(theirs):
        for index, (one, other) in enumerate(zip(mine, theirs, strict=True)):
            yield from differing(one, other, f"{where}[{index}]")
    elif mine != theirs:
        yield f"{where} is {str(mine)[:200]} instead of {str(theirs)[:200]}"


def mixed_up(run: Path) -> list[str]:
    """What is wrong with a sweep's records, whatever it came to: epochs taken twice, W&B runs of two trials."""
    wrong, owners = [], Counter[str]()
    for result in results_of(run):
        folder = run / "trials" / f"{result.number:04d}"
        epochs = [line["epoch"] for line in lines_of(folder / "metrics.jsonl") if "val/usdr" in line]
        if epochs != list(range(len(epochs))) or (result.measured and len(epochs) != 2 ** (len(result.rungs) - 1)):
            wrong.append(f"{folder.name} has validations of epochs {epochs} and {len(result.rungs)} rungs")
        ids = {path.name.partition("run-")[2].split("-")[1] for path in (folder / "wandb").glob("*run-*-*")}
        if len(ids) != int(result.trained):
            wrong.append(f"{folder.name} has W&B runs {sorted(ids)}")
        owners.update(ids)
        inside = {path.stem.rpartition("-")[2] for path in (folder / "wandb").glob("*run-*-*/run-*.wandb")}
        if not inside <= ids:
            wrong.append(f"{folder.name} has W&B files {sorted(inside)} in runs {sorted(ids)}")
        if (folder / "progress.json").exists():
            wrong.append(f"{folder.name} seems to be in training")
    return wrong + [f"W&B run {name} is of {count} trials" for name, count in owners.items() if count > 1]


def unlike(run: Path, whole: Path) -> list[str]:
    """What a sweep trained otherwise than another one that decided in another order, and what it left undone."""
    wrong, others = [], {result.number: result for result in results_of(whole)}
    for result in results_of(run):
        other = others.get(result.number)
        if not result.final or result.state == "failed":
            wrong.append(f"{result.number} is {result.state}: {result.reason}")
        if other is None:
            continue
        both = min(len(result.rungs), len(other.rungs))
        mine, theirs = ((each.params, each.cost, each.rungs[:both]) for each in (result, other))
        if mine != theirs:
            wrong.append(f"{result.number}: {mine} instead of {theirs}")
    states = Counter(result.state for result in results_of(run))
    if sum(result.trained for result in results_of(run)) != 6 or not states["complete"]:
        wrong.append(f"there are {states}")
    return wrong
