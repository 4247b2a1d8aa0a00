import os
import pickle
import re

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


def test_a_data_set_that_is_moved_takes_its_cache_along(tmp_path, write_track, monkeypatch):
    write_track(tmp_path / "here" / "train" / "song")
    CachedTrack(find_tracks(tmp_path / "here", "train")[0], tmp_path / "here" / ".unetsep", 8000, 2)
    (tmp_path / "here").rename(tmp_path / "there")
    track = find_tracks(tmp_path / "there", "train")[0]
    monkeypatch.setattr(type(track), "read", lambda *_: pytest.fail("decoded again"))
    CachedTrack(track, tmp_path / "there" / ".unetsep", 8000, 2)


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


BROKEN = {
    "empty": (lambda content: b"", "is truncated or no cached track"),
    "text": (lambda content: b"no json\n", "is truncated or no cached track"),
    "a number": (lambda content: b"3\n", "is truncated or no cached track"),
    "another program's": (lambda content: b'{"shape": [4, 2]}\n', "is of another version of unetsep"),
    "cut in the header": (lambda content: content[:100], "is truncated or no cached track"),
    "cut in the samples": (lambda content: content[:-2], r"is truncated: \d+ bytes, not \d+"),
    "too long": (lambda content: content + b"12", r"is damaged: \d+ bytes, not \d+"),
}


@pytest.mark.parametrize("broken", BROKEN)
def test_a_broken_cache_file_is_refused_in_one_line_and_made_anew(tmp_path, track, capsys, broken):
    spoil, reason = BROKEN[broken]
    path = CachedTrack(track, tmp_path / "cache", 8000, 2).path
    path.write_bytes(spoil(path.read_bytes()))
    again = CachedTrack(track, tmp_path / "cache", 8000, 2)
    assert again.decoded
    torch.testing.assert_close(again.chunk(), track.read())
    line = capsys.readouterr().err
    assert re.fullmatch(f"unetsep: the cached track {re.escape(str(path))} {reason}: it is decoded again\n", line)


def test_a_file_that_is_cut_while_it_is_read_is_told_in_one_line(tmp_path, track):
    cached = CachedTrack(track, tmp_path / "cache", 8000, 2)
    cached.chunk(0, 100)
    os.truncate(cached.path, 1000)
    with pytest.raises(InputError, match=r"\.stems was truncated while it was in use: start again") as error:
        cached.chunk(0, 100)
    assert "\n" not in str(error.value)
    with pytest.raises(InputError, match="is truncated: 1000 bytes, not"):
        pickle.loads(pickle.dumps(cached)).chunk(0, 100)


def test_a_file_that_vanishes_is_read_on_by_who_had_it_open_and_named_to_others(tmp_path, track):
    cached = CachedTrack(track, tmp_path / "cache", 8000, 2)
    before = cached.chunk(0, 100)
    late = pickle.loads(pickle.dumps(cached))
    cached.path.unlink()
    assert torch.equal(cached.chunk(0, 100), before)
    with pytest.raises(InputError, match=r"\.stems was removed while it was in use"):
        late.chunk(0, 100)


def test_a_copy_of_other_files_is_not_read_in_place_of_the_one_that_was_opened(tmp_path, track):
    late = CachedTrack(track, tmp_path / "cache", 8000, 2)
    soundfile.write(track.file("drums"), np.zeros((3000, 2)), 8000)
    for source in ("vocals", "bass", "other"):
        soundfile.write(track.file(source), np.zeros((3000, 2)), 8000)
    CachedTrack(track, tmp_path / "cache", 8000, 2)
    with pytest.raises(InputError, match="was changed while it was in use"):
        late.chunk()


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
