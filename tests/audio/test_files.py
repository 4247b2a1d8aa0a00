import os

import numpy as np
import pytest
import soundfile
import torch

from unetsep.audio.files import AudioInfo, InputError, audio_info, read_audio, replacing, write_audio


def error_db(reference, estimate):
    with np.errstate(divide="ignore"):
        return 10 * np.log10(np.square(reference - estimate).sum() / np.square(reference).sum())


@pytest.fixture
def noise():
    return np.random.default_rng(0).uniform(-1, 1, (2, 5000)).astype(np.float32)


@pytest.mark.parametrize("suffix", [".wav", ".flac", ".FLAC"])
def test_sixteen_bits_round_trip_with_the_noise_of_half_a_step(tmp_path, noise, suffix):
    path = tmp_path / f"noise{suffix}"
    write_audio(path, noise, 44100)
    read, rate = read_audio(path)
    assert rate == 44100
    assert read.dtype == np.float32
    # Steps of 2^-15 make an error of 2^-30/12; uniform noise has the power 1/3: 96.3 dB apart.
    assert error_db(noise, read) == pytest.approx(-96.3, abs=0.2)


def test_a_copy_of_a_copy_changes_nothing(tmp_path, noise):
    write_audio(tmp_path / "a.wav", noise, 8000)
    write_audio(tmp_path / "b.flac", read_audio(tmp_path / "a.wav")[0], 8000)
    assert np.array_equal(read_audio(tmp_path / "a.wav")[0], read_audio(tmp_path / "b.flac")[0])


def test_a_float_wav_keeps_every_bit_and_may_exceed_full_scale(tmp_path, noise):
    write_audio(tmp_path / "loud.wav", torch.from_numpy(3 * noise), 48000, floating=True)
    assert np.array_equal(read_audio(tmp_path / "loud.wav")[0], 3 * noise)


def test_sixteen_bits_clip_instead_of_wrapping_around(tmp_path):
    write_audio(tmp_path / "loud.wav", torch.tensor([[1.5, -1.5, 1.0, -1.0]]), 8000)
    assert read_audio(tmp_path / "loud.wav")[0].tolist() == [[32767 / 32768, -1.0, 32767 / 32768, -1.0]]


@pytest.mark.parametrize("suffix", [".wav", ".flac", ".ogg", ".mp3"])
def test_a_part_is_the_same_samples_as_in_the_whole(tmp_path, noise, suffix):
    path = tmp_path / f"noise{suffix}"
    soundfile.write(path, noise.T, 44100)
    whole, _ = read_audio(path)
    part, _ = read_audio(path, start=1000, frames=500)
    assert whole.shape == noise.shape
    assert np.array_equal(part, whole[:, 1000:1500])
    assert np.array_equal(read_audio(path, 4900, 500)[0], whole[:, 4900:])


def test_the_info_of_a_file_is_its_length_rate_and_channels(tmp_path, noise):
    write_audio(tmp_path / "noise.flac", noise[:1], 22050)
    assert audio_info(tmp_path / "noise.flac") == AudioInfo(samples=5000, rate=22050, channels=1)


