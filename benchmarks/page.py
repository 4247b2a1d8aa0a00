"""How long it takes to write the report of a large sweep, how large it is, and how long until it is open in a browser.

The sweep is made up (tests/report/whole_sweeps.py): hundreds of trials at rungs with all their files, and sounds for
those that are heard. A page is open when the front's points are painted and its scripts have run. The browser is
Debian's Chromium without a window; every opening begins with empty caches, the first one in a browser just started.

    python benchmarks/page.py --json page.json
"""

import argparse
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import report

sys.path.insert(0, str(Path(__file__).parent.parent))

from tests.report.browser.chromium import NARROW, WIDE, chromium, new_page, program, seconds_busy
from tests.report.whole_sweeps import write_large_sweep, write_sounds
from unetsep.report.page import HEARD, write_report
from unetsep.report.reading import read_runs

GOAL_SECONDS = 2.0
GOAL_MEGABYTES = 20.0
SOUNDS = (".flac", ".wav", ".ogg", ".mp3")
OPEN = "() => window.open_at"

# In the page, before its own scripts: when the front's points were there and the next picture had been painted, and
# when a script had then waited in vain for anything else to do.
WATCH = """
const look = () => {
  if (!document.querySelector("#front-chart svg path[aria-label]")) return requestAnimationFrame(look);
  requestAnimationFrame(() => {
    window.painted_at = performance.now();
    const rest = () => { window.open_at = performance.now(); };
    if (document.readyState === "complete") setTimeout(rest); else addEventListener("load", () => setTimeout(rest));
  });
};
look();
"""
TIMES = """() => {
  const [navigation] = performance.getEntriesByType("navigation");
  return {
    "first paint": performance.getEntriesByName("first-contentful-paint")[0]?.startTime,
    "document read, scripts run": navigation.domContentLoadedEventEnd,
    "front painted": window.painted_at,
    "open": window.open_at,
  };
}"""


def opened(browser: Any, page: Path, size: tuple[int, int]) -> dict[str, float]:
    """Seconds from the moment that the page was asked for, by what had then happened."""
    window = new_page(browser, size)
    window.add_init_script(WATCH)
    begun = time.perf_counter()
    window.goto(page.resolve().as_uri(), wait_until="commit")
    window.wait_for_function(OPEN, timeout=60_000)
    passed = time.perf_counter() - begun
    times = {name: at / 1000 for name, at in window.evaluate(TIMES).items() if at is not None}
    times |= {"open, by the clock outside": passed, "processor time of the page": seconds_busy(window)}
    window.context.close()
    return times


def megabytes(folder: Path) -> dict[str, float]:
    """The report's size: the page alone, and everything but sounds."""
    files = [file for file in folder.rglob("*") if file.is_file() and file.suffix not in SOUNDS]
    return {
        "the page": (folder / "index.html").stat().st_size / 1e6,
        "all but sounds": sum(file.stat().st_size for file in files) / 1e6,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path, help="also write the result here")
    parser.add_argument("--trials", type=int, default=500)
    parser.add_argument("--tracks", type=int, default=2, help="whose sounds are kept")
    parser.add_argument("--seconds", type=float, default=6.0, help="length of the sounds")
    parser.add_argument("--rounds", type=int, default=7, help="openings that are measured")
    parser.add_argument("--device", help="as the other benchmarks have it; nothing here computes on a GPU")
    options = parser.parse_args()
    executable = program()
    if executable is None:
        sys.exit("there is no Chromium here; on Debian, apt-get install chromium")

    with tempfile.TemporaryDirectory() as temporary:
        folder = write_large_sweep(Path(temporary) / "large", options.trials)
        run = read_runs([folder])
        for rank, trial in enumerate(run.ranked):
            if rank < HEARD or trial.key in run.front_keys:
                write_sounds(trial.folder, [f"song {track}" for track in range(options.tracks)], options.seconds)
        writing = {}
        for name in ("written", "written again"):
            begun = time.perf_counter()
            page = write_report(read_runs([folder]))
            writing[name] = time.perf_counter() - begun
        size = megabytes(page.parent)
        with chromium(executable) as browser:
            version = browser.version
            first = opened(browser, page, WIDE)
            rounds = {
                name: [opened(browser, page, window) for _ in range(options.rounds)]
                for name, window in (("wide", WIDE), ("narrow", NARROW))
            }

    result = report.facts(__doc__.partition("\n")[0], packages=("altair", "vl-convert-python", "playwright"))
    medians = {
        name: {moment: statistics.median(times[moment] for times in found) for moment in found[0]}
        for name, found in rounds.items()
    }
    slowest = max(times["open, by the clock outside"] for times in medians.values())
    result |= {
        "settings": {key: value for key, value in vars(options).items() if key != "json"},
        "chromium": version,
        "goals": {"seconds": GOAL_SECONDS, "megabytes": GOAL_MEGABYTES},
        "writing_seconds": writing,
        "megabytes": size,
        "first_opening_seconds": first,
        "median_seconds": medians,
        "rounds": rounds,
    }
    print("\n" + report.heading(result))
    print(report.table(["", f"{options.trials} trials"], [[name, f"{value:.2f} s"] for name, value in writing.items()]))
    print(report.table(["size", "MB"], list(size.items())))
    rows = [[moment, first[moment], *(medians[name][moment] for name in medians)] for moment in first]
    print(
        report.table([f"seconds, Chromium {version}", "first opening", *(f"{name}, median" for name in medians)], rows)
    )
    for name, value, goal, unit in (
        ("open", slowest, GOAL_SECONDS, "s"),
        ("size without sounds", size["all but sounds"], GOAL_MEGABYTES, "MB"),
    ):
        print(f"{'pass' if value < goal else 'miss'}: {name} {value:.2f} {unit}; the goal is {goal:g} {unit}")
    report.write(options.json, result)


if __name__ == "__main__":
    main()
