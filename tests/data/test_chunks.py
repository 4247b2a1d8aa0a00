import pickle

import numpy as np
import pytest
import soundfile
import torch

from unetsep.audio.files import InputError
from unetsep.data.cache import CachedTrack
from unetsep.data.chunks import ChunkLoader, Chunks, ChunkSampler, collate

from .loading import epochs, module, same


def test_a_chunk_is_cut_from_its_track_with_all_stems_in_step(small_set):
    data = module(small_set)
    whole = {track.name: track.chunk() for track in data.tracks("train")}
    for batch in epochs(data.train_dataloader(), 0):
        for stems, name in zip(batch.stems, batch.tracks, strict=True):
            windows = whole[name].unfold(2, 800, 1)  # (source, channel, start, sample)
            assert (windows.movedim(2, 0) == stems).all(dim=(1, 2, 3)).sum() == 1


def test_a_batch_is_its_chunks(small_set):
    chunks = module(small_set).train_dataloader().dataset
    batch = collate(chunks.__getitems__([(1, 0), (1, 7), (0, 3)]))
    for index, stems, name in zip([(1, 0), (1, 7), 3], batch.stems, batch.tracks, strict=True):
        assert torch.equal(chunks[index][0], stems)
        assert chunks[index][1] == name


def test_one_seed_draws_the_same_chunks_and_another_seed_others(small_set):
    first = epochs(module(small_set, seed=3).train_dataloader(), 0, 1)
    assert same(first, epochs(module(small_set, seed=3).train_dataloader(), 0, 1))
    assert {batch.stems.sum() for batch in first}.isdisjoint(
        {batch.stems.sum() for batch in epochs(module(small_set, seed=4).train_dataloader(), 0, 1)}
    )


def test_no_two_epochs_are_alike_and_any_epoch_can_be_drawn_first(small_set):
    loader = module(small_set).train_dataloader()
    in_order = epochs(loader, 0, 1, 2)
    assert len({float(batch.stems.sum()) for batch in in_order}) == 9
    assert same(in_order[6:], epochs(module(small_set).train_dataloader(), 2))


def test_persistent_workers_draw_what_the_training_process_draws(small_set):
    alone = epochs(module(small_set).train_dataloader(), 0, 1)
    loader = module(small_set, workers=2).train_dataloader()
    assert loader.persistent_workers
    assert same(alone, epochs(loader, 0, 1))


def test_chunks_survive_the_journey_to_a_spawned_worker(small_set):
    chunks = module(small_set).train_dataloader().dataset
    chunks[0, 0]  # the memory map is open now
    content = pickle.dumps((chunks, collate))
    assert len(content) < 10_000
    received, _ = pickle.loads(content)
    for number in range(4):
        assert torch.equal(received[1, number][0], chunks[1, number][0])


@pytest.mark.slow
def test_spawned_workers_draw_what_the_training_process_draws(small_set):
    data = module(small_set)
    chunks = data.train_dataloader().dataset
    spawned = ChunkLoader(
        chunks,
        batch_size=2,
        sampler=ChunkSampler(chunks, 2),
        num_workers=2,
        collate_fn=collate,
        multiprocessing_context="spawn",
    )
    assert same(epochs(data.train_dataloader(), 1), epochs(spawned, 1))


def write_song(folder, write_track, samples, silent):
    """A track whose stems are exactly zero in the parts (start, end)."""
    write_track(folder, samples=samples)
    for stem in folder.iterdir():
        sound, rate = soundfile.read(stem)
        for start, end in silent:
            sound[start:end] = 0
        soundfile.write(stem, sound, rate)


def test_every_track_is_drawn_equally_often_however_long(tmp_path, write_track):
    for name, samples in (("a", 1800), ("b", 4800), ("c", 900)):
        write_track(tmp_path / "train" / name, samples=samples)
    data = module(tmp_path, batch_size=50, batches_per_epoch=40, valid_tracks=["c"])
    names = [name for batch in epochs(data.train_dataloader(), 0) for name in batch.tracks]
    assert names.count("b") / len(names) == pytest.approx(0.5, abs=0.03)


