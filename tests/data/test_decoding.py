import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time

import pytest
import torch

from unetsep.__main__ import main as unetsep
from unetsep.data import decoding
from unetsep.data.cache import CachedTrack
from unetsep.data.decoding import decode
from unetsep.data.store import NoCacheError
from unetsep.data.track import Track
from unetsep.data.tracks import tracks_in

SOURCES = ("vocals", "drums", "bass", "other")


def data_cache(root, *options):
    return unetsep(["data", "cache", str(root), "--sample-rate", "8000", *options])


def counts(output):
    """Tracks and how many of them were there already, by split."""
    rows = [line.split() for line in output.splitlines()]
    return {row[0]: (int(row[1]), int(row[-1])) for row in rows if row and row[0] in ("train", "valid", "test")}


def test_a_set_is_decoded_once_and_only_a_changed_track_again(small_set, capsys):
    assert data_cache(small_set) == 0
    assert counts(capsys.readouterr().out) == {"train": (3, 0), "valid": (2, 0), "test": (1, 0)}
    assert data_cache(small_set) == 0
    assert counts(capsys.readouterr().out) == {"train": (3, 3), "valid": (2, 2), "test": (1, 1)}
    os.utime(small_set / "train" / "b" / "bass.wav", ns=(0, 0))
    assert data_cache(small_set, "--splits", "train", "test") == 0
    assert counts(capsys.readouterr().out) == {"train": (3, 2), "test": (1, 1)}


def test_what_the_cache_holds_is_printed(tmp_path, write_track, capsys):
    write_track(tmp_path / "train" / "song", samples=480_000)
    assert data_cache(tmp_path, "--mono", "--cache", str(tmp_path / "elsewhere")) == 0
    title, row, *_, place = capsys.readouterr().out.splitlines()
    assert title == "split   tracks  minutes       MB  loudness of the mixture  already there"
    assert row == "train        1      1.0      3.8        -15.7 to -15.7 dB              0"
    assert place == f"in {tmp_path / 'elsewhere'}"
    assert len(list((tmp_path / "elsewhere").iterdir())) == 1


def test_tracks_come_in_the_order_given_however_many_are_decoded_at_once(small_set, tmp_path):
    tracks = tracks_in(small_set / "train", "train", SOURCES)
    for workers in (1, 3):
        cached, problems = decode(tracks, tmp_path / str(workers), 8000, 2, workers=workers)
        assert problems == []
        assert [track.name for track in cached] == ["a", "b", "c"]
        assert all(torch.equal(one.chunk(), two.read()) for one, two in zip(cached, tracks, strict=True))


def test_several_tracks_are_decoded_at_once(small_set, tmp_path, monkeypatch):
    meeting, read = threading.Barrier(3, timeout=20), Track.read
    monkeypatch.setattr(Track, "read", lambda *args: meeting.wait() + 1 and read(*args))
    decode(tracks_in(small_set / "train", "train", SOURCES), tmp_path, 8000, 2, workers=3)


def test_one_unreadable_stem_is_named_and_all_other_tracks_are_cached(small_set, capsys):
    (small_set / "train" / "b" / "drums.wav").write_bytes(b"no sound")
    assert data_cache(small_set) == 2
    output, errors = capsys.readouterr()
    assert counts(output) == {"train": (2, 0), "valid": (2, 0), "test": (1, 0)}
    assert re.fullmatch(r"unetsep: cannot read .*train/b/drums\.wav: .*\n", errors)
    assert len(list((small_set / ".unetsep").iterdir())) == 5


def test_several_unreadable_tracks_get_a_line_each(small_set, capsys):
    (small_set / "train" / "b" / "drums.wav").write_bytes(b"no sound")
    (small_set / "test" / "f" / "bass.wav").unlink()
    assert data_cache(small_set) == 2
    first, second, last = capsys.readouterr().err.splitlines()
    assert "drums.wav" in first
    assert "the stem bass is missing" in second
    assert last == "unetsep: there are 2 problems, named above; all other tracks are in the cache"


