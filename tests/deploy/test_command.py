import os
import resource
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

from unetsep.audio.files import InputError
from unetsep.deploy import command

from .corpus import music, sound
from .shares import Shares


@pytest.fixture
def shares(monkeypatch) -> Shares:
    separator = Shares()
    monkeypatch.setattr(command, "_loaded", lambda given: separator)
    return separator


def run(folder: Path, *args: str, song: str = "song.wav") -> int:
    return command.main(["model", str(folder / song), "--out", str(folder / "out"), *args])


def written(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if not path.is_dir())


@pytest.mark.parametrize(
    ("asked", "names"),
    [
        ((), ["rest.wav", "vocals.wav"]),
        (("--stems", "vocals"), ["vocals.wav"]),
        (("--minus", "vocals"), ["minus_vocals.wav"]),
        (("--stems", "rest", "--minus", "vocals,rest"), ["minus_vocals_rest.wav", "rest.wav"]),
    ],
)
def test_what_is_asked_for_is_written_and_nothing_else(tmp_path, shares, asked, names):
    sound(tmp_path / "song.wav")
    assert run(tmp_path, *asked) == 0
    assert written(tmp_path / "out") == [f"song/{name}" for name in names]


@pytest.mark.parametrize("asked", [("--stems", "drums"), ("--minus", "vocals,drums")])
def test_a_stem_that_the_model_lacks_is_refused_with_those_there_are(tmp_path, shares, asked):
    sound(tmp_path / "song.wav")
    with pytest.raises(InputError, match="no stem 'drums'; it has vocals, rest"):
        run(tmp_path, *asked)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("format", ["wav", "flac", "ogg", "mp3"])
@pytest.mark.parametrize("samples", [1, 1153, 30_011])
@pytest.mark.parametrize("channels", [1, 2])
def test_every_format_keeps_length_rate_and_channels(tmp_path, shares, format, samples, channels):
    sound(tmp_path / "song.wav", music(samples, channels), 22_050)
    assert run(tmp_path, "--format", format) == 0
    read, rate = soundfile.read(tmp_path / f"out/song/vocals.{format}", always_2d=True)
    assert (read.shape, rate) == ((samples, channels), 22_050)


@pytest.mark.parametrize(("format", "channels", "rate"), [("mp3", 6, 44_100), ("mp3", 2, 96_000), ("flac", 9, 44_100)])
def test_a_sound_that_a_format_cannot_hold_is_refused_before_anything_is_read(
    tmp_path, shares, capsys, format, channels, rate, monkeypatch
):
    sound(tmp_path / "song.wav", music(100, channels), rate)
    monkeypatch.setattr(shares, "stream", None)  # calling it would be a TypeError
    assert run(tmp_path, "--format", format) == 2
    assert f"{format} cannot hold {channels} channels at {rate} Hz; write wav" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_what_goes_beyond_full_scale_is_kept_in_wav_and_clipped_and_counted_elsewhere(tmp_path, shares, capsys):
    sound(tmp_path / "song.wav", np.array([0.1, 0.5, -0.5]))
    shares.gain = 4.0
    assert run(tmp_path, "--stems", "rest") == 0
    np.testing.assert_allclose(soundfile.read(tmp_path / "out/song/rest.wav")[0], [0.3, 1.5, -1.5], atol=1e-3)
    assert "clipped" not in capsys.readouterr().err
    assert run(tmp_path, "--stems", "rest", "--format", "flac") == 0
    np.testing.assert_allclose(soundfile.read(tmp_path / "out/song/rest.flac")[0], [0.3, 1, -1], atol=1e-3)
    assert "2 samples clipped" in capsys.readouterr().err


def test_stems_are_not_overwritten_unless_forced(tmp_path, shares, capsys):
    sound(tmp_path / "song.wav")
    (tmp_path / "out/song").mkdir(parents=True)
    (tmp_path / "out/song/rest.wav").write_bytes(b"precious")
    assert run(tmp_path) == 2
    assert "rest.wav exists already; use --force to replace it" in capsys.readouterr().err
    assert (tmp_path / "out/song/rest.wav").read_bytes() == b"precious"
    assert written(tmp_path / "out") == ["song/rest.wav"]
    assert run(tmp_path, "--force") == 0
    assert soundfile.info(tmp_path / "out/song/rest.wav").frames == 8000


def test_files_of_one_name_are_kept_apart_by_their_folders(tmp_path, shares, capsys):
    files = [tmp_path / name for name in ("a/song.wav", "b/song.wav", "other.wav", "c/b/song.wav", "b/../other.wav")]
    for path in files[:-1]:
        path.parent.mkdir(parents=True, exist_ok=True)
        sound(path)
    assert command.main(["model", *map(str, files), "--stems", "rest", "--out", str(tmp_path / "out")]) == 2
    assert written(tmp_path / "out") == ["a/song/rest.wav", "b/song/rest.wav", "other/rest.wav"]
    assert f"{files[3]}: {tmp_path / 'out/b/song'} has the stems of {files[1]}" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["...wav", "..wav", ".wav", "..", "wav"])
