import math

import numpy as np
import pytest
import torch

from unetsep.audio.files import InputError, audio_info, read_audio, write_audio
from unetsep.deploy.separate import main, separate_file, separate_waveform

from .small_model import write_checkpoint


class Shares:
    """A separator that gives each stem a fixed share of the mixture, with a gain per channel."""

    def __init__(self, rate: int = 8000, gains: tuple[float, ...] = (1.0,), sources: tuple[str, ...] = ("low", "high")):
        self.sources = sources
        self.sample_rate = rate
        self.audio_channels = len(gains)
        self.gains = torch.tensor(gains)[:, None]

    def __call__(self, mixture: torch.Tensor) -> torch.Tensor:
        assert mixture.shape[1] == self.audio_channels
        heard = self.gains * mixture
        return torch.stack([0.25 * heard, 0.75 * heard], dim=1)


def noise(channels: int, samples: int) -> torch.Tensor:
    return torch.randn(channels, samples, generator=torch.Generator().manual_seed(0))


def decibels(signal: torch.Tensor, reference: torch.Tensor) -> float:
    return 10 * math.log10(float(signal.square().sum() / reference.square().sum()))


def test_at_the_separators_own_rate_nothing_but_the_separator_touches_the_sound():
    mixture = noise(1, 20_000)
    stems = separate_waveform(Shares(), mixture, 8000, segment_seconds=0.5)
    assert stems.shape == (2, 1, 20_000)
    torch.testing.assert_close(stems[0], 0.25 * mixture)
    torch.testing.assert_close(stems.sum(0), mixture)


@pytest.mark.parametrize("channels", [1, 2, 3, 6])
@pytest.mark.parametrize("gains", [(1.0,), (1.0, 1.0)])
def test_every_channel_is_separated_by_a_mono_and_by_a_stereo_separator(channels, gains):
    mixture = noise(channels, 1000)
    torch.testing.assert_close(separate_waveform(Shares(gains=gains), mixture, 8000)[1], 0.75 * mixture)


def test_a_mono_file_is_heard_in_both_channels_of_a_stereo_separator_and_averaged():
    mixture = noise(1, 1000)
    stems = separate_waveform(Shares(gains=(1.0, 3.0)), mixture, 8000)
    torch.testing.assert_close(stems.sum(0), 2.0 * mixture)


def test_the_odd_channel_out_is_averaged_and_the_others_keep_their_places():
    mixture = noise(3, 1000)
    stems = separate_waveform(Shares(gains=(1.0, 3.0)), mixture, 8000)
    torch.testing.assert_close(stems.sum(0), torch.tensor([[1.0], [3.0], [2.0]]) * mixture)


