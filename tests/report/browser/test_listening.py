"""Comparing by ear: one sound at a time, and whichever is chosen plays on where the last one was."""

from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Locator, Page

from .chromium import NARROW, WIDE
from .parts import TOO_WIDE, compared, drawn, point, shown

pytestmark = pytest.mark.slow

SECONDS = 6.0  # of each made-up sound

# Before the page's own scripts: remembers every sound that they make, in or out of the document.
EAR = """
window.sounds = [];
const Made = window.Audio;
window.Audio = function (...given) { const made = new Made(...given); window.sounds.push(made); return made; };
window.Audio.prototype = Made.prototype;
const play = HTMLMediaElement.prototype.play;
HTMLMediaElement.prototype.play = function () {
  if (!window.sounds.includes(this)) window.sounds.push(this);
  return play.call(this);
};
"""
HEARD = """() => window.sounds.filter((sound) => !sound.paused).map((sound) => ({
  address: decodeURIComponent(sound.currentSrc),
  file: decodeURIComponent(sound.currentSrc.split("/").pop()),
  at: sound.currentTime,
  now: performance.now() / 1000,
  muted: sound.muted,
}))"""


@pytest.fixture
def listening(visit, page_of_forty: Path) -> Page:
    """The page with an ear in it, scrolled to where one listens."""
    page = visit(page_of_forty)
    page.add_init_script(EAR)
    page.reload()
    drawn(page)
    page.locator("#compare").scroll_into_view_if_needed()
    return page


def heard(page: Page) -> dict[str, Any]:
    """The one sound that is playing."""
    page.wait_for_function(f"() => ({HEARD})().length === 1 && ({HEARD})()[0].at > 0")
    sounds: list[dict[str, Any]] = page.evaluate(HEARD)
    assert len(sounds) == 1
    return sounds[0]


def field(page: Page, row: str, column: str) -> Locator:
    return page.locator(f'.desk button[data-row="{row}"][data-column="{column}"]')


def columns(page: Page) -> list[str]:
    """The reference and the compared trials, as they stand beside each other."""
    fields = page.locator('.desk button[data-row="vocals"]')
    return fields.evaluate_all("fields => fields.map(each => each.dataset.column)")


def jump(page: Page, seconds: float) -> None:
    """Moves the playhead as a reader does, by the slider."""
    page.locator("#seek").evaluate(
        "(seek, at) => { seek.value = at; seek.dispatchEvent(new Event('input', { bubbles: true })); }", seconds
    )


def test_there_is_a_field_for_the_mixture_and_for_every_stem_of_reference_and_compared_trials(listening: Page) -> None:
    assert columns(listening)[0] == "reference"
    assert sorted(columns(listening)[1:]) == compared(listening)
    names = listening.locator(".desk button").evaluate_all("all => all.map(each => each.getAttribute('aria-label'))")
    assert len(names) == len(set(names)) == 1 + 4 * 4
    assert listening.locator("#compare img:not([alt]), #compare img[alt='']").count() == 0


def test_a_click_on_a_field_plays_that_sound_and_a_second_one_pauses_it(listening: Page) -> None:
    key = compared(listening)[0]
    field(listening, "bass", key).click()
    now = heard(listening)
    assert now["file"] == "first song_bass_estimate.flac"
    assert f"/{int(key):04d}/" in now["address"]
    assert not now["muted"]
    assert listening.locator("#play").get_attribute("aria-label") == "pause"
    assert field(listening, "bass", key).get_attribute("aria-pressed") == "true"
    field(listening, "bass", key).click()
    listening.wait_for_function(f"() => ({HEARD})().length === 0")
    assert listening.locator("#play").get_attribute("aria-label") == "play"


def test_switching_to_another_trial_keeps_the_playhead(listening: Page) -> None:
    _, first, second, *_ = columns(listening)
    listening.locator("#loop").uncheck()
    field(listening, "vocals", first).click()
    heard(listening)
    jump(listening, 0.7)
    for row, column in [("vocals", second), ("vocals", "reference"), ("drums", second), ("mixture", "reference")]:
        before = heard(listening)
        field(listening, row, column).click()
        after = heard(listening)
        assert row in after["file"]
        assert after["address"] != before["address"]
        assert before["at"] >= 0.7
        assert before["at"] - 0.05 <= after["at"] <= before["at"] + after["now"] - before["now"] + 0.05


def test_switching_while_nothing_plays_keeps_the_playhead_too(listening: Page) -> None:
    _, first, second, *_ = columns(listening)
    field(listening, "other", first).click()
    heard(listening)
    listening.locator("#play").click()
    jump(listening, 1.25)
    field(listening, "other", first).focus()
    listening.keyboard.press("ArrowRight")
    assert listening.evaluate(HEARD) == []
    assert listening.locator("#seek").input_value() == "1.25"
    listening.locator("#play").click()
    now = heard(listening)
    assert f"/{int(second):04d}/" in now["address"]
    assert 1.2 < now["at"] < 5.9


