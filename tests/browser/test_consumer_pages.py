"""The owner of a consumer finds in the browser what changes for it, and agrees."""

# ruff: noqa: F401, F811 - fixtures are imported by name

import pytest
from django.db import transaction

from audit.actors import Person
from handoff.asking import ask
from handoff.connections import pinned
from handoff.facts import known_of
from handoff.models import SignOff
from handoff.rules.bindings import read_bindings
from handoff.rules.consumers import role_of
from tests.browser import looks
from tests.browser.handoff_site import Open, site, visit
from tests.handoff import amending, building, walking
from tests.handoff.building import Place

pytestmark = pytest.mark.browser
OUTPUTS = [{"name": "label", "type": "long", "allowed": [0, 1, 2]}]


def test_an_owner_reads_what_changes_and_agrees(visit: Open, site: Place) -> None:
    site.target.hardware = ""
    site.target.save(update_fields=["hardware"])
    before = amending.live(amending.streamed(site))
    pins = pinned(read_bindings(amending.BINDINGS), site.target)
    version = building.a_version(site, 2, outputs=OUTPUTS)
    handoff = building.offered(site, version, building.a_policy(("integrity",)), pins)
    with transaction.atomic():
        ask(handoff, known_of(handoff), actor=Person(site.dana, "test"))
    page = visit("otto", f"/handoffs/{handoff.pk}/")
    asked = page.locator("#consumers")
    assert "Ward board" in (asked.text_content() or "")
    assert f"Compared with version {before.version.number}" in (asked.text_content() or "")
    looks.check(page)
    asked.get_by_role("link", name="Read and sign").click()
    assert page.get_by_role("heading", name="What changes for what you answer for").is_visible()
    looks.check(page)
    page.get_by_label("Approve", exact=True).check()
    page.get_by_label("Approval.").check()
    page.get_by_label("Your password, again").fill(walking.PASSWORD)
    page.get_by_role("button", name="Sign", exact=True).click()
    page.wait_for_url(f"**/handoffs/{handoff.pk}/**")
    assert SignOff.objects.filter(handoff=handoff, role=role_of(site.otto.pk), signer=site.otto).exists()
    assert "agreed" in (page.text_content("#consumers") or "")
