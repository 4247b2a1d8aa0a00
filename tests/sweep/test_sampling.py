"""Every kind of sampler, through the real search, with a training that is arithmetic."""

from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.trial import FrozenTrial, TrialState, create_trial

from unetsep.audio.files import InputError
from unetsep.sweep.document import Config
from unetsep.sweep.sampling import AtRung, exhaustive, latest, make_sampler, seen, with_refused
from unetsep.sweep.search import Search
from unetsep.sweep.study import open_study
from unetsep.sweep.trials import read_result, trial_folder

from .toy import Killed, Notes, Toy, run, sweep_of, trials_of

CONDITIONAL = """
seed: 3
space:
  x: {int: [1, 60]}
  lr: {float: [0.001, 1.0], log: true}
  z: {choice: {a: {}, b: {y: {float: [0, 2], step: 0.5}, w: {choice: [[1, 2], {k: 1}, null]}}}}
budget: {params: 500}
trials: 9
"""
RUNGS = "rungs: {unit: epochs, first: 1, eta: 3, last: 9}\n"
SAMPLERS = {
    "tpe": "{class_path: TPESampler, init_args: {multivariate: true, group: true, n_startup_trials: 4}}",
    "liar": "{class_path: TPESampler, init_args: {multivariate: true, constant_liar: true, n_startup_trials: 4}}",
    "nsga2": "{class_path: NSGAIISampler, init_args: {population_size: 4}}",
    "nsga3": "{class_path: optuna.samplers.NSGAIIISampler, init_args: {population_size: 4}}",
    "gp": "{class_path: GPSampler, init_args: {n_startup_trials: 4}}",
    "qmc": "QMCSampler",
    "random": "RandomSampler",
}
FLAT = "seed: 3\nspace: {x: {int: [1, 60]}, y: {float: [1, 2]}}\nbudget: {params: 500}\n"
LISTED = {
    "grid": "{class_path: GridSampler, init_args: {search_space: {x: [1, 60, 3], y: [1, 2]}}}",
    "list": "{class_path: FixedList, init_args: {trials: [{x: 1, y: 2}, {x: 60, y: 1}, {x: 3, y: 1}]}}",
}


def trial_with(number: int, *rungs: float, state: TrialState = TrialState.RUNNING, **more: Any) -> FrozenTrial:
    values = [0.0, 0.0] if state == TrialState.COMPLETE else None
    trial = create_trial(state=state, values=values, **more)
    trial.number = number
    if rungs:
        trial.user_attrs = {"rungs": [{"val/usdr": each} for each in rungs], "judged": {"cost": {"params": number}}}
    return trial


MEASURES = ["val/usdr", "cost/params"]


def test_trials_are_seen_at_the_highest_rung_that_enough_have_reached() -> None:
    trials = [trial_with(number, 1.0 + number, 10.0, *([20.0] * (number < 2))) for number in range(3)]
    trials += [trial_with(3, 1.0), trial_with(4), trial_with(5, 1.0, state=TrialState.FAIL)]
    at = {
        enough: [(each.number, each.state.name, each.values) for each in seen(trials, MEASURES, enough)]
        for enough in (2, 3, 4, 5)
    }
    rest = [(4, "RUNNING", None), (5, "FAIL", None)]
    assert at[2] == [(0, "COMPLETE", [20.0, 0.0]), (1, "COMPLETE", [20.0, 1.0]), *rest]
    assert at[3] == [(number, "COMPLETE", [10.0, number]) for number in range(3)] + rest
    assert (
        at[4]
        == at[5]
        == [(number, "COMPLETE", [1.0 + number, number]) for number in range(3)]
        + [
            (3, "COMPLETE", [1.0, 3.0]),
            *rest,
        ]
    )
    assert trials[0].state == TrialState.RUNNING


def test_without_rungs_all_are_seen_as_they_are() -> None:
    trials = [trial_with(0, 5.0, state=TrialState.COMPLETE), trial_with(1, state=TrialState.PRUNED), trial_with(2)]
    shown = seen(trials, MEASURES)
    assert [each.state for each in shown] == [TrialState.COMPLETE, TrialState.PRUNED, TrialState.RUNNING]
    assert shown[0].values == [5.0, 0.0]


def test_what_another_sweep_trained_keeps_its_values() -> None:
    known = trial_with(0, state=TrialState.COMPLETE)
    assert seen([known, trial_with(1, 3.0)], MEASURES)[0].values == [0.0, 0.0]


