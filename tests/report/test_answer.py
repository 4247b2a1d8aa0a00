import pytest

from unetsep.report.answer import answer, reached_by_choice
from unetsep.report.run import read_run

from .sweep_folder import write_sweep, write_trial


def test_the_answer_names_the_best_the_nearly_best_and_the_cheapest_above_the_floor(sweep):
    best, near, cheapest = answer(read_run(sweep))
    assert best == (
        "So far, trial 0 is best: usdr 5.00 dB, 3.00 dB above the floor of 2.00 dB, at 1 GMAC/s with depth 1."
    )
    assert near.startswith("Trial 2 comes within 0.3 dB of it")
    assert "at 0.5 GMAC/s (50% of the cost) with depth 3" in near
    assert "trial 3: usdr 2.50 dB, at 0.05 GMAC/s (5% of the cost) with depth 1" in cheapest


def test_a_best_trial_below_the_floor_is_called_that(tmp_path):
    folder = write_sweep(tmp_path / "s", floor=4.0)
    write_trial(folder, 0, usdr=3.0, gmacs=1.0)
    write_trial(folder, 1, usdr=1.0, gmacs=0.1)
    assert answer(read_run(folder)) == [
        "Trial 0 is best: usdr 3.00 dB, 1.00 dB below the floor of 4.00 dB, at 1 GMAC/s with depth 1."
    ]


def test_a_sweep_without_a_floor_or_a_cost_still_has_an_answer(tmp_path):
    folder = write_sweep(tmp_path / "s", floor=None, objectives={"val/loss": "minimize"})
    write_trial(folder, 0, scores={"val/loss": 0.25}, cost={"depth": 2})
    assert answer(read_run(folder)) == ["Trial 0 is best: loss 0.25, with depth 2."]


def test_each_choice_is_credited_with_its_best_trial_and_numbers_stand_in_order(sweep):
    reached = reached_by_choice(read_run(sweep))
    assert [(value.choice, value.score, value.trials) for value in reached["depth"]] == [
        *(("1", 5.0, 2), ("2", 4.0, 1), ("3", 4.8, 1)),
    ]
    assert [value.choice for value in reached["block"]] == ["ConvBlock", "TFC"]


def test_a_depth_that_was_not_suggested_is_taken_from_the_cost_card(tmp_path):
    folder = write_sweep(tmp_path / "s")
    for number in range(6):
        write_trial(folder, number, usdr=number, gmacs=1.0, depth=number // 2 + 1, params={})
    run = read_run(folder)
    assert [value.score for value in reached_by_choice(run)["depth"]] == [1.0, 3.0, 5.0]
    assert run.ranked[0].params == {}


@pytest.mark.parametrize("trials", [3, 9])
def test_a_setting_with_one_trial_per_value_is_no_choice(tmp_path, trials):
    folder = write_sweep(tmp_path / "s")
    for number in range(trials):
        write_trial(folder, number, usdr=number, gmacs=1.0)
    assert "lr" not in reached_by_choice(read_run(folder))
