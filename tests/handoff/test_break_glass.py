"""Break-glass: two people step over missing signatures, and it ends with all of them or on the way back."""

from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import orjson
import pgtrigger
import pytest
from django.db import DatabaseError, connection, transaction
from django.utils import timezone
from rest_framework.test import APIClient

from audit.actors import Person, Worker
from audit.models import Account, AuditEvent, TreeHead
from audit.sealing import seal_all
from handoff import queue, tasks
from handoff.errors import Conflict, Forbidden, GateShut, NotConfirmed, Refused, StaleView, WrongState
from handoff.models import BreakGlass, Deployment, Finding, Handoff, OwnerOfRecord, PolicyRevision, Reauthentication
from handoff.plans import DeployReport, RestorePlan
from handoff.queries.break_glass import sheet_for
from handoff.queries.invariants import check
from handoff.queries.packs import contents, events_of
from handoff.queries.signatures import verify
from handoff.rules.break_glass import read_break_glass, united
from handoff.rules.policies import digest_of
from handoff.rules.reading import Reader
from handoff.services import break_glass, deployments, findings, jobs, persons, rollbacks
from handoff.states import State
from models_registry.models import Delegation, EnvironmentUserGrant
from tests.handoff import building, walking
from tests.handoff.building import Place
from tests.handoff.test_signoffs_signatures import as_owner

pytestmark = pytest.mark.django_db
GLASS = {"roles": ["it_operations", "risk_compliance"], "lasts_hours": 24, "confirm_minutes": 60}
WHY = {"reason": "The live version scores everybody as ill.", "incident": "INC-7"}
DONE = DeployReport(True, "it is live", ({"step": "activate", "ok": True},))


@pytest.fixture
def place(db: None, store: Path) -> Place:
    """Return a model, its environments and its people."""
    return building.a_place()


def a_policy(glass: Any = GLASS, *, confirm: bool = False, **more: Any) -> PolicyRevision:
    before = building.a_policy(("integrity",), confirm=confirm)
    content = before.content | ({"break_glass": glass} if glass else {}) | more
    number = before.policy.revisions.count() + 1
    return PolicyRevision.objects.create(
        policy=before.policy, number=number, source="{}", content=content, digest=digest_of(content)
    )


def ready(place: Place, number: int = 1, **policy: Any) -> Handoff:
    """Return a handoff whose tests have passed, and whose release nobody has signed."""
    handoff = building.offered(
        place, building.a_version(place, number, latency_p99_ms=100 + number), a_policy(**policy)
    )
    return building.tested(building.open_review(place, handoff))


def live(place: Place, number: int = 1) -> Handoff:
    """Return a handoff that went the ordinary way, with an order that was carried out."""
    return carried_out(building.open_release(place, ready(place, number)))


def asked(handoff: Handoff, who: Account) -> BreakGlass:
    return break_glass.ask(actor=Person(who, "test"), handoff_id=handoff.pk, **WHY)


def with_passwords(place: Place) -> Place:
    """Let the people of a place sign in; its target has no hardware that would differ from the report."""
    walking.a_site(place)
    place.target.hardware = ""
    place.target.save(update_fields=["hardware"])
    return place


def proof_of(who: Account) -> str:
    ends = timezone.now() + timedelta(minutes=5)
    return str(Reauthentication.objects.create(person=who, method="password", expires_at=ends).pk)


def confirmed(glass: BreakGlass, who: Account, **more: Any) -> BreakGlass:
    told = {"seen": sheet_for(who, glass.handoff_id, glass.pk).seen, "reauthentication": proof_of(who)} | more
    return break_glass.confirm(actor=Person(who, "test"), handoff_id=glass.handoff_id, break_glass_id=glass.pk, **told)


def broken(place: Place, handoff: Handoff) -> BreakGlass:
    """Return a break-glass that iris asked for and rita confirmed."""
    return confirmed(asked(handoff, place.iris), place.rita)


def carried_out(handoff: Handoff) -> Handoff:
    """Let the order of a handoff be carried out without an engine."""
    job = jobs.claim(handoff.jobs.filter(task=queue.DEPLOY).latest("queued_at").pk, "worker", task=queue.DEPLOY)
    assert job is not None
    assert deployments.begin(job.pk, job.fence) is not None
    deployments.finish(job.pk, job.fence, DONE, actor=Worker("worker"))
    handoff.refresh_from_db()
    return handoff


def taken_back(handoff: Handoff, report: DeployReport = DONE) -> Any:
    """Let the newest way back be carried out without an engine; return the plan that the worker got."""
    job = jobs.claim(handoff.jobs.filter(task=queue.ROLL_BACK).latest("queued_at").pk, "worker", task=queue.ROLL_BACK)
    assert job is not None
    plan = rollbacks.begin(job.pk, job.fence)
    assert plan is not None
    rollbacks.finish(job.pk, job.fence, report, actor=Worker("worker"))
    handoff.refresh_from_db()
    return plan


def let_its_time_pass(glass: BreakGlass) -> None:
    """Stand in for the clock, which no test can turn: all times of a break-glass move back by two days."""
    back = "asked_at = asked_at - i, confirm_by = confirm_by - i, confirmed_at = confirmed_at - i, until = until - i"
    fixed = pgtrigger.ignore("handoff.BreakGlass:asked_once", "handoff.BreakGlass:confirmed_once")
    sql = f"UPDATE handoff_breakglass SET {back} FROM (SELECT interval '2 days' AS i) t WHERE id = %s"
    with fixed, connection.cursor() as cursor:
        cursor.execute(sql, [glass.pk])
    glass.refresh_from_db()