def test_a_genetic_sampler_sees_every_trial_where_it_stands() -> None:
    trials = [trial_with(0, 1.0, 2.0), trial_with(1, 3.0), trial_with(2), trial_with(3, 1.0, state=TrialState.FAIL)]
    assert [each.state.name for each in latest(trials, MEASURES)] == ["COMPLETE", "COMPLETE", "RUNNING", "FAIL"]
    assert [each.values for each in latest(trials, MEASURES)[:2]] == [[2.0, 0.0], [3.0, 1.0]]


def test_a_model_of_measured_trials_learns_where_the_budget_ends() -> None:
    trials = [trial_with(0, state=TrialState.COMPLETE, constraints={"params": -0.5})]
    trials += [trial_with(number, state=TrialState.PRUNED, constraints={"params": number}) for number in (1, 2, 3)]
    trials += [trial_with(4, state=TrialState.PRUNED, constraints={"possible": 1.0}), trial_with(5)]
    shown = with_refused(trials, most=2)
    assert [(each.number, each.state.name) for each in shown] == [
        (0, "COMPLETE"),
        (4, "PRUNED"),
        (5, "RUNNING"),
        (2, "COMPLETE"),
        (3, "COMPLETE"),
    ]
    assert shown[-1].values == [0.0, 0.0]
    assert with_refused(trials[1:]) == trials[1:]


@pytest.mark.parametrize("more", [RUNGS, "objectives: {val/usdr: maximize}\n"], ids=["rungs", "one objective"])
@pytest.mark.parametrize("sampler", SAMPLERS)
def test_any_sampler_goes_through_the_search(tmp_path: Path, sampler: str, more: str) -> None:
    text = f"{CONDITIONAL}{more}sampler: {SAMPLERS[sampler]}\n"
    _, toy, gave_up = run(sweep_of(text), tmp_path)
    assert gave_up == ""
    assert len({number for number, _ in toy.trained}) == 9
    assert all(config["x"] <= 50 for _, config in toy.trained)
    assert {config["z"] for _, config in toy.trained} == {"a", "b"}


class Interrupted(Toy):
    """Is killed in the middle of a suggestion, in training, and while it judges."""

    def __init__(self, moment: int) -> None:
        super().__init__()
        self.moment = moment

    def tick(self) -> None:
        self.moment -= 1
        if self.moment == 0:
            raise Killed

    def resolve(self, config: Config) -> Config:
        self.tick()
        return super().resolve(config)

    def train(self, *args: Any) -> Any:
        self.tick()
        return super().train(*args)


@pytest.mark.parametrize("sampler", [*SAMPLERS, "grid", "list"])
def test_a_sweep_that_is_killed_again_and_again_suggests_what_it_would_have(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sampler: str
) -> None:
    given = SAMPLERS.get(sampler) or LISTED[sampler]
    sweep = sweep_of(f"{CONDITIONAL if sampler in SAMPLERS else FLAT}{RUNGS}sampler: {given}")
    run(sweep, tmp_path / "whole")
    suggest_float = optuna.Trial.suggest_float
    for moment in (5, 3, 7, 2, 9):
        toy = Interrupted(moment)

        def suggest(trial: optuna.Trial, *args: Any, toy: Interrupted = toy, **more: Any) -> float:
            value = suggest_float(trial, *args, **more)
            toy.tick()  # the first of several names is stored, the others are not
            return value

        monkeypatch.setattr(optuna.Trial, "suggest_float", suggest)
        with suppress(Killed):
            run(sweep, tmp_path / "killed", toy)
    monkeypatch.setattr(optuna.Trial, "suggest_float", suggest_float)
    run(sweep, tmp_path / "killed")

    def params(folder: Path) -> list[tuple[Mapping[str, Any], str]]:
        results = [read_result(trial_folder(folder, trial.number)) for trial in trials_of(folder)]
        return [(result.params, result.state) for result in results if result is not None]

    assert params(tmp_path / "killed") == params(tmp_path / "whole")
    assert len(params(tmp_path / "whole")) == len(trials_of(tmp_path / "whole"))


def test_seeds_of_sweeps_differ_and_names_of_one_trial_too() -> None:
    study = optuna.create_study()
    distribution = optuna.distributions.FloatDistribution(0, 1)

    def draw(seed: int, number: int, name: str) -> float:
        sampler = AtRung(make_sampler("RandomSampler", seed, number), [])
        return float(sampler.sample_independent(study, trial_with(number), name, distribution))

    drawn = [draw(seed, number, name) for seed in (0, 1) for number in (0, 1) for name in "ab"]
    assert len(set(drawn)) == len(drawn)
    assert draw(0, 0, "a") == draw(0, 0, "a")


