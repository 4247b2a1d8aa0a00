import math

import pytest

from unetsep.report.measures import measure, short_names, show_choice


@pytest.mark.parametrize(
    ("key", "value", "text"),
    [
        ("val/usdr", 4.306, "4.31 dB"),
        ("val/csdr/vocals", -0.004, "-0.00 dB"),
        ("cost/gmacs_per_second", 0.04213, "0.0421 GMAC/s"),
        ("cost/params", 39_300_000, "39.3 M"),
        ("cost/params", 610, "610"),
        ("cost/depth", 3.0, "3"),
        ("cost/receptive_field_seconds", math.inf, "∞"),
        ("val/usdr", math.nan, "-"),
        ("val/my_own", 0.123456, "0.123"),
    ],
)
def test_a_value_is_shown_with_its_unit(key, value, text):
    assert measure(key).show(value) == text


def test_a_stems_measure_has_the_unit_and_definition_of_the_mean():
    assert measure("val/csdr/bass").name == "csdr bass"
    assert measure("val/csdr/bass").definition == measure("val/csdr").definition != ""


def test_short_names_grow_until_they_differ():
    net = "model.separator.init_args.net.init_args"
    names = short_names(
        [f"{net}.depth", f"{net}.skip_at.0", f"{net}.block.init_args.layers", f"{net}.bottleneck.init_args.layers"]
    )
    assert list(names.values()) == ["depth", "skip_at.0", "block.layers", "bottleneck.layers"]


def test_short_names_of_a_key_and_its_class_path_stay_apart():
    assert len(set(short_names(["a.block", "b.block", "block"]).values())) == 3


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("unetsep.model.TFC", "TFC"),
        ({"class_path": "unetsep.model.TFC", "init_args": {"layers": 3}}, "TFC(layers=3)"),
        (0.0012345, "0.00123"),
        ([2, 1], "2 x 1"),
        ("base/tfc_tdf.yaml", "base/tfc_tdf.yaml"),
        (True, "True"),
        (None, "None"),
    ],
)
def test_a_choice_is_shown_by_its_bare_name(value, text):
    assert show_choice(value) == text
