import shutil
from pathlib import Path

import pytest
import wandb

from unetsep.audio.files import InputError
from unetsep.report.sync import sync
from unetsep.sweep.lock import sole
from unetsep.training.records import WandbRun

from .wandb_server import WandbServer, log_out, serving


@pytest.fixture
def server(monkeypatch, tmp_path):
    with serving(monkeypatch, tmp_path) as server:
        yield server


@pytest.fixture(scope="module")
def recorded(tmp_path_factory):
    """A sweep's folder with a trial in two parts, a trial with a sound, and a second seed of that."""
    sweep = tmp_path_factory.mktemp("runs") / "tiny"
    sound = tmp_path_factory.mktemp("sounds") / "song_bass.flac"
    sound.write_bytes(b"fLaC" + bytes(100))
    for folder, losses in {"0000": [1.0, 0.5], "0001": [2.0], "0001/seeds/1": [3.0]}.items():
        for part in [losses[:1], losses[1:]] if len(losses) > 1 else [losses]:
            run = WandbRun(sweep / "trials" / folder, mode="offline", name=folder, group="tiny")
            for loss in part:
                run.log_metrics({"train/loss": loss}, step=int(10 * loss))
            if folder == "0001":
                run.log_files(step=1, sounds={"audio/song/bass_estimate": sound}, pictures={})
            run.finalize("success")
    wandb.teardown()
    return sweep


@pytest.fixture
def sweep(recorded, tmp_path):
    return Path(shutil.copytree(recorded, tmp_path / "runs" / "tiny"))


def losses(server: WandbServer) -> list[list[float]]:
    lines = ([line.get("train/loss") for line in run] for run in server.history.values())
    return sorted([loss for loss in run if loss is not None] for run in lines)


def test_runs_are_uploaded_with_their_sounds_and_a_stopped_training_becomes_one_run(sweep, server, capfd):
    assert sync(sweep, "team/music") == 0
    assert losses(server) == [[1.0, 0.5], [2.0], [3.0]]
    [rows] = [run for run in server.history.values() if [line.get("train/loss") for line in run] == [1.0, 0.5]]
    assert rows[0]["_step"] < rows[1]["_step"]  # rows of one number are not told apart
    assert {run["host"] for run in server.runs.values()} == {"-"}  # this machine's name is nobody's business
    assert {(run["entity"], run["project"], run["groupName"]) for run in server.runs.values()} == {
        ("team", "music", "tiny")
    }
    [sound] = [content for (_, name), content in server.files.items() if name.endswith(".flac")]
    assert sound == b"fLaC" + bytes(100)
    said = capfd.readouterr()
    assert said.out.splitlines()[-1] == "uploaded: 3 trainings (trials/0000, trials/0001, trials/0001/seeds/1)"
    assert "Finished syncing" in said.err  # wandb's own progress is seen


def test_what_was_uploaded_is_not_uploaded_again_but_what_is_new_is(sweep, server, capfd):
    assert sync(sweep) == 0
    assert {run["project"] for run in server.runs.values()} == {"unetsep"}
    server.asked.clear()
    assert sync(sweep) == 0
    assert server.asked == []
    later = WandbRun(sweep / "trials" / "0002", mode="offline", name="0002", group="tiny")
    later.log_metrics({"train/loss": 9.0}, step=1)
    later.finalize("success")
    wandb.teardown()
    assert sync(sweep) == 0
    assert losses(server) == [[1.0, 0.5], [2.0], [3.0], [9.0]]
    assert "uploaded before: 3 trainings" in capfd.readouterr().out


def test_what_failed_is_named_and_only_that_is_tried_again(sweep, server, capfd):
    [part] = (sweep / "trials" / "0001" / "wandb").glob("offline-run-*/*.wandb")
    broken = part.stem.removeprefix("run-")
    server.broken.add(broken)
    assert sync(sweep) == 1
    said = capfd.readouterr()
    assert "permission denied" in said.err
    assert said.err.splitlines()[-1].startswith("unetsep: not uploaded: 1 training (trials/0001); ")
    assert broken not in server.runs
    server.broken.clear()
    server.asked.clear()
    assert sync(sweep) == 0
    assert {given["name"] for operation, given in server.asked if operation == "UpsertBucket"} == {broken}
    assert losses(server) == [[1.0, 0.5], [2.0], [3.0]]


def test_a_trial_in_training_is_left_for_later_because_its_file_is_not_whole(sweep, server, capfd):
    with sole(sweep / "trials" / "0000" / ".worker"):
        assert sync(sweep) == 0
    assert losses(server) == [[2.0], [3.0]]
    assert "still being trained: 1 training (trials/0000)" in capfd.readouterr().out
    assert sync(sweep) == 0
    assert losses(server) == [[1.0, 0.5], [2.0], [3.0]]


def test_who_is_not_logged_in_is_told_in_one_line_what_to_do(sweep, monkeypatch, tmp_path):
    log_out(monkeypatch, tmp_path)
    with pytest.raises(InputError, match="run `wandb login`, or set WANDB_API_KEY") as refusal:
        sync(sweep)
    assert "\n" not in str(refusal.value)
    assert not list(sweep.rglob("*.synced"))


@pytest.mark.parametrize("project", ["a/b/c", "/music", "team/", " "])
def test_a_project_that_is_none_is_refused(sweep, project):
    with pytest.raises(InputError, match="must be ENTITY/PROJECT"):
        sync(sweep, project)


def test_a_folder_without_offline_runs_says_so(tmp_path):
    with pytest.raises(InputError, match="has no offline runs of Weights & Biases"):
        sync(tmp_path)