def test_no_name_leads_out_of_the_folder(tmp_path, shares, name):
    sound(tmp_path / "song.wav")
    (tmp_path / name).exists() or (tmp_path / "song.wav").rename(tmp_path / name)
    run(tmp_path, song=name)
    assert all(path.startswith("out/") and path.count("/") == 2 for path in written(tmp_path) if "vocals" in path)


@pytest.mark.parametrize(
    "error", [MemoryError(), RuntimeError("DefaultCPUAllocator: can't\nallocate"), OSError(5, "I/O")]
)
def test_whatever_happens_to_a_file_the_others_are_separated(tmp_path, shares, capsys, monkeypatch, error):
    for name in ("bad", "good"):
        sound(tmp_path / f"{name}.wav")
    whole = Shares.stream
    monkeypatch.setattr(shares, "stream", lambda *args, **settings: failing(whole(shares, *args, **settings)))

    def failing(blocks):
        monkeypatch.setattr(shares, "stream", lambda *args, **settings: whole(shares, *args, **settings))
        yield next(blocks)
        raise error

    assert command.main(["model", *(str(tmp_path / f"{n}.wav") for n in ("bad", "good")), "--out", str(tmp_path)]) == 2
    assert {path for path in written(tmp_path) if "vocals" in path} == {"good/vocals.wav"}
    line, _ = capsys.readouterr().err.splitlines()
    assert line == f"unetsep: {tmp_path / 'bad.wav'}: {' '.join(str(error).split()) or 'MemoryError'}"


@pytest.mark.parametrize("place", ["out", "out/song", "out/song/vocals.wav"])
def test_something_in_the_way_of_the_stems_is_one_line(tmp_path, shares, capsys, place):
    sound(tmp_path / "song.wav")
    (tmp_path / place).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / place).mkdir() if place.endswith(".wav") else (tmp_path / place).write_bytes(b"in the way")
    assert run(tmp_path, "--force") == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_too_little_room_is_told_before_anything_is_written(tmp_path, shares, capsys, monkeypatch):
    sound(tmp_path / "song.wav")
    usage = type("usage", (), {"free": 100_000})
    monkeypatch.setattr("shutil.disk_usage", lambda path: usage)
    assert run(tmp_path) == 2
    assert "take about 0 MB" in (told := capsys.readouterr().err)
    assert "make room" in told
    assert written(tmp_path / "out") == []


@pytest.mark.parametrize("format", ["wav", "flac", "ogg", "mp3"])
def test_a_disk_that_fills_up_is_one_line_and_nothing_is_kept(tmp_path, shares, capfd, format):
    sound(tmp_path / "song.wav", music(200_000))
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, before[1]))
    try:
        code = run(tmp_path, "--format", format)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, ignored)
    assert code == 2
    told = capfd.readouterr().err
    assert told.startswith(f"unetsep: {tmp_path / 'song.wav'}: cannot write the stems of song")
    assert told.count("\n") == 1
    assert list((tmp_path / "out").iterdir()) == []


SLOW = """
import sys, time
from tests.deploy.shares import Shares
from unetsep.deploy import command
command._loaded = lambda given: Shares(on_block=lambda: (print(flush=True), time.sleep(60)))
try:
    sys.exit(command.main(sys.argv[1:]))
except KeyboardInterrupt:
    sys.exit(130)
"""


def begun(folder: Path) -> subprocess.Popen[bytes]:
    """A process that has written its first block, and would go on for long."""
    sound(folder / "song.wav", music(200_000))
    command_line = [sys.executable, "-c", SLOW, "model", str(folder / "song.wav"), "--out", str(folder / "out")]
    root = str(Path(__file__).parents[2])
    process = subprocess.Popen(command_line, stdout=subprocess.PIPE, cwd=root, env={**os.environ, "PYTHONPATH": root})
    assert process.stdout
    with process.stdout as told:
        assert told.readline() == b"\n"
    assert len(list((folder / "out").iterdir())) == 1
    return process


@pytest.mark.parametrize("kind", [signal.SIGINT, signal.SIGTERM])
def test_a_process_that_is_stopped_midway_leaves_nothing(tmp_path, kind):
    process = begun(tmp_path)
    process.send_signal(kind)
    assert process.wait(timeout=20) == 128 + kind
    assert list((tmp_path / "out").iterdir()) == []


def test_what_a_killed_process_left_goes_with_the_next_run_but_not_what_another_is_writing(tmp_path, shares):
    process = begun(tmp_path)
    at_work = next((tmp_path / "out").iterdir())
    assert run(tmp_path) == 0
    assert at_work.exists()
    process.kill()
    process.wait()
    assert run(tmp_path, "--force") == 0
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["song"]


def test_the_settings_reach_the_separator(tmp_path, shares):
    sound(tmp_path / "song.wav")
    assert run(tmp_path, "--segment-seconds", "3", "--overlap", "0.5", "--no-consistent") == 0
    assert shares.given == {"segment_seconds": 3.0, "overlap": 0.5, "consistent": False}
