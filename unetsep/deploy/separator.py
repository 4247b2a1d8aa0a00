"""A trained model at work on recordings of any rate, length and number of channels."""

import copy
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from unetsep.audio.files import InputError
from unetsep.audio.recording import MOST_CHANNELS
from unetsep.deploy.heard import Blocks, Heard
from unetsep.deploy.machine import fast_in_bfloat16
from unetsep.deploy.streaming import Stream, level, plan
from unetsep.deploy.weights import load_separator
from unetsep.model.fusion import fused
from unetsep.model.separator import Separator as Model

PRECISIONS = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
_BLOCK_SAMPLES = 65_536


class Separator:
    """A trained model at work: any recording to its stems, on a waveform or block by block.

    A recording is resampled to the model's rate and its stems back. Its channels are taken in groups of as many as the
    model has (a mono model: each alone); a group that is not full is filled up with the last channel, and the answers
    for one channel are averaged. The model itself is copied, its normalisations folded into its convolutions.

    Args:
        model: What `unetsep.model.Separator` is, trained.
        device: Where it computes: "cpu", "cuda", ...; "auto" takes a GPU where there is one.
        precision: "float32", "bfloat16" or "float16"; "auto" takes bfloat16 where the machine computes it fast.

    Attributes:
        model: The network with its STFT, ready to compute.
        device: Where it computes.
        precision: In which the network computes, a `torch.dtype`.
        sources: The stems' names.
        sample_rate: That the model was trained at, in hertz.
        audio_channels: 1 or 2: that the model was trained on.

    Raises:
        InputError: If the device or the precision is not there.
    """

    def __init__(self, model: Model, *, device: str = "auto", precision: str = "auto") -> None:
        if device == "auto":
            device = "cuda" if torch.cuda.is_available() else "cpu"
        if precision not in ("auto", *PRECISIONS):
            raise InputError(f"precision is {precision!r}: use auto, {', '.join(PRECISIONS)}")
        try:
            self.model = fused(copy.deepcopy(model).eval()).to(device)
            self.model.net.to(memory_format=torch.channels_last)  # as convolutions read it fastest
            torch.zeros(1).to(device).add_(1).item()  # a device that is known and not there
        except (RuntimeError, AssertionError) as error:
            raise InputError(f"cannot compute on the device {device!r}: {str(error).splitlines()[0]}") from None
        if precision == "float16" and device == "cpu":
            raise InputError("precision is 'float16', which CPUs do not compute: use bfloat16 or float32")
        if precision == "auto":
            precision = "bfloat16" if fast_in_bfloat16(device) else "float32"
        self.device = device
        self.precision = PRECISIONS[precision]
        self.sources = self.model.sources
        self.sample_rate = self.model.sample_rate
        self.audio_channels = self.model.audio_channels

    @classmethod
    def load(
        cls,
        path: Path | str,
        *,
        at_most: Mapping[str, float] | None = None,
        device: str = "auto",
        precision: str = "auto",
    ) -> "Separator":
        """A separator from disk.

        Args:
            path: A checkpoint, a file that `unetsep export` wrote, a run's folder, or a sweep's (its best trial).
            at_most: For a sweep's folder: what the trial may cost, such as `{"gmacs_per_second": 0.5}`.
            device: As for `Separator`.
            precision: As for `Separator`.

        Raises:
            InputError: If there is no such model, none within `at_most`, or it is broken or would run code; if it is an
                `.onnx` file and the extra `onnx` is not installed; or if the device or the precision is not there.
        """
        return cls(load_separator(Path(path), at_most=at_most), device=device, precision=precision)

    def separate(
        self,
        waveform: Tensor | np.ndarray,
        sample_rate: int,
        *,
        stems: Sequence[str] | None = None,
        minus: Sequence[str] = (),
        consistent: bool = True,
        segment_seconds: float | None = None,
        overlap: float | None = None,
        on_progress: Callable[[float, float], None] | None = None,
    ) -> dict[str, Tensor]:
        """The stems of a recording in memory, each of the recording's length, rate and channels.

        Shape:
            - Waveform: `(channel, sample)`, or `(sample)` for one channel.
            - Output: for each name as the waveform, on the CPU.

        Args:
            waveform: The recording, full scale at 1.0.
            sample_rate: Its rate, in hertz, from 1 on.
            stems: Names of those wanted; all when not given.
            minus: Names of stems that one more output, `minus_<names>`, is without; alone, it is the only output.
            consistent: Have the stems add up to the recording; what lies above the model's highest frequency is then
                part of the last stem. A model of one stem is left as it is.
            segment_seconds: As for `plan`.
            overlap: As for `plan`.
            on_progress: Told the seconds that are done and those there are.

        Raises:
            InputError: If the recording has no samples, more than 64 channels, NaN or infinity in it, or is too loud to
                compute with; if the model has no such stem; or if a setting lies outside its range.
        """
        recording = torch.as_tensor(waveform).detach().to("cpu", torch.float32)
        shape = tuple(recording.shape)
        if recording.ndim not in (1, 2) or not recording.numel():
            raise InputError(f"the waveform has the shape {shape}: give (channel, sample), at least one of each")
        if recording.ndim == 2 and len(recording) > MOST_CHANNELS:
            raise InputError(
                f"the waveform has the shape {shape}: give (channel, sample), at most {MOST_CHANNELS} channels"
            )
        if not recording.isfinite().all():
            raise InputError("the waveform holds NaN or infinite samples")
        rows = recording.reshape(-1, recording.shape[-1])
        columns = rows.T.numpy()

        def blocks() -> Iterator[np.ndarray]:
            for first in range(0, len(columns), _BLOCK_SAMPLES):
                yield columns[first : first + _BLOCK_SAMPLES]

        settings: dict[str, Any] = {"segment_seconds": segment_seconds, "overlap": overlap, "on_progress": on_progress}
        stream = self.stream(
            blocks, sample_rate, len(rows), stems=stems, minus=minus, consistent=consistent, **settings
        )
        found: dict[str, Tensor] = {}
        first = 0
        for block in stream:
            for name, part in block.items():
                whole = found.setdefault(name, torch.empty_like(rows))
                whole[:, first : first + len(part)] = torch.from_numpy(part).T
            first += len(part)
        return {name: whole.reshape(recording.shape) for name, whole in found.items()}

    def stream(
        self,
        blocks: Blocks,
        sample_rate: int,
        channels: int,
        *,
        stems: Sequence[str] | None = None,
        minus: Sequence[str] = (),
        consistent: bool = True,
        segment_seconds: float | None = None,
        overlap: float | None = None,
        on_progress: Callable[[float, float], None] | None = None,
    ) -> Iterator[dict[str, np.ndarray]]:
        """The stems of a recording block by block, at a memory that does not depend on its length.

        The recording is read twice: once for its length and level, once to separate it.

        Args:
            blocks: Opens the recording anew and gives its samples in blocks, float32 `(sample, channel)`.
            sample_rate: Of the recording, in hertz, from 1 on.
            channels: Of the recording, from 1 on.
            stems: As for `separate`, like all that follow.
            minus: Names of stems.
            consistent: Have the stems add up to the recording.
            segment_seconds: What the network reads at once.
            overlap: Share of it that is read again.
            on_progress: Told the seconds that are done and those there are.

        Returns:
            Yields, by name, float32 `(sample, channel)`: together each as long as the recording.

        Raises:
            InputError: At once, if the model has no such stem or a setting lies outside its range; when read, if the
                recording is empty, too loud to compute with, or another one the second time.
        """
        for name in (*(stems or ()), *minus):
            if name not in self.sources:
                raise InputError(f"there is no stem {name!r}: the model separates {', '.join(self.sources)}")
        if sample_rate < 1 or channels < 1:
            raise InputError(f"the recording has {channels} channels at {sample_rate} Hz: it needs at least 1 of each")
        wanted = tuple(dict.fromkeys(stems or (() if minus else self.sources)))
        segments = plan(self.model, segment_seconds, overlap)
        worker = Stream(self.model, segments, consistent, self.precision)
        recording = Heard(blocks, sample_rate, channels, self.sample_rate, self.audio_channels)
        return self._stream(worker, recording, wanted, tuple(dict.fromkeys(minus)), on_progress)

    @torch.inference_mode()
    def _stream(
        self,
        worker: Stream,
        recording: Heard,
        wanted: tuple[str, ...],
        minus: tuple[str, ...],
        on_progress: Callable[[float, float], None] | None,
    ) -> Iterator[dict[str, np.ndarray]]:
        model = self.model
        loudness = level(recording.mixtures(), model.n_fft, model.hop)
        if not loudness.isfinite().all():
            raise InputError("the recording is too loud to compute with: scale it to a full scale of 1.0")
        needed = [k for k, name in enumerate(self.sources) if name in (*wanted, *minus)]
        # The last stem is what the others leave of the mixture: of all stems, one inverse transform less; and where the
        # rates differ, it has what the model cannot hear, also when it is asked for alone.
        last = len(self.sources) - 1
        alike = recording.rate == self.sample_rate
        remainder = worker.consistent and last in needed and (len(needed) > last or not alike)
        computed = list(range(last)) if remainder else needed
        done = 0
        for mixture, estimates in recording.matched(worker, loudness, computed):
            found = dict(zip((self.sources[k] for k in computed), estimates, strict=True))
            if remainder:
                found[self.sources[-1]] = mixture - estimates.sum(0)
            given = {name: found[name] for name in wanted}
            if minus:
                given["minus_" + "_".join(minus)] = mixture - np.sum([found[name] for name in minus], axis=0)
            yield given
            done += len(mixture)
            if on_progress:
                on_progress(done / recording.rate, recording.length / recording.rate)
