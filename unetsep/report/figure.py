"""The geometry of the page's pictures: positions as shares of the plot's width and height, for an SVG that scales.

Text keeps its size on every screen because only positions are relative; the template draws.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from unetsep.report.measures import measure
from unetsep.report.run import Run, Trial
from unetsep.sweep.wording import amount_of

WIDE = 10.0
"""An axis whose largest value is this many times its smallest is logarithmic."""


@dataclass(frozen=True)
class Axis:
    """One axis: where a value lies on it, from 0 at its start to 1 at its end, and its ticks."""

    low: float
    high: float
    logarithmic: bool = False

    def place(self, value: float) -> float:
        """The share of the axis that lies below `value`."""
        return (self._scaled(value) - self._scaled(self.low)) / (self._scaled(self.high) - self._scaled(self.low))

    def ticks(self, most: int = 6) -> list[float]:
        """At most `most` round values on the axis."""
        if self.logarithmic:
            low, high = math.floor(math.log10(self.low)), math.ceil(math.log10(self.high))
            for digits in ((1, 2, 5), (1, 3), (1,)):
                values = [digit * 10.0**power for power in range(low, high + 1) for digit in digits]
                inside = [value for value in values if self.low <= value <= self.high]
                if len(inside) <= most:
                    return inside
            return inside[:: math.ceil(len(inside) / most)]
        rough = (self.high - self.low) / most
        power = 10.0 ** math.floor(math.log10(rough))
        step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= rough)
        first, last = math.ceil(self.low / step - 1e-9), math.floor(self.high / step + 1e-9)
        return [round(index * step, 12) for index in range(first, last + 1)]

    def _scaled(self, value: float) -> float:
        return math.log(value) if self.logarithmic else value


def axis_over(values: Sequence[float], *, may_be_logarithmic: bool = False, margin: float = 0.07) -> Axis:
    """The axis that shows all `values` with some room at both ends; a single value gets room around it."""
    low, high = min(values), max(values)
    if may_be_logarithmic and low > 0 and high / low >= WIDE:
        room = (high / low) ** margin
        return Axis(low / room, high * room, logarithmic=True)
    room = (high - low) * margin or abs(high) * margin or 1.0
    return Axis(low - room, high + room)


@dataclass(frozen=True)
class Point:
    """A trial's place in the figure, in shares of its width (from the left) and height (from the top)."""

    trial: Trial
    x: float
    y: float
    on_front: bool
    label: str


@dataclass(frozen=True)
class Figure:
    """Score against cost: the points, the steps along the front, the floor, and the ticks with their labels."""

    x_title: str
    y_title: str
    points: list[Point]
    steps: list[tuple[float, float, float, float]] = field(default_factory=list)
    floor: tuple[float, str] | None = None
    x_ticks: list[tuple[float, str]] = field(default_factory=list)
    y_ticks: list[tuple[float, str]] = field(default_factory=list)


def score_against_cost(run: Run) -> Figure | None:
    """The figure of all measured trials; None if the sweep knows no cost.

    The floor is left out where it is unknown. Steps join the front only where score and cost are the objectives:
    with a third one the front is no line in this plane.
    """
    measured = [
        trial
        for trial in run.ranked
        if run.cost and math.isfinite(trial.value(run.score)) and math.isfinite(trial.value(run.cost))
    ]
    if not run.cost or not measured:
        return None
    score, cost, floor = measure(run.score), measure(run.cost), run.floor_of(run.score)
    has_floor = math.isfinite(floor)
    across = axis_over([trial.value(run.cost) for trial in measured], may_be_logarithmic=True)
    up = axis_over([trial.value(run.score) for trial in measured] + [floor] * has_floor)
    numbers = {trial.number for trial in run.front}
    points = [
        Point(
            trial=trial,
            x=across.place(trial.value(run.cost)),
            y=1 - up.place(trial.value(run.score)),
            on_front=trial.number in numbers,
            label=f"trial {trial.number}: {score.name} {score.show(trial.value(run.score))}, "
            f"{cost.show(trial.value(run.cost))}",
        )
        for trial in measured
    ]
    return Figure(
        x_title=cost.heading,
        y_title=score.heading,
        points=sorted(points, key=lambda point: point.on_front),  # the front is drawn last, on top
        steps=_steps(points) if set(run.objectives) == {run.score, run.cost} else [],
        floor=(1 - up.place(floor), score.show(floor)) if has_floor else None,
        x_ticks=[(across.place(tick), f"{tick:.3g}") for tick in across.ticks(5)],
        y_ticks=[(1 - up.place(tick), f"{tick:.3g}") for tick in up.ticks(6)],
    )


