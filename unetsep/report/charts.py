"""The page's charts as Vega-Lite: score against cost, and what all of them share.

A chart's trials are the rows of the page's one data set, `trials`; what a chart alone needs is in it. Colours are given
by their roles: on the page they are CSS variables, so that dark mode and printing need no second chart.
"""

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import altair as alt
import vl_convert

from unetsep.report.measures import measure
from unetsep.report.run import Run, Trial
from unetsep.sweep.front import pareto_front

Spec: TypeAlias = dict[str, Any]

WIDE = 10.0
"""An axis whose largest value is this many times its smallest is logarithmic."""

COSTS = ("gmacs_per_second", "params", "depth", "rtf_cpu", "receptive_field_seconds", "peak_memory_mb")
"""What a score may be seen against, as far as it differs between trials."""

ROLES = ("ink", "soft", "line", "paper", "accent", "floor")
ON_PAGE = {role: f"var(--{role})" for role in ROLES}
ON_PAPER = dict(zip(ROLES, ("#1c1f23", "#5f6770", "#e2e5e9", "#fdfdfc", "#0b6e6e", "#b4552d"), strict=True))

SELECTED = "indexof(selected, datum.key) >= 0"


def rows(run: Run) -> list[dict[str, Any]]:
    """The data set `trials`: every measured trial's score, spread over seeds and costs, None where unknown."""
    return [
        {
            "key": trial.key,
            "front": trial.key in run.front_keys,
            "words": words(run, trial),
            "score": _known(trial.value(run.score)),
            "spread": _known(trial.spread.get(run.score, math.nan)),
            **{cost: _known(trial.value(f"cost/{cost}")) for cost in _costs(run)},
        }
        for trial in run.ranked
    ]


def words(run: Run, trial: Trial) -> str:
    """A trial as a screen reader says it: `trial 7, on the front: usdr 5.46 dB, 0.0556 GMAC/s`."""
    keys = [run.score, *([run.cost] if run.cost else [])]
    told = [f"{measure(key).name if key == run.score else ''} {measure(key).show(trial.value(key))}" for key in keys]
    return f"trial {trial.key}{', on the front' if trial.key in run.front_keys else ''}: {', '.join(told)}".replace(
        ":  ", ": "
    ).replace(",  ", ", ")


def costs_of(run: Run) -> list[str]:
    """The costs, by name, in which the measured trials differ; what the sweep itself weighs comes first."""
    scored = [trial for trial in run.ranked if math.isfinite(trial.value(run.score))]
    known = {cost: {trial.value(f"cost/{cost}") for trial in scored} for cost in _costs(run)}
    return [cost for cost, values in known.items() if len(set(filter(math.isfinite, values))) > 1]


def _costs(run: Run) -> list[str]:
    """The names of all costs that may be shown, what the sweep itself weighs first."""
    own = [run.cost.removeprefix("cost/")] if run.cost and run.cost.startswith("cost/") else []
    return list(dict.fromkeys([*own, *COSTS]))


