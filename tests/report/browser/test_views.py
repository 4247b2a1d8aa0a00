"""What one sees while listening: pictures that can be pressed, the SDR over time, a word where a sound is missing."""

from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page

from unetsep.report.page import write_report
from unetsep.report.reading import read_runs

from ..sweep_folder import write_sweep, write_trial
from ..whole_sweeps import write_sounds
from .chromium import NARROW, WIDE, complaints_of, new_page, open_file

pytestmark = pytest.mark.slow

SECONDS = 8.0  # long enough for a busy machine


@pytest.fixture(scope="module")
def two_heard(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of three trials, of which the worst has no sounds."""
    folder = write_sweep(tmp_path_factory.mktemp("sweep") / "heard")
    trials = [write_trial(folder, number, 5.0 - number, 1.0 - number / 4) for number in range(3)]
    for trial in trials[:2]:
        write_sounds(trial, ("song",), SECONDS, noise=0.1)
    return write_report(read_runs([folder]))


def at(page: Page) -> float:
    return float(page.locator("#seek").input_value())


def playing(page: Page) -> bool:
    return page.locator("#play").get_attribute("aria-label") == "pause"


def chosen(page: Page) -> str:
    return page.locator(".desk button[aria-pressed=true]").get_attribute("aria-label") or ""


def test_a_press_on_a_picture_plays_that_sound_from_that_moment(visit, two_heard: Path) -> None:
    page = visit(two_heard)
    picture = page.locator('.picture[data-row="vocals"][data-column="1"]').first
    box = picture.bounding_box()
    picture.click(position={"x": box["width"] / 2, "y": 20})
    page.wait_for_function("() => [...document.querySelectorAll('audio')].some((sound) => !sound.paused)")
    assert chosen(page).startswith("vocals, trial 1")
    assert SECONDS / 2 - 0.1 < at(page) < SECONDS - 1
    page.keyboard.press("Space")
    assert not playing(page)
    assert at(page) > SECONDS / 2 - 0.1
    assert picture.evaluate("each => each.classList.contains('heard')")


def test_a_press_on_the_sdr_moves_the_playhead_and_its_values_are_those_there(visit, two_heard: Path) -> None:
    page = visit(two_heard)
    plot = page.locator(".plot")
    width = plot.bounding_box()["width"]
    plot.click(position={"x": width / 8, "y": 30})
    assert at(page) == pytest.approx(SECONDS / 8, abs=0.1)
    assert page.locator("#sdr-chart b").all_inner_texts() == ["silent"] * 2  # the vocals begin in the middle
    plot.click(position={"x": width * 0.9, "y": 30})
    assert at(page) == pytest.approx(SECONDS * 0.9, abs=0.1)
    shown = [float(text.removesuffix(" dB")) for text in page.locator("#sdr-chart b").all_inner_texts()]
    assert shown == pytest.approx([17.0, 17.0], abs=0.5)  # a tone of 0.2 and noise of 0.02
    assert not playing(page)


def test_the_sdr_is_told_in_words_as_well(visit, two_heard: Path) -> None:
    chart = visit(two_heard).locator("#sdr-chart")
    assert chart.get_attribute("role") == "img"
    assert "vocals" in chart.get_attribute("aria-label")
    assert "trial 0 from 1" in chart.get_attribute("aria-label")


def test_a_trial_without_sounds_says_so_and_the_arrows_pass_it_by(visit, two_heard: Path) -> None:
    page = visit(two_heard, fragment="#compare=0,2,1")
    assert page.locator(".desk td.none").count() == 4
    page.locator('.desk button[data-row="drums"][data-column="0"]').focus()
    page.locator('.desk button[data-row="drums"][data-column="0"]').click()
    page.keyboard.press("ArrowRight")
    assert chosen(page).startswith("drums, trial 1")
    page.keyboard.press("3")
    assert chosen(page).startswith("drums, trial 1")
    page.keyboard.press("0")
    assert chosen(page) == "mixture"
    page.keyboard.press("2")
    assert chosen(page).startswith("drums, trial 0")


def test_the_slider_moves_half_a_second_at_a_key_and_says_where_it_is(visit, two_heard: Path) -> None:
    page = visit(two_heard)
    page.locator("#seek").focus()
    for _ in range(3):
        page.keyboard.press("ArrowRight")
    assert at(page) == 1.5
    assert page.locator("#seek").get_attribute("aria-valuetext") == "1.5 of 8.0 seconds"


def test_keys_work_where_nothing_is_focused_as_long_as_it_plays(visit, two_heard: Path) -> None:
    page = visit(two_heard)
    page.locator("h1").click()
    page.keyboard.press("2")
    assert chosen(page).startswith("vocals, reference")
    page.locator("#play").click()
    page.locator("h1").click()
    page.keyboard.press("2")
    assert chosen(page).startswith("vocals, trial 0")
    page.locator("#filter").focus()
    page.keyboard.press("1")
    assert page.locator("#filter").input_value() == "1"
    assert chosen(page).startswith("vocals, trial 0")


@pytest.mark.parametrize("size", [WIDE, NARROW], ids=["wide", "narrow"])
def test_the_player_stays_in_sight_among_the_pictures(visit, two_heard: Path, size: tuple[int, int]) -> None:
    page = visit(two_heard, size)
    page.locator("#compare .pictures").last.evaluate("each => each.scrollIntoView({ block: 'start' })")
    box = page.locator("#play").bounding_box()
    assert 0 <= box["y"] < 100
    page.locator("#play").click()
    page.wait_for_function("() => document.querySelector('#compare.plays')")


def test_for_readers_who_want_no_motion_the_playhead_still_moves(visit, two_heard: Path) -> None:
    page = visit(two_heard, reduced_motion="reduce")
    page.locator("#play").click()
    page.wait_for_function("() => Number(document.getElementById('compare').style.getPropertyValue('--at')) > 0")


def test_a_sound_that_is_missing_is_named_with_what_to_do(browser: Browser, two_heard: Path, tmp_path: Path) -> None:
    (tmp_path / "alone.html").write_bytes(two_heard.read_bytes())
    page = new_page(browser)
    complaints = complaints_of(page)
    open_file(page, tmp_path / "alone.html")
    page.locator("#play").click()
    page.locator("#problem").wait_for()
    assert "song_vocals_reference.flac" in page.locator("#problem").inner_text()
    assert "--out" in page.locator("#problem").inner_text()
    assert not playing(page)
    assert {each for each in complaints if "ERR_FILE_NOT_FOUND" not in each} == set()
    page.context.close()
