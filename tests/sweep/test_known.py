"""What a sweep is told before it begins: other sweeps' trials, and configs to try first."""

import json
from pathlib import Path
from typing import Any

import pytest
from optuna.trial import FrozenTrial, TrialState

from unetsep.audio.files import InputError
from unetsep.sweep.document import Config, write_yaml
from unetsep.sweep.domain import read_space
from unetsep.sweep.fold import find, put
from unetsep.sweep.known import enqueue, read_wanted, warm_start
from unetsep.sweep.lookup import distribution_of, of_values
from unetsep.sweep.question import DEFAULTS, Sweep
from unetsep.sweep.space import Space
from unetsep.sweep.standing import begun
from unetsep.sweep.study import open_study
from unetsep.sweep.trial import CommandLine

from .toy import Toy, run, sweep_of, trials_of

SPACE = """
space:
  x: {int: [1, 9]}
  lr: {float: [0.1, 1.0], log: true}
  z: {choice: {a: {}, b: {w: {choice: [[1], {k: 2}]}}}}
"""
QUESTION = SPACE + "seed: 2\ntrials: 6\n"


def learn(sweep: Sweep, folder: Path) -> tuple[str, list[FrozenTrial]]:
    with open_study(folder, sweep.objectives) as study:
        line = warm_start(study, sweep, Toy().resolve)
    return line, trials_of(folder)


def queue(sweep: Sweep, folder: Path, path: Path) -> tuple[str, list[FrozenTrial]]:
    wanted = read_wanted(sweep, path, Toy().resolve)
    with open_study(folder, sweep.objectives) as study:
        line = enqueue(study, wanted)
    return line, trials_of(folder)


@pytest.fixture
def other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    run(sweep_of(QUESTION), Path("other"))
    return Path("other")


def test_trials_of_another_sweep_are_known_to_the_sampler_and_not_counted(other: Path) -> None:
    sweep = sweep_of(QUESTION + "warm_start: [other]\nbudget: {params: 50}")
    line, known = learn(sweep, Path("here"))
    assert line == "the sampler knows 6 trials of other"
    for trial, source in zip(known, trials_of(other), strict=True):
        assert (trial.state, trial.params, trial.values) == (source.state, source.params, source.values)
        assert trial.distributions == source.distributions
        assert trial.user_attrs["state"] == "known"
        assert trial.user_attrs["from"] == f"other/trials/{source.number:04d}"
        assert trial.constraints == {"params": pytest.approx(trial.params["x"] * 10 / 50 - 1)}
        assert not begun(trial)
    _, toy, gave_up = run(sweep, Path("here"))
    assert (toy.trained[0][0], gave_up) == (6, "")
    assert len(toy.trained) == 6
    assert learn(sweep, Path("here"))[0] == line
    assert sum(trial.user_attrs.get("state") == "known" for trial in trials_of(Path("here"))) == 6


