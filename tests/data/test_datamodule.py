import contextlib
import pickle
import warnings

import numpy as np
import pytest
import soundfile
import torch
from lightning import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback, ModelCheckpoint

from unetsep.audio.files import InputError
from unetsep.data import Batch, Remix, StemsDataModule
from unetsep.data.chunks import ChunkLoader, ChunkSampler, collate


def module(root, **settings):
    small = {"sample_rate": 8000, "segment_seconds": 0.1, "batch_size": 2, "batches_per_epoch": 3}
    return StemsDataModule(root, **(small | settings))


def epochs(loader, *numbers):
    """All batches of these epochs, as (stems, tracks)."""
    batches = []
    for number in numbers:
        loader.sampler.set_epoch(number)
        batches += list(loader)
    return batches


def same(ours, theirs):
    assert [batch.tracks for batch in ours] == [batch.tracks for batch in theirs]
    return all(torch.equal(one.stems, two.stems) for one, two in zip(ours, theirs, strict=True))


def test_training_batches_have_the_shape_and_number_asked_for(small_set):
    batches = epochs(module(small_set, segment_seconds=0.2).train_dataloader(), 0)
    assert len(batches) == 3
    for batch in batches:
        assert isinstance(batch, Batch)
        assert batch.stems.shape == (2, 4, 2, 1600)
        assert batch.stems.dtype == torch.float32
        assert set(batch.tracks) <= {"a", "b", "c"}


def test_a_chunk_is_cut_from_its_track_with_all_stems_in_step(small_set):
    data = module(small_set)
    whole = {track.name: track.chunk() for track in data.tracks("train")}
    for batch in epochs(data.train_dataloader(), 0):
        for stems, name in zip(batch.stems, batch.tracks, strict=True):
            windows = whole[name].unfold(2, 800, 1)  # (source, channel, start, sample)
            assert (windows.movedim(2, 0) == stems).all(dim=(1, 2, 3)).sum() == 1


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


def test_chunks_of_a_longer_track_are_drawn_more_often(tmp_path, write_track):
    for name, samples in (("a", 1800), ("b", 4800), ("c", 900)):
        write_track(tmp_path / "train" / name, samples=samples)
    data = module(tmp_path, batch_size=50, batches_per_epoch=40, valid_tracks=["c"])
    names = [name for batch in epochs(data.train_dataloader(), 0) for name in batch.tracks]
    assert names.count("b") / len(names) == pytest.approx(4001 / (4001 + 1001), abs=0.03)


def test_silent_chunks_are_drawn_again(tmp_path, write_track):
    for name in ("a", "b"):
        write_track(tmp_path / "train" / name, samples=8000)
    for stem in (tmp_path / "train" / "a").iterdir():
        sound, rate = soundfile.read(stem)
        sound[:6000] = 0  # three quarters
        soundfile.write(stem, sound, rate)
    (batch,) = epochs(module(tmp_path, batch_size=200, batches_per_epoch=1).train_dataloader(), 0)
    levels_db = 10 * torch.log10(batch.stems.sum(dim=1).square().mean(dim=(1, 2)) + 1e-12)
    assert set(batch.tracks) == {"a"}
    assert (levels_db > -60).float().mean() > 0.9  # without the rule, less than a third


def test_a_track_that_is_silent_throughout_is_still_drawn_after_ten_attempts(tmp_path, write_track):
    for name in ("a", "b"):
        write_track(tmp_path / "train" / name)
    for stem in (tmp_path / "train" / "a").iterdir():
        soundfile.write(stem, np.zeros((4000, 2)), 8000)
    assert epochs(module(tmp_path).train_dataloader(), 0)[0].stems.abs().max() == 0


def test_a_track_shorter_than_a_chunk_is_followed_by_silence(small_set):
    data = module(small_set, segment_seconds=2.0)
    whole = {track.name: track.chunk() for track in data.tracks("train")}
    for batch in epochs(data.train_dataloader(), 0):
        for stems, name in zip(batch.stems, batch.tracks, strict=True):
            length = whole[name].shape[-1]
            assert torch.equal(stems[..., :length], whole[name])
            assert stems[..., length:].abs().max() == 0


def test_validation_and_test_read_whole_tracks_in_name_order(small_set):
    data = module(small_set)
    for _ in range(2):
        batches = list(data.val_dataloader())
        assert [batch.tracks for batch in batches] == [["d"], ["e"]]
        assert [batch.stems.shape for batch in batches] == [(1, 4, 2, 5500), (1, 4, 2, 6000)]
    assert [batch.tracks for batch in data.test_dataloader()] == [["f"]]
    assert [batch.tracks for batch in data.predict_dataloader()] == [["f"]]


def test_sources_rate_and_channels_are_as_asked(small_set):
    data = module(small_set, sources=("bass", "vocals"), sample_rate=4000, audio_channels=1)
    (batch,) = data.test_dataloader()
    assert batch.stems.shape == (1, 2, 1, 3250)


def test_setup_decodes_only_what_its_stage_needs(small_set, tmp_path):
    data = module(small_set, cache=tmp_path / "cache")
    data.setup("validate")
    assert len(list((tmp_path / "cache").iterdir())) == 2
    data.setup("fit")
    assert len(list((tmp_path / "cache").iterdir())) == 5
    data.setup("test")
    assert len(list((tmp_path / "cache").iterdir())) == 6


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"batch_size": 0}, "batch_size is 0: it must be at least 1"),
        ({"workers": -1}, "workers is -1"),
        ({"segment_seconds": 0.0}, r"segment_seconds is 0\.0"),
    ],
)
def test_impossible_settings_are_refused_by_name(small_set, settings, message):
    with pytest.raises(InputError, match=message):
        module(small_set, **settings)


