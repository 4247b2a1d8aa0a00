import json
import math
from pathlib import Path

import optuna
import pytest
from optuna.trial import TrialState

from unetsep.audio.files import InputError
from unetsep.sweep import search
from unetsep.sweep.judging import fingerprint_of
from unetsep.sweep.search import PATIENCE
from unetsep.sweep.trials import read_result, trial_folder

from . import toy as toy_module
from .toy import LINE, Toy, run, sweep_of, trials_of

GRID = "space: {x: {choice: {1: {}, 2: {y: {choice: [0, 1, 2]}}}}}\nsampler: BruteForceSampler\n"


def test_so_many_trials_are_trained_as_the_sweep_wants(tmp_path: Path) -> None:
    notes, toy, gave_up = run(sweep_of(LINE), tmp_path)
    assert (len(toy.trained), gave_up) == (5, "")
    assert notes.begun == [(number, number + 1, False) for number in range(5)]
    for number, config in toy.trained:
        result = json.loads((tmp_path / "trials" / f"{number:04d}" / "result.json").read_text())
        assert result.pop("seconds") >= 0
        assert result == {
            "number": number,
            "state": "complete",
            "reason": "",
            "scores": {"val/usdr": -((config["x"] - 3) ** 2), "val/usdr/vocals": 1.0},
            "spread": {},
            "rungs": [{"val/usdr": -((config["x"] - 3) ** 2), "val/usdr/vocals": 1.0}],
            "cost": {"gmacs_per_second": config["x"], "params": config["x"] * 10},
            "params": {"x": config["x"]},
            "epoch": 2,
        }


def test_the_study_holds_every_objective_under_its_name(tmp_path: Path) -> None:
    run(sweep_of(LINE), tmp_path)
    study = optuna.load_study(study_name="sweep", storage=f"sqlite:///{tmp_path}/study.db")
    assert study.metric_names == ["val/usdr", "cost/gmacs_per_second"]
    assert [direction.name for direction in study.directions] == ["MAXIMIZE", "MINIMIZE"]
    for trial in study.trials:
        assert trial.values == [-((trial.params["x"] - 3) ** 2), trial.params["x"]]
        assert trial.user_attrs["judged"]["cost"]["params"] == trial.params["x"] * 10
        assert trial.user_attrs["scores"]["val/usdr/vocals"] == 1.0


def test_what_is_without_end_is_null_in_the_result_and_not_in_the_study(tmp_path: Path) -> None:
    toy = Toy()
    toy.cost = lambda resolved: {"gmacs_per_second": 1.0, "receptive_field_seconds": float("inf")}  # type: ignore[method-assign]
    notes, _, _ = run(sweep_of(LINE), tmp_path, toy)
    assert notes.states()[0] == "complete"
    text = (tmp_path / "trials" / "0000" / "result.json").read_text()
    assert '"receptive_field_seconds": null' in text
    result = read_result(tmp_path / "trials" / "0000")
    assert result is not None
    assert math.isnan(result.value("cost/receptive_field_seconds"))
    assert trials_of(tmp_path)[0].user_attrs["judged"]["cost"] == {"gmacs_per_second": 1.0}


def test_one_objective_is_enough(tmp_path: Path) -> None:
    run(sweep_of(LINE + "objectives: {val/usdr: maximize}"), tmp_path)
    assert all(len(trial.values) == 1 for trial in trials_of(tmp_path))


def test_a_config_over_budget_is_refused_before_training_and_not_counted(tmp_path: Path) -> None:
    notes, toy, _ = run(sweep_of(LINE + "budget: {params: 300, gmacs_per_second: 50}"), tmp_path)
    assert len(toy.trained) == 5
    assert all(config["x"] <= 30 for _, config in toy.trained)
    refused = [result for result in notes.ended if result.state == "refused"]
    assert refused
    for result in refused:
        assert f"params is {result.params['x'] * 10:.3g}, over the budget of 300" in result.reason
        assert read_result(trial_folder(tmp_path, result.number)) == result
        told = trials_of(tmp_path)[result.number]
        assert told.state == TrialState.PRUNED
        assert told.constraints["params"] == pytest.approx(result.params["x"] / 30 - 1)
    for trial in trials_of(tmp_path):
        assert (trial.state == TrialState.COMPLETE) == all(value <= 0 for value in trial.constraints.values())


def test_an_impossible_network_is_refused_with_its_reason_in_one_line(tmp_path: Path) -> None:
    notes, toy, _ = run(sweep_of("space: {x: {choice: [1, 13]}}\nsampler: BruteForceSampler"), tmp_path)
    assert [config["x"] for _, config in toy.trained] == [1]
    [refused] = [result for result in notes.ended if result.state == "refused"]
    assert refused.reason == "13 is no size for anything"
    assert refused.params == {"x": 13}


def test_no_config_is_trained_twice(tmp_path: Path) -> None:
    notes, toy, gave_up = run(sweep_of("space: {x: {int: [1, 4]}}\ntrials: 4"), tmp_path)
    assert sorted(config["x"] for _, config in toy.trained) == [1, 2, 3, 4]
    assert gave_up == ""
    duplicates = [result for result in notes.ended if result.state == "duplicate"]
    assert duplicates
    for result in duplicates:
        twin = next(number for number, config in toy.trained if config["x"] == result.params["x"])
        assert result.reason == f"the same config as trial {twin}"
        assert trials_of(tmp_path)[result.number].state == TrialState.FAIL