@pytest.mark.parametrize("suffix", [".wav", ".flac", ".ogg", ".mp3"])
@pytest.mark.parametrize("kept", [0.0, 0.001, 0.3, 0.9])
def test_a_truncated_file_is_refused_by_name(tmp_path, suffix, kept, capfd):
    path = tmp_path / f"cut{suffix}"
    soundfile.write(path, np.random.default_rng(0).uniform(-0.5, 0.5, (50_000, 2)), 44100)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(kept * len(whole))])
    with pytest.raises(InputError, match=f"cut{suffix}") as caught:
        read_audio(path)
    assert "truncated" in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "format", ["WAV", "WAVEX", "RF64", "W64", "AIFF", "AU", "CAF", "VOC", "SVX", "AVR", "MPC2K", "WVE", "MAT4", "MAT5"]
)
def test_a_file_of_any_format_that_tells_its_length_is_refused_where_it_ends_early(tmp_path, format):
    path = tmp_path / "cut"
    samples = 5001  # odd: what fills a chunk up is no sign of a cut
    soundfile.write(path, np.random.default_rng(0).uniform(-0.5, 0.5, samples), 8000, format=format)
    assert read_audio(path)[0].shape == (1, samples)
    whole = path.read_bytes()
    for kept in (len(whole) - 9, len(whole) * 4 // 5, len(whole) // 2):
        path.write_bytes(whole[:kept])
        with pytest.raises(InputError, match="truncated"):
            read_audio(path)


@pytest.mark.parametrize("subtype", ["VORBIS", "OPUS"])
def test_an_ogg_that_ends_within_its_last_page_is_truncated_and_one_with_a_tag_behind_it_is_not(tmp_path, subtype):
    path = tmp_path / "sound.ogg"
    soundfile.write(path, np.random.default_rng(0).uniform(-0.5, 0.5, (50_000, 2)), 48000, subtype=subtype)
    whole = path.read_bytes()
    path.write_bytes(whole + b"TAG" + bytes(125))
    assert read_audio(path)[0].shape == (2, 50_000)
    for kept in (len(whole) - 1, whole.rindex(b"OggS") + 10):
        path.write_bytes(whole[:kept])
        with pytest.raises(InputError, match="is truncated"):
            read_audio(path)


def promising(path, whole, chunk, size, order):
    at = whole.index(chunk) + 4
    path.write_bytes(whole[:at] + size.to_bytes(4, order) + whole[at + 4 :])


@pytest.mark.parametrize("size", [0xFFFFFFFF, 0xFFFFFFFF - 44, 0x7FFFFFFF, 0x7FFFF000, 0x7FFFF000 // 6 * 6])
def test_a_wav_written_into_a_pipe_is_read_although_its_header_knows_no_length(tmp_path, noise, size):
    path = tmp_path / "piped.wav"
    write_audio(path, noise, 44100)
    promising(path, path.read_bytes(), b"data", size, "little")
    assert read_audio(path)[0].shape == noise.shape


def test_an_aiff_that_sox_wrote_into_a_pipe_is_read_although_its_header_knows_no_length(tmp_path, noise):
    path = tmp_path / "piped.aiff"
    soundfile.write(path, noise.T, 44100)
    promising(path, path.read_bytes(), b"SSND", 0x7F000008, "big")
    assert read_audio(path)[0].shape == noise.shape


@pytest.mark.parametrize("size", [10_000_000, 0x7E000000, 3 * 2**30, 4_000_000_000])
def test_a_wav_that_promises_gigabytes_it_does_not_hold_is_truncated(tmp_path, noise, size):
    path = tmp_path / "cut.wav"
    write_audio(path, noise, 44100)
    promising(path, path.read_bytes(), b"data", size, "little")
    with pytest.raises(InputError, match="is truncated: its header promises more"):
        read_audio(path)


def test_an_mp3_that_only_guesses_its_length_is_as_long_as_its_info_says(tmp_path):
    path = tmp_path / "guess.mp3"
    sound = np.random.default_rng(0).uniform(-0.5, 0.5, (50_000, 2))
    soundfile.write(path, sound, 44100, bitrate_mode="CONSTANT", compression_level=0.5)
    whole = path.read_bytes()
    # Without its first frame, the index, as old encoders wrote them.
    second = whole.index(whole[:2], 4)
    path.write_bytes(whole[second:])
    waveform, _ = read_audio(path)
    assert waveform.shape[1] == audio_info(path).samples
    assert np.all(waveform[:, -40:] == 0)


def test_what_is_no_sound_is_refused_by_name(tmp_path):
    (tmp_path / "text.wav").write_text("not sound at all")
    with pytest.raises(InputError, match=r"cannot read .*text.wav"):
        audio_info(tmp_path / "text.wav")
    with pytest.raises(InputError, match=r"no such sound file: .*missing.wav"):
        read_audio(tmp_path / "missing.wav")
    with pytest.raises(InputError, match="no such sound file"):
        read_audio(tmp_path)
    soundfile.write(tmp_path / "empty.wav", np.zeros((0, 2)), 44100)
    for read in (read_audio, audio_info):
        with pytest.raises(InputError, match=r"empty.wav holds no samples"):
            read(tmp_path / "empty.wav")


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_sample_that_is_no_number_is_refused_with_its_place(tmp_path, noise, value):
    noise[1, 2345] = value
    soundfile.write(tmp_path / "bad.wav", noise.T, 44100, subtype="FLOAT")
    with pytest.raises(InputError, match=rf"bad.wav holds {value} at sample 2345 of channel 1"):
        read_audio(tmp_path / "bad.wav", start=2000)
    with pytest.raises(InputError, match="NaN or infinite"):
        write_audio(tmp_path / "out.wav", noise, 44100)


def test_a_start_outside_the_file_is_refused_with_the_range(tmp_path, noise):
    write_audio(tmp_path / "noise.wav", noise, 44100)
    for start in (-1, 5000):
        with pytest.raises(InputError, match=rf"from sample {start}: it has samples 0 to 4999"):
            read_audio(tmp_path / "noise.wav", start=start)


def test_what_cannot_be_written_is_refused_before_a_file_appears(tmp_path, noise):
    with pytest.raises(InputError, match=r"\.mp3; \.wav and \.flac are written"):
        write_audio(tmp_path / "out.mp3", noise, 44100)
    with pytest.raises(InputError, match=r"suffix is missing"):
        write_audio(tmp_path / "out", noise, 44100)
    with pytest.raises(InputError, match=r"only \.wav"):
        write_audio(tmp_path / "out.flac", noise, 44100, floating=True)
    with pytest.raises(InputError, match="2 channels, 0 samples"):
        write_audio(tmp_path / "out.wav", noise[:, :0], 44100)
    with pytest.raises(InputError, match=r"out.flac with 9 channels at 44100 Hz"):
        write_audio(tmp_path / "out.flac", np.zeros((9, 100)), 44100)
    assert list(tmp_path.iterdir()) == []


def test_a_failed_write_leaves_the_old_file_and_no_rubbish(tmp_path):
    path = tmp_path / "result.json"
    path.write_text("old")

    def write_half():
        with replacing(path) as temporary:
            temporary.write_text("ne")
            raise RuntimeError("power cut")

    with pytest.raises(RuntimeError, match="power cut"):
        write_half()
    assert [file.name for file in tmp_path.iterdir()] == ["result.json"]
    assert path.read_text() == "old"


def test_a_successful_write_appears_whole_in_a_folder_made_for_it(tmp_path):
    path = tmp_path / "a" / "b" / "result.json"
    with replacing(path) as temporary:
        temporary.write_text("new")
        assert temporary.suffix == ".json"
        assert not path.exists()
    assert path.read_text() == "new"
    assert len(list(path.parent.iterdir())) == 1


def test_a_place_that_cannot_be_written_is_refused_with_the_reason(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="cannot make the folder"), replacing(tmp_path / "file" / "out.wav"):
        pass
    with pytest.raises(InputError, match="there is a folder of that name"), replacing(tmp_path):
        pass
    monkeypatch.setattr(os, "access", lambda *_: False)  # the tests may run as root, who may write anywhere
    with pytest.raises(InputError, match="permission denied"), replacing(tmp_path / "out.wav"):
        pass