def test_a_warm_start_that_was_killed_is_completed(other: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sweep = sweep_of(QUESTION + "warm_start: [other]")
    with open_study(Path("here"), sweep.objectives) as study:
        add, added = study.add_trial, []

        def add_two(trial: FrozenTrial) -> None:
            if len(added) == 2:
                raise KeyboardInterrupt
            added.append(add(trial))

        monkeypatch.setattr(study, "add_trial", add_two)
        with pytest.raises(KeyboardInterrupt):
            warm_start(study, sweep, Toy().resolve)
    line, known = learn(sweep, Path("here"))
    assert line == "the sampler knows 6 trials of other"
    assert [trial.user_attrs["from"][-1] for trial in known] == list("012345")


def test_what_lies_outside_of_the_space_is_left_out_and_counted(other: Path) -> None:
    inside = [trial for trial in trials_of(other) if trial.params["x"] <= 5 and trial.params["z"] == "a"]
    assert 0 < len(inside) < 6
    text = "space: {x: {int: [1, 5]}, lr: {float: [0.01, 1.0], log: true}}\noverrides: {z: a}\nwarm_start: [other]"
    line, known = learn(sweep_of(text), Path("here"))
    assert line == (
        f"the sampler knows {len(inside)} trials of other; not taken: {6 - len(inside)} outside of this space"
    )
    assert [trial.params for trial in known] == [{name: trial.params[name] for name in ("x", "lr")} for trial in inside]


def test_what_was_not_measured_is_left_out(other: Path) -> None:
    for number, change in enumerate([{"state": "failed"}, {"state": "paused"}, {"state": "stopped"}, {"scores": {}}]):
        path = other / "trials" / f"{number:04d}" / "result.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | change))
    (other / "trials" / "0009").mkdir()
    line, known = learn(sweep_of(QUESTION + "warm_start: [other]"), Path("here"))
    assert line == (
        "the sampler knows 2 trials of other; not taken: 2 not trained to their end, 1 without this sweep's objectives"
    )
    assert len(known) == 2


def test_rungs_are_learned_from_where_they_are_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    rungs = "rungs: {unit: epochs, first: 1, eta: 3, last: 9}\n"
    first = sweep_of(QUESTION + rungs)
    run(first, Path("other"))
    write_yaml(Path("other/sweep.yaml"), first.document)
    _, known = learn(sweep_of(QUESTION + rungs + "warm_start: [other]"), Path("same"))
    assert len(known) == 6
    assert [trial.user_attrs["rungs"] for trial in known] == [t.user_attrs["rungs"] for t in trials_of(Path("other"))]
    for more in (rungs.replace("9", "27"), ""):
        line, known = learn(sweep_of(QUESTION + more + "warm_start: [other]"), Path(f"without{len(more)}"))
        assert known
        assert not any("rungs" in trial.user_attrs for trial in known)
        assert f"{6 - len(known)} not trained to their end" in line
    _, toy, gave_up = run(sweep_of(QUESTION + rungs + "warm_start: [other]"), Path("same"))
    assert (len({number for number, _ in toy.trained}), gave_up) == (6, "")


def test_any_sampler_takes_a_warm_start(other: Path) -> None:
    samplers = ["{class_path: GPSampler, init_args: {n_startup_trials: 4}}", "NSGAIISampler", "QMCSampler"]
    samplers += ["{class_path: FixedList, init_args: {trials: [{x: 1, lr: 0.5, z: a}, {x: 2, lr: 0.5, z: a}]}}"]
    for number, sampler in enumerate(samplers):
        text = f"{SPACE}trials: 2\nbudget: {{params: 80}}\nwarm_start: [other]\nsampler: {sampler}"
        learn(sweep_of(text), Path(str(number)))
        _, toy, gave_up = run(sweep_of(text), Path(str(number)))
        assert (len(toy.trained), gave_up) == (2, ""), sampler


def test_a_config_is_tried_first_and_once(tmp_path: Path) -> None:
    sweep = sweep_of(QUESTION)
    write_yaml(tmp_path / "wanted.yaml", {"x": 7, "lr": 0.5, "z": "b", "w": {"k": 2}, "u": 1, "out": "elsewhere"})
    write_yaml(tmp_path / "point.yaml", {"x": 3, "lr": 0.25, "z": "a"})
    line, queued = queue(sweep, tmp_path / "run", tmp_path / "wanted.yaml")
    assert line == (
        f"{tmp_path}/wanted.yaml: is tried first, with x 7, lr 0.5, z b, w {{k: 2}}; "
        "set by this sweep and not taken over: u (1, here not set)"
    )
    assert queued[0].state == TrialState.WAITING
    assert "is trial 0 already" in queue(sweep, tmp_path / "run", tmp_path / "wanted.yaml")[0]
    assert queue(sweep, tmp_path / "run", tmp_path / "point.yaml")[0].endswith("is tried first, with x 3, lr 0.25, z a")
    _, toy, _ = run(sweep, tmp_path / "run")
    assert [config for _, config in toy.trained][:2] == [
        {"x": 7, "lr": 0.5, "z": "b", "w": {"k": 2}},
        {"x": 3, "lr": 0.25, "z": "a"},
    ]
    for name in ("wanted", "point"):
        line, trials = queue(sweep, tmp_path / "run", tmp_path / f"{name}.yaml")
        assert "already" in line
        assert len(trials) == 6


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"x": 70, "lr": 0.5, "z": "a"}, "x is 70, which is outside of the space"),
        ({"x": 7, "lr": 0.01, "z": "a"}, "lr is 0.01, which is outside of the space"),
        ({"x": 7, "lr": 0.5, "z": "c"}, "z is c, which is outside of the space"),
        ({"x": 7, "lr": 0.5, "z": "b", "w": [2]}, r"w is \[2\], which is outside of the space"),
        ({"x": 7, "lr": 0.5, "z": "b"}, "w is (missing|not set)"),
        ({"x": 7, "lr": 0.5, "z": "a", "w": [1]}, r"w is \[1\], which is outside of the space: there is no such key"),
        ({"x": 7, "z": "a", "other": 3}, "lr is not set"),
    ],
)
def test_a_config_outside_of_the_space_is_refused_in_one_line(tmp_path: Path, given: Config, message: str) -> None:
    write_yaml(tmp_path / "wanted.yaml", given)
    with pytest.raises(InputError, match=f"wanted.yaml: {message}") as refusal:
        queue(sweep_of(QUESTION), tmp_path / "run", tmp_path / "wanted.yaml")
    assert "\n" not in str(refusal.value)
    assert not (tmp_path / "run").exists()


