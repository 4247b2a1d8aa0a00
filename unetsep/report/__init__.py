"""A sweep's answer: `unetsep report RUN...` writes a page and tables, and prints the leaderboard or a comparison."""

import argparse
from collections.abc import Sequence
from pathlib import Path

from unetsep.audio.files import InputError
from unetsep.report.compare import print_differences
from unetsep.report.extra import NotInstalledError, extra
from unetsep.report.reading import read_run, read_runs
from unetsep.report.run import Run
from unetsep.report.tables import HEARD, print_leaderboard

__all__ = ["main", "print_leaderboard", "read_run", "read_runs", "write_report"]


def write_report(run: Run, out: Path | None = None, *, heard: int = HEARD, live: bool = False) -> Path:
    """Writes the page of a sweep; see `unetsep.report.page.write_report`, which needs the extra `report`.

    Raises:
        NotInstalledError: If the extra is not installed.
    """
    with extra("the page"):
        from unetsep.report import page
    return page.write_report(run, out, heard=heard, live=live)


def main(args: Sequence[str]) -> int:
    """Runs `unetsep report`: writes the page and prints the leaderboard; or one of the other things that it offers.

    Raises:
        InputError: If a folder is no sweep's, no trial has a score yet, or what was asked for does not go together.
    """
    given = _parser().parse_args(args)
    if given.compare:
        print_differences(given.runs[0] if given.runs else None, *given.compare)
        return 0
    if not given.runs:
        raise InputError("unetsep report needs a sweep's folder: unetsep report runs/shallow")
    if len(given.runs) > 1 and given.out is None:
        raise InputError(f"a report of {len(given.runs)} sweeps needs a folder of its own: add --out reports/NAME")
    if given.listen < 0:
        raise InputError(f"--listen is {given.listen}: give the number of trials to be heard, from 0 on")
    if given.sync:
        from unetsep.report.sync import sync

        return max(sync(run, given.wandb) for run in given.runs)
    if given.watch:
        from unetsep.report.watch import watch

        def write() -> Path:
            return write_report(read_runs(given.runs), given.out, heard=given.listen, live=True)

        return watch(write, given.runs, given.every)
    run = read_runs(given.runs)
    if given.wandb or given.wandb_spec:
        with extra("a report in Weights & Biases"):
            from unetsep.report.workspace import publish, write_spec

        if given.wandb_spec:
            write_spec(run, given.wandb_spec, given.wandb)
            print(f"specification of the W&B report: {given.wandb_spec}")
        if given.wandb:
            print(f"W&B report: {publish(run, given.wandb)}")
        return 0
    page = write_report(run, given.out, heard=given.listen)
    print_leaderboard(run)
    print(f"report: {page}")
    return 0


def answer(args: Sequence[str]) -> int:
    """Runs `unetsep sweep` and reports what it found, with the paths of the answer.

    Raises:
        InputError: As the sweep and the report do.
    """
    from unetsep.sweep import main as search

    run = search(args)
    if run is None:  # it was only asked how a sweep stands
        return 0
    print()
    try:
        code, heard = main([str(run)]), f"   listen: open {run / 'report' / 'index.html'}"
    except NotInstalledError as error:  # the sweep is answered all the same
        print_leaderboard(read_run(run))
        print(error)
        code, heard = 0, ""
    print(f"best configs: {run / 'pareto'}   trials: {run / 'trials'}{heard}")
    return code


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="unetsep report",
        description="Write the page of one or several sweeps: index.html, trials.csv and pareto.csv, and for slides "
        "front.svg and best.svg. "
        "Works while a sweep is running.",
    )
    add = parser.add_argument
    add("runs", metavar="RUN", type=Path, nargs="*", help="a sweep's folder, such as runs/shallow")
    add(
        "--out",
        metavar="DIR",
        type=Path,
        help="where to write, with sounds copied along, so that the folder can be sent (default: RUN/report)",
    )
    add(
        "--listen",
        metavar="N",
        type=int,
        default=HEARD,
        help="show sounds and pictures of the N best trials, and of all on the front (default: %(default)s)",
    )
    add(
        "--compare",
        metavar=("A", "B"),
        nargs=2,
        help="print instead how far A is ahead of B, stem by stem on the same validation tracks, with 95%% intervals: "
        "numbers of the sweep's trials, or folders of trainings, which need no RUN",
    )
    add("--watch", action="store_true", help="keep the page current until the sweep ends, or Ctrl-C")
    add("--every", metavar="SECONDS", type=float, default=5.0, help="how often --watch looks (default: %(default)s)")
    add(
        "--wandb",
        metavar="ENTITY/PROJECT",
        help="make the comparison report of the project's runs in Weights & Biases; with --sync: where to upload to",
    )
    add("--wandb-spec", metavar="FILE", type=Path, help="write what that report would be to a JSON file, offline")
    add("--sync", action="store_true", help="upload the sweep's offline runs to Weights & Biases, with their media")
    return parser
