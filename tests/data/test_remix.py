import pytest
import torch

from unetsep.audio.files import InputError
from unetsep.data.remix import Remix

NOTHING = {"gain_db": (0.0, 0.0), "swap_channels": 0.0, "flip_polarity": 0.0, "shuffle_stems": 0.0}
STEMS = torch.randn(6, 4, 2, 50, generator=torch.Generator().manual_seed(0))


def remixed(stems=STEMS, seed=0, **settings):
    return Remix(**(NOTHING | settings))(stems, torch.Generator().manual_seed(seed))


def origins(stems):
    """For every stem (song, source) of a shuffled batch, the song it came from."""
    same = (stems[:, None] == STEMS[None]).all(dim=(3, 4))  # (song, giver, source)
    assert (same.sum(dim=1) == 1).all()
    return same.int().argmax(dim=1)


def test_with_all_probabilities_at_zero_nothing_changes():
    assert torch.equal(remixed(), STEMS)


def test_a_certain_swap_exchanges_left_and_right_everywhere():
    assert torch.equal(remixed(swap_channels=1.0), STEMS.flip(2))


def test_a_certain_flip_negates_every_stem():
    assert torch.equal(remixed(flip_polarity=1.0), -STEMS)


def test_an_equal_lowest_and_highest_gain_of_6_db_is_that_gain():
    torch.testing.assert_close(remixed(gain_db=(6.0, 6.0)), STEMS * 1.99526)


def test_gains_are_drawn_per_stem_within_their_range():
    stems = torch.ones(50, 4, 1, 1)
    gains_db = 20 * torch.log10(remixed(stems, gain_db=(-6.0, 3.0)))
    assert gains_db.unique().numel() > 190
    assert -6.0 <= gains_db.min() < -5.5
    assert 2.5 < gains_db.max() <= 3.0


def test_a_shuffle_keeps_the_multiset_of_stems_and_each_in_its_source():
    giver = origins(remixed(shuffle_stems=1.0))
    for source in range(4):
        assert sorted(giver[:, source].tolist()) == list(range(6))


def test_a_certain_shuffle_mixes_stems_of_different_songs():
    giver = origins(remixed(shuffle_stems=1.0))
    assert max(len(set(song)) for song in giver.tolist()) > 1
    moved = [(origins(remixed(seed=seed, shuffle_stems=1.0)) != torch.arange(6)[:, None]).float() for seed in range(50)]
    assert torch.stack(moved).mean() == pytest.approx(5 / 6, abs=0.05)  # a song may draw its own stem


def test_half_a_shuffle_leaves_about_half_of_the_songs_whole():
    whole = []
    for seed in range(100):
        giver = origins(remixed(seed=seed, shuffle_stems=0.5))
        whole.append((giver == torch.arange(6)[:, None]).all(dim=1).float().mean())
    assert torch.stack(whole).mean() == pytest.approx(0.53, abs=0.06)  # half, and now and then one that got its own


@pytest.mark.parametrize("setting", ["swap_channels", "flip_polarity"])
def test_half_a_probability_changes_about_half_of_the_stems_each_on_its_own(setting):
    stems = torch.randn(100, 4, 2, 3)
    changed = (remixed(stems, **{setting: 0.5}) != stems).any(dim=(2, 3)).float()
    assert changed.mean() == pytest.approx(0.5, abs=0.1)
    assert set(changed.sum(dim=1).tolist()) > {1.0, 2.0, 3.0}


def test_swaps_flips_and_shuffles_leave_the_energy_of_every_source_unchanged():
    changed = remixed(swap_channels=0.5, flip_polarity=0.5, shuffle_stems=0.5)
    assert not torch.equal(changed, STEMS)
    torch.testing.assert_close(changed.square().sum(dim=(0, 2, 3)), STEMS.square().sum(dim=(0, 2, 3)))


def test_mono_and_a_batch_of_one_are_remixed():
    stems = torch.ones(1, 4, 1, 8)
    torch.testing.assert_close(remixed(stems, swap_channels=1.0, shuffle_stems=1.0), stems)


def test_the_generator_alone_decides_and_the_input_stays_as_it_is():
    settings = {"gain_db": (-6.0, 6.0), "swap_channels": 0.5, "flip_polarity": 0.5, "shuffle_stems": 0.5}
    before = STEMS.clone()
    torch.manual_seed(1)
    first = remixed(seed=5, **settings)
    torch.manual_seed(2)
    assert torch.equal(first, remixed(seed=5, **settings))
    assert not torch.equal(first, remixed(seed=6, **settings))
    assert torch.equal(STEMS, before)


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"swap_channels": 1.5}, "swap_channels is 1.5: a probability lies between 0 and 1"),
        ({"shuffle_stems": -0.1}, "shuffle_stems is -0.1"),
        ({"gain_db": (6.0, -6.0)}, r"gain_db is \(6.0, -6.0\): give the lower gain first"),
    ],
)
def test_impossible_settings_are_refused_by_name(setting, message):
    with pytest.raises(InputError, match=message):
        Remix(**setting)
