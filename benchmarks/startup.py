"""How long it takes until anything is said: `import unetsep` and `unetsep --help`, beside `import openunmix`.

Each is a fresh process, from its start to its end; the rounds go through all of them in turn, so that a busy machine
bears on all alike. Goals: 0.3 s and 1 s. What a process that separates takes is in `benchmarks/separation.py`.
"""

import argparse
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import report

CODE = {
    "python": "pass",
    "import unetsep": "import unetsep",
    "unetsep --help": "from unetsep.__main__ import main; main(['--help'])",
    "import torch": "import torch",
    "import unetsep.deploy.separator": "import unetsep.deploy.separator",
    "import openunmix": "import openunmix",
}
GOALS = {"import unetsep": 0.3, "unetsep --help": 1.0}


def seconds(code: str) -> float:
    """From the start to the end of a process of its own."""
    started = time.perf_counter()
    subprocess.run([sys.executable, "-c", code], check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - started


def main(args: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=7, metavar="N")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the result there as well")
    parser.add_argument("--device", help="as the other benchmarks have it; everything here is on the CPU")
    given = parser.parse_args(args)
    taken: dict[str, list[float]] = {name: [] for name in CODE}
    for _ in range(given.rounds + 1):  # the first fills the disk's cache
        for name, code in CODE.items():
            taken[name].append(seconds(code))
    medians = {name: statistics.median(times[1:]) for name, times in taken.items()}
    result = report.facts("Seconds from a process's start to its end", packages=("torch", "openunmix"))
    result |= {"rounds": given.rounds, "seconds": medians, "goals": GOALS}
    rows = [(name, value, GOALS.get(name, "")) for name, value in medians.items()]
    print(report.heading(result))
    print(report.table(("process", "seconds", "goal"), rows))
    report.write(given.json, result)


if __name__ == "__main__":
    main()
