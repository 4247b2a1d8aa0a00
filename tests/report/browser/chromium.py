"""Debian's Chromium, without a window, and what a page in it does that a report must not."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, Page, Request, sync_playwright

NAMES = ("chromium", "chromium-browser", "google-chrome-stable", "google-chrome")
ARGUMENTS = ("--autoplay-policy=no-user-gesture-required", "--mute-audio")
LOCAL = ("file:", "data:", "blob:", "about:")
WIDE, NARROW = (1280, 900), (360, 740)


def program() -> str | None:
    """The path of a Chromium on this machine; playwright's own, which it would have to download, is not asked for."""
    return next((found for name in NAMES if (found := shutil.which(name))), None)


@contextmanager
def chromium(executable: str) -> Iterator[Browser]:
    """A running browser, which plays sounds without being clicked first."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable, args=list(ARGUMENTS))
        try:
            yield browser
        finally:
            browser.close()


def complaints_of(page: Page) -> list[str]:
    """A list that fills with what goes wrong in a page from now on.

    That are errors and warnings on the console, exceptions, and every request for something that is not on the disk.
    """
    complaints: list[str] = []

    def ask(request: Request) -> None:
        if not request.url.startswith(LOCAL):
            complaints.append(f"asked the network for {request.url}")

    page.on("request", ask)
    page.on("websocket", lambda socket: complaints.append(f"asked the network for {socket.url}"))
    page.on("pageerror", lambda error: complaints.append(f"exception: {error}"))
    page.on(
        "console",
        lambda message: complaints.append(f"console: {message.text}") if message.type in ("error", "warning") else None,
    )
    return complaints


def new_page(browser: Browser, size: tuple[int, int] = WIDE, *, dark: bool = False, **settings: Any) -> Page:
    """An empty page in a context of its own, which has no network.

    Args:
        browser: A running one.
        size: Width and height of the window in pixels; one narrower than a tablet is touched, as a phone is.
        dark: Whether the reader prefers dark pages.
        settings: More of playwright's for contexts.
    """
    context = browser.new_context(
        viewport={"width": size[0], "height": size[1]},
        color_scheme="dark" if dark else "light",
        has_touch=size[0] < 600,
        offline=True,
        **settings,
    )
    context.set_default_timeout(10_000)
    return context.new_page()


def seconds_busy(page: Page) -> float:
    """How much of a processor a page's process has used so far; others on the machine do not count."""
    session = page.context.new_cdp_session(page)
    session.send("Performance.enable", {"timeDomain": "threadTicks"})
    metrics = session.send("Performance.getMetrics")["metrics"]
    return next(each["value"] for each in metrics if each["name"] == "ProcessTime")


def open_file(page: Page, path: Path, fragment: str = "") -> Page:
    """Opens a file from the disk and waits until everything that it names is loaded."""
    page.goto(path.resolve().as_uri() + fragment, wait_until="load")
    return page
