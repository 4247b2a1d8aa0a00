"""The page as it is read: at any width, in the dark, with the mouse, a finger or the keyboard alone."""

import re
from pathlib import Path

import pytest

from unetsep.report.page import write_report
from unetsep.report.reading import read_runs

from ..whole_sweeps import write_depth_sweep
from .chromium import NARROW, WIDE
from .parts import POINTS, TOO_WIDE, column, compared, drawn, focused, point, shown, wander

pytestmark = pytest.mark.slow


@pytest.mark.parametrize(("size", "dark"), [(WIDE, False), (WIDE, True), (NARROW, False), ((320, 600), True)])
def test_every_chart_is_drawn_nothing_complains_and_nothing_is_wider_than_the_window(
    visit, page_of_forty: Path, size: tuple[int, int], dark: bool
) -> None:
    page = drawn(visit(page_of_forty, size, dark=dark))
    wander(page)
    assert page.locator("[data-chart]").count() > 8
    assert page.locator("[data-chart]:not(:has(svg *))").count() == 0
    assert page.evaluate("document.documentElement.scrollWidth") <= size[0]
    assert page.evaluate(TOO_WIDE) == []


def test_the_page_asks_for_files_beside_it_only(visit, sweep_of_forty: Path, page_of_forty: Path) -> None:
    page = visit(page_of_forty)
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.reload()
    wander(drawn(page))
    assert asked
    assert [url for url in asked if not url.startswith((sweep_of_forty.as_uri() + "/", "data:", "blob:"))] == []


def test_a_click_on_a_point_shows_its_card_and_compares_it_everywhere(visit, page_of_forty: Path) -> None:
    page = drawn(visit(page_of_forty))
    before = compared(page)
    key = next(key for key in shown(page) if key not in before)
    assert before == sorted(trial.key for trial in read_runs([page_of_forty.parent.parent]).front[:3])
    point(page, key).click(force=True)
    assert page.locator("#card h3").inner_text().startswith(f"Trial {key}")
    assert page.locator("#card svg[role=img]").get_attribute("aria-label")
    assert compared(page) == sorted([*before, key])
    point(page, key).click(force=True)
    assert compared(page) == sorted([*before, key]), "it is left out by its card, its drawing or the leaderboard"
    page.locator(f'#trials input[value="{key}"]').uncheck()
    assert compared(page) == before


def test_pointing_at_a_trial_shows_its_card_without_comparing_it(visit, page_of_forty: Path) -> None:
    page = drawn(visit(page_of_forty))
    before, key = compared(page), shown(page)[-1]
    point(page, key).hover(force=True)
    page.locator("#card h3", has_text=re.compile(f"^Trial {key}")).wait_for()
    row = page.locator(f'#trials tr[data-trial="{key}"]')
    assert page.locator("#card .score").inner_text().split()[1] == row.locator("td.number").first.inner_text()
    assert compared(page) == before


def test_a_finger_on_a_point_compares_it(visit, page_of_forty: Path) -> None:
    page = drawn(visit(page_of_forty, NARROW))
    before = compared(page)
    key = next(key for key in shown(page) if key not in before)
    point(page, key).tap(force=True)
    assert page.locator("#card h3").inner_text().startswith(f"Trial {key}")
    assert compared(page) == sorted([*before, key])


def test_what_is_compared_outlives_a_reload(visit, page_of_forty: Path) -> None:
    page = drawn(visit(page_of_forty))
    key = shown(page)[-1]
    page.locator(f'#trials input[value="{key}"]').check()
    chosen = compared(page)
    assert key in chosen
    page.reload()
    assert compared(page) == chosen


@pytest.mark.parametrize("cost", ["params", "depth", "rtf_cpu", "receptive_field_seconds", "peak_memory_mb"])
def test_another_cost_puts_the_points_in_its_order(visit, sweep_of_forty: Path, page_of_forty: Path, cost: str) -> None:
    page = drawn(visit(page_of_forty))
    heading = page.locator(f"#against option[value={cost}]").inner_text()
    page.locator("#against").select_option(cost)
    page.locator("#front-chart").get_by_text(heading, exact=True).first.wait_for()
    places = {
        trial.value(f"cost/{cost}"): round(point(page, trial.key).bounding_box()["x"])
        for trial in read_runs([sweep_of_forty]).ranked
    }
    assert len(places) > 3
    assert sorted(places.values()) == [places[value] for value in sorted(places)]


def test_a_heading_sorts_by_exact_numbers_and_then_the_other_way_round(visit, page_of_forty: Path) -> None:
    page = visit(page_of_forty)
    for heading in ("parameters", "vocals", "depth"):
        button = page.locator("#trials thead button").filter(has_text=re.compile(rf"^\s*{heading}"))
        button.click()
        once = [float(value) for value in column(page, heading) if value]
        button.click()
        twice = [float(value) for value in column(page, heading) if value]
        assert len(set(once)) > 3
        assert once in (sorted(once), sorted(once, reverse=True))
        assert twice == sorted(once, reverse=once == sorted(once))
        assert button.locator("xpath=..").get_attribute("aria-sort") in ("ascending", "descending")
        assert page.locator("#trials [aria-sort]").count() == 1


