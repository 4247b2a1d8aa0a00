"""Separates sound files: `unetsep separate MODEL FILE... --out DIR`."""

import argparse
import itertools
import os
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from unetsep.audio.files import InputError, legible
from unetsep.audio.recording import open_recording
from unetsep.audio.writing import FORMATS, check_format, check_targets, writing_stems
from unetsep.deploy.signals import terminated_as_interrupted
from unetsep.deploy.trials import one_line

if TYPE_CHECKING:
    from rich.progress import Progress

    from unetsep.deploy.separator import Separator


def main(args: Sequence[str]) -> int:
    """Runs `unetsep separate`; a bad file gets a line on stderr and the others are separated all the same.

    Returns:
        0, or 2 if a file was left out.

    Raises:
        InputError: If the model cannot be loaded or lacks a stem that is asked for.
    """
    given = _parser().parse_args(args)
    with terminated_as_interrupted():
        separator = _loaded(given)
        names = _names(separator, given)
        return _separate_all(separator, _folders(given.files, given.out), names, given)


def _folders(files: Sequence[Path], out: Path) -> list[tuple[Path, Path]]:
    """The files, each once, and the folder that each one's stems go to: named after it, and within that of its folder
    where others have its name.
    """
    places = {Path(os.path.abspath(path)): path for path in files}  # noqa: PTH100 (resolve fails where links loop)
    shared = Counter(place.stem for place in places)
    folders = []
    for place, path in places.items():
        folder = out / place.parent.name if shared[place.stem] > 1 else out
        folders.append((path, folder / (place.stem if place.stem.strip(".") else "_")))
    return folders


def _loaded(given: argparse.Namespace) -> "Separator":
    from unetsep.deploy.machine import keep_freed_memory
    from unetsep.deploy.separator import Separator
    from unetsep.deploy.weights import parse_at_most

    keep_freed_memory()
    at_most = dict(map(parse_at_most, given.at_most))
    return Separator.load(given.model, at_most=at_most, device=given.device, precision=given.precision)


def _names(separator: "Separator", given: argparse.Namespace) -> list[str]:
    """What is written for each song: the stems asked for, and the mixture without some."""
    for name in [*(given.stems or ()), *given.minus]:
        if name not in separator.sources:
            raise InputError(f"the model has no stem {legible(name)!r}; it has {', '.join(separator.sources)}")
    names = given.stems or (() if given.minus else separator.sources)
    return [*dict.fromkeys(names), *(["minus_" + "_".join(given.minus)] if given.minus else ())]


def _separate_all(
    separator: "Separator", folders: Sequence[tuple[Path, Path]], names: Sequence[str], given: argparse.Namespace
) -> int:
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    console, failed = Console(stderr=True, soft_wrap=True, markup=False, highlight=False, emoji=False), 0
    columns = (TextColumn("{task.description}", markup=False), BarColumn(), TextColumn("{task.fields[speed]}"))
    live = console.is_terminal  # elsewhere a bar that is taken away again leaves an empty line
    with Progress(*columns, TimeRemainingColumn(), console=console, transient=True, disable=not live) as bar:
        taken: dict[Path, Path] = {}
        for number, (path, folder) in enumerate(folders, start=1):
            shown = _shown_progress(bar, f"{number} of {len(folders)}: {legible(path.name)}")
            try:
                if (other := taken.setdefault(folder, path)) is not path:
                    raise InputError(f"{legible(folder)} has the stems of {legible(other)}; use another --out")
                console.print(_separate_one(separator, path, folder, names, given, shown))
            except (InputError, MemoryError, OSError, RuntimeError) as error:  # the last as well when memory is short
                failed += 1
                text = str(error) if isinstance(error, InputError) else one_line(error)
                console.print("unetsep:", text if legible(path) in text else f"{legible(path)}: {text}")
    return 2 if failed else 0


