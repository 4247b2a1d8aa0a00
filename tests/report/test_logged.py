import json
from pathlib import Path

import pytest

from unetsep.report.logged import media_keys, run_ids, summary_key
from unetsep.report.run import Trial
from unetsep.training.listening import file_name


@pytest.mark.parametrize(
    ("key", "logged"),
    [("val/usdr", "best/usdr"), ("val/csdr/bass", "best/csdr/bass"), ("cost/params", "cost/params")],
)
def test_the_summary_holds_the_best_scores_and_the_costs(key, logged):
    assert summary_key(key) == logged


def test_a_trial_has_one_run_for_each_seed_however_many_parts_it_has(tmp_path):
    parts = [
        "wandb/offline-run-20260101_000000-aaaa1111",
        "wandb/offline-run-20260101_000001-aaaa1111",
        "wandb/offline-run-20260101_000001-aaaa1111-1",
        "seeds/1/wandb/run-20260101_000002-bbbb2222",
    ]
    for part in parts:
        (tmp_path / part).mkdir(parents=True)
    (tmp_path / "wandb" / "latest-run").symlink_to(tmp_path / parts[0])
    assert run_ids([Trial(0, tmp_path, "complete")]) == ["aaaa1111", "bbbb2222"]
    assert run_ids([Trial(1, tmp_path / "elsewhere", "complete")]) == []


def test_sounds_and_pictures_are_called_by_their_track_without_dots_and_only_where_they_were_kept(tmp_path):
    track = "AC/DC feat. Nobody"
    _touch(tmp_path / "audio" / f"{file_name(track)}_mixture.flac")
    _touch(tmp_path / "audio" / f"{file_name(track)}_bass_estimate.flac")
    _touch(tmp_path / "pictures" / f"{file_name(track)}_segmentation.png")
    (tmp_path / "tracks.jsonl").write_text(json.dumps({"tracks": {track: {}, "unheard": {}}}) + "\n")
    sounds, pictures = media_keys([Trial(0, tmp_path, "complete")], ["bass", "drums"])
    assert sounds == ["audio/AC/DC feat_ Nobody/mixture", "audio/AC/DC feat_ Nobody/bass_estimate"]
    assert pictures == ["pictures/AC/DC feat_ Nobody/segmentation"]


def _touch(path: Path) -> None:
    path.parent.mkdir(exist_ok=True)
    path.touch()
