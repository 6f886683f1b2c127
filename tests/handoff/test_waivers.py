"""Waivers: an exception to one requirement, approved by somebody without a conflict, and ended by its day."""

from datetime import date, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
import yaml
from django.db import DatabaseError, IntegrityError, connection, transaction
from django.utils import timezone
from rest_framework.test import APIClient

from audit.actors import ServiceAccount, Worker
from audit.models import Account, AuditEvent
from handoff import queue, tasks
from handoff.errors import Invalid, Refused, WrongState
from handoff.facts import known_of, rules_of
from handoff.models import Finding, Handoff, Job, SignOff, Suspension, Waiver
from handoff.plans import TestReport
from handoff.rules.gates import Requirement, evaluate
from handoff.services import checklists, jobs, policies, promotion_tests, waivers
from tests.handoff import building, walking
from tests.handoff.building import Place
from tests.handoff.walking import by
from tests.queries import counting

REASON = {"reason": "The drill is next week.", "control": "Otto watches it himself."}


@pytest.fixture
def site(db: None, store: Path) -> Place:
    """Return a place under the light policy that lets risk and compliance approve waivers for ninety days."""
    place = walking.a_site()
    publish(place, {"approver": "risk_compliance", "max_days": 90, "warn_days": 14})
    return place


def publish(place: Place, waivers: Any, **more: Any) -> None:
    source = yaml.safe_load(Path("handoff/policies/light.yaml").read_text()) | {"waivers": waivers} | more
    policies.publish(actor=by(place.ada), source=yaml.safe_dump(source))


def in_days(days: int) -> date:
    return timezone.localdate() + timedelta(days=days)


def asked(place: Place, handoff: Handoff, requirement: str = "runbook", kind: str = "item", **more: Any) -> Waiver:
    told = {"until": in_days(30)} | REASON | more
    return waivers.ask(actor=by(place.edda), handoff_id=handoff.pk, kind=kind, requirement=requirement, **told)


def approved(place: Place, handoff: Handoff, requirement: str = "runbook", kind: str = "item", **more: Any) -> Waiver:
    waiver = asked(place, handoff, requirement, kind, **more)
    return waivers.answer(actor=by(place.rita), handoff_id=handoff.pk, waiver_id=waiver.pk, answer="approved")


def required(handoff: Handoff, key: str, gate: str = "review") -> Requirement:
    found = evaluate(gate, rules_of(handoff), known_of(handoff).facts).requirements
    return next(one for one in found if one.key == key)


def by_api(place: Place, who: str, path: str, body: dict[str, Any]) -> int:
    api = APIClient()
    api.force_authenticate(place.people[who])
    return api.post(f"/api/v1{path}", body, format="json").status_code


def by_page(place: Place, who: str, path: str, body: dict[str, Any]) -> int:
    if "requirement" in body:
        body = body | {"requirement": f"{body['kind']}:{body['requirement']}"}
        path += "ask/"
    return walking.client_of(place.people[who]).post(path, body).status_code


DOORS = pytest.mark.parametrize("door", [by_api, by_page])


@DOORS
def test_a_waiver_is_asked_for_approved_and_shown_with_its_requirement(site: Place, door: Any) -> None:
    handoff = walking.answered(site, but=("runbook",))
    body = {"kind": "item", "requirement": "runbook", "until": in_days(30).isoformat()} | REASON
    assert door(site, "edda", f"/handoffs/{handoff.pk}/waivers/", body) in (201, 303)
    waiver = Waiver.objects.get()
    assert not required(handoff, "runbook").met
    assert [one.task.kind for one in walking.inbox(site.rita)] == ["waiver"]
    path = f"/handoffs/{handoff.pk}/waivers/{waiver.pk}/answer/"
    assert door(site, "rita", path, {"answer": "approved", "comment": "For a month."}) in (200, 303)
    shown = required(handoff, "runbook")
    assert shown.met
    assert shown.waived == f"waived until {in_days(30).isoformat()}, approved by Rita: Otto watches it himself"
    page = walking.client_of(site.dana).get(f"/handoffs/{handoff.pk}/").content.decode()
    assert page.count("approved by Rita") >= 2  # at the gate, and at the item
    walking.sign(handoff, site.vera, "validation")
    walking.sign(handoff, site.otto, "acceptance")
    assert handoff.state == "testing"


