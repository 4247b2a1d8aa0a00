"""What the page plays and shows of each excerpt."""

import json
import os
import shutil
from pathlib import Path
from urllib.parse import unquote

import numpy as np
import pytest
from PIL import Image

from unetsep.audio.files import write_audio
from unetsep.audio.pixels import SOURCE_COLOURS
from unetsep.report.media import listening
from unetsep.report.reading import read_run

from .sweep_folder import STEMS, write_sweep, write_trial

RATE = 8000
TONES = {"vocals": 1760, "drums": 3520, "bass": 110, "other": 440}  # hertz


def tone(stem: str, seconds: float = 2.0) -> np.ndarray:
    return np.float32(0.2 * np.sin(2 * np.pi * TONES[stem] * np.arange(round(seconds * RATE)) / RATE))


def put(trial: Path, name: str, sound: np.ndarray, track: str = "song") -> Path:
    path = trial / "audio" / f"{track}_{name}.flac"
    write_audio(path, sound[None], RATE)
    return path


def put_all(trial: Path, error: float = 0.1, track: str = "song", seconds: float = 2.0) -> None:
    """A mixture of four tones, and estimates that are too loud by a share."""
    tones = {stem: tone(stem, seconds) for stem in STEMS}
    put(trial, "mixture", sum(tones.values()), track)
    for stem, sound in tones.items():
        put(trial, f"{stem}_reference", sound, track)
        put(trial, f"{stem}_estimate", (1 + error) * sound, track)


@pytest.fixture
def trials(tmp_path: Path) -> list[Path]:
    """Two trials of a sweep, the better one first."""
    folder = write_sweep(tmp_path / "sweep")
    return [write_trial(folder, number, 5.0 - number, 1.0 + number) for number in range(2)]


def told(trials: list[Path], page: Path | None = None, copy: bool = False):
    run = read_run(trials[0].parent.parent)
    return listening(run, run.ranked, page or run.folder / "report", copy=copy)


def addresses(value) -> list[str]:
    if isinstance(value, dict):
        return [each for key, item in value.items() if key not in ("track", "name") for each in addresses(item)]
    if isinstance(value, list):
        return [each for item in value for each in addresses(item)]
    return [value] if isinstance(value, str) and not value.startswith("#") else []


def pixels(page: Path, address: str) -> np.ndarray:
    return np.asarray(Image.open(page / unquote(address)).convert("RGB"), dtype=float)


def test_where_nothing_was_kept_nothing_can_be_heard(trials):
    assert told(trials) is None
    put(trials[0], "mixture", tone("bass"))
    put(trials[0], "bass_reference", tone("bass"))
    assert told(trials) is None


def test_a_track_is_heard_of_every_trial_that_has_it_and_what_most_have_comes_first(trials):
    for trial in trials:
        put_all(trial)
    put_all(trials[1], track="another")
    data = told(trials)
    assert [stem["name"] for stem in data["stems"]] == list(STEMS)
    assert data["stems"][0]["colour"] == SOURCE_COLOURS["vocals"]
    assert [(each["track"], list(each["trials"])) for each in data["excerpts"]] == [
        ("song", ["0", "1"]),
        ("another", ["1"]),
    ]
    assert all(set(each["references"]) == set(STEMS) for each in data["excerpts"])
    assert data["excerpts"][0]["seconds"] == 2.0
    json.dumps(data, allow_nan=False)


@pytest.mark.parametrize("copy", [False, True])
def test_every_address_leads_to_a_file_and_copies_stay_within_the_page(trials, tmp_path, copy):
    put_all(trials[0], track="50% of #1? 'ü'")
    page = tmp_path / "a page"
    links = addresses(told(trials, page, copy))
    assert len(links) == len(set(links)) == 2 * (1 + 2 * len(STEMS)) + 2
    assert all((page / unquote(link)).is_file() for link in links)
    assert all(link.startswith("media/") for link in links if copy or link.endswith(".webp"))
    assert all(set(link).isdisjoint(" #?'") for link in links)


def test_the_sdr_over_time_is_that_of_each_second_and_none_in_silence(trials):
    sound = tone("bass", 4.0)
    sound[: 2 * RATE] = 0.0
    error = np.where(np.arange(len(sound)) < 3 * RATE, 0.1, 1.0)
    put(trials[0], "bass_reference", sound)
    put(trials[0], "bass_estimate", np.float32((1 + error) * sound + 1e-3 * tone("drums", 4.0)))
    bass = told(trials)["excerpts"][0]["trials"]["0"]["stems"]["bass"]
    sdr = dict(bass["sdr"])
    assert list(sdr) == [0.5 + 0.25 * number for number in range(13)]
    assert [sdr[at] for at in (0.5, 1.0, 1.5)] == [None, None, None]
    assert sdr[2.5] == pytest.approx(20.0, abs=0.1)
    assert sdr[3.5] == pytest.approx(0.0, abs=0.1)
    assert bass["usdr"] == pytest.approx(10 * np.log10(2 / 1.01), abs=0.1)


def test_a_silent_estimate_has_no_sdr_over_time_and_an_excerpt_below_a_second_one_frame(trials):
    put(trials[0], "bass_reference", tone("bass", 0.5))
    put(trials[0], "bass_estimate", 0 * tone("bass", 0.5))
    bass = told(trials)["excerpts"][0]["trials"]["0"]["stems"]["bass"]
    assert bass["sdr"] == [[0.25, None]]
    assert bass["usdr"] == pytest.approx(0.0, abs=0.01)