class Placed:
    """A track that answers with the start it was asked for."""

    def __init__(self, samples, silent=(), name="song"):
        self.samples, self.silent, self.name = samples, list(silent), name

    def chunk(self, start, length):
        return torch.tensor(start)


def starts(*tracks, length=100):
    chunks = Chunks(tracks, length, 0, 1)
    return [(name, int(start)) for start, name in (chunks[0, number] for number in range(4000))]


@pytest.mark.parametrize(
    ("samples", "silent", "allowed"),
    [
        (110, [], [*range(11)]),
        (110, [(0, 105)], [*range(6, 11)]),  # chunks 0 to 5 lie in the silence
        (310, [(50, 250)], [*range(50), *range(151, 211)]),
        (310, [(50, 149), (160, 259)], [*range(211)]),  # no silence is as long as a chunk
        (230, [(0, 104), (110, 230)], [*range(5, 110)]),
        (60, [(0, 50)], [0]),
    ],
)
def test_of_a_track_every_chunk_that_is_not_silent_throughout_is_drawn_equally_often(samples, silent, allowed):
    drawn = [start for _, start in starts(Placed(samples, silent))]
    counts = np.bincount(drawn, minlength=max(allowed) + 1)
    assert set(np.flatnonzero(counts)) == set(allowed)
    expected = len(drawn) / len(allowed)
    assert np.abs(counts[allowed] - expected).max() < 5 * expected**0.5


def test_a_track_that_is_silent_throughout_is_not_drawn_unless_all_are():
    silent, short = Placed(300, [(0, 300)], "silent"), Placed(60, [(0, 60)], "short")
    assert {name for name, _ in starts(silent, short, Placed(300, name="heard"))} == {"heard"}
    assert {name for name, _ in starts(silent, short)} == {"silent", "short"}


def test_silence_is_avoided_without_reading_it(tmp_path, write_track, monkeypatch):
    write_song(tmp_path / "train" / "a", write_track, 16000, [(0, 12000)])
    write_song(tmp_path / "train" / "b", write_track, 16000, [])
    data = module(tmp_path, segment_seconds=0.25, batch_size=200, batches_per_epoch=1)
    read, chunk = [], CachedTrack.chunk
    monkeypatch.setattr(CachedTrack, "chunk", lambda *args, **kwargs: read.append(args) or chunk(*args, **kwargs))
    (batch,) = epochs(data.train_dataloader(), 0)
    assert len(read) == 200
    levels_db = 10 * torch.log10(batch.stems.sum(dim=1).square().mean(dim=(1, 2)) + 1e-12)
    assert levels_db.min() > -60


def test_a_track_shorter_than_a_chunk_is_followed_by_silence(small_set):
    data = module(small_set, segment_seconds=2.0)
    whole = {track.name: track.chunk() for track in data.tracks("train")}
    for batch in epochs(data.train_dataloader(), 0):
        for stems, name in zip(batch.stems, batch.tracks, strict=True):
            length = whole[name].shape[-1]
            assert torch.equal(stems[..., :length], whole[name])
            assert stems[..., length:].abs().max() == 0


def test_a_cached_file_that_is_cut_is_told_in_one_line(small_set):
    data = module(small_set)
    loader = data.train_dataloader()
    for track in data.tracks("train"):
        track.path.write_bytes(track.path.read_bytes()[:-2])
    with pytest.raises(InputError, match="truncated"):
        epochs(loader, 0)


def test_two_devices_share_the_chunks_of_a_batch_number(small_set):
    chunks = module(small_set).train_dataloader().dataset
    numbers = [list(ChunkSampler(chunks, 2, replicas=2, rank=rank)) for rank in (0, 1)]
    assert numbers[0] == [(0, 0), (0, 1), (0, 4), (0, 5), (0, 8), (0, 9)]
    assert sorted(numbers[0] + numbers[1]) == [(0, number) for number in range(12)]
