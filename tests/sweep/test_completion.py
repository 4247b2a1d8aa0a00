from pathlib import Path
from typing import Any

import pytest

from tests.sweep.test_trial import NET
from unetsep.cli import UnetsepCLI
from unetsep.sweep.completion import completed
from unetsep.sweep.fold import layered, put
from unetsep.sweep.question import read_sweep
from unetsep.sweep.trial import CommandLine, _TrialCLI

SWEEPS = sorted((Path(__file__).parents[2] / "sweeps").glob("*.yaml"))


@pytest.fixture(scope="module")
def command() -> CommandLine:
    return CommandLine("question")


def settings_of(command: CommandLine, config: Any) -> dict[str, Any]:
    return _TrialCLI(
        layered(command.command.defaults, completed(command.resolve(config))), command.command, None
    ).settings


@pytest.mark.parametrize("file", SWEEPS, ids=lambda file: file.stem)
def test_a_trial_has_the_very_settings_that_the_command_line_would_give_it(
    command: CommandLine, file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(UnetsepCLI, "instantiate_classes", lambda cli: setattr(cli, "settings", cli._settings()))
    for suggestion in list(read_sweep(file, data=tmp_path).space.branches(command.resolve))[:4]:
        ours = settings_of(command, suggestion.config)
        assert ours == UnetsepCLI(suggestion.config, run=False).settings


def test_parts_that_are_functions_or_lists_or_have_arguments_without_defaults_are_completed_too(
    command: CommandLine, config: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(UnetsepCLI, "instantiate_classes", lambda cli: setattr(cli, "settings", cli._settings()))
    gate = {"class_path": "Gate"}
    put(config, NET, {"class_path": "UNet", "init_args": {"block": "TFCTDF", "skip_at": {0: "Drop", 1: gate}}})
    put(config, "model.optimizer", "torch.optim.SGD")
    put(config, "trainer.callbacks", [{"class_path": "lightning.pytorch.callbacks.DeviceStatsMonitor"}])
    assert settings_of(command, config) == UnetsepCLI(config, run=False).settings