def test_the_keyboard_alone_listens_and_compares(listening: Page) -> None:
    keys = columns(listening)
    listening.locator("#seek").focus()
    for _ in range(6):
        listening.keyboard.press("Tab")
        if listening.evaluate("document.activeElement.closest('.desk') !== null"):
            break
    else:
        pytest.fail("the fields were not reached")
    assert listening.locator(".desk button[tabindex='0']").count() == 1
    listening.keyboard.press("Enter")
    before = heard(listening)
    listening.keyboard.press("ArrowDown")
    below = heard(listening)
    assert below["file"] != before["file"]
    listening.keyboard.press("2")
    assert f"/{int(keys[1]):04d}/" in heard(listening)["address"]
    assert listening.evaluate("document.activeElement.dataset.column") == keys[1]
    listening.keyboard.press("ArrowRight")
    assert f"/{int(keys[2]):04d}/" in heard(listening)["address"]
    listening.keyboard.press("ArrowUp")
    assert heard(listening)["file"] == before["file"].replace("reference", "estimate")


def test_an_excerpt_ends_or_begins_again_as_one_wishes(listening: Page) -> None:
    loop = listening.locator("#loop")
    field(listening, "drums", "reference").click()
    heard(listening)
    loop.check()
    jump(listening, SECONDS - 0.2)
    listening.wait_for_timeout(500)
    assert heard(listening)["at"] < SECONDS - 0.2
    loop.uncheck()
    jump(listening, SECONDS - 0.2)
    listening.wait_for_function(f"() => ({HEARD})().length === 0")
    assert listening.locator("#play").get_attribute("aria-label") == "play"


def test_another_track_is_another_sound_and_other_pictures(listening: Page) -> None:
    field(listening, "vocals", "reference").click()
    assert heard(listening)["file"].startswith("first song")
    pictures = listening.locator("#compare img").evaluate_all("all => all.map(each => each.src)")
    listening.locator("#track").select_option(label="second song")
    assert heard(listening)["file"].startswith("second song")
    others = listening.locator("#compare img").evaluate_all("all => all.map(each => each.src)")
    assert len(others) == len(pictures)
    assert set(others).isdisjoint(pictures)


def test_comparing_another_trial_adds_its_column_and_leaves_the_sound_alone(listening: Page) -> None:
    field(listening, "bass", "reference").click()
    before = heard(listening)
    key = next(key for key in shown(listening) if key not in compared(listening))
    listening.locator(f'#trials input[value="{key}"]').check()
    assert field(listening, "bass", key).count() == 1
    assert heard(listening)["file"] == before["file"]
    listening.locator(f'#trials input[value="{key}"]').uncheck()
    assert field(listening, "bass", key).count() == 0


def test_a_press_on_a_point_plays_its_trial_from_where_the_last_sound_was(listening: Page) -> None:
    field(listening, "bass", "reference").click()
    before = heard(listening)
    key = next(key for key in shown(listening) if key not in compared(listening))
    for _ in range(2):  # once compared, it is heard again and not left out
        point(listening, key).click(force=True)
        after = heard(listening)
        assert after["file"] != before["file"]
        assert field(listening, "bass", key).get_attribute("aria-pressed") == "true"
        assert key in compared(listening)


def test_a_trial_that_is_left_out_while_it_plays_gives_way_to_the_reference(listening: Page) -> None:
    key = compared(listening)[0]
    field(listening, "bass", key).click()
    heard(listening)
    listening.locator(f'#trials input[value="{key}"]').uncheck()
    listening.wait_for_timeout(200)
    assert [each["address"] for each in listening.evaluate(HEARD) if f"/{int(key):04d}/" in each["address"]] == []
    assert listening.locator(".desk button[aria-pressed=true]").count() == 1


def test_spectrograms_and_maps_of_all_that_is_compared_are_loaded_and_show_the_playhead(listening: Page) -> None:
    field(listening, "other", "reference").click()
    heard(listening)
    pictures = listening.locator("#compare .pictures img")
    assert pictures.count() == 2 * (1 + len(compared(listening)))
    listening.wait_for_function(
        "() => [...document.querySelectorAll('#compare img')].every((each) => each.naturalWidth > 20)"
    )
    names = pictures.evaluate_all("all => all.map(each => each.alt)")
    assert len(set(names)) == len(names)
    jump(listening, 4.5)
    share = float(listening.locator("#compare").evaluate("each => each.style.getPropertyValue('--at')"))
    assert 0.74 < share < 1.0


def test_the_sdr_over_time_is_drawn_for_every_compared_trial(listening: Page) -> None:
    field(listening, "bass", "reference").click()
    listening.locator("#sdr-chart svg").wait_for()
    lines = listening.locator("#sdr-chart svg .mark-line path")
    assert lines.count() == len(compared(listening))
    assert listening.locator("#sdr-chart svg").get_attribute("width") != "0"


@pytest.mark.parametrize(("size", "dark"), [(NARROW, False), (WIDE, True)])
def test_listening_fits_any_window(visit, page_of_forty: Path, size: tuple[int, int], dark: bool) -> None:
    page = drawn(visit(page_of_forty, size, dark=dark))
    for key in shown(page)[:5]:
        page.locator(f'#trials input[value="{key}"]').check()
    page.locator("#compare").scroll_into_view_if_needed()
    field(page, "drums", "reference").click()
    page.locator("#sdr-chart svg").wait_for()
    assert page.evaluate(TOO_WIDE) == []
    assert page.evaluate("document.documentElement.scrollWidth") <= size[0]
