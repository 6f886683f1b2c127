"""A target that drifts from what was signed suspends the approval by itself, until it is put right."""

import json
from datetime import timedelta
from html import unescape
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.db import DatabaseError, IntegrityError, transaction
from django.test import Client
from django.utils import timezone
from rest_framework.test import APIClient

from audit.actors import Person, Worker
from audit.models import AuditEvent
from handoff import tasks
from handoff.errors import Forbidden, Hidden, Invalid, WrongState
from handoff.facts import known_of, rules_of
from handoff.models import Finding, Handoff, PolicyRevision
from handoff.rules.gates import evaluate
from handoff.services import findings, policies
from models_registry.models import Environment
from tests.handoff import building, walking
from tests.handoff.building import Place
from tests.queries import counting

pytestmark = pytest.mark.django_db
PYTHON = {
    "tools.python": "Python breaks its rule: 3.9.1 in the target, was 3.11.7 when it was offered; "
    "the version asks for >=3.11,<3.15"
}


@pytest.fixture
def site(db: None, store: Any) -> Place:
    return walking.a_site()


def live(site: Place, **more: Any) -> Handoff:
    """Return a handoff whose version is live."""
    handoff = building.tested(counting.signed(site, building.a_version(site, **more)))
    counting.approve(handoff, site.otto, "release")
    counting.deployed(handoff)
    return handoff


def move(**changes: Any) -> None:
    """Change the target by hand, as whoever runs it might."""
    Environment.objects.filter(slug="production").update(**changes)


def drifted(handoff: Handoff) -> Finding:
    """Move the target's interpreter out of its range, and let the worker look."""
    move(python="3.9.1")
    tasks.look_for_drift()
    return Finding.objects.get(handoff=handoff, closed_at=None)


def events_of(handoff: Handoff) -> list[str]:
    return list(
        AuditEvent.objects.filter(chain=f"handoff:{handoff.pk}").order_by("seq").values_list("action", flat=True)
    )


def accept_by_service(site: Place, who: str, finding: Finding, comment: str = "We looked.") -> Finding:
    person = Person(site.people[who], "test")
    return findings.accept(actor=person, handoff_id=finding.handoff_id, finding_id=finding.pk, comment=comment)


def test_nothing_is_found_where_nothing_moved(site: Place) -> None:
    handoff = live(site)
    before = AuditEvent.objects.count()
    move(purpose="Declared free.", packages={**Environment.objects.get(slug="production").packages, "polars": "2.1.0"})
    tasks.look_for_drift()
    assert not Finding.objects.exists()
    assert AuditEvent.objects.count() == before
    assert not known_of(handoff).facts.moved


def test_a_moved_package_suspends_the_approval_of_a_live_version(site: Place) -> None:
    move(packages={"numpy": "2.4.6"})
    Environment.objects.filter(slug="workbench").update(packages={"numpy": "2.4.6"})
    handoff = live(site, packages={"numpy": ">=2,<3"})
    move(packages={"numpy": "3.0.0"})
    tasks.look_for_drift()
    finding = Finding.objects.get()
    assert list(finding.items) == ["packages.numpy"]
    assert "3.0.0 in the target, was 2.4.6 when it was offered" in str(finding)
    assert finding.suspends
    assert finding.severity == "high"
    assert finding.due_at > timezone.now()
    assert events_of(handoff)[-1] == "handoff.suspended"
    assert [entry.task.kind for entry in walking.inbox(site.otto)] == ["clear"]
    assert walking.inbox(site.dana) == []


def test_looking_again_says_nothing_new(site: Place) -> None:
    handoff = live(site)
    drifted(handoff)
    before = AuditEvent.objects.count()
    tasks.look_for_drift()
    assert AuditEvent.objects.count() == before
    assert Finding.objects.count() == 1


def test_what_is_put_right_closes_by_itself(site: Place) -> None:
    handoff = live(site)
    finding = drifted(handoff)
    move(python="3.11.7")
    tasks.look_for_drift()
    finding.refresh_from_db()
    assert (finding.closing, finding.closed_by) == ("resolved", None)
    assert events_of(handoff)[-2:] == ["handoff.suspended", "finding.closed"]
    assert walking.inbox(site.otto) == []


def test_a_further_move_replaces_the_finding(site: Place) -> None:
    handoff = live(site)
    first = drifted(handoff)
    move(python="3.8.2")
    tasks.look_for_drift()
    first.refresh_from_db()
    assert first.closing == "replaced"
    assert "3.8.2" in str(Finding.objects.get(closed_at=None))