@pytest.fixture(autouse=True)
def engines(settings: Any) -> None:
    """Name an address for the engine; no test here calls it."""
    settings.ENGINE_URLS = {"production": "http://engine.example"}


def test_two_people_deploy_what_nobody_has_signed_and_a_finding_says_until_when(place: Place) -> None:
    handoff = ready(place)
    glass = asked(handoff, place.iris)
    handoff.refresh_from_db()
    assert (handoff.state, glass.state, handoff.jobs.filter(task=queue.DEPLOY).count()) == (State.READY, "asked", 0)
    confirmed(glass, place.rita)
    handoff.refresh_from_db()
    glass.refresh_from_db()
    assert (handoff.state, glass.state, glass.role) == (State.DEPLOYING, "confirmed", "risk_compliance")
    assert glass.confirmed_at is not None
    assert glass.until == glass.confirmed_at + timedelta(hours=24)
    assert [one["key"] for one in glass.missing] == ["release"]
    finding = Finding.objects.get(handoff=handoff)
    assert (finding.kind, finding.severity, finding.owner, finding.due_at, finding.suspends) == (
        "glass", "high", place.iris, glass.until, False,
    )  # fmt: skip
    assert "IT operations signs: approval" in str(finding)
    opened = handoff.decisions.get(gate="release")
    assert opened.facts["emergency"]["id"] == str(glass.pk)
    told = [one["waived"] for one in opened.result["requirements"] if one["kind"] == "signoff"]
    assert "stepped over by break-glass" in told[0]
    assert carried_out(handoff).state == State.LIVE
    actions = AuditEvent.objects.filter(chain=f"handoff:{handoff.pk}").values_list("action", flat=True)
    assert {"break_glass.asked", "break_glass.confirmed", "finding.raised"} <= set(actions)


def test_its_finding_is_closed_by_signatures_alone(place: Place) -> None:
    handoff = ready(place)
    broken(place, handoff)
    finding = Finding.objects.get()
    with pytest.raises(WrongState) as refused:
        findings.close(
            actor=Person(place.iris, "test"), handoff_id=handoff.pk, finding_id=finding.pk,
            evidence={"kind": "link", "link": "https://x.example/1"},
        )  # fmt: skip
    assert refused.value.code == "approval_missing"
    with pytest.raises(DatabaseError), transaction.atomic():
        Finding.objects.filter(pk=finding.pk).update(
            closed_at=timezone.now(), closing="fixed", closed_by=place.iris, proof_kind="link", proof_link="https://x"
        )


def test_the_last_missing_signature_ends_it_well(place: Place) -> None:
    handoff = ready(place, confirm=True)
    glass = broken(place, handoff)
    assert carried_out(handoff).state == State.LIVE  # the confirm gate was stepped over, too
    waits = [(one.task.kind, one.task.key, one.due) for one in walking.inbox(place.otto) if one.task.handoff == handoff]
    assert waits == [("sign", "release", glass.until)]
    building.sign(handoff, "release", place.otto)
    glass.refresh_from_db()
    assert glass.state == "confirmed"  # iris has not signed
    building.sign(handoff, "confirm", place.iris)
    glass.refresh_from_db()
    assert (glass.state, glass.because) == ("regularised", "all have signed")
    assert Finding.objects.get(handoff=handoff).closing == "resolved"
    tasks.watch_break_glass()
    handoff.refresh_from_db()
    assert (handoff.state, handoff.jobs.filter(task=queue.ROLL_BACK).count()) == (State.LIVE, 0)


def test_signatures_before_the_deployment_has_ended_count_too(place: Place) -> None:
    handoff = ready(place)
    glass = broken(place, handoff)
    handoff.refresh_from_db()
    building.sign(handoff, "release", place.otto)
    carried_out(handoff)
    tasks.watch_break_glass()
    glass.refresh_from_db()
    assert glass.state == "regularised"


def test_at_the_deadline_the_version_before_comes_back_and_the_mark_stays(place: Place) -> None:
    first, second = live(place), ready(place, 2)
    glass = broken(place, second)
    carried_out(second)
    tasks.watch_break_glass()
    glass.refresh_from_db()
    assert glass.state == "confirmed"  # there is time yet
    let_its_time_pass(glass)
    tasks.watch_break_glass()
    tasks.watch_break_glass()  # the second finds work under way
    glass.refresh_from_db()
    assert glass.state == "overdue"
    assert second.jobs.filter(task=queue.ROLL_BACK).count() == 1
    taken_back(second)
    first.refresh_from_db()
    glass.refresh_from_db()
    assert (first.state, second.state, glass.state) == (State.LIVE, State.ROLLED_BACK, "rolled_back")
    order = Deployment.objects.get(rollback_of__handoff=second)
    assert "INC-7 is over, and not all had signed: IT operations signs" in order.reason
    tasks.watch_break_glass()
    assert second.jobs.filter(task=queue.ROLL_BACK).count() == 1


