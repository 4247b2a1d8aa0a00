"""A sweep's answer: `unetsep report RUN` writes a page and tables, and prints the leaderboard or a comparison."""

import argparse
from collections.abc import Sequence
from pathlib import Path

from unetsep.report.compare import print_differences
from unetsep.report.page import write_report
from unetsep.report.run import read_run
from unetsep.report.tables import print_leaderboard

__all__ = ["main", "print_leaderboard", "read_run", "write_report"]


def main(args: Sequence[str]) -> int:
    """Runs `unetsep report`: writes the report and prints the leaderboard and the report's path; or compares two.

    Raises:
        InputError: If the folder is no sweep's, no trial has a score yet, or two trainings cannot be compared.
    """
    parser = argparse.ArgumentParser(
        prog="unetsep report",
        description="Write a sweep's report: index.html, trials.csv and pareto.csv. Works while the sweep is running.",
    )
    parser.add_argument("run", metavar="RUN", type=Path, nargs="?", help="the sweep's folder, such as runs/shallow")
    parser.add_argument(
        "--out",
        metavar="DIR",
        type=Path,
        help="where to write, with the front's sounds copied along (default: RUN/report)",
    )
    parser.add_argument(
        "--compare",
        metavar=("A", "B"),
        nargs=2,
        help="print instead how far A is ahead of B, stem by stem on the same validation tracks, with 95%% intervals: "
        "numbers of the sweep's trials, or folders of trainings, which need no RUN",
    )
    given = parser.parse_args(args)
    if given.compare:
        print_differences(given.run, *given.compare)
        return 0
    if given.run is None:
        parser.error("the following arguments are required: RUN")
    page = write_report(given.run, given.out)
    print_leaderboard(given.run)
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
    code = main([str(run)])
    print(f"best configs: {run / 'pareto'}   trials: {run / 'trials'}   listen: open {run / 'report' / 'index.html'}")
    return code
