import math

import pytest

from unetsep.sweep.forecast import seconds_left
from unetsep.sweep.snapshot import Board, Running, Snapshot
from unetsep.sweep.trials import Result, State

from .toy import sweep_of

PLAIN = "space: {x: {int: [1, 9]}}\ntrials: 9"
RUNGS = f"{PLAIN}\nrungs: {{unit: epochs, first: 1, eta: 3, last: 9}}"


def result(number: int, seconds: float, reached: int = 1, state: State = "complete") -> Result:
    return Result(number, state, scores={"val/usdr": 1.0}, rungs=({"val/usdr": 1.0},) * reached, seconds=seconds)


def snapshot(text: str, *results: Result, running: tuple[Running, ...] = ()) -> Snapshot:
    return Snapshot(Board(sweep_of(text), {each.number: each for each in results}), running)


def test_what_is_left_lasts_as_long_as_what_was_trained_did() -> None:
    assert seconds_left(snapshot(PLAIN, result(0, 10), result(1, 20)), 0) == pytest.approx(7 * 15)


def test_failed_trials_are_not_trained_again_and_say_nothing_of_the_pace() -> None:
    failed = Result(2, "failed", seconds=500.0)
    assert seconds_left(snapshot(PLAIN, result(0, 10), result(1, 20), failed), 0) == pytest.approx(6 * 15)


def test_what_runs_is_taken_off_and_as_many_go_on_at_once() -> None:
    running = (Running(1, 0, since=100.0), Running(2, 0, since=104.0))
    now = snapshot(PLAIN, result(0, 10), running=running)
    assert seconds_left(now, 108.0) == pytest.approx((8 * 10 - 8 - 4) / 2)
    assert seconds_left(now, 1e6) == pytest.approx((8 * 10 - 10 - 10) / 2), "longer than expected is not more than done"


def test_with_rungs_one_in_eta_goes_on_from_each() -> None:
    # nine to 1 epoch, three of them to 3, one of these to 9: 9 + 3 * 2 + 1 * 6 = 21 epochs, of which one is done
    assert seconds_left(snapshot(RUNGS, result(0, 2, state="paused")), 0) == pytest.approx(20 * 2)


def test_with_rungs_those_that_went_on_already_are_done() -> None:
    done = [result(0, 9, 3), *(result(k, 3, 2, "paused") for k in (1, 2, 3, 4)), result(5, 1, 1, "paused")]
    assert seconds_left(snapshot(RUNGS, *done), 0) == pytest.approx(3)


def test_at_least_one_goes_to_the_end_of_a_small_sweep() -> None:
    small = RUNGS.replace("trials: 9", "trials: 2")
    assert seconds_left(snapshot(small, result(0, 1, state="paused")), 0) == pytest.approx(1 + 2 + 6)


def test_nothing_is_said_before_anything_was_trained_or_where_the_end_is_not_known() -> None:
    assert math.isnan(seconds_left(snapshot(RUNGS), 0))
    assert math.isnan(seconds_left(snapshot(PLAIN.replace("trials: 9", "trials: null"), result(0, 10)), 0))


def test_a_sweep_that_is_done_takes_no_more_time() -> None:
    assert seconds_left(snapshot(PLAIN, *(result(k, 5) for k in range(9))), 0) == 0
