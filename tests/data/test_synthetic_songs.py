"""Synthetic songs behave like songs: form, harmony, loudness, and voices and instruments that do what theirs do."""

import numpy as np
import pytest

from unetsep.data.synthetic import SPLITS, STEMS, song_of, synthesise
from unetsep.data.synthetic.instruments import RATE, Pad, String, hertz
from unetsep.data.synthetic.parts import bass_notes, melody
from unetsep.data.synthetic.song import compose
from unetsep.data.synthetic.voice import CONSONANTS, Syllable, Voice


def sung(voice: Voice, pitch: float, vowel: str = "a", consonant: str = "") -> np.ndarray:
    """Two seconds of one steady note, without the phrase's beginning and end."""
    sound, lead = voice.sing([Syllable(0.0, 2.6, pitch, vowel, consonant, 1.0)], np.random.default_rng(0))
    return sound[round((lead + 0.5) * RATE) :][: 2 * RATE]


def pitch_track(sound: np.ndarray, around: float) -> np.ndarray:
    """The fundamental in hertz, every millisecond: the phase of the sound's analytic band around it."""
    spectrum = np.fft.fft(sound)
    frequencies = np.fft.fftfreq(len(sound), 1 / RATE)
    spectrum[np.abs(frequencies - around) > around / 3] = 0
    phase = np.unwrap(np.angle(np.fft.ifft(spectrum)))
    return np.asarray(np.diff(phase[:: RATE // 1000]) / (2 * np.pi) * RATE / (RATE // 1000))[100:-100]


@pytest.fixture(scope="module")
def songs() -> list[dict[str, np.ndarray]]:
    return [synthesise(1, "train", index, 11.0) for index in range(3)]


def test_every_stem_plays_in_stereo_and_the_mixture_peaks_just_below_full_scale(
    songs: list[dict[str, np.ndarray]],
) -> None:
    for stems in songs:
        assert set(stems) == set(STEMS)
        for stem in stems.values():
            assert stem.dtype == np.int16
            assert stem.shape == (2, 11 * RATE)
            assert (stem != 0).any(axis=0).mean() > 0.15
            assert np.abs(stem.astype(int)).max() <= 0.9 * 32768
        assert 0.6 * 32768 < np.abs(np.sum(list(stems.values()), axis=0, dtype=int)).max() <= 0.9 * 32768
        for stem in ("vocals", "other", "drums"):
            left, right = stems[stem].astype(float)
            assert np.abs(left - right).max() > 0.03 * np.abs(left).max()


def test_stems_are_about_as_loud_as_each_other(songs: list[dict[str, np.ndarray]]) -> None:
    for stems in songs:
        energy = np.array([(stem.astype(float) ** 2).sum() for stem in stems.values()])
        sdr_of_the_mixture = 10 * np.log10(energy / (energy.sum() - energy))  # had the stems nothing in common
        assert (sdr_of_the_mixture > -10).all()
        assert (sdr_of_the_mixture < -1).all()


@pytest.mark.parametrize("seconds", [10.0, 31.0])
def test_in_every_song_of_ten_seconds_or_more_a_stem_falls_silent_for_longer_than_a_second(seconds: float) -> None:
    for seed in range(300):
        song = compose(seconds, np.random.default_rng(seed))
        inside = [section for section in song.sections if section.bars.stop * song.bar_seconds <= seconds]
        silence = [len(section.bars) * song.bar_seconds for section in inside if section.rests]
        assert max(silence, default=0.0) >= 2.5  # of which damping, room and breath take one at most
        for stem in STEMS:
            assert any(song.seconds(section.bars[0]) < seconds - 1 for section in song.playing(stem)), (seed, stem)


def test_a_resting_stem_is_exactly_zero_for_longer_than_a_second(songs: list[dict[str, np.ndarray]]) -> None:
    for stems in songs:
        longest = 0
        for stem in stems.values():
            sounding = np.flatnonzero((stem != 0).any(axis=0))
            longest = max(longest, int(np.diff(sounding, prepend=-1, append=stem.shape[1]).max()) - 1)
        assert longest > RATE


def test_tempo_key_harmony_and_form_differ_by_song() -> None:
    found = [song_of(0, split, index, 30.0) for split in SPLITS for index in range(10)]
    assert len({song.tempo for song in found}) > 25
    assert min(song.tempo for song in found) < 85
    assert max(song.tempo for song in found) > 135
    assert len({song.key for song in found}) > 12
    assert len({song.chords for song in found}) > 12
    assert len({tuple(section.rests for section in song.sections) for song in found}) > 20


def test_the_voice_has_a_vibrato_of_its_rate_and_depth() -> None:
    for seed in range(3):
        voice = Voice.draw(np.random.default_rng(seed))
        pitch = voice.lowest + 4
        cents = 1200 * np.log2(pitch_track(sung(voice, pitch), hertz(pitch)) / hertz(pitch))
        cents -= np.poly1d(np.polyfit(np.arange(len(cents)), cents, 3))(np.arange(len(cents)))
        spectrum = np.abs(np.fft.rfft(cents * np.hanning(len(cents)), 1 << 15))
        rate = spectrum.argmax() * 1000 / (1 << 15)
        assert rate == pytest.approx(voice.vibrato_hz, abs=0.5)
        assert np.percentile(np.abs(cents), 95) == pytest.approx(voice.vibrato, rel=0.3)


def test_vowels_differ_in_their_formants_at_the_same_pitch() -> None:
    voice = Voice.draw(np.random.default_rng(1))
    frequencies = np.fft.rfftfreq(2 * RATE, 1 / RATE)
    band = (frequencies > 600 * voice.formants) & (frequencies < 1300 * voice.formants)
    share = {}
    for vowel in "ai":  # a has its first two formants in this band, i has none
        power = np.abs(np.fft.rfft(sung(voice, 50.0, vowel))) ** 2
        share[vowel] = 10 * np.log10(power[band].sum() / power.sum())
    assert share["a"] > share["i"] + 10


@pytest.mark.parametrize("consonant", ["s", "sh", "t"])
def test_consonants_hiss_where_no_harmonic_is(consonant: str) -> None:
    def hiss(consonant: str) -> float:
        voice = Voice.draw(np.random.default_rng(2))
        sound, lead = voice.sing([Syllable(0.0, 0.5, 50.0, "o", consonant, 1.0)], np.random.default_rng(0))
        start = sound[round((lead - 0.05) * RATE) :][: round(0.1 * RATE)]
        low, high, *_ = CONSONANTS["s" if consonant == "m" else consonant]
        frequencies = np.fft.rfftfreq(len(start), 1 / RATE)
        return float((np.abs(np.fft.rfft(start))[(frequencies > low) & (frequencies < high)] ** 2).sum())

    assert 10 * np.log10(hiss(consonant) / hiss("m")) > 15


def test_a_breath_is_taken_before_a_phrase_and_a_rest_follows_it() -> None:
    voice = Voice.draw(np.random.default_rng(3))
    sound, lead = voice.sing([Syllable(0.0, 0.5, 55.0, "a", "", 1.0)], np.random.default_rng(0))
    breath = sound[round((lead - 0.3) * RATE) : round((lead - 0.15) * RATE)]
    assert 1e-4 < np.sqrt((breath**2).mean()) < 0.1
    song = compose(30.0, np.random.default_rng(0))
    phrases = melody(song, song.playing("vocals"), voice.lowest, np.random.default_rng(0))
    ends = [phrase.start + phrase.syllables[-1].start + phrase.syllables[-1].seconds for phrase in phrases]
    assert all(after.start - end > 0.15 for end, after in zip(ends[:-1], phrases[1:], strict=True))


def test_long_notes_of_a_melody_belong_to_the_chord_and_all_to_the_scale() -> None:
    for seed in range(20):
        song = compose(30.0, np.random.default_rng(seed))
        scale = {song.pitch(degree) % 12 for degree in range(7)}
        for phrase in melody(song, song.playing("vocals"), 50.0, np.random.default_rng(seed)):
            for note in phrase.syllables:
                assert note.pitch % 12 in scale
                if note.seconds > 1.1 * 60 / song.tempo:
                    bar = int((phrase.start + note.start) / song.bar_seconds + 1e-6)
                    assert note.pitch % 12 in song.chord(bar)


def test_the_bass_plays_the_root_of_every_bar_s_chord(songs: list[dict[str, np.ndarray]]) -> None:
    heard = 0
    for index, stems in enumerate(songs):
        song, bass = song_of(1, "train", index, 11.0), stems["bass"].mean(axis=0)
        for bar in (bar for section in song.playing("bass") for bar in section.bars):
            start = round(song.seconds(bar) * RATE)
            note = bass[start : start + round(0.2 * RATE)]
            if len(note) < 0.2 * RATE:
                continue
            spectrum = np.abs(np.fft.rfft(note * np.hanning(len(note)), 1 << 17))
            pitches = np.arange(28, 45)
            bins = np.array([hertz(float(pitch)) for pitch in pitches]) * (1 << 17) / RATE
            comb = sum(spectrum[np.round(bins * number).astype(int)] for number in range(1, 7))
            assert pitches[np.argmax(comb)] % 12 == song.chord(bar)[0]
            heard += 1
    assert heard > 8


def test_every_bar_of_the_bass_line_begins_with_the_root() -> None:
    song = compose(30.0, np.random.default_rng(4))
    notes = {round(note.start, 6): note.pitch for note in bass_notes(song, np.random.default_rng(0))}
    for bar in (bar for section in song.playing("bass") for bar in section.bars):
        assert notes[round(song.seconds(bar), 6)] % 12 == song.chord(bar)[0]


def test_a_plucked_string_dies_away_the_high_harmonics_first_and_a_pad_does_not() -> None:
    rng = np.random.default_rng(0)
    string, pad = String.plucked(rng).play(60.0, 2.0, 1.0, rng), Pad.chords(rng).play(60.0, 2.0, 1.0, rng)

    def energy(sound: np.ndarray, start: float, low: float, high: float) -> float:
        part = sound[0, round(start * RATE) :][: RATE // 4]
        frequencies = np.fft.rfftfreq(len(part), 1 / RATE)
        return float(10 * np.log10((np.abs(np.fft.rfft(part))[(frequencies > low) & (frequencies < high)] ** 2).sum()))

    fall = {band: energy(string, 0.1, *band) - energy(string, 0.6, *band) for band in [(200, 600), (1600, 4000)]}
    assert fall[200, 600] > 3
    assert fall[1600, 4000] > fall[200, 600] + 3
    assert abs(energy(pad, 0.3, 200, 600) - energy(pad, 1.5, 200, 600)) < 3
