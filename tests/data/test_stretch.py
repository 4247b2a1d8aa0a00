import math

import numpy as np
import pytest
import torch

from unetsep.data.stretch import samples_for, stretch

RATE = 8000
WINDOW = 512
LENGTH = 2 * RATE


def tone(hertz, samples=5 * RATE):
    return 0.5 * torch.sin(2 * math.pi * hertz * torch.arange(samples, dtype=torch.float64) / RATE).float()


def frequency(sound):
    """In hertz, by the maximum of a parabola through the logarithms around the spectrum's peak."""
    middle = sound[2 * WINDOW : -2 * WINDOW].double()
    size = 16 * len(middle)
    spectrum = torch.fft.rfft(middle * torch.hann_window(len(middle), dtype=torch.float64), n=size).abs()
    peak = int(spectrum.argmax())
    left, centre, right = spectrum[peak - 1 : peak + 2].log().tolist()
    return (peak + 0.5 * (left - right) / (left - 2 * centre + right)) * RATE / size


@pytest.mark.parametrize("hertz", [110.0, 440.0, 1234.5])
@pytest.mark.parametrize("semitones", [-12.0, -2.0, -0.31, 0.05, 1.0, 1.77, 12.0])
def test_a_tone_is_transposed_to_within_five_cents(hertz, semitones):
    pitch = 2 ** (semitones / 12)
    cents = 1200 * math.log2(frequency(stretch(tone(hertz), LENGTH, pitch, 1.0, WINDOW)) / (hertz * pitch))
    assert abs(cents) < 5.0


@pytest.mark.parametrize("tempo", [0.5, 0.9, 1.1, 2.0])
def test_another_tempo_leaves_a_tone_at_its_pitch_and_level(tempo):
    sound = stretch(tone(441.0), LENGTH, 1.0, tempo, WINDOW)
    assert abs(1200 * math.log2(frequency(sound) / 441.0)) < 0.5
    assert float(sound[WINDOW:-WINDOW].square().mean().sqrt()) == pytest.approx(0.5 / math.sqrt(2), rel=0.02)


@pytest.mark.parametrize(("pitch", "tempo"), [(1.0, 0.8), (1.0, 1.25), (1.1, 1.25), (0.9, 0.8), (1.2, 1.0)])
def test_the_period_of_clicks_is_divided_by_the_tempo_whatever_the_pitch(pitch, tempo):
    clicks = torch.zeros(100_000)
    clicks[WINDOW // 2 + 1500 :: 1500] = 1.0
    length = round(90_000 / tempo)
    energy = stretch(clicks, length, pitch, tempo, WINDOW).square()
    places = []
    for number in range(1, 59):
        place = round(1500 * number / tempo)
        around = torch.arange(place - WINDOW, place + WINDOW)
        assert energy[around].sum() > 0.99 * energy[place - 590 : place + 590].sum()  # and nothing between the clicks
        places.append(float((energy[around] * around).sum() / energy[around].sum()))
        assert abs(places[-1] - place) < WINDOW / 2
    period = np.polynomial.Polynomial.fit(range(1, 59), places, 1).convert().coef[1]
    assert period == pytest.approx(1500 / tempo, rel=0.005)


def test_high_tones_keep_their_purity_over_many_seconds():
    """Phases summed with all their turns lose it: after 20 s float32 holds those of a high tone to 0.03 only."""
    sound = stretch(tone(3456.7, 23 * RATE), 20 * RATE, 1.0, 1.1, WINDOW)[RATE:-RATE].double()
    window = torch.hann_window(len(sound), dtype=torch.float64)
    power = torch.fft.rfft(sound * window).abs().square()
    peak = int(power.argmax())
    beside = power.sum() - power[peak - 20 : peak + 21].sum()
    assert 10 * math.log10(float(beside / power.sum())) < -75


def test_neither_pitch_nor_tempo_changed_is_the_sound_itself():
    sound = torch.randn(2, 3, 3000)
    torch.testing.assert_close(stretch(sound, 2000, 1.0, 1.0, 64), sound[..., 32:2032], atol=1e-5, rtol=0)


def test_a_panned_sound_stays_where_it_is():
    left = torch.randn(20_000)
    sound = stretch(torch.stack((left, -0.3 * left)), 16_000, 1.1, 0.93, WINDOW)
    torch.testing.assert_close(sound[1], -0.3 * sound[0], atol=1e-3, rtol=0)


@pytest.mark.parametrize("length", [1, 100, 5000, 5001])
@pytest.mark.parametrize(("pitch", "tempo"), [(0.5, 2.0), (2.0, 0.5), (1.06, 1.1), (0.89, 0.9), (1.0, 1.33)])
def test_the_length_is_as_asked_and_no_more_is_read_than_announced(length, pitch, tempo):
    sound = torch.randn(30_000)
    needed = samples_for(length, tempo, WINDOW)
    whole = stretch(sound, length, pitch, tempo, WINDOW)
    assert whole.shape == (length,)
    assert whole.dtype == torch.float32
    assert torch.equal(whole, stretch(sound[:needed], length, pitch, tempo, WINDOW))


def test_a_sound_that_is_too_short_is_followed_by_silence():
    sound = stretch(tone(440.0, RATE), LENGTH, 1.1, 1.25, WINDOW)
    assert sound.shape == (LENGTH,)
    assert sound[: int(0.75 * RATE)].abs().max() > 0.4
    assert sound[int(0.85 * RATE) + WINDOW :].abs().max() < 1e-3
