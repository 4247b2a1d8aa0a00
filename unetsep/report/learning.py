"""The learning curves as Vega-Lite: all trials from rung to rung, and the compared ones in full."""

import math
from collections.abc import Mapping

import altair as alt

from unetsep.report.charts import WIDE
from unetsep.report.measures import measure
from unetsep.report.run import Run
from unetsep.sweep.wording import amount_of


def learning(run: Run, colours: Mapping[str, str]) -> alt.LayerChart | None:
    """Every trial's scores rung by rung in grey, and the learning curves of the selected trials, the data set `curves`.

    None if no trial was scored twice.
    """
    amounts = run.rungs.amounts if run.rungs else ()
    climbs = [
        {"key": trial.key, "epochs": float(amount), "score": value}
        for trial in run.ranked
        for amount, rung in zip(amounts, trial.rungs, strict=False)
        if math.isfinite(value := rung.get(run.score, math.nan))
    ]
    if not climbs and all(len(trial.curve(run.score)) < 2 for trial in run.front):
        return None
    unit = run.rungs.unit if run.rungs else "epochs"
    scale = alt.Scale(type="log", nice=False) if amounts and amounts[-1] / amounts[0] >= WIDE else alt.Scale(nice=False)
    whole = "d" if all(float(amount).is_integer() for amount in amounts) else ".1f"  # ~g makes 3e+1 of 27
    ticks = {"values": [float(amount) for amount in amounts]} if amounts else {"tickMinStep": 1}
    x = alt.X("epochs:Q", title=f"{unit} of training", scale=scale, axis=alt.Axis(format=whole, **ticks))
    y = alt.Y("score:Q", title=measure(run.score).heading, scale=alt.Scale(zero=False))
    grey = alt.Chart(alt.InlineData(climbs))
    layers = [
        grey.mark_line(color=colours["soft"], opacity=0.4, strokeWidth=1, aria=False).encode(x=x, y=y, detail="key:N"),
        grey.mark_circle(color=colours["soft"], opacity=0.5, size=14, aria=False).encode(x=x, y=y),
    ] * bool(climbs)
    chosen = alt.Chart(alt.NamedData("curves"))
    colour = alt.Color("colour:N", scale=None, legend=None)
    layers += [
        chosen.mark_line(strokeWidth=2).encode(x=x, y=y, detail="key:N", color=colour, description="words:N"),
        chosen.transform_filter("datum.last")
        .mark_text(align="left", dx=5, fontWeight="bold", color=colours["ink"], aria=False)
        .encode(x=x, y=y, text="key:N"),
    ]
    described = f"{measure(run.score).heading} against {unit} of training" + (
        f"; {len(amounts)} rungs at {', '.join(map(amount_of, amounts))}" if amounts else ""
    )
    return alt.layer(*layers).properties(width="container", height=260, description=described)
