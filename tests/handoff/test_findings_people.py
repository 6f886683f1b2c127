"""Findings that people raise: with an owner and a day, closed only with evidence, handed on to the next version."""

from datetime import time, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from django.conf import settings
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import DatabaseError, IntegrityError, transaction
from django.utils import timezone
from rest_framework.test import APIClient

from audit.actors import Person
from audit.models import Account, AuditEvent
from handoff.errors import Conflict, Forbidden, GateShut, Invalid, Refused, WrongState
from handoff.facts import known_of, rules_of
from handoff.models import Finding, Handoff
from handoff.queries.findings import open_findings
from handoff.rules.gates import evaluate
from handoff.services import findings, handoffs, policies
from models_registry.models import EnvironmentUserGrant
from tests.handoff import building, walking
from tests.handoff.building import Place
from tests.handoff.walking import by

LINK = {"kind": "link", "link": "https://tracker.example.org/17"}
ISSUE = {"title": "No alarm when scores stop.", "severity": "high", "owner": "edda"}


@pytest.fixture
def site(db: None, store: Path) -> Place:
    """Return a place whose people have passwords, with the light policy."""
    return walking.a_site()


def raised(place: Place, handoff: Handoff, who: str = "vera", **more: Any) -> Finding:
    return findings.raise_finding(actor=by(place.people[who]), handoff_id=handoff.pk, **(ISSUE | more))


def closed(place: Place, finding: Finding, who: str = "edda", **more: Any) -> Finding:
    told = {"evidence": LINK} | more
    return findings.close(actor=by(place.people[who]), handoff_id=finding.handoff_id, finding_id=finding.pk, **told)


def by_api(place: Place, who: str, path: str, body: Any) -> int:
    api = APIClient()
    api.force_authenticate(place.people[who])
    return api.post(f"/api/v1{path}", body, format="json").status_code


def by_page(place: Place, who: str, path: str, body: Any) -> int:
    path = path if path.endswith("/close/") else f"{path}raise/"
    flat = body | body.get("evidence", {})
    typed = {key: "on" if value is True else value for key, value in flat.items() if value and key != "evidence"}
    return walking.client_of(place.people[who]).post(path, typed).status_code


DOORS = pytest.mark.parametrize("door", [by_api, by_page])


@DOORS
def test_whoever_holds_a_role_raises_a_finding_with_an_owner(site: Place, door: Any) -> None:
    handoff = walking.offered(site)
    assert door(site, "vera", f"/handoffs/{handoff.pk}/findings/", ISSUE | {"blocks": True}) in (201, 303)
    finding = Finding.objects.get()
    assert (str(finding), finding.severity, finding.suspends) == (ISSUE["title"], "high", True)
    assert (finding.owner, finding.raised_by, finding.kind) == (site.edda, site.vera, "issue")
    assert timedelta(days=6) < finding.due_at - timezone.now() < timedelta(days=8)
    [entry] = [one for one in walking.inbox(site.edda) if one.task.kind == "settle"]
    assert (entry.task.title, entry.due) == (ISSUE["title"], finding.due_at.replace(microsecond=0))


@DOORS
@pytest.mark.parametrize(
    ("who", "body", "status"),
    [
        ("mallory", ISSUE, 404),
        ("vera", ISSUE | {"owner": "mallory"}, 422),
        ("vera", ISSUE | {"owner": "nobody"}, 422),
        ("vera", ISSUE | {"title": " "}, 422),
        ("vera", ISSUE | {"severity": "huge"}, 422),
        ("vera", ISSUE | {"due": "2020-01-01"}, 422),
        ("vera", ISSUE | {"due": "soon"}, 422),
    ],
)
def test_what_says_nothing_is_no_finding(site: Place, door: Any, who: str, body: Any, status: int) -> None:
    handoff = walking.offered(site)
    before = AuditEvent.objects.count()
    assert door(site, who, f"/handoffs/{handoff.pk}/findings/", body) == status
    assert not Finding.objects.exists()
    assert AuditEvent.objects.count() == before


