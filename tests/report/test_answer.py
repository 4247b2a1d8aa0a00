from unetsep.report.answer import answer
from unetsep.report.reading import read_run

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


def test_a_second_score_is_no_price(tmp_path):
    folder = write_sweep(tmp_path / "s", objectives={"val/csdr": "maximize", "val/usdr": "maximize"})
    write_trial(folder, 0, scores={"val/csdr": 3.0, "val/usdr": 4.0}, cost={"depth": 1})
    write_trial(folder, 1, scores={"val/csdr": 2.9, "val/usdr": 4.5}, cost={"depth": 2})
    assert answer(read_run(folder)) == ["Trial 0 is best: csdr 3.00 dB, with usdr 4.00 dB and depth 1."]
