"""How the score went with what a sweep varied: each setting, each level's skip, all of them together."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import altair as alt

from unetsep.report.charts import SELECTED, scale_of
from unetsep.report.measures import measure
from unetsep.report.run import Run
from unetsep.report.settings import Setting, is_number, legible

MOST_AXES = 10
"""Parallel coordinates show so many settings, the most important ones."""


def importance_chart(shares: Mapping[str, float], settings: Sequence[Setting], colours: Mapping[str, str]) -> alt.Chart:
    """The importances as bars."""
    names = {setting.key: setting.name for setting in settings}
    bars = [{"setting": names[key], "share": share, "text": f"{share:.0%}"} for key, share in shares.items()]
    base = alt.Chart(alt.InlineData(bars)).encode(y=alt.Y("setting:N", sort=None, title=None))
    bar = base.mark_bar(color=colours["accent"], opacity=0.75, height={"band": 0.6}).encode(
        x=alt.X("share:Q", axis=None, scale=alt.Scale(domain=[0, 1.1 * max(shares.values())]))
    )
    label = base.mark_text(align="left", dx=5, color=colours["ink"], aria=False).encode(x="share:Q", text="text:N")
    return alt.layer(bar, label).properties(
        width="container", height=26 * len(shares), description="importance of each setting for the score"
    )


def score_by(run: Run, setting: Setting, colours: Mapping[str, str]) -> alt.LayerChart:
    """Every trial's score against one setting, and the best of each of its values joined by a line."""
    base = alt.Chart(alt.NamedData("trials")).transform_filter(
        f"isValid(datum.score) && isValid(datum.{setting.field})"
    )
    y = alt.Y("score:Q", title=measure(run.score).heading, scale=alt.Scale(zero=False))
    kind, title = setting.field, None
    if setting.is_range:
        x = alt.X(f"{kind}:Q", title=title, scale=scale_of(setting.values), axis=alt.Axis(format="~g", tickCount=4))
    else:
        x = alt.X(f"{kind}:N", title=title, sort=list(setting.shown), axis=alt.Axis(labelAngle=0, labelOverlap=True))
    layers = [_dots(base, colours).encode(x=x, y=y), _chosen(base, colours).encode(x=x, y=y)]
    if not setting.is_range and all(is_number(value) for value in setting.values):
        best = "max" if run.objectives[run.score] else "min"
        line = base.mark_line(color=colours["accent"], strokeWidth=2, opacity=0.6, aria=False)
        layers.insert(0, line.encode(x=x, y=alt.Y(f"{best}(score):Q")))
    return (
        alt.layer(*layers)
        .add_params(alt.param(name="selected", value=[]))
        .properties(width="container", height=170, description=f"score of every trial by {setting.name}")
    )


def skip_chart(run: Run, settings: Sequence[Setting], colours: Mapping[str, str]) -> alt.LayerChart | None:
    """By level and kind of skip: the mean score of the trials that have it there, and from where to where they reach.

    None where no level's skip was varied.
    """
    levels = [setting for setting in settings if setting.level is not None]
    found = [
        {"level": setting.level, "kind": setting.of(trial), "score": trial.value(run.score)}
        for setting in levels
        for trial in run.ranked
        if setting.has(trial) and math.isfinite(trial.value(run.score))
    ]
    if not found:
        return None
    base = alt.Chart(alt.InlineData(found))
    x = alt.X("level:O", title="level of the skip, 0 is the outermost", axis=alt.Axis(labelAngle=0))
    kinds = sorted({row["kind"] for row in found})
    offset = alt.XOffset("kind:N", sort=kinds)
    colour = alt.Color("kind:N", sort=kinds, title="skip", scale=alt.Scale(range=list(_KINDS)), legend=_legend(colours))
    y = alt.Y("score:Q", title=measure(run.score).heading, scale=alt.Scale(zero=False))
    dots = base.mark_circle(size=40, opacity=0.5, aria=False).encode(x=x, xOffset=offset, y=y, color=colour)
    means = base.mark_tick(thickness=3, size=24, opacity=1, orient="horizontal").encode(
        x=x, xOffset=offset, y=alt.Y("mean(score):Q"), color=colour
    )
    return alt.layer(dots, means).properties(
        width="container", height=220, description="score by the kind of skip at each level, with means"
    )


