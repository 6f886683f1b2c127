"""Every page of the handoff at two widths and in both themes: nothing that axe finds, nothing that overflows."""

# ruff: noqa: F401, F811 - fixtures are imported by name

from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page

from tests.browser.handoff_site import Open, site, visit
from tests.handoff import building, walking
from tests.handoff.building import Place
from tests.handoff.walking import sign

pytestmark = pytest.mark.browser
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
LOOKS = [(360, "light"), (360, "dark"), (1280, "light"), (1280, "dark")]


def check(page: Page) -> None:
    """Open every fold, then hold the page against axe and against its width."""
    page.evaluate("document.querySelectorAll('main details').forEach(one => { one.open = true })")
    found = Axe().run(page, options={"runOnly": RULES}).response["violations"]
    assert not [(one["id"], one["nodes"][0]["html"]) for one in found], page.url
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), page.url


@pytest.mark.parametrize(("width", "theme"), LOOKS)
def test_pages_are_accessible_and_fit(visit: Open, site: Place, width: int, theme: Any) -> None:
    handoff = walking.answered(site)
    sign(handoff, site.vera, "validation")
    walking.drafted(site, building.a_version(site, 2))
    pages = {
        "otto": ["/", "/handoffs/", "/handoffs/?view=list", f"/handoffs/{handoff.pk}/"],
        "dana": [f"/handoffs/{handoff.pk}/sign/acceptance/", "/handoffs/new/?model=tumours&version=2", "/"],
        "ada": ["/policies/", "/policies/light/1/", "/policies/publish/?from=light", "/deployments/", "/"],
    }
    for name, paths in pages.items():
        page = visit(name, paths[0], width=width, theme=theme)
        for path in paths:
            page.goto(path)
            check(page)
    page = visit("otto", f"/handoffs/{handoff.pk}/sign/acceptance/", width=width, theme=theme)
    check(page)
    page.get_by_label("Approve", exact=True).check()
    page.get_by_label("Responsibility.").check()
    page.get_by_label("Your password, again").fill("wrong")
    page.get_by_role("button", name="Sign", exact=True).click()
    page.get_by_text("nothing was signed").wait_for()
    check(page)


@pytest.mark.parametrize(("width", "theme"), [(360, "dark"), (1280, "light")])
def test_later_states_are_accessible_and_fit(visit: Open, site: Place, width: int, theme: Any) -> None:
    handoff = walking.ready(site)
    page = visit("otto", f"/handoffs/{handoff.pk}/", width=width, theme=theme)
    check(page)
    page.goto(f"/handoffs/{handoff.pk}/sign/release/")
    check(page)
    other = walking.drafted(site, building.a_version(site, 2))
    page = visit("dana", f"/handoffs/{other.pk}/", width=width, theme=theme)
    check(page)