@pytest.mark.parametrize(
    ("text", "holds"),
    [
        ("depth<=2", lambda trial: trial.value("cost/depth") <= 2),
        ("vocals>4", lambda trial: trial.value("val/usdr/vocals") > 4),
        ("block=TFCTDF", lambda trial: "TFCTDF" in trial.params.values()),
        ("resid depth>3", lambda trial: "ResidualBlock" in trial.params.values() and trial.value("cost/depth") > 3),
        ("skip_at.1=drop", lambda trial: any(k.endswith("skip_at.1") and v == "Drop" for k, v in trial.params.items())),
        ("params<20000", lambda trial: trial.value("cost/params") < 20000),
    ],
)
def test_the_filter_leaves_the_trials_for_which_all_conditions_hold(
    visit, sweep_of_forty: Path, page_of_forty: Path, text: str, holds
) -> None:
    page = visit(page_of_forty)
    ranked = read_runs([sweep_of_forty]).ranked
    expected = [trial.key for trial in ranked if holds(trial)]
    assert 0 < len(expected) < len(ranked)
    page.locator("#filter").fill(text)
    assert shown(page) == expected
    assert f"{len(expected)} of {len(ranked)}" in page.locator("#filter-count").inner_text()
    page.locator("#filter").fill("")
    assert len(shown(page)) == len(ranked)


def test_a_filter_for_what_there_is_not_says_what_there_is(visit, page_of_forty: Path) -> None:
    page = visit(page_of_forty)
    page.locator("#filter").fill("deepness>3")
    assert "deepness" in page.locator("#filter-count").inner_text()
    assert "depth" in page.locator("#filter-count").inner_text()
    assert page.locator("#filter").get_attribute("aria-invalid") == "true"


def test_the_keyboard_alone_reaches_the_points_compares_sorts_and_filters(visit, page_of_forty: Path) -> None:
    page = drawn(visit(page_of_forty))
    before = compared(page)
    for _ in range(20):
        page.keyboard.press("Tab")
        if focused(page)["name"].startswith("trial "):
            break
    assert focused(page)["visible"]
    first = focused(page)["name"]
    page.keyboard.press("ArrowRight")
    second = focused(page)["name"]
    assert second.startswith("trial ")
    assert second != first
    key = re.match(r"trial (\d+)", second)[1]
    assert page.locator("#card h3").inner_text().startswith(f"Trial {key}")
    page.keyboard.press("Enter")
    assert compared(page) == sorted({*before, key})
    assert focused(page)["name"] == second
    page.keyboard.press("End")
    seen = []
    for _ in range(80):
        page.keyboard.press("Tab")
        seen.append(focused(page))
        if seen[-1]["name"].startswith("compare trial") and seen[-1]["tag"] == "input":
            break
    else:
        pytest.fail(f"the leaderboard's ticks were not reached, but {seen}")
    assert [each for each in seen if not each["visible"]] == []


def test_a_click_in_another_chart_compares_as_well(visit, page_of_forty: Path) -> None:
    page = drawn(visit(page_of_forty))
    before = compared(page)
    chart = page.locator('[data-chart^="by-"]').first
    chart.scroll_into_view_if_needed()
    chart.locator(".mark-symbol path").first.wait_for(state="attached")
    chart.locator(".mark-symbol path").last.click(force=True)
    assert compared(page) != before


def test_where_less_motion_is_wished_for_nothing_moves_by_itself(visit, page_of_forty: Path) -> None:
    page = drawn(visit(page_of_forty, reduced_motion="reduce"))
    page.locator("#trials input").first.click()
    assert page.evaluate("document.getAnimations().length") == 0


def test_the_three_published_networks_stand_in_a_table_over_depth(visit, tmp_path: Path) -> None:
    page = drawn(visit(write_report(read_runs([write_depth_sweep(tmp_path / "depth")])), NARROW))
    table = page.locator("#networks table")
    assert table.locator("tbody tr").count() == 3
    assert table.locator("thead th").count() == 8
    assert table.get_by_text("not trained").count() == 3
    assert page.evaluate(TOO_WIDE) == []


def test_points_that_lie_on_each_other_are_all_reached(visit, page_of_forty: Path) -> None:
    page = drawn(visit(page_of_forty))
    labels = page.locator(POINTS).evaluate_all("points => points.map(point => point.getAttribute('aria-label'))")
    keys = {re.match(r"trial (\d+)", label)[1] for label in labels}
    assert keys == set(shown(page))


def test_what_is_compared_outlives_a_jump_within_the_page_and_a_reload(visit, page_of_forty: Path) -> None:
    page = drawn(visit(page_of_forty))
    key = next(key for key in shown(page) if key not in compared(page))
    page.locator(f'#trials input[value="{key}"]').check()
    chosen = compared(page)
    page.locator('nav a[href="#leaderboard"]').click()
    page.reload()
    page.wait_for_selector("#card h3")  # the front, out of sight, is not drawn
    assert compared(page) == chosen


@pytest.mark.parametrize(
    "fragment", ["#compare", "#compare=", "#compare=constructor,%E0%A4%A", "#compare=constructor,__proto__"]
)
def test_an_address_that_names_no_trials_breaks_nothing(visit, page_of_forty: Path, fragment: str) -> None:
    page = visit(page_of_forty, fragment=fragment)
    assert page.locator("#card h3").inner_text().startswith("Trial ")
    assert set(compared(page)) <= set(shown(page))
