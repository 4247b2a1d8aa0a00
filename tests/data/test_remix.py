import subprocess
import sys

import pytest
import torch

from unetsep.audio.files import InputError
from unetsep.data.remix import Remix
from unetsep.data.stretch import stretch

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


TONES = 0.1 * torch.sin(torch.arange(1, 25)[:, None] * 0.03 * torch.arange(5000)).reshape(6, 2, 2, 5000)
STRETCHING = {
    "pitch": 1.0,
    "pitch_semitones": (2.0, 2.0),
    "tempo": 1.0,
    "tempo_factor": (1.1, 1.1),
    "stretch_window": 256,
}


@pytest.mark.parametrize(("semitones", "factor"), [(2.0, 1.0), (-1.5, 1.0), (0.0, 0.875), (0.0, 1.125), (2.0, 1.125)])
def test_a_certain_pitch_and_tempo_are_those_of_every_stem_of_every_song(semitones, factor):
    settings = STRETCHING | {"pitch_semitones": (semitones, semitones), "tempo_factor": (factor, factor)}
    changed = Remix(**(NOTHING | settings))(TONES, torch.Generator(), length=4000)
    expected = stretch(TONES, 4000, 2 ** (semitones / 12), factor, window=256)
    assert changed.shape == (6, 2, 2, 4000)
    torch.testing.assert_close(changed, expected)


@pytest.mark.parametrize("setting", ["pitch", "tempo"])
def test_half_a_probability_changes_about_half_of_the_songs_and_leaves_the_others_as_they_are(setting):
    stems = torch.randn(100, 2, 1, 300)
    changed = remixed(stems, **(STRETCHING | {"pitch": 0.0, "tempo": 0.0, "stretch_window": 16, setting: 0.5})) != stems
    share = changed.float().mean(dim=(1, 2, 3))
    assert set((share > 0).tolist()) == {True, False}
    assert share[share > 0].min() > 0.9  # all stems of the song
    assert (share > 0).float().mean() == pytest.approx(0.5, abs=0.15)


def test_every_song_draws_its_own_transposition_within_the_range():
    stems = torch.sin(0.3 * torch.arange(4000)).expand(40, 1, 1, 4000)
    sound = remixed(stems, pitch=1.0, pitch_semitones=(-1.0, 3.0), stretch_window=256)[:, 0, 0, 500:3500]
    peaks = torch.fft.rfft(sound * torch.hann_window(3000), n=2**17).abs().argmax(dim=1)
    semitones = 12 * torch.log2(peaks * (2 * torch.pi / 2**17) / 0.3)
    assert semitones.unique().numel() > 30
    assert -1.05 < semitones.min() < -0.5
    assert 2.5 < semitones.max() < 3.05


def test_every_song_draws_its_own_tempo_within_the_range():
    stems = torch.zeros(40, 1, 1, 4000)
    stems[..., 2000] = 1.0
    energy = remixed(stems, tempo=1.0, tempo_factor=(0.8, 1.25), stretch_window=64).square().flatten(1)
    tempo = (2000 - 32) / ((energy * torch.arange(4000)).sum(dim=1) / energy.sum(dim=1))
    assert tempo.unique().numel() > 30
    assert 0.78 < tempo.min() < 0.85
    assert 1.18 < tempo.max() < 1.28


def test_songs_are_stretched_before_they_exchange_stems():
    together = remixed(TONES, shuffle_stems=1.0, **STRETCHING)
    torch.testing.assert_close(together, remixed(remixed(TONES, **STRETCHING), shuffle_stems=1.0))


def test_pitch_and_tempo_change_nothing_that_the_other_options_draw():
    settings = {"gain_db": (-6.0, 6.0), "swap_channels": 0.5, "flip_polarity": 0.5, "shuffle_stems": 0.5}
    together = remixed(TONES, **settings, **STRETCHING)
    torch.testing.assert_close(together, remixed(remixed(TONES, **STRETCHING), **settings))


def test_without_pitch_and_tempo_no_further_random_number_is_drawn():
    generator, plain = torch.Generator().manual_seed(3), torch.Generator().manual_seed(3)
    Remix(shuffle_stems=0.0)(STEMS, generator)
    for size in ((6,), (6, 4), (6, 4), (6, 4)):  # givers, swaps, polarities, gains
        torch.rand(size, generator=plain)
    assert torch.equal(generator.get_state(), plain.get_state())


@pytest.mark.parametrize(
    ("settings", "samples"),
    [({}, 1000), ({"pitch": 0.1}, 1000 + 149), ({"tempo": 0.1}, 1100 + 149)],
)
def test_longer_songs_are_needed_where_pitch_or_tempo_may_change(settings, samples):
    assert Remix(stretch_window=64, **settings).needs(1000) == samples
    assert Remix(stretch_window=64, tempo_factor=(0.8, 0.9), **settings).needs(1000) <= 1000 + 149


def test_a_song_of_the_needed_length_is_not_cut_short_by_the_fastest_tempo():
    remix = Remix(**NOTHING, tempo=1.0, tempo_factor=(2.0, 2.0), stretch_window=64)
    remixed_songs = remix(torch.ones(2, 1, 1, remix.needs(1000)), torch.Generator(), length=1000)
    assert remixed_songs.shape == (2, 1, 1, 1000)
    assert remixed_songs[..., 64:].min() > 0.5


def test_torchaudio_is_imported_for_pitch_and_tempo_only():
    code = "import sys, torch; from unetsep.data import Remix; Remix()(torch.ones(1, 1, 1, 9), torch.Generator())"
    subprocess.run([sys.executable, "-c", f"{code}; assert 'torchaudio' not in sys.modules"], check=True)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_a_gpu_remixes_as_the_cpu_does_and_training_does_not_wait_for_it():
    settings = {"gain_db": (-6.0, 6.0), "swap_channels": 0.5, "flip_polarity": 0.5, "shuffle_stems": 0.5}
    settings |= STRETCHING | {"pitch_semitones": (12.0, 12.0)}  # with a factor whose multiples are exact on any device
    stems = TONES.cuda()
    remixed(stems, **settings)  # the first time, libraries are loaded
    torch.cuda.set_sync_debug_mode("error")
    try:
        changed = remixed(stems, **settings)
    finally:
        torch.cuda.set_sync_debug_mode("default")
    torch.testing.assert_close(changed.cpu(), remixed(TONES, **settings), atol=1e-3, rtol=0)


def test_the_generator_alone_decides_and_the_input_stays_as_it_is():
    settings = {"gain_db": (-6.0, 6.0), "swap_channels": 0.5, "flip_polarity": 0.5, "shuffle_stems": 0.5}
    settings |= {"pitch": 0.5, "tempo": 0.5, "stretch_window": 16}
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
        ({"pitch": 2.0}, "pitch is 2.0: a probability lies between 0 and 1"),
        ({"tempo": -1.0}, "tempo is -1.0: a probability lies between 0 and 1"),
        ({"pitch_semitones": (2.0, -2.0)}, r"pitch_semitones is \(2.0, -2.0\): give the lower first"),
        ({"pitch_semitones": (0.0, 24.0)}, "both from -12 to 12"),
        ({"tempo_factor": (1.1, 0.9)}, r"tempo_factor is \(1.1, 0.9\): give the lower first"),
        ({"tempo_factor": (0.0, 1.0)}, "both from 0.5 to 2"),
        ({"stretch_window": 10}, "stretch_window is 10: give a multiple of 4 from 16 on"),
    ],
)
def test_impossible_settings_are_refused_by_name(setting, message):
    with pytest.raises(InputError, match=message):
        Remix(**setting)
