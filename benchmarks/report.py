"""What the benchmarks say of themselves (machine, date, versions), and their results as JSON and Markdown."""

import datetime
import json
import os
import platform
import re
from collections.abc import Iterable, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from unetsep.audio.files import replacing


def facts(benchmark: str, device: str = "cpu", packages: Sequence[str] = ("torch", "numpy")) -> dict[str, Any]:
    """What every result begins with.

    Args:
        benchmark: what is measured, in words.
        device: that torch computes on.
        packages: whose versions matter.
    """
    return {
        "benchmark": benchmark,
        "date": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
        "machine": f"{platform.system()} {platform.machine()}, {processor()}, {cores()} cores",
        "threads": torch.get_num_threads(),
        "device": torch.cuda.get_device_name(device) if device.startswith("cuda") else device,
        "versions": {"python": platform.python_version(), **{package: version(package) for package in packages}},
    }


def cores() -> int:
    """How many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def processor() -> str:
    """The processor's name, which Python knows on some systems only."""
    try:
        found = re.search(r"^model name\s*: (.+)$", Path("/proc/cpuinfo").read_text(), flags=re.MULTILINE)
    except OSError:
        found = None
    return found[1] if found else platform.processor() or "unknown processor"


def heading(result: dict[str, Any]) -> str:
    """The result's first lines in Markdown: what was measured, where and when."""
    versions = ", ".join(f"{name} {number}" for name, number in result["versions"].items())
    place = f"{result['machine']}, {result['threads']} threads of torch, on {result['device']}; {versions}"
    return f"{result['benchmark']}\n\n{result['date']}; {place}\n"


def table(columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """A table in Markdown: numbers to three digits and to the right, the first column to the left."""

    def cell(value: Any) -> str:
        if not isinstance(value, float):
            return str(value)
        return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"

    lines = [columns, ["---", *["---:"] * (len(columns) - 1)], *([cell(value) for value in row] for row in rows)]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def write(path: Path | None, result: dict[str, Any]) -> None:
    """Writes the result as JSON, if a path is given."""
    if path is not None:
        with replacing(path) as temporary:
            temporary.write_text(json.dumps(result, indent=2) + "\n")
