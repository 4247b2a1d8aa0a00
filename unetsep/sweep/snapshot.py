"""A sweep at one moment, as its folder tells it: what has become of every trial, and which are being trained."""

import json
import math
import sqlite3
from collections import Counter
from collections.abc import Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from unetsep.audio.files import InputError
from unetsep.sweep.front import pareto_front
from unetsep.sweep.question import Sweep
from unetsep.sweep.rungs import Rungs
from unetsep.sweep.trials import Result, State, read_result


@dataclass(frozen=True)
class Running:
    """A trial in training.

    Attributes:
        number: the trial's number.
        level: the rung that it is trained to, from 0 on.
        params: what was suggested, by dotted key, as far as that is known.
        since: when it began, in seconds since 1970; NaN if that is not known.
        line: how far it is, in its training's own words.
    """

    number: int
    level: int
    params: dict[str, Any] = field(default_factory=dict)
    since: float = math.nan
    line: str = ""


@dataclass(frozen=True)
class Board:
    """What has become of a sweep's trials.

    Attributes:
        sweep: the question.
        results: what lies in the trials' folders, by number.
    """

    sweep: Sweep
    results: dict[int, Result]

    @property
    def score(self) -> str:
        """The objective that ranks the trials: the first that is no cost."""
        objectives = list(self.sweep.objectives)
        return next((key for key in objectives if not key.startswith("cost/")), objectives[0])

    @cached_property
    def ranked(self) -> list[Result]:
        """The measured trials, best score first; ties by number."""
        sign = -1.0 if self.sweep.objectives[self.score] == "maximize" else 1.0
        keys = {number: sign * result.value(self.score) for number, result in self.results.items() if result.measured}
        order = sorted(keys, key=lambda number: (math.isnan(keys[number]), keys[number], number))
        return [self.results[number] for number in order]

    @cached_property
    def front(self) -> set[int]:
        """The numbers of the measured trials that no other beats in all objectives."""
        objectives = self.sweep.objectives
        points = [[result.value(key) for key in objectives] for result in self.ranked]
        best = pareto_front(points, [direction == "maximize" for direction in objectives.values()])
        return {self.ranked[index].number for index in best}

    @cached_property
    def reached(self) -> list[int]:
        """For every rung the number of trials that reached it; where there are none, the number of complete ones."""
        rungs = self.sweep.rungs
        levels = range(len(rungs.amounts) if rungs else 1)
        return [sum(rungs_reached(result, rungs) > level for result in self.ranked) for level in levels]


@dataclass(frozen=True)
class Snapshot:
    """A sweep at one moment.

    Attributes:
        board: what has become of its trials.
        running: the trials in training.
        left: numbers of the trials that were being trained when whoever did so was killed.
    """

    board: Board
    running: Sequence[Running] = ()
    left: Sequence[int] = ()

    @property
    def begun(self) -> int:
        """How many trials were trained, or are being trained."""
        trained = {number for number, result in self.board.results.items() if result.trained}
        return len(trained | {each.number for each in self.running} | set(self.left))

    @property
    def done(self) -> bool:
        """Whether every trial that is wanted has its last result."""
        wanted = self.board.sweep.trials
        if wanted is None or self.running or self.left or self.begun < wanted:
            return False
        return all(result.final for result in self.board.results.values())

    @property
    def counts(self) -> dict[str, int]:
        """How many trials stand how: running, interrupted, paused, complete, ...; none that is zero."""
        busy = {each.number for each in self.running} | set(self.left)
        states = Counter(result.state for number, result in self.board.results.items() if number not in busy)
        order: tuple[State, ...] = ("paused", "complete", "stopped", "failed", "refused", "duplicate")
        counts = {"running": len(self.running), "interrupted": len(self.left)} | {key: states[key] for key in order}
        return {state: count for state, count in counts.items() if count}


def rungs_reached(result: Result, rungs: Rungs | None) -> int:
    """How many rungs a measured trial reached; one means the whole training where there are none."""
    every = len(rungs.amounts) if rungs else 1
    return every if result.state == "complete" else min(len(result.rungs), every)


class Folder:
    """A run folder that is read again and again: what cannot have changed is remembered.

    Args:
        sweep: the question.
        run: the run folder.
    """

    def __init__(self, sweep: Sweep, run: Path):
        self.sweep = sweep
        self.trials = run / "trials"
        self._stamps: dict[int, tuple[int, int]] = {}
        self._board = Board(sweep, {})

    def look(self, running: Sequence[Running] = ()) -> Snapshot:
        """What lies there now, and how far the trials are that are said to be running."""
        board = self._results(self._numbers())
        return Snapshot(board, [_with_line(self.trials / f"{each.number:04d}", each) for each in running])

    def look_around(self) -> Snapshot:
        """What lies there now, and which trials anybody trains at this moment: for one who does not train them."""
        numbers = self._numbers()
        board = self._results(numbers)
        running, left = [], []
        for number in numbers:
            result, folder = board.results.get(number), self.trials / f"{number:04d}"
            if result is not None and result.final:
                continue
            if held(folder / ".worker"):
                level = len(result.rungs) if result else 0
                since = math.nan if result else _time(folder / ".worker")
                running.append(_with_line(folder, Running(number, level, result.params if result else {}, since)))
            elif result is None or (folder / "progress.json").is_file():
                left.append(number)
        return Snapshot(board, running, left)

    def _numbers(self) -> list[int]:
        try:
            return sorted(int(path.name) for path in self.trials.iterdir() if path.name.isdecimal())
        except OSError:
            return []

    def _results(self, numbers: Iterable[int]) -> Board:
        results = {}
        for number in numbers:
            known = self._board.results.get(number)
            if known is None or not known.final:
                known = self._read(number, known)
            if known is not None:
                results[number] = known
        if results != self._board.results:  # else the front need not be found anew
            self._board = Board(self.sweep, results)
        return self._board

    def _read(self, number: int, known: Result | None) -> Result | None:
        path = self.trials / f"{number:04d}" / "result.json"
        try:
            found = path.stat()
            stamp = (found.st_mtime_ns, found.st_size)
            if known is None or self._stamps.get(number) != stamp:
                known, self._stamps[number] = read_result(path.parent), stamp
        except OSError:
            return None
        except InputError as error:
            return Result(number, "failed", str(error))
        return known


def held(path: Path) -> bool:
    """Whether a process holds a file by `lock.sole`; asking makes nobody wait longer than a moment."""
    if not path.is_file():
        return False
    try:
        # read-only, and by SQLite: to open and close the file by other means would let go of this process's own locks
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", timeout=0, uri=True)) as lock:
            lock.execute("SELECT 1 FROM sqlite_master").fetchall()
    except sqlite3.OperationalError as error:
        return "locked" in str(error)
    return False


def _with_line(folder: Path, running: Running) -> Running:
    """What is known of a running trial, with what its training says."""
    try:
        told = json.loads((folder / "progress.json").read_text(encoding="utf-8"))
        return Running(
            number=running.number,
            level=running.level,
            params=running.params or dict(told.get("params") or {}),
            since=running.since if math.isfinite(running.since) else float(told.get("begun") or math.nan),
            line=str(told["line"]),
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return running  # nothing was said yet, or it has just ended


def _time(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:
        return math.nan