@pytest.mark.parametrize("make", [walking.offered, walking.answered, walking.ready])
def test_a_handoff_under_offer_is_stopped_until_the_target_is_put_right(site: Place, make: Any) -> None:
    handoff = make(site)
    finding = drifted(handoff)
    gate = "release" if handoff.state == "ready" else "review"
    result = evaluate(gate, rules_of(handoff), known_of(handoff).facts)
    assert PYTHON["tools.python"] in [r.why for r in result.missing]
    with pytest.raises(WrongState) as refusal:
        accept_by_service(site, "otto", finding)
    assert refusal.value.code == "finding_blocks"
    assert Finding.objects.get().closed_at is None
    move(python="3.11.7")
    tasks.look_for_drift()
    result = evaluate(gate, rules_of(handoff), known_of(handoff).facts)
    assert "report" not in [r.kind for r in result.missing]


def test_a_policy_may_only_report(site: Place) -> None:
    source = Path(settings.BASE_DIR / "handoff/policies/light.yaml").read_text()
    policies.publish(actor=Person(site.ada, "test"), source=f"{source}\ndrift: report\n")
    handoff = live(site)
    finding = drifted(handoff)
    assert not finding.suspends
    assert not known_of(handoff).facts.moved
    assert events_of(handoff)[-1] == "finding.raised"
    assert walking.inbox(site.otto) == []
    assert "The target drifted" in walking.client_of(site.otto).get(f"/handoffs/{handoff.pk}/").content.decode()


@pytest.mark.parametrize("drift", ["ignore", "", 1, None])
def test_an_unknown_answer_to_drift_is_no_policy(site: Place, drift: Any) -> None:
    source = Path(settings.BASE_DIR / "handoff/policies/light.yaml").read_text()
    before = PolicyRevision.objects.count()
    with pytest.raises(Invalid) as refusal:
        policies.publish(actor=Person(site.ada, "test"), source=f"{source}\ndrift: {json.dumps(drift)}\n")
    assert "drift" in refusal.value.fields
    assert PolicyRevision.objects.count() == before


def by_api(site: Place, who: str, finding: Finding, comment: str) -> tuple[int, str]:
    api = APIClient()
    api.force_authenticate(site.people[who])
    answer = api.post(f"/api/v1/handoffs/{finding.handoff_id}/findings/{finding.pk}/accept/", {"comment": comment})
    return answer.status_code, str(answer.json())


def by_page(site: Place, who: str, finding: Finding, comment: str) -> tuple[int, str]:
    client: Client = walking.client_of(site.people[who])
    answer = client.post(f"/handoffs/{finding.handoff_id}/findings/{finding.pk}/accept/", {"comment": comment})
    return answer.status_code, answer.content.decode()


DOORS = pytest.mark.parametrize("door", [by_api, by_page])


@DOORS
def test_it_operations_accept_what_a_live_version_can_live_with(site: Place, door: Any) -> None:
    handoff = live(site)
    finding = drifted(handoff)
    status, _ = door(site, "otto", finding, "The interpreter was tried on staging.")
    assert status in (200, 303)
    finding.refresh_from_db()
    assert (finding.closing, finding.closed_by) == ("accepted", site.otto)
    assert not known_of(handoff).facts.moved
    tasks.look_for_drift()  # what was accepted is not found again
    assert Finding.objects.count() == 1
    move(python="3.8.2")  # but another value is
    tasks.look_for_drift()
    assert Finding.objects.filter(closed_at=None).count() == 1


@DOORS
@pytest.mark.parametrize(
    ("who", "comment", "status", "words"),
    [
        ("mallory", "Fine.", 404, ""),
        ("dana", "Fine.", 403, "IT operations"),
        ("vera", "Fine.", 403, "IT operations"),
        ("otto", " ", 422, ""),
    ],
)
def test_others_accept_nothing_and_nobody_without_a_reason(
    site: Place, door: Any, who: str, comment: str, status: int, words: str
) -> None:
    finding = drifted(live(site))
    before = AuditEvent.objects.count()
    got, told = door(site, who, finding, comment)
    assert got == status
    assert words in told
    finding.refresh_from_db()
    assert finding.closed_at is None
    assert AuditEvent.objects.count() == before


