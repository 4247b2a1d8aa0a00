"""`unetsep sweep`: a question in a YAML file, searched trial by trial in a run folder."""

import argparse
import math
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from unetsep.audio.files import InputError
from unetsep.sweep.document import read_yaml, write_yaml
from unetsep.sweep.fold import MISSING, find
from unetsep.sweep.front import write_front
from unetsep.sweep.progress import Lines
from unetsep.sweep.question import Sweep, read_overrides, read_sweep
from unetsep.sweep.sampling import make_sampler
from unetsep.sweep.search import Search
from unetsep.sweep.study import open_study

__all__ = ["main"]


def main(args: Sequence[str]) -> Path:
    """Runs a sweep, or goes on with it, or says that it is done.

    Args:
        args: the command line after `unetsep sweep`.

    Returns:
        The run folder.

    Raises:
        InputError: if the file, the folder, the data or an override is not what it must be.
        SystemExit: 130 after Ctrl-C.
    """
    given, rest = _parser().parse_known_args(list(args))
    file = Path(given.file)
    sweep = read_sweep(file, given.trials, given.data, read_overrides(rest))
    run = Path(given.out or Path("runs") / file.stem)
    lines = Lines(sweep, Console(file=sys.stdout))
    try:
        _go_on(sweep, run, lines)
    except KeyboardInterrupt:
        lines.stops()
        again = shlex.join(["unetsep", "sweep", *args])
        lines.says(f"stopped; finished trials are kept in {run}. Go on with: {again}")
        raise SystemExit(130) from None
    return run


def _go_on(sweep: Sweep, run: Path, lines: Lines) -> None:
    make_sampler(sweep.document["sampler"], 0, 0)
    if sweep.root is None and find(sweep.space.base, "data.root") is MISSING:
        raise InputError(
            f"{sweep.source}: no data; give --data ROOT, or describe a data set under `synthetic:` in the file"
        )
    if _claim(sweep, run) and _is_done(sweep, run, lines):
        return
    # Lightning takes seconds to import, and a sweep that is done needs none of it
    from unetsep.sweep.trial import CommandLine

    runner = CommandLine(run.absolute().name, timed=sweep.measures_speed)
    lines.says(f"{sweep.source}: {sweep.document['question']}".rstrip(" :"), "bold")
    try:
        first = sweep.space.check(runner.resolve, runner.build)
    except InputError as error:
        raise InputError(f"{sweep.source}: {error}") from None
    if sweep.document["synthetic"] is not None and sweep.root is not None:
        runner.make_data(sweep.root, sweep.synthetic)
    write_yaml(run / "sweep.yaml", sweep.document)
    if not (run / "floor.json").is_file():
        floor = runner.write_floor(first.config, run / "floor.json")
        usdr = floor.get("usdr", math.nan)
        lines.says(f"the floor, one fixed frequency mask per stem and no network: usdr {usdr:.2f} dB")
    with open_study(run, sweep.objectives) as study:
        search = Search(sweep, run, study, lines)
        if study.trials:
            lines.says(f"{run} holds {search.trained} trained trials; going on")
        gave_up = search.run(runner)
        write_front(run, sweep.objectives)
    lines.says(f"{gave_up or 'done'}: {search.trained} trials trained, all in {run}")


def _is_done(sweep: Sweep, run: Path, lines: Lines) -> bool:
    with open_study(run, sweep.objectives) as study:
        search = Search(sweep, run, study, lines)
        if search.done:
            write_front(run, sweep.objectives)
            lines.says(f"{run} is done already: {search.trained} trials trained; --trials asks for more")
        return search.done


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="unetsep sweep",
        description="Searches the configs that a YAML file describes. Starting it again goes on where it stopped.",
        epilog="Further arguments set config keys for every trial, which are then not searched: --trainer.max_epochs=3",
        allow_abbrev=False,
    )
    parser.add_argument("file", metavar="FILE", help="the question, such as sweeps/shallow.yaml")
    parser.add_argument("--trials", type=int, metavar="N", help="how many trials to train (default: the file's number)")
    parser.add_argument("--out", metavar="DIR", help="the run folder (default: runs/<name of the file>)")
    parser.add_argument("--data", type=Path, metavar="ROOT", help="a data set, instead of the file's synthetic one")
    return parser


def _claim(sweep: Sweep, run: Path) -> bool:
    """Whether the run folder already holds this sweep; InputError if it holds another one."""
    held = run / "sweep.yaml"
    if not held.is_file():
        return False
    if not (different := sweep.differences(read_yaml(held))):
        return True
    if any((run / "trials").glob("*")):
        raise InputError(
            f"{run} holds another sweep, which differs in {', '.join(different)}; give another --out, or remove {run}"
        )
    for name in ("study.db", "study.db-wal", "study.db-shm", "floor.json"):  # nothing was tried there yet
        (run / name).unlink(missing_ok=True)
    return False
