"""A report over trials that were trained to different rungs, with several seeds."""

import csv
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from unetsep.report.answer import answer
from unetsep.report.charts import ON_PAGE, spec_of
from unetsep.report.learning import learning
from unetsep.report.page import write_report
from unetsep.report.reading import read_run
from unetsep.report.tables import print_leaderboard

from .sweep_folder import write_sweep, write_trial

RUNGS = {"unit": "epochs", "first": 1, "eta": 3, "last": 9}


@pytest.fixture
def sweep(tmp_path: Path) -> Path:
    folder = write_sweep(tmp_path / "run", rungs=RUNGS, seeds=2)
    for number in range(6):
        reached = 3 if number == 5 else 2 if number > 1 else 1
        score = float(number) if number else 4.5
        write_trial(
            folder,
            number,
            score,
            0.1 if number == 0 else 1.0 + number,
            state="complete" if reached == 3 else "paused" if number == 4 else "stopped",
            rungs=[{"val/usdr": score - 1 + rung / 3} for rung in range(reached)],
            spread={"val/usdr": 0.25},
        )
    return folder


def test_what_was_stopped_or_waits_is_ranked_with_the_rest_and_may_be_on_the_front(sweep: Path) -> None:
    run = read_run(sweep)
    assert [trial.number for trial in run.ranked] == [5, 0, 4, 3, 2, 1]
    assert [trial.number for trial in run.front] == [5, 0]
    assert run.rest == []


def test_the_tables_say_how_far_each_was_trained_and_how_its_seeds_spread(sweep: Path) -> None:
    out = Console(file=StringIO(), width=140)
    print_leaderboard(read_run(sweep), out)
    assert isinstance(out.file, StringIO)
    text = out.file.getvalue()
    assert "epochs" in text
    assert "seeds" in text
    write_report(read_run(sweep))
    with (sweep / "report" / "trials.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["epochs"] for row in rows] == ["1", "1", "3", "3", "3", "9"]
    assert {row["spread/val/usdr"] for row in rows} == {"0.25"}


def test_the_page_says_whether_short_trainings_predict_long_ones(sweep: Path) -> None:
    page = write_report(read_run(sweep)).read_text(encoding="utf-8")
    assert "Do short trainings predict long ones?" in page
    assert "Only" in page
    assert "whether one predicts the other" in page


def test_a_sweep_without_rungs_has_no_such_section(tmp_path: Path) -> None:
    folder = write_sweep(tmp_path / "run")
    write_trial(folder, 0, 3.0, 1.0)
    page = write_report(read_run(folder)).read_text(encoding="utf-8")
    assert "Do short trainings" not in page
    assert read_run(folder).agreement == []


def test_the_answer_is_not_the_last_word_while_trials_wait_and_says_how_far_the_best_was_trained(sweep: Path) -> None:
    write_trial(sweep, 6, 9.0, 9.0, state="stopped", rungs=[{"val/usdr": 8.0}, {"val/usdr": 9.0}])
    best = answer(read_run(sweep))[0]
    assert best.startswith("So far, trial 6 is best: usdr 9.00 dB")
    assert best.endswith(", trained for 3 of 9 epochs.")


def test_what_was_trained_to_the_end_needs_no_word_about_its_length(sweep: Path) -> None:
    assert answer(read_run(sweep))[0].endswith("at 6 GMAC/s with depth 3.")


def test_the_learning_curves_show_every_trial_at_every_rung_it_reached(sweep: Path) -> None:
    chart = learning(read_run(sweep), ON_PAGE)
    assert chart is not None
    (climbs,) = (rows for name, rows in spec_of(chart, ON_PAGE)["datasets"].items() if name != "curves")
    reached = {key: [row["epochs"] for row in climbs if row["key"] == key] for key in "012345"}
    assert reached == {"0": [1], "1": [1], "2": [1, 3], "3": [1, 3], "4": [1, 3], "5": [1, 3, 9]}


def test_a_trial_that_logged_nothing_has_no_learning_curve_and_its_sweep_no_such_chart(tmp_path: Path) -> None:
    folder = write_sweep(tmp_path / "run")
    (write_trial(folder, 0, 3.0, 1.0) / "metrics.jsonl").unlink()
    assert learning(read_run(folder), ON_PAGE) is None
    assert "Learning curves" not in write_report(read_run(folder)).read_text(encoding="utf-8")


def test_a_sweep_by_costs_alone_asks_nothing_of_its_rungs(tmp_path: Path) -> None:
    folder = write_sweep(tmp_path / "run", rungs=RUNGS, objectives={"cost/params": "minimize"})
    write_trial(folder, 0, 3.0, 1.0, state="paused", rungs=[{"val/usdr": 3.0}])
    assert read_run(folder).agreement == []
