import math

import pytest
from rich.console import Console

from unetsep.audio.files import InputError
from unetsep.evaluation.comparison import Scores, compare, print_comparison, show
from unetsep.metrics.bootstrap import Difference

STEMS = ("vocals", "[bass]")


def scores(*vocals: float, bass: float | None = 2.0) -> dict[str, dict[str, dict[str, float | None]]]:
    """Of as many tracks as there are values; csdr is one below usdr."""
    below = None if bass is None else bass - 1
    return {
        f"track {number}": {
            "usdr": {"vocals": value, "[bass]": bass},
            "csdr": {"vocals": value - 1, "[bass]": below},
        }
        for number, value in enumerate(vocals)
    }


def printed(ours: Scores, theirs: Scores, width: int = 80) -> list[str]:
    console = Console(width=width)
    with console.capture() as capture:
        print_comparison(compare(ours, theirs, STEMS), "runs/[a]", "trial 2", console)
    return [line.rstrip() for line in capture.get().splitlines()]


def test_stems_and_their_mean_are_compared_in_both_measures_by_mean_and_by_median():
    comparison = compare(scores(1.0, 2.0, 9.0), scores(0.0, 0.0, 0.0, bass=1.0), STEMS)
    values = {stem: {name: gain.value for name, gain in gains.items()} for stem, gains in comparison.by_source.items()}
    assert values == {
        "vocals": {"usdr": 4.0, "csdr": 2.0},
        "[bass]": {"usdr": 1.0, "csdr": 1.0},
        "mean": {"usdr": 2.5, "csdr": 1.5},
    }
    assert comparison.tracks == 3


def test_tracks_are_paired_by_name_and_not_by_order():
    ours = scores(1.0, 2.0, 9.0)
    theirs = dict(reversed(ours.items()))
    gain = compare(ours, theirs, STEMS).by_source["vocals"]["usdr"]
    assert (gain.value, gain.low, gain.high) == (0, 0, 0)


def test_a_stem_that_one_of_them_has_no_score_of_is_left_out_and_the_tracks_are_counted():
    ours, theirs = scores(1.0, 2.0, bass=None), scores(0.0, 0.0)
    ours["track 1"]["usdr"]["[bass]"] = 5.0
    gain = compare(ours, theirs, STEMS).by_source["[bass]"]["usdr"]
    assert (gain.value, gain.count) == (3.0, 1)
    lines = printed(ours, theirs)
    assert next(line for line in lines if line.startswith("[bass]")).split() == ["[bass]", "+3.00", "-", "1"]


def test_other_tracks_measures_or_stems_are_refused_naming_the_first_that_differs():
    with pytest.raises(InputError, match="track 'track 2' is missing from the second of the two"):
        compare(scores(1.0, 2.0, 3.0), scores(1.0, 2.0), STEMS)
    with pytest.raises(InputError, match="track 'track 1' is missing from the first of the two"):
        compare(scores(1.0), scores(1.0, 2.0), STEMS)
    with pytest.raises(InputError, match="track 'track 0' of the first of the two has no usdr of drums"):
        compare(scores(1.0), scores(1.0), ("vocals", "drums"))
    with pytest.raises(InputError, match="there are no tracks to compare"):
        compare({}, {}, STEMS)


def test_the_table_says_who_is_ahead_of_whom_by_how_much_and_over_how_many_tracks():
    lines = printed(scores(1.0, 2.0, 3.0), scores(0.0, 1.0, 2.0))
    assert lines[0] == "runs/[a] less trial 2, in dB over 3 tracks"
    assert lines[1].split() == ["stem", "usdr", "csdr", "tracks"]
    assert lines[2].split() == ["vocals", *(2 * ["+1.00", "[+1.00,", "+1.00]"]), "3"]
    assert [line.split()[0] for line in lines[2:5]] == ["vocals", "[bass]", "mean"]
    assert "95 % interval, paired bootstrap over tracks" in " ".join(lines)
    assert max(map(len, lines)) <= 80


def test_one_track_has_no_interval_and_the_footnote_says_so():
    lines = printed(scores(1.0), scores(0.5))
    assert lines[0].endswith("over 1 track")
    assert lines[2].split() == ["vocals", "+0.50", "+0.50", "1"]
    assert "one track has no interval" in " ".join(lines)


def test_a_difference_as_text():
    assert show(Difference(0.314, 0.12, 0.49, 50)) == "+0.31 [+0.12, +0.49]"
    assert show(Difference(-0.3, math.nan, math.nan, 1)) == "-0.30"
    assert show(Difference(math.nan, math.nan, math.nan, 0)) == "-"
