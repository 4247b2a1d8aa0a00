from pathlib import Path

import numpy as np
import pytest
import torch
from matplotlib.colors import to_rgb
from matplotlib.image import imread

from unetsep.audio.files import InputError
from unetsep.audio.pictures import draw_segmentation, draw_spectrograms
from unetsep.audio.pixels import (
    SOURCE_COLOURS,
    frequency_marks,
    segmentation_pixels,
    source_colours,
    spectrogram_pixels,
)

SOURCES = ("vocals", "drums", "bass", "other")
SHAPE = (129, 50)  # n_fft 256, hop 64, 3.2 s at 1 kHz


def share_of_colour(path: Path, colour: str) -> float:
    """How much of a picture has this colour, up to rounding."""
    distances = np.abs(imread(path)[..., :3] - np.array(to_rgb(colour)))
    return float((distances.max(axis=-1) < 1.5 / 255).mean())


def test_a_map_owned_by_one_source_is_painted_in_its_colour(tmp_path):
    path = tmp_path / "map.png"
    draw_segmentation({"true": torch.full(SHAPE, 2)}, torch.ones(SHAPE), SOURCES, 1000, 64, path)
    assert share_of_colour(path, SOURCE_COLOURS["bass"]) > 0.6
    assert share_of_colour(path, SOURCE_COLOURS["drums"]) < 0.01  # its patch in the legend


def test_each_of_two_maps_side_by_side_takes_half_the_picture(tmp_path):
    path = tmp_path / "map.png"
    maps = {"true": torch.zeros(SHAPE, dtype=torch.long), "predicted": torch.ones(SHAPE, dtype=torch.int32)}
    draw_segmentation(maps, torch.ones(SHAPE), SOURCES, 1000, 64, path)
    shares = [share_of_colour(path, SOURCE_COLOURS[source]) for source in ("vocals", "drums")]
    assert min(shares) > 0.3
    assert shares[0] == pytest.approx(shares[1], rel=0.05)


def test_bins_80_db_below_the_loudest_are_not_painted(tmp_path):
    path = tmp_path / "map.png"
    energy = torch.full(SHAPE, 1e-8)
    energy[:, :10] = 1.0
    draw_segmentation({"true": torch.full(SHAPE, 3)}, energy, SOURCES, 1000, 64, path)
    assert 0.1 < share_of_colour(path, SOURCE_COLOURS["other"]) < 0.2


@pytest.mark.parametrize("frame", [100, 777, 12_345, 19_800])
def test_one_loud_frame_among_many_thousands_is_still_seen(tmp_path, frame):
    quiet, click = torch.full((33, 20_000), 1e-3), torch.full((33, 20_000), 1e-3)
    click[:, frame] = 1.0
    draw_spectrograms({"mixture": quiet}, 1000, 16, tmp_path / "quiet.png")
    draw_spectrograms({"mixture": click}, 1000, 16, tmp_path / "click.png")
    brightest = "#fcfdbf"  # the upper end of magma, which the colour bar shows too
    shares = [share_of_colour(tmp_path / f"{name}.png", brightest) for name in ("quiet", "click")]
    assert shares[0] > 0.4
    assert 5e-4 < shares[1] < 5e-3


def test_spectrograms_of_silence_and_of_a_single_frame_are_drawn(tmp_path):
    draw_spectrograms({"vocals": torch.zeros(SHAPE), "piano": torch.zeros(SHAPE)}, 8000, 64, tmp_path / "a.png")
    draw_spectrograms({"vocals": torch.rand(3, 1)}, 44_100, 64, tmp_path / "b.png")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.png", "b.png"]


def test_two_columns_put_four_spectrograms_in_half_the_height(tmp_path):
    spectra = {title: torch.rand(SHAPE) for title in ("vocals", "vocals estimate", "bass", "bass estimate")}
    draw_spectrograms(spectra, 1000, 64, tmp_path / "one.png")
    draw_spectrograms(spectra, 1000, 64, tmp_path / "two.png", columns=2)
    one, two = (imread(tmp_path / f"{name}.png").shape for name in ("one", "two"))
    assert two[0] < 0.6 * one[0]


def test_a_source_keeps_its_colour_in_any_order_and_unknown_names_get_their_own():
    forward, backward = source_colours(SOURCES), source_colours(SOURCES[::-1])
    assert forward == backward == SOURCE_COLOURS
    mixed = source_colours(["piano", "vocals", "strings"])
    assert mixed["vocals"] == SOURCE_COLOURS["vocals"]
    assert len(set(mixed.values()) | set(SOURCE_COLOURS.values())) == 6


def test_an_index_without_a_source_is_refused_by_name_and_nothing_is_written(tmp_path):
    with pytest.raises(InputError, match="'predicted' holds indices from 4 to 4, but there are 4 sources"):
        draw_segmentation({"predicted": torch.full(SHAPE, 4)}, torch.ones(SHAPE), SOURCES, 1000, 64, tmp_path / "x.png")
    assert not list(tmp_path.iterdir())


def test_nothing_to_draw_is_refused(tmp_path):
    with pytest.raises(InputError, match="got nothing"):
        draw_spectrograms({}, 1000, 64, tmp_path / "x.png")
    with pytest.raises(InputError, match=r"at least one frame, got mixture: \(5, 0\)"):
        draw_spectrograms({"mixture": torch.ones(5, 0)}, 1000, 64, tmp_path / "x.png")


def test_a_picture_without_axes_has_a_tone_at_its_mark_and_no_more_columns_than_frames():
    spectrum = torch.full((2049, 30), 1e-6)
    spectrum[round(1000 / 22_050 * 2048)] = 1.0
    pixels = spectrogram_pixels(spectrum, 44_100, 1024, loudest=1.0, rows=200)
    assert pixels.shape == (200, 30, 3)
    brightness = pixels.sum(axis=(1, 2), dtype=int)
    assert 1 - brightness.argmax() / 200 == pytest.approx(frequency_marks(44_100)["1 kHz"], abs=0.01)
    assert brightness.max() > 100 * brightness.min()


def test_what_is_80_db_below_the_given_loudest_is_black_and_what_is_louder_is_as_white_as_that():
    levels = [spectrogram_pixels(torch.full(SHAPE, level), 8000, 64, loudest=0.1) for level in (1e-5, 0.1, 10.0)]
    assert levels[0].max() < 10
    assert levels[1].min() > 180
    assert (levels[1] == levels[2]).all()


def test_a_map_without_axes_has_the_owners_colours_where_it_is_loud_and_is_dark_where_not():
    owner = torch.zeros(SHAPE, dtype=torch.long)
    owner[:, 25:] = 1
    energy = torch.ones(SHAPE)
    energy[:, :5] = 1e-9
    pixels = segmentation_pixels(owner, energy, SOURCES, 8000, 64, rows=40)
    for column, colour in {2: "#101216", 10: SOURCE_COLOURS["vocals"], 40: SOURCE_COLOURS["drums"]}.items():
        assert (np.abs(pixels[:, column] / 255 - np.array(to_rgb(colour))) < 1.5 / 255).all()


def test_frequencies_above_the_picture_have_no_mark():
    assert list(frequency_marks(8000)) == ["0.2 kHz", "1 kHz"]
    assert list(frequency_marks(44_100)) == ["0.2 kHz", "1 kHz", "5 kHz"]
