"""The Pareto front: the trials that no other trial beats in every objective."""

import math
from collections.abc import Sequence


def pareto_front(points: Sequence[Sequence[float]], maximize: Sequence[bool]) -> list[int]:
    """Indices of the points that no other point dominates, in the order given.

    A point dominates another if it is at least as good in every objective and better in one. Equal points do not
    dominate each other: a tie keeps both. A point with a NaN or an infinity has not been measured: it is never on the
    front and dominates nothing.

    Args:
        points: One row per trial, one value per objective.
        maximize: For each objective, True if more is better.

    Raises:
        ValueError: If a row has not one value per objective.
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
