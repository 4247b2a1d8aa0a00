import io
import shutil
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
import soundfile
import stempeg
import torch

from unetsep.audio.files import InputError
from unetsep.data.musdb18 import download_preview, import_musdb, musdb_setup
from unetsep.data.tracks import find_tracks

EXCERPT = Path(stempeg.example_stem_path())
MUSDB_NAME = "Young Griffo - Pennies"  # one of musdb's fourteen validation tracks


def names(root, split, **settings):
    return [track.name for track in find_tracks(root, split, **settings)]


@pytest.fixture
def musdb18(tmp_path):
    """A root of MUSDB18 whose songs are all the excerpt that stempeg carries."""
    for split, name in (("train", "A - B"), ("train", MUSDB_NAME), ("test", "C - D")):
        (tmp_path / split).mkdir(exist_ok=True)
        shutil.copy(EXCERPT, tmp_path / split / f"{name}.stem.mp4")
    return tmp_path


def test_musdb18_is_split_and_decoded_as_musdb_does(musdb18):
    import musdb

    for split, subset, part in (("train", "train", "train"), ("valid", "train", "valid"), ("test", "test", None)):
        theirs = musdb.DB(root=str(musdb18), subsets=[subset], split=part).tracks
        ours = find_tracks(musdb18, split)
        assert [track.name for track in ours] == [track.name for track in theirs]
    stems = ours[0].read()
    assert stems.shape == (4, 2, 268_288)
    for stem, source in zip(stems, ("vocals", "drums", "bass", "other"), strict=True):
        np.testing.assert_array_equal(stem.numpy().T, theirs[0].targets[source].audio.astype(np.float32))


def test_the_real_excerpt_holds_music_in_every_stem(musdb18):
    stems = find_tracks(musdb18, "test")[0].read()
    levels_db = 10 * torch.log10(stems.square().mean(dim=(1, 2)))
    assert (levels_db > -30).all()
    assert find_tracks(musdb18, "test")[0].has_mixture()


def test_a_stem_that_musdb18_lacks_is_named_with_those_it_has(musdb18):
    with pytest.raises(InputError, match=r"piano is missing: C - D.stem.mp4 holds mixture, drums, bass, other, vocals"):
        find_tracks(musdb18, "test", ["vocals", "piano"])


