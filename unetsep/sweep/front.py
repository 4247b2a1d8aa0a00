"""The best trials of a sweep as configs: what a sweep puts out, a training takes in."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

from unetsep.sweep.document import read_yaml, write_yaml
from unetsep.sweep.judging import PLACE
from unetsep.sweep.trials import read_result


def pareto_front(points: Sequence[Sequence[float]], maximize: Sequence[bool]) -> list[int]:
    """Indices of the points that no other point dominates, in the order given.

    A point dominates another if it is at least as good in every objective and better in one. Equal points do not
    dominate each other: a tie keeps both. A point with a NaN or an infinity has not been measured: it is never on the
    front and dominates nothing.

    Args:
        points: one row per trial, one value per objective.
        maximize: for each objective, True if more is better.

    Raises:
        ValueError: if a row has not one value per objective.
    """
    signs = [1.0 if up else -1.0 for up in maximize]
    gains: dict[int, list[float]] = {}
    for index, point in enumerate(points):
        if len(point) != len(signs):
            raise ValueError(f"point {index} has {len(point)} values, but there are {len(signs)} objectives")
        if all(math.isfinite(value) for value in point):
            gains[index] = [sign * value for sign, value in zip(signs, point, strict=True)]
    return [index for index, gain in gains.items() if not any(_dominates(other, gain) for other in gains.values())]


def _dominates(first: list[float], second: list[float]) -> bool:
    return first != second and all(a >= b for a, b in zip(first, second, strict=True))


def write_front(run: Path, objectives: Mapping[str, str]) -> list[Path]:
    """Writes `run/pareto/<number>.yaml` for every trial that no other beats in all objectives, and removes older ones.

    Each is the trial's complete config without the folder and the names it had in the sweep, so that
    `unetsep fit --config run/pareto/0007.yaml` trains it anew in a folder of its own.

    Args:
        run: the run folder.
        objectives: `maximize` or `minimize` by measure.
    """
    folder = run / "pareto"
    results = [(trial, read_result(trial)) for trial in sorted((run / "trials").glob("[0-9]*"))]
    measured = [(trial, result) for trial, result in results if result is not None and result.measured]
    points = [[result.value(measure) for measure in objectives] for _, result in measured]
    best = pareto_front(points, [direction == "maximize" for direction in objectives.values()])
    written = []
    for trial in (measured[index][0] for index in best):
        if (trial / "config.yaml").is_file():
            content = {key: value for key, value in read_yaml(trial / "config.yaml").items() if key not in PLACE}
            written.append(folder / f"{trial.name}.yaml")
            write_yaml(written[-1], content)
    for stale in set(folder.glob("*.yaml")) - set(written):
        stale.unlink()
    return written
