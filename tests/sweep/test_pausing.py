import json
import time
from pathlib import Path
from typing import Any

import pytest
import torch
import wandb

from tests.cli.test_fit import assert_same, lines, numbers, stop_at, unlearning, weights
from tests.cli.test_records import inspect
from unetsep.cli import UnetsepCLI
from unetsep.sweep.rungs import Stop
from unetsep.sweep.trial import CommandLine
from unetsep.sweep.trials import Outcome
from unetsep.training.module import SeparationModule


@pytest.fixture(scope="module")
def command() -> CommandLine:
    return CommandLine("question")


def train(command: CommandLine, config: Any, folder: Path, stop: Stop | None = None) -> tuple[Outcome, list[str]]:
    told: list[str] = []
    return command.train(config, folder, stop, told.append), told


def epochs(folder: Path) -> list[int]:
    return [line["epoch"] for line in lines(folder) if "val/usdr" in line]


@pytest.mark.parametrize("ema_decay", [None, 0.9])
def test_a_training_that_pauses_at_rungs_equals_one_that_never_stopped(
    command: CommandLine, config: Any, tmp_path: Path, ema_decay: float | None
) -> None:
    config["trainer"]["max_epochs"] = 27
    config["data"]["batches_per_epoch"] = 2
    config["model"] |= {"ema_decay": ema_decay, "warmup_steps": 3, "schedule": "cosine"}
    paused, whole = tmp_path / "paused", tmp_path / "whole"
    for amount in (1, 3, 9):
        outcome, _ = train(command, config, paused, Stop("epochs", amount))
        assert epochs(paused) == list(range(amount))
        scored = [line["val/usdr"] for line in lines(paused) if "val/usdr" in line]
        assert outcome.scores["val/usdr"] == max(scored)
        torch.rand(5)  # other work between the two
    first = train(command, config, paused)[0]
    assert first == train(command, config, whole)[0]
    assert_same(weights(whole), weights(paused))
    assert_same(weights(whole, "best"), weights(paused, "best"))
    assert numbers(whole) == numbers(paused)
    assert (whole / "tracks.jsonl").read_text() == (paused / "tracks.jsonl").read_text()


def test_a_training_that_is_already_past_its_stop_trains_nothing(
    command: CommandLine, config: Any, tmp_path: Path
) -> None:
    before, _ = train(command, config, tmp_path / "0001", Stop("epochs", 2))
    checkpoint = (tmp_path / "0001" / "checkpoints" / "last.ckpt").read_bytes()
    for stop in (Stop("epochs", 2), Stop("epochs", 1), Stop("steps", 6), Stop("seconds", 1e-6)):
        assert train(command, config, tmp_path / "0001", stop) == (before, [])
    assert (tmp_path / "0001" / "checkpoints" / "last.ckpt").read_bytes() == checkpoint


@pytest.mark.parametrize(("steps", "last"), [(1, 0), (3, 0), (4, 1), (7, 2)])
def test_a_stop_in_steps_is_the_end_of_the_epoch_that_holds_the_step(
    command: CommandLine, config: Any, tmp_path: Path, steps: int, last: int
) -> None:
    train(command, config, tmp_path / "0002", Stop("steps", steps))
    assert epochs(tmp_path / "0002")[-1] == last