def test_where_nothing_was_live_before_it_is_taken_out_and_nobody_answers_for_it(place: Place) -> None:
    handoff = ready(place)
    glass = broken(place, handoff)
    carried_out(handoff)
    let_its_time_pass(glass)
    tasks.watch_break_glass()
    taken_back(handoff, DeployReport(False, "out of reach", (), "unreachable"))
    glass.refresh_from_db()
    assert (handoff.state, glass.state) == (State.LIVE, "overdue")
    tasks.watch_break_glass()  # tries again
    plan = taken_back(handoff)
    assert isinstance(plan, RestorePlan)
    assert plan.wanted is None
    glass.refresh_from_db()
    assert (handoff.state, glass.state) == (State.ROLLED_BACK, "rolled_back")
    assert Deployment.objects.get(handoff=handoff).state == "rolled_back"
    assert not OwnerOfRecord.objects.filter(period__upper_inf=True).exists()


def test_a_signature_after_the_deadline_comes_too_late(place: Place) -> None:
    """Race: expiry against the last signature. The deadline decides, not who is quicker."""
    handoff = ready(place)
    glass = broken(place, handoff)
    carried_out(handoff)
    let_its_time_pass(glass)
    building.sign(handoff, "release", place.otto)
    glass.refresh_from_db()
    assert glass.state == "confirmed"
    tasks.watch_break_glass()
    glass.refresh_from_db()
    assert glass.state == "overdue"


def test_in_review_the_tests_still_run_and_then_it_deploys(place: Place) -> None:
    handoff = building.offered(place, building.a_version(place), a_policy())
    glass = broken(place, handoff)
    handoff.refresh_from_db()
    assert (handoff.state, glass.gate) == (State.TESTING, "review")
    building.tested(handoff)
    assert handoff.state == State.DEPLOYING
    carried_out(handoff)
    for gate, who in (("review", place.vera), ("release", place.otto)):
        building.sign(handoff, gate, who)
    glass.refresh_from_db()
    assert glass.state == "regularised"


def test_a_failed_test_is_never_stepped_over(place: Place) -> None:
    handoff = building.offered(place, building.a_version(place), a_policy())
    glass = broken(place, handoff)
    handoff.jobs.filter(task=queue.RUN_TEST).update(state="cancelled", ended_at=timezone.now())
    Handoff.objects.filter(pk=handoff.pk, state=State.TESTING).update(state=State.READY)
    handoff.refresh_from_db()
    with pytest.raises(GateShut, match="Promotion test: integrity"):
        deployments.retry(actor=Person(place.otto, "test"), handoff_id=handoff.pk)
    assert not handoff.jobs.filter(task=queue.DEPLOY).exists()
    let_its_time_pass(glass)
    tasks.watch_break_glass()
    glass.refresh_from_db()
    assert glass.state == "ended"
    assert "it had deployed nothing" in glass.because


def test_a_finding_that_blocks_is_not_stepped_over(place: Place) -> None:
    handoff = ready(place)
    findings.raise_finding(
        actor=Person(place.rita, "test"), handoff_id=handoff.pk, title="A hole", severity="high", owner="otto",
        blocks=True,
    )  # fmt: skip
    with pytest.raises(GateShut, match="A hole") as refused:
        asked(handoff, place.iris)
    assert refused.value.code == "more_than_signatures"
    assert not BreakGlass.objects.exists()


def test_whoever_asks_for_changes_is_not_stepped_over(place: Place) -> None:
    handoff = ready(place)
    building.sign(handoff, "release", place.otto, decision="changes", comment="Not yet.")
    with pytest.raises(GateShut, match="asks for changes"):
        asked(handoff, place.iris)


def test_a_change_between_asking_and_confirming_is_seen(place: Place) -> None:
    handoff = ready(place)
    glass = asked(handoff, place.iris)
    with pytest.raises(StaleView):
        confirmed(glass, place.rita, seen="0" * 64)
    proof = proof_of(place.rita)
    confirmed(glass, place.rita, reauthentication=proof)
    with pytest.raises(WrongState) as refused:
        confirmed(glass, place.otto)  # two confirmations: the second finds it confirmed
    assert refused.value.code == "break_glass_over"
    assert handoff.jobs.filter(task=queue.DEPLOY).count() == 1


def test_a_normal_last_signature_leaves_nothing_to_break(place: Place) -> None:
    """Race: break-glass against normal."""
    handoff = ready(place)
    glass = asked(handoff, place.iris)
    building.sign(handoff, "release", place.otto)
    with pytest.raises(WrongState, match="deploying"):
        confirmed(glass, place.rita)
    glass.refresh_from_db()
    assert (glass.state, handoff.jobs.filter(task=queue.DEPLOY).count()) == ("asked", 1)
    let_its_time_pass(glass)
    tasks.watch_break_glass()
    glass.refresh_from_db()
    assert glass.state == "lapsed"


def test_nobody_confirms_after_the_time_to_confirm(place: Place) -> None:
    glass = asked(ready(place), place.iris)
    let_its_time_pass(glass)
    with pytest.raises(WrongState) as refused:
        confirmed(glass, place.rita)
    assert refused.value.code == "break_glass_lapsed"


