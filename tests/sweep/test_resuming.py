from pathlib import Path

import pytest
from optuna.trial import TrialState

from unetsep.sweep.search import Search
from unetsep.sweep.study import open_study
from unetsep.sweep.trials import read_result, trial_folder

from .toy import LINE, Killed, Toy, run, sweep_of, trials_of


@pytest.mark.parametrize("sampler", ["TPESampler", "RandomSampler", "BruteForceSampler", "NSGAIISampler"])
def test_a_sweep_that_was_killed_ends_as_if_it_had_not_been(tmp_path: Path, sampler: str) -> None:
    space = "space: {x: {int: [1, 12]}, z: {choice: {a: {}, b: {y: {float: [0, 2], step: 1}}}}}"
    sweep = sweep_of(f"{space}\ntrials: 10\nbudget: {{params: 100}}\nsampler: {sampler}")
    undisturbed, _, _ = run(sweep, tmp_path / "one")
    disturbed = tmp_path / "other"
    trained: list[int] = []
    for killed in (3, 8):
        toy = Toy()
        toy.fails[killed] = Killed()
        try:
            run(sweep, disturbed, toy)
        except Killed:
            trained += [number for number, _ in toy.trained if number != killed]
        else:
            trained += [number for number, _ in toy.trained]
    _, toy, _ = run(sweep, disturbed)
    trained += [number for number, _ in toy.trained]
    assert len(trained) == len(set(trained)) == 10
    for number, result in enumerate(undisturbed.ended):
        again = read_result(trial_folder(disturbed, number))
        assert again is not None
        assert (again.state, again.params, again.scores) == (result.state, result.params, result.scores)


def test_the_trial_that_was_killed_is_trained_again_under_its_own_number_with_its_own_config(tmp_path: Path) -> None:
    toy = Toy()
    toy.fails[2] = Killed()
    with pytest.raises(Killed):
        run(sweep_of(LINE), tmp_path, toy)
    notes, again, _ = run(sweep_of(LINE), tmp_path)
    assert again.trained[0] == toy.trained[2]
    assert notes.begun[0] == (2, 3, True)
    assert all(trial.state == TrialState.COMPLETE for trial in trials_of(tmp_path))


def test_a_sweep_killed_between_the_result_and_the_study_does_not_train_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(Search, "_settle", lambda *_: (_ for _ in ()).throw(Killed()))
        with pytest.raises(Killed):
            run(sweep_of(LINE), tmp_path)
    assert trials_of(tmp_path)[0].state == TrialState.RUNNING
    notes, toy, _ = run(sweep_of(LINE), tmp_path)
    assert [number for number, _ in toy.trained] == [1, 2, 3, 4]
    assert notes.ended[0].number == 0
    assert trials_of(tmp_path)[0].values == [notes.ended[0].scores["val/usdr"], notes.ended[0].cost["gmacs_per_second"]]


def test_a_sweep_killed_in_the_middle_of_a_suggestion_completes_it(tmp_path: Path) -> None:
    sweep = sweep_of("space: {x: {int: [1, 9]}, y: {int: [1, 9]}}\ntrials: 2")
    with open_study(tmp_path, sweep.objectives) as study:
        x = study.ask().suggest_int("x", 1, 9)
    notes, toy, _ = run(sweep, tmp_path)
    assert notes.ended[0].params["x"] == toy.trained[0][1]["x"] == x
    assert set(notes.ended[0].params) == {"x", "y"}
