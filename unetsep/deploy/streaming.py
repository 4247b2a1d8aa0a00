"""Separation of recordings of any length at constant memory: segments that fit together to one pass over the whole.

Frames go to the network in segments with as much context on both sides as its receptive field takes, and only what is
inside is kept, so nothing changes where segments meet. Where the network sees everything (recurrent layers, attention),
or less context is asked for, neighbours fade into each other.
"""

import math
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple, TypeVar

import torch
from torch import Tensor

from unetsep.audio.files import InputError
from unetsep.audio.frames import istft_blocks, power_blocks, stft_blocks
from unetsep.audio.stft import frame_count
from unetsep.model.separator import Separator

FRAMES = 64
"""Frames that are transformed at once: their spectra fit the processor's cache."""

Item = TypeVar("Item")

CHANGED = "the recording changed while it was read: separate it again"

_FEWEST_FRAMES = 256  # new frames of a segment: enough that calls and context do not count much,
_MOST_FRAMES = 1024  # and not more than memory is glad to hold, as long as context takes no more than half
_LONGEST_SECONDS = 86_400  # of a segment: longer than any recording
_ENDLESS_SECONDS, _ENDLESS_OVERLAP = 10.0, 0.25  # of a network without a bound to what it sees


class Segments(NamedTuple):
    """How a recording is cut, in frames.

    Attributes:
        step: New frames of each segment.
        context: Frames on either side that the network reads and whose estimates are dropped.
        fade: Frames over which an estimate turns into the next segment's; 0 where they are equal anyway.
    """

    step: int
    context: int
    fade: int


def plan(model: Separator, segment_seconds: float | None = None, overlap: float | None = None) -> Segments:
    """The segments for a model: exact ones by default.

    Args:
        model: Whose receptive field decides.
        segment_seconds: What the network reads at once, context included; as much as is efficient when not given.
        overlap: Share of it that the next segment reads again, 0 to less than 1; what the network sees when not given.

    Raises:
        InputError: If a setting is out of its range, or a segment has no room for what the network sees.
    """
    if segment_seconds is not None and not 0 < segment_seconds <= _LONGEST_SECONDS:
        raise InputError(f"segment_seconds is {segment_seconds}, but must be more than 0, at most {_LONGEST_SECONDS}")
    if overlap is not None and not 0 <= overlap < 1:
        raise InputError(f"overlap is {overlap}, but must be from 0 to less than 1, such as 0.25")
    per_second, stride = model.sample_rate / model.hop, model.frame_stride
    _, seen = model.net.receptive_field()
    # what an output sees lies around it, but for half a stride at each level, together less than the whole stride
    reach = math.inf if math.isinf(seen) else _whole(seen / 2 + stride, stride)
    if overlap is None and math.isinf(reach):
        overlap = _ENDLESS_OVERLAP
    if overlap is None:
        context = int(reach)
        if segment_seconds is None:
            step = max(_FEWEST_FRAMES, min(6 * context, _MOST_FRAMES), 2 * context)
            return Segments(_whole(step, math.lcm(stride, FRAMES)), context, 0)
        room = int(segment_seconds * per_second) - 2 * context
        if room < 1:
            raise InputError(
                f"segment_seconds is {segment_seconds:g}, but the network sees {2 * context / per_second:.3g} s around "
                "a frame: give more than that, or an overlap at which segments fade into each other"
            )
        return Segments(_whole(room, math.lcm(stride, FRAMES)), context, 0)
    segment = (segment_seconds or _ENDLESS_SECONDS) * per_second
    shared = round(overlap * segment)
    exact = shared >= 2 * reach
    context = int(reach) if exact else int(shared / 4) // stride * stride
    step = _whole(max(segment - shared, 1), math.lcm(stride, FRAMES))
    return Segments(step, context, 0 if exact else min(max(shared - 2 * context, 0), step))


def _whole(frames: float, unit: int) -> int:
    """The frames, rounded up to whole units."""
    return math.ceil(frames / unit) * unit