def test_a_draft_takes_no_findings_and_automation_raises_none(site: Place) -> None:
    draft = walking.drafted(site)
    with pytest.raises(WrongState):
        raised(site, draft)
    robot = Account.objects.create(username="robot", kind="service", responsible=site.vera)
    with pytest.raises(Forbidden) as refusal:
        findings.raise_finding(actor=Person(robot, "test"), handoff_id=draft.pk, **ISSUE)
    assert refusal.value.code == "person_required"


def test_one_that_blocks_keeps_the_gate_shut_until_it_is_closed(site: Place) -> None:
    handoff = walking.answered(site)
    finding = raised(site, handoff, blocks=True)
    result = evaluate("review", rules_of(handoff), known_of(handoff).facts)
    [shut] = [one for one in result.missing if one.kind == "finding"]
    assert (shut.title, shut.who) == (ISSUE["title"], ("Edda",))
    with pytest.raises(GateShut):
        walking.sign(handoff, site.vera, "validation")
    closed(site, finding)
    walking.sign(handoff, site.vera, "validation")
    walking.sign(handoff, site.otto, "acceptance")
    assert handoff.state == "testing"


def test_one_that_does_not_block_lets_the_gate_open(site: Place) -> None:
    handoff = walking.answered(site)
    raised(site, handoff)
    walking.sign(handoff, site.vera, "validation")
    walking.sign(handoff, site.otto, "acceptance")
    assert handoff.state == "testing"


@DOORS
def test_a_finding_is_closed_only_with_evidence(site: Place, door: Any) -> None:
    finding = raised(site, walking.offered(site))
    path = f"/handoffs/{finding.handoff_id}/findings/{finding.pk}/close/"
    assert door(site, "edda", path, {"evidence": {}}) == 422
    assert door(site, "edda", path, {"evidence": {"kind": "link", "link": "javascript:alert(1)"}}) == 422
    assert door(site, "dana", path, {"evidence": LINK}) == 403
    assert door(site, "mallory", path, {"evidence": LINK}) == 404
    finding.refresh_from_db()
    assert finding.closed_at is None
    assert door(site, "edda", path, {"evidence": LINK, "comment": "It rings now."}) in (200, 303)
    finding.refresh_from_db()
    assert (finding.closing, finding.closed_by, finding.proof_link) == ("fixed", site.edda, LINK["link"])
    assert door(site, "edda", path, {"evidence": LINK}) == 409


def test_a_file_closes_it_and_is_sent_as_a_download(site: Place) -> None:
    finding = raised(site, walking.offered(site))
    path = f"/handoffs/{finding.handoff_id}/findings/{finding.pk}/"
    file = SimpleUploadedFile("alarm.txt", b"It rang.")
    assert walking.client_of(site.edda).post(f"{path}close/", {"file": file}).status_code == 303
    got = walking.client_of(site.dana).get(f"{path}file/")
    assert b"".join(got) == b"It rang."
    assert got["Content-Disposition"] == 'attachment; filename="alarm.txt"'
    assert walking.client_of(site.mallory).get(f"{path}file/").status_code == 404


def test_only_an_answer_that_was_given_since_closes_it(site: Place) -> None:
    handoff = walking.answered(site)
    finding = raised(site, handoff)
    answer = {"evidence": {"kind": "answer", "item": "runbook"}}
    with pytest.raises(Invalid):
        closed(site, finding, **answer)
    walking.answered(site, handoff, but=("purpose", "data-origin", "capacity", "differences"))
    assert closed(site, finding, **answer).proof_answer is not None


def test_a_finding_is_owned_by_a_person_who_is_here_and_holds_a_role(site: Place) -> None:
    handoff, before = walking.offered(site), Finding.objects.count()
    robot = Account.objects.create(username="robot", kind="service", responsible=site.dana)
    building._grant(EnvironmentUserGrant, robot, "it_operations", site.target)
    gone = Account.objects.create(username="gone", is_active=False)
    building._grant(EnvironmentUserGrant, gone, "it_operations", site.target)
    for owner in ("robot", "gone", "mallory", "nobody"):
        with pytest.raises(Invalid) as refused:
            raised(site, handoff, owner=owner)
        assert refused.value.fields == {"owner": "is nobody who holds a role here"}
    assert Finding.objects.count() == before


