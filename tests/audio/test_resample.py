import math

import pytest
import torch

from unetsep.audio.resample import resample


def tone(hertz, rate, seconds=1.0):
    return torch.sin(2 * math.pi * hertz * torch.arange(round(rate * seconds)) / rate)


def level_db(error, signal):
    return 20 * math.log10(float(error.norm() / signal.norm()))


@pytest.mark.parametrize(("rate", "new_rate"), [(44100, 8192), (44100, 11025), (8000, 44100), (44100, 48000)])
def test_a_tone_is_the_same_tone_at_another_rate_within_80_db(rate, new_rate):
    new, expected = resample(tone(440, rate), rate, new_rate), tone(440, new_rate)
    assert new.shape == expected.shape
    inside = slice(new_rate // 10, -new_rate // 10)  # the ends ring: there the tone begins and stops
    assert level_db(new[inside] - expected[inside], expected[inside]) < -80


def test_what_the_lower_rate_cannot_carry_is_gone():
    assert level_db(resample(tone(5000, 44100), 44100, 8000)[800:-800], torch.ones(6400)) < -70


def test_axes_before_the_samples_are_kept():
    stems = torch.randn(3, 2, 4410)
    resampled = resample(stems, 44100, 11025)
    assert resampled.shape == (3, 2, 1103)
    torch.testing.assert_close(resampled[1, 1], resample(stems[1, 1], 44100, 11025))


def test_the_same_rate_changes_nothing():
    waveform = torch.randn(2, 100)
    assert resample(waveform, 8000, 8000) is waveform


def test_even_one_sample_leaves_one():
    assert resample(torch.ones(1), 44100, 8000).shape == (1,)
