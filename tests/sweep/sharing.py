"""Drivers that work on one study at once, each a process of its own.

As a script it is a ready process that forks them, which saves each the seconds that imports take: it reads lines of
JSON, `["begin", act, log, ...]` and `["end", pid]`, and answers with a process id, and with how that process ended.
"""

import json
import os
import subprocess
import sys
import time
import traceback
from pathlib import Path
from typing import IO

AIMS = {"val/usdr": "maximize", "cost/gmacs_per_second": "minimize"}


class Drivers:
    """Starts drivers.

    Args:
        folder: for what they print.
    """

    def __init__(self, folder: Path):
        self.folder, self.count = folder, 0
        root = str(Path(__file__).parents[2])
        command = [sys.executable, "-m", "tests.sweep.sharing"]
        self.ready = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=root)

    def begin(self, act: str, *words: object) -> tuple[int, Path]:
        """The process id of a driver that does one of the acts below, and the file of what it prints."""
        self.count += 1
        log = self.folder / f"{self.count}.log"
        return self._answer("begin", act, str(log), *map(str, words)), log

    def end(self, pid: int) -> int:
        """The exit code, or the number below 0 of the signal that ended it."""
        return self._answer("end", pid)

    def close(self) -> None:
        self.ready.kill()
        self.ready.communicate()

    def _answer(self, *words: object) -> int:
        assert self.ready.stdin is not None
        assert self.ready.stdout is not None
        self.ready.stdin.write(json.dumps(words) + "\n")
        self.ready.stdin.flush()
        return int(self.ready.stdout.readline())


def ask(folder: str, url: str) -> None:
    """Asks and tells 15 trials."""
    from unetsep.sweep.study import open_study

    with open_study(Path(folder), AIMS, url) as study:
        for _ in range(15):
            with study.deciding():
                trial = study.ask()
                trial.suggest_float("x", 0, 1)
                trial.set_user_attr("work", {"level": 0, "driver": study.driver})
            with study.deciding():
                study.tell(trial.number, [float(trial.number), 1.0])
            print(trial.number)


def hold(folder: str, url: str) -> None:
    """Decides for a minute."""
    from unetsep.sweep.study import open_study

    with open_study(Path(folder), AIMS, url) as study, study.deciding():
        print(study.driver, flush=True)
        time.sleep(60)


def search(folder: str, url: str, drivers: str, fatal: str) -> None:
    """Searches, and kills itself in a training after so many.

    The first two trainings wait until each of the drivers is as far: however the machine shares out its time, all work.
    """
    from unetsep.sweep.document import Config
    from unetsep.sweep.executors import InProcess
    from unetsep.sweep.rungs import Stop
    from unetsep.sweep.search import Search
    from unetsep.sweep.study import open_study
    from unetsep.sweep.trials import Outcome, Watch

    from .toy import Notes, Toy, sweep_of

    class Mortal(Toy):
        def train(self, config: Config, folder: Path, stop: Stop | None, watch: Watch) -> Outcome:
            print(folder.name, stop, flush=True)
            if len(self.trained) < 2:
                wait_for(Path(f"{run}.{len(self.trained)}"), int(drivers))
            if len(self.trained) == int(fatal):
                os.kill(os.getpid(), 9)
            return super().train(config, folder, stop, watch)

    run = folder
    sweep = sweep_of(
        "space: {x: {int: [1, 12]}, y: {int: [0, 100]}}\ntrials: 10\nseed: 3\n"
        "rungs: {unit: epochs, first: 1, eta: 3, last: 3}"
    )
    toy = Mortal()
    with open_study(Path(folder), sweep.objectives, url) as study:
        assert Search(sweep, Path(folder), study, Notes()).run(toy, InProcess(toy.train)) == ""


def wait_for(meeting: Path, drivers: int) -> None:
    """Returns when so many have come to the meeting."""
    meeting.mkdir(exist_ok=True)
    (meeting / str(os.getpid())).touch()
    stop = time.monotonic() + 60
    while len(list(meeting.iterdir())) < drivers:
        assert time.monotonic() < stop, "the other drivers did not come"
        time.sleep(0.01)


def serve(requests: IO[str]) -> None:
    """Answers requests until there are no more."""
    import unetsep.sweep.search
    import unetsep.sweep.study  # noqa: F401

    for line in requests:
        kind, *words = json.loads(line)
        if kind == "end":
            print(os.waitstatus_to_exitcode(os.waitpid(words[0], 0)[1]), flush=True)
        elif pid := os.fork():
            print(pid, flush=True)
        else:
            log = os.open(words[1], os.O_WRONLY | os.O_CREAT)
            os.dup2(log, 1)
            os.dup2(log, 2)
            code = 1
            try:
                globals()[words[0]](*words[2:])
                code = 0
            except BaseException:
                traceback.print_exc()
            sys.stdout.flush()
            os._exit(code)


if __name__ == "__main__":
    serve(sys.stdin)
