"""What a sweep says while it runs: a table that is always up to date on a terminal, a line now and then elsewhere."""

import os
import sys
import time
from collections import Counter
from pathlib import Path
from threading import Event, RLock, Thread
from types import TracebackType

from rich.console import Console
from rich.file_proxy import FileProxy
from rich.live import Live
from rich.text import Text

from unetsep.sweep.forecast import seconds_left
from unetsep.sweep.picture import Picture, forgiving
from unetsep.sweep.question import Sweep
from unetsep.sweep.snapshot import Folder, Running, Snapshot
from unetsep.sweep.trials import Result, Task
from unetsep.sweep.wording import duration, how_far, roughly, settings_of

PAUSE = 15.0  # seconds between two lines about one training where there is no terminal for a table


class Watching:
    """Shows on a console what a sweep does. Trainings may block whoever tells it: it looks at their folders itself.

    Args:
        sweep: the question.
        run: the run folder, which may not be there yet.
        console: where to; plain lines unless it is a terminal.
    """

    def __init__(self, sweep: Sweep, run: Path, console: Console):
        self.sweep = sweep
        self.console = forgiving(console)
        self.folder = Folder(sweep, run)
        self.start = time.time()
        self._running: dict[int, Running] = {}
        self._stopped: Counter[int] = Counter()
        self._said: dict[int, str] = {}
        self._lock = RLock()
        self._end = Event()
        self._thread: Thread | None = None
        self._live: Live | None = None
        if console.is_terminal and not console.is_dumb_terminal and not console.is_jupyter:
            # once a second: what draws the table keeps one of the cores that train for a few milliseconds
            self._live = Live(get_renderable=self._picture, console=console, refresh_per_second=1, transient=True)

    def __enter__(self) -> "Watching":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stops()

    def says(self, line: str, style: str = "") -> None:
        """One line, above the table; never broken and never read as markup."""
        self._say_stopped()
        self._say(line, style)

    def begins(self, task: Task, begun: int, resumed: bool) -> None:
        """A training to a rung begins, or goes on; so many trials were begun, with this one."""
        self._say_stopped()
        with self._lock:
            self._running[task.number] = Running(task.number, task.level, dict(task.params), time.time())
        if self._live is not None:
            self._live.start(refresh=True)
            return
        number = f"{begun}/{self.sweep.trials}" if self.sweep.trials else f"{begun}"
        again = (" goes on" if self.sweep.rungs else ", going on where it was stopped") if resumed else ""
        to = f" to {how_far(self.sweep.rungs, task.level + 1)}" if self.sweep.rungs else ""
        cost = f"{task.cost['gmacs_per_second']:.3g} GMAC/s, " if "gmacs_per_second" in task.cost else ""
        self._say(f"trial {task.number:04d} ({number}){again}{to}: {cost}{settings_of(task.params)}")
        if self._thread is None and not self._end.is_set():
            self._thread = Thread(target=self._keep_telling, name="watching", daemon=True)
            self._thread.start()

    def ends(self, result: Result, begun: int) -> None:
        """A trial is at a rung, or has its last result; so many trials were begun."""
        with self._lock:
            self._running.pop(result.number, None)
            self._said.pop(result.number, None)
        if result.state == "stopped":  # many at once, when nothing else is left: one line for all
            self._stopped[len(result.rungs)] += 1
            return
        self._say_stopped()
        head, settings = f"{result.number:04d} {result.state}", settings_of(result.params)
        if not result.trained:
            self._say(f"{head}: {result.reason} | {settings}", "dim")
        elif result.state == "failed":
            self._say(f"{head}: {result.reason} | {settings}{self._left()}", "red")
        else:
            if self.sweep.rungs and result.state == "paused":
                head = f"{result.number:04d} at {how_far(self.sweep.rungs, len(result.rungs))}"
            spread = {key: f" ± {value:.2g}" for key, value in result.spread.items()}
            values = (f"{key} {result.value(key):.4g}{spread.get(key, '')}" for key in self.sweep.objectives)
            self._say(f"{head}: {', '.join(values)} in {duration(result.seconds)} | {settings}{self._left()}")

    def stops(self) -> None:
        """The sweep ends or was interrupted: the table goes, the lines stay. May be called twice."""
        self._end.set()
        if self._live is not None:
            self._live.stop()
        self._say_stopped()

    def tells(self) -> None:
        """A line about every training that has got further since the last one."""
        for each in self._look().running:
            if each.line and self._said.get(each.number) != each.line:
                self._said[each.number] = each.line
                self._say(f"    {each.number:04d}: {each.line}")

    def _keep_telling(self) -> None:
        while not self._end.wait(PAUSE):
            self.tells()

    def _look(self) -> Snapshot:
        with self._lock:
            return self.folder.look(tuple(self._running.values()))

    def _picture(self) -> Picture:
        now = time.time()
        return Picture(self._look(), now, f"{duration(now - self.start)} since the start", self.console.height)

    def _left(self) -> str:
        """What stands at the end of a line where no table says it."""
        if self._live is not None:
            return ""
        left = seconds_left(self._look(), time.time())
        return f" | {roughly(left)} left" if left > 0 else ""

    def _say(self, line: str, style: str = "") -> None:
        self.console.print(Text(line, style=style), soft_wrap=True, highlight=False)

    def _say_stopped(self) -> None:
        with self._lock:
            stopped, self._stopped = self._stopped, Counter()
        if stopped and self.sweep.rungs:
            where = ", ".join(
                f"{stopped[reached]} after {how_far(self.sweep.rungs, reached)}" for reached in sorted(stopped)
            )
            self._say(f"stopped, as others did better: {where}")


def _let_children_print() -> None:
    """In a forked process: prints go to the terminal itself, for the table and its locks are the parent's."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if isinstance(stream, FileProxy):
            setattr(sys, name, stream.rich_proxied_file)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_let_children_print)
