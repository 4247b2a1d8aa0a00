"""`unetsep sweep`: a question in a YAML file, searched trial by trial in a run folder."""

import argparse
import shlex
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from rich.console import Console

from unetsep.audio.files import InputError
from unetsep.configs import QUESTIONS, find_config
from unetsep.sweep.bounds import BOUNDS, bounds_in_words, has_bounds
from unetsep.sweep.checks import check_sweep
from unetsep.sweep.cluster import Cluster
from unetsep.sweep.document import Config, read_yaml, write_yaml
from unetsep.sweep.executors import Executor, InProcess
from unetsep.sweep.fold import MISSING, find
from unetsep.sweep.front import write_front
from unetsep.sweep.known import enqueue, read_wanted, warm_start
from unetsep.sweep.nodes import Training
from unetsep.sweep.postgresql import without_password
from unetsep.sweep.question import Sweep, read_overrides, read_sweep
from unetsep.sweep.search import Search
from unetsep.sweep.status import status
from unetsep.sweep.study import open_study, sole_driver
from unetsep.sweep.trials import Train
from unetsep.sweep.watching import Watching

__all__ = ["main"]


def main(args: Sequence[str]) -> Path | None:
    """Runs a sweep, or goes on with it, or says that it is done, or how far it is.

    Args:
        args: the command line after `unetsep sweep`.

    Returns:
        The run folder; None where only `--status` was asked for.

    Raises:
        InputError: if the file, the folder, the data or an override is not what it must be.
        SystemExit: 130 after Ctrl-C.
    """
    parser = _parser()
    given, rest = parser.parse_known_args(list(args))
    console = Console(file=sys.stdout)
    if given.status is not None:
        status(given.status, console)
        return None
    if given.file is None:
        parser.error("the following arguments are required: FILE")
    file = find_config(given.file, QUESTIONS)
    sweep = read_sweep(file, given.trials, given.data, read_overrides(rest), given.storage)
    run = Path(given.out or Path("runs") / file.stem)
    with Watching(sweep, run, console) as watching:
        try:
            _go_on(sweep, run, watching, given)
        except KeyboardInterrupt:
            watching.stops()
            again = shlex.join(["unetsep", "sweep", *map(_harmless, args)])
            watching.says(f"stopped; what was trained is kept in {run}. Go on with: {again}")
            raise SystemExit(130) from None
    return run


def _go_on(sweep: Sweep, run: Path, watching: Watching, given: argparse.Namespace) -> None:
    if sweep.root is None and find(sweep.space.base, "data.root") is MISSING:
        raise InputError(
            f"{sweep.source}: no data; give --data ROOT, or describe a data set under `synthetic:` in the file"
        )
    if _claim(sweep, run) and not given.enqueue and _is_done(sweep, run, watching):
        return
    # Lightning takes seconds to import, and a sweep that is done needs none of it
    from unetsep.sweep.trial import CommandLine

    runner = CommandLine(run.absolute().name, timed=sweep.measures_speed)
    watching.says(f"{sweep.source}: {sweep.document['question']}".rstrip(" :"), "bold")
    first = check_sweep(sweep, runner.resolve, runner.build)
    wanted = [read_wanted(sweep, path, runner.resolve, runner.whole) for path in given.enqueue]
    with ExitStack() as opened:
        study = opened.enter_context(open_study(run, sweep.objectives, sweep.storage))
        if sweep.document["synthetic"] is not None and sweep.root is not None:
            runner.make_data(sweep.root, sweep.synthetic)
        executor = opened.enter_context(_executor(sweep, run, runner.train, given.ray))
        write_yaml(run / "sweep.yaml", _without_secrets(sweep.document))
        if not has_bounds(run):
            runner.write_bounds(first.config, run)
            watching.says(bounds_in_words(run))
        search = Search(sweep, run, study, watching)
        if search.begun:
            if not (root := Path(find(sweep.space.base, "data.root"))).is_dir():  # or every trial left would fail
                raise InputError(f"{sweep.source}: the data set {root} is gone; bring it back to go on")
            watching.says(f"{run} holds {search.begun} trials; going on")
        if line := warm_start(study, sweep, runner.resolve):
            watching.says(line)
        for each in wanted:
            watching.says(enqueue(study, each))
        gave_up = search.run(runner, executor)
        write_front(run, sweep.objectives)
        begun = search.begun
    watching.says(f"{gave_up or 'done'}: {begun} trials trained, all in {run}")


@contextmanager
def _executor(sweep: Sweep, run: Path, train: Train, address: str | None) -> Iterator[Executor]:
    """What trains the trials: this process, or Ray's workers."""
    if address is None:
        yield InProcess(train)
        return
    folders = [Path(find(sweep.space.base, "data.root"))]
    with Cluster(address, Training(run.absolute().name), sweep.needs, run, folders) as cluster:
        yield cluster


def _harmless(word: str) -> str:
    """A word of the command line as it may be shown: without a database's password."""
    key, equals, url = word.rpartition("=") if word.startswith("--storage=") else ("", "", word)
    return f"{key}{equals}{without_password(url)}" if url.startswith("postgresql") else word


def _without_secrets(document: Config) -> Config:
    storage = document["storage"]
    return document | {"storage": None if storage is None else without_password(storage)}


def _is_done(sweep: Sweep, run: Path, watching: Watching) -> bool:
    with open_study(run, sweep.objectives, sweep.storage) as study:
        search = Search(sweep, run, study, watching)
        if search.done:
            write_front(run, sweep.objectives)
            watching.says(f"{run} is done already: {search.begun} trials trained; --trials asks for more")
        return search.done


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="unetsep sweep",
        description="Searches the configs that a YAML file describes. Starting it again goes on where it stopped.",
        epilog="Further arguments set config keys for every trial, which are then not searched: --trainer.max_epochs=3",
        allow_abbrev=False,
    )
    parser.add_argument(
        "file", metavar="FILE", nargs="?", help="the question: a file, or one that comes along, such as shallow"
    )
    parser.add_argument("--trials", type=int, metavar="N", help="how many trials to train (default: the file's number)")
    parser.add_argument("--out", metavar="DIR", help="the run folder (default: runs/<name of the file>)")
    parser.add_argument("--data", type=Path, metavar="ROOT", help="a data set, instead of the file's synthetic one")
    parser.add_argument(
        "--enqueue", type=Path, metavar="CONFIG", action="append", default=[], help="a config to try first; repeatable"
    )
    parser.add_argument(
        "--ray",
        metavar="ADDRESS",
        help="train on Ray's workers: `local` for this machine's, or a cluster's address",
    )
    parser.add_argument(
        "--storage", metavar="URL", help="a database for several drivers: postgresql+psycopg://user@host/db"
    )
    parser.add_argument("--status", type=Path, metavar="DIR", help="say how far the sweep in a run folder is, and end")
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
    with sole_driver(run):
        for name in ("study.db", "study.db-wal", "study.db-shm", ".study", *BOUNDS):  # nothing was tried there yet
            (run / name).unlink(missing_ok=True)
    return False
