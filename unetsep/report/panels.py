"""The panels of a sweep's report in Weights & Biases, and how they are laid out."""

import math
import warnings
from collections.abc import Sequence
from typing import Any

from unetsep.report.logged import media_keys, summary_key
from unetsep.report.measures import measure
from unetsep.report.run import Run
from unetsep.report.settings import Setting
from unetsep.sweep.means import SEED

with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)  # wandb-workspaces 0.4 has validators in pydantic 1's style
    from wandb_workspaces import expr
    from wandb_workspaces.reports.v2 import interface as wr

__all__ = ["COLUMNS", "bars", "browsers", "curves", "expr", "influences", "placed", "scatters", "wr"]

COLUMNS = 24
"""How wide a grid of panels is, in Weights & Biases' own unit."""

_COSTS = ("gmacs_per_second", "params", "depth", "rtf_cpu")


def scatters(run: Run) -> list[Any]:
    """The score against every cost, with the best score so far for each cost as a line: the front."""
    more_is_better = run.objectives[run.score]
    costs = dict.fromkeys([*([run.cost] if run.cost else []), *(f"cost/{name}" for name in _COSTS)])
    return [
        wr.ScatterPlot(
            title=f"{measure(run.score).heading} against {measure(key).heading}",
            x=wr.SummaryMetric(summary_key(key)),
            y=wr.SummaryMetric(summary_key(run.score)),
            log_x=key in ("cost/gmacs_per_second", "cost/params"),
            legend_template=f"${{run:displayName}}: ${{summary:{summary_key(run.score)}}}",
            running_ymax=more_is_better or None,
            running_ymin=not more_is_better or None,
        )
        for key in costs
        if any(math.isfinite(trial.value(key)) for trial in run.ranked)
    ]


def influences(run: Run, settings: Sequence[tuple[Setting, list[str]]]) -> list[Any]:
    """Parallel coordinates over all settings, cost and score, and what the score depends on most."""
    columns = [
        wr.ParallelCoordinatesPlotColumn(
            metric=wr.SummaryMetric(key) if key.startswith("cost/") else wr.Config(key),
            display_name=setting.name if len(keys) == 1 else f"{setting.name} {key[len(setting.key) + 1 :]}",
            log=_is_logarithmic(setting) or None,
        )
        for setting, keys in settings
        for key in keys
    ]
    ends = [key for key in (run.cost, run.score) if key]
    columns += [
        wr.ParallelCoordinatesPlotColumn(metric=wr.SummaryMetric(summary_key(key)), display_name=measure(key).heading)
        for key in ends
    ]
    parallel = wr.ParallelCoordinatesPlot(title="Settings, cost and score", columns=columns)
    importance = wr.ParameterImportancePlot(with_respect_to=summary_key(run.score))
    return [parallel, importance]


def _is_logarithmic(setting: Setting) -> bool:
    return setting.is_range and setting.values[0] > 0 and setting.values[-1] / setting.values[0] >= 10


def bars(run: Run, settings: Sequence[tuple[Setting, list[str]]]) -> list[Any]:
    """Every stem's score by sweep, if there are several, and by each choice: mean and deviation over its trials."""
    metrics: list[Any] = [wr.Metric(summary_key(f"{run.score}/{stem}")) for stem in run.stems]
    if not metrics:
        return []
    groups: dict[str, Any] = {"sweep": wr.Metric("Group")} if any(trial.sweep for trial in run.trials) else {}
    groups |= {
        setting.name: wr.Config(keys[0])
        for setting, keys in settings
        if len(keys) == 1 and not setting.is_range and setting.key != SEED and not keys[0].startswith("cost/")
    }
    return [
        wr.BarPlot(
            title=f"{measure(run.score).heading} by {name}",
            metrics=metrics,
            orientation="v",
            groupby=key,
            groupby_aggfunc="mean",
            groupby_rangefunc="stddev",
        )
        for name, key in groups.items()
    ]


def curves(run: Run) -> list[Any]:
    """How score and loss went while the trials were trained."""
    return [
        wr.LinePlot(
            title=measure(key).heading,
            x=wr.Metric("trainer/global_step"),
            y=[wr.Metric(key)],
            max_runs_to_show=100,
        )
        for key in dict.fromkeys([run.score if run.score.startswith("val/") else "val/usdr", "train/loss"])
    ]


def browsers(run: Run) -> list[Any]:
    """A browser for each kind of sound and picture, a trial beside the other."""
    sounds, pictures = media_keys(run.front, run.stems)
    given = [key for key in sounds if not key.endswith("_estimate")]
    chosen = {
        "What the trials found": [key for key in sounds if key.endswith("_estimate")],
        "The mixture, and what is to be found": given,
        "Spectrograms": [key for key in pictures if key.endswith("/spectrograms")],
        "Which instrument dominates where": [key for key in pictures if key.endswith("/segmentation")],
    }
    return [
        wr.MediaBrowser(title=title, media_keys=keys, num_columns=4, mode="gallery", gallery_axis="run")
        for title, keys in chosen.items()
        if keys
    ]


def placed(panels: Sequence[Any], width: int, height: int) -> list[Any]:
    """The panels in rows from left to right, each as wide and as high as given, in the grid's own unit."""
    across = COLUMNS // width
    for index, panel in enumerate(panels):
        panel.layout = wr.Layout(x=index % across * width, y=index // across * height, w=width, h=height)
    return list(panels)
