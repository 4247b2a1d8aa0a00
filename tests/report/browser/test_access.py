"""The page for readers who hear it, who need contrast, and for paper."""

import re
from collections import Counter
from itertools import pairwise
from pathlib import Path

import pytest

from .chromium import NARROW, WIDE
from .parts import drawn, wander
from .reading_aloud import NAMED, faint_text, heard

pytestmark = pytest.mark.slow


def test_everything_that_can_be_used_has_a_name_and_so_has_every_picture(visit, page_of_forty: Path) -> None:
    page = drawn(visit(page_of_forty))
    wander(page)
    told = heard(page)
    assert [role for role, name in told if role in NAMED and not name] == []
    assert page.locator("img:not([alt])").count() == 0
    assert {"button", "checkbox", "combobox", "searchbox", "link"} <= {role for role, _ in told}


def test_controls_of_one_kind_are_told_apart_by_their_names(visit, page_of_forty: Path) -> None:
    page = drawn(visit(page_of_forty))
    boxes = Counter(name for role, name in heard(page) if role == "checkbox")
    assert boxes
    assert set(boxes.values()) == {1}


def test_every_point_says_its_trial_its_score_and_its_cost(visit, page_of_forty: Path) -> None:
    page = drawn(visit(page_of_forty))
    points = [name for _, name in heard(page) if name.startswith("trial ")]
    told = [
        name for name in points if re.fullmatch(r"trial \d+(, on the front)?: usdr -?[\d.]+ dB.*, [\d.]+ GMAC/s", name)
    ]
    assert len(told) >= page.locator("#trials tbody tr").count()


def test_headings_are_an_outline_and_ids_are_unique(visit, page_of_forty: Path) -> None:
    page = drawn(visit(page_of_forty))
    levels = page.locator("h1, h2, h3, h4").evaluate_all("all => all.map(heading => Number(heading.tagName[1]))")
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(level <= before + 1 for before, level in pairwise(levels))
    ids = page.locator("[id]").evaluate_all("all => all.map(each => each.id)")
    assert [each for each, count in Counter(ids).items() if count > 1] == []
    assert page.locator("html").get_attribute("lang") == "en"
    landmarks = {role for role, _ in heard(page)}
    assert {"main", "navigation"} <= landmarks


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("size", [WIDE, NARROW], ids=["wide", "narrow"])
def test_text_stands_out_from_what_is_behind_it(visit, page_of_forty: Path, size: tuple[int, int], dark: bool) -> None:
    page = drawn(visit(page_of_forty, size, dark=dark))
    wander(page)
    assert faint_text(page) == {}
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == (
        "rgb(20, 23, 26)" if dark else "rgb(253, 253, 252)"
    )


def test_faint_text_would_be_noticed(visit, tmp_path: Path) -> None:
    (tmp_path / "faint.html").write_text(
        "<!doctype html><body style='background:#fff'><p style='color:#777'>grey</p><p style='color:#767676'>darker</p>"
        "<p style='color:#000;opacity:.4'>thin</p><p style='font-size:30px;color:#888'>large</p>"
        "<div style='background:#000'><p class=inner>black on black</p></div>"
    )
    faint = faint_text(visit(tmp_path / "faint.html"))
    assert {name.partition(" P ")[2]: contrast for name, contrast in faint.items()} == {
        "grey": "4.48",
        "thin": "2.85",
        "black on black": "1.00",
    }


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_on_paper_every_chart_is_drawn_in_dark_ink_and_fits(visit, page_of_forty: Path, dark: bool) -> None:
    page = drawn(visit(page_of_forty, dark=dark))
    page.emulate_media(media="print")
    pdf = page.pdf(format="A4")
    assert pdf.startswith(b"%PDF")
    page.set_viewport_size({"width": 718, "height": 1000})  # A4 less its margins
    page.wait_for_timeout(200)
    assert page.locator("[data-chart]:not(:has(svg *))").count() == 0
    ink = page.evaluate("getComputedStyle(document.body).color")
    assert sum(map(int, re.findall(r"\d+", ink)[:3])) < 150
    assert page.evaluate("document.documentElement.scrollWidth") <= 718
    assert faint_text(page) == {}
