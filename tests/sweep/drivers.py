"""Starts sweeps that are to be killed, and finds all that they left.

As a script it is a ready process that forks sweeps, which saves each of them the seconds that imports take: it reads a
line of JSON, `{"words": [...], "log": "file"}`, and answers with a process id, and later with how that process ended.
"""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path

MARK = "UNETSEP_TEST_OF_KILLS"  # in the environment of whatever a harness started, whoever its parent is by now


class Driver(ABC):
    """Starts sweeps, one at a time, each in a process group of its own.

    Args:
        folder: the working directory of the sweeps.
    """

    def __init__(self, folder: Path):
        self.folder, self.mark = folder, f"{os.getpid()}-{time.time_ns()}"
        self.spared = {os.getpid()}
        self.workers: dict[int, int] = {}  # how many workers were killed, by sweep
        self.temporary = Path(tempfile.mkdtemp(prefix="kills-"))  # Ray's sockets need a short path
        (folder / "temporary").symlink_to(self.temporary)
        ours = {"OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "passive", "PYTHONUNBUFFERED": "1"}
        path = os.pathsep.join(filter(None, [str(folder), os.environ.get("PYTHONPATH")]))
        self.environment = {**os.environ, **ours, "PYTHONPATH": path, "TMPDIR": str(self.temporary), MARK: self.mark}

    @abstractmethod
    def start(self, words: Sequence[str], log: Path) -> int:
        """Begins `unetsep sweep` with these words, and returns its process id."""

    @abstractmethod
    def wait(self) -> int:
        """The exit code, or the number below 0 of the signal that ended it."""

    def processes(self) -> list[int]:
        """The ids of all processes that the sweeps left or use."""
        mark, found = f"{MARK}={self.mark}".encode(), []
        for path in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                if mark in (path / "environ").read_bytes().split(b"\0") and int(path.name) not in self.spared:
                    found.append(int(path.name))
        return found

    def left(self, patience: float = 40) -> bool:
        """Whether, after so many seconds, something is left of a sweep that has ended."""
        end = time.monotonic() + patience
        while time.monotonic() < end and self.processes():
            time.sleep(0.2)
        return bool(self.processes())

    def sweep_away(self) -> None:
        """Kills all of them."""
        for pid in self.processes():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def close(self) -> None:
        """Leaves nothing behind."""
        self.sweep_away()
        shutil.rmtree(self.temporary, ignore_errors=True)


class Started(Driver):
    """Sweeps by the command line itself."""

    def start(self, words: Sequence[str], log: Path) -> int:
        command = [sys.executable, "-m", "unetsep", "sweep", *words]
        with log.open("w") as file:
            self.process = subprocess.Popen(
                command, cwd=self.folder, env=self.environment, stdout=file, stderr=file, start_new_session=True
            )
        return self.process.pid

    def wait(self) -> int:
        return self.process.wait()


class Forked(Driver):
    """Sweeps that a ready process forks."""

    def __init__(self, folder: Path):
        super().__init__(folder)
        self.server = subprocess.Popen(
            [sys.executable, __file__],
            cwd=folder,
            env=self.environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.spared.add(self.server.pid)
        assert self._answer() == "ready"

    def start(self, words: Sequence[str], log: Path) -> int:
        assert self.server.stdin is not None
        log.touch()
        self.server.stdin.write(json.dumps({"words": list(words), "log": str(log)}) + "\n")
        self.server.stdin.flush()
        return int(self._answer())

    def wait(self) -> int:
        return int(self._answer())

    def close(self) -> None:
        super().close()
        self.server.kill()
        self.server.communicate()

    def _answer(self) -> str:
        assert self.server.stdout is not None
        return self.server.stdout.readline().strip()


def alive(pid: int) -> bool:
    """Whether a process runs, and does not only wait to be taken note of."""
    try:
        return (Path("/proc") / str(pid) / "stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


def command_of(pid: int) -> str:
    """A process's command line, as it calls itself."""
    with contextlib.suppress(OSError):
        return (Path("/proc") / str(pid) / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
    return ""


def _serve() -> None:
    """Answers requests until there are no more."""
    from unetsep.__main__ import main
    from unetsep.sweep import trial as _  # noqa: F401 - what takes seconds

    print("ready", flush=True)
    for line in sys.stdin:
        asked = json.loads(line)
        if (pid := os.fork()) == 0:
            os.setsid()
            log = os.open(asked["log"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
            for stream in (1, 2):
                os.dup2(log, stream)
            code = 1
            try:
                code = main(["sweep", *asked["words"]])
            except SystemExit as stop:
                code = int(stop.code or 0)
            except BaseException:
                import traceback

                traceback.print_exc()
            finally:
                sys.stdout.flush()
                os._exit(code)
        print(pid, flush=True)
        print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), flush=True)


if __name__ == "__main__":
    sys.path[0] = str(Path.cwd())  # not this folder, whose modules have other names in the tests
    _serve()
