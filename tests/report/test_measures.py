import math

import pytest

from unetsep.report.measures import measure


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
        ("cost/receptive_field_hz", 1434.6, "1435 Hz"),
        ("val/usdr", math.nan, "-"),
        ("val/my_own", 0.123456, "0.123"),
    ],
)
def test_a_value_is_shown_with_its_unit(key, value, text):
    assert measure(key).show(value) == text


def test_a_stems_measure_has_the_unit_and_definition_of_the_mean():
    assert measure("val/csdr/bass").name == "csdr bass"
    assert measure("val/csdr/bass").definition == measure("val/csdr").definition != ""
