import math
from typing import Any

import jaxtyping
import pytest
import torch

from unetsep.audio.files import InputError
from unetsep.metrics.bsseval import BSSEval, bss_eval
from unetsep.metrics.scores import STRETCH_SECONDS, TrackScores, measuring_stft, score_track, summarise
from unetsep.metrics.sdr import csdr, dropped_frames, nanmedian

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


def test_estimates_shorter_than_the_track_are_refused(monkeypatch):
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)  # as where nobody tests
    stems = torch.randn(2, 1, 40_000)
    with pytest.raises(InputError, match=r"estimates \(2, 1, 20000\); both must be .* of the same sizes"):
        score_track(stems, stems[..., :20_000], 1000)


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


def test_all_measures_are_those_of_bss_eval_and_csdr_and_dropped_frames_stay_what_they_are():
    rate = 500
    references = torch.randn(2, 1, 5 * rate, generator=torch.Generator().manual_seed(0))
    references[1, :, rate : 2 * rate] = 0
    estimates = references + 0.1 * references.flip(0) + 0.1 * references.roll(3, -1)
    scores = score_track(references, estimates, rate, all_measures=True)
    assert scores.frames is not None
    expected = bss_eval(references.transpose(1, 2), estimates.transpose(1, 2), rate, rate)
    for name, values in zip(BSSEval._fields, expected, strict=True):
        assert torch.equal(getattr(scores.frames, name), values) or torch.allclose(
            getattr(scores.frames, name), values, rtol=0, atol=1e-9, equal_nan=True
        )
    plain = score_track(references, estimates, rate)
    assert plain.frames is None
    assert scores.dropped_frames == plain.dropped_frames == dropped_frames(references, estimates, rate, rate) == 1
    assert torch.equal(plain.csdr, csdr(references, estimates, rate))
    assert scores.csdr.tolist() == pytest.approx(plain.csdr.tolist(), abs=1e-6)
    assert list(plain.measures) == ["usdr", "csdr"]
    assert list(scores.measures) == ["usdr", "csdr", "isr", "sir", "sar"]


def test_isr_sir_and_sar_are_medians_over_frames_then_over_tracks_then_a_mean_over_stems():
    def scored(*values: list[float]) -> TrackScores:
        frames = torch.tensor(values).double()
        return track([1, 1], [1, 1], frames=BSSEval(frames, frames, frames + 1, frames + 2))

    tracks = [scored([1, 2, 9], [NAN, 4, 6]), scored([3, 3, 3], [NAN, NAN, NAN]), scored([math.inf] * 3, [7, 7, 7])]
    summary = summarise(tracks, ("vocals", "bass"))
    assert summary["isr/vocals"] == 2.5  # 2 and 3; no infinity
    assert summary["isr/bass"] == 6
    assert summary["isr"] == 4.25
    assert (summary["sir/bass"], summary["sar/bass"]) == (7, 8)
    assert "isr" not in summarise([*tracks, track([1, 1], [1, 1])], ("vocals", "bass"))


def test_the_median_leaves_nan_out_and_keeps_infinities():
    values = torch.tensor([[3, NAN, 1, 2], [NAN, 1, NAN, 2], [NAN, NAN, NAN, NAN], [1, math.inf, math.inf, math.inf]])
    assert nanmedian(values).tolist() == pytest.approx([2, 1.5, NAN, math.inf], nan_ok=True)