def test_values_are_found_in_any_spelling_of_their_keys_and_as_the_study_has_them() -> None:
    space = Space(
        {"net": {"class_path": "UNet", "init_args": {"width": 8}}},
        read_space({"net.init_args.depth": {"int": [1, 9], "step": 2}, "stride": {"choice": [[2, 2], [2, 1]]}}),
    )
    found = of_values(space, {"net.depth": 3, "stride": "[2, 1]", "net.width": 8}, lambda config: config)
    assert found.params == {"net.init_args.depth": 3, "stride": "[2, 1]"}
    assert find(found.suggestion.config, "stride") == [2, 1]
    for bad in ({"net.depth": 4}, {"net.depth": 3.5}, {"net.depth": True}, {"net.depth": 3, "net.width": 9}):
        with pytest.raises(InputError):
            of_values(space, {"stride": [2, 1], **bad}, lambda config: config)


def test_distributions_are_those_of_a_trial_that_is_asked(tmp_path: Path) -> None:
    text = "x: {int: [1, 9], step: 2}, l: {int: [1, 9], log: true}, f: {float: [0, 1], step: 0.25}, g: {float: [1, 2]}"
    sweep = sweep_of(f"space: {{{text}, c: {{choice: [a, [1], null]}}}}\ntrials: 1")
    run(Sweep(sweep.source, {**sweep.document, "space": {**sweep.document["space"]}}), tmp_path, WithX())
    asked = trials_of(tmp_path)[0].distributions
    assert asked == {key: distribution_of(domain) for key, domain in sweep.space.domains.items()}  # type: ignore[arg-type]


class WithX(Toy):
    """Takes any config."""

    def cost(self, resolved: Config) -> dict[str, float]:
        return {"gmacs_per_second": 1.0}


NET = "model.separator.init_args.net.init_args"


def test_a_trials_own_config_is_the_point_it_came_from(config: dict[str, Any], tmp_path: Path) -> None:
    """With the real command line: class names spelled out, levels by number, a list of mappings, a fragment."""
    command = CommandLine("group")
    del config["out"], config["trainer"]["enable_progress_bar"]
    config["model"]["separator"]["init_args"]["net"] = {"class_path": "UNet", "init_args": {"width": 4, "depth": 2}}
    deep = {"model": {"separator": {"init_args": {"net": {"init_args": {"depth": 3}}}}}}
    space = {
        "base": {"choice": ["shallow.yaml", "deep.yaml"]},
        f"{NET}.skip_at": {"per_level": {"choice": ["Concat", "Drop"]}},
        f"{NET}.block": {"choice": {"ConvBlock": None, "TFCTDF": {".init_args.layers": {"int": [1, 3]}}}},
        f"{NET}.stride_at": {"choice": [{}, {1: [2, 1]}]},
        "model.optimizer.init_args.lr": {"float": [1e-4, 1e-1], "log": True},
    }
    fragments = {"all.yaml": config, "shallow.yaml": {}, "deep.yaml": deep}
    sweep = Sweep("real.yaml", {**DEFAULTS, "base": ["all.yaml"], "fragments": fragments, "space": space})
    picked = {
        "base": "deep.yaml",
        f"{NET}.skip_at.0": "Concat",
        f"{NET}.skip_at.1": "Drop",
        f"{NET}.skip_at.2": "Concat",
        f"{NET}.block": "TFCTDF",
        f"{NET}.block.init_args.layers": 2,
        f"{NET}.stride_at": {1: [2, 1]},
        "model.optimizer.init_args.lr": 0.003,
    }
    there = of_values(sweep.space, picked, command.resolve)
    write_yaml(tmp_path / "config.yaml", command.whole(there.suggestion.config))  # as a run's folder has it
    with open_study(tmp_path / "run", sweep.objectives) as study:
        line = enqueue(study, read_wanted(sweep, tmp_path / "config.yaml", command.resolve, command.whole))
        assert study.trials[0].system_attrs["fixed_params"] == there.params
        assert "not taken over" not in line
        put(there.suggestion.config, "model.separator.net.growth", 3.0)
        put(there.suggestion.config, "trainer.max_epochs", 7)
        write_yaml(tmp_path / "other.yaml", there.suggestion.config)
        line = enqueue(study, read_wanted(sweep, tmp_path / "other.yaml", command.resolve, command.whole))
    differences = "trainer.max_epochs (7, here 3), model.separator.net.growth (3.0, here 2.0)"
    assert line.endswith(f"; set by this sweep and not taken over: {differences}")
