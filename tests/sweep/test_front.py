import math

import pytest

from unetsep.sweep.front import pareto_front


def test_front_keeps_what_nothing_beats_in_both_score_and_cost():
    points = [(5.0, 1.0), (4.0, 0.5), (4.5, 2.0), (3.0, 0.6)]
    assert pareto_front(points, [True, False]) == [0, 1]


def test_directions_are_turned_around_by_maximize():
    points = [(5.0, 1.0), (4.0, 0.5), (4.5, 2.0), (3.0, 0.6)]
    assert pareto_front(points, [False, True]) == [2, 3]


def test_equal_points_are_both_on_the_front():
    assert pareto_front([(1.0, 1.0), (1.0, 1.0), (0.0, 1.0)], [True, False]) == [0, 1]


def test_a_point_equal_in_one_objective_and_worse_in_the_other_is_beaten():
    assert pareto_front([(5.0, 1.0), (5.0, 1.1)], [True, False]) == [0]


def test_one_objective_has_its_best_as_the_front():
    assert pareto_front([(1.0,), (3.0,), (2.0,), (3.0,)], [True]) == [1, 3]
    assert pareto_front([(1.0,), (3.0,)], [False]) == [0]


@pytest.mark.parametrize("broken", [math.nan, math.inf, -math.inf])
def test_an_unmeasured_point_is_never_on_the_front_and_beats_nothing(broken):
    assert pareto_front([(broken, 0.0), (1.0, 1.0), (9.0, broken)], [True, False]) == [1]


def test_three_objectives_keep_a_point_that_is_best_in_the_third_only():
    points = [(5.0, 1.0, 10.0), (4.0, 2.0, 3.0), (4.0, 2.0, 4.0)]
    assert pareto_front(points, [True, False, False]) == [0, 1]


def test_no_points_have_no_front():
    assert pareto_front([], [True]) == []


def test_a_row_with_a_value_too_many_is_refused():
    with pytest.raises(ValueError, match="point 1 has 2 values, but there are 1 objectives"):
        pareto_front([(1.0,), (1.0, 2.0)], [True])
