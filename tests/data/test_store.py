import contextlib
import errno
import math
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import soundfile
import torch

from unetsep.data.cache import CachedTrack
from unetsep.data.store import NoCacheError
from unetsep.data.tracks import find_tracks


@pytest.fixture
def track(tmp_path, write_track):
    write_track(tmp_path / "train" / "song")
    return find_tracks(tmp_path, "train")[0]


def test_a_stem_above_full_scale_is_not_clipped_and_the_others_stay_exact(tmp_path, track):
    loud = 3.0 * np.sin(np.arange(4000))
    soundfile.write(track.file("bass"), np.stack([loud, -loud], 1), 8000, subtype="FLOAT")
    stems, cached = track.read(), CachedTrack(track, tmp_path / "cache", 8000, 2).chunk()
    error_db = 10 * torch.log10((cached - stems)[2].square().mean() / stems[2].square().mean())
    assert error_db < -90
    torch.testing.assert_close(cached[[0, 1, 3]], stems[[0, 1, 3]], rtol=0, atol=0)


def test_full_scale_in_either_direction_is_kept(tmp_path, track):
    for extreme in (-1.0, 32767 / 32768, 1.0):
        soundfile.write(track.file("bass"), np.full((4000, 2), extreme), 8000, subtype="FLOAT")
        assert CachedTrack(track, tmp_path / "cache", 8000, 2).chunk()[2] == pytest.approx(extreme, abs=1e-6)


def test_float16_keeps_eleven_bits_of_loud_and_of_soft_stems(tmp_path, track):
    for source, peak in (("bass", 30.0), ("drums", 0.01)):
        sound = peak * np.random.default_rng(0).uniform(-1, 1, (4000, 2))
        soundfile.write(track.file(source), sound, 8000, subtype="FLOAT")
    stems, cached = track.read(), CachedTrack(track, tmp_path / "cache", 8000, 2, "float16")
    error_db = 10 * torch.log10((cached.chunk() - stems).square().mean((1, 2)) / stems.square().mean((1, 2)))
    assert error_db.max() < -70
    assert cached.bytes == cached.path.stat().st_size
    CachedTrack(track, tmp_path / "cache", 8000, 2)  # as int16 beside it
    assert len(list((tmp_path / "cache").iterdir())) == 2


def test_the_loudness_is_the_mean_square_in_db(tmp_path, write_track):
    write_track(tmp_path / "train" / "song")
    for source, level in (("vocals", 0.5), ("drums", -0.25), ("bass", 0.0), ("other", 0.0)):
        soundfile.write(tmp_path / "train" / "song" / f"{source}.wav", np.full((4000, 2), level), 8000)
    (track,) = find_tracks(tmp_path, "train")
    assert CachedTrack(track, tmp_path / "cache", 8000, 2).loudness_db == {
        "mixture": -12.04,
        "vocals": -6.02,
        "drums": -12.04,
        "bass": -math.inf,
        "other": -math.inf,
    }


@pytest.mark.parametrize("level_db", [-59, -61])
def test_a_silence_is_a_run_of_tenths_of_a_second_below_minus_60_db(tmp_path, write_track, level_db):
    write_track(tmp_path / "train" / "song", samples=9000)
    parts = [(0, 850), (2400, 5600), (8100, 9000)]  # of the mixture, with a click at 4000 in the second
    for source in ("vocals", "drums", "bass", "other"):
        path = tmp_path / "train" / "song" / f"{source}.wav"
        sound, rate = soundfile.read(path)
        for start, end in parts:
            sound[start:end] = 10 ** (level_db / 20) * (source == "vocals")
        sound[4000] = 0.5
        soundfile.write(path, sound, rate, subtype="FLOAT")
    (track,) = find_tracks(tmp_path, "train")
    silences = [(0, 800), (2400, 4000), (4800, 5600), (8800, 9000)]  # blocks of 800; the last one is shorter
    assert CachedTrack(track, tmp_path / "cache", 8000, 2).silent == (silences if level_db < -60 else [])


def failing_write(monkeypatch, error):
    """Lets a file that is opened for writing take its first line, and no more."""
    written = []

    @contextlib.contextmanager
    def opened(path):
        def write(content):
            if written:
                raise error
            path.touch()
            written.append(path)

        yield SimpleNamespace(write=write)

    whole = Path.open
    monkeypatch.setattr(Path, "open", lambda path, mode="r": opened(path) if mode == "wb" else whole(path, mode))
    return written


def test_an_interrupted_write_leaves_nothing(tmp_path, track, monkeypatch):
    seen = failing_write(monkeypatch, KeyboardInterrupt())
    with pytest.raises(KeyboardInterrupt):
        CachedTrack(track, tmp_path / "cache", 8000, 2)
    assert len(seen) == 1
    assert list((tmp_path / "cache").iterdir()) == []
    monkeypatch.undo()
    assert CachedTrack(track, tmp_path / "cache", 8000, 2).samples == 4000


def test_a_full_disk_is_told_in_one_line_with_the_folder_and_the_bytes_and_leaves_nothing(tmp_path, track, monkeypatch):
    failing_write(monkeypatch, OSError(errno.ENOSPC, "No space left on device"))
    with pytest.raises(
        NoCacheError, match=r"song to .*cache: No space left on device; it needs 64\d\d\d bytes"
    ) as error:
        CachedTrack(track, tmp_path / "cache", 8000, 2)
    assert "\n" not in str(error.value)
    assert list((tmp_path / "cache").iterdir()) == []