def test_where_a_trial_lies_does_not_make_it_another_one() -> None:
    config = {"x": 1, "out": "runs/a", "name": "0001", "group": "a", "tags": [], "wandb": "offline"}
    assert fingerprint_of(config) == fingerprint_of({"x": 1})
    assert fingerprint_of({"x": 1, "seed_everything": 1}) != fingerprint_of({"x": 1, "seed_everything": 2})


def test_a_search_that_finds_nothing_new_gives_up_after_a_bounded_number_of_suggestions(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(search, "REFUSALS", 20)
    sweep = sweep_of("space: {x: {int: [1, 2]}}\ntrials: 3")
    notes, toy, gave_up = run(sweep, tmp_path)
    assert len(toy.trained) == 2
    assert notes.states()[-20:] == ["duplicate"] * 20
    assert "gave up after 20 suggestions in a row" in gave_up
    again, toy, gave_up = run(sweep, tmp_path)
    assert (again.ended, toy.trained) == ([], [])
    assert gave_up


def test_chance_takes_over_where_a_model_insists(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Insists(optuna.samplers.RandomSampler):
        def sample_independent(self, *_: object) -> int:
            return 7

    monkeypatch.setattr(toy_module, "Insists", Insists, raising=False)
    sweep = sweep_of(LINE.replace("5", "3") + f"sampler: {toy_module.__name__}.Insists")
    notes, toy, gave_up = run(sweep, tmp_path)
    assert (len(toy.trained), gave_up) == (3, "")
    assert notes.states()[: PATIENCE + 2] == ["complete", *["duplicate"] * PATIENCE, "complete"]


def test_an_exhaustive_sampler_tries_everything_once_and_stops(tmp_path: Path) -> None:
    sweep = sweep_of(GRID)
    _, toy, _ = run(sweep, tmp_path)
    tried = sorted((config["x"], config.get("y", -1)) for _, config in toy.trained)
    assert tried == [(1, -1), (2, 0), (2, 1), (2, 2)]
    notes, toy, gave_up = run(sweep, tmp_path)
    assert (notes.ended, toy.trained, gave_up) == ([], [], "")


def test_an_exhaustive_sampler_may_be_refused_more_often_than_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(search, "REFUSALS", 4)
    text = "space: {x: {int: [1, 20]}}\nsampler: BruteForceSampler\nbudget: {params: 30}"
    _, toy, gave_up = run(sweep_of(text), tmp_path)
    assert sorted(config["x"] for _, config in toy.trained) == [1, 2, 3]
    assert gave_up == ""


def test_other_samplers_need_a_number_of_trials(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"toy.yaml: trials: is missing; only samplers of lists and grids"):
        run(sweep_of(LINE.replace("trials: 5", "")), tmp_path)


@pytest.mark.parametrize(
    "error", [RuntimeError("out of\nmemory"), ValueError("the loss is nan on song 3"), AssertionError("no")]
)
def test_a_trial_that_fails_leaves_its_reason_and_the_sweep_goes_on(tmp_path: Path, error: Exception) -> None:
    toy = Toy()
    toy.fails[1] = error
    notes, _, _ = run(sweep_of(LINE), tmp_path, toy)
    assert notes.states() == ["complete", "failed", "complete", "complete", "complete"]
    assert notes.ended[1].reason == f"{type(error).__name__}: {' '.join(str(error).split())}"
    assert "Traceback" in (tmp_path / "trials" / "0001" / "error.txt").read_text()
    told = trials_of(tmp_path)[1]
    assert told.state == TrialState.FAIL
    assert told.user_attrs["reason"] == notes.ended[1].reason


@pytest.mark.parametrize("scores", [{}, {"val/usdr": float("nan")}, {"val/usdr": float("-inf")}, {"val/csdr": 1.0}])
def test_a_trial_without_a_finite_score_has_failed(tmp_path: Path, scores: dict[str, float]) -> None:
    toy = Toy()
    toy.scores[0] = scores
    notes, _, _ = run(sweep_of(LINE), tmp_path, toy)
    assert notes.ended[0].state == "failed"
    assert notes.ended[0].reason == "val/usdr was not measured, or is not a finite number"


def test_more_trials_may_be_asked_for_later(tmp_path: Path) -> None:
    _, first, _ = run(sweep_of(LINE), tmp_path)
    _, second, _ = run(sweep_of(LINE.replace("trials: 5", "trials: 8")), tmp_path)
    assert [number for number, _ in first.trained + second.trained] == list(range(8))


def test_trials_of_another_study_are_not_mistaken_for_ones_own(tmp_path: Path) -> None:
    run(sweep_of(LINE), tmp_path)
    (tmp_path / "study.db").unlink()
    with pytest.raises(
        InputError, match=r"trials/0000 is of no trial in this run's study; give another --out, or remove"
    ):
        run(sweep_of(LINE), tmp_path)


def test_a_result_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    (tmp_path / "result.json").write_text('{"number": 1}')
    with pytest.raises(InputError, match=r"result.json is no trial's result .*; remove it"):
        read_result(tmp_path)


def test_all_samplers_of_the_design_go_through_the_same_search(tmp_path: Path) -> None:
    pytest.importorskip("scipy")
    for sampler in ("GPSampler", "QMCSampler", "{class_path: TPESampler, init_args: {n_startup_trials: 3}}"):
        text = LINE.replace("trials: 5", "trials: 7") + f"sampler: {sampler}\nbudget: {{params: 800}}"
        _, toy, gave_up = run(sweep_of(text), tmp_path / sampler[:5])
        assert (len(toy.trained), gave_up) == (7, ""), sampler