@pytest.mark.parametrize("rate", [4000, 11_025, 16_000, 44_100])
def test_a_tone_at_another_rate_comes_back_within_a_tenth_of_a_decibel(rate):
    time = torch.arange(rate * 2 + 13) / rate
    mixture = torch.sin(2 * math.pi * 440 * time)[None]
    stems = separate_waveform(Shares(rate=8000), mixture, rate, segment_seconds=0.7)
    assert stems.shape == (2, 1, rate * 2 + 13)
    inside = slice(rate // 20, -rate // 20)  # a resampler rings where a tone is cut off
    residual = (stems.sum(0) - mixture)[:, inside]
    assert decibels(residual, mixture[:, inside]) < -40
    assert decibels(stems[0][:, inside], mixture[:, inside]) == pytest.approx(20 * math.log10(0.25), abs=0.1)


@pytest.mark.parametrize("samples", [1, 2, 7, 441])
def test_the_shortest_recordings_keep_their_length(samples):
    assert separate_waveform(Shares(), noise(2, samples), 44_100).shape == (2, 2, samples)


def test_progress_grows_to_the_whole_recording():
    told: list[tuple[float, float]] = []
    separate_waveform(
        Shares(),
        noise(2, 40_000),
        8000,
        segment_seconds=1.0,
        on_progress=lambda done, total: told.append((done, total)),
    )
    done = [seconds for seconds, _ in told]
    assert done == sorted(done)
    assert len(set(done)) > 3
    assert told[-1] == (5.0, 5.0)


@pytest.mark.parametrize("seconds", [0.0, -1.0, math.nan, math.inf])
def test_a_segment_of_no_length_is_refused(seconds):
    with pytest.raises(InputError, match=r"segment_seconds is .* must be more than 0"):
        separate_waveform(Shares(), noise(1, 100), 8000, segment_seconds=seconds)


def test_peaks_above_full_scale_are_not_clipped(tmp_path):
    write_audio(tmp_path / "song.wav", np.array([[0.9, -0.9]], dtype=np.float32), 8000)
    separate_file(Shares(gains=(4.0,)), tmp_path / "song.wav", tmp_path / "song")
    stem, _ = read_audio(tmp_path / "song/high.wav")
    assert stem[0] == pytest.approx([2.7, -2.7], abs=1e-3)


@pytest.mark.parametrize("name", ["../escaped", "a/b", "", ".hidden", "/absolute"])
def test_a_model_cannot_write_outside_its_folder(tmp_path, name):
    write_audio(tmp_path / "song.wav", noise(1, 100), 8000)
    with pytest.raises(InputError, match="which is no file name"):
        separate_file(Shares(sources=("low", name)), tmp_path / "song.wav", tmp_path / "out/song")
    assert [path.name for path in tmp_path.iterdir()] == ["song.wav"]


def test_the_verb_writes_every_stem_at_the_files_rate_length_and_channels(tmp_path, checkpoint, capsys):
    write_audio(tmp_path / "a song.flac", noise(2, 5001) / 10, 22_050)
    write_audio(tmp_path / "other.wav", noise(1, 300) / 10, 8000)
    out = tmp_path / "out"
    assert main([str(checkpoint), str(tmp_path / "a song.flac"), str(tmp_path / "other.wav"), "--out", str(out)]) == 0
    assert sorted(str(path.relative_to(out)) for path in out.rglob("*.*")) == [
        *("a song/rest.wav", "a song/vocals.wav", "other/rest.wav", "other/vocals.wav"),
    ]
    assert audio_info(out / "a song/vocals.wav") == (5001, 22_050, 2)
    assert audio_info(out / "other/vocals.wav") == (300, 8000, 1)
    assert "vocals, rest in" in (told := capsys.readouterr().err)
    assert told.count("real-time factor") == 2


def test_the_stems_of_a_softmax_separator_add_up_to_the_file(tmp_path, checkpoint):
    write_audio(tmp_path / "song.wav", noise(2, 9000) / 10, 8000)
    main([str(checkpoint), str(tmp_path / "song.wav"), "--out", str(tmp_path), "--segment-seconds", "0.3"])
    stems = sum(read_audio(tmp_path / f"song/{stem}.wav")[0] for stem in ("vocals", "rest"))
    mixture, _ = read_audio(tmp_path / "song.wav")
    assert decibels(torch.from_numpy(stems - mixture), torch.from_numpy(mixture)) < -90


def test_a_trials_folder_is_a_model(tmp_path):
    write_checkpoint(tmp_path / "trial/checkpoints/best.ckpt")
    write_audio(tmp_path / "song.wav", noise(1, 300) / 10, 8000)
    assert main([str(tmp_path / "trial"), str(tmp_path / "song.wav"), "--out", str(tmp_path)]) == 0


def test_one_bad_file_gets_its_line_and_the_others_are_separated(tmp_path, checkpoint, capsys):
    (tmp_path / "bad.wav").write_bytes(b"RIFF but no sound")
    write_audio(tmp_path / "good.wav", noise(1, 300) / 10, 8000)
    files = [str(tmp_path / name) for name in ("bad.wav", "missing.wav", "good.wav")]
    assert main([str(checkpoint), *files, "--out", str(tmp_path)]) == 2
    lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith("unetsep: ")]
    assert len(lines) == 2
    assert "bad.wav" in lines[0]
    assert "missing.wav" in lines[1]
    assert (tmp_path / "good/vocals.wav").is_file()
    assert not (tmp_path / "bad").exists()


def test_stems_are_not_overwritten_unless_forced(tmp_path, checkpoint, capsys):
    write_audio(tmp_path / "song.wav", noise(1, 300) / 10, 8000)
    (tmp_path / "song").mkdir()
    (tmp_path / "song/rest.wav").write_bytes(b"precious")
    command = [str(checkpoint), str(tmp_path / "song.wav"), "--out", str(tmp_path)]
    assert main(command) == 2
    assert "rest.wav exists already; use --force to replace it" in capsys.readouterr().err
    assert (tmp_path / "song/rest.wav").read_bytes() == b"precious"
    assert not (tmp_path / "song/vocals.wav").exists()
    assert main([*command, "--force"]) == 0
    assert audio_info(tmp_path / "song/rest.wav").samples == 300


def test_two_files_of_one_name_are_refused_before_anything_is_written(tmp_path, checkpoint):
    for folder in ("a", "b"):
        write_audio(tmp_path / folder / "song.wav", noise(1, 300) / 10, 8000)
    files = [str(tmp_path / folder / "song.wav") for folder in ("a", "b")]
    with pytest.raises(InputError, match="would both be written to"):
        main([str(checkpoint), *files, "--out", str(tmp_path / "out")])
    assert not (tmp_path / "out").exists()


def test_a_device_that_is_not_there_is_refused(tmp_path, checkpoint):
    write_audio(tmp_path / "song.wav", noise(1, 300) / 10, 8000)
    with pytest.raises(InputError, match="cannot compute on the device 'nonsense'"):
        main([str(checkpoint), str(tmp_path / "song.wav"), "--out", str(tmp_path), "--device", "nonsense"])


def test_no_empty_line_is_left_where_there_is_no_terminal(tmp_path, checkpoint, capsys):
    write_audio(tmp_path / "song.wav", noise(1, 300) / 10, 8000)
    assert main([str(checkpoint), str(tmp_path / "song.wav"), "--out", str(tmp_path)]) == 0
    lines = capsys.readouterr().err.split("\n")
    assert len(lines) == 2
    assert lines[0].startswith(str(tmp_path / "song.wav"))
    assert lines[1] == ""
