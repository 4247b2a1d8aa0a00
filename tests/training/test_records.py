import json
import math
from types import SimpleNamespace

import pytest
import torch

from unetsep.audio.files import InputError
from unetsep.metrics.scores import TrackScores
from unetsep.training.checkpoints import RunCheckpoint
from unetsep.training.records import MetricsLog, check_wandb


def test_every_logging_call_is_one_line_on_disk_at_once(tmp_path):
    log = MetricsLog(tmp_path / "run")
    log.log_metrics({"train/loss": 0.5, "epoch": 2.0}, step=7)
    [line] = (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()
    entry = json.loads(line)
    assert entry.pop("time") > 1.7e9
    assert entry == {"step": 7, "epoch": 2, "train/loss": 0.5}
    log.log_metrics({"train/loss": 0.25}, step=8)
    assert len((tmp_path / "run" / "metrics.jsonl").read_text().splitlines()) == 2


def test_what_is_not_finite_is_null_so_that_any_reader_can_read_the_file(tmp_path):
    MetricsLog(tmp_path).log_metrics({"val/usdr/bass": math.nan, "val/csdr": math.inf}, step=0)
    text = (tmp_path / "metrics.jsonl").read_text()
    assert json.loads(text, parse_constant=lambda constant: pytest.fail(constant))["val/usdr/bass"] is None


def test_the_best_line_is_that_of_the_highest_score(tmp_path):
    log = MetricsLog(tmp_path)
    assert log.best("val/usdr") == {}
    for epoch, score in enumerate([1.0, math.nan, 3.0, 2.0]):
        log.log_metrics({"val/usdr": score, "epoch": epoch}, step=epoch)
    assert log.best("val/usdr")["epoch"] == 2


def test_a_run_that_goes_on_forgets_the_epochs_it_takes_again_and_half_a_line(tmp_path):
    log = MetricsLog(tmp_path)
    for epoch in range(3):
        log.log_metrics({"epoch": epoch}, step=epoch)
    with log.path.open("a") as file:
        file.write('{"step": 3, "ep')
    log.forget_after(1)
    assert [line["epoch"] for line in log.lines()] == [0, 1]
    assert log.path.read_text().endswith("}\n")


def test_going_online_needs_a_login(monkeypatch, tmp_path):
    for name in ("WANDB_API_KEY", "WANDB_IDENTITY_TOKEN_FILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("NETRC", str(tmp_path / "no-netrc"))
    monkeypatch.setenv("WANDB_CONFIG_DIR", str(tmp_path))
    check_wandb("offline")
    with pytest.raises(InputError, match="run `wandb login`"):
        check_wandb("online")


def test_a_best_checkpoint_is_replaced_by_a_better_score_only_also_after_a_stop(tmp_path):
    checkpoint = RunCheckpoint(tmp_path, "best", "val/usdr")
    checkpoint.path.parent.mkdir()
    checkpoint.path.touch()
    checkpoint.load_state_dict({"best": 5.0})
    trainer = SimpleNamespace(strategy=SimpleNamespace(reduce_boolean_decision=bool))
    assert not checkpoint.check_monitor_top_k(trainer, torch.tensor(5.0))
    assert checkpoint.check_monitor_top_k(trainer, torch.tensor(5.1))
    assert checkpoint.state_dict() == {"best": 5.0}


def test_a_lost_best_checkpoint_is_written_again_whatever_its_score_was(tmp_path):
    checkpoint = RunCheckpoint(tmp_path, "best", "val/usdr")
    checkpoint.load_state_dict({"best": 5.0})
    assert checkpoint.check_monitor_top_k(SimpleNamespace(), torch.tensor(1.0))


def scored(usdr: float) -> TrackScores:
    return TrackScores(
        torch.tensor([usdr, math.nan]).double(), torch.tensor([1.0, math.inf]).double(), torch.eye(2).double(), 3, 0.5
    )


def test_every_validation_is_one_line_of_every_tracks_scores(tmp_path):
    MetricsLog(tmp_path / "run").log_tracks("val", {"ä": scored(2.5)}, ("vocals", "bass"), step=7, epoch=2)
    [line] = (tmp_path / "run" / "tracks.jsonl").read_text().splitlines()
    tracks = {"ä": {"usdr": {"vocals": 2.5, "bass": None}, "csdr": {"vocals": 1.0, "bass": None}, "dropped_frames": 3}}
    assert json.loads(line) == {"stage": "val", "step": 7, "epoch": 2, "tracks": tracks}


def test_the_tracks_of_forgotten_epochs_are_forgotten_too_and_those_of_evaluations_lie_apart(tmp_path):
    log = MetricsLog(tmp_path)
    for epoch in range(3):
        log.log_tracks("val", {"one": scored(epoch)}, ("vocals", "bass"), step=epoch, epoch=epoch)
    with log.evaluating():
        log.log_tracks("test", {"two": scored(9)}, ("vocals", "bass"), step=0, epoch=9)
    log.forget_after(1)
    assert [json.loads(line)["epoch"] for line in log.tracks_path.read_text().splitlines()] == [0, 1]
    [line] = (tmp_path / "evaluated_tracks.jsonl").read_text().splitlines()
    assert list(json.loads(line)["tracks"]) == ["two"]
