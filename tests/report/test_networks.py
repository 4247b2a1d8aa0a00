"""Networks compared over depth and over seeds."""

import math

import pytest

from unetsep.report.answer import answer
from unetsep.report.networks import networks_by_depth, over_seeds, seeds_sentence
from unetsep.report.page import write_report
from unetsep.report.reading import read_run

from .sweep_folder import write_sweep, write_trial

SCORES = {"base/deep_unet.yaml": (4.0, 4.2, 4.4), "base/tfc_tdf.yaml": (5.0, 5.5, 6.0)}


@pytest.fixture
def seeded(tmp_path):
    """Two networks, three seeds each, suggested as settings; the second also at another depth."""
    folder = write_sweep(tmp_path / "three")
    number = 0
    for base, scores in SCORES.items():
        for seed, score in enumerate(scores):
            depth = 6 if "deep" in base else 3
            write_trial(folder, number, score, 0.1, depth=depth, params={"base": base, "seed_everything": seed})
            number += 1
    write_trial(folder, number, 3.0, 0.1, depth=1, params={"base": "base/tfc_tdf.yaml", "x.depth": 1})
    return folder


def test_a_configs_seeds_are_one_mean_and_one_spread(seeded):
    best, second, third = over_seeds(read_run(seeded))
    assert (best.score, best.seeds, best.trial.number) == (5.5, 3, 5)
    assert best.spread == pytest.approx(0.5)
    assert (second.score, second.spread) == (pytest.approx(4.2), pytest.approx(0.2))
    assert (third.score, third.seeds) == (3.0, 1)
    assert math.isnan(third.spread)


def test_networks_stand_over_their_depths(seeded):
    table = networks_by_depth(read_run(seeded))
    assert {network: sorted(cells) for network, cells in table.items()} == {"tfc_tdf": [1, 3], "deep_unet": [6]}


def test_the_answer_gives_the_spread_over_seeds_by_the_networks_names(seeded):
    assert answer(read_run(seeded))[-1] == (
        "Mean and standard deviation over 3 seeds: "
        "tfc_tdf of depth 3 5.50 ± 0.50 dB; deep_unet of depth 6 4.20 ± 0.20 dB."
    )
    page = write_report(read_run(seeded)).read_text(encoding="utf-8")
    assert "The networks over depth" in page
    assert "5.50 ± 0.50" in page


def test_seeds_that_the_engine_averaged_keep_their_spread(tmp_path):
    folder = write_sweep(tmp_path / "s")
    write_trial(folder, 0, 3.0, 0.1, spread={"val/usdr": 0.25})
    assert seeds_sentence(read_run(folder)) == "Mean and standard deviation over the seeds: trial 0 3.00 ± 0.25 dB."


def test_a_sweep_with_one_network_and_one_seed_has_neither(sweep):
    assert networks_by_depth(read_run(sweep)) == {}
    assert seeds_sentence(read_run(sweep)) == ""


def test_seeds_are_compared_at_the_rung_that_all_of_them_reached(tmp_path):
    folder = write_sweep(tmp_path / "s", rungs={"unit": "epochs", "first": 1, "eta": 3, "last": 9})
    for seed, rungs in enumerate([[3.0], [3.2], [3.1, 7.0]]):
        params = {"base": "a.yaml", "seed_everything": seed}
        write_trial(folder, seed, rungs[-1], 0.1, params=params, rungs=[{"val/usdr": value} for value in rungs])
    (cell,) = over_seeds(read_run(folder))
    assert cell.score == pytest.approx(3.1)
    assert cell.spread == pytest.approx(0.1)
