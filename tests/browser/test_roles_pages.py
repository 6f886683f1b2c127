"""The pages about roles: who may sign and why not, and delegations, with nothing and with something to show."""

# ruff: noqa: F401, F811 - fixtures are imported by name

from datetime import timedelta

import pytest
from django.utils import timezone

from models_registry.models import Delegation
from tests.browser import looks
from tests.browser.handoff_site import Open, site, visit
from tests.handoff import walking
from tests.handoff.building import Place

pytestmark = pytest.mark.browser


def test_a_delegate_is_named_and_the_page_of_signers_tells_it(visit: Open, site: Place) -> None:
    handoff = walking.answered(site)
    page = visit("vera", "/delegations/")
    looks.check(page)
    page.get_by_role("textbox", name="Delegate").fill("mallory")
    page.get_by_label("Last day").fill((timezone.localdate() + timedelta(days=3)).isoformat())
    page.get_by_label("Reason").fill("On leave.")
    page.get_by_role("button", name="Delegate").click()
    assert Delegation.objects.get().delegate == site.mallory
    assert "Mallory" in (page.text_content("main") or "")
    looks.check(page)
    page.goto(f"/handoffs/{handoff.pk}/signers/")
    assert "Mallory for Vera" in (page.text_content("main") or "")
    looks.check(page)
