"""What a check of the invariants leaves: a row, an event when something changed, and findings on their handoffs."""

from pathlib import Path
from typing import Any

import pytest
from django.utils import timezone

from audit.actors import Worker
from audit.models import AuditEvent
from handoff.models import Finding, Handoff, InvariantCheck
from handoff.queries.invariants import Checked, Violation
from handoff.services.invariants import keep
from tests.handoff import building
from tests.handoff.building import Place

pytestmark = pytest.mark.django_db
ROBOT = Worker("check_invariants")


@pytest.fixture
def place(db: None, store: Path) -> Place:
    """Return a model, its environments and its people."""
    return building.a_place()


def offered(place: Place, number: int) -> Handoff:
    return building.offered(place, building.a_version(place, number), building.a_policy(("integrity",)))


def kept(*violations: Violation) -> InvariantCheck:
    return keep(actor=ROBOT, checked=Checked(timezone.now(), 0.5, ("I01", "I02", "I15"), violations))


def breaks(invariant: str, handoff: Handoff | None, subject: str = "job:7") -> Violation:
    return Violation(invariant, str(handoff.pk) if handoff else "", subject, "it is wrong")


def told() -> list[tuple[str, str, Any]]:
    events = AuditEvent.objects.filter(action__startswith="invariants.").order_by("pk")
    return [(one.action, one.chain, one.told["data"]) for one in events]


def open_findings() -> list[tuple[Handoff, str]]:
    rows = Finding.objects.filter(closed_at=None).order_by("handoff__number", "subject")
    return [(one.handoff, one.subject) for one in rows]


def test_what_is_new_is_raised_what_is_gone_is_resolved_and_the_rest_stays(place: Place) -> None:
    first, second = offered(place, 1), offered(place, 2)
    assert kept().violations == []
    assert told() == []
    row = kept(breaks("I02", first), breaks("I01", first), breaks("I01", second), breaks("I15", None))
    assert row == InvariantCheck.objects.first()
    assert row.invariants == ["I01", "I02", "I15"]
    assert row.violations[0] == {
        "invariant": "I02", "handoff": str(first.pk), "subject": "job:7", "words": "it is wrong",
    }  # fmt: skip
    broken = ("invariants.broken", "site", {"violations": 4, "broken": ["I01", "I02", "I15"]})
    assert told() == [broken]
    assert open_findings() == [(first, "I01:job:7"), (first, "I02:job:7"), (second, "I01:job:7")]
    finding = Finding.objects.get(subject="I02:job:7")
    assert str(finding) == "job:7 breaks what always holds (I02): it is wrong."
    assert (finding.kind, finding.severity, finding.owner, finding.suspends) == ("always", "high", place.otto, False)
    raised = AuditEvent.objects.filter(action="finding.raised", chain=f"handoff:{second.pk}").get()
    assert raised.told["data"]["invariant"] == "I01"
    kept(breaks("I02", first), breaks("I01", first), breaks("I01", second), breaks("I15", None))
    assert told() == [broken], "nothing is new"
    kept(breaks("I01", second))
    assert open_findings() == [(second, "I01:job:7")]
    assert kept().violations == []
    assert told()[-1] == ("invariants.hold", "site", {"violations": 0, "broken": []})
    assert open_findings() == []
    assert {one.closing for one in Finding.objects.all()} == {"resolved"}


def test_other_findings_stay_and_who_has_left_owns_none(place: Place) -> None:
    handoff = offered(place, 1)
    drift = Finding.objects.create(
        handoff=handoff, items={"tools.python": "It moved."}, severity="high", suspends=True, due_at=timezone.now()
    )
    place.otto.is_active = False
    place.otto.save(update_fields=["is_active"])
    kept(breaks("I01", handoff, "x" * 80))
    finding = Finding.objects.get(kind="always")
    assert (finding.owner, finding.subject) == (None, f"I01:{'x' * 56}")
    kept()
    drift.refresh_from_db()
    assert drift.closed_at is None
