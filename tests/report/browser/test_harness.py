"""The tests of the page would notice if it did what it must not."""

from pathlib import Path

import pytest
from playwright.sync_api import Browser

from .chromium import complaints_of, new_page, open_file

pytestmark = pytest.mark.slow


@pytest.mark.parametrize(
    ("body", "complaint"),
    [
        ("<script>console.error('oh')</script>", "console: oh"),
        ("<script>console.warn('hm')</script>", "console: hm"),
        ("<script>setTimeout(() => { throw new Error('late'); })</script>", "exception: late"),
        ("<script>Promise.reject(new Error('refused'))</script>", "exception: refused"),
        ("<img src='https://example.org/logo.png'>", "asked the network for https://example.org/logo.png"),
        ("<link rel=stylesheet href='https://example.org/f.css'>", "asked the network for https://example.org/f.css"),
        ("<script>fetch('http://localhost:1/').catch(() => 0)</script>", "asked the network for http://localhost:1/"),
        ("<img src='missing.png'>", "console: Failed to load resource: net::ERR_FILE_NOT_FOUND"),
    ],
)
def test_a_page_that_errs_or_asks_the_network_is_found_out(
    browser: Browser, tmp_path: Path, body: str, complaint: str
) -> None:
    (tmp_path / "bad.html").write_text(f"<!doctype html><title>bad</title>{body}")
    page = new_page(browser)
    complaints = complaints_of(page)
    open_file(page, tmp_path / "bad.html").wait_for_timeout(50)
    page.context.close()
    assert complaint in complaints


def test_a_page_that_keeps_to_itself_is_not_blamed(visit, tmp_path: Path) -> None:
    (tmp_path / "part.js").write_text("console.info('here')")
    (tmp_path / "good.html").write_text(
        "<!doctype html><title>good</title><link rel=icon href=data:,><script src=part.js></script>"
        "<img alt='' src='data:image/gif;base64,R0lGODlhAQABAAAAACw='>"
    )
    assert visit(tmp_path / "good.html").title() == "good"
