from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeAlias

import pytest
from playwright.sync_api import Browser, Page

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
