"""How a page is looked at: at two widths and in both themes, nothing that axe finds, nothing that overflows."""

from collections.abc import Sequence
from typing import Any, Literal

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page

RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
CONTRAST = {"type": "rule", "values": ["color-contrast"]}
# A colour that is still fading is neither theme's.
SETTLE = "document.getAnimations().filter(one => one instanceof CSSTransition).forEach(one => one.finish())"
Look = tuple[int, Literal["light", "dark"]]
LOOKS: tuple[Look, ...] = ((1280, "light"), (1280, "dark"), (360, "dark"), (360, "light"))


def check(page: Page, looks: Sequence[Look] = LOOKS) -> None:
    """Open every fold, then hold the page against axe and its width in each look, and leave it as it was.

    Themes differ in colours alone, so the dark one is held against what colours can break.
    """
    size = page.viewport_size
    page.evaluate("document.querySelectorAll('main details').forEach(one => { one.open = true })")
    for width, theme in looks:
        page.set_viewport_size({"width": width, "height": 900})
        page.emulate_media(color_scheme=theme)
        page.evaluate(SETTLE)
        found = _violations(page, RULES if theme == "light" else CONTRAST)
        assert not found, (page.url, width, theme, found)
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), (page.url, width, theme)
    page.emulate_media(color_scheme="light")
    if size:
        page.set_viewport_size(size)


def _violations(page: Page, rules: Any) -> list[tuple[str, str]]:
    """Return what axe finds, each with the first place."""
    # Preloading would write style sheets into the page, which our policy stops and the browser reports.
    options = {"runOnly": rules, "resultTypes": ["violations"], "preload": False}
    return [(one["id"], one["nodes"][0]["html"]) for one in Axe().run(page, options=options).response["violations"]]