def test_a_full_disk_ends_it_at_the_first_track(small_set, tmp_path, monkeypatch):
    tried = []

    def read(track, *_):
        tried.append(track.name)
        if len(tried) > 1:
            time.sleep(1)  # a machine with other work to do needs a while to call the others off
        raise NoCacheError("no room")

    monkeypatch.setattr(Track, "read", read)
    with pytest.raises(NoCacheError):
        decode(tracks_in(small_set / "train", "train", SOURCES), tmp_path, 8000, 2, workers=1)
    assert len(tried) < 3


def test_after_ctrl_c_the_finished_tracks_stay_and_the_next_call_goes_on(small_set, tmp_path, monkeypatch):
    tracks, read = tracks_in(small_set / "train", "train", SOURCES), Track.read

    def interrupted(track, *args):
        if track.name == "b":
            signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)
            threading.Event().wait(0.5)  # until the main thread has heard it
        return read(track, *args)

    with monkeypatch.context() as patch:
        patch.setattr(Track, "read", interrupted)
        with pytest.raises(KeyboardInterrupt):
            decode(tracks, tmp_path / "cache", 8000, 2, workers=1)
    assert sorted(path.name[:2] for path in (tmp_path / "cache").iterdir()) == ["a-", "b-"]
    cached, _ = decode(tracks, tmp_path / "cache", 8000, 2)
    assert [track.decoded for track in cached] == [False, False, True]


def test_two_processes_that_cache_one_folder_at_once_do_each_other_no_harm(small_set, tmp_path):
    for number in range(20):
        shutil.copytree(small_set / "train" / "a", small_set / "train" / f"a{number}")
    command = [sys.executable, "-m", "unetsep", "data", "cache", str(small_set), "--sample-rate", "16000"]
    running = [subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) for _ in range(2)]
    for process in running:
        _, errors = process.communicate(timeout=120)
        assert (process.returncode, errors) == (0, b"")
    assert len(list((small_set / ".unetsep").iterdir())) == 26  # and no other file
    for track in tracks_in(small_set / "train", "train", SOURCES):
        cached = CachedTrack(track, small_set / ".unetsep", 16000, 2)
        assert not cached.decoded
        torch.testing.assert_close(cached.chunk(), track.read(16000), rtol=0, atol=2e-5)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--splits", "train", "valid"], "has no folder 'valid' with tracks: there is train, test"),
        (["--workers", "0"], "the number of workers is 0: it must be at least 1"),
        (["--sample-rate", "0"], "the sample rate is 0: it must be at least 1"),
        (["--sources", "piano", "--splits", "test"], "test/f: the stem piano is missing"),
    ],
)
def test_what_cannot_be_cached_is_refused_in_one_line(small_set, capsys, options, message):
    shutil.rmtree(small_set / "valid")
    assert unetsep(["data", "cache", str(small_set), *options]) == 2
    assert message in capsys.readouterr().err
    assert not list((small_set / ".unetsep").glob("*"))


def test_an_empty_split_is_named(small_set, capsys):
    shutil.rmtree(small_set / "valid" / "d")
    shutil.rmtree(small_set / "valid" / "e")
    assert data_cache(small_set) == 2
    output, errors = capsys.readouterr()
    assert counts(output) == {"train": (3, 0), "valid": (0, 0), "test": (1, 0)}
    assert re.fullmatch(r"unetsep: no tracks in .*valid: .*\n", errors)


def test_a_process_takes_the_processors_it_may_use_and_16_at_most(monkeypatch):
    pools = []
    monkeypatch.setattr(decoding, "ThreadPoolExecutor", lambda workers: pools.append(workers) or 1 / 0)
    for processors in (3, 64):
        monkeypatch.setattr(decoding.os, "sched_getaffinity", lambda _, number=processors: range(number), raising=False)
        with pytest.raises(ZeroDivisionError):
            decode([], "cache", 8000, 2)
    assert pools == [3, 16]
