"""A signer is told why their signature was voided, and reads what changed since they signed, before and after."""

from typing import Any

import pytest
from django.urls import reverse
from rest_framework.test import APIClient

from handoff.models import SignOff
from handoff.queries.signing import sheet_for
from handoff.services import checklists, signoffs
from handoff.states import SignOffState
from tests.handoff import walking
from tests.handoff.building import Place
from tests.handoff.walking import by, client_of
from tests.queries.counting import proof_of

pytestmark = pytest.mark.django_db
MORE = {**walking.FIGURE, "figure": 55}


@pytest.fixture
def site(db: None, store: Any) -> Place:
    """Return a place under the light policy."""
    return walking.a_site()


def test_the_voided_signer_is_told_in_their_inbox_and_reads_before_and_after(site: Place) -> None:
    handoff = walking.answered(site)
    walking.sign(handoff, site.vera, "validation")
    assert walking.inbox(site.vera) == []
    about = {"handoff_id": str(handoff.pk), "item": "capacity", "choice": "yes", "evidence": [MORE]}
    checklists.answer(actor=by(site.edda), **about)
    told = {entry.task.kind: entry.task.note for entry in walking.inbox(site.vera)}
    because = "the checklist answers and acknowledged differences changed after it was given"
    assert told == {"sign": f"Your sign-off was voided because {because}."}
    assert because in client_of(site.vera).get(reverse("inbox")).content.decode()
    (change,) = sheet_for(site.vera, handoff.pk, "validation").changes
    assert (change.part, change.before, change.after, change.who) == (
        "answers",
        "yes (requests a second 40)",
        "yes (requests a second 55)",
        "Edda",
    )
    html = client_of(site.vera).get(reverse("handoff-sign", args=[handoff.pk, "validation"])).content.decode()
    assert "requests a second 40" in html
    assert "When you signed" in html
    client = APIClient()
    client.force_authenticate(site.vera)
    sheet = client.get(reverse("api:handoff-sheet", args=[handoff.pk, "validation"])).json()
    assert [(one["before"], one["after"]) for one in sheet["changes"]] == [(change.before, change.after)]
    walking.sign(handoff, site.vera, "validation")
    assert walking.inbox(site.vera) == []
    states = [one.state for one in SignOff.objects.order_by("signed_at")]
    assert states == [SignOffState.VOIDED, SignOffState.GIVEN]


def test_an_acknowledged_difference_is_named_by_its_line(site: Place) -> None:
    handoff = walking.answered(site)
    walking.sign(handoff, site.vera, "validation")
    assert handoff.report is not None
    others = [
        item
        for item in handoff.report["items"]
        if not item["equal"] and item["key"] not in handoff.report["undeclared"]
    ]
    line = others[0]
    who = {"it_operations": site.otto, "analytic_engineer": site.edda}.get(line["role"], site.otto)
    checklists.acknowledge(
        actor=by(who), handoff_id=str(handoff.pk), differences=[line["key"]], comment="Seen.", mitigation="Raised."
    )
    (change,) = sheet_for(site.vera, handoff.pk, "validation").changes
    assert (change.what, change.before, change.after) == (
        line["name"],
        "not acknowledged",
        "acknowledged; Seen.; Raised.",
    )


def test_whoever_asked_for_changes_reads_what_became_of_the_answers(site: Place) -> None:
    handoff = walking.answered(site)
    sheet = sheet_for(site.vera, handoff.pk, "validation")
    signoffs.sign(
        actor=by(site.vera),
        handoff_id=str(handoff.pk),
        requirement="validation",
        decision="changes",
        meaning=sheet.rule.meaning,
        seen=sheet.seen,
        reauthentication=proof_of(site.vera),
        comment="More than forty.",
    )
    about = {"handoff_id": str(handoff.pk), "item": "capacity", "choice": "yes", "evidence": [MORE]}
    checklists.answer(actor=by(site.edda), **about)
    assert SignOff.objects.get().state == SignOffState.CHANGES_REQUESTED, "they say when it is enough"
    (change,) = sheet_for(site.vera, handoff.pk, "validation").changes
    assert (change.before, change.after) == ("yes (requests a second 40)", "yes (requests a second 55)")
    walking.sign(handoff, site.vera, "validation")
    assert walking.inbox(site.vera) == []
