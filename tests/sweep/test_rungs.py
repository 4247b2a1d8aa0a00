import math
from typing import Any

import pytest

from unetsep.audio.files import InputError
from unetsep.sweep.document import parse_yaml
from unetsep.sweep.rungs import FEWEST, Rungs, Stop, correlation, promoted, ranking, read_rungs


def rungs(text: str) -> Rungs:
    found = read_rungs(parse_yaml(text, "test"))
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("text", "amounts"),
    [
        ("{unit: epochs, first: 1, eta: 3, last: 27}", (1, 3, 9, 27)),
        ("{unit: steps, first: 100, eta: 2, last: 400}", (100, 200, 400)),
        ("{unit: seconds, first: 7.5, eta: 4, last: 120}", (7.5, 30, 120)),
        ("{unit: epochs, first: 1, eta: 3, last: 20}", (1, 3, 9, 20)),
        ("{unit: epochs, first: 1, eta: 3, last: 10}", (1, 3, 10)),
        ("{unit: epochs, first: 1, eta: 1.5, last: 4}", (1, 2, 3, 4)),
    ],
)
def test_each_rung_is_eta_times_as_far_as_the_one_before_and_the_last_one_is_the_whole(
    text: str, amounts: tuple[float, ...]
) -> None:
    assert rungs(text).amounts == amounts


def test_a_sweep_without_rungs_has_none() -> None:
    assert read_rungs(None) is None


def test_the_trainer_is_told_the_length_of_the_whole_training_which_its_schedule_needs() -> None:
    epochs = rungs("{unit: epochs, first: 1, eta: 3, last: 9}")
    assert epochs.settings == {"trainer.max_epochs": 9}
    assert [epochs.stop(level) for level in range(3)] == [Stop("epochs", 1), Stop("epochs", 3), None]
    steps = rungs("{unit: steps, first: 10, eta: 3, last: 30}")
    assert steps.settings == {"trainer.max_epochs": -1, "trainer.max_steps": 30}
    assert [steps.stop(level) for level in range(2)] == [Stop("steps", 10), None]


def test_a_training_by_the_clock_has_no_end_of_its_own() -> None:
    seconds = rungs("{unit: seconds, first: 10, eta: 3, last: 30}")
    assert seconds.settings == {"trainer.max_epochs": -1}
    assert [seconds.stop(level) for level in range(2)] == [Stop("seconds", 10), Stop("seconds", 30)]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"unit": "hours"}, "unit is hours, but must be one of epochs, steps, seconds"),
        ({"first": 0}, "first is 0, but must be a whole number above 0"),
        ({"first": 1.5}, "first is 1.5, but must be a whole number above 0"),
        ({"first": True}, "first is true, but must be a whole number above 0"),
        ({"unit": "seconds", "first": -1}, "first is -1, but must be a number above 0"),
        ({"eta": 1}, "eta is 1, but must be a number above 1"),
        ({"eta": "3"}, "eta is '3', but must be a number above 1"),
        ({"last": math.inf}, "last is .inf, but must be a whole number above 0"),
        ({"last": 1}, "first is 1 and last 1, but first must be less than last"),
        ({"every": 3}, r"must be like \{unit: epochs"),
    ],
)
def test_what_describes_no_rungs_is_refused(change: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=rf"^rungs: .*{message}"):
        read_rungs({"unit": "epochs", "first": 1, "eta": 3, "last": 27} | change)
    with pytest.raises(InputError, match="rungs: is 27, but must be like"):
        read_rungs(27)


def test_with_one_objective_the_ranking_is_the_order_of_the_scores() -> None:
    assert ranking([(1.0,), (3.0,), (2.0,)], [True]) == [1, 2, 0]
    assert ranking([(1.0,), (3.0,), (2.0,)], [False]) == [0, 2, 1]


def test_what_nothing_beats_comes_before_what_something_does() -> None:
    points = [(5.0, 2.0), (4.0, 3.0), (3.0, 1.0), (2.0, 9.0)]
    assert set(ranking(points, [True, False])[:2]) == {0, 2}
    assert ranking(points, [True, False])[2:] == [1, 3]


def test_of_two_almost_alike_one_comes_late() -> None:
    order = ranking([(0.0, 10.0), (2.0, 8.0), (2.1, 7.9), (5.0, 5.0), (10.0, 0.0)], [False, False])
    assert order[0] == 3  # without it the front would lose most
    assert abs(order.index(1) - order.index(2)) >= 2


def test_equal_points_are_ranked_by_their_order() -> None:
    assert ranking([(1.0, 1.0), (1.0, 1.0), (1.0, 1.0)], [True, False])[0] == 0


def test_what_was_not_measured_comes_last() -> None:
    assert ranking([(math.nan, 1.0), (0.0, 5.0), (math.inf, 1.0)], [True, False]) == [1, 0, 2]
    assert ranking([(math.nan,)], [True]) == [0]


def test_one_in_eta_goes_on() -> None:
    points = [(float(score),) for score in range(10)]
    assert promoted(points, [True], 3) == [9, 8, 7]
    assert promoted(points[:2], [True], 3) == []
    assert promoted(points[:2], [True], 3, at_least=1) == [1]
    assert promoted([], [True], 3, at_least=1) == []
    assert len(promoted(points[:9], [True], 1.5)) == 6


def test_rank_correlation_is_one_for_the_same_order_and_unknown_for_a_few() -> None:
    scores = [float(score) for score in range(FEWEST)]
    assert correlation(scores, [score**3 for score in scores]) == pytest.approx(1)
    assert correlation(scores, scores[::-1]) == pytest.approx(-1)
    assert math.isnan(correlation(scores[1:], scores[1:]))
    assert math.isnan(correlation(scores, [1.0] * FEWEST))
