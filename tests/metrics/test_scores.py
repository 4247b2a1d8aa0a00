import math
from typing import Any

import pytest
import torch

from unetsep.metrics.scores import STRETCH_SECONDS, TrackScores, measuring_stft, score_track, summarise

NAN = math.nan


def track(usdr: list[float], csdr: list[float], **others: Any) -> TrackScores:
    energies = others.pop("confusion", torch.eye(len(usdr)).double())
    numbers = {"dropped_frames": 0, "loss": 0.0, **others}
    return TrackScores(torch.tensor(usdr).double(), torch.tensor(csdr).double(), energies, **numbers)


def test_usdr_is_a_mean_and_csdr_a_median_over_tracks():
    tracks = [track([1, 4], [1, 4]), track([2, 4], [2, 4]), track([9, 4], [9, 4])]
    scores = summarise(tracks, ("vocals", "bass"))
    assert scores["usdr/vocals"] == 4
    assert scores["csdr/vocals"] == 2
    assert scores["usdr"] == 4
    assert scores["csdr"] == 3


def test_the_median_of_an_even_number_of_tracks_is_the_mean_of_the_middle_two():
    assert summarise([track([1], [1]), track([1], [2])], ("vocals",))["csdr/vocals"] == 1.5


def test_absent_stems_are_left_out_of_every_average():
    scores = summarise([track([1, NAN], [1, NAN]), track([3, 8], [3, 8])], ("vocals", "bass"))
    assert scores["usdr/vocals"] == 2
    assert scores["usdr/bass"] == scores["csdr/bass"] == 8
    assert scores["usdr"] == 5
    assert math.isnan(summarise([track([1, NAN], [1, NAN])], ("vocals", "bass"))["usdr/bass"])


def test_no_infinity_is_ever_averaged():
    scores = summarise([track([1, 1], [math.inf, 1]), track([1, 1], [3, math.inf])], ("vocals", "bass"))
    assert scores["csdr/vocals"] == 3
    assert scores["csdr"] == 2


def test_energies_and_dropped_frames_are_summed_before_they_become_a_score():
    one = track([1, 1], [1, 1], confusion=torch.tensor([[3.0, 0], [0, 0]]).double(), dropped_frames=2, loss=1.0)
    other = track([1, 1], [1, 1], confusion=torch.tensor([[0.0, 0], [1, 0]]).double(), dropped_frames=1, loss=2.0)
    scores = summarise([one, other], ("vocals", "bass"))
    assert scores["seg_accuracy"] == 0.75
    assert scores["dropped_frames"] == 3
    assert scores["loss"] == 1.5


def test_the_confusion_of_the_dominant_source_is_logged_as_shares_of_the_true_one():
    one = track([1, 1, 1], [1, 1, 1], confusion=torch.tensor([[3.0, 0, 0], [1, 0, 0], [0, 0, 0]]).double())
    other = track([1, 1, 1], [1, 1, 1], confusion=torch.tensor([[0.0, 1, 0], [1, 2, 0], [0, 0, 0]]).double())
    scores = summarise([one, other], ("vocals", "bass", "drums"))
    shares = {name.removeprefix("seg_confusion/"): value for name, value in scores.items() if "confusion" in name}
    assert shares["vocals/vocals"] == 0.75
    assert shares["vocals/bass"] == 0.25
    assert shares["bass/vocals"] == shares["bass/bass"] == 0.5
    assert math.isnan(shares["drums/drums"])  # it dominates nowhere
    assert len(shares) == 9


def test_a_track_longer_than_a_stretch_is_scored_as_a_whole():
    rate = 1000
    generator = torch.Generator().manual_seed(0)
    references = torch.randn(2, 1, int(2.5 * STRETCH_SECONDS * rate), generator=generator)
    scores = score_track(references, 0.9 * references, rate, loss=0.5)
    assert scores.usdr.tolist() == pytest.approx([20, 20], abs=1e-5)
    assert scores.csdr.tolist() == pytest.approx([20, 20], abs=1e-5)
    n_fft, hop = measuring_stft(rate)
    whole = torch.stft(
        references.flatten(0, 1), n_fft, hop, window=torch.hann_window(n_fft), pad_mode="constant", return_complex=True
    )
    assert float(scores.confusion.sum()) == pytest.approx(float(whole.abs().square().sum()), rel=0.01)
    assert float(scores.confusion.trace() / scores.confusion.sum()) == 1.0


def test_the_segmentation_is_measured_in_frames_of_93_ms_whatever_the_rate():
    assert measuring_stft(44_100) == (4096, 1024)
    assert measuring_stft(22_050) == (2048, 512)
    assert measuring_stft(16_000)[0] in (1024, 2048)
