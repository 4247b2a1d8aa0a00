import museval
import museval.metrics
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from unetsep.metrics.sdr import csdr, dropped_frames, frame_sdr, usdr


def sound(sources=4, channels=2, samples=1000, seed=0):
    """References and estimates in float64, with another error in each source."""
    generator = torch.Generator().manual_seed(seed)
    references = torch.randn(sources, channels, samples, dtype=torch.float64, generator=generator)
    errors = torch.randn(references.shape, dtype=torch.float64, generator=generator)
    return references, references + torch.linspace(0.05, 2, sources, dtype=torch.float64)[:, None, None] * errors


def museval_sdr(references, estimates, window, hop):
    """museval's own SDR; SDR does not depend on the filters, which are short here to be quick."""
    arrays = (x.transpose(1, 2).double().numpy() for x in (references, estimates))
    return torch.from_numpy(museval.metrics.bss_eval(*arrays, window=window, hop=hop, filters_len=2)[0])


def assert_agrees_with_museval(references, estimates, window, hop):
    ours, theirs = frame_sdr(references, estimates, window, hop), museval_sdr(references, estimates, window, hop)
    torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-9, equal_nan=True)
    assert dropped_frames(references, estimates, window, hop) == int(theirs.isnan().all(dim=0).sum())


@settings(deadline=None, max_examples=40)
@given(
    sources=st.integers(1, 4),
    channels=st.integers(1, 2),
    samples=st.integers(20, 400),
    window=st.integers(20, 150),
    hop=st.integers(10, 200),
    silences=st.lists(st.tuples(st.integers(0, 1), st.integers(0, 3), st.integers(0, 399), st.integers(1, 300))),
    seed=st.integers(0, 1000),
)
def test_every_frame_and_every_dropped_frame_is_musevals(sources, channels, samples, window, hop, silences, seed):
    pair = sound(sources, channels, samples, seed)
    for which, source, start, length in silences:
        pair[which][source % sources, :, start : start + length] = 0
    for value, waveforms in enumerate(pair, start=1):  # museval refuses a track with a source silent throughout
        waveforms[:, 0, -1] = value
    assert_agrees_with_museval(*pair, window, hop)


def test_default_museval_with_512_taps_gives_the_same_sdr():
    references, estimates = sound(sources=2, samples=5200)
    arrays = (x.transpose(1, 2).numpy() for x in (references, estimates))
    theirs = torch.from_numpy(museval.evaluate(*arrays, win=1000, hop=1000)[0])
    assert theirs.shape == (2, 5)
    torch.testing.assert_close(frame_sdr(references, estimates, 1000, 1000), theirs, rtol=0, atol=1e-9)


@pytest.mark.parametrize("silent", ["reference", "estimate", "both"])
def test_a_stem_silent_in_some_frames_drops_these_frames_for_all_stems(silent):
    references, estimates = sound()
    if silent != "estimate":
        references[2, :, 150:420] = 0
    if silent != "reference":
        estimates[1, :, 480:700] = 0
    dropped = frame_sdr(references, estimates, 100, 100).isnan()
    expected = {"reference": [2, 3], "estimate": [5, 6], "both": [2, 3, 5, 6]}[silent]
    assert dropped.all(dim=0).nonzero().flatten().tolist() == expected
    assert dropped_frames(references, estimates, 100, 100) == len(expected)
    assert_agrees_with_museval(references, estimates, 100, 100)


def test_channels_of_opposite_sign_count_as_silence_as_in_museval():
    references, estimates = sound()
    references[0, 1, 300:400] = -references[0, 0, 300:400]
    assert frame_sdr(references, estimates, 100, 100).isnan().all(dim=0).nonzero().tolist() == [[3]]
    assert_agrees_with_museval(references, estimates, 100, 100)


def test_a_silent_left_channel_is_no_silence():
    references, estimates = sound()
    references[0, 0] = 0
    assert dropped_frames(references, estimates, 100, 100) == 0
    assert_agrees_with_museval(references, estimates, 100, 100)


@pytest.mark.parametrize(("samples", "frames"), [(99, 1), (100, 1), (101, 1), (199, 1), (200, 2), (1000, 10)])
def test_a_short_track_is_one_frame_and_the_rest_at_the_end_counts_nowhere(samples, frames):
    references, estimates = sound(sources=2, samples=samples)
    assert frame_sdr(references, estimates, 100, 100).shape == (2, frames)
    assert_agrees_with_museval(references, estimates, 100, 100)


@pytest.mark.parametrize(("window", "hop"), [(100, 70), (100, 150), (64, 1), (1000, 3)])
def test_overlapping_and_sparse_frames_are_musevals(window, hop):
    assert_agrees_with_museval(*sound(sources=2, samples=333), window, hop)


def test_a_stem_silent_throughout_is_absent_and_changes_nothing_for_the_others():
    references, estimates = sound(sources=4)
    references[1] = 0
    estimates[1, :, 200:300] = 0
    others = [0, 2, 3]
    for measure in (lambda s, e: frame_sdr(s, e, 100, 100), lambda s, e: csdr(s, e, 100), usdr):
        scores = measure(references, estimates)
        assert scores[1].isnan().all()
        torch.testing.assert_close(scores[others], measure(references[others], estimates[others]), rtol=0, atol=1e-12)
        assert not scores[others].isnan().any()
    assert dropped_frames(references, estimates, 100, 100) == 0
    theirs = museval_sdr(references[others], estimates[others], 100, 100)
    torch.testing.assert_close(frame_sdr(references, estimates, 100, 100)[others], theirs, rtol=0, atol=1e-9)