def test_where_the_policy_says_so_an_owner_never_closes_alone(site: Place) -> None:
    source = Path(settings.BASE_DIR / "handoff/policies/light.yaml").read_text()
    policies.publish(actor=by(site.ada), source=f"{source}\nfindings: {{another_closes: true}}\n")
    finding = raised(site, walking.offered(site), owner="otto")
    with pytest.raises(Conflict):
        closed(site, finding, "otto")  # IT operations close findings, but not their own
    with pytest.raises(IntegrityError), transaction.atomic():
        Finding.objects.filter(pk=finding.pk).update(
            closed_at=timezone.now(), closing="fixed", closed_by=site.otto, proof_kind="link", proof_link=LINK["link"]
        )
    assert closed(site, finding, "vera").closed_by == site.vera


@pytest.mark.parametrize("wrong", ["yes", "{another_closes: maybe}", "{anybody: true}"])
def test_an_odd_word_about_findings_is_no_policy(site: Place, wrong: str) -> None:
    source = Path(settings.BASE_DIR / "handoff/policies/light.yaml").read_text()
    with pytest.raises(Invalid) as refusal:
        policies.publish(actor=by(site.ada), source=f"{source}\nfindings: {wrong}\n")
    assert any(place.startswith("findings") for place in refusal.value.fields)


def test_an_issue_is_not_accepted_like_a_drift(site: Place) -> None:
    finding = raised(site, walking.offered(site))
    with pytest.raises(WrongState) as refusal:
        findings.accept(actor=by(site.otto), handoff_id=finding.handoff_id, finding_id=finding.pk, comment="Fine.")
    assert refusal.value.code == "finding_needs_evidence"


def test_the_next_version_takes_over_what_is_open(site: Place) -> None:
    first = walking.offered(site)
    open_one, other = raised(site, first, blocks=True), raised(site, first, title="A typing error.")
    closed(site, other)
    handoffs.withdraw(actor=by(site.dana), handoff_id=str(first.pk), reason="A better one follows.")
    second = walking.offered(site, building.a_version(site, 2))
    heir = second.findings.get()
    assert (str(heir), heir.inherited_from, heir.due_at, heir.suspends) == (
        ISSUE["title"], open_one, open_one.due_at, True,
    )  # fmt: skip
    open_one.refresh_from_db()
    assert (open_one.closing, open_one.closed_by) == ("carried", None)
    handoffs.withdraw(actor=by(site.dana), handoff_id=str(second.pk), reason="Again.")
    third = walking.offered(site, building.a_version(site, 3))
    assert [one.inherited_from for one in third.findings.all()] == [open_one]
    assert list(open_findings(site.dana)) == list(third.findings.all())


def test_what_was_fixed_in_a_version_that_went_live_is_not_handed_on(site: Place) -> None:
    first = walking.offered(site)
    Handoff.objects.filter(pk=first.pk).update(state="testing")
    Handoff.objects.filter(pk=first.pk).update(state="ready")
    raised(site, first)
    for state in ("deploying", "confirming", "live"):
        Handoff.objects.filter(pk=first.pk).update(state=state)
    second = walking.offered(site, building.a_version(site, 2))
    closed(site, second.findings.get())
    assert first.findings.get().closed_at is None  # the live version still has it
    for state in ("testing", "ready", "deploying", "confirming", "live"):
        Handoff.objects.filter(pk=second.pk).update(state=state)
    Handoff.objects.filter(pk=first.pk).update(state="superseded")
    assert not walking.offered(site, building.a_version(site, 3)).findings.exists()


