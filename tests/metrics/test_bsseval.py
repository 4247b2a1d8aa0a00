"""`bss_eval` beside museval's own, on the same signals; what museval refuses is in `test_bsseval_beyond.py`."""

import functools

import museval
import museval.metrics
import numpy as np
import pytest
import stempeg
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.signal import lfilter

from unetsep.metrics import bss_eval, frame_sdr

MEASURES = ("sdr", "isr", "sir", "sar")


def sound(sources=3, channels=2, samples=600, seed=0, error=0.5, leak=0.1):
    """References of white noise and estimates with noise and something of every other source in them."""
    random = np.random.default_rng(seed)
    references = random.standard_normal((sources, samples, channels))
    estimates = references + leak * references.sum(axis=0) + error * random.standard_normal(references.shape)
    return references, estimates


def museval_says(references, estimates, window, hop, filters_len):
    """The four measures of museval, stacked: (measure, source, frame)."""
    with np.errstate(divide="ignore", invalid="ignore"):
        answer = museval.metrics.bss_eval(references, estimates, window=window, hop=hop, filters_len=filters_len)
    return np.stack(answer[:4])


def largest_difference(ours, theirs):
    """The largest difference in dB, after holding that the NaN frames are the same.

    Beyond 120 dB a value is rounding error over rounding error, in museval and here: an exact estimate gets 308 dB from
    one and infinity from the other. There both must only be beyond 120 dB.
    """
    ours, theirs = (np.clip(np.stack(values), -120, 120) for values in (ours, theirs))
    np.testing.assert_array_equal(np.isnan(ours), np.isnan(theirs))
    return np.nanmax(np.abs(ours - theirs), initial=0)


def assert_agrees_with_museval(references, estimates, window, hop, filters_len):
    """Agreement to 1e-6 dB with museval, whose answer is returned with the largest difference."""
    before = references.copy(), estimates.copy()
    ours = bss_eval(references, estimates, window, hop, filters_len)
    for array, copy in zip((references, estimates), before, strict=True):
        np.testing.assert_array_equal(array, copy)
    theirs = museval_says(references, estimates, window, hop, filters_len)
    difference = largest_difference(ours, theirs)
    assert difference < 1e-6
    return theirs, difference


