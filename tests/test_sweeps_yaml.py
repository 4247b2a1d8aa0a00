"""Every question and every config under `sweeps/` is trained, shortened, on a few seconds of music."""

from pathlib import Path
from typing import Any

import pytest

from unetsep.audio.files import InputError
from unetsep.cli import UnetsepCLI
from unetsep.sweep import main
from unetsep.sweep.document import read_yaml, write_yaml
from unetsep.sweep.fold import layered, put
from unetsep.sweep.question import read_sweep
from unetsep.sweep.trial import CommandLine
from unetsep.sweep.trials import read_result

SWEEPS = Path(__file__).parents[1] / "sweeps"
QUESTIONS = sorted(SWEEPS.glob("*.yaml"))
FRAGMENTS = sorted(SWEEPS.glob("base/*.yaml"))

TINY: dict[str, Any] = {
    "wandb": "disabled",
    "model.separator.init_args.sample_rate": 8000,
    "model.separator.init_args.audio_channels": 1,
    "model.separator.init_args.net.init_args.width": 4,
    "model.segment_seconds": 1.0,
    "data.segment_seconds": 0.5,
    "data.batch_size": 2,
    "data.batches_per_epoch": 1,
    "data.workers": 0,
    "trainer.max_epochs": 1,
    "trainer.accelerator": "cpu",
    "trainer.precision": "32-true",
    "trainer.enable_progress_bar": False,
    "listening.tracks": 0,
}

LARGE = ("musdb18",)  # full-size networks take a second or two a branch, even without weights
REFUSED: dict[str, list[str]] = {}
"""The branches without a network that a question may have, by the question's name, with the reasons: none has any."""


@pytest.fixture(scope="module")
def command() -> CommandLine:
    return CommandLine("question")


def name_of(path: Path) -> str:
    return path.stem


def refusal(command: CommandLine, config: dict[str, Any]) -> str:
    try:
        command.build(command.resolve(config))
    except InputError as error:
        return str(error)
    return ""


def shortened(path: Path, folder: Path) -> tuple[Path, dict[str, Any]]:
    """A question whose trainings are as short as can be, and the overrides that make them small."""
    content = read_yaml(path)
    if "rungs" not in content:
        return path, TINY
    content["rungs"] = {"unit": "epochs", "first": 1, "eta": 2, "last": 2}
    content["base"] = str(path.parent / content["base"])
    write_yaml(folder / path.name, content)
    return folder / path.name, {key: value for key, value in TINY.items() if key != "trainer.max_epochs"}


@pytest.mark.parametrize("path", QUESTIONS, ids=name_of)
def test_every_question_is_answered(path: Path, music: Path, tmp_path: Path) -> None:
    question, tiny = shortened(path, tmp_path)
    overrides = [f"--{key}={value}" for key, value in tiny.items()]
    run = main([str(question), "--out", str(tmp_path / "run"), "--data", str(music), "--trials", "1", *overrides])
    assert run is not None
    results = [read_result(folder) for folder in sorted((run / "trials").iterdir())]
    assert [(result.state, result.reason) for result in results if result and result.trained] == [("complete", "")]


@pytest.mark.parametrize(
    "path",
    [pytest.param(path, marks=pytest.mark.slow) if path.stem in LARGE else path for path in QUESTIONS],
    ids=name_of,
)
def test_every_question_has_a_network_in_every_branch_of_its_space(
    path: Path, command: CommandLine, music: Path
) -> None:
    sweep = read_sweep(path, data=music)
    assert sweep.document["question"].endswith("?")
    assert path.read_text(encoding="utf-8").startswith("# ")
    sweep.space.check(command.resolve)
    reasons = [refusal(command, suggestion.config) for suggestion in sweep.space.branches(command.resolve)]
    assert [reason for reason in reasons if reason] == REFUSED.get(path.stem, [])


@pytest.mark.parametrize("path", FRAGMENTS, ids=name_of)
def test_every_fragment_is_a_config_that_a_training_takes(path: Path, music: Path, tmp_path: Path) -> None:
    config = layered(read_yaml(path), {"out": str(tmp_path / "run"), "data": {"root": str(music)}})
    for key, value in TINY.items():
        put(config, key, value)
    assert UnetsepCLI(config, run=False).fit()["val/usdr"] is not None
