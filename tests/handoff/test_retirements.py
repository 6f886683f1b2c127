"""Retiring what is live: planned with the password, told to whom it feeds, done on its day, and kept on record."""

import json
from datetime import UTC, datetime, time, timedelta
from typing import Any
from uuid import uuid4

import pgtrigger
import pytest
from django.db import DatabaseError, connection, transaction
from django.urls import reverse
from django.utils import timezone
from rest_framework.test import APIClient

from audit.actors import Person, ServiceAccount, Worker
from audit.errors import Refused
from audit.models import Account, AuditEvent
from handoff import queue, tasks
from handoff.errors import Forbidden, Hidden, Invalid, WrongState
from handoff.models import Deployment, Handoff, Job, OwnerOfRecord, Retirement, RetirementNotice, Suspension
from handoff.plans import DeployReport, RestorePlan
from handoff.queries.retirements import notices_for
from handoff.rules.reading import Reader
from handoff.rules.retirement import read_retirement_rules
from handoff.services import deployments, jobs, retirements, rollbacks, suspensions
from handoff.states import State
from tests.handoff import amending, building
from tests.handoff.building import Place
from tests.handoff.test_signoffs_doors import proof
from tests.handoff.walking import PASSWORD, by, client_of

pytestmark = pytest.mark.django_db
DONE = DeployReport(True, "it serves nothing", ({"step": "unload", "ok": True},))
TABLES = (Retirement, RetirementNotice, Job, AuditEvent)


@pytest.fixture
def place(db: None, store: Any, settings: Any) -> Place:
    """Return a model, its environments with streams, and its people, who have passwords."""
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
    settings.ENGINE_URLS = {"production": "http://engine.example"}
    return amending.streamed(building.a_place())


@pytest.fixture
def live(place: Place) -> Deployment:
    """Return a live deployment that feeds a board of Otto's."""
    return amending.live(place)


def counts() -> tuple[int, ...]:
    """Return how many rows there are of what an act writes; that somebody came in is no act."""
    events = AuditEvent.objects.exclude(chain__startswith="account:").exclude(chain="sign-ins").count()
    return (*(table._default_manager.count() for table in TABLES if table is not AuditEvent), events)


def planned(live: Deployment, who: Account, days: int = 30, **more: Any) -> Retirement:
    """Plan to retire it in some days."""
    told = {"reason": "A better one is coming.", "day": timezone.now().date() + timedelta(days=days)} | more
    return retirements.plan(actor=by(who), deployment_id=live.pk, reauthentication=proof(who), **told)


def by_service(live: Deployment, who: Account, **body: Any) -> int:
    try:
        retirements.plan(actor=by(who), deployment_id=live.pk, reauthentication=proof(who), **body)
    except Refused as refusal:
        return refusal.status
    return 201


def by_api(live: Deployment, who: Account, **body: Any) -> int:
    client = APIClient()
    client.force_authenticate(who)
    url = reverse("api:deployment-retirements", args=[live.pk])
    return int(client.post(url, {**body, "reauthentication": proof(who)}).status_code)


def by_page(live: Deployment, who: Account, **body: Any) -> int:
    url = reverse("deployment-retire", args=[live.pk])
    status = client_of(who).post(url, {**body, "password": PASSWORD}).status_code
    return 201 if status == 303 else int(status)


DOORS = pytest.mark.parametrize("door", [by_service, by_api, by_page])


def carried_out(handoff: Handoff, report: DeployReport = DONE) -> Any:
    """Let the newest order be carried out without an engine; return the plan that the worker got."""
    job = jobs.claim(handoff.jobs.filter(task=queue.ROLL_BACK).latest("queued_at").pk, "worker", task=queue.ROLL_BACK)
    assert job is not None
    plan = rollbacks.begin(job.pk, job.fence)
    if plan is not None:
        rollbacks.finish(job.pk, job.fence, report, actor=Worker("worker"))
    handoff.refresh_from_db()
    return plan


def let_its_day_come(plan: Retirement) -> None:
    """Stand in for the clock, which no test can turn: the plan and its day move back by two months."""
    back = "planned_at = planned_at - i, due_at = due_at - i"
    sql = f"UPDATE handoff_retirement SET {back} FROM (SELECT interval '60 days' AS i) t WHERE ended_at IS NULL"
    with pgtrigger.ignore("handoff.Retirement:plan_is_fixed"), connection.cursor() as cursor:
        cursor.execute(sql)
    plan.refresh_from_db()


