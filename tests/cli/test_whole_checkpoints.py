import errno
import os
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch

from unetsep.cli import UnetsepCLI


class Killed(BaseException):
    """What nothing catches."""


def test_a_kill_in_writing_a_checkpoint_leaves_the_one_before_even_if_temporary_files_lie_on_another_disk(
    config: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    command = UnetsepCLI({**config, "trainer": {**config["trainer"], "max_epochs": 1}}, run=False)
    command.fit()
    folder = Path(config["out"]) / "checkpoints"
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    assert set(before) == {"best.ckpt", "last.ckpt"}

    def refused(*_: Any, **__: Any) -> None:
        raise OSError(errno.EXDEV, "Invalid cross-device link")

    def half(source: str, target: str, **_: Any) -> None:
        Path(target).write_bytes(Path(source).read_bytes()[:100])
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(os, "rename", refused)
        patch.setattr(shutil, "copyfile", half)
        with pytest.raises(Killed):
            command.trainer.save_checkpoint(folder / "last.ckpt")
    assert {name: (folder / name).read_bytes() for name in before} == before
    command.trainer.save_checkpoint(folder / "last.ckpt")
    assert torch.load(folder / "last.ckpt", weights_only=True)["global_step"] == 3
    assert {path.name for path in folder.iterdir()} == set(before)
