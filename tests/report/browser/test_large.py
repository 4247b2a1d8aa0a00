"""A report over hundreds of trials; `benchmarks/page.py` measures it in detail."""

import statistics
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from unetsep.report.page import write_report
from unetsep.report.reading import read_runs

from ..whole_sweeps import write_large_sweep
from .chromium import new_page, seconds_busy
from .parts import POINTS, compared, drawn, point, shown

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_report(read_runs([write_large_sweep(tmp_path_factory.mktemp("large") / "sweep", 500)]))


@pytest.mark.slow
def test_500_trials_open_in_two_seconds_and_take_less_than_20_mb(browser: Browser, large: Path) -> None:
    seconds = []
    for _ in range(3):
        page = new_page(browser)
        page.goto(large.as_uri(), wait_until="load")
        drawn(page)
        seconds.append(seconds_busy(page))
        assert page.locator(POINTS).count() > 400
        page.context.close()
    assert 0.1 < statistics.median(seconds) < 2
    files = [file for file in large.parent.rglob("*") if file.is_file() and file.suffix != ".flac"]
    assert sum(file.stat().st_size for file in files) < 20e6


@pytest.mark.slow
def test_among_500_trials_one_is_found_and_compared_at_once(visit, large: Path) -> None:
    page = drawn(visit(large))
    begun = seconds_busy(page)
    page.locator("#filter").fill("depth<=2 block=ResidualBlock")
    found = shown(page)
    assert 0 < len(found) < 100
    page.locator(f'#trials input[value="{found[-1]}"]').check()
    assert found[-1] in compared(page)
    point(page, found[0]).hover(force=True)
    assert page.locator("#card h3").inner_text().startswith("Trial ")
    assert seconds_busy(page) - begun < 2