@pytest.mark.parametrize("damage", ["cut in half", "cut at its end", "no mp4"])
def test_a_damaged_stem_file_is_one_clear_line(musdb18, damage):
    whole = EXCERPT.read_bytes()
    damaged = {"cut in half": whole[: len(whole) // 2], "cut at its end": whole[:-30_000], "no mp4": b"x" * 999}[damage]
    path = musdb18 / "test" / "C - D.stem.mp4"
    path.write_bytes(damaged)
    with pytest.raises(InputError) as caught:
        find_tracks(musdb18, "test")[0].read()
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_folder_decoded_beside_its_stem_file_is_read_once(musdb18, write_track):
    write_track(musdb18 / "test" / "C - D")
    (track,) = find_tracks(musdb18, "test")
    assert track.path.is_dir()


def test_missing_ffmpeg_is_an_input_error_that_says_what_to_install(monkeypatch):
    for name in [name for name in sys.modules if name.split(".")[0] in ("musdb", "stempeg")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setenv("PATH", "")
    with pytest.raises(InputError, match="needs the programs ffmpeg and ffprobe: install them"):
        import_musdb()


def test_musdb18_hq_needs_no_ffmpeg_and_is_read_as_musdb_reads_it(tmp_path, write_track, monkeypatch):
    import musdb

    for seed, name in enumerate(["train/b", "train/a", f"train/{MUSDB_NAME}", "test/c"]):
        written = write_track(tmp_path / name, seed=seed, rate=44_100, mixture=True)
    theirs = musdb.DB(root=str(tmp_path), is_wav=True, subsets=["train"], split="train").tracks
    monkeypatch.setenv("PATH", "")
    assert names(tmp_path, "train") == [track.name for track in theirs] == ["a", "b"]
    assert names(tmp_path, "valid") == [MUSDB_NAME]
    stems = find_tracks(tmp_path, "test")[0].read()
    np.testing.assert_array_equal(stems[1], written["drums"].astype(np.float32))
    monkeypatch.undo()
    theirs_drums = musdb.DB(root=str(tmp_path), is_wav=True, subsets="test").tracks[0].targets["drums"].audio
    np.testing.assert_array_equal(stems[1].T, theirs_drums.astype(np.float32))


def test_all_fourteen_validation_tracks_of_musdb_are_known_without_ffmpeg(monkeypatch):
    monkeypatch.setenv("PATH", "")
    assert len(musdb_setup()["validation_tracks"]) == 14
    assert MUSDB_NAME in musdb_setup()["validation_tracks"]


def test_the_preview_is_downloaded_by_musdb_once(tmp_path, monkeypatch):
    import musdb

    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        archive.write(EXCERPT, "train/A - B.stem.mp4")
        archive.write(EXCERPT, "test/C - D.stem.mp4")
    requests = []

    class Answer(io.BytesIO):
        def info(self):
            class Headers:
                def get_all(self, name):
                    return [str(len(content.getvalue()))]

            return Headers()

    def urlopen(request):
        requests.append(request.full_url)
        return Answer(content.getvalue())

    monkeypatch.setattr(sys.modules["musdb"], "urlopen", urlopen)
    assert musdb.urlopen is urlopen
    download_preview(tmp_path / "preview")
    download_preview(tmp_path / "preview")
    assert len(requests) == 1
    assert requests[0].endswith("MUSDB18-7-STEMS.zip")
    assert names(tmp_path / "preview", "test") == ["C - D"]


def test_a_failed_download_is_one_clear_line(tmp_path, monkeypatch):
    import_musdb()

    def urlopen(request):
        raise OSError("no network")

    monkeypatch.setattr(sys.modules["musdb"], "urlopen", urlopen)
    with pytest.raises(InputError, match=r"cannot download the preview of MUSDB18 into .*: no network"):
        download_preview(tmp_path / "preview")


@pytest.mark.parametrize("suffix", [".wav", ".flac", ".ogg", ".mp3"])
def test_stems_of_any_name_are_read_in_wav_flac_ogg_and_mp3(tmp_path, write_track, suffix):
    written = write_track(
        tmp_path / "train" / "song", sources=("voice", "steel drums"), suffix=suffix, rate=32_000, samples=64_000
    )
    (track,) = find_tracks(tmp_path, "train", ["steel drums", "voice"])
    stems = track.read()
    assert stems.dtype == torch.float32
    assert stems.shape == (2, 2, 64_000)
    for stem, source in zip(stems, ("steel drums", "voice"), strict=True):
        error = np.square(stem.numpy() - written[source]).sum() / np.square(written[source]).sum()
        assert error == 0 if suffix in (".wav", ".flac") else 10 * np.log10(error) < -3  # noise is hard on codecs


def test_stems_are_resampled_and_doubled_or_averaged_to_the_channels_asked_for(tmp_path):
    (tmp_path / "train" / "song").mkdir(parents=True)
    time = np.arange(8000) / 8000
    tone = 0.5 * np.sin(2 * np.pi * 440 * time)
    soundfile.write(tmp_path / "train" / "song" / "mono.wav", tone, 8000, subtype="FLOAT")
    soundfile.write(tmp_path / "train" / "song" / "left.wav", np.stack([tone, 0 * tone], 1), 8000, subtype="FLOAT")
    (track,) = find_tracks(tmp_path, "train", ["mono", "left"])
    assert track.read().shape == (2, 2, 8000)
    stereo = track.read(16_000, 2)
    assert stereo.shape == (2, 2, 16_000)
    expected = 0.5 * np.sin(2 * np.pi * 440 * np.arange(16_000) / 16_000)
    middle = slice(100, -100)
    for channel in (stereo[0, 0], stereo[0, 1], stereo[1, 0]):
        error = np.square(channel.numpy() - expected)[middle].sum() / np.square(expected)[middle].sum()
        assert 10 * np.log10(error) < -60
    assert stereo[1, 1].abs().max() == 0
    mono = track.read(8000, 1)
    torch.testing.assert_close(mono[1], mono[0] / 2)


def test_without_a_valid_folder_the_last_seventh_of_train_validates(tmp_path, write_track):
    for index in range(15):
        write_track(tmp_path / "train" / f"{index:02}", samples=10)
    assert names(tmp_path, "valid") == ["13", "14"]
    assert names(tmp_path, "train") == [f"{index:02}" for index in range(13)]


def test_two_training_tracks_give_one_to_validation_and_a_single_one_none(tmp_path, write_track):
    write_track(tmp_path / "train" / "b")
    assert names(tmp_path, "train") == ["b"]
    with pytest.raises(InputError, match="no tracks are left for 'valid'"):
        names(tmp_path, "valid")
    write_track(tmp_path / "train" / "a")
    assert (names(tmp_path, "train"), names(tmp_path, "valid")) == (["a"], ["b"])


def test_validation_tracks_can_be_named(small_set):
    shutil.rmtree(small_set / "valid")
    assert names(small_set, "valid", valid_tracks=["a", "b"]) == ["a", "b"]
    assert names(small_set, "train", valid_tracks=["a", "b"]) == ["c"]
    assert names(small_set, "test", valid_tracks=["a", "b"]) == ["f"]
    with pytest.raises(InputError, match="valid_tracks names 'x', which is no training track: a, b, c"):
        names(small_set, "valid", valid_tracks=["x"])


def test_named_validation_tracks_beside_a_valid_folder_are_refused(small_set):
    assert names(small_set, "valid") == ["d", "e"]
    with pytest.raises(InputError, match=r"valid_tracks names 'a', but .*valid exists"):
        names(small_set, "train", valid_tracks=["a"])


def test_a_folder_of_tracks_without_split_folders_is_trained_on(tmp_path, write_track):
    write_track(tmp_path / "b", sources=("x",))
    write_track(tmp_path / "a", sources=("x",))
    (tmp_path / ".unetsep").mkdir()
    (tmp_path / "notes.txt").touch()
    assert names(tmp_path, "train", sources=["x"]) == ["a"]
    assert names(tmp_path, "valid", sources=["x"]) == ["b"]
    with pytest.raises(InputError, match="has no folder 'test'"):
        names(tmp_path, "test", sources=["x"])


def test_wrong_roots_splits_and_empty_folders_are_named(tmp_path):
    with pytest.raises(InputError, match=r"there is no folder .*nowhere"):
        find_tracks(tmp_path / "nowhere", "train")
    with pytest.raises(InputError, match="no split 'training': choose one of train, valid, test"):
        find_tracks(tmp_path, "training")
    (tmp_path / "train").mkdir()
    with pytest.raises(InputError, match=r"no tracks in .*train: put a folder per track there, with vocals.wav"):
        find_tracks(tmp_path, "train")


def test_a_missing_stem_is_named_with_what_the_folder_holds(small_set):
    (small_set / "train" / "b" / "bass.wav").unlink()
    with pytest.raises(InputError) as caught:
        find_tracks(small_set, "train")
    assert "train/b: the stem bass is missing" in str(caught.value)
    assert "bass.wav, bass.flac, bass.ogg, bass.mp3" in str(caught.value)
    assert "it holds drums.wav, other.wav, vocals.wav" in str(caught.value)


@pytest.mark.parametrize(
    ("stem", "rate", "message"),
    [
        (np.zeros((4000, 2)), 16_000, "train/a: drums has 16000 Hz, but vocals has 8000 Hz"),
        (np.zeros((3999, 2)), 8000, "train/a: drums has 3999 samples, but vocals has 4000"),
        (np.zeros((4000, 3)), 8000, "train/a: drums has 3 channels, and 2 are asked for"),
        (np.full((4000, 2), np.nan), 8000, r"drums.wav holds nan at sample 0"),
    ],
)
def test_stems_that_do_not_belong_together_are_refused(small_set, stem, rate, message):
    soundfile.write(small_set / "train" / "a" / "drums.wav", stem, rate, subtype="FLOAT")
    with pytest.raises(InputError, match=message):
        find_tracks(small_set, "train")[0].read(8000, 2)
