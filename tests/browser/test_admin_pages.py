"""The admin in real Chromium: accessible, within its width, without a word from the content security policy."""

# ruff: noqa: F401, F811 - fixtures are imported by name

from typing import Any

import pytest
from playwright.sync_api import expect

from audit.models import AuditEvent
from handoff.states import State
from models_registry.models import EnvironmentUserGrant, RegisteredModelUserGrant
from tests.browser.handoff_site import Open, site, visit
from tests.browser.looks import check
from tests.handoff import building, walking
from tests.handoff.building import Place

pytestmark = pytest.mark.browser


@pytest.fixture
def ada(site: Place) -> Place:
    """Let ada hold roles, so that there is something to see and to do."""
    building._grant(RegisteredModelUserGrant, site.ada, "data_scientist", site.model)
    building._grant(EnvironmentUserGrant, site.ada, "administrator", site.target)
    return site


def path_of(record: Any, act: str = "change") -> str:
    return f"/admin/{record._meta.app_label}/{record._meta.model_name}/{record.pk}/{act}/"


def test_the_admin_is_accessible_and_fits(visit: Open, ada: Place) -> None:
    handoff = walking.ready(ada)
    signed = handoff.signoffs.first()
    paths = [
        "/admin/",
        "/admin/health/",
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
    page = visit("ada", "/admin/")
    for path in paths:
        page.goto(path)
        check(page)
    page.goto(path_of(handoff))
    page.get_by_role("button", name="Withdraw the handoff").click()
    page.get_by_label("Reason").wait_for()
    check(page)
    page.goto("/admin/handoff/policyrevision/add/?policy=light")
    text = page.get_by_label("Policy, as YAML")
    text.fill(text.input_value().replace("expires_after_days: 30", "expires_after_days: 20"))
    page.get_by_role("button", name="Save", exact=True).click()
    page.get_by_text("Nothing is published yet").wait_for()
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
