"""Separates sound files: `unetsep separate MODEL FILE... --out DIR`."""

import argparse
import math
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from unetsep.audio.files import InputError, read_audio, write_audio
from unetsep.deploy.weights import load_separator

if TYPE_CHECKING:
    from torch import Tensor


class AnySeparator(Protocol):
    """What is needed of a separator: its stems, rate and channels, and mixtures to stems."""

    @property
    def sources(self) -> tuple[str, ...]:
        """The stems' names."""

    @property
    def sample_rate(self) -> int:
        """The rate it was trained at, in hertz."""

    @property
    def audio_channels(self) -> int:
        """1 or 2: the channels it was trained on."""

    def __call__(self, mixture: "Tensor") -> "Tensor":
        """(batch, channel, sample) to (batch, source, channel, sample)."""


def separate_waveform(
    separator: AnySeparator,
    mixture: "Tensor",
    sample_rate: int,
    *,
    segment_seconds: float = 10.0,
    overlap: float = 0.25,
    batch_size: int = 2,
    device: str = "cpu",
    on_progress: Callable[[float, float], None] | None = None,
) -> "Tensor":
    """The stems of a recording of any rate, length and number of channels.

    The recording is resampled to the separator's rate and the stems back to the recording's. Its channels are taken in
    groups of as many as the separator has (a mono separator: each alone); a group that is not full is filled up with
    its last channel, and the answers for one channel are averaged.

    Shape:
        - Mixture: `(channel, sample)`.
        - Output: `(source, channel, sample)`.

    Args:
        separator: Maps `(batch, channel, sample)` to `(batch, source, channel, sample)`.
        mixture: The recording, full scale at 1.0.
        sample_rate: The recording's, in hertz.
        segment_seconds: How much the separator sees at once.
        overlap: Share of a segment that the next one covers again, 0 to less than 1.
        batch_size: Segments in one call.
        device: Where the separator computes.
        on_progress: Told, after each call of the separator, the seconds of audio that are done and those there are.

    Raises:
        InputError: If the recording is empty or a setting lies outside its range.
    """
    import torch

    from unetsep.audio.overlap import overlap_add
    from unetsep.audio.resample import resample

    if not (math.isfinite(segment_seconds) and segment_seconds > 0):
        raise InputError(f"segment_seconds is {segment_seconds}, but must be more than 0, such as 10")
    channels, length = mixture.shape
    width = separator.audio_channels
    groups = [[min(first + k, channels - 1) for k in range(width)] for first in range(0, channels, width)]
    inner = resample(mixture, sample_rate, separator.sample_rate)
    segment = max(1, round(segment_seconds * separator.sample_rate))
    seen = 0

    def model(batch: "Tensor") -> "Tensor":
        nonlocal seen
        estimates = separator(batch.to(device)).to(batch.device)
        if on_progress:
            seen += batch.shape[0] * round(batch.shape[-1] * (1 - overlap))
            share = seen / (inner.shape[-1] * len(groups))
            on_progress(min(share, 1.0) * length / sample_rate, length / sample_rate)
        return estimates

    stems = torch.zeros(len(separator.sources), channels, length)
    times = torch.zeros(channels, 1)
    with torch.inference_mode():
        for group in groups:
            estimate = overlap_add(model, inner[group], segment, overlap, batch_size)
            estimate = resample(estimate, separator.sample_rate, sample_rate)[..., :length]
            estimate = torch.nn.functional.pad(estimate, (0, length - estimate.shape[-1]))
            stems.index_add_(1, torch.tensor(group), estimate)
            times.index_add_(0, torch.tensor(group), torch.ones(width, 1))
    return stems / times


