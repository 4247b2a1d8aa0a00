import pytest

from unetsep.report.figure import Axis, axis_over, score_against_cost, sparkline
from unetsep.report.run import read_run

from .sweep_folder import write_sweep, write_trial


def test_a_wide_axis_is_logarithmic_and_shows_every_value():
    axis = axis_over([0.01, 0.1, 1.0], may_be_logarithmic=True)
    assert axis.logarithmic
    assert axis.place(0.1) == pytest.approx(0.5)
    assert 0 < axis.place(0.01) < axis.place(1.0) < 1
    assert {0.01, 0.1, 1.0} <= set(axis.ticks())


@pytest.mark.parametrize("values", [[3.0], [0.0], [-2.0, 5.0], [1e-9, 2e-9]])
def test_any_values_get_an_axis_with_ticks_inside(values):
    axis = axis_over(values)
    assert all(0 < axis.place(value) < 1 for value in values)
    assert 2 <= len(axis.ticks()) <= 7
    assert all(axis.low <= tick <= axis.high for tick in axis.ticks())


def test_ticks_are_round():
    assert Axis(2.1, 4.4).ticks(6) == [2.5, 3.0, 3.5, 4.0]
    assert Axis(0.015, 2.5, logarithmic=True).ticks(5) == pytest.approx([0.03, 0.1, 0.3, 1.0])


def test_the_figure_places_better_scores_higher_and_dearer_trials_further_right(sweep):
    figure = score_against_cost(read_run(sweep))
    places = {point.trial.number: point for point in figure.points}
    assert places[0].y < places[2].y < places[1].y < places[3].y < figure.floor[0]
    assert places[3].x < places[2].x < places[0].x < places[1].x
    assert [number for number, point in places.items() if point.on_front] == [0, 2, 3]


def test_the_steps_go_along_the_front_from_the_cheapest_to_the_dearest(sweep):
    figure = score_against_cost(read_run(sweep))
    places = {point.trial.number: point for point in figure.points}
    assert figure.steps[0][:2] == (places[3].x, places[3].y)
    assert figure.steps[-1][2:] == (places[0].x, places[0].y)
    assert len(figure.steps) == 4


def test_a_third_objective_leaves_the_points_without_steps(tmp_path):
    objectives = {"val/usdr": "maximize", "cost/gmacs_per_second": "minimize", "cost/params": "minimize"}
    folder = write_sweep(tmp_path / "s", floor=None, objectives=objectives)
    write_trial(folder, 0, usdr=3.0, gmacs=0.1)
    write_trial(folder, 1, usdr=2.0, gmacs=0.01)
    figure = score_against_cost(read_run(folder))
    assert (len(figure.points), figure.steps, figure.floor) == (2, [], None)


def test_a_sweep_without_costs_has_no_figure(tmp_path):
    folder = write_sweep(tmp_path / "s", objectives={"val/usdr": "maximize"})
    write_trial(folder, 0, usdr=3.0)
    assert score_against_cost(read_run(folder)) is None


def test_a_learning_curve_rises_on_the_page_when_the_score_rises():
    points = [tuple(map(float, point.split(","))) for point in sparkline([(0, 1.0), (1, 2.0), (2, 3.0)]).split()]
    assert points[0][1] > points[1][1] > points[2][1]
    assert sparkline([(0, 1.0)]) == ""
