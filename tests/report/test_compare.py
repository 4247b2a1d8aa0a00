import json
from pathlib import Path

import pytest

from unetsep.audio.files import InputError
from unetsep.report import main, write_report
from unetsep.report.compare import best_tracks, differences_to_best
from unetsep.report.reading import read_run

from .sweep_folder import STEMS, write_sweep, write_trial
from .test_page import read


def write_tracks(trial: Path, *validations: float, tracks: tuple[str, ...] = ("one", "two", "three")) -> None:
    """The scores of as many validations as there are values, every stem's and track's a little apart."""
    lines = []
    for epoch, score in enumerate(validations):
        by_track = {
            track: {
                measure: {stem: score + row + column for column, stem in enumerate(STEMS)}
                for measure in ("usdr", "csdr")
            }
            | {"dropped_frames": 0}
            for row, track in enumerate(tracks)
        }
        lines.append({"stage": "val", "step": 3 * epoch, "epoch": epoch, "tracks": by_track})
    (trial / "tracks.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))


@pytest.fixture
def tracked(sweep: Path) -> Path:
    for number, score in ((0, 5.0), (2, 4.75), (3, 2.5)):
        write_tracks(sweep / f"trials/000{number}", 0.0, score, 1.0)
    return sweep


def test_the_scores_are_those_of_the_best_validation_whatever_came_after_or_was_cut_off(tracked):
    trial = tracked / "trials/0002"
    with (trial / "tracks.jsonl").open("a") as file:
        file.write('{"stage": "test", "tracks": {"one": {"usdr": {"vocals": 99}}}}\n{"stage": "val", "tra')
    assert best_tracks(trial)["one"]["usdr"]["vocals"] == 4.75


def test_a_stem_without_a_score_does_not_count_against_a_validation(tmp_path):
    lines = [{"stage": "val", "tracks": {"one": {"usdr": {"vocals": 1.0, "bass": None}}}}]
    lines += [{"stage": "val", "tracks": {"one": {"usdr": {"vocals": None, "bass": None}}}}]
    (tmp_path / "tracks.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    assert best_tracks(tmp_path)["one"]["usdr"]["vocals"] == 1.0


def test_two_trials_are_compared_by_number_and_nothing_is_written(tracked, capsys):
    assert main([str(tracked), "--compare", "0", "2"]) == 0
    said = capsys.readouterr().out.splitlines()
    assert said[0] == "trial 0 less trial 2, in dB over 3 tracks"
    assert said[2].split("  ")[:2] == ["vocals", "+0.25 [+0.25, +0.25]"]
    assert not (tracked / "report").exists()


def test_two_trainings_are_compared_by_their_folders(tracked, capsys):
    ours, theirs = str(tracked / "trials/0003"), str(tracked / "trials/0002")
    assert main(["--compare", ours, theirs]) == 0
    said = "".join(capsys.readouterr().out.splitlines())
    assert f"{ours} less {theirs}" in said
    assert "-2.25 [-2.25, -2.25]" in said


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (["0", "1"], r"trials/0001/tracks\.jsonl is missing, and with it the scores by track"),
        (["0", "99"], "has no trial 99"),
        (["0", "nowhere"], "there is no folder nowhere"),
    ],
)
def test_what_cannot_be_compared_is_said_in_one_line(tracked, given, message):
    with pytest.raises(InputError, match=message) as refusal:
        main([str(tracked), "--compare", *given])
    assert "\n" not in str(refusal.value)


def test_trials_of_other_tracks_and_broken_files_are_refused(tracked):
    write_tracks(tracked / "trials/0001", 4.0, tracks=("one", "two", "four"))
    with pytest.raises(InputError, match="track 'three' is missing from the second of the two"):
        main([str(tracked), "--compare", "0", "1"])
    (tracked / "trials/0001/tracks.jsonl").write_text('{"stage": "val", "tracks": {"one": {"csdr": 3}}}\n')
    with pytest.raises(InputError, match="holds no scores by track"):
        main([str(tracked), "--compare", "0", "1"])


def test_a_number_needs_its_sweep():
    with pytest.raises(InputError, match="of which sweep"):
        main(["--compare", "0", "1"])


def test_the_page_shows_what_the_front_is_behind_the_best(tracked):
    content = read(write_report(read_run(tracked)))
    assert "Differences to the best" in content.text
    assert "usdr in dB less that of trial 0, on the same 3 validation tracks" in content.text
    assert content.text.count("-0.25 [-0.25, -0.25]") == content.text.count("-2.50 [-2.50, -2.50]") == 5
    assert "differences" in content.ids


def test_trials_without_scores_by_track_or_of_other_tracks_are_left_out_of_it(tracked):
    (tracked / "trials/0003/tracks.jsonl").unlink()
    assert [trial.number for trial, _ in differences_to_best(read_run(tracked))] == [2]
    write_tracks(tracked / "trials/0002", 4.0, tracks=("else",))
    assert "Differences to the best" not in read(write_report(read_run(tracked))).text


def test_a_sweep_ranked_by_csdr_shows_differences_in_csdr(tmp_path):
    folder = write_sweep(tmp_path / "s", objectives={"val/csdr": "maximize", "cost/gmacs_per_second": "minimize"})
    for number, (score, cost) in enumerate([(5.0, 1.0), (4.0, 0.5)]):
        trial = write_trial(folder, number, gmacs=cost, scores={"val/csdr": score})
        write_tracks(trial, score)
    assert "csdr in dB less that of trial 0" in read(write_report(read_run(folder))).text


def test_the_names_of_stems_are_text_on_the_page(tmp_path):
    folder = write_sweep(tmp_path / "s")
    for number, (score, cost) in enumerate([(5.0, 1.0), (4.0, 0.5)]):
        trial = write_trial(folder, number, usdr=score, gmacs=cost)
        values = {"<b>vocals": score}
        line = {"stage": "val", "tracks": {"one": {"usdr": values, "csdr": values}}}
        (trial / "tracks.jsonl").write_text(json.dumps(line) + "\n")
    text = read(write_report(read_run(folder))).text
    assert "<b>vocals" in text
    assert "on the same 1 validation track;" in text
