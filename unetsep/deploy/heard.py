"""A recording at a model's rate and channels, and its stems at the recording's, in blocks."""

import math
from collections.abc import Callable, Iterator

import numpy as np
import soxr
import torch
from torch import Tensor

from unetsep.audio.files import InputError
from unetsep.deploy.streaming import CHANGED, Stream

Blocks = Callable[[], Iterator[np.ndarray]]
"""Opens a recording anew and gives its samples in blocks, float32 `(sample, channel)`."""


class Heard:
    """A recording at a model's rate and in groups of as many channels as the model has, and the way back.

    Args:
        blocks: Opens the recording anew.
        rate: Of the recording, in hertz.
        channels: Of the recording.
        inner_rate: The model's.
        width: The model's channels.

    Attributes:
        rate: Of the recording.
        length: Its samples; known once it was read.
    """

    def __init__(self, blocks: Blocks, rate: int, channels: int, inner_rate: int, width: int) -> None:
        self.rate = rate
        self.length = 0
        self._blocks = blocks
        self._channels = channels
        self._inner_rate = inner_rate
        # the channels of each group, the last channel again where a group would not be full
        self._groups = torch.arange(-(-channels // width) * width).clamp(max=channels - 1).view(-1, width)

    def mixtures(self) -> Iterator[Tensor]:
        """The recording at the model's rate, `(group, channel, sample)`, read to its end.

        Raises:
            InputError: If it holds no samples.
        """
        yield from map(self._grouped, self._resampled(self._counted(), self.rate, self._inner_rate, self._channels))
        if not self.length:
            raise InputError("the recording holds no samples; there is nothing to separate")

    def _counted(self) -> Iterator[np.ndarray]:
        self.length = 0
        for block in self._blocks():
            self.length += len(block)
            yield block

    def matched(self, worker: Stream, loudness: Tensor, sources: list[int]) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """The recording again, `(sample, channel)`, and of some sources the same, `(source, sample, channel)`.

        Args:
            worker: The model at work.
            loudness: Of the recording's groups, `(group, 1, 1)`, as `level` measures it.
            sources: The numbers of the sources wanted.

        Raises:
            InputError: If the recording has another length than the first time.
        """
        length, width = self.length, len(sources) * self._channels
        heard: list[np.ndarray] = []  # and not yet separated

        def listened() -> Iterator[np.ndarray]:
            for block in self._counted():
                heard.append(block)
                yield block

        mixtures = map(self._grouped, self._resampled(listened(), self.rate, self._inner_rate, self._channels))
        inner_length = math.ceil(length * self._inner_rate / self.rate)
        waveforms = worker.waveforms(mixtures, loudness, inner_length, sources)
        columns = (self._ungrouped(waveform) for waveform in waveforms)
        position = 0
        for block in self._resampled(columns, self._inner_rate, self.rate, width, length):
            mixture = _taken(heard, len(block))
            position += len(block)
            yield mixture, block.reshape(len(block), len(sources), -1).transpose(1, 0, 2)
        for _ in mixtures:  # what came after as many samples as the first time
            pass
        if position != length or self.length != length:
            raise InputError(CHANGED)

    def _grouped(self, block: np.ndarray) -> Tensor:
        columns = torch.from_numpy(np.ascontiguousarray(block.T))
        if self._groups.numel() == self._channels:
            return columns.unflatten(0, self._groups.shape)
        return columns[self._groups]

    def _ungrouped(self, waveform: Tensor) -> np.ndarray:
        """`(group, source, channel, sample)` to columns, one for each source and channel of the recording."""
        channels = waveform.movedim(0, 1).flatten(1, 2)
        last = self._channels - 1
        if channels.shape[1] > last + 1:
            channels = torch.cat([channels[:, :last], channels[:, last:].mean(1, keepdim=True)], dim=1)
        return channels.flatten(0, 1).T.cpu().numpy()

    @staticmethod
    def _resampled(
        blocks: Iterator[np.ndarray], rate: int, new_rate: int, columns: int, length: int | None = None
    ) -> Iterator[np.ndarray]:
        """The blocks `(sample, column)` at another rate, by the SoX resampler at its high quality.

        Args:
            blocks: float32.
            rate: Theirs.
            new_rate: Of the result.
            columns: Of each block.
            length: Samples of the result; as many as fit the whole, rounded up, when not given.
        """
        if rate == new_rate:
            yield from blocks
            return
        resampler = soxr.ResampleStream(rate, new_rate, columns, dtype="float32", quality="HQ")
        heard = given = 0
        for block in blocks:
            heard += len(block)
            part = resampler.resample_chunk(np.ascontiguousarray(block))
            if length is not None:
                part = part[: length - given]
            given += len(part)
            if len(part):
                yield part
        rest = resampler.resample_chunk(np.empty((0, columns), np.float32), last=True)
        missing = (math.ceil(heard * new_rate / rate) if length is None else length) - given
        if missing > 0:
            rest = rest[:missing]
            yield np.concatenate([rest, np.zeros((missing - len(rest), columns), np.float32)])


def _taken(blocks: list[np.ndarray], count: int) -> np.ndarray:
    """The first samples of a list of blocks, which they leave."""
    parts = []
    while count:
        if not blocks:
            raise InputError(CHANGED)
        block = blocks.pop(0)
        parts.append(block[:count])
        if len(block) > count:
            blocks.insert(0, block[count:])
        count -= len(parts[-1])
    return parts[0] if len(parts) == 1 else np.concatenate(parts)