@pytest.mark.parametrize(
    ("asker", "confirmer", "kind", "code"),
    [
        ("rita", "rita", Conflict, "own_break_glass"),
        ("iris", "iris", Refused, "role_not_held"),
        ("iris", "dana", Refused, "role_not_held"),
        ("iris", "mallory", Refused, "not_found"),
    ],
)
def test_it_takes_two_people_and_the_role(place: Place, asker: str, confirmer: str, kind: Any, code: str) -> None:
    glass = asked(ready(place), place.people[asker])
    who = place.people[confirmer]
    Account.objects.filter(pk=who.pk).update(is_superuser=True, is_staff=True)  # rank makes no exception
    who.refresh_from_db()
    with pytest.raises(kind) as refused:
        break_glass.confirm(
            actor=Person(who, "test"), handoff_id=glass.handoff_id, break_glass_id=glass.pk, seen="0" * 64,
            reauthentication=proof_of(who),
        )  # fmt: skip
    assert refused.value.code == code
    glass.refresh_from_db()
    assert (glass.state, Finding.objects.count()) == ("asked", 0)


def test_merged_accounts_and_delegates_are_one_person(place: Place) -> None:
    other = building.person("iris-too")
    building._grant(EnvironmentUserGrant, other, "it_operations", place.target)
    glass = asked(ready(place), place.iris)
    Account.objects.filter(pk=other.pk).update(same_person=place.iris)
    with pytest.raises(Conflict) as refused:
        confirmed(glass, other)
    assert refused.value.code == "own_break_glass"
    break_glass.withdraw(actor=Person(place.iris, "test"), handoff_id=glass.handoff_id, break_glass_id=glass.pk)
    again = asked(Handoff.objects.get(), place.otto)
    told = {"role": "it_operations", "environment": place.target, "delegator": place.otto, "delegate": place.vera}
    Delegation.objects.create(**told, ends_at=timezone.now() + timedelta(days=1), reason="On leave.")
    with pytest.raises(Conflict):
        confirmed(again, place.vera)


def test_who_built_the_version_does_not_confirm(place: Place) -> None:
    building._grant(EnvironmentUserGrant, place.dana, "it_operations", place.target)
    glass = asked(ready(place), place.iris)
    with pytest.raises(Conflict, match="created this version"):
        confirmed(glass, place.dana)


def test_who_confirmed_in_one_role_signs_in_no_other(place: Place) -> None:
    building._grant(EnvironmentUserGrant, place.rita, "it_operations", place.target)
    handoff = ready(place, glass=GLASS | {"roles": ["risk_compliance"]})
    broken(place, handoff)
    carried_out(handoff)
    with pytest.raises(Conflict, match="one person counts for one role"):
        building.sign(handoff, "release", place.rita)


def test_a_policy_without_break_glass_refuses_it(place: Place) -> None:
    handoff = ready(place, glass=None)
    with pytest.raises(WrongState) as refused:
        asked(handoff, place.iris)
    assert refused.value.code == "break_glass_not_allowed"


def test_it_needs_a_reason_an_incident_and_a_fresh_password(place: Place) -> None:
    handoff = ready(place)
    with pytest.raises(Refused) as refused:
        break_glass.ask(actor=Person(place.iris, "test"), handoff_id=handoff.pk, reason=" ", incident="")
    assert set(refused.value.fields) == {"reason", "incident"}
    glass = asked(handoff, place.iris)
    used = proof_of(place.rita)
    Reauthentication.objects.filter(pk=used).update(used_at=timezone.now())
    for proof in (used, proof_of(place.otto)):
        with pytest.raises(NotConfirmed):
            confirmed(glass, place.rita, reauthentication=proof)
    glass.refresh_from_db()
    assert glass.state == "asked"
    with pytest.raises(Forbidden):
        break_glass.withdraw(actor=Person(place.rita, "test"), handoff_id=handoff.pk, break_glass_id=glass.pk)


def test_while_the_window_is_shut_it_waits_unless_the_policy_steps_over_that(place: Place) -> None:
    day = (timezone.now() + timedelta(days=2)).strftime("%a").lower()
    shut = [{"zone": "UTC", "open": [{"days": [day], "from": "00:00", "to": "24:00"}]}]
    waits = ready(place, windows=shut)
    broken(place, waits)
    waits.refresh_from_db()
    assert waits.state == State.READY
    Handoff.objects.filter(pk=waits.pk).update(state=State.WITHDRAWN)
    tasks.watch_break_glass()
    assert BreakGlass.objects.get(handoff=waits).state == "ended"
    goes = ready(place, 2, windows=shut, glass=GLASS | {"any_time": True})
    broken(place, goes)
    goes.refresh_from_db()
    assert goes.state == State.DEPLOYING
    assert carried_out(goes).state == State.LIVE


def test_a_worker_that_comes_after_the_deadline_finds_the_gate_shut(place: Place) -> None:
    handoff = ready(place)
    glass = broken(place, handoff)
    let_its_time_pass(glass)
    job = jobs.claim(handoff.jobs.get(task=queue.DEPLOY).pk, "worker", task=queue.DEPLOY)
    assert job is not None
    assert deployments.begin(job.pk, job.fence) is None
    handoff.refresh_from_db()
    assert (handoff.state, Deployment.objects.count()) == (State.READY, 0)


