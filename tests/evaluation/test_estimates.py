import math

import numpy as np
import pytest
import soundfile

from unetsep.audio.files import InputError, read_audio
from unetsep.data import find_tracks
from unetsep.evaluation.command import ORACLES
from unetsep.evaluation.estimates import Folder, Model, Oracle

from .songs import RATE, SECONDS, STEMS, song, write, write_model


def ignored(done: float, whole: float) -> None:
    assert 0 <= done <= whole


def prepared(folder, data):
    tracks = find_tracks(data, "test")
    somebodys = Folder(folder, "test", STEMS)
    return somebodys.prepare(tracks), somebodys, tracks


def test_estimates_as_long_as_their_tracks_call_for_no_remark(data, estimates):
    remarks, somebodys, tracks = prepared(estimates, data)
    assert remarks == []
    stems, seconds = somebodys.separate(tracks[0], tracks[0].read(), RATE, ignored)
    assert stems[0].numpy() == pytest.approx(read_audio(estimates / "test/one/vocals.wav")[0])
    assert math.isnan(seconds)


@pytest.mark.parametrize("change", [-100, 100])
def test_a_little_too_long_or_short_is_cut_or_padded_as_museval_does_and_said_once(data, estimates, change):
    file = estimates / "test/one/bass.wav"
    sound, _ = read_audio(file)
    shifted = sound[:, :change] if change < 0 else np.pad(sound, ((0, 0), (0, change)), constant_values=0.5)
    soundfile.write(file, shifted.T, RATE, subtype="FLOAT")
    remarks, somebodys, tracks = prepared(estimates, data)
    (line,) = remarks
    assert "estimates of 1 track are a little longer or shorter" in line
    assert "(up to 100 samples, in one)" in line
    stem = somebodys.separate(tracks[0], tracks[0].read(), RATE, ignored)[0][2].numpy()
    known = sound.shape[1] + min(change, 0)
    assert np.array_equal(stem[:, :known], sound[:, :known])
    assert not stem[:, known:].any()


@pytest.mark.parametrize(
    ("stem", "rate", "words"),
    [
        (song(0)["bass"], 8000, "has 8000 Hz, its track has 4000"),
        (song(0, channels=2)["bass"], RATE, "has 2 channels, its track has 1"),
        (song(0)["bass"][:, :-180], RATE, "more than 1 s or 1 % apart"),
        (np.tile(song(0)["bass"], 2), RATE, "more than 1 s or 1 % apart"),
    ],
)
def test_what_does_not_fit_is_refused_before_anything_is_scored(data, estimates, stem, rate, words):
    write(estimates / "test/three", {"bass": stem}, rate)
    with pytest.raises(InputError, match=r"three/bass\.wav has .*" + words.split("has")[-1].strip()):
        prepared(estimates, data)


def test_a_missing_track_an_additional_one_and_a_missing_stem_are_named(data, estimates):
    (estimates / "test/three").rename(estimates / "test/four")
    with pytest.raises(InputError, match="has no estimates of the track 'three'"):
        prepared(estimates, data)
    write(estimates / "test/three", song(0))
    with pytest.raises(InputError, match="has a folder 'four', but the data has no such track"):
        prepared(estimates, data)
    for file in (estimates / "test/four").iterdir():
        file.unlink()
    (estimates / "test/four").rmdir()
    (estimates / "test/one/drums.wav").unlink()
    with pytest.raises(InputError, match="the stem drums is missing"):
        prepared(estimates, data)


def test_other_stems_and_files_beside_the_estimates_do_no_harm(data, estimates):
    write(estimates / "test/one", {"accompaniment": song(0)["bass"][:, :50]})
    (estimates / "test/readme.txt").write_text("made by somebody")
    assert prepared(estimates, data)[0] == []


def test_a_flac_file_will_do(data, estimates):
    file = estimates / "test/one/drums.wav"
    sound, _ = read_audio(file)
    soundfile.write(file.with_suffix(".flac"), sound.T, RATE)
    file.unlink()
    assert prepared(estimates, data)[0] == []


def test_there_must_be_a_folder_of_estimates(tmp_path):
    with pytest.raises(InputError, match="there is no folder"):
        Folder(tmp_path / "nowhere", "test", STEMS)


@pytest.mark.parametrize("kind", ORACLES)
def test_every_oracle_estimates_every_stem(data, kind):
    (track, *_) = find_tracks(data, "test")
    references = track.read()
    stems, seconds = Oracle(kind, STEMS, data).separate(track, references, RATE, ignored)
    assert stems.shape == references.shape == (4, 1, SECONDS * RATE)
    assert math.isnan(seconds)


def test_fixed_masks_depend_on_the_training_tracks(data):
    before = Oracle("fixed_mask", STEMS, data).description
    assert Oracle("fixed_mask", STEMS, data).description == before
    write(data / "train/another", song(5))
    assert Oracle("fixed_mask", STEMS, data).description != before
    assert Oracle("irm", STEMS, data).description == {"oracle": "irm"}


def test_a_model_is_known_by_its_weights_and_settings_and_not_by_its_place(tmp_path):
    settings = {"segment_seconds": 10.0, "overlap": 0.25}
    here = Model(write_model(tmp_path / "run/checkpoints/best.ckpt"), None, "cpu", **settings)
    (tmp_path / "run").rename(tmp_path / "moved")
    moved = Model(tmp_path / "moved", STEMS, "cpu", **settings)
    assert here.description == moved.description
    assert here.sources == STEMS
    assert Model(tmp_path / "moved", None, "cpu", segment_seconds=5.0, overlap=0.25).description != here.description
