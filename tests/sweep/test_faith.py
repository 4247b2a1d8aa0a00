import math

import pytest

from unetsep.sweep.faith import agreements, faithfulness
from unetsep.sweep.rungs import Rungs
from unetsep.sweep.trials import Result

RUNGS = Rungs("epochs", (1, 3, 9), 3)


def trials(*curves: tuple[float, ...]) -> list[Result]:
    return [
        Result(number, "stopped", rungs=tuple({"val/usdr": score} for score in curve))
        for number, curve in enumerate(curves)
    ]


def test_the_same_order_at_two_rungs_means_that_one_predicts_the_other() -> None:
    found = agreements(trials(*((float(k), 2.0 * k, 3.0 * k) for k in range(6))), RUNGS, "val/usdr")
    assert [(each.shorter, each.longer, each.trials) for each in found] == [(1, 3, 6), (3, 9, 6), (1, 9, 6)]
    assert all(each.faithful and each.correlation == pytest.approx(1) for each in found)


def test_a_sweep_says_so_if_a_short_training_does_not_predict_a_long_one() -> None:
    sentences = faithfulness(trials(*((float(k), -float(k)) for k in range(6))), RUNGS, "val/usdr")
    assert "A training of 1 epoch hardly predicts one of 3 (rank correlation -1.00 over 6 trials)" in sentences[0]
    assert "begin with larger rungs.first" in sentences[0]


def test_a_few_trials_say_nothing() -> None:
    sentences = faithfulness(trials((1.0, 2.0), (2.0, 1.0), (3.0,)), RUNGS, "val/usdr")
    assert sentences[0] == "Only 2 trials have a score after trainings of 1 and of 3 epochs: too few to say " + (
        "whether one predicts the other."
    )
    assert sentences[1].startswith("No trial has a score")
    assert len(sentences) == 2, "what is true of the last two rungs is true of the first and the last"


def test_two_rungs_are_one_pair() -> None:
    assert len(faithfulness(trials((1.0, 2.0)), Rungs("steps", (100, 1000), 10), "val/usdr")) == 1


def test_what_was_not_measured_counts_for_nothing() -> None:
    found = agreements(trials(*((float(k), float(k)) for k in range(5)), (math.nan, 1.0)), RUNGS, "val/usdr")
    assert found[0].trials == 5
