"""The admin in real Chromium: accessible, within its width, without a word from the content security policy."""

# ruff: noqa: F401, F811 - fixtures are imported by name

from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from audit.models import AuditEvent
from handoff.states import State
from models_registry.models import EnvironmentUserGrant, RegisteredModelUserGrant
from tests.browser.handoff_site import Open, site, visit
from tests.browser.test_handoff_pages import LOOKS, RULES
from tests.handoff import building, walking
from tests.handoff.building import Place

pytestmark = pytest.mark.browser


@pytest.fixture
def ada(site: Place) -> Place:
    """Let ada hold roles, so that there is something to see and to do."""
    building._grant(RegisteredModelUserGrant, site.ada, "data_scientist", site.model)
    building._grant(EnvironmentUserGrant, site.ada, "administrator", site.target)
    return site


def check(page: Page) -> None:
    """Open every fold, then hold the page against axe and against its width."""
    page.evaluate("document.querySelectorAll('main details').forEach(one => { one.open = true })")
    # Its preloading would write style sheets into the page, which our policy stops and the browser reports.
    found = Axe().run(page, options={"runOnly": RULES, "preload": False}).response["violations"]
    assert not [(one["id"], one["nodes"][0]["html"]) for one in found], page.url
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), page.url


def path_of(record: Any, act: str = "change") -> str:
    return f"/admin/{record._meta.app_label}/{record._meta.model_name}/{record.pk}/{act}/"


@pytest.mark.parametrize(("width", "theme"), LOOKS)
def test_the_admin_is_accessible_and_fits(visit: Open, ada: Place, width: int, theme: Any) -> None:
    handoff = walking.ready(ada)
    signed = handoff.signoffs.first()
    paths = [
        "/admin/",
        "/admin/handoff/handoff/",
        path_of(handoff),
        path_of(handoff.version),
        path_of(signed),
        path_of(handoff.answers.get(item="runbook")),
        path_of(handoff.tests.first()),
        path_of(ada.target),
        path_of(ada.model),
        "/admin/handoff/job/?state__exact=done",
        "/admin/handoff/policyrevision/add/?policy=light",
        "/admin/models_registry/environmentusergrant/",
        "/admin/models_registry/environmentusergrant/add/",
    ]
    page = visit("ada", "/admin/", width=width, theme=theme)
    for path in paths:
        page.goto(path)
        check(page)
    page.goto(path_of(handoff))
    page.get_by_role("button", name="Withdraw the handoff").click()
    page.get_by_label("Reason").wait_for()
    check(page)
    page.goto("/admin/models_registry/environment/add/")
    page.get_by_role("button", name="Save", exact=True).click()
    page.get_by_text("Please correct the errors below.").wait_for()
    check(page)


def test_a_handoff_is_withdrawn_from_its_page(visit: Open, ada: Place) -> None:
    handoff = walking.offered(ada)
    page = visit("ada", path_of(handoff), script=False)
    page.get_by_role("button", name="Withdraw the handoff").click()
    page.get_by_label("Reason").fill("The sample was too small.")
    page.get_by_role("button", name="Withdraw the handoff").click()
    expect(page.get_by_text("Tumours #1: done, and on record under your name.")).to_be_visible()
    expect(page.locator(".m-state").first).to_have_text("withdrawn")
    expect(page.get_by_role("button", name="Withdraw the handoff")).to_have_count(0)
    handoff.refresh_from_db()
    assert handoff.state == State.WITHDRAWN
    assert AuditEvent.objects.filter(action="handoff.withdrawn").count() == 1


def test_handoffs_are_chosen_in_the_list_and_left_alone_on_second_thoughts(visit: Open, ada: Place) -> None:
    handoff = walking.offered(ada)
    page = visit("ada", "/admin/handoff/handoff/")
    page.locator("input[name=_selected_action]").check()
    page.get_by_label("Action:").select_option("withdraw")
    page.get_by_role("button", name="Go").click()
    expect(page.get_by_role("heading", name="Withdraw the handoff")).to_be_visible()
    page.get_by_role("link", name="Back, and do nothing").click()
    expect(page.get_by_role("heading", name="Select handoff to view")).to_be_visible()
    handoff.refresh_from_db()
    assert handoff.state == State.IN_REVIEW


def test_the_theme_chosen_on_the_site_holds_in_the_admin(visit: Open, ada: Place) -> None:
    page = visit("ada", "/", theme="light")
    page.evaluate("localStorage.setItem('theme', 'dark')")
    page.goto("/admin/")
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(14, 24, 27)"