def score_against(run: Run, cost: str, colours: Mapping[str, str]) -> alt.LayerChart:
    """Every trial's score against a cost: the front's steps in this plane, seeds' spread, floor, mixture and oracle.

    A bound so far from the trials that they would shrink to a stripe is written at the edge instead.

    Args:
        run: The trials.
        cost: One of `costs_of`.
        colours: By role, as `ON_PAGE` and `ON_PAPER`.
    """
    score, key = measure(run.score), f"cost/{cost}"
    there = [t for t in run.ranked if math.isfinite(t.value(run.score)) and math.isfinite(t.value(key))]
    shown, beyond = _bounds(run, [trial.value(run.score) for trial in there])
    spreads = [trial.spread.get(run.score, math.nan) for trial in there]
    values = [trial.value(run.score) for trial in there] + [value for _, value in shown]
    values += [
        trial.value(run.score) + sign * bar
        for trial, bar in zip(there, spreads, strict=True)
        if math.isfinite(bar)
        for sign in (-1, 1)
    ]
    room = 0.07 * (max(values) - min(values) or 1.0)
    axis = (
        alt.Axis(tickMinStep=1, format="d")
        if cost == "depth"
        else alt.Axis(tickCount=5, format="~s" if cost == "params" else "~g")
    )
    prices = [trial.value(key) for trial in there]
    x = alt.X(f"{cost}:Q", title=measure(key).heading, scale=scale_of(prices), axis=axis)
    y = alt.Y(
        "score:Q",
        title=score.heading,
        scale=alt.Scale(domain=[min(values) - room, max(values) + room], zero=False, nice=False),
    )
    base = alt.Chart(alt.NamedData("trials")).transform_filter(f"isValid(datum.score) && isValid(datum['{cost}'])")
    layers: list[alt.Chart] = []
    for name, value in shown:
        bound = alt.Chart(alt.InlineData([{"score": value, "text": f"{name} {score.show(value)}"}])).encode(y=y)
        style = {"color": colours["floor"], "aria": False}
        layers.append(bound.mark_rule(strokeDash=[5, 4], strokeWidth=1.5, **style))
        layers.append(
            bound.mark_text(align="right", baseline="bottom", dy=-4, **style).encode(
                x=alt.value("width"), text="text:N"
            )
        )
    steps = _steps(run, there, key)
    if len(steps) > 1:
        line = alt.Chart(alt.InlineData(steps)).mark_line(
            interpolate="step-after",
            color=colours["accent"],
            opacity=0.6,
            strokeWidth=1.5,
            aria=False,
        )
        layers.append(line.encode(x=x, y=y))
    if any(map(math.isfinite, spreads)):
        bar = base.transform_calculate(low="datum.score - datum.spread", high="datum.score + datum.spread")
        bar = bar.transform_filter("isValid(datum.spread)").mark_rule(color=colours["soft"], aria=False)
        layers.append(bar.encode(x=x, y=alt.Y("low:Q", title=score.heading), y2="high:Q"))
    front = run.front_keys if key == run.cost else {trial.key for trial in _front(run, there, key)}
    on_front = f"indexof({json.dumps(sorted(front))}, datum.key) >= 0"  # in this plane
    layers += [_points(base, on_front, colours).encode(x=x, y=y), _ring(base, colours).encode(x=x, y=y)]
    labels = base.transform_filter(on_front).mark_text(
        align="right", dx=-9, dy=-7, color=colours["ink"], fontWeight="bold", fontSize=12, aria=False
    )
    layers.append(labels.encode(x=x, y=y, text="key:N"))
    for name, value in beyond:  # at most the oracle above and the mixture below: the floor is always shown
        above = value > max(values)  # where dear trials score high and cheap ones low, those corners are empty
        text = alt.Chart(alt.InlineData([{"text": f"{name} {score.show(value)} {'↑' if above else '↓'}"}]))
        mark = text.mark_text(
            align="left" if above else "right",
            dx=6 if above else 0,
            dy=8 if above else -8,
            color=colours["floor"],
            aria=False,
        )
        place = {"x": alt.value(0 if above else "width"), "y": alt.value(0 if above else "height")}
        layers.append(mark.encode(text="text:N", **place))
    described = f"{score.heading} against {measure(key).heading} of {len(there)} trials"
    return alt.layer(*layers).add_params(_selected()).properties(width="container", height=340, description=described)


