"""The data of an experiment as Lightning takes it: random chunks to train on, whole tracks to judge by."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, get_args

import numpy as np
import torch
from lightning import LightningDataModule
from torch.utils.data import DataLoader

from unetsep.audio.files import InputError
from unetsep.data.cache import CachedTrack, cache_folder
from unetsep.data.chunks import Batch, ChunkLoader, Chunks, ChunkSampler, WholeTracks, collate
from unetsep.data.decoding import decode, refuse
from unetsep.data.musdb18 import download_preview
from unetsep.data.remix import Remix
from unetsep.data.store import CacheType
from unetsep.data.track import SOURCES
from unetsep.data.tracks import find_tracks

_SPLITS_OF_STAGE = {"fit": ("train", "valid"), "validate": ("valid",), "test": ("test",), "predict": ("test",)}


class StemsDataModule(LightningDataModule):
    """Stems of MUSDB18, MUSDB18-HQ or any folder of tracks, decoded once and then read chunk by chunk.

    Training batches are random chunks: chunk `i` of epoch `e` depends on (seed, e, i) alone, neither on the number of
    workers nor on an interruption. Every track is equally likely, and silence is avoided (see `Chunks`). Validation,
    test and prediction read whole tracks, one per batch, in name order; prediction takes the test tracks.

    Args:
        root: folder of the data set, with `train`, `test` and perhaps `valid` in it (see `find_tracks`): each holds
            MUSDB18's `.stem.mp4` files, or a folder per track with `<source>.<wav|flac|ogg|mp3>`.
        sources: names of the stems, in the order of the separator's outputs.
        sample_rate: in hertz, from 1 on; other rates are resampled once.
        audio_channels: 1 or 2.
        segment_seconds: length of a training chunk, at least one sample.
        batch_size: chunks in a batch, from 1 on.
        batches_per_epoch: on each device, from 1 on.
        workers: processes that load training chunks; 0 loads in the training process itself.
        seed: of the chunks and the remix, not negative.
        remix: how training batches are augmented; None takes the songs as they are.
        valid_tracks: names of the training tracks to validate on, if the data set has no `valid` folder.
        valid_seconds: validate on so much from the middle of each track, the same at every epoch; None takes whole
            tracks. Validation should not take longer than its epoch.
        download_preview: fetch the 7-second excerpts of MUSDB18 into `root` first, if it is empty.
        cache: folder of the decoded tracks; None takes `<root>/.unetsep`, or the user's cache folder where `root`
            cannot be written to.
        cache_dtype: of the decoded samples: "int16" keeps 16-bit files exactly, "float16" keeps 11 bits at any level.

    Raises:
        InputError: if a number is out of its range; later, if the tracks are not as they should be.
    """

    def __init__(
        self,
        root: Path,
        sources: Sequence[str] = SOURCES,
        sample_rate: int = 44_100,
        audio_channels: int = 2,
        segment_seconds: float = 6.0,
        batch_size: int = 8,
        batches_per_epoch: int = 100,
        workers: int = 0,
        seed: int = 0,
        remix: Remix | None = None,
        valid_tracks: list[str] | None = None,
        valid_seconds: float | None = None,
        download_preview: bool = False,
        cache: Path | None = None,
        cache_dtype: CacheType = "int16",
    ) -> None:
        super().__init__()
        at_least_one = {"sample_rate": sample_rate, "batch_size": batch_size, "batches_per_epoch": batches_per_epoch}
        for name, number in at_least_one.items():
            if number < 1:
                raise InputError(f"{name} is {number}: it must be at least 1")
        if workers < 0 or seed < 0:
            raise InputError(f"workers is {workers} and seed is {seed}: neither may be negative")
        if round(segment_seconds * sample_rate) < 1:
            raise InputError(f"segment_seconds is {segment_seconds}: a chunk needs at least one sample, say 6.0")
        if valid_seconds is not None and round(valid_seconds * sample_rate) < 1:
            raise InputError(f"valid_seconds is {valid_seconds}: give more than 0, say 30.0, or null for whole tracks")
        if cache_dtype not in get_args(CacheType):
            raise InputError(f"cache_dtype is {cache_dtype!r}: use {' or '.join(get_args(CacheType))}")
        self.root = Path(root)
        self.sources = tuple(sources)
        self.sample_rate = sample_rate
        self.audio_channels = audio_channels
        self.segment_seconds = segment_seconds
        self._length = round(segment_seconds * sample_rate)
        self.batch_size = batch_size
        self.batches_per_epoch = batches_per_epoch
        self.workers = workers
        self.seed = seed
        self.remix = remix
        self.valid_tracks = valid_tracks
        self.valid_seconds = valid_seconds
        self.download_preview = download_preview
        self.cache = cache
        self.cache_dtype: CacheType = cache_dtype
        self._tracks: dict[str, list[CachedTrack]] = {}

    def prepare_data(self) -> None:
        """Downloads the preview if asked to; decoding is left to `setup`, which knows the stage."""
        if self.download_preview:
            download_preview(self.root)

    def setup(self, stage: str) -> None:
        """Finds and decodes the tracks that a stage (fit, validate, test or predict) needs.

        Raises:
            InputError: if there are none, or one of them cannot be read.
        """
        for split in _SPLITS_OF_STAGE[stage]:
            self.tracks(split)

    def tracks(self, split: str) -> list[CachedTrack]:
        """The tracks of a split (train, valid or test) in name order, decoded on first use.

        Raises:
            InputError: if there are none, or some cannot be read; the others are in the cache by then.
        """
        if split not in self._tracks:
            found = find_tracks(self.root, split, self.sources, self.valid_tracks)
            folder = Path(self.cache or cache_folder(self.root))
            kind = (self.sample_rate, self.audio_channels, self.cache_dtype)
            cached, problems = decode(found, folder, *kind, what=f"decoding {split}")
            refuse(problems)
            self._tracks[split] = cached
        return self._tracks[split]

    def train_dataloader(self) -> ChunkLoader:
        """Random chunks, in batches."""
        length = self._length if self.remix is None else self.remix.needs(self._length)
        chunks = Chunks(self.tracks("train"), length, self.seed, self.batches_per_epoch * self.batch_size)
        replicas, rank = (self.trainer.world_size, self.trainer.global_rank) if self.trainer else (1, 0)
        return ChunkLoader(
            chunks,
            batch_size=self.batch_size,
            sampler=ChunkSampler(chunks, self.batch_size, replicas, rank),
            num_workers=self.workers,
            persistent_workers=self.workers > 0,
            collate_fn=collate,
            pin_memory=torch.cuda.is_available(),
        )

    def validated(self) -> WholeTracks:
        """What validation measures on: the validation tracks, whole or the middle of each.

        Raises:
            InputError: if there are none, or one of them cannot be read.
        """
        length = None if self.valid_seconds is None else round(self.valid_seconds * self.sample_rate)
        return WholeTracks(self.tracks("valid"), length)

    def val_dataloader(self) -> DataLoader[Any]:
        """The validation tracks, whole or the middle of each, one by one."""
        return self._whole(self.validated())

    def test_dataloader(self) -> DataLoader[Any]:
        """Whole test tracks, one by one."""
        return self._whole(WholeTracks(self.tracks("test")))

    def predict_dataloader(self) -> DataLoader[Any]:
        """Whole test tracks, one by one."""
        return self._whole(WholeTracks(self.tracks("test")))

    def on_after_batch_transfer(self, batch: Batch, dataloader_idx: int) -> Batch:
        """Remixes a training batch on its device, by random numbers that depend on (seed, epoch, batch) alone."""
        trainer = self.trainer
        if self.remix is None or trainer is None or not trainer.training:
            return batch
        number = trainer.fit_loop.epoch_loop.batch_progress.current.ready  # counted up after the transfer
        key = np.random.SeedSequence([self.seed, trainer.current_epoch, number, trainer.global_rank])
        generator = torch.Generator().manual_seed(int(key.generate_state(1, np.uint64)[0] >> 1))
        return Batch(self.remix(batch.stems, generator, self._length), batch.tracks)

    def on_exception(self, exception: BaseException) -> None:
        """Says in one line what went wrong with a loading process: torch tells it with tracebacks, at any moment."""
        text = str(exception)
        if isinstance(exception, InputError):
            exception.args = (text.rpartition("InputError: ")[2].strip(),)
        elif isinstance(exception, RuntimeError) and text.startswith("DataLoader worker"):
            exception.args = (
                f"a process that loads training chunks is gone ({' '.join(text.split())}), perhaps for lack of memory:"
                f" go on with --resume true, and with a lower data.workers than {self.workers} if it happens again",
            )
            vars(exception)["exit_code"] = 2  # which the command line asks every error for

    def _whole(self, tracks: WholeTracks) -> DataLoader[Any]:
        return DataLoader(
            tracks,
            batch_size=1,
            shuffle=False,
            collate_fn=collate,
            pin_memory=torch.cuda.is_available(),
        )
