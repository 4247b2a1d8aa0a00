"""A data set, estimates of it, their evaluation, and the verb as a user calls it."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from unetsep.__main__ import main

from .songs import TRACKS, estimates_of, song, write


@pytest.fixture(scope="session")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with `data`, `somebodys` estimates of it, and `out`, what `unetsep evaluate` made of them."""
    folder = tmp_path_factory.mktemp("whole")
    for seed, track in enumerate(TRACKS):
        stems = song(seed)
        if track == "two":
            stems["bass"][:] = 0.0
        write(folder / "data/test" / track, stems)
        write(folder / "somebodys/test" / track, estimates_of(seed))
    write(folder / "data/train/learnt", song(7))
    given = ["--estimates", folder / "somebodys", "--data", folder / "data", "--out", folder / "out"]
    assert main(["evaluate", *map(str, given)]) == 0
    return folder


@pytest.fixture
def data(whole: Path, tmp_path: Path) -> Path:
    """Three test tracks, of which `two` has no bass at all, and a training track."""
    return shutil.copytree(whole / "data", tmp_path / "data")


@pytest.fixture
def estimates(whole: Path, tmp_path: Path) -> Path:
    """Somebody's estimates of the test tracks."""
    return shutil.copytree(whole / "somebodys", tmp_path / "somebodys")


@pytest.fixture
def evaluated(whole: Path, estimates: Path, tmp_path: Path) -> Path:
    """The finished evaluation of the estimates, in `out`."""
    return shutil.copytree(whole / "out", tmp_path / "out")


@pytest.fixture
def evaluate(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., int]:
    """Calls `unetsep evaluate ... --data data --out out` and returns the exit code."""
    monkeypatch.setenv("COLUMNS", "80")

    def call(*given: object, out: str = "out") -> int:
        return main(["evaluate", *map(str, given), "--data", str(data), "--out", str(tmp_path / out)])

    return call
