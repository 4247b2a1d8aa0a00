import csv
import json
import math
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile

from unetsep.__main__ import main
from unetsep.audio.files import read_audio, write_audio
from unetsep.evaluation import scoring
from unetsep.evaluation.command import ORACLES
from unetsep.evaluation.records import MEASURES, read_record
from unetsep.evaluation.tables import table_scores

from .songs import RATE, STEMS, TRACKS, song, write, write_model


def files(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def errors(capsys) -> list[str]:
    return [line for line in capsys.readouterr().err.splitlines() if line.startswith("unetsep: ")]


def test_estimates_on_disk_become_a_file_per_track_a_table_and_an_account_of_what_was_scored(
    evaluate, estimates, tmp_path, capsys
):
    assert evaluate("--estimates", estimates) == 0
    assert files(tmp_path / "out") == ["evaluation.json", "scores.csv", *(f"test/{track}.json" for track in TRACKS)]
    printed = capsys.readouterr()
    assert "3 test tracks of data" in " ".join(printed.out.split())
    for row in ("vocals", "mean", "csdr", "SAR", "segmentation accuracy", "frames dropped"):
        assert row in printed.out
    assert "real-time factor" not in printed.out
    assert max(map(len, printed.out.splitlines())) <= 80
    assert [line.split(":")[0] for line in printed.err.splitlines()] == list(TRACKS)


def test_the_csv_has_a_row_per_track_and_stem_and_empty_cells_for_an_absent_one(evaluated):
    with (evaluated / "scores.csv").open(newline="") as file:
        rows = {(row["track"], row["source"]): row for row in csv.DictReader(file)}
    assert list(rows) == [(track, stem) for track in TRACKS for stem in STEMS]
    record = read_record(evaluated / "test/one.json")
    assert float(rows["one", "drums"]["csdr"]) == record.scores()["csdr"]["drums"]
    assert float(rows["one", "drums"]["seconds"]) == 4.25
    assert (rows["one", "drums"]["frames"], rows["one", "drums"]["dropped_frames"]) == ("4", "1")
    absent = rows["two", "bass"]
    assert [absent[name] for name in ("usdr", "csdr", "isr", "sir", "sar", "rtf")] == [""] * 6
    assert rows["two", "vocals"]["sar"] != ""


def test_tables_are_medians_over_frames_and_tracks_and_usdr_is_a_mean(evaluated):
    records = [read_record(evaluated / f"test/{track}.json") for track in TRACKS]
    scores = table_scores(records, STEMS)
    one, three, two = (record.frames["bass"]["SIR"] for record in records)
    assert scores["SIR"]["bass"] == np.median([np.nanmedian(one), np.nanmedian(three)])
    assert np.isnan(two).all()
    assert scores["usdr"]["bass"] == pytest.approx(np.nanmean([record.usdr["bass"] for record in records]))
    assert scores["csdr"]["mean"] == pytest.approx(np.mean([scores["csdr"][stem] for stem in STEMS]))


def test_the_splits_folder_may_be_left_out_among_estimates(evaluate, evaluated, estimates, tmp_path):
    assert evaluate("--estimates", estimates / "test", out="again") == 0
    assert (tmp_path / "again/scores.csv").read_text() == (tmp_path / "out/scores.csv").read_text()


def test_a_model_is_scored_as_its_own_estimates_on_disk_are(evaluate, tmp_path, data):
    settings = ["--segment-seconds", "1.5", "--overlap", "0.5"]
    exact = ["--precision", "float32", "--no-consistent"]
    model = write_model(tmp_path / "run/checkpoints/best.ckpt")
    for track in TRACKS:
        mixture = sum(read_audio(data / f"test/{track}/{stem}.wav")[0] for stem in STEMS)
        write_audio(tmp_path / f"{track}.wav", mixture, RATE, floating=True)
        main(
            ["separate", str(model), str(tmp_path / f"{track}.wav"), "--out", str(tmp_path / "mine"), *settings, *exact]
        )
    assert evaluate(tmp_path / "run", *settings, "--device", "cpu") == 0
    assert evaluate("--estimates", tmp_path / "mine", out="separated") == 0
    for track in TRACKS:
        ours, theirs = (read_record(tmp_path / out / f"test/{track}.json") for out in ("out", "separated"))
        for stem in STEMS:
            for measure in MEASURES:
                assert ours.frames[stem][measure] == pytest.approx(theirs.frames[stem][measure], abs=1e-3, nan_ok=True)
        assert ours.rtf > 0
        assert math.isnan(theirs.rtf)


@pytest.mark.parametrize("oracle", ORACLES)
def test_oracles_are_scored_on_the_same_footing(evaluate, oracle, tmp_path):
    assert evaluate("--oracle", oracle) == 0
    scores = table_scores([read_record(tmp_path / f"out/test/{track}.json") for track in TRACKS], STEMS)
    assert math.isfinite(scores["csdr"]["mean"])
    if oracle == "mixture":
        assert scores["SAR"]["mean"] > 100  # no artifacts


def test_what_is_done_is_not_done_again(evaluate, estimates, evaluated, tmp_path, capsys, monkeypatch):
    kept = {name: (tmp_path / "out" / name).read_bytes() for name in files(tmp_path / "out")}
    assert evaluate("--estimates", estimates) == 0
    table = capsys.readouterr().out
    (tmp_path / "out/test/three.json").unlink()
    (tmp_path / "out/scores.csv").unlink()
    scored = []
    whole = scoring.score_track
    monkeypatch.setattr(scoring, "score_track", lambda *given, **more: scored.append(1) or whole(*given, **more))
    assert evaluate("--estimates", estimates) == 0
    told = capsys.readouterr()
    assert told.err.splitlines()[0] == "2 of 3 tracks done already"
    assert len(scored) == 1
    assert told.out == table
    assert {name: (tmp_path / "out" / name).read_bytes() for name in files(tmp_path / "out")} == kept


def test_a_track_that_fails_leaves_those_before_it_and_once_mended_the_rest_follows(
    evaluate, estimates, tmp_path, capsys
):
    bad = estimates / "test/three/bass.wav"
    whole = bad.read_bytes()
    sound, _ = read_audio(bad)
    sound[0, 7] = np.nan
    soundfile.write(bad, sound.T, RATE, subtype="FLOAT")
    assert evaluate("--estimates", estimates) == 2
    assert errors(capsys) == [f"unetsep: {bad} holds nan at sample 7 of channel 0; export it again"]
    assert files(tmp_path / "out") == ["evaluation.json", "test/one.json"]
    bad.write_bytes(whole)
    assert evaluate("--estimates", estimates) == 0
    assert "1 of 3 tracks done already" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ("other", "(estimates.folder is somebodys there, but others now)"),
        ("oracle", "(estimates.oracle is not given there, but irm now)"),
        ("sources", "(sources is vocals, drums, bass, other there, but bass, drums, other, vocals now)"),
        ("file", "(the files of track 'one' have changed since)"),
        ("track", "(the files of track 'four' are new)"),
    ],
)
def test_an_evaluation_of_something_else_is_not_touched(
    evaluate, estimates, evaluated, data, tmp_path, capsys, change, words
):
    kept = {name: (tmp_path / "out" / name).stat().st_mtime_ns for name in files(tmp_path / "out")}
    given = ["--estimates", estimates]
    if change == "other":
        given = ["--estimates", estimates.rename(tmp_path / "others")]
    elif change == "oracle":
        given = ["--oracle", "irm"]
    elif change == "sources":
        given += ["--sources", *sorted(STEMS)]
    elif change == "file":
        os.utime(estimates / "test/one/bass.wav", (1, 1))
    else:
        shutil.copytree(data / "test/one", data / "test/four")
        shutil.copytree(estimates / "test/one", estimates / "test/four")
    capsys.readouterr()
    assert evaluate(*given) == 2
    (line,) = errors(capsys)
    assert words in line
    assert line.endswith("give another --out, or delete that folder")
    assert {name: (tmp_path / "out" / name).stat().st_mtime_ns for name in files(tmp_path / "out")} == kept