def spec_of(chart: alt.LayerChart | alt.Chart, colours: Mapping[str, str]) -> Spec:
    """The chart's Vega-Lite specification, in the page's own style."""
    axis = {
        "labelColor": colours["soft"],
        "titleColor": colours["soft"],
        "gridColor": colours["line"],
        "domainColor": colours["line"],
        "tickColor": colours["line"],
        "labelFontSize": 12,
        "titleFontSize": 13,
        "titleFontWeight": "normal",
        "labelLimit": 140,
    }
    font = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', sans-serif"
    styled = chart.configure(background="transparent", font=font, axis=axis, view={"stroke": None})
    drawn: Spec = styled.to_dict(validate=False)  # was checked part by part; once more would take as long again
    drawn.setdefault("datasets", {})
    return drawn


def front_svg(run: Run) -> str:
    """The first of `costs_of` against the score as a picture by itself, for slides and papers; empty without a cost."""
    if not (costs := costs_of(run)):
        return ""
    drawn = spec_of(score_against(run, costs[0], ON_PAPER).properties(width=720), ON_PAPER)
    drawn["datasets"]["trials"] = rows(run)
    return vl_convert.vegalite_to_svg({**drawn, "background": ON_PAPER["paper"]})


def scale_of(values: Sequence[float], **more: Any) -> alt.Scale:
    """A scale for positive or other numbers: logarithmic where they span much, and never forced to begin at zero."""
    if min(values) > 0 and max(values) / min(values) >= WIDE:
        return alt.Scale(type="log", nice=False, padding=24, **more)
    return alt.Scale(zero=False, nice=False, padding=24, **more)


def _points(base: alt.Chart, on_front: str, colours: Mapping[str, str]) -> alt.Chart:
    """The trials themselves: filled where on the front."""
    fill = alt.condition(on_front, alt.value(colours["accent"]), alt.value(colours["paper"]))
    stroke = alt.condition(on_front, alt.value(colours["accent"]), alt.value(colours["soft"]))
    size = alt.condition(on_front, alt.value(110), alt.value(65))
    points = base.mark_point(shape="circle", strokeWidth=1.5, opacity=1, cursor="pointer")
    return points.encode(fill=fill, stroke=stroke, size=size, description="words:N", order=alt.Order("front:Q"))


def _ring(base: alt.Chart, colours: Mapping[str, str]) -> alt.Chart:
    """A ring around each selected trial; around the others one that is not seen, and may be pointed at all the same."""
    ring = base.mark_point(shape="circle", size=280, strokeWidth=2, fill="transparent", aria=False, cursor="pointer")
    opacity = alt.condition(SELECTED, alt.value(1), alt.value(0))
    return ring.encode(stroke=alt.value(colours["ink"]), opacity=opacity)


def _selected() -> alt.Parameter:
    return alt.param(name="selected", value=[])


def _bounds(run: Run, scores: Sequence[float]) -> tuple[list[tuple[str, float]], list[tuple[str, float]]]:
    """The bounds to be drawn, and those too far off."""
    name = run.score.partition("/")[2]
    known = [
        (bound, bounds[name])
        for bound, bounds in (("oracle", run.oracle), ("floor", run.floor), ("mixture", run.mixture))
        if math.isfinite(bounds.get(name, math.nan))
    ]
    floors = [value for bound, value in known if bound == "floor"]
    low, high = min([*scores, *floors]), max([*scores, *floors])
    reach = max(high - low, 1.0)
    near = [(bound, value) for bound, value in known if low - reach <= value <= high + reach]
    return near, [bound for bound in known if bound not in near]


def _steps(run: Run, trials: Sequence[Trial], key: str) -> list[dict[str, float]]:
    """The front in the plane of score and one cost, from the cheapest up."""
    best = sorted({(trial.value(key), trial.value(run.score)) for trial in _front(run, trials, key)})
    return [{key.removeprefix("cost/"): price, "score": score} for price, score in best]


def _front(run: Run, trials: Sequence[Trial], key: str) -> list[Trial]:
    points = [(trial.value(run.score), trial.value(key)) for trial in trials]
    return [trials[index] for index in pareto_front(points, [run.objectives[run.score], False])]


def _known(value: float) -> float | None:
    return value if math.isfinite(value) else None