@DOORS
def test_operations_retires_what_is_live_on_its_day_and_every_record_stays(
    door: Any, live: Deployment, place: Place
) -> None:
    handoff = live.handoff
    day = (timezone.now().date() + timedelta(days=30)).isoformat()
    assert door(live, place.otto, reason="A better one is coming.", day=day if door is not by_service else None) == 201
    plan = Retirement.objects.get()
    if door is not by_service:
        tasks.retire_due()
        assert not handoff.jobs.filter(task=queue.ROLL_BACK).exists(), "its day has not come"
        let_its_day_come(plan)
        tasks.retire_due()
    tasks.retire_due()  # once, however often the clock looks
    assert handoff.jobs.filter(task=queue.ROLL_BACK).count() == 1
    order = carried_out(handoff)
    assert isinstance(order, RestorePlan)
    assert order.wanted is None
    live.refresh_from_db()
    plan.refresh_from_db()
    assert (handoff.state, live.state, plan.ending) == (State.RETIRED, "retired", "retired")
    assert not OwnerOfRecord.objects.filter(period__upper_inf=True).exists()
    assert handoff.jobs.filter(task=queue.RUN_STREAMS, purpose__endswith=":out").exists(), "its runs end"
    told = AuditEvent.objects.filter(chain=f"handoff:{handoff.pk}", action="deployment.retired").get()
    assert "A better one is coming." in told.body
    assert "retired" in client_of(place.otto).get(f"/deployments/{live.pk}/").content.decode()
    assert client_of(place.dana).get(f"/handoffs/{handoff.pk}/").status_code == 200


@DOORS
@pytest.mark.parametrize(
    ("who", "body", "status"),
    [
        ("mallory", {}, 404),
        ("dana", {}, 403),
        ("iris", {}, 403),
        ("otto", {"reason": " "}, 422),
        ("otto", {"day": "2020-01-01"}, 422),
        ("otto", {"day": "2999-01-01"}, 422),
    ],
)
def test_what_is_refused_plans_nothing(
    who: str, body: dict[str, str], status: int, door: Any, live: Deployment, place: Place
) -> None:
    told = {"reason": "Old.", **body}
    if door is by_service and "day" in told:
        told["day"] = timezone.datetime.fromisoformat(told["day"]).date()  # type: ignore[attr-defined]
    before = counts()
    assert door(live, place.people[who], **told) == status
    assert counts() == before


def test_the_owners_of_consumers_are_told_and_say_that_they_have_read_it(live: Deployment, place: Place) -> None:
    plan = planned(live, place.otto)
    notice = plan.notices.get()
    assert (notice.owner, notice.consumer.name) == (place.otto, "Ward board")
    assert [one.pk for one in notices_for(place.otto)] == [notice.pk]
    assert not notices_for(place.iris).exists()
    assert "What you depend on is going" in client_of(place.otto).get("/").content.decode()
    client = APIClient()
    client.force_authenticate(place.iris)
    assert client.get(reverse("api:retirement-notices")).json()["results"] == []
    assert client.post(reverse("api:retirement-acknowledge", args=[notice.pk])).status_code == 404
    assert client_of(place.iris).post(reverse("retirement-acknowledge", args=[notice.pk])).status_code == 404
    assert client_of(place.otto).post(reverse("retirement-acknowledge", args=[notice.pk])).status_code == 303
    client.force_authenticate(place.otto)
    assert client.post(reverse("api:retirement-acknowledge", args=[notice.pk])).status_code == 409
    assert client.get(reverse("api:retirement-notices")).json()["results"][0]["acknowledged_at"]
    page = client_of(place.otto).get(reverse("deployment-retire", args=[live.pk])).content.decode()
    assert "has read it" in page
    with pytest.raises(DatabaseError), transaction.atomic():
        RetirementNotice.objects.update(acknowledged_at=None)
    with pytest.raises(DatabaseError), transaction.atomic():
        RetirementNotice.objects.all().delete()