def test_a_folder_with_something_in_it_is_not_written_to(evaluate, estimates, tmp_path, capsys):
    assert evaluate("--estimates", estimates, out="somebodys") == 2
    assert errors(capsys)[0].endswith("is no evaluation's folder: give a new or an empty one as --out")


@pytest.mark.parametrize("broken", ["", "[1]", '{"targets": []}', '{"targets": 3, "unetsep": {}}'])
def test_a_broken_record_is_named(evaluate, estimates, evaluated, tmp_path, capsys, broken):
    (tmp_path / "out/test/one.json").write_text(broken)
    capsys.readouterr()
    assert evaluate("--estimates", estimates) == 2
    (line,) = errors(capsys)
    assert "one.json" in line
    assert "delete it, and evaluate again" in line


@pytest.mark.parametrize("broken", [{"usdr": 3}, {"usdr": {"vocals": None}}, {"confusion": "x"}, {"usdr": {"x": 1.0}}])
def test_a_record_that_somebody_edited_is_named(evaluate, estimates, evaluated, tmp_path, capsys, broken):
    file = tmp_path / "out/test/one.json"
    record = json.loads(file.read_text())
    record["unetsep"] |= broken
    file.write_text(json.dumps(record))
    capsys.readouterr()
    assert evaluate("--estimates", estimates) == 2
    assert "one.json is no record that `unetsep evaluate` wrote" in errors(capsys)[0]


