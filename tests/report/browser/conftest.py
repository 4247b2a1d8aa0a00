from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeAlias

import pytest
from playwright.sync_api import Browser, Page

from unetsep.report.page import write_report
from unetsep.report.reading import read_runs

from ..whole_sweeps import write_large_sweep, write_sounds
from .chromium import chromium, complaints_of, new_page, open_file, program

Visit: TypeAlias = Callable[..., Page]


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """One Chromium for all tests of a process; without one they are skipped."""
    executable = program()
    if executable is None:
        pytest.skip("there is no Chromium here; on Debian, apt-get install chromium")
    with chromium(executable) as running:
        yield running


@pytest.fixture
def visit(browser: Browser) -> Iterator[Visit]:
    """Opens files, each in a window of its own, and fails the test if one complains or asks the network."""
    opened: list[Page] = []
    complaints: list[list[str]] = []

    def visit(path: Path, *arguments: Any, fragment: str = "", **settings: Any) -> Page:
        page = new_page(browser, *arguments, **settings)
        opened.append(page)
        complaints.append(complaints_of(page))
        return open_file(page, path, fragment)

    yield visit
    for page in opened:
        page.context.close()
    assert [each for each in complaints if each] == []


@pytest.fixture(scope="session")
def sweep_of_forty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A sweep with rungs, seeds and trials without scores; the best have sounds of two tracks."""
    folder = write_large_sweep(tmp_path_factory.mktemp("sweep") / "shallow", 40)
    run = read_runs([folder])
    for place, trial in enumerate([*run.ranked[:5], *run.front[:4]]):
        write_sounds(trial.folder, ("first song", "second song"), 6.0, noise=0.05 * (1 + place))
    return folder


@pytest.fixture(scope="session")
def page_of_forty(sweep_of_forty: Path) -> Path:
    """Its page, in its folder."""
    return write_report(read_runs([sweep_of_forty]))
