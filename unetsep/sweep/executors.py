"""Where trials are trained: in this process, one at a time; `cluster.py` has the one that uses Ray."""

from typing import Protocol

from unetsep.sweep.trials import Result, Task, Train, carry_out


class Executor(Protocol):
    """Carries out tasks; the search hands it one only where there is room."""

    def room(self) -> int:
        """How many more tasks can begin now."""

    def submit(self, task: Task) -> None:
        """Takes a task."""

    def wait(self, seconds: float) -> list[Result]:
        """The results of the tasks that ended since the last call; after so many seconds perhaps none."""


class InProcess:
    """Trains in this process, one task at a time.

    Args:
        train: trains a config in a folder.
    """

    def __init__(self, train: Train):
        self.train = train
        self.waiting: list[Task] = []

    def room(self) -> int:
        """One, unless a task waits."""
        return 1 - len(self.waiting)

    def submit(self, task: Task) -> None:
        """Takes the task, for the next `wait` to carry out."""
        self.waiting.append(task)

    def wait(self, seconds: float) -> list[Result]:
        """Carries out the task, however long that takes."""
        return [carry_out(self.waiting.pop(), self.train)] if self.waiting else []