def test_seconds_count_from_the_beginning_across_pauses_and_without_validation(
    command: CommandLine, config: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config["trainer"]["max_epochs"] = -1
    config["model"]["schedule"] = "constant"
    step, score = SeparationModule.training_step, SeparationModule.validation_step

    def slow_step(module: SeparationModule, batch: Any, batch_idx: int) -> Any:
        time.sleep(0.5 / 3)
        return step(module, batch, batch_idx)

    def slow_score(module: SeparationModule, batch: Any, batch_idx: int) -> Any:
        time.sleep(0.5)
        return score(module, batch, batch_idx)

    monkeypatch.setattr(SeparationModule, "training_step", slow_step)
    train(command, config, tmp_path / "0003", Stop("seconds", 0.4))
    assert epochs(tmp_path / "0003") == [0]
    monkeypatch.setattr(SeparationModule, "validation_step", slow_score)
    train(command, config, tmp_path / "0003", Stop("seconds", 0.9))  # two epochs, of which one is done
    assert epochs(tmp_path / "0003") == [0, 1]
    checkpoint = torch.load(tmp_path / "0003" / "checkpoints" / "last.ckpt", weights_only=True)
    assert 1.0 < checkpoint["callbacks"]["Pause"]["seconds"] < 2.0


def test_a_training_that_ended_early_stays_ended(command: CommandLine, config: Any, tmp_path: Path) -> None:
    unlearning(config)
    config["trainer"]["max_epochs"] = 9
    config["early_stopping"] = 2
    before, _ = train(command, config, tmp_path / "0004", Stop("epochs", 2))
    assert epochs(tmp_path / "0004") == [0, 1]
    after, told = train(command, config, tmp_path / "0004", Stop("epochs", 6))
    assert epochs(tmp_path / "0004") == [0, 1, 2]
    assert len(told) == 3
    assert train(command, config, tmp_path / "0004") == (after, [])
    assert after == before
    assert epochs(tmp_path / "0004") == [0, 1, 2]
    config["early_stopping"] = 4  # more patience than it ended with
    train(command, config, tmp_path / "0004")
    assert epochs(tmp_path / "0004") == [0, 1, 2, 3, 4]


def test_a_least_length_of_the_whole_training_holds_up_no_pause(
    command: CommandLine, config: Any, tmp_path: Path
) -> None:
    config["trainer"] |= {"min_epochs": 3, "min_steps": 9}
    train(command, config, tmp_path / "0005", Stop("epochs", 1))
    assert epochs(tmp_path / "0005") == [0]


def test_none_pauses_before_it_was_validated(command: CommandLine, config: Any, tmp_path: Path) -> None:
    config["trainer"]["check_val_every_n_epoch"] = 2
    outcome, _ = train(command, config, tmp_path / "0006", Stop("epochs", 1))
    assert epochs(tmp_path / "0006") == [1]
    assert outcome.epoch == 1


def test_a_rung_is_no_part_of_the_config_so_the_training_goes_on_without_the_sweep(
    command: CommandLine, config: Any, tmp_path: Path
) -> None:
    paused, whole, fitted = tmp_path / "0007", tmp_path / "whole" / "0007", tmp_path / "fitted"
    train(command, config, paused, Stop("epochs", 1))
    train(command, config, whole)
    before, after = ((folder / "config.yaml").read_text() for folder in (paused, whole))
    assert before.replace(str(paused), "") == after.replace(str(whole), "")
    UnetsepCLI(args=["--config", str(paused / "config.yaml"), "--resume=true"], run=False).fit()
    assert_same(weights(paused), weights(whole))
    UnetsepCLI(args=["--config", str(paused / "config.yaml"), "--out", str(fitted)], run=False).fit()
    assert_same(weights(fitted), weights(whole))


def test_a_training_that_was_killed_goes_on_from_its_last_epoch(
    command: CommandLine, config: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        stop_at(4, KeyboardInterrupt(), patch)
        with pytest.raises(KeyboardInterrupt):
            train(command, config, tmp_path / "stopped", Stop("epochs", 3))
    outcome, told = train(command, config, tmp_path / "stopped", Stop("epochs", 3))
    assert told[0].startswith("epoch 2/3, step 1/3")
    assert outcome == train(command, config, tmp_path / "whole")[0]


def test_sounds_and_pictures_lie_there_at_every_pause_even_if_a_kill_came_between(
    command: CommandLine, config: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config["listening"] = {"tracks": 1, "seconds": 1.0, "every": 0}
    folder = tmp_path / "0008"

    def killed(*_: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("unetsep.training.listening.Listening.on_fit_end", killed)
        with pytest.raises(KeyboardInterrupt):
            train(command, config, folder, Stop("epochs", 1))
    assert len(list((folder / "audio").iterdir())) == 9
    assert not (folder / "pictures").exists()
    assert train(command, config, folder, Stop("epochs", 1))[1] == []
    assert len(list((folder / "pictures").iterdir())) == 2


def test_the_parts_of_a_training_are_one_closed_run_and_no_two_trainings_are(
    command: CommandLine, config: Any, tmp_path: Path
) -> None:
    config["wandb"] = "offline"
    best = [train(command, config, tmp_path / name, stop)[0] for name, stop in _parts()]
    assert wandb.run is None
    wandb.teardown()
    runs = {name: sorted((tmp_path / name / "wandb").glob("offline-run-*/run-*.wandb")) for name in ("0000", "0001")}
    assert [len(runs["0000"]), len(runs["0001"])] == [3, 1]
    assert len({path.stem for path in runs["0000"]}) == 1
    assert {path.stem for path in runs["0000"]}.isdisjoint(path.stem for path in runs["0001"])
    steps: list[int] = []
    for path, outcome in zip(runs["0000"], (best[0], best[2], best[3]), strict=True):
        found = json.loads(inspect(path.parent, "--summary"))
        assert (found["name"], found["state"], found["config"]["group"]) == ("0000", "finished", "question")
        assert found["summary"]["best/usdr"] == pytest.approx(outcome.scores["val/usdr"])
        assert found["summary"]["cost/params"] > 0
        records = [json.loads(line) for line in inspect(path.parent).splitlines()]
        items = [record["history"]["item"] for record in records if record["type"] == "history"]
        steps += [item["trainer/global_step"] for item in items if "train/loss" in item]
    assert steps == list(range(9))


def _parts() -> list[tuple[str, Stop | None]]:
    return [("0000", Stop("epochs", 1)), ("0001", None), ("0000", Stop("epochs", 2)), ("0000", None)]
