"""A page that is open while its sweep runs follows it, without taking anything from the reader's hands."""

from pathlib import Path

import pytest
from playwright.sync_api import Page

from unetsep.report.page import write_report
from unetsep.report.reading import read_runs
from unetsep.report.watch import tell

from ..sweep_folder import write_trial
from .parts import compared, drawn, shown

pytestmark = pytest.mark.slow


@pytest.fixture
def watched(sweep: Path) -> Path:
    """The page of a running sweep, as `--watch` writes it."""
    return rewrite(sweep)


def rewrite(sweep: Path) -> Path:
    page = write_report(read_runs([sweep]), live=True)
    tell(page, over=False)
    return page


def look(page: Page) -> None:
    """Has the page look for a newer one now, not in a few seconds."""
    page.evaluate("dispatchEvent(new Event('visibilitychange'))")


def test_a_page_that_nobody_uses_gives_way_to_the_newer_one(visit, sweep: Path, watched: Path) -> None:
    page = drawn(visit(watched))
    page.get_by_text("follows the sweep").wait_for()
    write_trial(sweep, 8, usdr=9.0, gmacs=0.7)
    rewrite(sweep)
    look(page)
    page.locator('#trials tr[data-trial="8"]').wait_for()
    assert page.locator(".answer").inner_text().startswith("So far, trial 8\u00a0is best")
    page.get_by_text("follows the sweep").wait_for()


def test_a_reader_at_work_is_offered_the_newer_page_and_keeps_what_was_chosen(
    visit, sweep: Path, watched: Path
) -> None:
    page = drawn(visit(watched))
    page.locator('#trials input[value="1"]').check()
    page.locator("#trials thead button").filter(has_text="depth").click()
    page.locator("#filter").fill("depth<=2")
    chosen, order = compared(page), shown(page)
    write_trial(sweep, 8, usdr=9.0, gmacs=0.7, depth=3)
    rewrite(sweep)
    look(page)
    page.get_by_role("button", name="Show them").wait_for()
    page.wait_for_timeout(200)
    assert page.locator('#trials tr[data-trial="8"]').count() == 0
    page.get_by_role("button", name="Show them").click()
    page.locator('#trials tr[data-trial="8"]').wait_for(state="attached")
    assert compared(page) == chosen
    assert page.locator("#filter").input_value() == "depth<=2"
    assert shown(page) == order
    assert page.locator("#trials [aria-sort]").count() == 1


def test_a_page_whose_sweep_has_ended_looks_no_further(visit, sweep: Path, watched: Path) -> None:
    page = drawn(visit(watched))
    page.get_by_text("follows the sweep").wait_for()
    tell(watched, over=True)
    look(page)
    page.get_by_text("no newer results will come").wait_for()
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.wait_for_timeout(3500)
    assert asked == []


def test_a_page_that_is_not_watched_looks_for_nothing(visit, sweep: Path) -> None:
    page = drawn(visit(write_report(read_runs([sweep]))))
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.wait_for_timeout(500)
    look(page)
    assert asked == []
    assert page.locator(".live").count() == 0