def parallel(
    run: Run, settings: Sequence[Setting], shares: Mapping[str, float], colours: Mapping[str, str]
) -> alt.LayerChart | None:
    """Every trial as a line across its settings, its cost and its score; None for fewer than two axes of settings.

    A setting that a trial does not have is `none`, below the axis.
    """
    ordered = sorted(settings, key=lambda setting: -shares.get(setting.key, 0.0))[:MOST_AXES]
    ordered = [setting for setting in settings if setting in ordered]
    if len(ordered) < 2:
        return None
    lines: list[dict[str, Any]] = []
    labels: list[dict[str, Any]] = []
    names = [setting.name for setting in ordered]
    for setting in ordered:
        place = _places(setting)
        shown = place if not setting.is_range else {text: place[text] for text in (setting.shown[0], setting.shown[-1])}
        labels += [{"axis": setting.name, "place": where, "text": text} for text, where in shown.items()]
        if not all(map(setting.has, run.ranked)):
            labels.append({"axis": setting.name, "place": _NONE, "text": "none"})
        for trial in run.ranked:
            where = place[legible(setting.of(trial))] if setting.has(trial) else _NONE
            lines.append({"key": trial.key, "axis": setting.name, "place": where})
    for key in filter(None, (run.cost, run.score)):
        values = [value for trial in run.ranked if math.isfinite(value := trial.value(key))]
        if not values or measure(key).name in names:  # unknown, or a setting already, as depth
            continue
        scaled = math.log if min(values) > 0 and max(values) / min(values) >= 10 else float
        low, high = scaled(min(values)), scaled(max(values))
        what = measure(key)
        names.append(what.heading if len(what.heading) < 14 else what.unit or what.name)
        labels += [
            {"axis": names[-1], "place": share, "text": measure(key).show(value, unit=False)}
            for share, value in ((0.0, min(values)), (1.0, max(values)))
        ]
        lines += [
            {"key": trial.key, "axis": names[-1], "place": (scaled(trial.value(key)) - low) / ((high - low) or 1.0)}
            for trial in run.ranked
            if math.isfinite(trial.value(key))
        ]
    score = {trial.key: trial.value(run.score) for trial in run.ranked}
    drawn = [{**line, "score": score[line["key"]]} for line in lines if math.isfinite(score[line["key"]])]
    base = alt.Chart(alt.InlineData(drawn))
    axis = alt.Axis(
        title=None, labelAngle=0, orient="top", grid=True, domain=False, ticks=False, labelLimit=110, labelPadding=12
    )
    x = alt.X("axis:N", sort=names, scale=alt.Scale(type="point", padding=0.4), axis=axis)
    y = alt.Y(
        "place:Q", axis=None, scale=alt.Scale(domain=[_NONE if any(lab["place"] == _NONE for lab in labels) else 0, 1])
    )
    thin = base.mark_line(strokeWidth=1.2, opacity=0.6 if len(score) < 60 else 0.3, aria=False).encode(
        x=x,
        y=y,
        detail="key:N",
        color=alt.Color(
            "score:Q", title=measure(run.score).heading, scale=_SCORES, legend=_legend(colours, gradientLength=120)
        ),
    )
    thick = base.transform_filter(SELECTED).mark_line(color=colours["ink"], strokeWidth=3, aria=False)
    told = alt.Chart(alt.InlineData(labels)).encode(x=x, y=y, text="text:N")
    style = {"align": "left", "dx": 4, "aria": False}
    halo = told.mark_text(**style, stroke=colours["paper"], strokeWidth=4, opacity=0.85)
    return (
        alt.layer(thin, thick.encode(x=x, y=y, detail="key:N"), halo, told.mark_text(**style, color=colours["ink"]))
        .add_params(alt.param(name="selected", value=[]))
        .properties(
            width="container",
            height=280,
            description=f"every trial as a line across {', '.join(names)}; the same numbers are in the leaderboard",
        )
    )


_NONE = -0.15
_KINDS = ("#2a9d8f", "#e07a5f", "#5b6ee1", "#b8860b", "#8d5fb5", "#7a8288")  # told apart on white and on black
_SCORES = alt.Scale(scheme="viridis")


def _places(setting: Setting) -> dict[str, float]:
    """Where each shown value lies on its axis, from 0 to 1: numbers in proportion, names evenly."""
    values = setting.values
    if not all(is_number(value) for value in values):
        return {text: index / (len(values) - 1) for index, text in enumerate(setting.shown)}
    scaled = math.log if values[0] > 0 and values[-1] / values[0] >= 10 else float
    low, high = scaled(values[0]), scaled(values[-1])
    return {text: (scaled(value) - low) / (high - low) for text, value in zip(setting.shown, values, strict=True)}


def _legend(colours: Mapping[str, str], **more: Any) -> alt.Legend:
    return alt.Legend(orient="top", labelColor=colours["ink"], titleColor=colours["soft"], **more)


def _dots(base: alt.Chart, colours: Mapping[str, str]) -> alt.Chart:
    colour = alt.condition("datum.front", alt.value(colours["accent"]), alt.value(colours["soft"]))
    return base.mark_circle(size=36, opacity=0.6, aria=False, cursor="pointer").encode(color=colour)


def _chosen(base: alt.Chart, colours: Mapping[str, str]) -> alt.Chart:
    ring = base.mark_point(shape="circle", size=120, strokeWidth=2, fill="transparent", aria=False, cursor="pointer")
    opacity = alt.condition(SELECTED, alt.value(1), alt.value(0))
    return ring.encode(stroke=alt.value(colours["ink"]), opacity=opacity)
