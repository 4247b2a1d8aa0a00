"""Which checkpoint a folder means: a run's best, and a sweep's best trial within limits of cost."""

import json
import math
from pathlib import Path

import pytest

from unetsep.audio.files import InputError
from unetsep.deploy.weights import find_checkpoint, load_separator, parse_at_most

from .small_model import write_checkpoint


def test_a_runs_folder_means_its_best_checkpoint_and_else_the_last(tmp_path):
    last = write_checkpoint(tmp_path / "checkpoints/last.ckpt")
    assert find_checkpoint(tmp_path) == last
    best = write_checkpoint(tmp_path / "checkpoints/best.ckpt")
    assert find_checkpoint(tmp_path) == best


def write_sweep(folder: Path, objectives: str, scores: dict[str, float | None], state: str = "complete") -> Path:
    folder.mkdir()
    (folder / "sweep.yaml").write_text(f"objectives: {objectives}\n")
    for number, score in scores.items():
        trial = folder / "trials" / number
        write_checkpoint(trial / "checkpoints/best.ckpt")
        (trial / "result.json").write_text(json.dumps({"state": state, "scores": {"val/usdr": score}}))
    (folder / "trials" / "0009").mkdir(parents=True)  # still running
    return folder


@pytest.mark.parametrize(("direction", "best"), [("maximize", "0001"), ("minimize", "0002")])
def test_a_sweeps_folder_means_its_best_trial_by_its_own_score(tmp_path, direction, best):
    objectives = f"{{cost/params: minimize, val/usdr: {direction}}}"
    sweep = write_sweep(tmp_path / "s", objectives, {"0000": 2.0, "0001": 3.0, "0002": 1.0, "0003": None})
    assert find_checkpoint(sweep) == sweep / "trials" / best / "checkpoints/best.ckpt"
    assert load_separator(sweep).sample_rate == 8000


def test_a_sweep_without_a_finished_trial_has_no_best_one(tmp_path):
    sweep = write_sweep(tmp_path / "s", "{val/usdr: maximize}", {"0000": 9.0}, state="failed")
    with pytest.raises(InputError, match=r"no trial in .* has a val/usdr yet"):
        find_checkpoint(sweep)


def test_a_score_that_is_no_float_is_none(tmp_path):
    sweep = write_sweep(tmp_path / "s", "{val/usdr: maximize}", {"0000": 10**400, "0001": math.nan, "0002": 1.0})
    assert find_checkpoint(sweep).parts[-3] == "0002"


def test_an_objective_that_no_trial_has_is_named_whatever_it_is(tmp_path):
    with pytest.raises(InputError, match=r"no trial in .* has a 1 yet"):
        find_checkpoint(write_sweep(tmp_path / "s", "{1: maximize}", {"0000": 9.0}))


def test_a_sweep_of_costs_alone_has_no_best_trial(tmp_path):
    sweep = write_sweep(tmp_path / "s", "{cost/params: minimize}", {"0000": 9.0})
    with pytest.raises(InputError, match="optimises costs only"):
        find_checkpoint(sweep)


@pytest.mark.parametrize(
    ("file", "content"),
    [
        ("sweep.yaml", "objectives: {"),
        ("sweep.yaml", b"\xff\xfe"),
        ("trials/0000/result.json", '{"state": '),
        ("trials/0000/result.json", "[]"),
        ("trials/0000/result.json", '{"state": "complete", "scores": null}'),
        ("trials/0000/result.json", "[" * 100_000),
    ],
)
def test_a_sweep_with_a_broken_file_is_refused_in_one_line(tmp_path, file, content):
    sweep = write_sweep(tmp_path / "s", "{val/usdr: maximize}", {"0000": 9.0})
    (sweep / file).write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(InputError, match=rf"{file} .*; give a trial's folder") as caught:
        find_checkpoint(sweep)
    assert "\n" not in str(caught.value)


def test_a_path_without_a_model_says_what_to_give(tmp_path):
    with pytest.raises(
        InputError, match=r"no model at .*: give a checkpoint, an exported file, a run's folder or a sweep's"
    ):
        load_separator(tmp_path / "nothing")
    with pytest.raises(InputError, match=r"it has no checkpoints/best\.ckpt"):
        load_separator(tmp_path)


def priced_sweep(folder: Path) -> Path:
    """A sweep with three complete trials, the better the dearer, and one that failed."""
    folder.mkdir()
    (folder / "sweep.yaml").write_text("objectives: {val/usdr: maximize, cost/gmacs_per_second: minimize}")
    for number, (state, score, gmacs, params) in enumerate(
        [("complete", 3.0, 0.5, 900), ("complete", 5.0, 2.0, 100), ("complete", 2.0, 0.1, 800), ("failed", 9.0, 0.1, 1)]
    ):
        trial = write_checkpoint(folder / f"trials/{number:04}/checkpoints/best.ckpt").parent.parent
        cost = {"gmacs_per_second": gmacs, "params": params}
        (trial / "result.json").write_text(
            json.dumps({"state": state, "scores": {"val/usdr": score}, "cost": cost, "spread": {}})
        )
    return folder


@pytest.mark.parametrize(
    ("at_most", "best"),
    [
        (None, "0001"),
        ({"gmacs_per_second": 2.0}, "0001"),
        ({"gmacs_per_second": 1.9}, "0000"),
        ({"gmacs_per_second": 0.5}, "0000"),
        ({"gmacs_per_second": 0.2}, "0002"),
        ({"params": 850}, "0001"),
        ({"params": 850, "gmacs_per_second": 1.0}, "0002"),
    ],
)
def test_a_sweep_means_its_best_complete_trial_within_the_limits_of_cost(tmp_path, at_most, best):
    sweep = priced_sweep(tmp_path / "sweep")
    assert find_checkpoint(sweep, at_most) == sweep / f"trials/{best}/checkpoints/best.ckpt"


def test_where_no_trial_is_cheap_enough_the_nearest_is_named(tmp_path):
    sweep = priced_sweep(tmp_path / "sweep")
    with pytest.raises(InputError, match=r"at most 0\.05 gmacs_per_second: the nearest is 0002 with 0\.1$"):
        find_checkpoint(sweep, {"gmacs_per_second": 0.05})
    with pytest.raises(InputError, match=r"within the other limits: the nearest is 0002 with 0\.1$"):
        find_checkpoint(sweep, {"params": 950, "gmacs_per_second": 0.05})


def test_a_cost_that_no_trial_knows_is_refused_with_those_there_are(tmp_path):
    with pytest.raises(InputError, match=r"knows its watts: use one of gmacs_per_second, params$"):
        find_checkpoint(priced_sweep(tmp_path / "sweep"), {"watts": 3.0})


def test_limits_of_cost_are_refused_where_there_is_nothing_to_choose(checkpoint):
    with pytest.raises(InputError, match=r"model\.ckpt is no sweep's folder: leave it out"):
        find_checkpoint(checkpoint, {"params": 3.0})


@pytest.mark.parametrize("text", ["params=12e3", " params =12000", "cost/params=12000.0"])
def test_a_limit_is_a_measure_and_a_number(text):
    assert parse_at_most(text) == ("params", 12_000.0)


@pytest.mark.parametrize("text", ["", "params", "params=", "params=few", "=3", "params=nan"])
def test_a_limit_that_is_anything_else_is_refused_with_an_example(text):
    with pytest.raises(InputError, match=r"takes a measure of cost and a number: gmacs_per_second=0\.5"):
        parse_at_most(text)