def test_what_a_killed_evaluation_left_half_written_is_no_obstacle(evaluate, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out/.0123456789abcdef.json").write_text("{")
    assert evaluate("--oracle", "mixture") == 0


def test_a_place_that_cannot_be_written_to_is_refused_before_anything_is_scored(
    evaluate, tmp_path, capsys, monkeypatch
):
    (tmp_path / "file").touch()
    assert evaluate("--oracle", "mixture", out="file/out") == 2
    monkeypatch.setattr("os.access", lambda place, mode: place != tmp_path)  # root may write anywhere
    assert evaluate("--oracle", "mixture", out="new/out") == 2
    assert errors(capsys) == [
        f"unetsep: cannot write to {place}: give another place as --out" for place in (tmp_path / "file", tmp_path)
    ]


def test_a_name_as_long_as_a_folders_may_be_is_no_obstacle(evaluate, data, tmp_path):
    name = "L" * 250
    (data / "test/one").rename(data / "test" / name)
    assert evaluate("--oracle", "mixture") == 0
    assert (tmp_path / f"out/test/{name}.json").is_file()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--sources", "vocals", "vocals"], "--sources names a stem twice"),
        (["--sources", "piano"], "piano"),
        (["--verify=-1"], "--verify is -1"),
        (["--device", "nonsense"], "cannot compute on the device 'nonsense'"),
        (["--split", "valid"], "valid"),
        (["--against", "nowhere"], "nowhere holds no finished evaluation"),
    ],
)
def test_bad_options_are_one_line_and_leave_nothing_behind(evaluate, tmp_path, capsys, options, words):
    assert evaluate("--oracle", "irm", *options) == 2
    (line,) = errors(capsys)
    assert words in line
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("option", [("--segment-seconds", "0"), ("--overlap", "1.5")])
def test_a_setting_out_of_range_can_be_corrected_in_the_same_folder(evaluate, tmp_path, option):
    model = write_model(tmp_path / "model.ckpt")
    assert evaluate(model, *option) == 2
    assert not (tmp_path / "out").exists()
    assert evaluate(model) == 0