@DOORS
@pytest.mark.parametrize(
    ("who", "more", "status"),
    [
        ("mallory", {}, 404),
        ("edda", {"requirement": "acceptance"}, 422),  # a sign-off is never waived
        ("edda", {"requirement": "nothing"}, 422),
        ("edda", {"kind": "signoff", "requirement": "acceptance"}, 422),
        ("edda", {"control": " "}, 422),
        ("edda", {"reason": ""}, 422),
        ("edda", {"until": "2020-01-01"}, 422),
        ("edda", {"until": (date.today() + timedelta(days=91)).isoformat()}, 422),
    ],
)
def test_what_cannot_be_waived_is_refused(site: Place, door: Any, who: str, more: dict[str, Any], status: int) -> None:
    handoff = walking.offered(site)
    before = AuditEvent.objects.count()
    body = {"kind": "item", "requirement": "runbook", "until": in_days(30).isoformat()} | REASON | more
    assert door(site, who, f"/handoffs/{handoff.pk}/waivers/", body) == status
    assert not Waiver.objects.exists()
    assert AuditEvent.objects.count() == before


@DOORS
def test_only_the_role_that_the_policy_names_answers_and_nobody_in_conflict(site: Place, door: Any) -> None:
    handoff = walking.offered(site)
    waiver = asked(site, handoff)
    path = f"/handoffs/{handoff.pk}/waivers/{waiver.pk}/answer/"
    assert door(site, "mallory", path, {"answer": "approved"}) == 404
    assert door(site, "vera", path, {"answer": "approved"}) == 403
    assert door(site, "edda", path, {"answer": "approved"}) == 403
    assert door(site, "rita", path, {"answer": "refused", "comment": " "}) == 422
    assert door(site, "rita", path, {"answer": "perhaps"}) == 422
    for who in ("dana", "edda"):  # dana offered the handoff, edda asked
        building._grant(building.RegisteredModelUserGrant, site.people[who], "risk_compliance", site.model)
        assert door(site, who, path, {"answer": "approved"}) == 403
    waiver.refresh_from_db()
    assert waiver.answer == ""
    assert door(site, "rita", path, {"answer": "refused", "comment": "Do the drill."}) in (200, 303)
    assert door(site, "rita", path, {"answer": "approved"}) == 409
    assert not required(handoff, "runbook").met


def test_policies_that_say_nothing_allow_none(site: Place) -> None:
    walking.a_light_policy(site)
    with pytest.raises(WrongState) as refusal:
        asked(site, walking.offered(site))
    assert refusal.value.code == "waivers_not_allowed"


@pytest.mark.parametrize(
    "wrong", [{"max_days": 30}, {"approver": "king"}, {"approver": "validator", "max_days": 400}, "yes", {"warn": 3}]
)
def test_odd_words_about_waivers_are_no_policy(site: Place, wrong: Any) -> None:
    with pytest.raises(Invalid) as refusal:
        publish(site, wrong)
    assert any(place.startswith("waivers") for place in refusal.value.fields)


def test_one_request_at_a_time_which_who_asked_may_withdraw(site: Place) -> None:
    handoff = walking.offered(site)
    waiver = asked(site, handoff)
    with pytest.raises(WrongState) as refusal:
        asked(site, handoff)
    assert refusal.value.code == "waiver_open"
    path = f"/handoffs/{handoff.pk}/waivers/{waiver.pk}/withdraw/"
    assert by_api(site, "dana", path, {}) == 403
    assert by_page(site, "edda", path, {}) == 303
    assert asked(site, handoff).pk != waiver.pk


def test_a_waiver_is_signed_so_a_later_one_voids_what_was_signed(site: Place) -> None:
    handoff = walking.answered(site)
    walking.sign(handoff, site.vera, "validation")
    approved(site, handoff)
    assert "checklist answers" in SignOff.objects.get().voided_because


@DOORS
def test_a_revoked_waiver_shuts_its_gate(site: Place, door: Any) -> None:
    handoff = walking.answered(site, but=("runbook",))
    waiver = approved(site, handoff)
    path = f"/handoffs/{handoff.pk}/waivers/{waiver.pk}/revoke/"
    assert door(site, "edda", path, {"reason": "No."}) == 403
    assert door(site, "rita", path, {"reason": " "}) == 422
    assert door(site, "rita", path, {"reason": "The drill was cancelled."}) in (200, 303)
    assert not required(handoff, "runbook").met
    assert door(site, "rita", path, {"reason": "Again."}) == 409