def test_a_stems_spectrogram_is_bright_at_its_own_frequency_on_the_mixtures_scale(trials, tmp_path):
    put_all(trials[0], error=-0.9)
    excerpt = told(trials, tmp_path)["excerpts"][0]
    true, faint = (
        pixels(tmp_path, each["spectrogram"]).sum(axis=2).mean(axis=1)
        for each in (excerpt["references"]["bass"], excerpt["trials"]["0"]["stems"]["bass"])
    )
    whole = pixels(tmp_path, excerpt["mixture"]["spectrogram"]).sum(axis=2).mean(axis=1)
    assert true.argmax() > 0.8 * len(true)  # the lowest frequency is at the bottom
    assert true.max() == pytest.approx(whole[true.argmax()], rel=0.1)
    assert 50 < faint.max() < true.max() - 50  # 20 dB less
    assert true[: len(true) // 2].max() < 50


def test_in_the_segmentation_each_tone_has_its_stems_colour_and_confused_stems_the_others(trials, tmp_path):
    put_all(trials[0])
    for stem, other in (("vocals", "bass"), ("bass", "vocals")):
        put(trials[0], f"{stem}_estimate", tone(other))
    excerpt = told(trials, tmp_path)["excerpts"][0]
    maps = [pixels(tmp_path, each["segmentation"]) for each in (excerpt, excerpt["trials"]["0"])]
    share = excerpt["marks"]["1 kHz"]
    high, low = slice(0, round((1 - share) * len(maps[0]))), slice(round((1 - share) * len(maps[0])), None)

    def area(picture, rows, stem):
        colour = [int(SOURCE_COLOURS[stem][place : place + 2], 16) for place in (1, 3, 5)]
        return (np.abs(picture[rows] - colour).max(axis=2) < 40).mean()

    for stem, (rows, wrong) in {"vocals": (high, "bass"), "bass": (low, "vocals")}.items():
        assert area(maps[0], rows, stem) > 0.02
        assert area(maps[0], rows, wrong) < 0.005
        assert area(maps[1], rows, wrong) > 0.02
        assert area(maps[1], rows, stem) < 0.005


def test_there_is_no_segmentation_where_a_stem_is_missing(trials):
    put_all(trials[0])
    (trials[0] / "audio" / "song_bass_estimate.flac").unlink()
    excerpt = told(trials)["excerpts"][0]
    assert excerpt["segmentation"]
    assert excerpt["trials"]["0"]["segmentation"] == ""
    assert "bass" not in excerpt["trials"]["0"]["stems"]


def test_pictures_are_small_and_drawn_again_only_for_a_newer_sound(trials, tmp_path):
    for trial in trials:
        put_all(trial)
    told(trials, tmp_path / "page", copy=True)
    made = {path: path.stat().st_mtime_ns for path in (tmp_path / "page").rglob("*.*")}
    assert max(path.stat().st_size for path in made if path.suffix == ".webp") < 20_000
    told(trials, tmp_path / "page", copy=True)
    assert {path: path.stat().st_mtime_ns for path in made} == made
    put(trials[1], "bass_estimate", tone("vocals"))
    after = told(trials, tmp_path / "page", copy=True)
    again = {path.relative_to(tmp_path / "page" / "media") for path in made if path.stat().st_mtime_ns != made[path]}
    assert {path.parts[:2] for path in again} == {("song", "1")}
    assert Path("song/1/bass.flac") in again
    assert after["excerpts"][0]["trials"]["1"]["stems"]["bass"]["usdr"] < 0


def test_a_sound_that_was_cut_off_is_left_out_and_the_others_are_heard(trials):
    for trial in trials:
        put_all(trial)
    (trials[0] / "audio" / "song_bass_estimate.flac").write_bytes(b"fLaC")
    heard = told(trials)["excerpts"][0]["trials"]
    assert "bass" not in heard["0"]["stems"]
    assert heard["0"]["stems"].keys() | {"bass"} == heard["1"]["stems"].keys()


def test_another_sweep_in_the_same_folder_brings_its_own_sounds_however_old_they_are(trials, tmp_path):
    for trial in trials:
        put_all(trial)
    first = told(trials[:1], tmp_path / "page", copy=True)["excerpts"][0]["trials"]["0"]["stems"]["bass"]
    shutil.copytree(trials[0].parent.parent, tmp_path / "other")
    other = tmp_path / "other" / "trials" / "0000"
    put(other, "bass_estimate", tone("vocals"))
    for sound in (other / "audio").iterdir():
        os.utime(sound, (0, 0))
    second = told([other], tmp_path / "page", copy=True)["excerpts"][0]["trials"]["0"]["stems"]["bass"]
    assert first["usdr"] > 0 > second["usdr"]
    taken = tmp_path / "page" / second["sound"]
    assert taken.read_bytes() == (other / "audio" / "song_bass_estimate.flac").read_bytes()


@pytest.mark.parametrize("damaged", ["", "[]", "{", '{"of": 1}', '{"of": NaN, "scores": []}'])
def test_a_damaged_file_beside_the_pictures_is_made_anew(trials, tmp_path, damaged):
    put_all(trials[0])
    first = told(trials[:1], tmp_path / "page")
    for kept in (tmp_path / "page").rglob("scores.json"):
        kept.write_text(damaged)
    assert told(trials[:1], tmp_path / "page") == first


def test_a_link_out_of_the_run_is_neither_shown_nor_sent(trials, tmp_path):
    put_all(trials[0])
    sound = trials[0] / "audio" / "song_bass_estimate.flac"
    sound.rename(tmp_path / "elsewhere.flac")
    sound.symlink_to(tmp_path / "elsewhere.flac")
    assert "bass" not in told(trials[:1], tmp_path / "page", copy=True)["excerpts"][0]["trials"]["0"]["stems"]