def test_a_model_of_other_stems_says_so(evaluate, tmp_path, capsys):
    model = write_model(tmp_path / "model.ckpt")
    assert evaluate(model, "--sources", "vocals", "drums") == 2
    assert "--sources asks for vocals, drums, but" in errors(capsys)[0]


def test_exactly_one_thing_is_evaluated(evaluate, estimates, capsys):
    for given in ([], ["--oracle", "irm", "--estimates", estimates], ["run", "--oracle", "irm"]):
        with pytest.raises(SystemExit) as stop:
            evaluate(*given)
        assert stop.value.code == 2


def test_ctrl_c_keeps_the_finished_tracks(data, estimates, tmp_path):
    command = [
        sys.executable,
        "-m",
        "unetsep",
        "evaluate",
        "--oracle",
        "mwf",
        "--data",
        data,
        "--out",
        tmp_path / "out",
    ]
    longer = np.tile(song(3)["vocals"], 200)
    for track in TRACKS[1:]:
        write(data / "test" / track, dict.fromkeys(STEMS, longer))
    process = subprocess.Popen(list(map(str, command)), stderr=subprocess.PIPE, text=True)
    while not (tmp_path / "out/test/one.json").is_file():
        assert process.poll() is None
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    _, told = process.communicate(timeout=60)
    assert process.returncode == 130
    assert told.splitlines()[-1] == "unetsep: stopped"
    assert files(tmp_path / "out") == ["evaluation.json", "test/one.json"]


def test_a_comparison_names_the_difference_per_stem(evaluate, evaluated, tmp_path, capsys):
    assert evaluate("--oracle", "mixture", "--against", evaluated, out="floor") == 0
    lines = capsys.readouterr().out.splitlines()
    ours, theirs = (
        table_scores([read_record(folder / f"test/{track}.json") for track in TRACKS], STEMS)["usdr"]["vocals"]
        for folder in (tmp_path / "floor", evaluated)
    )
    row = [line for line in lines if line.startswith("vocals")][1]
    assert f"{ours - theirs:+.2f} [" in row


@pytest.mark.parametrize(("change", "word"), [("track", "track 'three'"), ("source", "source 'bass'")])
def test_only_like_is_compared_with_like_and_that_is_said_before_anything_is_scored(
    evaluate, estimates, tmp_path, data, capsys, change, word
):
    given = [] if change == "track" else ["--sources", "vocals", "drums", "other"]
    shutil.move(data / "test/three", tmp_path / "three")
    assert evaluate("--oracle", "mixture", *given, out="floor") == 0
    if change == "track":
        shutil.move(tmp_path / "three", data / "test/three")
    capsys.readouterr()
    assert evaluate("--oracle", "irm", "--against", tmp_path / "floor") == 2
    assert word in errors(capsys)[0]
    assert not (tmp_path / "out").exists()


def test_a_recording_of_another_length_is_not_compared_with(evaluate, evaluated, tmp_path, data, capsys):
    for stem in STEMS:
        sound, rate = read_audio(data / f"test/one/{stem}.wav")
        write_audio(data / f"test/one/{stem}.wav", sound[:, : 3 * rate], rate)
    capsys.readouterr()
    assert evaluate("--oracle", "mixture", "--against", evaluated, out="floor") == 2
    assert "one lasts 4.2 s there and 3.0 s here" in errors(capsys)[-1]


def test_the_identity_is_kept_with_what_the_numbers_depend_on(evaluate, tmp_path):
    assert evaluate("--oracle", "fixed_mask") == 0
    known = json.loads((tmp_path / "out/evaluation.json").read_text())
    assert (known["split"], known["data"], known["sources"]) == ("test", "data", list(STEMS))
    assert known["estimates"]["oracle"] == "fixed_mask"
    assert len(known["estimates"]["learned_from"]) == 64
    assert list(known["tracks"]) == list(TRACKS)
