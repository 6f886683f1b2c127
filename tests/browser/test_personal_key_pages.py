"""Personal keys in Chromium, with its own authenticator: register one, sign with it, and what happens when it fails."""

# ruff: noqa: F401, F811 - fixtures are imported by name

from typing import Any

import pytest
from playwright.sync_api import Page

from audit.models import PersonalKey
from handoff.models import SignOff
from handoff.queries.signatures import verify
from tests.browser import looks
from tests.browser.handoff_site import Open, site, visit
from tests.handoff import walking
from tests.handoff.building import Place

pytestmark = pytest.mark.browser
DEVICE: dict[str, Any] = {
    "protocol": "ctap2", "transport": "internal", "hasResidentKey": True, "hasUserVerification": True,
    "automaticPresenceSimulation": True,
}  # fmt: skip


def device(page: Page, *, knows_me: bool = True) -> tuple[Any, str]:
    """Give a page's browser an authenticator, which knows its holder's finger."""
    session = page.context.new_cdp_session(page)
    session.send("WebAuthn.enable")
    made = session.send("WebAuthn.addVirtualAuthenticator", {"options": DEVICE | {"isUserVerified": knows_me}})
    return session, made["authenticatorId"]


def register(page: Page, name: str = "Work laptop") -> None:
    """Register the browser's authenticator."""
    page.get_by_label("Name, by which you know it").fill(name)
    page.get_by_label("Your password, again").fill(walking.PASSWORD)
    page.get_by_role("button", name="Register a key").click()


def test_a_key_is_registered_and_signs_and_its_signature_is_proven(visit: Open, site: Place) -> None:
    handoff = walking.answered(site)
    page = visit("vera", "/personal-keys/")
    session, one = device(page)
    looks.check(page)
    register(page)
    page.get_by_text("The key is registered").wait_for()
    assert page.get_by_role("heading", name="Work laptop").is_visible()
    looks.check(page)
    page.goto(f"/handoffs/{handoff.pk}/sign/validation/")
    button = page.get_by_role("button", name="Sign with your personal key")
    button.click()  # the form says first what is missing
    assert page.get_by_label("Approve", exact=True).evaluate("e => !e.checkValidity()")
    page.get_by_label("Approve", exact=True).check()
    page.get_by_label("Review.").check()
    page.get_by_label("Comment").fill("I have read it.\nTwice.")
    looks.check(page)
    session.send("WebAuthn.setUserVerified", {"authenticatorId": one, "isUserVerified": False})
    button.click()
    page.get_by_text("The key was not used").wait_for()
    assert not SignOff.objects.exists()
    session.send("WebAuthn.setUserVerified", {"authenticatorId": one, "isUserVerified": True})
    button.click()
    page.wait_for_url("**#signoffs")
    signed = SignOff.objects.get()
    assert signed.reauthentication.assertion["key"] == PersonalKey.objects.get().pk
    assert verify().wrong == []
    page.goto(f"/handoffs/{handoff.pk}/signoffs/{signed.pk}/")
    assert "Work laptop" in (page.text_content("main") or "")
    looks.check(page)


def test_the_script_says_why_there_is_nothing_to_sign(visit: Open, site: Place) -> None:
    handoff = walking.answered(site)
    page = visit("vera", "/personal-keys/")
    device(page)
    register(page)
    page.get_by_text("The key is registered").wait_for()
    page.goto(f"/handoffs/{handoff.pk}/sign/validation/")
    page.get_by_label("Approve with conditions").check()
    page.get_by_label("Review.").check()
    page.get_by_role("button", name="Sign with your personal key").click()
    page.get_by_text("Name the conditions.").wait_for()
    assert not SignOff.objects.exists()


def test_without_script_one_signs_by_password_and_is_told_why(visit: Open, site: Place) -> None:
    page = visit("vera", "/personal-keys/", script=False)
    assert "scripts are switched off" in (page.text_content("main") or "")
    assert not page.get_by_role("button", name="Register a key").is_visible()