def ended(place: Place, handoff: Handoff, *, failing: str) -> Handoff:
    """Let every test of a handoff pass but one."""
    for job in Job.objects.filter(handoff=handoff, task=queue.RUN_TEST):
        claimed = jobs.claim(job.pk, "tester", task=queue.RUN_TEST)
        assert claimed is not None
        assert promotion_tests.begin(claimed.pk, claimed.fence) is not None
        verdict = "failed" if job.purpose == f"test:{failing}" else "passed"
        report = TestReport(verdict, "So it went.", {}, {}, "", 0.0)
        promotion_tests.finish(claimed.pk, claimed.fence, report, actor=Worker("tester"))
    handoff.refresh_from_db()
    return handoff


def test_a_waived_test_may_fail_and_the_handoff_is_ready(site: Place) -> None:
    handoff = walking.under_test(site)
    approved(site, handoff, "latency", "test")
    assert ended(site, handoff, failing="latency").state == "ready"
    shown = required(handoff, "latency", "release")
    assert (shown.met, shown.waived.startswith("waived until")) == (True, True)
    walking.sign(handoff, site.otto, "release")
    assert handoff.state == "deploying"


def test_a_test_that_is_not_waived_sends_it_back(site: Place) -> None:
    handoff = walking.under_test(site)
    approved(site, handoff, "latency", "test")
    assert ended(site, handoff, failing="golden").state == "returned"


def moved_on(waiver: Waiver, days: int) -> None:
    """Let a waiver have been approved days ago; only a test may, with the triggers off."""
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL session_replication_role = replica")
        cursor.execute(
            "UPDATE handoff_waiver SET until = until - %s, asked_at = asked_at - make_interval(days => %s)"
            " WHERE id = %s",
            [days, days, waiver.pk],
        )
        cursor.execute("SET LOCAL session_replication_role = DEFAULT")


def live(handoff: Handoff) -> Handoff:
    for state in ("testing", "ready", "deploying", "confirming", "live"):
        Handoff.objects.filter(pk=handoff.pk).update(state=state)
    handoff.refresh_from_db()
    return handoff


def test_a_waiver_whose_day_has_gone_counts_no_more(site: Place) -> None:
    handoff = walking.answered(site, but=("runbook",))
    moved_on(approved(site, handoff), 30)
    assert required(handoff, "runbook").met  # the last day is included
    moved_on(Waiver.objects.get(), 1)
    assert not required(handoff, "runbook").met
    assert Waiver.objects.get().state == "ended"


def test_before_a_waiver_ends_it_is_in_the_inbox_and_after_it_the_live_approval_is_suspended(site: Place) -> None:
    handoff = walking.answered(site, but=("runbook",))
    waiver = approved(site, handoff)
    live(handoff)
    assert not [one for one in walking.inbox(site.rita) if one.task.kind == "renew"]
    moved_on(waiver, 20)
    for who in (site.rita, site.edda):
        assert [one.task.key for one in walking.inbox(who) if one.task.kind == "renew"] == [str(waiver.pk)]
    tasks.watch_waivers()
    assert not Finding.objects.exists()
    moved_on(waiver, 11)
    tasks.watch_waivers()
    tasks.watch_waivers()
    finding = Finding.objects.get()
    assert (finding.kind, finding.suspends, finding.owner, finding.severity) == ("waiver", True, site.edda, "high")
    assert AuditEvent.objects.filter(action="handoff.suspended").count() == 1
    renewed = asked(site, handoff)
    waivers.answer(actor=by(site.rita), handoff_id=handoff.pk, waiver_id=renewed.pk, answer="approved")
    finding.refresh_from_db()
    assert finding.closing == "resolved"


def test_a_waiver_that_ended_stops_what_is_live_where_the_policy_says_so(site: Place) -> None:
    publish(site, {"approver": "risk_compliance", "max_days": 90, "warn_days": 14}, lapses="stop")
    handoff = walking.answered(site, but=("runbook",))
    waiver = approved(site, handoff)
    walking.sign(handoff, site.vera, "validation")
    walking.sign(handoff, site.otto, "acceptance")
    walking.sign(building.tested(handoff), site.otto, "release")
    counting.deployed(handoff)
    tasks.watch_waivers()
    tasks.stop_lapsed()
    assert not Suspension.objects.exists()
    moved_on(waiver, 31)
    tasks.watch_waivers()
    tasks.stop_lapsed()
    suspension = Suspension.objects.get()
    assert (suspension.finding, suspension.by) == (Finding.objects.get(kind="waiver"), "the policy")
    assert suspension.reason == str(suspension.finding)


