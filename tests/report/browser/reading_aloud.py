"""What a screen reader is told of a page, and how well its text stands out."""

from typing import Any

from playwright.sync_api import Page

NAMED = ("button", "link", "checkbox", "radio", "combobox", "searchbox", "textbox", "slider", "tab", "image", "img")
"""Roles that say nothing without a name."""

# Text whose contrast with what is painted behind it is below WCAG 2.1's AA: 4.5, and 3 for large text.
_FAINT = """() => {
  const canvas = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
  const rgba = (colour) => {  // any notation, as the browser understands it
    canvas.clearRect(0, 0, 1, 1);
    canvas.fillStyle = colour;
    canvas.fillRect(0, 0, 1, 1);
    const [red, green, blue, alpha] = canvas.getImageData(0, 0, 1, 1).data;
    return [red, green, blue, alpha / 255];
  };
  const over = (top, below) => below.map((value, index) => index < 3 ? top[3] * top[index] + (1 - top[3]) * value : 1);
  const luminance = (colour) => {
    const [red, green, blue] = colour.map((value) => value / 255)
      .map((value) => value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4);
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
  };
  const behind = (element) => {
    const line = [];
    for (let each = element; each; each = each.parentElement) line.unshift(getComputedStyle(each).backgroundColor);
    return line.map(rgba).reduce((below, top) => over(top, below), rgba("Canvas"));
  };
  const faint = new Map();
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  for (let text = walker.nextNode(); text; text = walker.nextNode()) {
    const element = text.parentElement, style = getComputedStyle(element), box = element.getBoundingClientRect();
    if (!text.data.trim() || box.width < 2 || box.height < 2 || style.visibility === "hidden") continue;
    if (element.matches("script, style, title, desc, option, :disabled, :disabled *")) continue;
    if (element instanceof SVGElement && style.stroke !== "none") continue;  // the paper round a text that lies over it
    let opacity = 1;
    for (let each = element; each; each = each.parentElement) opacity *= Number(getComputedStyle(each).opacity);
    if (opacity === 0) continue;
    const paper = behind(element);
    const ink = rgba(element instanceof SVGElement ? style.fill : style.color);
    ink[3] *= opacity;
    const [light, dark] = [luminance(over(ink, paper)), luminance(paper)].sort((a, b) => b - a);
    const contrast = (light + 0.05) / (dark + 0.05);
    const size = parseFloat(style.fontSize), large = size >= 24 || (size >= 18.66 && Number(style.fontWeight) >= 700);
    if (contrast < (large ? 3 : 4.5)) {
      const place = element.closest("[data-chart], section, [id]");
      const words = text.data.trim().slice(0, 30);
      faint.set(`${place?.dataset.chart ?? place?.id} ${element.tagName} ${words}`, contrast.toFixed(2));
    }
  }
  return Object.fromEntries(faint);
}"""


def faint_text(page: Page) -> dict[str, str]:
    """Text that is hard to read, by place, element and words, with its contrast."""
    found: dict[str, str] = page.evaluate(_FAINT)
    return found


def heard(page: Page) -> list[tuple[str, str]]:
    """Roles and names of everything that the browser tells a screen reader."""
    session = page.context.new_cdp_session(page)
    nodes: list[dict[str, Any]] = session.send("Accessibility.getFullAXTree")["nodes"]
    return [
        (node["role"]["value"], node.get("name", {}).get("value", "").strip())
        for node in nodes
        if not node.get("ignored") and "role" in node
    ]
