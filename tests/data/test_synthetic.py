"""The synthetic set on disk: its layout, reproducible bytes, exact mixtures, interruptions and refusals."""

import hashlib
from pathlib import Path

import pytest
import soundfile

from unetsep.audio.files import InputError
from unetsep.data.synthetic import SPLITS, STEMS, dataset, write_set

SIZES = {"train": 2, "valid": 1, "test": 1, "seconds": 1.5, "seed": 5}


def fingerprints(root: Path) -> dict[str, str]:
    return {str(p.relative_to(root)): hashlib.sha256(p.read_bytes()).hexdigest() for p in sorted(root.rglob("*.wav"))}


@pytest.fixture(scope="module")
def small_set(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("set") / "songs"
    write_set(root, **SIZES)
    return root


def test_the_set_lies_in_the_layout_of_musdb18_hq(small_set: Path) -> None:
    for split in SPLITS:
        tracks = list((small_set / split).iterdir())
        assert len(tracks) == SIZES[split]
        for track in tracks:
            assert {path.name for path in track.iterdir()} == {f"{name}.wav" for name in (*STEMS, "mixture")}
            for path in track.iterdir():
                info = soundfile.info(path)
                assert (info.samplerate, info.channels, info.subtype) == (44_100, 2, "PCM_16")
                assert info.frames == round(1.5 * 44_100)


def test_the_same_seed_gives_the_same_bytes_and_another_seed_gives_others(small_set: Path, tmp_path: Path) -> None:
    write_set(tmp_path / "again", **SIZES)
    assert fingerprints(tmp_path / "again") == fingerprints(small_set)
    write_set(tmp_path / "other", **{**SIZES, "seed": 6})
    assert not set(fingerprints(tmp_path / "other").values()) & set(fingerprints(small_set).values())


def test_the_mixture_is_the_exact_sum_of_the_stems_as_written(small_set: Path) -> None:
    for track in (path for split in SPLITS for path in (small_set / split).iterdir()):
        total = sum(soundfile.read(track / f"{stem}.wav", dtype="int16")[0].astype(int) for stem in STEMS)
        assert (soundfile.read(track / "mixture.wav", dtype="int16")[0] == total).all()


def test_a_finished_set_is_recognised_and_a_missing_song_is_made_again(
    small_set: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = fingerprints(small_set)
    made = []
    real = dataset.synthesise
    monkeypatch.setattr(dataset, "synthesise", lambda *song: made.append(song) or real(*song))
    write_set(small_set, **SIZES)
    assert made == []
    gone = next((small_set / "valid").iterdir())
    for path in gone.iterdir():
        path.unlink()
    gone.rmdir()
    write_set(small_set, **SIZES)
    assert made == [(5, "valid", 0, 1.5)]
    assert fingerprints(small_set) == before


def test_an_interrupted_song_leaves_nothing_that_looks_like_a_song(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def cut(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(dataset.wave.Wave_write, "writeframes", cut)
        with pytest.raises(KeyboardInterrupt):
            write_set(tmp_path, **SIZES)
    assert not list(tmp_path.rglob("*.wav"))
    write_set(tmp_path, **SIZES)
    assert len(list(tmp_path.rglob("*.wav"))) == 4 * 5


def test_another_set_in_the_same_folder_is_refused_in_one_line(small_set: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"holds the synthetic set .*'seed': 5.* not .*'seed': 6") as error:
        write_set(small_set, **{**SIZES, "seed": 6})
    assert "\n" not in str(error.value)
    (tmp_path / "thesis.txt").write_text("precious")
    with pytest.raises(InputError, match="no empty folder"):
        write_set(tmp_path, **SIZES)
    with pytest.raises(InputError, match="no empty folder"):
        write_set(tmp_path / "thesis.txt", **SIZES)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"train": -1}, "0 or more"),
        ({"train": 0, "valid": 0, "test": 0}, "at least one song"),
        ({"seconds": 0.2}, "0.2 seconds: give 1 to 3600"),
        ({"seconds": float("nan")}, "nan seconds"),
        ({"seed": -3}, "seed is -3"),
    ],
)
def test_impossible_numbers_are_refused_before_anything_is_written(
    wrong: dict[str, float], message: str, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match=message):
        write_set(tmp_path / "set", **{**SIZES, **wrong})
    assert not (tmp_path / "set").exists()
