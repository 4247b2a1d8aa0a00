import errno
import fcntl
import json
import os
import shutil
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import soundfile

from unetsep.audio import writing as writing_module
from unetsep.audio.files import InputError
from unetsep.audio.recording import open_recording
from unetsep.audio.writing import FORMATS, StemFiles, writing_stems


@pytest.mark.slow
def test_a_wav_beyond_4_gb_is_read_back_whole_by_us_and_by_others(tmp_path):
    if (free := shutil.disk_usage(tmp_path).free) < 10e9:
        pytest.skip(f"needs 10 GB of room for a file of 4 GB, but {tmp_path} has {free / 1e9:.1f}")
    rate, channels, step = 48_000, 64, 1 << 16
    steps = 2**32 // (step * channels * 4) + 1
    samples = steps * step + 4321
    try:
        noise = np.random.default_rng(0).uniform(-0.5, 0.5, (step, channels)).astype(np.float32)
        with writing_stems(
            tmp_path / "song", ["other"], format="wav", rate=rate, channels=channels, samples=samples
        ) as files:
            for number in range(steps + 1):
                files.write({"other": noise[: samples - number * step] * (number + 1)})
        path = tmp_path / "song" / "other.wav"
        assert path.stat().st_size > samples * channels * 4 > 2**32
        with path.open("rb") as file:
            assert file.read(4) == b"RF64"

        recording = open_recording(path)
        assert (recording.samples, recording.rate, recording.channels) == (samples, rate, channels)
        found = 0
        for number, block in enumerate(recording.blocks(step)):
            np.testing.assert_array_equal(block, noise[: len(block)] * (number + 1))
            found += len(block)
        assert found == samples

        assert soundfile.info(path).frames == samples
        if shutil.which("ffprobe"):
            asked = ["-v", "error", "-show_entries", "stream=duration_ts,channels", "-of", "json", path]
            told = subprocess.run(["ffprobe", *asked], check=True, capture_output=True, text=True).stdout
            (stream,) = json.loads(told)["streams"]
            assert (stream["channels"], stream["duration_ts"]) == (channels, samples)
    finally:
        shutil.rmtree(tmp_path / "song", ignore_errors=True)  # pytest keeps the folders of three runs


def block(value: float = 0.25) -> dict[str, np.ndarray]:
    return {name: np.full((100, 2), value, dtype=np.float32) for name in ("drums", "vocals")}


def writing(folder, format="wav", **settings):
    return writing_stems(folder, ["drums", "vocals"], format=format, rate=8000, channels=2, samples=100, **settings)


@pytest.mark.parametrize("moment", ["before it is opened", "before it is locked", "while it is locked"])
def test_a_hidden_folder_that_another_process_takes_for_a_leftover_is_made_anew(moment, tmp_path, monkeypatch):
    """Another process removes the first folder, as `_remove_leftovers` does, in the given moment."""
    opened, lock, locks = os.open, fcntl.flock, []

    def taken(path):
        descriptor = opened(path, os.O_RDONLY)
        lock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        path.rmdir()
        return descriptor

    def open_late(path, *args, **kwargs):
        if not locks and Path(path).name.startswith(".unetsep-"):
            descriptor = None if moment == "before it is opened" else opened(path, *args, **kwargs)
            locks.append(taken(path))
            if moment != "while it is locked":
                os.close(locks[0])
            return descriptor or opened(path, *args, **kwargs)
        return opened(path, *args, **kwargs)

    monkeypatch.setattr(writing_module.os, "open", open_late)
    with writing(tmp_path / "song") as files:
        files.write(block())
    assert locks
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["drums.wav", "song", "vocals.wav"]


def test_many_who_write_beside_each_other_do_not_remove_what_the_others_write(tmp_path):
    def separate(number: int) -> None:
        with writing(tmp_path / str(number)) as files:
            files.write(block())

    with ThreadPoolExecutor(16) as pool:
        list(pool.map(separate, range(200)))
    assert len(list(tmp_path.glob("[0-9]*/*.wav"))) == 400
    assert not list(tmp_path.glob(".*"))


def test_a_file_system_without_locks_is_written_to(tmp_path, monkeypatch):
    def no_locks(*args):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", no_locks)
    with writing(tmp_path / "song") as files:
        files.write(block())
    assert (tmp_path / "song" / "vocals.wav").exists()


def test_a_folder_that_is_removed_while_stems_are_written_into_it_is_told_in_one_line(tmp_path):
    files = StemFiles(tmp_path / "gone" / ".hidden", "song", "wav", 8000, 2, 100)
    with pytest.raises(InputError, match=r"^cannot write the stems of song: [^\n]*; nothing of it is kept$"):
        files.write(block())


@pytest.mark.parametrize("name", ["vocals.wav", "drums.wav"])
def test_a_stem_that_somebody_else_wrote_meanwhile_is_not_replaced_without_force(name, tmp_path):
    def write(**settings):
        with writing(tmp_path / "song", **settings) as files:
            files.write(block())
            (tmp_path / "song").mkdir(exist_ok=True)
            (tmp_path / "song" / name).write_text("theirs")

    with pytest.raises(InputError, match=rf"{name} exists already; use --force"):
        write()
    assert [path.name for path in tmp_path.rglob("*")] == ["song", name]
    assert (tmp_path / "song" / name).read_text() == "theirs"
    write(force=True)
    assert soundfile.info(tmp_path / "song" / name).frames == 100


def test_stems_of_which_one_cannot_be_put_into_a_folder_are_not_put_there_at_all(tmp_path, monkeypatch):
    (tmp_path / "song").mkdir()
    (tmp_path / "song" / "notes.txt").write_text("mine")
    replace = Path.replace

    def no_vocals(file, target):
        if file.stem == "vocals":
            raise OSError(errno.EIO, "Input/output error")
        return replace(file, target)

    monkeypatch.setattr(Path, "replace", no_vocals)
    with (
        pytest.raises(InputError, match=r"cannot write into .*song: Input/output error"),
        writing(tmp_path / "song") as files,
    ):
        files.write(block())
    assert [path.name for path in tmp_path.rglob("*")] == ["song", "notes.txt"]


@pytest.mark.parametrize("format", FORMATS)
def test_stems_are_on_the_disk_as_they_are_before_they_get_their_names(format, tmp_path, monkeypatch):
    synced, fsync = {}, os.fsync

    def remember(descriptor):
        path = Path(f"/proc/self/fd/{descriptor}").readlink()
        assert path.parent != tmp_path / "song"
        synced[path.name] = path.read_bytes()
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", remember)
    with writing(tmp_path / "song", format=format) as files:
        files.write(block())
    assert synced == {path.name: path.read_bytes() for path in (tmp_path / "song").iterdir()}
    assert len(synced) == 2
