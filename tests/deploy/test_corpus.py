from pathlib import Path

import numpy as np
import pytest
import soundfile

from unetsep.audio.files import legible
from unetsep.audio.recording import open_recording
from unetsep.deploy import command

from .corpus import BAD, ffmpeg, music, sound
from .shares import Shares


@pytest.fixture(autouse=True)
def _shares(monkeypatch):
    monkeypatch.setattr(command, "_loaded", lambda given: Shares())


def files_below(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if not path.is_dir())


def test_the_corpus_has_forty_bad_files():
    assert len(BAD) >= 40


@pytest.mark.timeout(20)
@pytest.mark.parametrize("name", BAD)
def test_a_bad_file_gets_one_line_and_leaves_nothing_and_the_next_is_separated(name, tmp_path, capfd):
    BAD[name](tmp_path / name)
    sound(tmp_path / "good.wav")
    assert command.main(_args(tmp_path, name, "good.wav")) == 2
    captured = capfd.readouterr()
    lines = [line for line in captured.err.splitlines() if not line.startswith("[src/libmpg123/")]
    assert captured.out == ""
    assert len(lines) == 2
    assert lines[0].startswith("unetsep: ")
    assert legible(tmp_path / name) in lines[0]
    assert len(lines[0]) < 900
    assert files_below(tmp_path / "out") == ["good/rest.wav", "good/vocals.wav"]


def _args(folder: Path, *names: str) -> list[str]:
    return ["model", *(str(folder / name) for name in names), "--out", str(folder / "out")]


GOOD = {
    "eight bits.wav": {"subtype": "PCM_U8"},
    "sixteen bits.wav": {"subtype": "PCM_16"},
    "twenty-four bits.wav": {"subtype": "PCM_24"},
    "thirty-two bits.wav": {"subtype": "PCM_32"},
    "float.wav": {"subtype": "FLOAT"},
    "double.wav": {"subtype": "DOUBLE"},
    "sound.aiff": {"format": "AIFF", "subtype": "PCM_16"},
    "sound.flac": {"format": "FLAC", "subtype": "PCM_24"},
    "sound.ogg": {"format": "OGG", "subtype": "VORBIS"},
    "sound.mp3": {"format": "MP3", "subtype": "MPEG_LAYER_III"},
    "flac by another name.mp3": {"format": "FLAC", "subtype": "PCM_16"},
    "no suffix": {},
    "-leading dash.wav": {},
    "line\nend and \U0001f3b5.wav": {},
    **{f"{rate} Hz.wav": {"rate": rate} for rate in (8000, 11_025, 48_000, 96_000, 192_000)},
    **{f"{channels} channels.wav": {"data": music(300, channels)} for channels in range(1, 9)},
    "one sample.wav": {"data": music(1)},
}


@pytest.mark.parametrize("name", GOOD)
def test_stems_have_the_files_length_rate_and_channels(name, tmp_path):
    given = {"data": music(4321), "format": "WAV", "subtype": "PCM_16", "rate": 22_050} | GOOD[name]
    sound(tmp_path / name, **given)
    assert command.main(_args(tmp_path, name)) == 0
    mixture = soundfile.read(tmp_path / name, always_2d=True)[0] if "." in name else None
    stems = 0
    for stem in ("vocals", "rest"):
        read, rate = soundfile.read(tmp_path / "out" / (tmp_path / name).stem / f"{stem}.wav", always_2d=True)
        assert (read.shape, rate) == (given["data"].shape, given["rate"])
        stems = stems + read
    if mixture is not None:
        np.testing.assert_allclose(stems, mixture, atol=1e-6)


@pytest.mark.parametrize("name", ["sound.m4a", "m4a by another name.wav", "video.mp4", "video.mkv", "surround.m4a"])
def test_what_ffmpeg_decodes_is_separated_as_long_as_it_decodes_it(name, tmp_path):
    source = tmp_path / "source.wav"
    sound(source, music(20_000, 6 if "surround" in name else 2), 44_100)
    picture = ["-f", "lavfi", "-i", "testsrc=d=0.5:s=32x32"] if "video" in name else []
    ffmpeg(tmp_path / name, "-i", str(source), *picture, *(["-f", "ipod"] if name.endswith(".wav") else []))
    ffmpeg(tmp_path / "decoded.wav", "-i", str(tmp_path / name), "-c:a", "pcm_f32le")
    decoded, _ = soundfile.read(tmp_path / "decoded.wav")
    assert command.main(_args(tmp_path, name)) == 0
    stems = [soundfile.read(tmp_path / "out" / Path(name).stem / f"{stem}.wav")[0] for stem in ("vocals", "rest")]
    np.testing.assert_allclose(stems[0] + stems[1], decoded, atol=1e-6)


def test_a_recording_is_the_same_each_time_it_is_read(tmp_path):
    sound(tmp_path / "sound.ogg", music(50_000), format="OGG", subtype="VORBIS")
    recording = open_recording(tmp_path / "sound.ogg")
    first, second = (np.concatenate(list(recording.blocks(size))) for size in (999, 65_536))
    np.testing.assert_array_equal(first, second)
    assert len(first) == recording.samples == 50_000