def test_the_list_tells_what_is_overdue_and_to_whom(site: Place) -> None:
    handoff = walking.offered(site)
    finding = raised(site, handoff)
    assert not open_findings(site.edda, overdue="1").exists()
    late = Finding.objects.create(
        handoff=handoff, kind="issue", items={"issue": "Late."}, severity="low", suspends=False,
        owner=site.edda, raised_by=site.vera, due_at=timezone.now() - timedelta(days=1),
    )  # fmt: skip
    assert list(open_findings(site.edda, overdue="1")) == [late]
    assert list(open_findings(site.edda, mine="1", severity="high")) == [finding]
    assert not open_findings(site.mallory).exists()
    page = walking.client_of(site.edda).get("/findings/?overdue=1").content.decode()
    assert "overdue since" in page
    assert ISSUE["title"] not in page
    assert "No finding is open" in walking.client_of(site.mallory).get("/findings/").content.decode()
    api = APIClient()
    api.force_authenticate(site.edda)
    assert [one["title"] for one in api.get("/api/v1/findings/").json()["results"]] == ["Late.", ISSUE["title"]]


def refused(act: Any, **told: Any) -> tuple[str, dict[str, Any]]:
    """Return the code and the fields of a refusal."""
    with pytest.raises(Refused) as refusal:
        act(**told)
    return refusal.value.code, refusal.value.fields


def test_what_is_raised_and_closed_is_returned_and_told(site: Place) -> None:
    handoff = walking.offered(site)
    day = timezone.localdate() + timedelta(days=3)
    finding = raised(site, handoff, title=f" {ISSUE['title']} ", details=" At night. ", due=day)
    due = timezone.localtime(finding.due_at)
    assert (str(finding), finding.details, due.date(), due.time()) == (
        ISSUE["title"],
        "At night.",
        day,
        time(23, 59, 59),
    )
    event = AuditEvent.objects.get(action="finding.raised")
    about = {"finding": str(finding.pk)}
    assert event.told["data"] == about | {
        "severity": "high", "owner": "Edda", "due": finding.due_at.isoformat(),
    }  # fmt: skip
    assert (event.chain, event.told["reason"]) == (f"handoff:{handoff.pk}", ISSUE["title"])
    done = closed(site, finding, comment=" It rings. ")
    assert (done.pk, done.closing, done.comment, done.closed_by) == (finding.pk, "fixed", "It rings.", site.edda)
    assert AuditEvent.objects.get(action="finding.closed").told["reason"] == "It rings."


@pytest.mark.parametrize(("severity", "days"), [("high", 7), ("medium", 30), ("low", 90)])
def test_without_a_day_it_is_wanted_as_soon_as_its_severity_asks(severity: str, days: int, site: Place) -> None:
    due = timezone.localtime(raised(site, walking.offered(site), severity=severity).due_at)
    assert due.date() == timezone.localdate() + timedelta(days=days)


def test_what_is_too_long_or_too_late_is_named_and_what_just_fits_is_taken(site: Place) -> None:
    handoff, today = walking.offered(site), timezone.localdate()
    told = {"actor": by(site.vera), "handoff_id": handoff.pk}
    late, severities = {"due": "is not within two years"}, ", ".join(("low", "medium", "high"))
    for more, fields in (
        ({"title": "x" * 301}, {"title": "has more than 300 characters"}),
        ({"title": " "}, {"title": "is empty"}),
        ({"details": "x" * 5001}, {"details": "has more than 5000 characters"}),
        ({"severity": "huge"}, {"severity": f"must be one of {severities}"}),
        ({"due": today - timedelta(days=1)}, late),
        ({"due": today + timedelta(days=732)}, late),
    ):
        assert refused(findings.raise_finding, **told, **(ISSUE | more)) == ("invalid", fields)
    assert not Finding.objects.exists()
    raised(site, handoff, due=today)
    finding = raised(site, handoff, title="x" * 300, details="x" * 5000, due=today + timedelta(days=731))
    of = {"actor": by(site.edda), "handoff_id": handoff.pk, "finding_id": finding.pk, "evidence": LINK}
    too_long = {"comment": "has more than 5000 characters"}
    assert refused(findings.close, comment="x" * 5001, **of) == ("invalid", too_long)
    assert findings.close(comment="x" * 5000, **of).closing == "fixed"