def separate_file(separator: AnySeparator, path: Path, folder: Path, *, force: bool = False, **settings: Any) -> float:
    """Separates one sound file into `folder/<stem>.wav`, in 32-bit float so that no peak is clipped.

    Nothing is written until all stems are there. `settings` are those of `separate_waveform`.

    Returns:
        The real-time factor: seconds of computing, reading and writing per second of audio.

    Raises:
        InputError: If the file cannot be read, or a stem exists already and `force` is not given.
    """
    import torch

    targets = [folder / f"{stem}.wav" for stem in separator.sources]
    for target in targets:
        if target.parent != folder or target.name.startswith("."):
            raise InputError(
                f"the model names a stem {target.stem!r}, which is no file name: nothing is written for {path}"
            )
        if target.exists() and not force:
            raise InputError(f"{path} is left out: {target} exists already; use --force to replace it")
    started = time.perf_counter()
    waveform, rate = read_audio(path)
    stems = separate_waveform(separator, torch.from_numpy(waveform), rate, **settings)
    for target, stem in zip(targets, stems, strict=True):
        write_audio(target, stem, rate, floating=True)
    return (time.perf_counter() - started) / (waveform.shape[-1] / rate)


def main(args: Sequence[str]) -> int:
    """Runs `unetsep separate`; a bad file gets a line on stderr and the others are separated all the same.

    Returns:
        0, or 2 if a file was left out.

    Raises:
        InputError: If the model cannot be loaded, or two files would be written to one folder.
    """
    given = _parser().parse_args(args)
    folders: dict[Path, Path] = {}
    for path in given.files:
        if (other := folders.setdefault(given.out / path.stem, path)) != path:
            raise InputError(
                f"{other} and {path} would both be written to {given.out / path.stem}: separate them one by one"
            )

    import torch
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    device = given.device if given.device != "auto" else ("cuda" if torch.cuda.is_available() else "cpu")
    try:
        separator = load_separator(given.model).to(device)
    except (RuntimeError, AssertionError) as error:
        raise InputError(f"cannot compute on the device {device!r}: {str(error).splitlines()[0]}") from None
    console, failed = Console(stderr=True, soft_wrap=True, markup=False, highlight=False), 0
    columns = (TextColumn("{task.description}", markup=False), BarColumn(), TextColumn("{task.fields[speed]}"))
    live = console.is_terminal  # elsewhere a bar that is taken away again leaves an empty line
    with Progress(*columns, TimeRemainingColumn(), console=console, transient=True, disable=not live) as bar:
        task = bar.add_task("", speed="")
        for folder, path in folders.items():
            bar.reset(task, description=path.name, total=None, speed="")
            started = time.perf_counter()

            def show(done: float, total: float, started: float = started) -> None:
                speed = (time.perf_counter() - started) / done
                bar.update(task, completed=done, total=total, speed=f"real-time factor {speed:.2f}")

            settings = {"segment_seconds": given.segment_seconds, "overlap": given.overlap, "device": device}
            try:
                factor = separate_file(separator, path, folder, force=given.force, on_progress=show, **settings)
            except InputError as error:
                failed += 1
                console.print(f"unetsep: {error}")
            else:
                stems = ", ".join(separator.sources)
                console.print(f"{path}: {stems} in {folder}, real-time factor {factor:.3f}")
    return 2 if failed else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="unetsep separate",
        description="Separate sound files into stems, DIR/<file's name>/<stem>.wav, at each file's rate and channels.",
    )
    parser.add_argument(
        "model", metavar="MODEL", type=Path, help="a checkpoint, a run's folder, or a sweep's (its best trial)"
    )
    parser.add_argument("files", metavar="FILE", nargs="+", type=Path, help="sound files: wav, flac, ogg, mp3")
    parser.add_argument("--out", metavar="DIR", type=Path, required=True, help="where the stems are written")
    parser.add_argument("--force", action="store_true", help="replace stems that exist")
    parser.add_argument("--device", default="auto", help="cpu, cuda, ... (default: cuda where there is one)")
    parser.add_argument("--segment-seconds", type=float, default=10.0, help="seen at once (default: %(default)s)")
    parser.add_argument(
        "--overlap", type=float, default=0.25, help="of neighbouring segments, 0 to <1 (default: %(default)s)"
    )
    return parser
