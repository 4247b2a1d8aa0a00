"""Training chunks: which one is drawn depends on the seed, the epoch and the chunk's number, and on nothing else.

Not on how many worker processes there are, not on whether training was interrupted: the sampler hands (epoch, number)
to the workers, and the loader's state lets a resumed epoch go on where it stopped.
"""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, DistributedSampler

from unetsep.data.cache import CachedTrack


class Batch(NamedTuple):
    """What a network is trained or judged on; the mixture is always `stems.sum(1)`.

    Attributes:
        stems: float32 (batch, source, channel, sample).
        tracks: the name of the track that each item was cut from (before any remix).
    """

    stems: Tensor
    tracks: list[str]


class Chunks(Dataset[tuple[Tensor, str]]):
    """Random chunks of tracks: every track is equally likely, then every chunk of it.

    Chunks that are silent from end to end teach nothing and are never drawn: those that lie within one silence of the
    mixture, as `CachedTrack.silent` lists them. A track without any other chunk is not drawn either, unless all are
    like that. Tracks shorter than a chunk are followed by silence.

    Args:
        tracks: to cut from.
        length: of a chunk in samples.
        seed: not negative.
        per_epoch: chunks in an epoch.
    """

    def __init__(self, tracks: Sequence[CachedTrack], length: int, seed: int, per_epoch: int) -> None:
        self.length = length
        self.seed = seed
        self.per_epoch = per_epoch
        heard = [(track, starts) for track in tracks if len(starts := _starts(track, length))]
        self._places = heard or [(track, np.array([[0, _last_start(track, length) + 1]])) for track in tracks]

    def __len__(self) -> int:
        return self.per_epoch

    def __getitem__(self, index: tuple[int, int] | int) -> tuple[Tensor, str]:
        """The chunk (epoch, number); a bare number means epoch 0, as under Lightning's `overfit_batches`."""
        track, start = self._place(index)
        return track.chunk(start, self.length), track.name

    def __getitems__(self, indices: Sequence[tuple[int, int] | int]) -> Batch:
        """Chunks as a batch, each written to its place at once: fresh memory costs more than the chunks do."""
        places = [self._place(index) for index in indices]
        stems = torch.empty(len(places), *self._places[0][0].shape[:-1], self.length)
        for (track, start), item in zip(places, stems, strict=True):
            track.chunk(start, self.length, out=item)
        return Batch(stems, [track.name for track, _ in places])

    def _place(self, index: tuple[int, int] | int) -> tuple[CachedTrack, int]:
        epoch, number = index if isinstance(index, tuple) else (0, index)
        random = np.random.default_rng([self.seed, epoch, number])
        track, starts = self._places[random.integers(len(self._places))]
        counts = np.cumsum(starts[:, 1] - starts[:, 0])
        place = random.integers(counts[-1])
        stretch = np.searchsorted(counts, place, side="right")
        return track, int(starts[stretch, 1] - (counts[stretch] - place))


def _last_start(track: CachedTrack, length: int) -> int:
    return max(0, track.samples - length)


def _starts(track: CachedTrack, length: int) -> npt.NDArray[np.int64]:
    """Where chunks may start that are not silent throughout: (stretch, 2), the first start and the end of each."""
    heard = min(length, track.samples)  # of a chunk; what follows the track's end is no silence of it
    silences = [(start, end - heard + 1) for start, end in track.silent if end - start >= heard]
    edges = [0, *(edge for silence in silences for edge in silence), _last_start(track, length) + 1]
    stretches = np.array(edges, dtype=np.int64).reshape(-1, 2)
    return stretches[stretches[:, 0] < stretches[:, 1]]


class WholeTracks(Dataset[tuple[Tensor, str]]):
    """Tracks from beginning to end, in the order given: what is measured.

    Args:
        tracks: to measure on.
        length: in samples; of a longer track the middle is taken, always the same. None takes all of it.
    """

    def __init__(self, tracks: Sequence[CachedTrack], length: int | None = None) -> None:
        self.tracks = list(tracks)
        self.length = length

    def __len__(self) -> int:
        return len(self.tracks)

    def __getitem__(self, index: int) -> tuple[Tensor, str]:
        track = self.tracks[index]
        length = min(track.samples, self.length or track.samples)
        return track.chunk((track.samples - length) // 2, length), track.name


class ChunkSampler(DistributedSampler[tuple[int, int]]):
    """Numbers the chunks of an epoch: (epoch, 0), (epoch, 1), ...; on several devices each takes its own batches.

    Args:
        chunks: the data set.
        batch_size: chunks in a batch.
        replicas: number of devices.
        rank: this device's number.
    """

    def __init__(self, chunks: Chunks, batch_size: int, replicas: int = 1, rank: int = 0) -> None:
        # A DistributedSampler, because Lightning calls its set_epoch and leaves it in place on several devices.
        super().__init__(chunks, num_replicas=replicas, rank=rank, shuffle=False)
        self.batch_size = batch_size
        self.batches = len(chunks) // batch_size
        self.first_batch = 0

    def __iter__(self) -> Iterator[Any]:
        for batch in range(self.first_batch, self.batches):
            first = (batch * self.num_replicas + self.rank) * self.batch_size
            yield from ((self.epoch, first + item) for item in range(self.batch_size))

    def __len__(self) -> int:
        return self.batches * self.batch_size


class ChunkLoader(DataLoader[tuple[Tensor, str]]):
    """A DataLoader that can go on in the middle of an epoch (Lightning keeps its state in the checkpoint)."""

    _given = 0  # batches of this epoch so far
    _resumed: tuple[int, int] | None = None  # the epoch to go on with, and how many of its batches have been

    def __iter__(self) -> Iterator[Any]:  # type: ignore[override]  # torch names its private class here
        # A generator, so that workers draw nothing before the first batch is asked for: Lightning calls iter() before
        # it tells the sampler the epoch.
        epoch, given = self._resumed or (0, 0)
        self._resumed = None
        self._given = 0
        if isinstance(self.sampler, ChunkSampler):
            self._given = given if epoch == self.sampler.epoch else 0
            self.sampler.first_batch = self._given
        try:
            for batch in super().__iter__():
                self._given += 1
                yield batch
        except (OSError, EOFError) as error:
            if self.num_workers == 0 or str(error).startswith("Caught "):  # of reading; torch passes on a worker's own
                raise
            # a worker that is killed while it hands a batch over hangs up, unseen by torch
            raise RuntimeError(f"DataLoader worker hung up: {error}") from error

    def state_dict(self) -> dict[str, int]:
        """Where the epoch stands."""
        return {"epoch": getattr(self.sampler, "epoch", 0), "given": self._given}

    def load_state_dict(self, state: dict[str, int]) -> None:
        """Makes the next iteration go on from there, if it is of the same epoch."""
        self._resumed = (state["epoch"], state["given"])


def collate(items: list[tuple[Tensor, str]] | Batch) -> Batch:
    """Items of a data set as a batch, unless they are one."""
    if isinstance(items, Batch):
        return items
    stems, names = zip(*items, strict=True)
    return Batch(torch.stack(stems), list(names))