def test_the_policy_gives_days_of_notice(live: Deployment, place: Place) -> None:
    with pgtrigger.ignore("handoff.Handoff:policy_is_fixed"):
        policy = (live.handoff.policy or {}) | {"retirement": {"notice_days": 14}}
        Handoff.objects.filter(pk=live.handoff_id).update(policy=policy)
    for days in (0, 13):
        with pytest.raises(Refused) as refused:
            planned(live, place.otto, days)
        assert "day" in refused.value.fields
    assert not Retirement.objects.exists()
    assert "14 days of notice" in client_of(place.otto).get(f"/deployments/{live.pk}/retire/").content.decode()
    assert planned(live, place.otto, 14).due_at > timezone.now()


@pytest.mark.parametrize("raw", [{"notice_days": -1}, {"notice_days": "two"}, {"days": 3}, []])
def test_an_odd_notice_is_no_policy(raw: Any) -> None:
    reader = Reader()
    read_retirement_rules(reader, raw)
    assert reader.mistakes


def test_before_its_day_it_is_cancelled_and_then_not_any_more(live: Deployment, place: Place) -> None:
    plan = planned(live, place.otto)
    with pytest.raises(Refused) as twice:
        planned(live, place.otto)
    assert twice.value.code == "retirement_planned"
    url = reverse("api:deployment-retirement-cancel", args=[live.pk])
    client = APIClient()
    for who, status in ((place.mallory, 404), (place.dana, 403), (place.otto, 200)):
        client.force_authenticate(who)
        assert client.post(url, {"reason": "It is needed."}).status_code == status
    plan.refresh_from_db()
    assert (plan.ending, plan.because) == ("cancelled", "It is needed.")
    assert client.post(url, {"reason": "Again."}).status_code == 409
    late = planned(live, place.otto)
    let_its_day_come(late)
    assert client_of(place.otto).post(f"/deployments/{live.pk}/retire/cancel/", {"reason": "Wait!"}).status_code == 409
    late.refresh_from_db()
    assert late.ended_at is None


def test_by_the_admin_it_is_cancelled(live: Deployment, place: Place) -> None:
    plan = planned(live, place.otto)
    Account.objects.filter(pk=place.otto.pk).update(is_staff=True)
    act = {"action": "cancel", "_selected_action": [str(plan.pk)], "confirmed": "1", "reason": "It stays."}
    client_of(Account.objects.get(pk=place.otto.pk)).post(reverse("admin:handoff_retirement_changelist"), act)
    plan.refresh_from_db()
    assert plan.ending == "cancelled"


def test_an_engine_that_is_out_of_reach_is_told_again(live: Deployment, place: Place) -> None:
    planned(live, place.otto, 0)
    carried_out(live.handoff, DeployReport(False, "out of reach", (), "unreachable"))
    live.handoff.refresh_from_db()
    assert live.handoff.state == State.LIVE
    tasks.retire_due()
    carried_out(live.handoff)
    assert live.handoff.state == State.RETIRED


def test_another_version_that_goes_live_before_ends_the_plan(live: Deployment, place: Place) -> None:
    plan = planned(live, place.otto)
    newer = amending.live(place, 2)
    plan.refresh_from_db()
    assert plan.ending == "superseded"
    order = deployments.roll_back(actor=by(place.otto), deployment_id=newer.pk, reason="It is worse.")
    assert order.purpose.startswith("rollback:")
    tasks.retire_due()
    assert not Job.objects.filter(purpose__startswith="unload").exists()


def test_what_is_suspended_is_retired_too(live: Deployment, place: Place) -> None:
    suspensions.suspend(actor=by(place.otto), deployment_id=live.pk, reason="It is wrong.")
    planned(live, place.otto, 0)
    carried_out(live.handoff)
    assert live.handoff.state == State.RETIRED
    assert Suspension.objects.get().ending == "superseded"


def test_what_was_retired_never_comes_back(live: Deployment, place: Place) -> None:
    planned(live, place.otto, 0)
    carried_out(live.handoff)
    newer = amending.live(place, 2)
    with pytest.raises(Refused) as refused:
        deployments.roll_back(actor=by(place.otto), deployment_id=newer.pk, reason="Go back.")
    assert refused.value.code == "nothing_to_roll_back_to"
    assert by_service(live, place.otto, reason="Again.") == 409