def test_a_quasi_random_sequence_is_spread_evenly(tmp_path: Path) -> None:
    text = "space: {x: {int: [1, 64]}, lr: {float: [0, 1]}}\nsampler: QMCSampler\ntrials: 16"
    _, toy, _ = run(sweep_of(text), tmp_path)
    quarters = [(config["x"] - 1) // 16 for _, config in toy.trained[1:]]
    assert sorted(map(quarters.count, range(4))) == [3, 4, 4, 4]


def test_a_list_is_tried_once_in_its_order_and_needs_no_number_of_trials(tmp_path: Path) -> None:
    listed = "[{x: 5, z: a}, {z: b, x: 2, y: 1, w: {k: 1}}, {x: 3, z: b, y: 0.5, w: null}]"
    space = "x: {int: [1, 9]}, z: {choice: {a: {}, b: {y: {float: [0, 1]}, w: {choice: [{k: 1}, null]}}}}"
    text = f"space: {{{space}}}\nsampler: {{class_path: FixedList, init_args: {{trials: {listed}}}}}"
    sweep = sweep_of(text)
    assert exhaustive(make_sampler(sweep.document["sampler"], 0, 0))
    _, toy, gave_up = run(sweep, tmp_path)
    assert [config for _, config in toy.trained] == [
        {"x": 5, "z": "a"},
        {"x": 2, "z": "b", "y": 1.0, "w": {"k": 1}},
        {"x": 3, "z": "b", "y": 0.5, "w": None},
    ]
    assert gave_up == ""
    with open_study(tmp_path, sweep.objectives) as study:
        assert Search(sweep, tmp_path, study, Notes()).done


def test_of_a_list_fewer_may_be_tried(tmp_path: Path) -> None:
    given = "{class_path: unetsep.sweep.sampling.FixedList, init_args: {trials: [{x: 5}, {x: 4}, {x: 3}]}}"
    _, toy, _ = run(sweep_of(f"space: {{x: {{int: [1, 9]}}}}\ntrials: 2\nsampler: {given}"), tmp_path)
    assert [config["x"] for _, config in toy.trained] == [5, 4]


def test_a_grid_is_tried_once_over_budget_and_after_what_was_enqueued_too(tmp_path: Path) -> None:
    given = "{class_path: GridSampler, init_args: {search_space: {x: [1, 2, 40], y: [0, 1]}}}"
    space = "{x: {int: [1, 40]}, y: {int: [0, 1]}}"
    sweep = sweep_of(f"space: {space}\nbudget: {{params: 300}}\nsampler: {given}")
    with open_study(tmp_path, sweep.objectives) as study:
        study.enqueue_trial({"x": 7, "y": 1})
    notes, toy, gave_up = run(sweep, tmp_path)
    assert (toy.trained[0][1]["x"], gave_up) == (7, "")
    assert sorted((config["x"], config["y"]) for _, config in toy.trained[1:]) == [(1, 0), (1, 1), (2, 0), (2, 1)]
    assert sorted(notes.states()) == ["complete"] * 5 + ["refused"] * 2


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("TPE", "sampler: there is no TPE; there are BruteForceSampler, .*, FixedList"),
        ("unetsep.sweep.search.Search", "there is no unetsep.sweep.search.Search"),
        (3, "sampler: is 3, but must be"),
        ({"class_path": "TPESampler", "args": {}}, "but must be {class_path: TPESampler"),
        ({"class_path": "TPESampler", "init_args": [1]}, r"init_args is \[1\], but must be a mapping"),
        (
            {"class_path": "TPESampler", "init_args": {"seeds": 1}},
            "TPESampler cannot be made with {seeds: 1}: .*'seeds'",
        ),
        ({"class_path": "NSGAIISampler", "init_args": {"population_size": 1}}, "cannot be made with"),
        ({"class_path": "FixedList", "init_args": {"trials": 3}}, "must be a list of mappings"),
        ({"class_path": "FixedList"}, "FixedList cannot be made with {}: missing"),
        ({"class_path": "GridSampler", "init_args": {"search_space": {"x": 3}}}, "must map the space's keys to lists"),
        (
            {"class_path": "GridSampler", "init_args": {"search_space": {"x": [*range(400)], "y": [*range(400)]}}},
            "160,000",
        ),
        ({"class_path": "GridSampler"}, "cannot be made with {}"),
    ],
)
def test_what_is_no_sampler_is_refused_in_one_line(given: Any, message: str) -> None:
    with pytest.raises(InputError, match=message) as refusal:
        make_sampler(given, 0, 0)
    assert "\n" not in str(refusal.value)
