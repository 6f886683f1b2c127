"""Checklists with items of all kinds, findings and waivers, and the pages of the templates, as people see them."""

# ruff: noqa: F401, F811 - fixtures are imported by name

from datetime import timedelta
from pathlib import Path

import pytest
import yaml
from django.utils import timezone
from playwright.sync_api import expect

from handoff.models import Handoff
from handoff.services import checklists, findings, policies, waivers
from tests.browser.handoff_site import Open, site, visit
from tests.browser.looks import check
from tests.handoff import walking
from tests.handoff.building import Place
from tests.handoff.walking import by

pytestmark = pytest.mark.browser
ITEMS = [
    {"key": "people", "question": "Does the model affect people?", "role": "data_scientist"},
    {"key": "auc", "question": "How good is it?", "role": "data_scientist", "evidence": ["figure"], "figure": ">= 0.8"},
    {"key": "challenge", "question": "Was it challenged?", "role": "analytic_engineer", "two_people": True},
    {"key": "same", "question": "Is nothing undeclared?", "fact": "differences.none_undeclared"},
]


def full(place: Place) -> Handoff:
    """Return a handoff with a finding, an approved waiver, one that is asked for, and answers of several kinds."""
    source = yaml.safe_load(Path("handoff/policies/light.yaml").read_text())
    source["gates"]["review"]["checklist"] = {"include": ["handoff-readiness"], "items": ITEMS}
    source["waivers"] = {"approver": "risk_compliance"}
    policies.publish(actor=by(place.ada), source=yaml.safe_dump(source))
    handoff = walking.offered(place)
    checklists.answer(actor=by(place.edda), handoff_id=str(handoff.pk), item="challenge", choice="yes")
    told = {"title": "No alarm when scores stop.", "severity": "high", "owner": "edda", "blocks": True}
    findings.raise_finding(
        actor=by(place.vera), handoff_id=handoff.pk, details="Since the move to the new host.", **told
    )
    until = timezone.localdate() + timedelta(days=30)
    for key in ("hr-runbook", "same"):
        about = {"reason": "The drill is next week.", "control": "Otto watches it.", "until": until}
        made = waivers.ask(actor=by(place.edda), handoff_id=handoff.pk, kind="item", requirement=key, **about)
    waivers.answer(actor=by(place.rita), handoff_id=handoff.pk, waiver_id=made.pk, answer="approved")
    return handoff


def test_a_handoff_with_findings_and_waivers(visit: Open, site: Place) -> None:
    handoff = full(site)
    page = visit("rita", f"/handoffs/{handoff.pk}/")
    expect(page.get_by_text("a second person must answer alike").first).to_be_visible()
    expect(page.get_by_text("approved by Rita").first).to_be_visible()
    check(page)
    page.get_by_role("radio", name="Approve", exact=True).check()
    page.get_by_role("button", name="Answer", exact=True).click()
    expect(page.get_by_text("Answered, under your name.")).to_be_visible()
    page.goto("/findings/")
    expect(page.get_by_text("No alarm when scores stop.")).to_be_visible()
    check(page)


def test_the_checklists_that_come_with_the_product(visit: Open, site: Place) -> None:
    page = visit("dana", "/checklists/")
    expect(page.get_by_role("heading", name="ML Test Score")).to_be_visible()
    check(page)
    page.goto("/checklists/eu-ai-act-high-risk/")
    expect(page.get_by_text("Annex IV, point 2")).to_be_visible()
    check(page)
