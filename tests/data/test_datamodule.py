import contextlib
import multiprocessing
import os
import re
import signal
import warnings

import numpy as np
import pytest
import torch
import yaml
from lightning import LightningModule, Trainer
from lightning.fabric.utilities import move_data_to_device
from lightning.pytorch.callbacks import Callback, ModelCheckpoint
from torch.utils.data._utils.pin_memory import pin_memory

from unetsep.__main__ import main as unetsep
from unetsep.audio.files import InputError
from unetsep.data import Batch, Remix
from unetsep.training.module import SeparationModule

from .loading import epochs, module, same


def test_training_batches_have_the_shape_and_number_asked_for(small_set):
    batches = epochs(module(small_set, segment_seconds=0.2).train_dataloader(), 0)
    assert len(batches) == 3
    for batch in batches:
        assert isinstance(batch, Batch)
        assert batch.stems.shape == (2, 4, 2, 1600)
        assert batch.stems.dtype == torch.float32
        assert set(batch.tracks) <= {"a", "b", "c"}


def test_validation_and_test_read_whole_tracks_in_name_order(small_set):
    data = module(small_set)
    for _ in range(2):
        batches = list(data.val_dataloader())
        assert [batch.tracks for batch in batches] == [["d"], ["e"]]
        assert [batch.stems.shape for batch in batches] == [(1, 4, 2, 5500), (1, 4, 2, 6000)]
    assert [batch.tracks for batch in data.test_dataloader()] == [["f"]]
    assert [batch.tracks for batch in data.predict_dataloader()] == [["f"]]


def test_validation_may_take_the_same_middle_of_every_track(small_set):
    data, whole = module(small_set, valid_seconds=0.5), module(small_set)
    excerpts = [list(data.val_dataloader()) for _ in range(2)]
    assert same(*excerpts)
    for excerpt, track in zip(excerpts[0], whole.val_dataloader(), strict=True):
        middle = (track.stems.shape[-1] - 4000) // 2
        assert torch.equal(excerpt.stems, track.stems[..., middle : middle + 4000])
    assert same(module(small_set, valid_seconds=9.0).val_dataloader(), whole.val_dataloader())
    assert same(data.test_dataloader(), whole.test_dataloader())


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
        ({"valid_seconds": 0.0}, r"valid_seconds is 0\.0"),
        ({"cache_dtype": "int8"}, "cache_dtype is 'int8': use int16 or float16"),
    ],
)
def test_impossible_settings_are_refused_by_name(small_set, settings, message):
    with pytest.raises(InputError, match=message):
        module(small_set, **settings)


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


def test_chunks_are_cut_long_enough_for_the_fastest_tempo_and_trained_on_at_their_own_length(small_set, tmp_path):
    remix = Remix(tempo=1.0, tempo_factor=(1.5, 1.5), stretch_window=64)
    data = module(small_set, remix=remix)
    assert epochs(data.train_dataloader(), 0)[0].stems.shape[-1] == remix.needs(800) > 1200
    stems = torch.stack([step[3] for step in fit(data, tmp_path / "run")])
    assert stems.shape == (9, 2, 4, 2, 800)
    assert stems[..., -100:].abs().amax(dim=-1).min() > 0.01  # no end is silent


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


def test_a_loading_process_that_is_killed_ends_the_training_in_one_line(config, tmp_path, monkeypatch, capsys):
    def training_step(module, batch, batch_idx):
        for process in multiprocessing.active_children():
            os.kill(process.pid, signal.SIGKILL)
        return module.separator(batch.stems.sum(1)).sum()

    monkeypatch.setattr(SeparationModule, "training_step", training_step)
    config["data"] |= {"workers": 1, "batches_per_epoch": 50}
    path = tmp_path / "config.yaml"
    path.write_text(yaml.safe_dump(config))
    assert unetsep(["fit", f"--config={path}"]) == 2
    line = capsys.readouterr().err.splitlines()[-1]
    assert re.fullmatch(r"unetsep: a process that loads training chunks is gone .*: go on with --resume true.*", line)
    for process in multiprocessing.active_children():
        process.join(10)
    assert not multiprocessing.active_children()


@pytest.mark.parametrize("lost", [ConnectionResetError("reset"), FileNotFoundError("socket"), EOFError()])
def test_a_process_that_dies_while_it_hands_a_batch_over_counts_as_gone(small_set, monkeypatch, lost):
    monkeypatch.setattr("torch.utils.data.DataLoader.__iter__", lambda _: failing(lost))
    with pytest.raises(RuntimeError, match=r"^DataLoader worker hung up"):
        next(iter(module(small_set, workers=1).train_dataloader()))


@pytest.mark.parametrize(("workers", "text"), [(0, "disk"), (1, "Caught OSError in DataLoader worker process 0.")])
def test_an_error_of_reading_is_not_taken_for_a_process_that_is_gone(small_set, monkeypatch, workers, text):
    monkeypatch.setattr("torch.utils.data.DataLoader.__iter__", lambda _: failing(OSError(text)))
    with pytest.raises(OSError, match=text):
        next(iter(module(small_set, workers=workers).train_dataloader()))


def failing(error):
    """A loader's batches, of which not even the first one comes."""
    raise error
    yield


@pytest.mark.parametrize("workers", [0, 1])
def test_a_cached_track_that_is_cut_ends_the_training_in_one_line(small_set, tmp_path, workers):
    data = module(small_set, workers=workers)
    for track in data.tracks("train"):
        track.path.write_bytes(track.path.read_bytes()[:-2])
    with pytest.raises(InputError, match=r"^the cached track .* is truncated: .*: start again, and it is") as error:
        fit(data, tmp_path / "run")
    assert "\n" not in str(error.value)


def test_a_stem_that_vanishes_during_a_training_does_not_disturb_it(small_set):
    data = module(small_set)
    whole = epochs(data.train_dataloader(), 0, 1)
    loader = data.train_dataloader()
    first = epochs(loader, 0)
    for stem in small_set.glob("*/*/drums.wav"):
        stem.unlink()
    assert same(first + epochs(loader, 1), whole)


def test_unreadable_tracks_are_told_when_the_others_are_in_the_cache(small_set):
    (small_set / "train" / "a" / "drums.wav").write_bytes(b"no sound")
    with pytest.raises(InputError, match=r"train/a/drums\.wav"):
        module(small_set).setup("fit")
    assert len(list((small_set / ".unetsep").iterdir())) == 2


def test_the_samples_are_kept_in_the_type_asked_for(small_set):
    for cache_dtype in ("int16", "float16"):
        tracks = module(small_set, cache_dtype=cache_dtype).tracks("train")
        assert all(track.path.name.endswith(f"{cache_dtype}.stems") for track in tracks)


def test_a_batch_is_pinned_and_moved_as_what_it_is(small_set, monkeypatch):
    (batch,) = module(small_set, batches_per_epoch=1).train_dataloader()
    moved = move_data_to_device(batch, torch.device("meta"))
    assert isinstance(moved, Batch)
    assert moved.stems.is_meta
    pinned = []
    monkeypatch.setattr(torch.Tensor, "pin_memory", lambda tensor, *_: pinned.append(tensor) or tensor)
    assert isinstance(pin_memory(batch), Batch)
    assert pinned == [batch.stems]
    for there in (False, True):
        monkeypatch.setattr(torch.cuda, "is_available", lambda there=there: there)
        data = module(small_set)
        assert data.train_dataloader().pin_memory == data.val_dataloader().pin_memory == there
