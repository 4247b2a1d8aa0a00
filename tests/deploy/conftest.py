from pathlib import Path

import pytest

from unetsep.model import Separator

from .small_model import small_separator, write_checkpoint


@pytest.fixture
def separator() -> Separator:
    return small_separator()


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    return write_checkpoint(tmp_path / "model.ckpt")
