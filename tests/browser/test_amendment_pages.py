"""The pages of amendments: a change is proposed, refused with all typed kept, signed, and told to the informed."""

# ruff: noqa: F401, F811 - fixtures are imported by name

import pytest

from handoff.models import Amendment
from tests.browser import looks
from tests.browser.handoff_site import Open, site, visit
from tests.handoff import amending, walking
from tests.handoff.building import Place

pytestmark = pytest.mark.browser


def test_an_amendment_is_proposed_and_signed(visit: Open, site: Place) -> None:
    site.target.hardware = ""
    site.target.save(update_fields=["hardware"])
    deployment = amending.live(amending.streamed(site))
    page = visit("iris", f"/deployments/{deployment.pk}/")
    looks.check(page)
    page.get_by_role("link", name="Propose a change").click()
    page.get_by_label("Reason").fill("The night shift wants the scores, too.")
    page.get_by_label("Sinks (one a line").fill("scores\nnowhere")
    page.get_by_role("button", name="Propose it").click()
    assert "Production has no stream nowhere" in (page.text_content("main") or "")
    looks.check(page)
    page.get_by_label("Sinks (one a line").fill("scores\narchive: label")
    page.get_by_label("What happens").select_option("add")
    page.get_by_label("Sink, for a new one").select_option("archive")
    page.get_by_label("Name", exact=True).fill("Night board")
    page.get_by_label("Kind").select_option("dashboard")
    page.get_by_label("Who answers for it").select_option("otto")
    page.get_by_label("Criticality").select_option("high")
    page.get_by_label("Purpose").fill("Who is seen first.")
    page.get_by_label("Effect on the business").fill("Patients wait.")
    page.get_by_role("button", name="Propose it").click()
    assert page.get_by_role("row", name="archive nothing label").is_visible()
    looks.check(page)
    page.get_by_label("Approve", exact=True).check()
    page.get_by_label("Approval.").check()
    page.get_by_label("Your password, again").fill(walking.PASSWORD)
    page.get_by_role("button", name="Sign", exact=True).click()
    amendment = Amendment.objects.get()
    assert page.url.endswith(f"/amendments/{amendment.pk}/")
    assert "being applied" in (page.text_content("main") or "")
    assert amending.work(amendment).state == "applied"
    page.goto(f"/deployments/{deployment.pk}/")
    assert "archive" in (page.text_content("#run") or "")
    told = visit("dana", "/")
    assert "For your information" in (told.text_content("main") or "")
    looks.check(told)
