"""One command in a process of its own: how long it took and how much memory it held at most."""

import dataclasses
import json
import os
import runpy
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path


@dataclasses.dataclass(frozen=True)
class Usage:
    """What a process took: time from its start to its end and of all its threads, and the most memory it had resident.

    Where others compute too, the time of its threads tells more.
    """

    seconds: float
    busy_seconds: float
    peak_mb: float


def measured(program: str, *arguments: str, threads: int = 2) -> Usage:
    """Runs `python program` (a file, or `-m` and a module's name with a space between) in a fresh process.

    Linux only: the peak is `VmHWM` of its own memory; what `ru_maxrss` says includes the process that started it.

    Raises:
        RuntimeError: If the command fails, with the last line of what it said.
    """
    with tempfile.TemporaryDirectory() as folder:
        found = Path(folder) / "found.json"
        environment = {**os.environ, "OMP_NUM_THREADS": str(threads)}
        command = [sys.executable, __file__, str(found), program, *arguments]
        started = time.perf_counter()
        ended = subprocess.run(command, env=environment, capture_output=True, text=True)
        seconds = time.perf_counter() - started
        if ended.returncode or not found.exists():
            raise RuntimeError(
                f"{program} {' '.join(arguments)}: {(ended.stderr.strip() or 'killed').splitlines()[-1]}"
            )
        return Usage(seconds, **json.loads(found.read_text()))


def _carry_out(found: Path, program: str, arguments: Sequence[str]) -> None:
    sys.argv = [program, *arguments]
    sys.path[0] = str(Path(program).parent)
    try:
        if program.startswith("-m "):
            runpy.run_module(program.removeprefix("-m "), run_name="__main__", alter_sys=True)
        else:
            runpy.run_path(program, run_name="__main__")
    finally:
        held = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
        found.write_text(json.dumps({"busy_seconds": time.process_time(), "peak_mb": int(held.split()[1]) / 1024}))


if __name__ == "__main__":
    _carry_out(Path(sys.argv[1]), sys.argv[2], sys.argv[3:])