def test_what_break_glass_brought_and_nobody_signed_never_comes_back(place: Place) -> None:
    first = ready(place)
    broken(place, first)
    carried_out(first)
    second = live(place, 2)
    tasks.watch_break_glass()
    assert BreakGlass.objects.get(handoff=first).state == "ended"
    with pytest.raises(WrongState) as refused:
        deployments.roll_back(
            actor=Person(place.otto, "test"), deployment_id=second.deployments.get().pk, reason="Worse."
        )
    assert refused.value.code == "nothing_to_roll_back_to"


def refused(act: Any, **told: Any) -> tuple[str, str, str]:
    """Return the code, the words and what to do of a refusal."""
    with pytest.raises(Refused) as refusal:
        act(**told)
    return refusal.value.code, refusal.value.message, refusal.value.todo


def test_who_asks_is_a_person_and_says_why_in_so_many_words(place: Place) -> None:
    handoff = ready(place)
    robot = Account.objects.create(username="robot", kind="service", responsible=place.iris)
    words = "Only a natural person may ask for break-glass."
    for actor in (Person(robot, "test"), Worker("robot")):
        assert refused(break_glass.ask, actor=actor, handoff_id=handoff.pk, **WHY)[:2] == ("person_required", words)
    told = {"actor": Person(place.iris, "test"), "handoff_id": handoff.pk}
    for field, most in (("reason", 5000), ("incident", 200)):
        for text, why in ((" ", "is empty"), ("x" * (most + 1), f"has more than {most} characters")):
            with pytest.raises(Refused) as refusal:
                break_glass.ask(**told, **(WHY | {field: text}))
            assert (refusal.value.code, refusal.value.fields) == ("invalid", {field: why})
    assert not BreakGlass.objects.exists()
    row = break_glass.ask(**told, reason=f" {'x' * 5000} ", incident=f" {'y' * 200} ")
    assert (row.reason, row.incident, row.gate, row.asked_by) == ("x" * 5000, "y" * 200, "release", place.iris)
    assert timedelta(minutes=59) < row.confirm_by - timezone.now() <= timedelta(minutes=60)
    event = AuditEvent.objects.get(action="break_glass.asked")
    about = {"break_glass": str(row.pk), "incident": row.incident}
    assert event.told["data"] == about | {"gate": "release", "confirm_by": row.confirm_by.isoformat()}
    assert event.told["reason"] == row.reason
    again = refused(break_glass.ask, **told, **WHY)
    assert again == ("break_glass_open", "A break-glass is asked for already, or in force.",
                     "Have it confirmed, or see how it ends.")  # fmt: skip


@pytest.mark.parametrize(
    ("state", "code", "todo"),
    [
        ("draft", "break_glass_not_allowed", "Have the missing signatures given."),
        ("testing", "wrong_state", "Wait until the tests have ended, then ask."),
        ("deploying", "wrong_state", "See where it stands."),
        ("live", "wrong_state", "See where it stands."),
        ("late", "offer_expired", "Draft a new handoff of the same version."),
        ("open", "nothing_missing", "IT operations can deploy it without break-glass."),
    ],
)
def test_where_nothing_but_signatures_could_be_missing_it_is_asked_for(
    state: str, code: str, todo: str, place: Place
) -> None:
    if state == "draft":
        handoff = walking.drafted(walking.a_site(place))
    elif state == "testing":
        handoff = building.open_review(place, building.offered(place, building.a_version(place), a_policy()))
    else:
        handoff = ready(place)
    if state in ("deploying", "live", "open"):
        building.open_release(place, handoff)
    if state == "live":
        carried_out(handoff)
    if state == "open":  # the engine did not take it, and nobody has deployed it anew
        Handoff.objects.filter(pk=handoff.pk).update(state=State.READY)
    if state == "late":
        Handoff.objects.filter(pk=handoff.pk).update(expires_at=timezone.now())
    found = refused(break_glass.ask, actor=Person(place.otto, "test"), handoff_id=handoff.pk, **WHY)
    assert (found[0], todo in found[2]) == (code, True), found
    assert not BreakGlass.objects.exists()


def test_a_break_glass_is_found_under_its_own_handoff_alone(place: Place) -> None:
    first, second = ready(place), ready(place, 2)
    glass, theirs = asked(first, place.iris), asked(second, place.iris)
    there_is_none = ("not_found", "There is no such break-glass.", "")
    for key in (theirs.pk, uuid4()):
        of = {"handoff_id": first.pk, "break_glass_id": key}
        told = {"seen": "0" * 64, "reauthentication": proof_of(place.rita)}
        assert refused(break_glass.withdraw, actor=Person(place.iris, "test"), **of) == there_is_none
        assert refused(break_glass.confirm, actor=Person(place.rita, "test"), **of, **told) == there_is_none
    let_its_time_pass(theirs)
    looked = break_glass.look(actor=Worker("robot"), break_glass_id=theirs.pk)
    assert (looked.pk, looked.state) == (theirs.pk, "lapsed")
    done = break_glass.withdraw(actor=Person(place.iris, "test"), handoff_id=first.pk, break_glass_id=glass.pk)
    assert (done.pk, done.state) == (glass.pk, "withdrawn")
    assert break_glass.watched() == []
    assert AuditEvent.objects.get(action="break_glass.withdrawn").told["reason"] == "withdrawn by who asked"
    assert AuditEvent.objects.get(action="break_glass.lapsed").told["reason"] == "nobody confirmed it in time"


