"""A sweep at one moment as a table for the terminal, however narrow."""

import math
from collections.abc import Iterable
from io import TextIOWrapper
from typing import Literal

from rich.console import Console, ConsoleOptions, Group, RenderResult
from rich.table import Table
from rich.text import Text

from unetsep.sweep.forecast import seconds_left
from unetsep.sweep.snapshot import Running, Snapshot, rungs_reached
from unetsep.sweep.trials import Result
from unetsep.sweep.wording import amount_of, duration, how_far, roughly, settings_of

BEST = 5  # so many of the best trials are shown
OTHER = 16  # lines of a picture besides those of the running trials, at most


class Picture:
    """A sweep at one moment, for rich to print.

    Args:
        snapshot: the sweep.
        now: the time, in seconds since 1970.
        elapsed: what is said of the time until now; empty for nothing.
        height: the lines there are room for; None if that does not matter.
    """

    def __init__(self, snapshot: Snapshot, now: float, elapsed: str = "", height: int | None = None):
        self.snapshot = snapshot
        self.now = now
        self.elapsed = elapsed
        self.height = height

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """The lines, of which none is wider than the console."""
        board = self.snapshot.board
        sweep = board.sweep
        parts: list[Text | Table] = []
        if question := str(sweep.document["question"]).strip():
            parts.append(_line(question, "bold"))
        parts.append(_line(self._counts(), wraps=True))
        if sweep.rungs and board.ranked:
            parts.append(_line(self._rungs(), wraps=True))
        if self.snapshot.running:
            parts += [Text(), self._running(options.max_width)]
        if board.ranked:
            parts += [Text(), self._best(console)]
        time = [self.elapsed, self._left()]
        if any(time):
            parts += [Text(), _line(", ".join(filter(None, time)))]
        yield Group(*parts)

    def _counts(self) -> str:
        counts, wanted = self.snapshot.counts, self.snapshot.board.sweep.trials
        begun = {state: count for state, count in counts.items() if state not in ("refused", "duplicate")}
        others = {state: count for state, count in counts.items() if state not in begun}
        trials = f"{self.snapshot.begun} of {wanted}" if wanted is not None else f"{self.snapshot.begun}"
        line = f"trials begun: {trials}" + "".join(f", {count} {state}" for state, count in begun.items())
        return line + (f"; not trained: {_listed(others)}" if others else "")

    def _rungs(self) -> str:
        rungs = self.snapshot.board.sweep.rungs
        assert rungs is not None
        named = [amount_of(amount) for amount in rungs.amounts]
        named[0] += f" {rungs.unit[:-1] if rungs.amounts[0] == 1 else rungs.unit}"
        counts = zip(named, self.snapshot.board.reached, strict=True)
        return "trials that reached " + ", ".join(f"{name}: {count}" for name, count in counts)

    def _running(self, width: int) -> Table:
        room = len(self.snapshot.running) if self.height is None else max(self.height - OTHER, 1)
        rungs = self.snapshot.board.sweep.rungs
        table = _table("", "running", *([f"to {rungs.unit}"] if rungs else []), "for", "how far it is", "settings")
        for each in self.snapshot.running[:room]:
            lasts = duration(max(self.now - each.since, 0)) if math.isfinite(each.since) else ""
            to = [how_far(rungs, each.level + 1, bare=True)] if rungs else []
            table.add_row("", f"{each.number:04d}", *to, lasts, *_words(each, max(width - 62, 12)))
        if (more := len(self.snapshot.running) - room) > 0:
            table.add_row("", _line(f"and {more} more", "dim"))
        return table

    def _best(self, console: Console) -> Table:
        board, rungs = self.snapshot.board, self.snapshot.board.sweep.rungs
        mark = "●" if console.encoding.startswith("utf") else "*"
        keys = [board.score, *(key for key in board.sweep.objectives if key != board.score)]
        headings = [key.partition("/")[2].replace("_", " ").replace("/", " ") for key in keys]
        table = _table("", "best", *([rungs.unit] if rungs else []), *headings, "settings", numbers=headings)
        for result in board.ranked[:BEST]:
            values = [_value(result, key) for key in keys]
            far = [how_far(rungs, rungs_reached(result, rungs), bare=True)] if rungs else []
            on_front = mark if result.number in board.front else ""
            table.add_row(on_front, f"{result.number:04d}", *far, *values, _line(settings_of(result.params), "dim"))
        return table

    def _left(self) -> str:
        if self.snapshot.done:
            return "done"
        seconds = seconds_left(self.snapshot, self.now)
        return f"{roughly(seconds)} left" if math.isfinite(seconds) else ""


def forgiving(console: Console) -> Console:
    """The console, whose stream writes a question mark for what it cannot: no sweep may end for a character."""
    if isinstance(console.file, TextIOWrapper):
        console.file.reconfigure(errors="replace")
    return console


def _words(running: Running, most: int) -> tuple[Text, Text]:
    """How far a training is, and the beginning of its settings: the former must not be cut for the latter."""
    settings = _line(settings_of(running.params) if running.params else "", "dim")
    settings.truncate(most, overflow="ellipsis")
    return _line(running.line), settings


def _value(result: Result, key: str) -> str:
    spread = f" ±{result.spread[key]:.2g}" if math.isfinite(result.spread.get(key, math.nan)) else ""
    return f"{result.value(key):.4g}{spread}"


def _listed(counts: dict[str, int]) -> str:
    return ", ".join(f"{count} {name}" for name, count in counts.items())


def _line(text: str, style: str = "", wraps: bool = False) -> Text:
    """One line, cut where there is no more room, and never read as markup."""
    return Text(text, style=style) if wraps else Text(text, style=style, no_wrap=True, overflow="ellipsis")


def _table(*headings: str, numbers: Iterable[str] = ()) -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim", padding=(0, 2, 0, 0), collapse_padding=True)
    wide = ("how far it is", "settings", *numbers)
    for heading in headings:
        justify: Literal["left", "right"] = "right" if heading in numbers else "left"
        table.add_column(heading, no_wrap=heading not in wide, justify=justify, min_width=None if heading else 1)
    return table
