import math
from itertools import product

import pytest
import torch

from unetsep.audio.files import InputError
from unetsep.metrics.bootstrap import paired_difference

NAN = math.nan


def normal(*shape: int, seed: int) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.mark.parametrize("statistic", ["mean", "median"])
def test_the_value_is_the_difference_of_the_two_scores_as_tables_show_them(statistic):
    ours, theirs = normal(9, 4, seed=0) + 5, normal(9, 4, seed=1)
    over_tracks = {"mean": lambda scores: scores.mean(0), "median": lambda scores: scores.median(0).values}[statistic]
    gain = paired_difference(ours, theirs, statistic)
    assert gain.value == pytest.approx(float((over_tracks(ours) - over_tracks(theirs)).mean()))
    assert gain.low < gain.value < gain.high
    assert gain.count == 9
    assert gain.clear


def test_one_source_may_come_as_a_vector():
    ours, theirs = normal(7, seed=0), normal(7, seed=1)
    assert paired_difference(ours, theirs, "mean") == paired_difference(ours[:, None], theirs[:, None], "mean")


@pytest.mark.parametrize("statistic", ["mean", "median"])
def test_whoever_comes_first_the_interval_is_the_same_but_for_its_sign(statistic):
    ours, theirs = normal(9, 3, seed=2), normal(9, 3, seed=3)
    there, back = paired_difference(ours, theirs, statistic), paired_difference(theirs, ours, statistic)
    assert (there.value, there.low, there.high) == pytest.approx((-back.value, -back.high, -back.low))


def test_the_interval_is_the_same_at_every_call_and_another_with_another_seed():
    ours, theirs = normal(9, seed=2), normal(9, seed=3)
    assert paired_difference(ours, theirs, "mean") == paired_difference(ours, theirs, "mean")
    assert paired_difference(ours, theirs, "mean") != paired_difference(ours, theirs, "mean", seed=1)


def test_pairs_stay_together_so_that_easy_and_hard_tracks_cancel():
    difficulty = 10 * normal(20, seed=0)
    gain = paired_difference(difficulty + 0.5 + 0.1 * normal(20, seed=1), difficulty, "mean")
    assert gain.high - gain.low < 0.2
    assert gain.clear


def test_a_separator_differs_from_itself_by_nothing_for_sure():
    scores = normal(6, 4, seed=0)
    gain = paired_difference(scores, scores, "mean")
    assert (gain.value, gain.low, gain.high) == (0, 0, 0)
    assert not gain.clear


def test_the_interval_of_two_tracks_reaches_from_one_difference_to_the_other():
    gain = paired_difference(torch.tensor([1.0, 3.0]), torch.tensor([0.0, 0.0]), "mean")
    assert (gain.value, gain.low, gain.high) == (2, 1, 3)


def test_one_track_has_no_interval_and_none_has_no_value():
    gain = paired_difference(torch.tensor([[1.0, 2.0]]), torch.tensor([[0.0, 0.0]]), "mean")
    assert (gain.value, gain.count) == (1.5, 1)
    assert math.isnan(gain.low)
    assert math.isnan(gain.high)
    assert not gain.clear
    nothing = paired_difference(torch.tensor([NAN]), torch.tensor([1.0]), "median")
    assert (math.isnan(nothing.value), nothing.count) == (True, 0)


def test_absent_stems_and_infinities_are_left_out_of_both():
    ours = torch.tensor([[1.0, NAN], [2.0, 5.0], [NAN, NAN], [9.0, math.inf]])
    theirs = torch.tensor([[0.0, NAN], [0.0, 1.0], [7.0, NAN], [NAN, 1.0]])
    gain = paired_difference(ours, theirs, "mean")
    assert gain.value == pytest.approx((1.5 + 4) / 2)
    assert gain.count == 2
    assert math.isfinite(gain.low)


@pytest.mark.parametrize(("statistic", "tracks"), list(product(["mean", "median"], [8, 40])))
def test_of_a_hundred_intervals_about_95_hold_the_truth(statistic, tracks):
    held = 0
    for seed in range(200):
        theirs = normal(tracks, seed=seed)
        ours = theirs + 0.3 + 0.5 * normal(tracks, seed=1000 + seed)
        gain = paired_difference(ours, theirs, statistic, resamples=500, seed=seed)
        held += gain.low <= 0.3 <= gain.high
    assert 0.9 <= held / 200 <= 1.0


def test_more_confidence_is_a_wider_interval():
    ours, theirs = normal(9, seed=2), normal(9, seed=3)
    wide, narrow = (paired_difference(ours, theirs, "mean", confidence=level) for level in (0.99, 0.5))
    assert wide.low < narrow.low < narrow.high < wide.high


def test_other_shapes_and_settings_out_of_range_are_refused():
    # With shape annotations checked, jaxtyping objects first; without, an InputError does.
    with pytest.raises(Exception, match=r"shape|theirs"):
        paired_difference(torch.zeros(3, 2), torch.zeros(3, 1), "mean")
    with pytest.raises(InputError, match=r"confidence is 95\.0 and resamples 10000"):
        paired_difference(torch.zeros(3), torch.zeros(3), "mean", confidence=95.0)