def test_an_estimate_silent_throughout_scores_0_db_and_drops_nothing():
    references, estimates = sound()
    kept = frame_sdr(references, estimates, 100, 100)
    estimates[3] = 0
    scores = frame_sdr(references, estimates, 100, 100)
    assert scores[3].tolist() == [0.0] * 10
    assert torch.equal(scores[:3], kept[:3])
    assert usdr(references, estimates)[3] == 0
    assert csdr(references, estimates, 100)[3] == 0


def test_sdr_of_a_tone_with_one_tenth_noise_is_20_db():
    time = torch.arange(44100, dtype=torch.float64) / 44100
    tone = torch.sin(2 * torch.pi * 441 * time).expand(1, 2, -1)
    noise = torch.randn(tone.shape, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    noise *= 0.1 * tone.norm() / noise.norm()
    assert usdr(tone, tone + noise).item() == pytest.approx(20, abs=1e-6)
    assert frame_sdr(tone, tone + noise, 44100, 44100).item() == pytest.approx(20, abs=1e-9)
    assert csdr(tone, tone + noise, 44100).item() == pytest.approx(20, abs=1e-9)


@pytest.mark.parametrize(("gain", "decibels"), [(0.9, 20.0), (0.5, 6.0205999), (0.0, 0.0), (-1.0, -6.0205999)])
def test_sdr_of_a_scaled_estimate_is_the_decibels_of_what_is_missing(gain, decibels):
    references, _ = sound()
    assert usdr(references, gain * references).tolist() == pytest.approx([decibels] * 4, abs=1e-6)
    assert csdr(references, gain * references, 100).tolist() == pytest.approx([decibels] * 4, abs=1e-6)


def test_usdr_is_the_formula_of_the_challenges_and_finite_for_a_perfect_estimate():
    references = torch.full((1, 1, 100), 0.1)
    assert usdr(references, references).item() == pytest.approx(10 * np.log10((1 + 1e-7) / 1e-7), abs=1e-4)
    # An energy of 4e-7 against an error of 1e-7: 10 log10(5e-7 / 2e-7).
    faint = torch.tensor([[[2e-7**0.5, 2e-7**0.5]]], dtype=torch.float64)
    assert usdr(faint, faint / 2).item() == pytest.approx(10 * np.log10(5 / 2), abs=1e-9)


def test_usdr_of_a_long_track_counts_every_sample_once():
    references, estimates = sound(sources=2, channels=1, samples=200_001)
    energy = (references**2).sum(dim=(1, 2)) + 1e-7
    error = ((references - estimates) ** 2).sum(dim=(1, 2)) + 1e-7
    torch.testing.assert_close(usdr(references, estimates), 10 * torch.log10(energy / error), rtol=0, atol=1e-10)


@pytest.mark.parametrize("frames", [1, 2, 5, 6])
def test_csdr_is_the_nanmedian_of_numpy_over_frames_of_one_second(frames):
    references, estimates = sound(sources=3, samples=100 * frames + 50, seed=frames)
    if frames > 2:
        estimates[0, :, 100:200] = 0
    expected = np.nanmedian(frame_sdr(references, estimates, 100, 100).numpy(), axis=1)
    assert csdr(references, estimates, 100).tolist() == pytest.approx(expected.tolist(), abs=1e-12)


def test_csdr_is_nan_if_every_frame_is_dropped():
    references, estimates = sound(samples=300)
    references[0, :, :299] = 0
    assert dropped_frames(references, estimates, 100, 100) == 2
    references[0, :, :] = 0
    references[0, :, 250] = 1
    estimates[1, :, 200:] = 0
    assert csdr(references, estimates, 100).isnan().all()


def test_an_exact_estimate_is_infinite_per_frame():
    references, _ = sound(sources=1)
    assert (frame_sdr(references, references, 100, 100) == torch.inf).all()


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_any_precision_is_measured_in_float64(dtype):
    references, estimates = (x.to(dtype) for x in sound(samples=500))
    for measure in (lambda s, e: frame_sdr(s, e, 100, 100), lambda s, e: csdr(s, e, 100), usdr):
        scores = measure(references, estimates)
        assert scores.dtype == torch.float64
        assert torch.equal(scores, measure(references.double(), estimates.double()))


@pytest.mark.parametrize("value", [torch.nan, torch.inf])
@pytest.mark.parametrize("whose", ["references", "estimates"])
def test_a_sample_that_is_no_number_is_refused_and_not_taken_for_a_dropped_frame(value, whose):
    pair = sound()
    pair[whose == "estimates"][1, 0, 123] = value
    for measure in (lambda s, e: frame_sdr(s, e, 100, 100), usdr):
        with pytest.raises(ValueError, match=f"{whose} hold NaN or infinite"):
            measure(*pair)


def test_stems_of_other_shapes_and_settings_out_of_range_are_refused():
    references, estimates = sound()
    # With shape annotations checked, jaxtyping objects first; without, an InputError does.
    for measure in (frame_sdr, usdr):
        with pytest.raises(Exception, match=r"shape|estimates"):
            measure(references, estimates[:1])
    with pytest.raises(ValueError, match="at least one sample"):
        usdr(references[..., :0], estimates[..., :0])
    with pytest.raises(ValueError, match="window is 0 and hop 5 samples; both must be at least 1"):
        frame_sdr(references, estimates, window=0, hop=5)