def _separate_one(
    separator: "Separator",
    path: Path,
    folder: Path,
    names: Sequence[str],
    given: argparse.Namespace,
    on_progress: Callable[[float, float], None],
) -> str:
    """Separates one file, from disk to disk, and says how that went in a line."""
    started = time.perf_counter()
    check_targets(folder, names, given.format, force=given.force)
    recording = open_recording(path)
    check_format(given.format, recording.rate, recording.channels)
    blocks = separator.stream(
        recording.blocks,
        recording.rate,
        recording.channels,
        stems=given.stems,
        minus=given.minus,
        consistent=given.consistent,
        segment_seconds=given.segment_seconds,
        overlap=given.overlap,
        on_progress=on_progress,
    )
    first = next(blocks)  # by now all has been read once: its length is known, and whatever is wrong with it
    assert recording.samples is not None
    with writing_stems(
        folder,
        names,
        format=given.format,
        rate=recording.rate,
        channels=recording.channels,
        samples=recording.samples,
        force=given.force,
    ) as files:
        for block in itertools.chain([first], blocks):
            files.write(block)
    factor = (time.perf_counter() - started) / (recording.samples / recording.rate)
    beyond = f", {files.clipped} samples clipped (wav holds them)" if files.clipped else ""
    return f"{legible(path)}: {', '.join(names)} in {legible(folder)}, real-time factor {factor:.3f}{beyond}"


def _shown_progress(bar: "Progress", description: str) -> Callable[[float, float], None]:
    started = time.perf_counter()
    for task in bar.task_ids:
        bar.remove_task(task)
    task = bar.add_task(description, total=None, speed="")

    def show(done: float, total: float) -> None:
        speed = f"real-time factor {(time.perf_counter() - started) / done:.3f}" if done else ""
        bar.update(task, completed=done, total=total, speed=speed)

    return show


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="unetsep separate",
        description="Separate sound files into stems, DIR/<file's name>/<stem>.<format>, each as long as its file, at "
        "its rate and with its channels. Files of one name go to DIR/<their folder's name>/<name>. Files of any length "
        "take the same memory. A file that cannot be read gets a line, and the others are separated all the same; the "
        "exit code is 0 only if all were.",
    )
    parser.add_argument(
        "model",
        metavar="MODEL",
        type=Path,
        help="a checkpoint, an exported file (.safetensors, .onnx), a run's folder, or a sweep's (its best trial)",
    )
    parser.add_argument(
        "files",
        metavar="FILE",
        nargs="+",
        type=Path,
        help="sound files: wav, aiff, flac, ogg, mp3, and with the program ffmpeg m4a, the sound of videos and more; 4 "
        "to 384 kHz, 1 to 64 channels",
    )
    parser.add_argument("--out", metavar="DIR", type=Path, required=True, help="where the stems are written")
    parser.add_argument("--stems", metavar="A,B", type=_listed, help="only these stems (default: all of the model's)")
    parser.add_argument(
        "--minus",
        metavar="A,B",
        type=_listed,
        default=(),
        help="write the mixture without these stems as well, minus_A_B: karaoke by `--minus vocals`; without --stems, "
        "only that",
    )
    parser.add_argument(
        "--format",
        choices=FORMATS,
        default="wav",
        help="wav: 32-bit float, beyond 4 GB with an RF64 header; flac: 24 bits, up to 8 channels; ogg: Vorbis; mp3: 1 "
        "or 2 channels, 8 to 48 kHz. All keep the length exactly; all but wav are clipped at full scale, which is "
        "told (default: %(default)s)",
    )
    parser.add_argument(
        "--segment-seconds",
        metavar="S",
        type=float,
        help="how much the network reads at once, context included; less takes less memory (default: as much as is "
        "fast; 10 with --overlap, or for a network that sees the whole recording)",
    )
    parser.add_argument(
        "--overlap",
        metavar="R",
        type=float,
        help="share of a segment that the next one reads again, 0 to less than 1; below what the network sees, "
        "segments fade into each other (default: what it sees, which gives the result of one pass; 0.25 where it sees "
        "the whole recording)",
    )
    parser.add_argument("--device", default="auto", help="cpu, cuda, ... (default: cuda where there is one)")
    parser.add_argument(
        "--precision",
        default="auto",
        help="in which the network computes: float32, bfloat16, float16 (not on CPUs), or auto: bfloat16 where it is "
        "fast, else float32 (default: %(default)s)",
    )
    parser.add_argument(
        "--at-most",
        metavar="MEASURE=NUMBER",
        action="append",
        default=[],
        help="of a sweep's folder the best trial that costs no more, such as gmacs_per_second=0.5; may be repeated",
    )
    parser.add_argument(
        "--consistent",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="what the stems lack of the mixture is shared among them, so that they add up to it; the last one has "
        "what lies above the model's highest frequency (a model of one stem is left as it is)",
    )
    parser.add_argument("--force", action="store_true", help="replace stems that exist")
    return parser


def _listed(text: str) -> tuple[str, ...]:
    names = tuple(name.strip() for name in text.split(",") if name.strip())
    if not names:
        raise argparse.ArgumentTypeError("give names, such as vocals,drums")
    return names