def test_revoking_one_suspends_a_live_approval_at_once(site: Place) -> None:
    handoff = walking.answered(site, but=("runbook",))
    waiver = approved(site, handoff)
    live(handoff)
    waivers.revoke(actor=by(site.rita), handoff_id=handoff.pk, waiver_id=waiver.pk, reason="It went wrong.")
    assert Finding.objects.get().suspends


def test_on_a_live_model_nothing_new_is_waived(site: Place) -> None:
    handoff = live(walking.answered(site))
    with pytest.raises(WrongState) as refusal:
        asked(site, handoff)
    assert refusal.value.code == "waiver_too_late"


def test_renewing_a_waiver_of_a_live_model_voids_no_signature(site: Place) -> None:
    handoff = walking.answered(site, but=("runbook",))
    approved(site, handoff)
    walking.sign(handoff, site.vera, "validation")
    scope = SignOff.objects.get().scope["answers"]
    live(handoff)
    approved(site, handoff, until=in_days(60))
    assert known_of(handoff).facts.parts["answers"] == scope
    assert SignOff.objects.get().voided_at is None


def test_meeting_the_requirement_ends_the_need_for_a_waiver(site: Place) -> None:
    handoff = walking.answered(site, but=("runbook",))
    approved(site, handoff)
    checklists.answer(
        actor=by(site.edda), handoff_id=str(handoff.pk), item="runbook", choice="yes", evidence=[walking.LINK]
    )
    assert required(handoff, "runbook").waived == ""


ATTACKS: dict[str, dict[str, Any]] = {
    "stretching it": {"until": date.today() + timedelta(days=300)},
    "another requirement": {"requirement": "purpose"},
    "another measure": {"control": "None."},
    "a second answer": {"answer": "refused", "comment": "No."},
    "revoking it as nobody": {"revoked_at": timezone.now(), "revocation": "No."},
}


@pytest.mark.parametrize("attack", ATTACKS)
def test_the_database_refuses_to_bend_a_waiver(site: Place, attack: str) -> None:
    waiver = approved(site, walking.offered(site))
    with pytest.raises(DatabaseError), transaction.atomic():
        Waiver.objects.filter(pk=waiver.pk).update(**ATTACKS[attack])
    with pytest.raises(DatabaseError), transaction.atomic():
        waiver.delete()
    waiver.refresh_from_db()
    assert (waiver.answer, waiver.requirement, waiver.until) == ("approved", "runbook", in_days(30))


def test_the_database_wants_two_people_for_a_waiver(site: Place) -> None:
    waiver = asked(site, walking.offered(site))
    with pytest.raises(IntegrityError, match="other than the one who asked"), transaction.atomic():
        Waiver.objects.filter(pk=waiver.pk).update(answer="approved", answered_by=site.edda, answered_at=timezone.now())


@pytest.mark.parametrize("who", ["dana", "vera"])
def test_the_database_lets_nobody_answer_for_a_waiver_who_acted_in_the_chain(site: Place, who: str) -> None:
    handoff = walking.answered(site, but=("runbook",))
    approved(site, handoff)
    walking.sign(handoff, site.vera, "validation")
    answered = {"answer": "approved", "answered_at": timezone.now()}
    waiver = asked(site, handoff, until=in_days(60))
    with pytest.raises(IntegrityError, match="answers for no waiver"), transaction.atomic():
        Waiver.objects.filter(pk=waiver.pk).update(answered_by=site.people[who], **answered)
    waiver.refresh_from_db()
    assert waiver.answer == ""
    Waiver.objects.filter(pk=waiver.pk).update(answered_by=site.rita, **answered)


def said(action: str) -> tuple[dict[str, Any], str]:
    """Return what the trail tells of the only act of a name, and why it was done."""
    event = AuditEvent.objects.get(action=action)
    return event.told["data"], event.told["reason"]


