import json
import math

import pytest

from unetsep.audio.files import InputError
from unetsep.report.reading import read_run, read_runs

from .sweep_folder import write_sweep, write_trial


def test_trials_are_ranked_by_score_and_the_front_is_cheaper_as_it_gets_worse(sweep):
    run = read_run(sweep)
    assert [trial.number for trial in run.ranked] == [0, 2, 1, 3]
    assert [trial.number for trial in run.front] == [0, 2, 3]
    assert run.tally() == "7 trials: 4 complete, 1 refused, 1 failed, 1 unfinished"
    assert run.stems == ["vocals", "drums", "bass", "other"]


def test_distance_above_the_floor_is_the_score_less_the_floor(sweep):
    run = read_run(sweep)
    assert run.above_floor(run.ranked[0]) == pytest.approx(3.0)
    assert run.floor_of("val/usdr/vocals") == 2.0


def test_objectives_come_from_the_sweep_and_may_all_be_minimised(tmp_path):
    folder = write_sweep(tmp_path / "s", objectives={"cost/params": "minimize", "val/loss": "minimize"})
    for number, (loss, params) in enumerate([(0.5, 10), (0.2, 30), (0.3, 40)]):
        write_trial(folder, number, scores={"val/loss": loss}, cost={"params": params})
    run = read_run(folder)
    assert run.score == "val/loss"
    assert run.cost == "cost/params"
    assert [trial.number for trial in run.ranked] == [1, 2, 0]
    assert [trial.number for trial in run.front] == [1, 0]


def test_one_objective_is_weighed_against_multiply_adds(tmp_path):
    folder = write_sweep(tmp_path / "s", objectives={"val/usdr": "maximize"})
    write_trial(folder, 0, usdr=3.0, gmacs=0.1)
    write_trial(folder, 1, usdr=2.0, gmacs=0.01)
    run = read_run(folder)
    assert run.cost == "cost/gmacs_per_second"
    assert [trial.number for trial in run.front] == [0]


def test_a_complete_trial_without_a_number_ranks_last_and_is_not_on_the_front(sweep):
    write_trial(sweep, 9, gmacs=0.001, scores={"val/usdr": math.nan})
    run = read_run(sweep)
    assert run.ranked[-1].number == 9
    assert 9 not in [trial.number for trial in run.front]


def test_a_trial_under_way_says_how_far_it_is_even_while_its_log_is_being_written(sweep):
    with (sweep / "trials/0006/metrics.jsonl").open("a") as log:
        log.write('{"epoch": 4, "val/us')
    unfinished = read_run(sweep).rest[-1]
    assert (unfinished.state, unfinished.reason) == ("unfinished", "logged up to epoch 3")


def test_a_broken_result_file_is_one_failed_trial(sweep):
    (sweep / "trials/0001/result.json").write_text('{"number": 1, ')
    run = read_run(sweep)
    assert [trial.number for trial in run.ranked] == [0, 2, 3]
    assert "is not JSON" in run.rest[0].reason


def test_the_learning_curve_pairs_epochs_with_values(sweep):
    curve = read_run(sweep).ranked[0].curve("val/usdr")
    assert curve == [(0, 3.0), (1, 4.0), (2, pytest.approx(5 - 2 / 3)), (3, 4.5)]


def test_a_sweep_without_a_finished_trial_says_how_its_trials_ended(tmp_path):
    folder = write_sweep(tmp_path / "s")
    write_trial(folder, 0, state="unfinished")
    write_trial(folder, 1, state="failed", reason="out of memory")
    with pytest.raises(InputError, match=r"no trial has a score yet \(2 trials: 1 unfinished, 1 failed.*out of memory"):
        read_run(folder)


def test_a_sweep_that_has_not_begun_says_so(tmp_path):
    with pytest.raises(InputError, match=r"no trial has a score yet \(no trials\)"):
        read_run(write_sweep(tmp_path / "s"))


def test_a_folder_that_is_no_sweep_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"it has no sweep\.yaml \(give the folder that `unetsep sweep` wrote\)"):
        read_run(tmp_path)


def test_a_trials_folder_is_answered_with_its_sweeps(sweep):
    with pytest.raises(InputError, match=r"that is one trial; give .*shallow\)"):
        read_run(sweep / "trials/0000")


@pytest.mark.parametrize("objectives", [None, {}, {"val/usdr": "up"}, ["val/usdr"]])
def test_a_sweep_without_objectives_is_refused(tmp_path, objectives):
    with pytest.raises(InputError, match="must map each measure to maximize or minimize"):
        read_run(write_sweep(tmp_path / "s", objectives=objectives))


def test_bounds_are_read_where_they_were_measured(sweep):
    (sweep / "oracle.json").write_text('{"usdr": 9.5, "usdr/vocals": 10.0}')
    run = read_run(sweep)
    assert (run.floor["usdr"], run.oracle["usdr"], run.mixture) == (2.0, 9.5, {})


def test_several_sweeps_are_ranked_together_under_keys_that_name_them(sweep, tmp_path):
    other = write_sweep(tmp_path / "skips")
    write_trial(other, 2, usdr=4.9, gmacs=0.7)
    run = read_runs([sweep, other])
    assert [trial.key for trial in run.ranked] == ["shallow-0", "skips-2", "shallow-2", "shallow-1", "shallow-3"]
    assert run.name == "shallow + skips"
    assert run.front_keys == {"shallow-0", "skips-2", "shallow-2", "shallow-3"}
    assert run.floor["usdr"] == 2.0


def test_a_floor_that_differs_between_sweeps_is_nobodys(sweep, tmp_path):
    other = write_sweep(tmp_path / "skips", floor=1.0)
    write_trial(other, 0, usdr=4.9, gmacs=0.7)
    assert read_runs([sweep, other]).floor == {}


def test_one_sweep_alone_keeps_plain_numbers(sweep):
    assert [trial.key for trial in read_runs([sweep]).front] == ["0", "2", "3"]


def judged_on(trial, *tracks):
    (trial / "tracks.jsonl").write_text(json.dumps({"stage": "val", "tracks": {track: {} for track in tracks}}) + "\n")


@pytest.mark.parametrize(
    ("settings", "name", "message"),
    [
        ({}, "elsewhere/shallow", "two of the sweeps are called shallow"),
        ({"objectives": {"val/csdr": "maximize"}}, "other", "has the objectives val/usdr, cost/gmacs_per_second, but"),
        ({}, "other", "were judged on different tracks .2 and 1, 1 in both."),
    ],
)
def test_sweeps_whose_scores_do_not_compare_are_not_reported_as_one(sweep, tmp_path, settings, name, message):
    other = write_sweep(tmp_path / name, **settings)
    judged_on(write_trial(other, 0, usdr=4.9, gmacs=0.7, scores={"val/usdr": 4.9, "val/csdr": 4.0}), "song one")
    judged_on(sweep / "trials/0000", "song one", "song two")
    with pytest.raises(InputError, match=message):
        read_runs([sweep, other])