def test_the_database_keeps_what_was_planned(live: Deployment, place: Place) -> None:
    plan = planned(live, place.otto)
    before = Retirement.objects.values().get()
    another = {"deployment": live, "planned_by": place.otto, "reason": "x", "due_at": timezone.now()}
    another["reauthentication_id"] = proof(place.otto)
    for change in (
        {"reason": "Other."}, {"due_at": timezone.now()}, {"ending": "cancelled"},
        {"ending": "retired", "ended_at": timezone.now(), "ended_by": "x"},
        {"ending": "gone", "ended_at": timezone.now(), "ended_by": "x"},
    ):  # fmt: skip
        with pytest.raises(DatabaseError), transaction.atomic():
            Retirement.objects.filter(pk=plan.pk).update(**change)
    with pytest.raises(DatabaseError), transaction.atomic():
        plan.delete()
    with pytest.raises(DatabaseError), transaction.atomic():
        Retirement.objects.create(
            deployment=live,
            planned_by=place.otto,
            reason="x",
            due_at=timezone.now(),
            reauthentication_id=proof(place.otto),
        )
    assert Retirement.objects.values().get() == before
    Deployment.objects.filter(pk=live.pk).update(state="superseded", ended_at=timezone.now())
    retirements.cancel(actor=Person(place.otto, "test"), deployment_id=live.pk, reason="It is over.")
    with pytest.raises(DatabaseError, match="only what is live"), transaction.atomic():
        Retirement.objects.create(
            deployment=live,
            planned_by=place.otto,
            reason="x",
            due_at=timezone.now(),
            reauthentication_id=proof(place.otto),
        )


def test_a_version_that_is_on_its_way_when_the_worker_comes_goes_first(live: Deployment, place: Place) -> None:
    plan = planned(live, place.otto, 0)
    released = amending.released(place, 2)
    job = jobs.claim(released.jobs.get(task=queue.DEPLOY).pk, "worker", task=queue.DEPLOY)
    assert job is not None
    assert deployments.begin(job.pk, job.fence) is not None
    assert carried_out(live.handoff) is None
    assert live.handoff.jobs.get(task=queue.ROLL_BACK).state == "cancelled"
    tasks.retire_due()
    assert live.handoff.jobs.filter(task=queue.ROLL_BACK).count() == 1, "nothing is ordered beside it"
    deployments.finish(job.pk, job.fence, DONE, actor=Worker("worker"))
    plan.refresh_from_db()
    live.handoff.refresh_from_db()
    assert (plan.ending, live.handoff.state) == ("superseded", State.SUPERSEDED)


# Beside others, and what is not there


def another(place: Place) -> Deployment:
    """Return what is live of another model, and feeds the same board; the newest there is."""
    return amending.live(building.a_place("beside"))


def story(live: Deployment, action: str) -> dict[str, Any]:
    """Return what the trail tells of one act."""
    found: dict[str, Any] = json.loads(AuditEvent.objects.get(subject=f"deployment:{live.pk}", action=action).body)
    return found


def test_a_plan_is_of_the_deployment_that_was_named(live: Deployment, place: Place) -> None:
    other = another(place)
    plan = planned(live, place.otto, reason=" A better one is coming. ")
    theirs = planned(other, place.otto)
    midnight = datetime.combine(timezone.now().date() + timedelta(days=30), time(), UTC)
    assert (plan.deployment, plan.due_at, plan.reason, plan.planned_by) == (
        live, midnight, "A better one is coming.", place.otto,
    )  # fmt: skip
    assert story(live, "retirement.planned")["data"] == {
        "version": 1, "retirement": str(plan.pk), "due": midnight.isoformat(),
        "told": [f"{place.otto.mark} (Ward board)"],
    }  # fmt: skip
    assert retirements.due() == []
    assert retirements.order_due(actor=Worker("retirer"), retirement_id=plan.pk) is None
    cancelled = retirements.cancel(actor=by(place.otto), deployment_id=live.pk, reason=" It is needed. ")
    assert (cancelled.pk, cancelled.ending, cancelled.because) == (plan.pk, "cancelled", "It is needed.")
    theirs.refresh_from_db()
    assert theirs.ended_at is None
    with pytest.raises(Refused) as none:
        retirements.cancel(actor=by(place.otto), deployment_id=live.pk, reason="Again.")
    assert none.value.code == "no_retirement"
    assert not Job.objects.filter(purpose__startswith="unload").exists()