def test_each_act_is_returned_and_told_with_all_that_was_said(site: Place) -> None:
    handoff = walking.offered(site)
    waiver = asked(site, handoff, reason=f" {REASON['reason']} ", control=f" {REASON['control']} ")
    about, until = {"waiver": str(waiver.pk), "kind": "item", "requirement": "runbook"}, in_days(30).isoformat()
    assert said("waiver.asked") == (about | {"until": until, "control": REASON["control"]}, REASON["reason"])
    of = {"actor": by(site.rita), "handoff_id": handoff.pk, "waiver_id": waiver.pk}
    given = waivers.answer(answer="approved", comment=" For a month. ", **of)
    assert (given.pk, given.state, given.comment, given.answered_by) == (
        waiver.pk,
        "approved",
        "For a month.",
        site.rita,
    )
    assert said("waiver.approved") == (about | {"until": until}, "For a month.")
    gone = waivers.revoke(reason=" It was cancelled. ", **of)
    assert (gone.state, gone.revoked_by, gone.revocation) == ("revoked", site.rita, "It was cancelled.")
    assert said("waiver.revoked") == (about, "It was cancelled.")
    again = asked(site, handoff)
    back = waivers.withdraw(actor=by(site.edda), handoff_id=handoff.pk, waiver_id=again.pk, reason=" It is met. ")
    assert (back.state, back.answered_by, back.comment) == ("withdrawn", site.edda, "It is met.")
    assert said("waiver.withdrawn") == (about | {"waiver": str(again.pk)}, "It is met.")
    back.refresh_from_db()
    assert back.comment == "It is met."


def test_what_is_odd_is_named_with_its_rule_and_what_just_fits_is_taken(site: Place) -> None:
    handoff = walking.offered(site)
    long, short = "x" * 5001, "x" * 5000
    limits = f"must be from today to {in_days(90)}"
    keys = ", ".join(item.key for item in rules_of(handoff).gate("review").checklist)
    for more, fields in (
        ({"reason": long}, {"reason": "has more than 5000 characters"}),
        ({"control": long}, {"control": "has more than 5000 characters"}),
        ({"control": " "}, {"control": "is empty"}),
        ({"until": in_days(-1)}, {"until": limits}),
        ({"until": in_days(91)}, {"until": limits}),
        ({"kind": "signoff"}, {"kind": "must be item or test"}),
        ({"requirement": "validation"}, {"requirement": f"must be one of {keys}"}),
        ({"kind": "test"}, {"requirement": f"must be one of {', '.join(rules_of(handoff).tests)}"}),
    ):
        with pytest.raises(Invalid) as refusal:
            asked(site, handoff, **more)
        assert refusal.value.fields == fields
    assert not Waiver.objects.exists()
    assert asked(site, handoff, until=in_days(0), reason=short, control=short).until == in_days(0)
    assert asked(site, handoff, "golden", "test", until=in_days(90)).until == in_days(90)


def refused(act: Any, **told: Any) -> tuple[int, str]:
    with pytest.raises(Refused) as refusal:
        act(**told)
    return refusal.value.status, refusal.value.code


def test_a_waiver_is_answered_for_under_its_own_handoff_by_people_and_while_it_waits(site: Place) -> None:
    handoff, other = walking.offered(site), walking.offered(site, building.a_version(site, 2))
    waiver, theirs = asked(site, handoff), asked(site, other)
    robot = Account.objects.create(username="robot", kind="service", responsible=site.edda)
    acts = ((waivers.answer, {"answer": "approved"}), (waivers.withdraw, {}), (waivers.revoke, {"reason": "No."}))
    events = AuditEvent.objects.count()
    for act, more in acts:
        told = {"actor": by(site.rita), "handoff_id": handoff.pk, **more}
        assert refused(act, waiver_id=theirs.pk, **told) == (404, "not_found")
        assert refused(act, waiver_id=uuid4(), **told) == (404, "not_found")
        assert refused(act, waiver_id=waiver.pk, **(told | {"actor": by(robot)})) == (403, "person_required")
    of = {"handoff_id": handoff.pk, "waiver_id": waiver.pk}
    assert refused(waivers.revoke, actor=by(site.rita), reason="No.", **of) == (409, "waiver_over")
    assert refused(waivers.withdraw, actor=by(site.dana), **of) == (403, "not_the_asker")
    assert AuditEvent.objects.count() == events
    waivers.withdraw(actor=by(site.edda), **of)
    assert refused(waivers.withdraw, actor=by(site.edda), **of) == (409, "waiver_over")
    assert refused(waivers.answer, actor=by(site.rita), answer="approved", **of) == (409, "waiver_over")
    theirs.refresh_from_db()
    assert theirs.answer == ""