def test_a_finding_is_accepted_once_and_only_on_its_own_handoff(site: Place) -> None:
    handoff, other = live(site), walking.offered(site, building.a_version(site, 2))
    finding = drifted(handoff)
    with pytest.raises(Hidden):
        findings.accept(
            actor=Person(site.otto, "test"), handoff_id=other.pk, finding_id=finding.pk, comment="Wrong place."
        )
    with pytest.raises(Forbidden):
        accept_by_service(site, "dana", finding)
    with pytest.raises(Invalid):
        accept_by_service(site, "otto", finding, "  ")
    accept_by_service(site, "otto", finding)
    with pytest.raises(WrongState) as refusal:
        accept_by_service(site, "otto", finding)
    assert refusal.value.code == "finding_closed"


def test_the_page_and_the_api_tell_what_drifted(site: Place) -> None:
    finding = drifted(live(site))
    page = unescape(walking.client_of(site.dana).get(f"/handoffs/{finding.handoff_id}/").content.decode())
    assert "Approval suspended" in page
    assert PYTHON["tools.python"] in page
    assert "Accept the drift" not in page
    assert "Accept the drift" in walking.client_of(site.otto).get(f"/handoffs/{finding.handoff_id}/").content.decode()
    api = APIClient()
    api.force_authenticate(site.dana)
    [told] = api.get(f"/api/v1/handoffs/{finding.handoff_id}/findings/").json()["results"]
    assert (told["differences"], told["suspends"], told["closed_at"]) == (PYTHON, True, None)
    api.force_authenticate(site.mallory)
    assert api.get(f"/api/v1/handoffs/{finding.handoff_id}/findings/").status_code == 404


ATTACKS: dict[str, dict[str, Any]] = {
    "changing what was found": {"items": {"a": "b"}},
    "lowering its severity": {"severity": "low"},
    "letting it suspend nothing": {"suspends": False},
    "accepting it as nobody": {"closed_at": timezone.now(), "closing": "accepted", "comment": "Fine."},
    "closing it without a cause": {"closed_at": timezone.now()},
}


@pytest.mark.parametrize("attack", ATTACKS)
def test_the_database_refuses_to_bend_a_finding(site: Place, attack: str) -> None:
    finding = drifted(live(site))
    with pytest.raises((DatabaseError, IntegrityError)), transaction.atomic():
        Finding.objects.filter(pk=finding.pk).update(**ATTACKS[attack])
    with pytest.raises(DatabaseError), transaction.atomic():
        finding.delete()
    with pytest.raises(IntegrityError), transaction.atomic():
        Finding.objects.create(
            handoff=finding.handoff, items={"a": "b"}, severity="low", suspends=True, due_at=timezone.now()
        )
    finding.refresh_from_db()
    assert (finding.items, finding.closed_at) == (PYTHON, None)


def test_a_worker_that_looks_at_nothing_does_nothing(site: Place) -> None:
    draft = walking.drafted(site)
    move(python="3.9.1")
    assert findings.look(actor=Worker("drift"), handoff_id=draft.pk) is None
    assert not Finding.objects.exists()


def test_a_look_at_one_handoff_touches_no_other_and_no_other_finding(site: Place) -> None:
    handoff, other = live(site), walking.offered(site, building.a_version(site, 2))
    told = {"title": "A hole.", "severity": "low", "owner": "otto"}
    issue = findings.raise_finding(actor=Person(site.vera, "test"), handoff_id=handoff.pk, **told)
    found = []
    for python in ("3.9.1", "3.11.7", "3.8.2", "3.7.1"):
        move(python=python)
        found.append(findings.look(actor=Worker("drift"), handoff_id=handoff.pk))
        assert findings.look(actor=Worker("drift"), handoff_id=handoff.pk) is None
    first, none, second, third = found
    assert none is None
    drifts = Finding.objects.filter(kind="drift").order_by("raised_at")
    assert list(drifts) == [first, second, third]
    assert [(one.handoff, one.closing) for one in drifts] == [
        (handoff, "resolved"), (handoff, "replaced"), (handoff, ""),
    ]  # fmt: skip
    issue.refresh_from_db()
    assert issue.closed_at is None
    assert third is not None
    told = AuditEvent.objects.filter(action="handoff.suspended").latest("pk").told["data"]
    assert told == {"finding": str(third.pk), "severity": "high", "differences": third.items}
    assert timedelta(days=6) < third.due_at - timezone.now() <= timedelta(days=7)
    assert other.pk not in {one.handoff_id for one in drifts}
    done = accept_by_service(site, "otto", third, " We looked. ")
    assert (done.closing, done.comment) == ("accepted", "We looked.")
