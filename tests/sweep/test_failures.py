"""Trainings that fail, each alone, and what a trial's log says of them."""

import gc
import json
import logging
import re
import sys
import warnings
import weakref
from pathlib import Path
from typing import Any

import pytest
import torch
import wandb

from tests.cli.test_fit import assert_same, stop_at, weights
from tests.cli.test_records import inspect
from unetsep.sweep.log import logged
from unetsep.sweep.rungs import Stop
from unetsep.sweep.trial import CommandLine
from unetsep.sweep.trials import Result, Task, carry_out
from unetsep.training.module import SeparationModule


@pytest.fixture(scope="module")
def command() -> CommandLine:
    return CommandLine("question")


def carried_out(command: CommandLine, config: Any, folder: Path, **more: Any) -> Result:
    task = Task(int(folder.name), folder, config, params={}, cost={}, measures=("val/usdr",), **more)
    return carry_out(task, command.train)


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (None, r"NonFiniteLossError: the loss is nan in epoch 0, step 1, on "),
        (torch.OutOfMemoryError("CUDA out of memory. Tried\nto allocate"), r"OutOfMemoryError: CUDA out of memory\. T"),
        (ZeroDivisionError("division by zero"), r"ZeroDivisionError: division by zero$"),
    ],
    ids=["nan", "out of memory", "any"],
)
def test_a_training_fails_alone_and_its_run_is_closed_as_failed(
    command: CommandLine, config: Any, tmp_path: Path, monkeypatch: Any, capfd: Any, error: Any, reason: str
) -> None:
    undisturbed = carried_out(command, config, tmp_path / "undisturbed" / "0001")
    config["wandb"] = "offline"
    with monkeypatch.context() as patch:
        if error is not None:
            stop_at(4, error, patch)
        bad = {"class_path": "SGD", "init_args": {"lr": 1e38}}
        model = config["model"] if error is not None else {**config["model"], "optimizer": bad}
        failed = carried_out(command, {**config, "model": model}, tmp_path / "0000")
    assert failed.state == "failed"
    assert re.match(reason, failed.reason)
    assert "\n" not in failed.reason
    assert "Traceback" in (tmp_path / "0000" / "error.txt").read_text()
    assert f"ended by {failed.reason}" in (tmp_path / "0000" / "log.txt").read_text()
    assert wandb.run is None
    assert json.loads(inspect(tmp_path / "0000" / "wandb", "--summary"))["state"] == "failed"
    after = carried_out(command, config, tmp_path / "0001")
    assert (after.state, after.scores) == ("complete", undisturbed.scores)
    assert_same(weights(tmp_path / "0001"), weights(tmp_path / "undisturbed" / "0001"))
    assert json.loads(inspect(tmp_path / "0001" / "wandb", "--summary"))["state"] == "finished"
    said = capfd.readouterr()
    assert said.out == said.err == ""


def test_a_failed_training_holds_no_memory_even_while_its_error_is_looked_at(
    command: CommandLine, config: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    modules = []

    def run_out(module: SeparationModule, batch: Any, batch_idx: int) -> None:
        modules.append(weakref.ref(module))
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(SeparationModule, "training_step", run_out)
    with pytest.raises(torch.OutOfMemoryError) as held:
        command.train(config, tmp_path / "0000", None, lambda _: None)
    gc.collect()
    assert [module() for module in modules] == [None]
    assert "out of memory" in str(held.value)


def test_a_trial_that_failed_at_a_rung_keeps_what_it_had_reached(
    command: CommandLine, config: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = carried_out(command, config, tmp_path / "0000", stop=Stop("epochs", 1), last=False)
    assert (first.state, len(first.rungs)) == ("paused", 1)
    stop_at(4, RuntimeError("no more"), monkeypatch)
    second = carried_out(command, config, tmp_path / "0000", level=1)
    assert (second.state, second.rungs) == ("failed", first.rungs)


def test_a_log_holds_what_was_printed_logged_and_warned_and_the_terminal_sees_nothing(
    command: CommandLine, config: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: Any
) -> None:
    logger = logging.getLogger("lightning.pytorch")
    old = logging.StreamHandler()  # holds the terminal's stream, as those of libraries do
    logger.addHandler(old)
    before = old.stream
    step = SeparationModule.training_step

    def talkative(module: SeparationModule, batch: Any, batch_idx: int) -> Any:
        print("said at step", module.global_step)
        print("cried", file=sys.stderr)
        logger.warning("logged")
        warnings.warn("warned", stacklevel=1)
        return step(module, batch, batch_idx)

    monkeypatch.setattr(SeparationModule, "training_step", talkative)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("default")
            for stop in (Stop("epochs", 1), Stop("epochs", 2), None):
                command.train(config, tmp_path / "0000", stop, lambda _: None)
    finally:
        logger.removeHandler(old)
    assert old.stream is before
    text = (tmp_path / "0000" / "log.txt").read_text()
    said = capfd.readouterr()
    assert said.out == said.err == ""
    heads = [line.split(" ", 2)[2] for line in text.splitlines() if line.startswith("20")]
    assert heads == ["begins, to 1 epochs", "goes on, to 2 epochs", "goes on, to its end"]
    assert [f"said at step {number}\n" in text for number in range(10)] == [True] * 9 + [False]
    assert text.count("cried\n") == text.count("logged\n") == 9
    assert text.count("UserWarning: warned") == 3  # once a part


def test_a_log_of_any_text_can_be_written_and_ends_with_the_error(tmp_path: Path) -> None:
    def fail() -> None:
        with logged(tmp_path / "new" / "log.txt", "begins"):
            print("caf\u00e9 \udc80")
            raise KeyError("gone")

    with pytest.raises(KeyError):
        fail()
    lines = (tmp_path / "new" / "log.txt").read_text(encoding="utf-8").splitlines()
    assert lines[1] == "caf\u00e9 \\udc80"
    assert lines[2].endswith("ended by KeyError: 'gone'")