def _steps(points: list[Point]) -> list[tuple[float, float, float, float]]:
    """From one front trial to the next dearer one: what the cheaper reaches holds until the dearer's cost."""
    front = sorted((point.x, point.y) for point in points if point.on_front)
    steps = []
    for (x, y), (next_x, next_y) in pairwise(front):
        steps += [(x, y, next_x, y), (next_x, y, next_x, next_y)]
    return steps


@dataclass(frozen=True)
class Climb:
    """One trial's scores rung by rung, as places in the figure: shares of its width and height."""

    trial: Trial
    places: list[tuple[float, float]]
    on_front: bool
    label: str

    @property
    def lines(self) -> list[tuple[float, float, float, float]]:
        """What joins each place to the next."""
        return [(*here, *there) for here, there in pairwise(self.places)]


@dataclass(frozen=True)
class Climbs:
    """Score against the length of training: every trial's climb, and the ticks with their labels."""

    x_title: str
    y_title: str
    climbs: list[Climb]
    x_ticks: list[tuple[float, str]]
    y_ticks: list[tuple[float, str]]


def score_at_rungs(run: Run) -> Climbs | None:
    """The figure of all trials' scores at the rungs that they reached; None if none reached two.

    Lines that keep their order from left to right are a short training that predicts a long one.
    """
    if run.rungs is None:
        return None
    amounts, numbers = run.rungs.amounts, {trial.number for trial in run.front}
    across = axis_over(amounts, may_be_logarithmic=True)
    curves = []
    for trial in run.ranked:
        scores = [rung.get(run.score, math.nan) for rung in trial.rungs[: len(amounts)]]
        curve = [pair for pair in zip(amounts, scores, strict=False) if math.isfinite(pair[1])]
        curves += [(trial, curve)] if curve else []
    if max((len(curve) for _, curve in curves), default=0) < 2:
        return None
    score, up = measure(run.score), axis_over([value for _, curve in curves for _, value in curve])
    climbs = [
        Climb(
            trial=trial,
            places=[(across.place(amount), 1 - up.place(value)) for amount, value in curve],
            on_front=trial.number in numbers,
            label=f"trial {trial.number}: {', '.join(score.show(value, unit=False) for _, value in curve)}",
        )
        for trial, curve in curves
    ]
    return Climbs(
        x_title=f"{run.rungs.unit} of training",
        y_title=score.heading,
        climbs=sorted(climbs, key=lambda climb: climb.on_front),
        x_ticks=[(across.place(amount), amount_of(amount)) for amount in amounts],
        y_ticks=[(1 - up.place(tick), f"{tick:.3g}") for tick in up.ticks(5)],
    )


def sparkline(curve: Sequence[tuple[float, float]]) -> str:
    """The `points` of an SVG polyline for one learning curve in a box of 100 by 28; empty for fewer than two values."""
    if len({epoch for epoch, _ in curve}) < 2:
        return ""
    across, up = axis_over([epoch for epoch, _ in curve], margin=0.02), axis_over([value for _, value in curve])
    return " ".join(f"{100 * across.place(epoch):.1f},{28 * (1 - up.place(value)):.1f}" for epoch, value in curve)
