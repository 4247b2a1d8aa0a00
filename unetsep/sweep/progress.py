"""What a sweep says while it runs: a line for every trial, and on a terminal a live line for the one in training."""

from collections.abc import Mapping
from time import monotonic
from typing import Any

from rich.console import Console
from rich.text import Text

from unetsep.sweep.question import Sweep
from unetsep.sweep.trials import Result, Task
from unetsep.sweep.wording import short_names, show_choice

PAUSE = 15.0  # seconds between two lines about one training where there is no terminal to write a live line on


class Lines:
    """Writes a sweep's progress to a console.

    Args:
        sweep: the question.
        console: where to; plain lines unless it is a terminal.
    """

    def __init__(self, sweep: Sweep, console: Console):
        self.sweep = sweep
        self.console = console
        self.names: dict[str, str] = {}
        self.durations: list[float] = []
        self.head = self.settings = ""
        self.spoken = monotonic()
        self.status = console.status("")

    def says(self, line: str, style: str = "") -> None:
        """One line, never broken and never read as markup."""
        self.console.print(Text(line, style=style), soft_wrap=True, highlight=False)

    def begins(self, task: Task, trained: int, resumed: bool) -> None:
        """A training begins, after `trained` others."""
        number = f"{trained + 1}/{self.sweep.trials}" if self.sweep.trials else f"{trained + 1}"
        again = ", going on where it was stopped" if resumed else ""
        cost = f"{task.cost['gmacs_per_second']:.3g} GMAC/s, " if "gmacs_per_second" in task.cost else ""
        self.head, self.settings = f"trial {task.number:04d} ({number}{again})", f"{cost}{self._settings(task.params)}"
        self.spoken = monotonic()
        if self.console.is_terminal:
            self.watches("begins")
            self.status.start()
        else:
            self.says(f"{self.head}: {self.settings}")

    def watches(self, line: str) -> None:
        """Something happened in the training: a live line on a terminal, else a line now and then."""
        if self.console.is_terminal:
            text = f"{self.head}: {line} | {self.settings}"
            self.status.update(Text(text, no_wrap=True, overflow="ellipsis"))
        elif monotonic() - self.spoken > PAUSE:
            self.spoken = monotonic()
            self.says(f"    {line}")

    def ends(self, result: Result, trained: int) -> None:
        """A trial has its result; `trained` are trained now."""
        self.status.stop()
        head = f"{result.number:04d} {result.state}"
        if not result.trained:
            self.says(f"{head}: {result.reason} | {self._settings(result.params)}", "dim")
            return
        self.durations.append(result.seconds)
        left = "" if self.sweep.trials is None else self._left(self.sweep.trials - trained)
        if result.state == "failed":
            self.says(f"{head}: {result.reason} | {self._settings(result.params)}{left}", "red")
            return
        values = ", ".join(f"{measure} {result.value(measure):.4g}" for measure in self.sweep.objectives)
        self.says(f"{head}: {values} in {duration(result.seconds)} | {self._settings(result.params)}{left}")

    def stops(self) -> None:
        """The sweep was interrupted."""
        self.status.stop()

    def _left(self, trials: int) -> str:
        if trials <= 0:
            return ""
        return f" | about {duration(trials * sum(self.durations) / len(self.durations))} left"

    def _settings(self, params: Mapping[str, Any]) -> str:
        if new := [key for key in params if key not in self.names]:
            self.names = short_names([*self.names, *new])
        return (
            ", ".join(f"{self.names[key]} {show_choice(value)}" for key, value in params.items()) or "nothing to choose"
        )


def duration(seconds: float) -> str:
    """Seconds as one reads them: `8.2 s`, `3 min 20 s`, `2 h 5 min`."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"
