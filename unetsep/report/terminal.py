"""The front in the terminal: score against cost, for those without a browser."""

import math
from collections.abc import Iterator, Sequence
from itertools import count
from typing import Any

import plotext
from rich.text import Text

from unetsep.report.measures import measure
from unetsep.report.run import Run

WIDEST = 110
"""Columns of the plot at most; beyond that, neighbours would only be moved apart."""

NARROWEST = 60
"""Columns below which there is no plot: the line below it would break."""

LINES = 19
"""Lines of the plot, title and ticks included."""

DECADE = 10.0
"""Costs that differ by this factor or more are drawn on a logarithmic axis, as networks twice as large are one step."""

MOST = 8
"""Ticks on an axis."""

MARGIN = 0.06
"""Of an axis' range, added at both ends."""

FRONT, BEATEN, FLOOR = "●", "○", "┈"


def front_plot(run: Run, width: int) -> Text:
    """The measured trials as dots, score against cost, the front's filled, with the floor as a line.

    Args:
        run: One sweep or several.
        width: Of the terminal in columns.

    Returns:
        Lines no wider than that, for rich to print: in colour on a terminal, in the same characters elsewhere. Empty
        where fewer than two trials have a score and a cost, or there is no room.
    """
    cost = run.cost
    if cost is None or width < NARROWEST:
        return Text()
    trials = [trial for trial in run.ranked if all(map(math.isfinite, (trial.value(cost), trial.value(run.score))))]
    if len(trials) < 2:
        return Text()
    costs, scores = [trial.value(cost) for trial in trials], [trial.value(run.score) for trial in trials]
    floor = run.floor_of(run.score)
    heights = [*scores, floor] if math.isfinite(floor) else scores
    logarithmic = min(costs) > 0 and max(costs) >= DECADE * min(costs)
    along = math.log10 if logarithmic else float

    plotext.terminal.limit(False, False)  # it would look for a terminal of its own, whose width is not the one given
    figure = plotext.figure
    figure.clear()
    figure.theme("colorless")
    figure.plot_size(min(width, WIDEST), LINES)
    figure.title(f"{measure(run.score).heading} against {measure(cost).heading}")
    _scale(figure.ruler("x"), list(map(along, costs)), {along(tick): tick for tick in ticks(costs, logarithmic)})
    _scale(figure.ruler("y"), heights, {tick: tick for tick in ticks(heights)})
    if math.isfinite(floor):
        figure.line(floor, style="dotted")
    for marker, on_front in ((BEATEN, False), (FRONT, True)):  # the front last, so that nothing hides it
        chosen = [trial for trial in trials if (trial.key in run.front_keys) is on_front]
        if chosen:
            places = [along(trial.value(cost)) for trial in chosen], [trial.value(run.score) for trial in chosen]
            figure.draw(figure.signal(*places, marker=marker))
    lines = [line.rstrip() for line in plotext.uncolorize(str(figure.build())).splitlines()]
    legend = f"{FRONT} on the front   {BEATEN} beaten by another"
    if math.isfinite(floor):
        legend += f"   {FLOOR} floor, {measure(run.score).show(floor)}"
    drawing = Text("\n".join([*lines, legend]), no_wrap=True, overflow="crop")
    drawing.highlight_regex(FRONT, "bold cyan")
    drawing.highlight_regex(FLOOR, "yellow")
    return drawing


def ticks(values: Sequence[float], logarithmic: bool = False) -> list[float]:
    """Some round numbers within the values' range: 1, 2 and 5 times powers of ten, or evenly spaced ones."""
    low, high = min(values), max(values)
    if logarithmic:
        found = list(_ones_twos_fives(low, high))
        return found if len(found) <= MOST else [number for number in found if f"{number:e}".startswith("1")]
    if low == high:
        return [low]
    step = next(step for step in _ones_twos_fives((high - low) / MOST, math.inf))
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [round(number * step, 12) for number in range(first, last + 1)]


def _ones_twos_fives(low: float, high: float) -> Iterator[float]:
    """1, 2, 5, 10, 20, ... from one number to another, whatever their size."""
    for power in count(math.floor(math.log10(low))):
        for digit in (1, 2, 5):
            number = float(f"{digit}e{power}")
            if number > high:
                return
            if number >= low:
                yield number


def _scale(ruler: Any, values: Sequence[float], labels: dict[float, float]) -> None:
    """Gives a ruler its ticks, and a range in which no point lies on the frame."""
    low, high = min(values), max(values)
    margin = MARGIN * (high - low) or 1.0
    ruler.lim(low - margin, high + margin)
    ruler.ticks(list(labels), [f"{value:.6g}" for value in labels.values()])
