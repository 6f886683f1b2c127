"""A handoff in every state that stops or waits, and what the other pages do when something is refused."""

# ruff: noqa: F401, F811 - fixtures are imported by name

from pathlib import Path

import pytest
from playwright.sync_api import expect

from handoff import tasks
from handoff.models import Finding, Handoff
from handoff.queries.signing import sheet_for
from handoff.services import handoffs, reauthentications, signoffs
from models_registry.models import Environment, ModelVersion
from tests.browser.handoff_site import Open, site, visit
from tests.browser.looks import check
from tests.handoff import artifacts, building, walking
from tests.handoff.building import Place
from tests.handoff.walking import PASSWORD, by, sign
from tests.queries import counting

pytestmark = pytest.mark.browser
WHY = "The model card says nothing on patients under 30."


def refused(place: Place, handoff: Handoff) -> Handoff:
    """Let the validator send a handoff back."""
    sheet = sheet_for(place.vera, handoff.pk, "validation")
    confirmed = reauthentications.confirm(actor=by(place.vera), password=PASSWORD)
    signoffs.sign(
        actor=by(place.vera),
        handoff_id=str(handoff.pk),
        requirement="validation",
        decision="refuse",
        meaning=sheet.rule.meaning,
        seen=sheet.seen,
        reauthentication=str(confirmed.pk),
        comment=WHY,
        reasons=["documentation"],
    )
    return handoff


def test_stopped_and_working_handoffs(visit: Open, site: Place) -> None:
    back = refused(site, walking.answered(site))
    gone = walking.offered(site, building.a_version(site, 2, "other"))
    handoffs.withdraw(actor=by(site.dana), handoff_id=str(gone.pk), reason="We found a leak in the training data.")
    fresh = walking.offered(site, building.a_version(site, 3))
    testing = walking.answered(site, walking.offered(site, building.a_version(site, 4)))
    sign(testing, site.vera, "validation")
    sign(testing, site.otto, "acceptance")
    page = visit("otto", f"/handoffs/{fresh.pk}/")
    expect(page.get_by_text("Who can clear it: Edda").first).to_be_visible()
    check(page)
    for handoff, words in ((back, WHY), (gone, "We found a leak"), (testing, "0 of 7 ended.")):
        page.goto(f"/handoffs/{handoff.pk}/")
        expect(page.get_by_text(words).first).to_be_visible()
        if handoff != testing:  # nobody can clear what has ended
            expect(page.get_by_text("Who can clear it")).to_have_count(0)
        check(page)


def test_a_drift_is_seen_and_accepted(visit: Open, site: Place) -> None:
    handoff = building.tested(counting.signed(site, building.a_version(site)))
    counting.approve(handoff, site.otto, "release")
    counting.deployed(handoff)
    Environment.objects.filter(pk=handoff.target_id).update(python="3.9.1")
    tasks.look_for_drift()
    page = visit("otto", "/")
    page.get_by_role("link", name="Read what drifted").click()
    expect(page.get_by_role("heading", name="Approval suspended")).to_be_visible()
    check(page)
    page.get_by_label("Why may it go on as it is?").fill("It was tried on staging.")
    page.get_by_role("button", name="Accept the drift").click()
    expect(page.get_by_text("Accepted just now by Otto")).to_be_visible()
    check(page)
    assert Finding.objects.get().closing == "accepted"
    page.goto("/owners-of-record/")
    check(page)


def test_who_may_not_sign_reads_why(visit: Open, site: Place) -> None:
    handoff = walking.offered(site)
    page = visit("dana", f"/handoffs/{handoff.pk}/sign/acceptance/")
    expect(page.get_by_role("heading", name="Why you may not sign")).to_be_visible()
    expect(page.get_by_text("Light handoff r1")).to_be_visible()
    expect(page.get_by_role("button", name="Sign", exact=True)).to_have_count(0)


def test_schemas_are_inferred_and_shown_for_correction(visit: Open, site: Place, tmp_path: Path) -> None:
    model = tmp_path / "model.onnx"
    model.write_bytes(artifacts.elements()["model"])
    page = visit("dana", "/models/tumours/versions/new/")
    page.locator("input[name=model]").set_input_files(str(model))
    page.get_by_role("button", name="Start the version").click()
    expect(page.get_by_text("Still missing:")).to_be_visible()
    if page.get_by_role("link", name="Add Input schema").count():
        page.get_by_role("button", name="Infer missing schemas").click()
    page.get_by_role("link", name="Replace Input schema").click()
    expect(page.get_by_role("textbox").first).to_be_visible()
    check(page)
    assert ModelVersion.objects.get().digest == ""


def test_escape_closes_the_menu_of_a_narrow_screen(visit: Open, site: Place) -> None:
    page = visit("otto", "/", width=360)
    menu = page.get_by_role("button", name="Menu")
    menu.click()
    expect(page.get_by_role("link", name="Audit")).to_be_visible()
    check(page, [(360, "light")])
    page.keyboard.press("Escape")
    expect(page.get_by_role("link", name="Audit")).to_be_hidden()
    expect(menu).to_be_focused()


def test_turning_the_second_factor_on(visit: Open, site: Place) -> None:
    page = visit("otto", "/account/2fa/")
    page.get_by_role("link", name="Turn it on").click()
    expect(page.get_by_role("heading", name="Confirm who you are")).to_be_visible()
    expect(page.get_by_text("Forgot your password?")).to_have_count(0)
    check(page)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Confirm").click()
    expect(page.get_by_role("heading", name="Turn on the second factor")).to_be_visible()
    check(page)
    page.get_by_role("textbox").last.fill("000")
    page.get_by_role("button", name="Turn it on").click()
    expect(page.locator(".m-wrong, .errorlist").first).to_be_visible()
    check(page)
