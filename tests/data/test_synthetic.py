"""The synthetic set: reproducible bytes, exact mixtures, and songs that behave like songs."""

import hashlib
from pathlib import Path

import pytest
import soundfile

from unetsep.audio.files import InputError
from unetsep.data.synthetic import SPLITS, STEMS, write_set


def fingerprints(root: Path) -> dict[str, str]:
    return {str(p.relative_to(root)): hashlib.sha256(p.read_bytes()).hexdigest() for p in sorted(root.rglob("*.*"))}


@pytest.fixture(scope="module")
def small_set(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("set") / "songs"
    write_set(root, train=2, valid=1, test=1, seconds=2.0, seed=5)
    return root


def test_the_same_seed_gives_the_same_bytes(small_set: Path, tmp_path: Path) -> None:
    write_set(tmp_path / "again", train=2, valid=1, test=1, seconds=2.0, seed=5)
    assert fingerprints(tmp_path / "again") == fingerprints(small_set)


def test_the_mixture_is_the_exact_sum_of_the_stems_as_written(small_set: Path) -> None:
    for split in SPLITS:
        for track in (small_set / split).iterdir():
            total = sum(soundfile.read(track / f"{stem}.wav", dtype="int16")[0].astype(int) for stem in STEMS)
            assert (soundfile.read(track / "mixture.wav", dtype="int16")[0] == total).all()


def test_another_set_in_the_same_folder_is_refused_in_one_line(small_set: Path) -> None:
    with pytest.raises(InputError, match="holds the synthetic set") as error:
        write_set(small_set, train=2, valid=1, test=1, seconds=2.0, seed=6)
    assert "\n" not in str(error.value)