def test_one_that_blocks_suspends_what_is_live_and_nothing_that_is_under_offer(site: Place) -> None:
    handoff = walking.offered(site)
    raised(site, handoff, blocks=True)
    assert not AuditEvent.objects.filter(action="handoff.suspended").exists()
    for state in ("testing", "ready", "deploying", "confirming", "live"):
        Handoff.objects.filter(pk=handoff.pk).update(state=state)
    raised(site, handoff, title="Another.")
    assert not AuditEvent.objects.filter(action="handoff.suspended").exists()
    raised(site, handoff, title="A third.", blocks=True)
    assert AuditEvent.objects.filter(action="handoff.suspended").count() == 1
    Handoff.objects.filter(pk=handoff.pk).update(state="superseded")
    with pytest.raises(WrongState, match="A handoff that is superseded takes no findings"):
        raised(site, handoff)


def test_a_finding_is_settled_under_its_own_handoff_and_by_people(site: Place) -> None:
    handoff, other = walking.offered(site), walking.offered(site, building.a_version(site, 2))
    finding, theirs = raised(site, handoff), raised(site, other)
    robot = Account.objects.create(username="robot", kind="service", responsible=site.edda)
    building._grant(EnvironmentUserGrant, robot, "it_operations", site.target)
    events = AuditEvent.objects.count()
    acts = ((findings.close, {"evidence": LINK}), (findings.accept, {"comment": "Fine."}))
    for act, more in acts:
        for key in (theirs.pk, uuid4()):
            told = {"actor": by(site.otto), "handoff_id": handoff.pk, "finding_id": key, **more}
            assert refused(act, **told) == ("not_found", {})
    told = {"actor": by(robot), "handoff_id": handoff.pk, "finding_id": finding.pk, "evidence": LINK}
    assert refused(findings.close, **told) == ("person_required", {})
    assert (AuditEvent.objects.count(), Finding.objects.filter(closed_at=None).count()) == (events, 2)


OF_OTHERS = {
    "approval": ("approval_missing", "An approval that does not stand any more is neither"),
    "glass": ("approval_missing", "What was deployed by break-glass is signed"),
    "attest": ("approval_missing", "What is to be approved anew is neither"),
    "always": ("invariant_broken", "That something breaks what always holds is neither"),
}


@pytest.mark.parametrize("kind", OF_OTHERS)
def test_what_closes_by_itself_is_neither_accepted_nor_closed_by_evidence(kind: str, site: Place) -> None:
    handoff = walking.offered(site)
    finding = Finding.objects.create(
        handoff=handoff, kind=kind, subject="it", items={"it": "It is so."}, severity="high", suspends=False,
        owner=site.otto, due_at=timezone.now(),
    )  # fmt: skip
    of = {"actor": by(site.otto), "handoff_id": handoff.pk, "finding_id": finding.pk}
    for act, more in ((findings.close, {"evidence": LINK}), (findings.accept, {"comment": "Fine."})):
        with pytest.raises(WrongState, match=OF_OTHERS[kind][1]) as refusal:
            act(**of, **more)
        assert refusal.value.code == OF_OTHERS[kind][0]
        assert refusal.value.todo
    finding.refresh_from_db()
    assert finding.closed_at is None


ATTACKS: dict[str, dict[str, Any]] = {
    "closing it without evidence": {"closed_at": timezone.now(), "closing": "fixed"},
    "accepting it": {"closed_at": timezone.now(), "closing": "accepted", "comment": "Fine."},
    "giving it to somebody else": {"owner_id": None},
    "moving its day": {"due_at": timezone.now() + timedelta(days=100)},
    "letting it block nothing": {"suspends": False},
}


@pytest.mark.parametrize("attack", ATTACKS)
def test_the_database_refuses_to_bend_an_issue(site: Place, attack: str) -> None:
    finding = raised(site, walking.offered(site), blocks=True)
    with pytest.raises(DatabaseError), transaction.atomic():
        Finding.objects.filter(pk=finding.pk).update(**ATTACKS[attack])
    finding.refresh_from_db()
    assert (finding.closed_at, finding.owner, finding.suspends) == (None, site.edda, True)
