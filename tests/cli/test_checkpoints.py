import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from unetsep.audio.files import InputError
from unetsep.cli import UnetsepCLI


@pytest.fixture
def trained(config: dict[str, Any]) -> dict[str, Any]:
    """The config of a run of one epoch, whose folder holds it."""
    config["trainer"]["max_epochs"] = 1
    UnetsepCLI(args=config, run=False).fit()
    return config


class Malicious:
    def __reduce__(self) -> tuple[Callable[[str], int], tuple[str]]:
        return os.system, ("echo this must not run",)


def truncated(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:1000])


def without_weights(path: Path) -> None:
    torch.save({"epoch": 1}, path)


def of_other_shapes(path: Path) -> None:
    checkpoint = torch.load(path, weights_only=True)
    name = next(iter(checkpoint["state_dict"]))
    checkpoint["state_dict"][name] = torch.zeros(1, 2, 3)
    torch.save(checkpoint, path)


SPOILT: dict[str, tuple[Callable[[Path], object], str]] = {
    "junk": (lambda path: path.write_bytes(b"junk"), "is not a checkpoint, or a broken one"),
    "truncated": (truncated, "is not a checkpoint, or a broken one"),
    "code": (lambda path: torch.save({"state_dict": Malicious()}, path), "could run code"),
    "something else": (without_weights, "is not a checkpoint that unetsep wrote"),
    "other shapes": (of_other_shapes, "do not fit the separator"),
}


@pytest.mark.parametrize("spoil", SPOILT)
def test_a_broken_checkpoint_is_refused_in_one_line_and_nothing_is_written(trained, tmp_path, spoil):
    run = tmp_path / "run"
    change, message = SPOILT[spoil]
    change(run / "checkpoints" / "last.ckpt")
    before = {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}
    for begin in (
        lambda: UnetsepCLI(args={**trained, "resume": True}, run=False).fit(),
        lambda: UnetsepCLI(args=trained, run=False).validate(run / "checkpoints" / "last.ckpt"),
        lambda: UnetsepCLI(args=trained, run=False).predict("last"),
    ):
        with pytest.raises(InputError, match=message) as refusal:
            begin()
        assert "\n" not in str(refusal.value)
    assert {path: path.read_bytes() for path in run.rglob("*") if path.is_file()} == before


def test_a_resume_with_another_network_is_refused_and_the_runs_own_config_stays(trained, tmp_path):
    run = tmp_path / "run"
    before = {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}
    trained["model"]["separator"]["init_args"]["net"]["init_args"]["width"] = 5
    words = r"is of another separator: model\.separator\.init_args\.net\.init_args\.width is 4 there and 5 here"
    with pytest.raises(InputError, match=words):
        UnetsepCLI(args={**trained, "resume": True}, run=False).fit()
    with pytest.raises(InputError, match=words):
        UnetsepCLI(args=trained, run=False).test()
    assert {path: path.read_bytes() for path in run.rglob("*") if path.is_file()} == before


def test_no_training_goes_on_from_weights_alone(trained, tmp_path):
    path = tmp_path / "run" / "checkpoints" / "last.ckpt"
    checkpoint = torch.load(path, weights_only=True)
    del checkpoint["optimizer_states"]
    torch.save(checkpoint, path)
    with pytest.raises(InputError, match="holds no optimizer_states"):
        UnetsepCLI(args={**trained, "resume": True}, run=False).fit()
    assert UnetsepCLI(args=trained, run=False).validate("last")