@st.composite
def cases(draw):
    """Any small track that determines museval's answer: references, estimates, window, hop, filters_len."""
    sources, channels = draw(st.integers(1, 5)), draw(st.integers(1, 3))
    filters_len = draw(st.integers(1, 8) | st.integers(1, 32))
    # A track needs more samples than the filters have taps, or the filters are arbitrary; silence comes before these.
    spare = draw(st.integers(0, 400))
    samples = 2 * sources * channels * filters_len + 5 + spare
    random = np.random.default_rng(draw(st.integers(0, 10_000)))
    references = random.standard_normal((sources, samples, channels))
    if draw(st.booleans()):
        references = lfilter([1], [1, -0.9], references, axis=1)
    leak, error = draw(st.sampled_from([0, 0.1, 1])), draw(st.sampled_from([0, 1e-5, 1e-3, 0.1, 1, 10]))
    estimates = references + leak * references.sum(axis=0) + error * random.standard_normal(references.shape)
    for _ in range(draw(st.integers(0, 4))):
        silenced = (references, estimates)[draw(st.integers(0, 1))]
        start = draw(st.integers(0, spare))
        silenced[draw(st.integers(0, sources - 1)), start : draw(st.integers(start, spare))] = 0
    window = draw(st.integers(1, 100) | st.integers(1, samples + 50))
    hop = draw(st.integers(samples // 10 + 1, samples))
    # Down to where museval's regularisation of the filters, an absolute 2e-16, shows, and up to samples of 16 bits.
    loudness = draw(st.sampled_from([1e-7, 1e-4, 0.1, 1, 30_000]))
    return loudness * references, loudness * estimates, window, hop, filters_len


@settings(deadline=None, max_examples=100)
@given(case=cases())
def test_every_measure_of_every_frame_is_musevals(case):
    assert_agrees_with_museval(*case)


@pytest.mark.parametrize("block", [1, 40, 301])
@pytest.mark.parametrize("group", [1, 2000])
@pytest.mark.parametrize("bins", [1, 64])
def test_how_a_track_is_cut_for_the_memory_does_not_matter(block, group, bins, monkeypatch):
    monkeypatch.setattr("unetsep.metrics.filters.BLOCK", block)
    for module in ("filters", "bsseval"):
        monkeypatch.setattr(f"unetsep.metrics.{module}.GROUP", group)
        monkeypatch.setattr(f"unetsep.metrics.{module}.BINS", bins)
    references, estimates = sound(2, 2, 1100)
    references[0, 330:470] = 0
    assert_agrees_with_museval(references, estimates, 110, 77, 16)


@pytest.mark.slow
def test_the_largest_difference_to_museval_over_thousands_of_tracks(capsys):
    differences = []

    @settings(deadline=None, max_examples=3000)
    @given(case=cases())
    def compare(case):
        differences.append(assert_agrees_with_museval(*case)[1])

    compare()
    with capsys.disabled():
        print(f"\nlargest difference to museval over {len(differences)} tracks: {max(differences):.1e} dB")


@pytest.mark.parametrize(("sources", "channels"), [(1, 1), (2, 2), (4, 1)])
def test_512_taps_are_musevals(sources, channels):
    references, estimates = sound(sources, channels, samples=7000)
    theirs, _ = assert_agrees_with_museval(references, estimates, 2000, 1500, 512)
    assert theirs.shape == (4, sources, 4)


def test_the_defaults_are_those_of_musevals_evaluate():
    references, estimates = sound(sources=1, channels=1, samples=100_000)
    theirs = museval.evaluate(references, estimates)
    assert largest_difference(bss_eval(references, estimates), theirs) < 1e-6
    assert theirs[0].shape == (1, 2)


@pytest.mark.parametrize("silent", ["reference", "estimate", "both"])
def test_a_stem_silent_in_some_frames_drops_these_frames_for_all_stems(silent):
    references, estimates = sound(samples=1000)
    if silent != "estimate":
        references[2, 150:420] = 0
    if silent != "reference":
        estimates[1, 480:700] = 0
    theirs, _ = assert_agrees_with_museval(references, estimates, 100, 100, 8)
    dropped = {"reference": [2, 3], "estimate": [5, 6], "both": [2, 3, 5, 6]}[silent]
    assert np.isnan(theirs).all(axis=(0, 1)).nonzero()[0].tolist() == dropped
    assert np.isnan(theirs).sum() == 4 * 3 * len(dropped)


def test_channels_of_opposite_sign_count_as_silence_as_in_museval():
    references, estimates = sound(samples=1000)
    references[0, 300:400, 1] = -references[0, 300:400, 0]
    theirs, _ = assert_agrees_with_museval(references, estimates, 100, 100, 8)
    assert np.isnan(theirs[0, 0]).nonzero()[0].tolist() == [3]


@pytest.mark.parametrize("loudness", [1e-6, 1, 30_000])
def test_a_silent_channel_is_no_silence_and_disturbs_nothing(loudness):
    references, estimates = (loudness * array for array in sound(samples=1000))
    references[0, :, 0] = 0
    references[1, :, 1] = 0
    theirs, _ = assert_agrees_with_museval(references, estimates, 100, 100, 8)
    assert np.isfinite(theirs).all()


@pytest.mark.parametrize("samples", [30, 99, 100, 101, 199, 200, 1000])
@pytest.mark.parametrize("filters_len", [1, 4])
def test_a_short_track_is_one_frame_and_the_rest_at_the_end_counts_nowhere(samples, filters_len):
    theirs, _ = assert_agrees_with_museval(*sound(2, 2, samples), 100, 100, filters_len)
    assert theirs.shape == (4, 2, max(samples // 100, 1))


@pytest.mark.parametrize(("window", "hop"), [(100, 70), (100, 150), (64, 5), (1, 50), (10**9, 10**9)])
def test_overlapping_and_sparse_and_endless_frames_are_musevals(window, hop):
    assert_agrees_with_museval(*sound(2, 2, 333), window, hop, 8)


def test_filters_longer_than_the_track_are_musevals():
    assert_agrees_with_museval(*sound(1, 1, 20), 7, 7, 64)


def test_an_estimate_that_is_its_reference_is_beyond_120_db():
    references, _ = sound()
    theirs, _ = assert_agrees_with_museval(references, references.copy(), 100, 100, 8)
    assert (theirs > 120).all()


def test_the_mixture_as_estimate_is_musevals():
    references, _ = sound()
    theirs, _ = assert_agrees_with_museval(references, np.repeat(references.sum(axis=0)[None], 3, axis=0), 100, 100, 8)
    assert (theirs[3] > 120).all()  # no artefacts


def test_two_dimensions_are_mono():
    references, estimates = sound(channels=1)
    flat = references[..., 0], estimates[..., 0]
    assert largest_difference(bss_eval(*flat, 100, 100, 8), museval_says(*flat, 100, 100, 8)) < 1e-6


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int16])
def test_any_precision_is_measured_in_float64_and_arrays_and_tensors_get_their_own_kind(dtype):
    references, estimates = ((5000 * array).astype(dtype) for array in sound(error=0.01, leak=0.01))
    arrays = bss_eval(references, estimates, 100, 100, 8)
    assert largest_difference(arrays, museval_says(references, estimates, 100, 100, 8)) < 1e-6
    tensors = bss_eval(torch.from_numpy(references), torch.from_numpy(estimates), 100, 100, 8)
    for name in MEASURES:
        array, tensor = getattr(arrays, name), getattr(tensors, name)
        assert isinstance(array, np.ndarray)
        assert array.dtype == np.float64
        assert tensor.dtype == torch.float64
        np.testing.assert_array_equal(array, tensor.numpy())


@settings(deadline=None, max_examples=30)
@given(case=cases())
def test_sdr_is_frame_sdr(case):
    references, estimates, window, hop, filters_len = case
    tensors = [torch.from_numpy(array.swapaxes(1, 2).copy()) for array in (references, estimates)]
    sdr = bss_eval(*(tensor.transpose(1, 2) for tensor in tensors), window, hop, filters_len).sdr
    torch.testing.assert_close(sdr, frame_sdr(*tensors, window, hop), rtol=0, atol=1e-9, equal_nan=True)


@functools.cache
def excerpt(bits16=True):
    """The six seconds of real stereo stems that stempeg carries.

    They were coded in AAC, which leaves nothing above 16 kHz: what museval's filters do there is rounding error, and
    museval itself differs by up to 1 dB in SIR and 30 dB in SAR if its sources are listed the other way round. With the
    rounding noise of 16 bits, as MUSDB18-HQ's files have it, the filters are determined everywhere.
    """
    stems = stempeg.read_stems(stempeg.example_stem_path())[0][1:]
    return np.round(32767 * stems) / 32767 if bits16 else stems


def real_estimates(stems, kind):
    if kind == "mixture":
        return np.repeat(stems.sum(axis=0)[None], len(stems), axis=0)
    noise = 0.01 * np.random.default_rng(0).standard_normal(stems.shape)
    return stems + 0.1 * stems.sum(axis=0) + (noise if kind == "noisy" else 0)


def assert_agrees_as_museval_does_with_itself(stems, kind, window, filters_len, determined=True):
    """To 1e-6 dB, or ten times the difference between museval and museval with sources and channels reversed.

    Where rounding decides the filters, only the measure without filters has a value to agree on: SDR.
    """
    estimates = real_estimates(stems, kind)
    forward = museval_says(stems, estimates, window, window, filters_len)
    backward = museval_says(stems[::-1, :, ::-1], estimates[::-1, :, ::-1], window, window, filters_len)[:, ::-1]
    forward, backward = (np.clip(values, -120, 120) for values in (forward, backward))
    ours = np.clip(np.stack(bss_eval(stems, estimates, window, window, filters_len)), -120, 120)
    np.testing.assert_array_equal(np.isnan(ours), np.isnan(forward))
    differences = np.stack([np.abs(ours - forward), np.abs(backward - forward)])
    compared = differences[0] if determined else differences[0][:1]
    assert (np.isnan(compared) | (compared <= np.maximum(1e-6, 10 * np.nanmax(differences[1])))).all()
    return np.nanmax(differences, axis=(1, 2, 3))


@pytest.mark.parametrize("kind", ["leaking", "noisy", "mixture"])
def test_real_music_is_measured_as_museval_does(kind):
    stems = excerpt()[:, 50_000:150_000]
    difference, _ = assert_agrees_as_museval_does_with_itself(stems, kind, window=10_000, filters_len=32)
    assert difference < 1e-6


@pytest.mark.slow
@pytest.mark.parametrize("bits16", [True, False])
@pytest.mark.parametrize("kind", ["leaking", "noisy", "mixture"])
def test_real_music_with_512_taps_is_measured_as_museval_does(kind, bits16, capsys):
    found = assert_agrees_as_museval_does_with_itself(excerpt(bits16), kind, 44_100, 512, determined=bits16)
    with capsys.disabled():
        print("\n{}, 16 bits {}: {:.1e} dB from museval, museval {:.1e} dB from itself".format(kind, bits16, *found))