def test_the_clock_watches_what_is_late_or_waits_for_signatures_and_nothing_else(place: Place) -> None:
    late, early, confirmed_ = (asked(ready(place, number), place.iris) for number in (1, 2, 3))
    confirmed(confirmed_, place.rita)
    let_its_time_pass(late)
    assert break_glass.watched() == [late.pk, confirmed_.pk]
    assert break_glass.look(actor=Worker("robot"), break_glass_id=early.pk).state == "asked"


def test_a_confirmation_is_returned_and_told_as_it_was_signed(place: Place) -> None:
    handoff = ready(place)
    done = broken(place, handoff)
    assert (done.state, done.printed_name, done.confirmed_by, done.behalf_of) == ("confirmed", "Rita", place.rita, None)
    event = AuditEvent.objects.get(action="break_glass.confirmed")
    assert (event.actor, event.told["reason"]) == (place.rita, WHY["reason"])
    data = event.told["data"]
    assert done.until is not None
    assert {key: data[key] for key in ("role", "asked_by", "until", "missing", "statement", "key", "incident")} == {
        "role": "risk_compliance",
        "asked_by": "Iris",
        "until": done.until.isoformat(),
        "missing": [{"gate": "release", "kind": "signoff", "key": "release", "title": "IT operations signs: approval"}],
        "statement": done.statement_digest,
        "key": done.key_id,
        "incident": "INC-7",
    }
    stored = BreakGlass.objects.get()
    assert (stored.missing, stored.key_id, stored.behalf_of, stored.statement) == (
        data["missing"], done.key_id, None, done.statement,
    )  # fmt: skip


def test_who_may_not_confirm_learns_who_may(place: Place) -> None:
    glass = asked(ready(place), place.iris)
    told = {"handoff_id": glass.handoff_id, "break_glass_id": glass.pk, "seen": "0" * 64, "reauthentication": ""}
    assert refused(break_glass.confirm, actor=Person(place.vera, "test"), **told) == (
        "role_not_held",
        "Only IT operations or Risk compliance may confirm a break-glass here.",
        "Those who hold the role: Otto, Rita.",
    )
    robot = Account.objects.create(username="robot", kind="service", responsible=place.rita)
    assert refused(break_glass.confirm, actor=Person(robot, "test"), **told)[:2] == (
        "person_required", "Only a natural person may confirm a break-glass.",
    )  # fmt: skip
    for who in (place.otto, place.rita):
        Account.objects.filter(pk=who.pk).update(is_active=False)
    found = refused(break_glass.confirm, actor=Person(place.vera, "test"), **told)
    assert found[2] == "Those who hold the role: nobody yet."
    building._grant(EnvironmentUserGrant, place.iris, "it_operations", place.target)
    own = refused(break_glass.confirm, actor=Person(place.iris, "test"), **told)
    assert (own[0], own[2]) == ("own_break_glass", "Somebody else who holds the role confirms it.")
    building._grant(EnvironmentUserGrant, place.dana, "it_operations", place.target)
    barred = refused(break_glass.confirm, actor=Person(place.dana, "test"), **told)
    assert barred == (
        "duty_conflict",
        "You may not confirm here: you created this version, and nominated this version, and supplied elements of this "
        "version, and offered this handoff.",
        "Somebody else who holds the role must. Rank makes no exception.",
    )


def test_what_stands_in_the_way_is_named_with_who_clears_it(place: Place) -> None:
    handoff = ready(place)
    told = {"title": "A hole", "severity": "high", "owner": "otto", "blocks": True}
    finding = findings.raise_finding(actor=Person(place.rita, "test"), handoff_id=handoff.pk, **told)
    with pytest.raises(GateShut) as refusal:
        asked(handoff, place.iris)
    assert refusal.value.message.startswith(
        "More than signatures is missing, and break-glass steps over nothing else: A"
    )
    assert refusal.value.todo == "Those named can clear it: Otto."
    assert list(refusal.value.fields) == [str(finding.pk)]
    second = ready(place, 2)
    building.sign(second, "release", place.otto, decision="changes", comment="Not yet.")
    with pytest.raises(GateShut) as refusal:
        asked(second, place.iris)
    assert refusal.value.todo in ("Have it answered first.", "Those named can clear it: Otto.")


def test_the_way_back_is_ordered_again_with_the_same_words(place: Place) -> None:
    """The engine is out of reach at first, for one person who was behind both halves."""
    live(place)
    handoff = ready(place, 2)
    glass = broken(place, handoff)
    carried_out(handoff)
    merged(place, "iris", "rita")
    taken_back(handoff, DeployReport(False, "out of reach", (), "unreachable"))
    looked = break_glass.look(actor=Worker("robot"), break_glass_id=glass.pk)
    assert (looked.state, handoff.jobs.filter(task=queue.ROLL_BACK).count()) == ("overdue", 2)
    taken_back(handoff)
    order = Deployment.objects.filter(rollback_of__handoff=handoff).latest("order")
    assert order.reason == "both halves of the break-glass for INC-7 were one person's"


