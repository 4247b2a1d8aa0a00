"""The sounds in a trial's folder, by track and stem."""

from pathlib import Path

from unetsep.report.excerpts import excerpts


def put(trial: Path, *names: str) -> Path:
    (trial / "audio").mkdir(parents=True, exist_ok=True)
    for name in names:
        (trial / "audio" / name).touch()
    return trial


def test_sounds_are_sorted_by_track_and_stem_in_the_order_asked_for(tmp_path):
    put(tmp_path, "b_mixture.flac", "b_bass_estimate.flac", "b_vocals_estimate.flac", "b_vocals_reference.flac")
    put(tmp_path, "a_piano_estimate.wav", "a_bass_estimate.ogg")
    first, second = excerpts(tmp_path, ["vocals", "drums", "bass"])
    assert (first.track, first.mixture, list(first.stems)) == ("a", None, ["bass", "piano"])
    assert (second.track, second.mixture) == ("b", tmp_path / "audio" / "b_mixture.flac")
    assert list(second.stems) == ["vocals", "bass"]
    assert second.stems["vocals"].reference == tmp_path / "audio" / "b_vocals_reference.flac"
    assert second.stems["bass"].reference is None


def test_a_tracks_name_may_hold_what_separates_names_and_a_stems_too(tmp_path):
    put(tmp_path, "Us_and_them_vocals_reference_mixture.flac", "x_reference_lead_vocals_estimate.flac")
    names = {each.track: list(each.stems) for each in excerpts(tmp_path, ["vocals", "lead_vocals"])}
    assert names == {"Us_and_them_vocals_reference": [], "x_reference": ["lead_vocals"]}


def test_what_is_no_sound_or_still_being_written_is_left_out(tmp_path):
    put(tmp_path, ".a_mixture.flac", "a_mixture.txt", "mixture.flac", "a_vocals.flac", "a_vocals_guess.flac")
    assert excerpts(tmp_path, ["vocals"]) == []
    assert excerpts(tmp_path / "nowhere", ["vocals"]) == []