def level(mixtures: Iterable[Tensor], n_fft: int, hop: int) -> Tensor:
    """Root mean square of all bins of each example's `stft`, `(batch, 1, 1)`, by which the model scales a mixture.

    Args:
        mixtures: `(batch, channel, sample)`, one block after the other.
        n_fft: Window length in samples.
        hop: Step between frames in samples.

    Returns:
        float32, at least 1e-8, so that silence can be divided by it.
    """
    total, bins = torch.zeros(()), 0
    for powers in power_blocks(mixtures, n_fft, hop, FRAMES):
        total = total + powers.double().sum((1, 2))
        bins += powers[0].numel() * (n_fft // 2 + 1)
    return (total / bins).sqrt().clamp_min(1e-8).to(torch.float32)[:, None, None]


class Stream:
    """A model at work on one recording.

    Args:
        model: In evaluation mode, on the device where it computes.
        segments: As `plan` makes them.
        consistent: Have several sources add up to the mixture: what is missing is divided among them evenly (Wisdom et
            al., "Differentiable consistency constraints for improved deep speech enhancement", 2019).
        precision: In which the network computes on that device.
    """

    def __init__(self, model: Separator, segments: Segments, consistent: bool, precision: torch.dtype) -> None:
        self.model = model
        self.segments = segments
        self.consistent = consistent and len(model.sources) > 1
        self.precision = precision
        self.device = next((weight.device for weight in model.parameters()), torch.device("cpu"))

    def waveforms(self, blocks: Iterator[Tensor], level: Tensor, length: int, sources: list[int]) -> Iterator[Tensor]:
        """Some of the sources of a mixture.

        Shape:
            - Blocks: `(batch, channel, sample)`, in all `length` samples.
            - Yields: `(batch, source, channel, sample)`, in all `length` samples.

        Args:
            blocks: The mixture at the model's rate.
            level: Of the whole mixture, as `level` measures it.
            length: Samples of the mixture.
            sources: The numbers of the sources wanted.

        Raises:
            InputError: If the blocks end before all frames of `length` samples are there.
        """
        n_fft, hop = self.model.n_fft, self.model.hop
        level = level.to(self.device)
        scaled = (block.to(self.device) / level for block in blocks)
        spectra = stft_blocks(scaled, n_fft, hop, FRAMES)
        estimates = self._estimates(spectra, frame_count(length, hop), sources)
        for waveform in istft_blocks(estimates, n_fft, hop, length):
            yield waveform.mul_(level[:, None])

    def _estimates(self, spectra: Iterator[Tensor], frames: int, sources: list[int]) -> Iterator[Tensor]:
        """The sources' spectra `(batch, source, channel, frame, freq)`, `FRAMES` at a time as the mixture's come."""
        fade = self.segments.fade
        fading: Tensor | None = None  # the last segment's output for this one's first frames
        for output, waiting in _ahead(self._outputs(spectra, frames)):
            for number, spectrum in enumerate(waiting):
                frame = number * FRAMES
                estimate = self._estimate(output[..., frame : frame + FRAMES], spectrum, sources)
                if fading is not None and (before := fading[..., frame : frame + FRAMES]).shape[-1]:
                    # numbered from 1, so that neither side is ever alone
                    share = torch.arange(frame + 1, frame + 1 + before.shape[-1], device=self.device) / (fade + 1)
                    faded = self._estimate(before, spectrum[..., : before.shape[-1], :], sources)
                    estimate[..., : before.shape[-1], :].lerp_(faded, (1 - share)[:, None].to(faded))
                yield estimate
            step = FRAMES * len(waiting)
            fading = output[..., step : step + fade] if fade else None

    def _outputs(self, spectra: Iterator[Tensor], frames: int) -> Iterator[tuple[Tensor, list[Tensor]]]:
        """For each segment what the network writes, from its first new frame on, and the new frames' spectra."""
        step, context, fade = self.segments
        features: Tensor | None = None  # what the network reads: (batch, plane, frame, freq)
        read_ahead: deque[Tensor] = deque()  # spectra of the next segments
        begin = end = 0  # of the frames in `features`
        for first in range(0, frames, step):
            last = min(first + step, frames)
            needed = min(last + fade + context, frames)
            start = max(first - context, 0)
            if features is not None:
                kept = features[..., start - begin : end - begin, :].clone()
                features[..., : kept.shape[-2], :] = kept
            begin = start
            while end < needed:
                if (spectrum := next(spectra, None)) is None or end + spectrum.shape[-2] > frames:
                    raise InputError(CHANGED)
                read = self.model.read(spectrum[..., :-1])
                if features is None:
                    longest = min(step + 2 * context + fade, frames) + FRAMES
                    features = read.new_zeros(*read.shape[:-2], longest, read.shape[-1])
                features[..., end - begin : end - begin + read.shape[-2], :] = read
                end += read.shape[-2]
                read_ahead.append(spectrum)
            assert features is not None
            output = self._computed(features[..., : needed - begin, :].transpose(-1, -2))
            if output.untyped_storage().data_ptr() == features.untyped_storage().data_ptr():
                output = output.clone()  # of a network that does nothing: the next segment is written over it
            yield output[..., first - begin :], [read_ahead.popleft() for _ in range(first, last, FRAMES)]

    def _computed(self, features: Tensor) -> Tensor:
        """The network's output."""
        if self.precision == torch.float32:
            return self.model.net(features)
        with torch.autocast(self.device.type, self.precision):
            return self.model.net(features)

    def _estimate(self, output: Tensor, spectrum: Tensor, sources: list[int]) -> Tensor:
        """Some sources' spectra of a few frames: the highest bin shares its neighbour's estimate."""
        model = self.model
        planes = output.unflatten(1, (len(model.sources), model.audio_channels, -1)).transpose(-1, -2)
        filled = planes.new_empty(*planes.shape[:-1], planes.shape[-1] + 1, dtype=torch.float32)
        filled[..., :-1] = planes
        filled[..., -1] = planes[..., -1]
        filled = model.estimate.between(filled)
        if self.consistent and not model.estimate.consistent:
            estimate = model.estimate.spectra(filled, spectrum)
            return (estimate + ((spectrum - estimate.sum(1)) / estimate.shape[1])[:, None])[:, sources]
        first = sources == list(range(len(sources)))  # a slice is no copy
        return model.estimate.spectra(filled[:, : len(sources)] if first else filled[:, sources], spectrum)


def _ahead(items: Iterator[Item]) -> Iterator[Item]:
    """The items, each made in another thread while the one before is used: processors with few cores stay busy."""

    @torch.inference_mode()
    def following() -> Item | None:
        return next(items, None)

    with ThreadPoolExecutor(1) as thread:
        coming = thread.submit(following)
        while (item := coming.result()) is not None:
            coming = thread.submit(following)
            yield item