FORGED = {
    "break_glass_two_people": "confirmed_by_id = asked_by_id",
    "break_glass_unbarred": "confirmed_by_id = (SELECT id FROM audit_account WHERE username = 'dana')",
    "break_glass_confirmed_whole": "state = 'confirmed'",
    "legal_moves": "state = 'regularised'",
    "asked_once": "reason = 'Another one.'",
    "break_glass_ends_soon": "confirmed_at = now(), until = now() + interval '30 days'",
    "break_glass_ended_whole": "ended_at = now()",
}  # fmt: skip


@pytest.mark.parametrize("name", FORGED)
def test_the_database_refuses_what_no_service_does(place: Place, name: str) -> None:
    glass = asked(ready(place), place.iris)
    with pytest.raises(DatabaseError), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(f"UPDATE handoff_breakglass SET {FORGED[name]} WHERE id = %s", [glass.pk])
    with pytest.raises(DatabaseError), transaction.atomic():
        glass.delete()
    with pytest.raises(DatabaseError), transaction.atomic():
        BreakGlass.objects.create(
            handoff=glass.handoff, gate="release", asked_by=place.vera, confirm_by=timezone.now(), **WHY
        )
    glass.refresh_from_db()
    assert (glass.state, glass.reason) == ("asked", WHY["reason"])


def seen_by(place: Place, handoff: Handoff) -> str:
    """Return what IT operations read on the page of a handoff, in one line."""
    page = walking.client_of(place.otto).get(f"/handoffs/{handoff.pk}/").content.decode()
    return " ".join(page.split())


def merged(place: Place, account: str, same_as: str) -> None:
    """Record that two accounts are one person's."""
    ada = building.person("ada")
    ada.is_staff = True
    persons.merge(actor=Person(ada, "test"), account=account, same_as=same_as, reason="The same passport.")


@pytest.mark.parametrize("pair", [("iris", "rita"), ("rita", "iris"), ("dana", "rita")])
def test_what_one_person_behind_both_halves_deployed_is_taken_back_at_once(place: Place, pair: tuple[str, str]) -> None:
    handoff = ready(place)
    glass = broken(place, handoff)
    carried_out(handoff)
    assert [one.task.kind for one in walking.inbox(place.otto)] == ["sign"]
    merged(place, *pair)
    assert walking.inbox(place.otto) == [], "nothing that somebody signs keeps it"
    glass.refresh_from_db()
    assert (glass.state, glass.fallen) == ("overdue", True)
    assert "both halves were one person’s" in seen_by(place, handoff)
    assert "I16" not in {one.invariant for one in check().violations}
    assert taken_back(handoff) is not None
    glass.refresh_from_db()
    assert (handoff.state, glass.state) == (State.ROLLED_BACK, "rolled_back")
    assert "one person" in AuditEvent.objects.get(action="break_glass.overdue").told["reason"]


def test_what_one_person_behind_both_halves_wants_is_not_deployed(place: Place) -> None:
    handoff = ready(place)
    glass = broken(place, handoff)
    merged(place, "iris", "rita")
    job = jobs.claim(handoff.jobs.filter(task=queue.DEPLOY).latest("queued_at").pk, "worker", task=queue.DEPLOY)
    assert job is not None
    assert deployments.begin(job.pk, job.fence) is None
    tasks.watch_break_glass()
    handoff.refresh_from_db()
    glass.refresh_from_db()
    assert handoff.state != State.LIVE
    assert glass.state in ("overdue", "ended")
    assert not handoff.deployments.exclude(live_at=None).exists()
    assert "I16" not in {one.invariant for one in check().violations}


def test_two_people_s_break_glass_stays_whoever_else_is_merged(place: Place) -> None:
    handoff = ready(place)
    glass = broken(place, handoff)
    carried_out(handoff)
    merged(place, "vera", "iris")
    glass.refresh_from_db()
    assert (glass.state, glass.fallen) == ("confirmed", False)


def test_what_was_confirmed_stays(place: Place) -> None:
    glass = broken(place, ready(place))
    for change in ("until = until + interval '1 hour'", "printed_name = 'Otto'", "missing = '[{}]'", "role = 'x'"):
        with pytest.raises(DatabaseError), transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(f"UPDATE handoff_breakglass SET {change} WHERE id = %s", [glass.pk])
    with pytest.raises(DatabaseError), transaction.atomic():
        BreakGlass.objects.filter(pk=glass.pk).update(state="overdue", overdue_at=timezone.now())  # before its time


def test_its_signature_is_proven_and_whoever_changes_it_is_found(place: Place) -> None:
    broken(place, ready(place))
    assert verify().wrong == []
    for statement, rule in (
        ("UPDATE handoff_breakglass SET incident = 'INC-8'", "columns"),
        ("UPDATE handoff_breakglass SET until = until + interval '1 day'", "columns"),
        ("UPDATE handoff_breakglass SET signature = 'AAAA' || substr(signature, 5)", "signature"),
        ("DELETE FROM handoff_breakglass", "missing"),
    ):
        with transaction.atomic():
            as_owner(statement)
            assert rule in {one.rule for one in verify().wrong}, statement
            transaction.set_rollback(True)


