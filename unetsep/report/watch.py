"""`unetsep report RUN --watch`: keeps the page current while a sweep runs, and tells the open page of it."""

import json
import re
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from rich.console import Console
from rich.live import Live
from rich.text import Text

from unetsep.audio.files import InputError, replacing
from unetsep.sweep.bounds import BOUNDS
from unetsep.sweep.picture import forgiving
from unetsep.sweep.snapshot import Folder, Snapshot
from unetsep.sweep.status import driven, sweep_in

SHARE = 5
"""Looking and writing take at most this part of one core's time, a fifth: the trainings need it more."""

IDLE = 120.0
"""Seconds without a training after which a sweep of several drivers has ended: nothing is held between two trials."""

NEWEST = "version.js"
"""Lies beside the page and tells it which page is the newest; a page from disk may load scripts, and no other file."""

Stamps: TypeAlias = dict[Path, tuple[int, int]]
"""By file the time of its last change and its size."""


def watch(write: Callable[[], Path], runs: Sequence[Path], every: float) -> int:
    """Writes the page whenever something has changed, until every sweep has ended, or was killed.

    A sweep without a score is waited for.

    Args:
        write: Writes the page and returns its path.
        runs: The sweeps' folders.
        every: Seconds between two looks at them; more where the page takes long to write.

    Returns:
        0, or 130 after Ctrl-C.

    Raises:
        InputError: If a folder is no sweep's, a sweep ended without a score, or `write` refuses.
    """
    if not every > 0:
        raise InputError(f"--every is {every:g}: give the seconds between two looks, more than 0")
    watching = _Watching(write, [_Watched(Path(run)) for run in runs], every)
    try:
        watching.until_the_end()
    except KeyboardInterrupt:
        watching.stop("stopped")
        return 130
    except BaseException:
        watching.stop("")
        raise
    watching.stop("the sweep has ended" if len(runs) == 1 else "the sweeps have ended")
    return 0


def tell(page: Path, *, over: bool) -> None:
    """Writes `version.js` beside a page: which page is the newest, and whether a newer one may still come."""
    if version := re.search(r'const version = "(\d+)"', page.read_text(encoding="utf-8")):
        detail = json.dumps({"version": version[1], "over": over})
        with replacing(page.parent / NEWEST) as unfinished:
            unfinished.write_text(
                f'dispatchEvent(new CustomEvent("newest", {{detail: {detail}}}));\n', encoding="utf-8"
            )


@dataclass(frozen=True)
class _Look:
    """A sweep at one moment: its trials, the files that its page is made of, and whether nobody works on it."""

    snapshot: Snapshot | None
    stamps: Stamps
    over: bool

    @property
    def scored(self) -> bool:
        return self.snapshot is not None and bool(self.snapshot.board.front)

    @property
    def counts(self) -> str:
        counts = self.snapshot.counts if self.snapshot else {}
        return ", ".join(f"{count} {state}" for state, count in counts.items()) or "no trial yet"


class _Watched:
    """A sweep's folder that is looked at again and again."""

    def __init__(self, run: Path):
        self.run = run
        self.folder: Folder | None = None
        self.busy = time.monotonic()  # when somebody was last seen at work

    def look(self) -> _Look:
        """What is there now. The end is looked for first, so that nothing comes after what is then seen."""
        working = driven(self.run)
        if self.folder is None:
            if working and not (self.run / "sweep.yaml").is_file():  # it is making its data
                return _Look(None, {}, over=False)
            self.folder = Folder(sweep_in(self.run), self.run)
        snapshot = self.folder.look_around()
        if working or snapshot.running:
            self.busy = time.monotonic()
        patience = 0.0 if self.folder.sweep.document["storage"] is None else IDLE
        idle = not (working or snapshot.running) and time.monotonic() - self.busy >= patience
        return _Look(snapshot, self._stamps(), over=snapshot.done or idle)

    def _stamps(self) -> Stamps:
        files = [self.run / name for name in ("sweep.yaml", *BOUNDS)]
        for name in ("result.json", "tracks.jsonl"):  # the latter grows with every validation
            files += (self.run / "trials").glob(f"[0-9]*/{name}")
        stamps = {}
        for file in files:
            try:
                found = file.stat()
            except OSError:
                continue
            stamps[file] = (found.st_mtime_ns, found.st_size)
        return stamps


class _Watching:
    """What is seen of it: on a terminal one line that is kept current, elsewhere a line for each page written."""

    def __init__(self, write: Callable[[], Path], watched: Sequence[_Watched], every: float):
        self.write = write
        self.watched = watched
        self.every = every
        self.page: Path | None = None
        self.at = ""  # the time of the page
        self.console = forgiving(Console())
        self.live = (
            Live(Text("looking"), console=self.console, transient=True, auto_refresh=False)
            if self.console.is_terminal
            else None
        )

    def until_the_end(self) -> None:
        """Looks, writes and waits."""
        if self.live:
            self.live.start()
        seen: list[Stamps] | None = None
        over = False
        while not over:
            start = time.process_time()
            looks = [each.look() for each in self.watched]
            over = all(look.over for look in looks)
            counts = "; ".join(look.counts for look in looks)
            stamps = [look.stamps for look in looks]
            if stamps != seen and (over or all(look.scored for look in looks)):
                try:
                    page = self.write()
                except FileNotFoundError:  # a training put a new file in the place of one that was just being read
                    if over:
                        raise
                else:
                    seen = stamps
                    self._written(page, counts)
            if not over:
                self._wait(counts, max(self.every, (SHARE - 1) * (time.process_time() - start)))

    def stop(self, why: str) -> None:
        """Leaves the terminal as it was, and the open page in the knowledge that nothing follows."""
        if self.live:
            self.live.stop()
        if self.page:
            tell(self.page, over=True)
        if why:
            self._say(f"{why}; the page is {self.page}" if self.page else f"{why} before there was a page")

    def _written(self, page: Path, counts: str) -> None:
        if self.page is None or not self.live:
            self._say(f"{time.strftime('%H:%M:%S')} {counts}: {page}")
        self.page = page
        self.at = time.strftime("%H:%M:%S")
        tell(page, over=False)

    def _wait(self, counts: str, seconds: float) -> None:
        if self.live:
            page = f"page of {self.at}" if self.page else "no score yet"
            line = Text(f"{counts}; {page}; Ctrl-C ends this", no_wrap=True, overflow="ellipsis")
            self.live.update(line, refresh=True)
        time.sleep(seconds)

    def _say(self, line: str) -> None:
        self.console.print(Text(line), soft_wrap=True, highlight=False)
