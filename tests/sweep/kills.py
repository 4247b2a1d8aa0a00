"""Kills sweeps at random moments, again and again, until they end by themselves."""

import contextlib
import json
import os
import random
import signal
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

from .drivers import Driver, alive, command_of


@dataclass
class Kill:
    """One line of the table: when, what, in the middle of what, and what the next start said."""

    seconds: float
    what: str
    moment: str
    says: str = ""

    def __str__(self) -> str:
        return f"{self.seconds:5.1f} s | {self.what:23} | {self.moment:42} | {self.says}"


@dataclass
class Played:
    """How a sweep fared: its kills, what its last start said, and what was wrong on the way."""

    kills: list[Kill] = field(default_factory=list)
    code: int = 0
    said: str = ""
    wrong: list[str] = field(default_factory=list)


Strike: TypeAlias = Callable[[Driver, int, random.Random], str]
"""Kills something of a sweep, given its process id, and says what; "" if there was nothing to kill."""


def everything(driver: Driver, pid: int, chance: random.Random) -> str:
    """The driver and all that it started, at once."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(pid, signal.SIGKILL)
    driver.sweep_away()
    return "everything"


def only_the_driver(driver: Driver, pid: int, chance: random.Random) -> str:
    """The process that holds the study; what it had started ends by itself, perhaps only after the next start."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)
    if chance.random() < 0.5:
        assert not driver.left(), [command_of(each) for each in driver.processes()]
        return "driver"
    return "driver, started at once"


def a_worker(driver: Driver, pid: int, chance: random.Random) -> str:
    """One of Ray's processes that train; not a third one, which a task might not be forgiven."""
    workers = [each for each in driver.processes() if command_of(each).startswith(("ray::work", "ray::IDLE"))]
    if not workers or driver.workers.setdefault(pid, 0) >= 2:
        return ""
    driver.workers[pid] += 1
    with contextlib.suppress(ProcessLookupError):
        os.kill(chance.choice(workers), signal.SIGKILL)
    return "worker"


def play(
    driver: Driver,
    words: Sequence[str],
    run: Path,
    chance: random.Random,
    whole: float,
    strikes: Sequence[Strike] = (everything,),
    most: int = 1000,
) -> Played:
    """Starts a sweep and kills it, until it ends before it is killed.

    Where it gets no further, the next kill may come later; where it does, earlier: machines differ.

    Args:
        driver: what starts it.
        words: its command line.
        run: its folder.
        chance: what is left to chance.
        whole: how many seconds it would take.
        strikes: each kill is one of these.
        most: after so many kills it is left alone.
    """
    played, finals = Played(), dict[Path, tuple[int, bytes]]()
    bound, before = whole / 4, dict[str, int]()
    for attempt in range(1000):
        log = run.with_name(f"{run.name}.{attempt}.log")
        pid = driver.start(words, log)
        begin, new = time.monotonic(), len(played.kills)
        struck = True
        while struck and alive(pid) and len(played.kills) < most:
            struck = _strike(driver, pid, run, chance, chance.uniform(0, bound), strikes, log, begin, played)
        code = driver.wait()
        said = log.read_text(errors="replace")
        for kill in played.kills[new - 1 : new] if new else []:
            kill.says = _going_on(said)
        played.wrong += rewritten(run, finals)
        if code != -signal.SIGKILL:
            played.code, played.said = code, said
            return played
        reached = {str(path): path.stat().st_mtime_ns for path in run.glob("trials/*/checkpoints/last.ckpt")}
        before, bound = reached, bound * (1.4 if reached == before else 0.8)
    raise AssertionError("the sweep does not get on")


def _strike(
    driver: Driver,
    pid: int,
    run: Path,
    chance: random.Random,
    delay: float,
    strikes: Sequence[Strike],
    log: Path,
    begin: float,
    played: Played,
) -> bool:
    """Waits and kills; whether it did, and the driver may still be alive."""
    start, aimed = time.monotonic(), chance.random() < 0.4
    before = None
    while alive(pid):
        passed = time.monotonic() - start
        if passed > delay:
            # some kills are aimed at the moment in which a file appears, which chance alone would rarely meet
            now = _files(run) if aimed else None
            if not aimed or passed > delay + 5 or (before is not None and now != before):
                time.sleep(chance.random() * 0.02 * aimed)
                moment = _moment(log.read_text(errors="replace")) + (", a file written" if aimed else "")
                if what := chance.choice(strikes)(driver, pid, chance):
                    played.kills.append(Kill(time.monotonic() - begin, what, moment))
                return True
            before = now
        time.sleep(0.001 if aimed else 0.01)
    return False


def rewritten(run: Path, finals: dict[Path, tuple[int, bytes]]) -> list[str]:
    """Final results that are no longer what they were; remembers those that are new."""
    wrong = []
    for path in (run / "trials").glob("*/result.json"):
        content = path.read_bytes()
        held = (path.stat().st_mtime_ns, content)
        if path in finals and finals[path] != held:
            wrong.append(f"{path} was written again")
        if json.loads(content)["state"] != "paused":
            finals[path] = held
    return wrong


def _files(run: Path) -> dict[str, int]:
    """When each file was written that lies in trials' folders, or for a while among temporary files."""
    found = {}
    for path in (*run.glob("trials/*/*"), *run.glob("trials/*/checkpoints/*"), *run.parent.glob("temporary/tmp*")):
        with contextlib.suppress(OSError):
            if path.name != "progress.json":
                found[str(path)] = path.stat().st_mtime_ns
    return found


def _moment(said: str) -> str:
    lines = said.splitlines()
    last = next((line for line in reversed(lines) if line.startswith(("trial ", "0"))), "")
    if last.startswith("trial "):
        return f"{last.split(':')[0]}"
    return f"after {last.split(':')[0]}" if last else "before any trial" if lines else "start-up"


def _going_on(said: str) -> str:
    wanted = [line for line in said.splitlines() if "going on" in line or "goes on" in line or "done" in line]
    return " / ".join(line.split(":")[0] for line in wanted[:2]) or "nothing before it was killed too"
