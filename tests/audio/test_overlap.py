import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from unetsep.audio.files import InputError
from unetsep.audio.overlap import overlap_add


def two_sources(mixture):
    """Acts on each sample alone: a part and the rest."""
    return torch.stack([0.3 * mixture, 0.7 * mixture], dim=1)


@settings(deadline=None, max_examples=100)
@given(length=st.integers(1, 200), segment=st.integers(1, 60), overlap=st.floats(0, 0.99), batch_size=st.integers(1, 5))
def test_a_model_that_acts_sample_by_sample_gives_what_one_pass_gives(length, segment, overlap, batch_size):
    mixture = torch.randn(2, length, dtype=torch.float64, generator=torch.Generator().manual_seed(length))
    separated = overlap_add(two_sources, mixture, segment, overlap, batch_size)
    torch.testing.assert_close(separated, two_sources(mixture[None])[0], rtol=0, atol=1e-12)


def test_neighbouring_segments_fade_into_each_other_in_a_straight_line():
    calls = iter([0.0, 1.0])

    def constant(mixture):
        return torch.full((1, 1, *mixture.shape[1:]), next(calls))

    # Segments 0..7 and 4..11 share samples 4 to 7.
    separated = overlap_add(constant, torch.zeros(1, 12), segment=8, overlap=0.5, batch_size=1)
    expected = torch.tensor([0, 0, 0, 0, 0.2, 0.4, 0.6, 0.8, 1, 1, 1, 1])
    torch.testing.assert_close(separated[0, 0], expected)


def test_the_model_sees_segments_of_one_length_in_batches_and_no_invented_silence():
    shapes = []

    def watched(mixture):
        shapes.append(tuple(mixture.shape))
        assert (mixture == 1).all()
        return mixture[:, None]

    overlap_add(watched, torch.ones(2, 35), segment=10, overlap=0.25, batch_size=3)
    assert shapes == [(3, 2, 10), (2, 2, 10)]


def test_a_mixture_shorter_than_a_segment_is_one_pass_of_its_own_length():
    seen = []

    def watched(mixture):
        seen.append(mixture.shape[-1])
        return two_sources(mixture)

    assert overlap_add(watched, torch.ones(1, 7), segment=10).shape == (2, 1, 7)
    assert seen == [7]


def test_the_answer_keeps_the_precision_of_the_mixture():
    separated = overlap_add(lambda mixture: two_sources(mixture.bfloat16()), torch.ones(1, 50), segment=10)
    assert separated.dtype == torch.float32


@pytest.mark.parametrize("settings", [{"segment": 0}, {"segment": 4, "overlap": 1.0}, {"segment": 4, "batch_size": 0}])
def test_a_setting_out_of_range_is_refused_with_the_range(settings):
    with pytest.raises(InputError, match="at least 1, overlap from 0 to less than 1"):
        overlap_add(two_sources, torch.zeros(1, 10), **settings)


def test_an_empty_mixture_is_refused():
    with pytest.raises(InputError, match="no samples"):
        overlap_add(two_sources, torch.zeros(1, 0), segment=4)


def test_a_model_that_changes_the_length_is_refused_with_both_shapes():
    with pytest.raises(InputError, match=r"answered \(4, 1, 8\) with \(4, 2, 1, 7\)"):
        overlap_add(lambda mixture: two_sources(mixture[..., 1:]), torch.zeros(1, 100), segment=8)
