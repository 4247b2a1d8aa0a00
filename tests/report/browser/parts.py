"""The parts of a report's page as a reader finds them."""

from typing import Any

from playwright.sync_api import Locator, Page

POINTS = "#front-chart .mark-symbol path[aria-label]"

# What is wider than the window, unless it lies in something that scrolls by itself.
TOO_WIDE = """() => {
  const scrolls = (element) => {
    for (let each = element; each && each !== document.body; each = each.parentElement) {
      if (["auto", "scroll", "hidden", "clip"].includes(getComputedStyle(each).overflowX)) return true;
    }
    return false;
  };
  const wide = [...document.body.querySelectorAll("*")].filter((element) => {
    const box = element.getBoundingClientRect();
    return box.width > 1 && box.height > 1 && box.right > document.documentElement.clientWidth + 1 && !scrolls(element);
  });
  return wide.map((element) => `${element.tagName} ${element.id} ${element.className.baseVal ?? element.className}`);
}"""


def drawn(page: Page) -> Page:
    """The page, once the front's points are there."""
    page.locator(POINTS).first.wait_for(state="attached")
    return page


def wander(page: Page) -> None:
    """Scrolls from the top to the end, as a reader does, until every chart on the way is drawn."""
    for chart in page.locator("[data-chart]").all():
        chart.scroll_into_view_if_needed()
        chart.locator("svg").first.wait_for(state="attached")
    page.evaluate("scrollTo(0, document.body.scrollHeight)")
    page.wait_for_timeout(50)


def point(page: Page, key: str) -> Locator:
    """A trial's point in the front's chart."""
    return page.locator(f'{POINTS}:is([aria-label^="trial {key}:"], [aria-label^="trial {key},"])')


def compared(page: Page) -> list[str]:
    """The trials that are ticked in the leaderboard."""
    boxes = page.locator("#trials input[name=compare]:checked")
    return sorted(boxes.evaluate_all("boxes => boxes.map(box => box.value)"))


def shown(page: Page) -> list[str]:
    """The trials in the leaderboard that the filter lets through, in their order."""
    rows = page.locator("#trials tbody tr[data-trial]")
    return rows.evaluate_all("rows => rows.filter(row => row.offsetParent !== null).map(row => row.dataset.trial)")


def column(page: Page, heading: str) -> list[str]:
    """The exact values of one of the leaderboard's columns, from the top."""
    values: list[str] = page.evaluate(
        """(heading) => {
          const table = document.getElementById("trials");
          const place = [...table.tHead.rows[0].cells].findIndex((cell) => cell.innerText.trim().startsWith(heading));
          return [...table.tBodies[0].rows].map((row) => row.cells[place].dataset.value);
        }""",
        heading,
    )
    return values


def focused(page: Page) -> dict[str, Any]:
    """What the keyboard is on: its tag, its name as one would read it, and whether one sees that it is."""
    found: dict[str, Any] = page.evaluate(
        """() => {
          const element = document.activeElement, style = getComputedStyle(element);
          return {
            tag: element.tagName.toLowerCase(),
            name: element.getAttribute("aria-label") ?? element.innerText ?? "",
            visible: style.outlineStyle !== "none" || style.strokeWidth === "3px",
          };
        }"""
    )
    return found