def test_what_is_not_there_and_what_is_hidden_are_told_alike(live: Deployment, place: Place) -> None:
    before = counts()
    for who, wanted in ((place.otto, uuid4()), (place.otto, live.handoff_id), (place.mallory, live.pk)):
        told: dict[str, Any] = {"actor": by(who), "deployment_id": wanted, "reason": "Old."}
        for act in (
            lambda told=told: retirements.plan(**told, reauthentication=proof(place.otto)),
            lambda told=told: retirements.cancel(**told),
        ):
            with pytest.raises(Hidden) as refusal:
                act()
            assert refusal.value.message == "There is no such deployment."
    assert counts() == before


def test_only_a_natural_person_retires(live: Deployment, place: Place) -> None:
    robot = Account.objects.create(username="robot", kind=Account.Kind.SERVICE, responsible=place.otto)
    for actor in (Person(robot, "api"), ServiceAccount(robot, "api"), Worker("robot")):
        told: Any = {"actor": actor, "deployment_id": live.pk, "reason": "Old."}
        with pytest.raises(Forbidden) as refusal:
            retirements.plan(**told, reauthentication=proof(place.otto))
        assert refusal.value.code == "person_required"
    assert not Retirement.objects.exists()


@pytest.mark.parametrize(
    ("reason", "days", "fields"),
    [
        ("x", 730, {}),
        ("x" * 2000, 30, {}),
        ("", 30, {"reason": "must be 1 to 2000 characters"}),
        ("x" * 2001, 30, {"reason": "must be 1 to 2000 characters"}),
        ("x", 731, {"day": "must be a day from {} on, within two years"}),
        ("x", -1, {"day": "must be a day from {} on, within two years"}),
    ],
)
def test_a_plan_has_a_reason_and_a_day_within_two_years(
    reason: str, days: int, fields: dict[str, str], live: Deployment, place: Place
) -> None:
    if not fields:
        assert planned(live, place.otto, days, reason=reason).ended_at is None
        return
    with pytest.raises(Invalid) as refusal:
        planned(live, place.otto, days, reason=reason)
    today = timezone.now().date().isoformat()
    assert refusal.value.fields == {key: words.format(today) for key, words in fields.items()}


def test_each_notice_is_read_by_itself(live: Deployment, place: Place) -> None:
    first = planned(live, place.otto).notices.get()
    second = planned(another(place), place.otto).notices.get()
    for who, notice_id in ((place.otto, first.pk + 1000), (place.iris, second.pk)):
        with pytest.raises(Hidden) as hidden:
            retirements.acknowledge(actor=by(who), notice_id=notice_id)
        assert hidden.value.message == "There is no such notice."
    found = retirements.acknowledge(actor=by(place.otto), notice_id=first.pk)
    second.refresh_from_db()
    assert (found.pk, found.acknowledged_at is None, second.acknowledged_at) == (first.pk, False, None)
    assert story(live, "retirement.acknowledged")["data"] == {
        "retirement": str(first.retirement_id), "consumer": "Ward board",
    }  # fmt: skip
    with pytest.raises(WrongState) as twice:
        retirements.acknowledge(actor=by(place.otto), notice_id=first.pk)
    assert twice.value.code == "notice_acknowledged"


def test_what_is_due_is_ordered_until_it_is_done(live: Deployment, place: Place) -> None:
    robot, plan = Worker("retirer"), planned(live, place.otto)
    let_its_day_come(plan)
    planned(another(place), place.otto)  # for a day that has not come
    retirements.order_due(actor=robot, retirement_id=plan.pk)
    carried_out(live.handoff, DeployReport(False, "out of reach", (), "unreachable"))
    assert retirements.due() == [plan.pk]
    job = retirements.order_due(actor=robot, retirement_id=plan.pk)
    assert job is not None
    assert (job.handoff_id, job.purpose.split(":")[0]) == (live.handoff_id, "unload")
    assert retirements.order_due(actor=robot, retirement_id=plan.pk) is None, "it is under way"
    carried_out(live.handoff)
    assert retirements.due() == []
    assert retirements.order_due(actor=robot, retirement_id=plan.pk) is None


def test_what_ended_otherwise_is_not_taken_out(live: Deployment, place: Place) -> None:
    plan = planned(live, place.otto)
    let_its_day_come(plan)
    Deployment.objects.filter(pk=live.pk).update(state="superseded", ended_at=timezone.now())
    assert retirements.order_due(actor=Worker("retirer"), retirement_id=plan.pk) is None
    assert not live.handoff.jobs.filter(task=queue.ROLL_BACK).exists()