def test_nobody_answers_what_a_service_account_of_theirs_asked_for(site: Place) -> None:
    robot = Account.objects.create(username="robot", kind="service", responsible=site.rita)
    building._grant(building.RegisteredModelUserGrant, robot, "data_scientist", site.model)
    handoff = walking.answered(site, but=("runbook",))
    told = {"kind": "item", "requirement": "runbook", "until": in_days(30)} | REASON
    waiver = waivers.ask(actor=ServiceAccount(robot, "api"), handoff_id=handoff.pk, **told)
    of = {"handoff_id": handoff.pk, "waiver_id": waiver.pk}
    assert refused(waivers.answer, actor=by(site.rita), answer="approved", **of) == (403, "duty_conflict")
    rolf = building.person("rolf")
    building._grant(building.RegisteredModelUserGrant, rolf, "risk_compliance", site.model)
    waivers.answer(actor=by(rolf), answer="approved", **of)
    live(handoff)
    waivers.revoke(actor=by(rolf), reason="It went wrong.", **of)
    assert Finding.objects.get().owner == site.rita, "who is responsible for the account sees to it"


@pytest.mark.parametrize(
    ("state", "kind", "requirement", "code"),
    [
        ("testing", "item", "runbook", "waiver_too_late"),
        ("ready", "test", "golden", "waiver_too_late"),
        ("ready", "item", "runbook", "invalid"),  # an item of the gate before
        ("testing", "test", "golden", ""),
    ],
)
def test_only_what_is_still_to_be_decided_is_waived(
    state: str, kind: str, requirement: str, code: str, site: Place
) -> None:
    handoff = walking.under_test(site)
    handoff = building.tested(handoff) if state == "ready" else handoff
    assert handoff.state == state
    if code:
        told = {"kind": kind, "requirement": requirement, "until": in_days(30)} | REASON
        assert refused(waivers.ask, actor=by(site.edda), handoff_id=handoff.pk, **told)[1] == code
    else:
        assert asked(site, handoff, requirement, kind).kind == kind


def test_what_was_asked_for_in_time_is_not_approved_too_late_but_may_be_refused(site: Place) -> None:
    handoff = walking.answered(site)
    for waiver in (asked(site, handoff), asked(site, handoff, "golden", "test", until=in_days(0))):
        moved_on(waiver, 1 if waiver.kind == "test" else 0)
        if waiver.kind == "item":
            walking.sign(handoff, site.vera, "validation")
            walking.sign(handoff, site.otto, "acceptance")
        of = {"actor": by(site.rita), "handoff_id": handoff.pk, "waiver_id": waiver.pk}
        expected = "waiver_over" if waiver.kind == "test" else "waiver_too_late"
        assert refused(waivers.answer, answer="approved", **of) == (409, expected)
        assert waivers.answer(answer="refused", comment="Too late.", **of).answer == "refused"


def test_a_look_at_one_handoff_finds_what_ended_there_and_nothing_elsewhere(site: Place) -> None:
    found = []
    for number in (1, 2):
        handoff = walking.answered(site, walking.offered(site, building.a_version(site, number)), but=("runbook",))
        moved_on(approved(site, handoff), 31)
        asked(site, handoff)
        found.append(handoff)
    approved(site, found[0], "golden", "test")
    for handoff in found:
        live(handoff)
        handoff.refresh_from_db()
    refused_only = live(walking.offered(site, building.a_version(site, 3)))
    assert [one.pk for one in waivers.watched()] == sorted(one.pk for one in found)
    waivers.look(actor=Worker("waivers"), handoff_id=found[0].pk)
    waivers.look(actor=Worker("waivers"), handoff_id=refused_only.pk)
    finding = Finding.objects.get()
    assert (finding.handoff, finding.subject) == (found[0], "waiver:item:runbook")
    assert str(finding) == (
        "The waiver of 'Does a runbook say what to do when the endpoint fails or its answers look wrong?' has ended, "
        "and the requirement is not met: Analytic engineer has not answered."
    )
