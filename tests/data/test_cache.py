import os
import pickle

import numpy as np
import pytest
import soundfile
import torch

from unetsep.audio.files import InputError
from unetsep.data import cache
from unetsep.data.cache import CachedTrack, cache_folder
from unetsep.data.tracks import find_tracks


@pytest.fixture
def track(tmp_path, write_track):
    write_track(tmp_path / "train" / "song")
    return find_tracks(tmp_path, "train")[0]


def test_sixteen_bit_stems_come_back_exactly(tmp_path, track):
    cached = CachedTrack(track, tmp_path / "cache", 8000, 2)
    assert cached.shape == (4, 2, 4000)
    assert cached.chunk().dtype == torch.float32
    torch.testing.assert_close(cached.chunk(), track.read(), rtol=0, atol=0)


def test_a_chunk_is_a_slice_followed_by_silence_past_the_end(tmp_path, track):
    cached, stems = CachedTrack(track, tmp_path / "cache", 8000, 2), track.read()
    torch.testing.assert_close(cached.chunk(100, 50), stems[..., 100:150], rtol=0, atol=0)
    torch.testing.assert_close(cached.chunk(3990)[..., :10], stems[..., 3990:], rtol=0, atol=0)
    late = cached.chunk(3990, 30)
    assert late.shape == (4, 2, 30)
    torch.testing.assert_close(late[..., :10], stems[..., 3990:], rtol=0, atol=0)
    assert late[..., 10:].abs().max() == 0


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


def test_two_sample_rates_and_channel_counts_coexist(tmp_path, track):
    shapes = {(8000, 2): (4, 2, 4000), (4000, 2): (4, 2, 2000), (8000, 1): (4, 1, 4000)}
    for _ in range(2):
        for (rate, channels), shape in shapes.items():
            assert CachedTrack(track, tmp_path / "cache", rate, channels).shape == shape
    assert len(list((tmp_path / "cache").iterdir())) == 3


def test_different_stems_of_one_folder_and_tracks_of_one_name_do_not_mix(tmp_path, write_track):
    for seed, root in enumerate(["one", "two"]):
        write_track(tmp_path / root / "train" / "song", seed=seed)
    tracks = [
        find_tracks(tmp_path / root, "train", sources)[0]
        for root in ("one", "two")
        for sources in (("vocals", "drums"), ("drums", "vocals"))
    ]
    cached = [CachedTrack(track, tmp_path / "cache", 8000, 2).chunk() for track in tracks]
    for stems, track in zip(cached, tracks, strict=True):
        torch.testing.assert_close(stems, track.read(), rtol=0, atol=0)


def test_an_unchanged_track_is_decoded_once(tmp_path, track, monkeypatch):
    CachedTrack(track, tmp_path / "cache", 8000, 2)
    monkeypatch.setattr(type(track), "read", lambda *_: pytest.fail("decoded again"))
    CachedTrack(track, tmp_path / "cache", 8000, 2)


def test_a_changed_file_is_decoded_again(tmp_path, track):
    old = CachedTrack(track, tmp_path / "cache", 8000, 2)
    before = old.chunk()
    status = track.file("drums").stat()
    soundfile.write(track.file("drums"), np.zeros((4000, 2)), 8000)  # of the same size
    os.utime(track.file("drums"), ns=(status.st_atime_ns, status.st_mtime_ns + 1))
    new = CachedTrack(track, tmp_path / "cache", 8000, 2)
    assert new.chunk()[1].abs().max() == 0
    torch.testing.assert_close(old.chunk(), before)  # a reader that had the old file open is not disturbed
    assert len(list((tmp_path / "cache").iterdir())) == 1


@pytest.mark.parametrize("error", [KeyboardInterrupt, OSError])
def test_an_interrupted_write_leaves_nothing(tmp_path, track, monkeypatch, error):
    written = []

    def clamp(self, *limits):  # called in the midst of writing
        written.extend((tmp_path / "cache").iterdir())
        raise error

    monkeypatch.setattr(torch.Tensor, "clamp", clamp)
    with pytest.raises(error):
        CachedTrack(track, tmp_path / "cache", 8000, 2)
    assert len(written) == 1
    assert list((tmp_path / "cache").iterdir()) == []
    monkeypatch.undo()
    assert CachedTrack(track, tmp_path / "cache", 8000, 2).samples == 4000


@pytest.mark.parametrize("content", [b"", b"no json\n", b'{"shape": [4, 2, 4000]}\n'])
def test_a_broken_cache_file_is_made_anew(tmp_path, track, content):
    path = CachedTrack(track, tmp_path / "cache", 8000, 2).path
    path.write_bytes(content)
    torch.testing.assert_close(CachedTrack(track, tmp_path / "cache", 8000, 2).chunk(), track.read())


def test_a_truncated_cache_file_is_made_anew(tmp_path, track):
    path = CachedTrack(track, tmp_path / "cache", 8000, 2).path
    path.write_bytes(path.read_bytes()[:-2])
    torch.testing.assert_close(CachedTrack(track, tmp_path / "cache", 8000, 2).chunk(), track.read())


def test_an_unreadable_track_leaves_no_cache(tmp_path, track):
    track.file("drums").write_bytes(b"no sound")
    with pytest.raises(InputError, match=r"drums\.wav"):
        CachedTrack(track, tmp_path / "cache", 8000, 2)
    assert not (tmp_path / "cache").exists()


def test_a_pickled_track_carries_no_samples(tmp_path, track):
    cached = CachedTrack(track, tmp_path / "cache", 8000, 2)
    stems = cached.chunk()
    content = pickle.dumps(cached)
    assert len(content) < 2000  # 64 kB of samples
    torch.testing.assert_close(pickle.loads(content).chunk(), stems)


def test_the_cache_lies_in_the_data_set_or_where_that_is_read_only_in_the_users_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "home"))
    assert cache_folder(tmp_path) == tmp_path / ".unetsep"
    (tmp_path / "file").touch()
    assert cache_folder(tmp_path / "file") == tmp_path / "home" / "unetsep"
    monkeypatch.setattr(cache.os, "access", lambda *_: False)
    assert cache_folder(tmp_path) == tmp_path / "home" / "unetsep"
