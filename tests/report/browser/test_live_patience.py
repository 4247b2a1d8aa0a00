"""The page of a sweep that runs has patience: with whoever listens, with a server, and with its own end."""

from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import Page, expect

from unetsep.audio.files import write_audio
from unetsep.report.page import write_report
from unetsep.report.reading import read_runs
from unetsep.report.watch import tell

from ..sweep_folder import write_sweep, write_trial
from .parts import drawn

pytestmark = pytest.mark.slow


@pytest.fixture
def running(tmp_path: Path) -> Path:
    folder = write_sweep(tmp_path / "shallow")
    for number in range(3):
        write_trial(folder, number, 3.0 + number, 0.1 * (1 + number))
    return folder


def written(running: Path, *, over: bool = False) -> Path:
    page = write_report(read_runs([running]), live=True)
    tell(page, over=over)
    return page


def looks(page: Page) -> Page:
    """The page, which looks for a newer one at once, as when its window is come back to."""
    page.evaluate("dispatchEvent(new Event('visibilitychange'))")
    return page


def test_nothing_is_taken_from_whoever_listens(visit, running: Path) -> None:
    page = drawn(visit(written(running)))
    write_audio(running / "report" / "silence.wav", np.zeros((1, 8000 * 60)), 8000)
    page.evaluate(
        """() => {
          const sound = document.createElement("audio");
          sound.src = "silence.wav";
          document.body.append(sound);
          return sound.play();
        }"""
    )
    write_trial(running, 3, 9.0, 0.4)
    written(running)
    expect(looks(page).locator(".live button")).to_be_visible()
    assert page.locator("#trials tbody tr").count() == 3
    page.evaluate("document.querySelector('audio:last-of-type').pause()")
    looks(page)
    expect(page.locator("#trials tbody tr")).to_have_count(4)


def test_a_page_that_is_opened_after_the_end_is_like_any_other(visit, running: Path) -> None:
    page = drawn(visit(written(running, over=True)))
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.wait_for_timeout(3500)
    expect(page.locator(".live")).to_be_hidden()
    assert asked == []


def test_a_page_that_a_server_remembers_is_not_loaded_again_and_again(visit, running: Path) -> None:
    path = written(running)
    old = path.read_text(encoding="utf-8")
    page = drawn(visit(path))
    written(running)
    path.write_text(old, encoding="utf-8")  # the newest is announced, but does not come
    loads: list[str] = []
    page.on("framenavigated", lambda frame: loads.append(frame.url))
    expect(looks(page).locator(".live button")).to_be_visible()
    looks(page)
    page.wait_for_timeout(500)
    assert len(loads) == 1
