"""Networks compared: each network's score at each depth, over the seeds it was trained with."""

import json
import math
import statistics
from dataclasses import dataclass

from unetsep.report.measures import measure
from unetsep.report.run import Run, Trial
from unetsep.sweep.wording import show_choice

SEED = "seed_everything"


@dataclass(frozen=True)
class Cell:
    """What one network reached at one depth.

    Attributes:
        score: The mean over the seeds of the config that is best.
        spread: The standard deviation over the seeds; NaN for one seed whose trial knows none.
        seeds: How many trainings with different seeds are in it; 1 where that is not known.
        trial: The trial to look at: the config's best.
    """

    score: float
    spread: float
    seeds: int
    trial: Trial


def over_seeds(run: Run) -> list[Cell]:
    """The configs of a sweep, each over all seeds it was suggested with, best first."""
    groups: dict[tuple[str, str], list[Trial]] = {}
    for trial in run.ranked:
        if math.isfinite(trial.value(run.score)):
            same = {key: value for key, value in trial.params.items() if key != SEED}
            groups.setdefault((trial.sweep, json.dumps(same, sort_keys=True, default=str)), []).append(trial)
    cells = []
    for trials in groups.values():
        scores = _at_one_length(run, trials)
        spread = statistics.stdev(scores) if len(scores) > 1 else trials[0].spread.get(run.score, math.nan)
        cells.append(Cell(statistics.fmean(scores), spread, len(scores), trials[0]))
    return sorted(cells, key=lambda cell: cell.score, reverse=run.objectives[run.score])


def _at_one_length(run: Run, trials: list[Trial]) -> list[float]:
    """The trials' scores at the highest rung that all of them reached, so that no seed counts as trained for longer."""
    shared = min(len(trial.rungs) for trial in trials)
    at_rung = [trial.rungs[shared - 1].get(run.score, math.nan) for trial in trials] if shared else [math.nan]
    return at_rung if all(map(math.isfinite, at_rung)) else [trial.value(run.score) for trial in trials]


def networks_by_depth(run: Run) -> dict[str, dict[int, Cell]]:
    """For each network its best config at each depth; empty unless a sweep chose between networks.

    A network is what a sweep chooses as `base` or as a separator's `net`.
    """
    table: dict[str, dict[int, Cell]] = {}
    for cell in over_seeds(run):
        chosen = [value for key, value in cell.trial.params.items() if key == "base" or key.endswith(".net")]
        depth = cell.trial.value("cost/depth")
        if chosen and math.isfinite(depth):
            table.setdefault(show_choice(chosen[0]), {}).setdefault(int(depth), cell)
    return table if len(table) > 1 else {}


def seeds_sentence(run: Run) -> str:
    """How the best configs stand over their seeds, in a sentence; empty where none was trained with several."""
    cells = [cell for cell in over_seeds(run) if math.isfinite(cell.spread)]
    if not cells:
        return ""
    score = measure(run.score)
    names = {cell.trial.key: f"trial {cell.trial.key}" for cell in cells}
    for network, depths in networks_by_depth(run).items():
        names.update({cell.trial.key: f"{network} of depth {depth}" for depth, cell in depths.items()})
    told = [
        f"{names[cell.trial.key]} {score.show(cell.score, unit=False)} ± {score.show(cell.spread)}"
        for cell in cells[:3]
    ]
    counts = sorted({cell.seeds for cell in cells if cell.seeds > 1})
    seeds = f" over {counts[0]} seeds" if len(counts) == 1 else " over the seeds"
    return f"Mean and standard deviation{seeds}: {'; '.join(told)}."