def test_by_the_api(place: Place) -> None:
    handoff = ready(place)
    clients = {}
    for name in ("iris", "rita", "mallory", "otto"):
        clients[name] = APIClient()
        clients[name].force_authenticate(place.people[name])
    path = f"/api/v1/handoffs/{handoff.pk}/break-glass/"
    assert clients["mallory"].post(path, WHY, format="json").status_code == 404
    made = clients["iris"].post(path, WHY, format="json")
    assert made.status_code == 201
    one = f"{path}{made.json()['id']}/"
    sheet = clients["rita"].get(one).json()
    assert sheet["missing"] == ["IT operations signs: approval"]
    assert sheet["barred"] == []
    assert clients["iris"].get(one).json()["barred"]
    body = {"seen": sheet["seen"], "reauthentication": proof_of(place.rita)}
    assert clients["rita"].post(f"{one}confirm/", body, format="json").json()["state"] == "confirmed"
    assert clients["iris"].post(f"{one}withdraw/", {}, format="json").status_code == 409
    told = clients["otto"].get(f"/api/v1/handoffs/{handoff.pk}/").json()["break_glass"]
    assert [row["printed_name"] for row in told] == ["Rita"]
    rows = clients["otto"].get("/api/v1/handoffs/").json()["results"]
    assert [row["by_break_glass"] for row in rows] == [True]


def test_by_the_page(place: Place) -> None:
    handoff = ready(with_passwords(place))
    path = f"/handoffs/{handoff.pk}/"
    iris, rita = walking.client_of(place.iris), walking.client_of(place.rita)
    assert "Ask for break-glass" in iris.get(path).content.decode()
    empty = iris.post(f"{path}break-glass/ask/", {"reason": "It is down.", "incident": " "})
    assert (empty.status_code, BreakGlass.objects.count()) == (422, 0)
    assert iris.post(f"{path}break-glass/ask/", WHY).status_code == 303
    one = f"{path}break-glass/{BreakGlass.objects.get().pk}/"
    assert [entry.task.kind for entry in walking.inbox(place.rita)] == ["glass"]
    assert one in rita.get("/").content.decode()
    assert "You cannot confirm this" in iris.get(one).content.decode()
    sheet = rita.get(one)
    assert "Confirm as Risk and compliance" in sheet.content.decode()
    body = {"seen": sheet.context["sheet"].seen, "password": "wrong"}
    assert rita.post(one, body).status_code == 403
    assert rita.post(one, body | {"password": walking.PASSWORD, "seen": "0" * 64}).status_code == 409
    assert iris.post(one, body | {"password": walking.PASSWORD}).status_code == 403
    assert rita.post(one, body | {"password": walking.PASSWORD}).status_code == 303
    carried_out(handoff)
    deployment = handoff.deployments.get()
    addresses = (path, "/handoffs/", "/handoffs/?view=list", f"/deployments/{deployment.pk}/", "/deployments/")
    for address in (*addresses, "/environments/production/as-it-was/"):
        assert "break-glass" in walking.client_of(place.otto).get(address).content.decode().lower(), address
    assert "Rolled back on" in iris.get(path).content.decode()


def test_by_the_admin(place: Place) -> None:
    handoff = ready(with_passwords(place))
    Account.objects.filter(pk=place.otto.pk).update(is_staff=True)
    otto = walking.client_of(place.otto)
    asks = {"action": "break_glass", "_selected_action": str(handoff.pk), "confirmed": "yes"}
    otto.post("/admin/handoff/handoff/", asks | {"reason": "There is no colon."})
    assert not BreakGlass.objects.exists()
    otto.post("/admin/handoff/handoff/", asks | {"reason": "INC-7: It is down."})
    glass = BreakGlass.objects.get()
    assert (glass.incident, glass.reason, glass.asked_by) == ("INC-7", "It is down.", place.otto)
    told = {"action": "withdraw", "_selected_action": str(glass.pk), "confirmed": "yes"}
    otto.post("/admin/handoff/breakglass/", told)
    glass.refresh_from_db()
    assert glass.state == "withdrawn"


def test_the_pack_holds_it(place: Place) -> None:
    handoff = ready(place)
    glass = broken(place, handoff)
    seal_all()
    found = contents(handoff, events_of(handoff), TreeHead.objects.latest("size"))
    told = orjson.loads(found.files["break_glass.json"])
    assert [(one["id"], one["printed_name"]) for one in told] == [(str(glass.pk), "Rita")]
    assert b"INC-7" in found.files["index.html"]


def test_two_policies_allow_only_what_both_allow() -> None:
    one = GLASS | {"any_time": True}
    assert united(one, None) is None
    assert united(one, {"roles": ["validator"]}) is None
    assert united(one, {"roles": ["it_operations"], "lasts_hours": 4, "any_time": True}) == {
        "roles": ["it_operations"], "lasts_hours": 4, "confirm_minutes": 60, "any_time": True,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("raw", "place_"),
    [
        ("no", "break_glass"),
        ({"roles": []}, "break_glass.roles"),
        ({"roles": ["nobody"]}, "break_glass.roles"),
        ({"roles": ["it_operations"], "lasts_hours": 200}, "break_glass.lasts_hours"),
        ({"roles": ["it_operations"], "confirm_minutes": 0}, "break_glass.confirm_minutes"),
        ({"roles": ["it_operations"], "any_time": "yes"}, "break_glass.any_time"),
        ({"roles": ["it_operations"], "lasts": 4}, "break_glass.lasts"),
    ],
)
def test_an_odd_break_glass_is_refused_by_its_place(raw: Any, place_: str) -> None:
    reader = Reader()
    read_break_glass(reader, raw)
    assert place_ in reader.mistakes