def test_two_devices_share_the_chunks_of_a_batch_number(small_set):
    chunks = module(small_set).train_dataloader().dataset
    numbers = [list(ChunkSampler(chunks, 2, replicas=2, rank=rank)) for rank in (0, 1)]
    assert numbers[0] == [(0, 0), (0, 1), (0, 4), (0, 5), (0, 8), (0, 9)]
    assert sorted(numbers[0] + numbers[1]) == [(0, number) for number in range(12)]


class Recorder(LightningModule):
    """Learns nothing and remembers the training batches it saw."""

    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.ones(1))
        self.seen = []

    def training_step(self, batch, batch_idx):
        self.seen.append((self.current_epoch, batch_idx, batch.tracks, batch.stems.clone()))
        return self.weight.sum()

    def validation_step(self, batch, batch_idx):
        original = self.trainer.datamodule.tracks("valid")[batch_idx].chunk()
        # Told the batch size, Lightning does not guess it from the names of the tracks, and does not warn.
        self.log("remixed", float((batch.stems - original).abs().max()), batch_size=1)

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.1)


class InterruptedRunError(Exception):
    pass


class Interruption(Callback):
    """Stops the run as Ctrl-C would, in the midst of an epoch."""

    def __init__(self, epoch, batch):
        self.place = (epoch, batch)

    def on_train_batch_start(self, trainer, module, batch, batch_idx):
        if (trainer.current_epoch, batch_idx) == self.place:
            raise InterruptedRunError


def fit(data, folder, *callbacks, checkpoint=None, **settings):
    recorder = Recorder()
    callbacks = [ModelCheckpoint(folder, save_last=True, save_top_k=1, every_n_train_steps=1), *callbacks]
    quiet = {"logger": False, "enable_progress_bar": False, "enable_model_summary": False}
    trainer = Trainer(max_epochs=3, accelerator="cpu", callbacks=callbacks, **quiet, **settings)
    with contextlib.suppress(InterruptedRunError):
        trainer.fit(recorder, datamodule=data, ckpt_path=checkpoint)
    return recorder.seen


def assert_same_training(ours, theirs):
    assert [step[:3] for step in ours] == [step[:3] for step in theirs]
    for one, two in zip(ours, theirs, strict=True):
        assert torch.equal(one[3], two[3])


@pytest.mark.filterwarnings("ignore:Checkpoint directory .* exists and is not empty")
@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("place", [(1, 0), (1, 2), (0, 1)])
def test_a_run_stopped_anywhere_goes_on_with_the_chunks_and_the_remix_it_would_have_drawn(
    small_set, tmp_path, workers, place
):
    def data():
        return module(small_set, remix=Remix(), workers=workers)

    whole = fit(data(), tmp_path / "whole")
    assert len(whole) == 9
    stopped = fit(data(), tmp_path / "stopped", Interruption(*place))
    resumed = fit(data(), tmp_path / "stopped", checkpoint=tmp_path / "stopped" / "last.ckpt")
    assert len(stopped) == 3 * place[0] + place[1]
    assert_same_training(stopped + resumed, whole)


def test_a_finished_run_goes_on_with_the_next_epoch(small_set, tmp_path):
    whole = fit(module(small_set, remix=Remix()), tmp_path / "whole")
    short = fit(module(small_set, remix=Remix()), tmp_path / "short", limit_train_batches=2)
    assert [step[:2] for step in short] == [(epoch, batch) for epoch in range(3) for batch in range(2)]
    assert_same_training(short, [step for step in whole if step[1] < 2])


def test_training_batches_are_remixed_and_validation_tracks_are_not(small_set, tmp_path):
    plain = fit(module(small_set), tmp_path / "plain")
    loud = fit(module(small_set, remix=Remix((6.0206, 6.0206), 0.0, 0.0, 0.0)), tmp_path / "loud")
    for one, two in zip(plain, loud, strict=True):
        torch.testing.assert_close(2 * one[3], two[3])
    trainer = Trainer(accelerator="cpu", logger=False, enable_progress_bar=False, enable_checkpointing=False)
    (result,) = trainer.validate(Recorder(), datamodule=module(small_set, remix=Remix()), verbose=False)
    assert result["remixed"] == 0


def test_every_batch_of_every_epoch_is_remixed_in_its_own_way(small_set, tmp_path):
    plain = fit(module(small_set), tmp_path / "plain")
    varied = fit(module(small_set, remix=Remix((-6.0, 6.0), 0.0, 0.0, 0.0)), tmp_path / "varied")
    gains = [float(two[3][0, 0, 0, 0] / one[3][0, 0, 0, 0]) for one, two in zip(plain, varied, strict=True)]
    assert len(np.unique(np.round(gains, 3))) == 9


def test_overfitting_on_purpose_repeats_the_same_chunks_every_epoch(small_set, tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Lightning says that it takes away the sampler
        seen = fit(module(small_set), tmp_path, overfit_batches=2)
    assert len(seen) == 6
    assert all(torch.equal(seen[0][3], step[3]) for step in seen[2::2])
