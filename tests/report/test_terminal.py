import math
from collections.abc import Sequence
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from unetsep.report.run import Run, Trial
from unetsep.report.terminal import BEATEN, FLOOR, FRONT, front_plot, ticks


def run_of(points: Sequence[tuple[float, float]], floor: float | None = None, cost: bool = True) -> Run:
    trials = [
        Trial(number, Path(), "complete", scores={"val/usdr": usdr}, cost={"gmacs_per_second": gmacs} if cost else {})
        for number, (gmacs, usdr) in enumerate(points)
    ]
    objectives = {"val/usdr": True} | ({"cost/gmacs_per_second": False} if cost else {})
    return Run(Path(), "shallow", "", objectives, trials, floor={} if floor is None else {"usdr": floor})


def printed(run: Run, width: int, terminal: bool = False) -> str:
    on = StringIO()
    settings = {"force_terminal": terminal, "color_system": "256" if terminal else None, "_environ": {}}
    Console(file=on, width=width, **settings).print(front_plot(run, width))
    return on.getvalue()


def places(lines: Sequence[str], marker: str) -> list[tuple[int, int]]:
    """Row and column of a marker's dots, the legend aside."""
    return [(row, column) for row, line in enumerate(lines) for column, letter in enumerate(line) if letter == marker]


POINTS = [(0.01, 2.0), (0.1, 4.0), (1.0, 5.0), (0.2, 3.0)]  # the last is beaten by the second


@pytest.mark.parametrize("width", [60, 80, 100, 140])
def test_the_front_is_filled_and_every_trial_stands_where_its_score_and_cost_say(width: int) -> None:
    *lines, legend = printed(run_of(POINTS, floor=1.0), width).splitlines()
    assert max(map(len, [*lines, legend])) <= width
    front = places(lines, FRONT)
    assert len(front) == 3
    assert [column for _, column in front] == sorted((column for _, column in front), reverse=True)  # best first
    [(row, column)] = places(lines, BEATEN)
    assert front[1][0] < row < front[2][0]
    assert front[1][1] < column < front[0][1]
    floor = {row for row, _ in places(lines, FLOOR)}
    assert len(floor) == 1
    assert floor.pop() > front[2][0]


def test_ten_times_the_cost_is_one_step_wherever_it_is() -> None:
    *lines, _ = printed(run_of(POINTS), 100).splitlines()
    columns = [column for _, column in places(lines, FRONT)]
    assert abs((columns[0] - columns[1]) - (columns[1] - columns[2])) <= 1


def test_the_axes_and_the_floor_are_named() -> None:
    text = printed(run_of(POINTS, floor=1.5), 80)
    assert "usdr, dB against multiply-adds, GMAC/s" in text
    assert "floor, 1.50 dB" in text
    assert "  4┤" in text
    assert " 0.1 " in text


def test_there_is_no_floor_where_none_is_known() -> None:
    assert FLOOR not in printed(run_of(POINTS), 80)


def test_through_a_pipe_there_are_the_same_letters_and_no_escape_codes() -> None:
    piped, coloured = printed(run_of(POINTS, 1.0), 80), printed(run_of(POINTS, 1.0), 80, terminal=True)
    assert "\x1b" not in piped
    assert "\x1b[" in coloured
    assert Console(file=StringIO()).render_str(piped).plain  # and it is no markup
    assert front_plot(run_of(POINTS, 1.0), 80).plain + "\n" == piped


def test_a_narrow_terminal_gets_the_plot_that_fits_whatever_the_machine_says(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "30")
    monkeypatch.setenv("LINES", "5")
    lines = printed(run_of(POINTS), 100).splitlines()
    assert max(map(len, lines)) == 100
    assert len(lines) == 20


@pytest.mark.parametrize("points", [[], [(0.1, 4.0)], [(0.1, math.nan), (0.2, 3.0)]])
def test_with_fewer_than_two_trials_there_is_nothing_to_draw(points: list[tuple[float, float]]) -> None:
    assert front_plot(run_of(points), 80).plain == ""


def test_without_a_cost_or_without_room_there_is_nothing_to_draw() -> None:
    assert front_plot(run_of(POINTS, cost=False), 80).plain == ""
    assert front_plot(run_of(POINTS), 50).plain == ""


def test_trials_of_one_score_and_one_cost_are_drawn_too() -> None:
    *lines, _ = printed(run_of([(0.5, 3.0), (0.5, 3.0)]), 80).splitlines()
    assert len(places(lines, FRONT)) == 1


def test_one_plot_leaves_nothing_behind_for_the_next() -> None:
    first = printed(run_of(POINTS, 1.0), 80)
    printed(run_of([(3.0, -2.0), (4.0, -3.0)]), 100)
    assert printed(run_of(POINTS, 1.0), 80) == first


@pytest.mark.parametrize(
    ("values", "logarithmic", "expected"),
    [
        ([0.2, 4.6], False, [1.0, 2.0, 3.0, 4.0]),
        ([-1.0, 1.0], False, [-1.0, -0.5, 0.0, 0.5, 1.0]),
        ([2.0, 2.0], False, [2.0]),
        ([0.03, 0.6], True, [0.05, 0.1, 0.2, 0.5]),
        ([1e3, 1e8], True, [1e3, 1e4, 1e5, 1e6, 1e7, 1e8]),
    ],
)
def test_ticks_are_round_numbers_within_the_range(
    values: list[float], logarithmic: bool, expected: list[float]
) -> None:
    assert ticks(values, logarithmic) == pytest.approx(expected)
