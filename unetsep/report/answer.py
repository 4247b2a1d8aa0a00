"""The answer to a sweep's question, in sentences with numbers."""

import math

from unetsep.report.measures import measure
from unetsep.report.networks import seeds_sentence
from unetsep.report.run import Run, Trial
from unetsep.sweep.wording import how_far

SEED_SPREAD_DB = 0.3
"""Repeating one small model with other seeds moves a stem's score by this much: less is no difference."""


def answer(run: Run) -> list[str]:
    """What was found, and how it stands over the seeds, where there are several."""
    return [*_found(run), *filter(None, [seeds_sentence(run)])]


def _found(run: Run) -> list[str]:
    """Which trial is best, which comes close for less, and which is the cheapest that beats the floor at all."""
    score, best = measure(run.score), run.front[0]
    floor = run.floor_of(run.score)
    lead = "So far, trial" if any(trial.state in ("unfinished", "paused") for trial in run.trials) else "Trial"
    above = ""
    if math.isfinite(floor):
        side = "above" if run.above_floor(best) >= 0 else "below"
        gap = score.show(abs(run.above_floor(best)))
        above = f", {gap} {side} the floor of {score.show(floor)}"
    reached = f"{score.name} {score.show(best.value(run.score))}"
    sentences = [f"{lead} {best.key} is best: {reached}{above}{_price(run, best)}{_length(run, best)}."]

    if run.cost is None or not run.cost.startswith("cost/") or run.objectives.get(run.cost, False):
        return sentences
    said = [best]
    if score.unit == "dB":
        near = _cheapest(run, best.value(run.score) - _sign(run) * SEED_SPREAD_DB)
        if near not in said:
            said.append(near)
            sentences.append(
                f"Trial {near.key} comes within {SEED_SPREAD_DB} dB of it, a gap that only more seeds could "
                f"confirm{_price(run, near, best)}."
            )
    if math.isfinite(floor) and run.above_floor(best) > 0:
        least = _cheapest(run, floor)
        if least not in said:
            sentences.append(
                f"The cheapest on the front that still beats the floor is trial {least.key}: "
                f"{score.name} {score.show(least.value(run.score))}{_price(run, least, best)}."
            )
    return sentences


def _cheapest(run: Run, score: float) -> Trial:
    """The front's cheapest trial whose score is better than `score`."""
    good = [trial for trial in run.front if _sign(run) * (trial.value(run.score) - score) > 0]
    costs = [trial.value(run.cost or "") for trial in good]
    return good[min(range(len(good)), key=lambda index: costs[index] if math.isfinite(costs[index]) else math.inf)]


def _sign(run: Run) -> float:
    return 1.0 if run.objectives[run.score] else -1.0


def _length(run: Run, trial: Trial) -> str:
    """How far a trial was trained, where that is not to the end."""
    if run.rungs is None or not trial.rungs or trial.state == "complete":
        return ""
    return f", trained for {how_far(run.rungs, min(len(trial.rungs), len(run.rungs.amounts)))}"


def _price(run: Run, trial: Trial, compared: Trial | None = None) -> str:
    words, score = [], ""
    if run.cost and not run.cost.startswith("cost/"):  # a second score is no price
        score = f"{measure(run.cost).name} {measure(run.cost).show(trial.value(run.cost))}"
    elif run.cost and math.isfinite(price := trial.value(run.cost)):
        share = price / compared.value(run.cost) if compared and compared.value(run.cost) > 0 else math.nan
        of_all = f" ({share:.0%} of the cost)" if math.isfinite(share) else ""
        words.append(f"at {measure(run.cost).show(price)}{of_all}")
    depth = trial.value("cost/depth") if run.cost != "cost/depth" else math.nan
    if told := [*filter(None, [score]), *([f"depth {depth:.0f}"] if math.isfinite(depth) else [])]:
        words.append(f"with {' and '.join(told)}")
    return ", " + " ".join(words) if words else ""
