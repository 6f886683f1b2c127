"""Who stops what is live and who lifts it, what rests meanwhile, and what the database refuses to anybody."""

from datetime import timedelta
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import DatabaseError, IntegrityError, connection, transaction
from django.utils import timezone
from rest_framework.test import APIClient

from audit.actors import Person, Worker
from audit.models import Account, AuditEvent
from handoff import queue, tasks
from handoff.access import may_stop
from handoff.errors import Forbidden, Hidden, Invalid, NotConfirmed, WrongRole, WrongState
from handoff.models import Condition, Deployment, Finding, Job, Suspension
from handoff.plans import DeployReport, StopReport
from handoff.queries.moments import environment_at
from handoff.rules.policies import parse
from handoff.rules.policy_changes import changes, demands
from handoff.rules.subjects import Subject
from handoff.rules.unions import union
from handoff.services import amendments, batches, deployments, jobs, runs, suspensions
from handoff.states import JobState, RunState, State
from models_registry.models import Environment
from tests.handoff import amending, batching, building, walking
from tests.handoff.building import Place
from tests.handoff.stopping import STOPPER, WHY, answered, begun, lifted, suspended
from tests.queries import counting

pytestmark = pytest.mark.django_db


@pytest.fixture
def place(db: None, store: Any, settings: Any) -> Place:
    """Return a place with streams, whose people have passwords; its engine is played by the tests."""
    settings.ENGINE_URLS = {"production": "http://127.0.0.1:9"}
    return amending.streamed(building.a_place())


@pytest.fixture
def live(place: Place) -> Deployment:
    """Return what is live over streams."""
    return amending.live(place)


def by_service(deployment: Deployment, who: Account) -> int:
    try:
        suspended(deployment, who)
    except (Hidden, WrongRole, WrongState) as refusal:
        return refusal.status
    return 200


def by_page(deployment: Deployment, who: Account) -> int:
    answer = walking.client_of(who).post(f"/deployments/{deployment.pk}/suspend/", {"reason": WHY})
    return 200 if answer.status_code == 303 else answer.status_code


def by_api(deployment: Deployment, who: Account) -> int:
    client = APIClient()
    client.force_authenticate(who)
    answer = client.post(f"/api/v1/deployments/{deployment.pk}/suspensions/", {"reason": WHY})
    return 200 if answer.status_code == 202 else int(answer.status_code)


def by_command(deployment: Deployment, who: Account) -> int:
    try:
        call_command("suspend", "tumours", "production", by=who.username, reason=WHY)
    except CommandError as error:
        return 404 if "no such" in str(error) else 403
    return 200


def by_admin(deployment: Deployment, who: Account) -> int:
    Account.objects.filter(pk=who.pk).update(is_staff=True)
    body = {"action": "suspend", "_selected_action": [str(deployment.pk)], "confirmed": "yes", "reason": WHY}
    walking.client_of(who).post("/admin/handoff/deployment/", body)
    if deployment.suspensions.exists():
        return 200
    return 403 if who.username != "mallory" else 404


DOORS = pytest.mark.parametrize("door", [by_service, by_page, by_api, by_command, by_admin])


@DOORS
@pytest.mark.parametrize(
    ("_case", "who", "expected"),
    [
        ("IT operations may", "otto", 200),
        ("risk and compliance may", "rita", 200),
        ("who only builds may not", "dana", 403),
        ("an outsider cannot tell that it exists", "mallory", 404),
    ],
)
def test_stopping_is_the_same_at_every_door(_case: str, who: str, expected: int, door: Any, live: Deployment) -> None:
    account = Account.objects.get(username=who)
    events, waiting = AuditEvent.objects.count(), Job.objects.count()
    assert door(live, account) == expected
    assert Suspension.objects.count() == (1 if expected == 200 else 0)
    assert AuditEvent.objects.count() == events + (1 if expected == 200 else 0)
    assert Job.objects.count() == waiting + (1 if expected == 200 else 0)


def test_whoever_answers_for_it_may_stop_it_whatever_their_roles(place: Place, live: Deployment) -> None:
    Environment.objects.filter(pk=place.target.pk).update(owner=place.vera)
    live.refresh_from_db()
    assert may_stop(place.vera, live, frozenset())
    assert by_page(live, place.vera) == 200
    assert not may_stop(place.iris, live, frozenset({"integration_owner"}))


def test_a_service_account_stops_nothing(place: Place, live: Deployment) -> None:
    robot = Account.objects.create(username="robot", kind=Account.Kind.SERVICE, responsible=place.otto)
    with pytest.raises(Forbidden):
        suspensions.suspend(actor=Person(robot, "api"), deployment_id=live.pk, reason=WHY)
    assert not Suspension.objects.exists()


@pytest.mark.parametrize("reason", ["", "  ", "x" * 2001])
def test_a_stop_says_why(place: Place, live: Deployment, reason: str) -> None:
    with pytest.raises(Invalid) as refusal:
        suspended(live, place.otto, reason)
    assert "reason" in refusal.value.fields
    assert not Suspension.objects.exists()


def test_what_is_stopped_is_not_stopped_twice_and_what_ended_not_at_all(place: Place, live: Deployment) -> None:
    suspended(live, place.otto)
    with pytest.raises(WrongState) as twice:
        suspended(live, place.rita)
    assert twice.value.code == "suspended_already"
    second = amending.live(place, 2, "other")
    with pytest.raises(WrongState) as ended:
        suspended(live, place.otto)
    assert (ended.value.code, second.state) == ("not_live", "live")
    assert Suspension.objects.count() == 1


def test_the_page_tells_stopping_from_stopped(place: Place, live: Deployment) -> None:
    suspension = suspended(live, place.rita)
    client = walking.client_of(place.otto)
    page = client.get(f"/deployments/{live.pk}/").content.decode()
    assert "stopping, not yet confirmed by the" in page
    assert WHY in page
    answered(suspension, "The engine did not answer in time.")
    assert "It is tried again until the engine answers" in client.get(f"/deployments/{live.pk}/").content.decode()
    suspensions.order_again(actor=STOPPER, suspension_id=suspension.pk)
    answered(suspension)
    page = client.get(f"/deployments/{live.pk}/").content.decode()
    assert "stopped at" in page
    assert "not yet confirmed" not in page
    assert "suspended" in client.get("/deployments/").content.decode()
    assert 'data-state="suspended"' in client.get(f"/handoffs/{live.handoff_id}/").content.decode()
    told = list(AuditEvent.objects.filter(chain=f"handoff:{live.handoff_id}").values_list("action", flat=True))
    assert [one for one in told if one.startswith("deployment.")][-3:] == [
        "deployment.suspended", "deployment.not_stopped", "deployment.stopped",
    ]  # fmt: skip


def test_the_api_tells_it_and_so_does_the_environment_as_it_was(place: Place, live: Deployment) -> None:
    before = timezone.now()
    answered(suspended(live, place.rita))
    client = APIClient()
    client.force_authenticate(place.otto)
    assert client.get(f"/api/v1/deployments/{live.pk}/").json()["suspended_at"]
    (told,) = client.get(f"/api/v1/deployments/{live.pk}/suspensions/").json()["results"]
    assert (told["suspended_by"]["username"], told["confirmed"], told["ending"]) == ("rita", True, "")
    client.force_authenticate(place.mallory)
    assert client.get(f"/api/v1/deployments/{live.pk}/suspensions/").status_code == 404
    assert environment_at(place.otto, "production", before).served[0].suspension is None
    now = environment_at(place.otto, "production", timezone.now())
    assert now.served[0].suspension is not None
    assert now.served[0].suspension.reason == WHY
    assert any(abs(one - now.served[0].suspension.suspended_at) < timedelta(seconds=1) for one in now.turns)
    assert WHY in walking.client_of(place.otto).get("/environments/production/as-it-was/").content.decode()


def test_the_inbox_tells_who_runs_it_and_who_answers_for_it(place: Place, live: Deployment) -> None:
    suspended(live, place.rita)
    assert [one.task.key for one in walking.inbox(place.otto) if one.task.kind == "suspended"] == [str(live.pk)]
    assert not [one for one in walking.inbox(place.dana) if one.task.kind == "suspended"]
    assert f"/deployments/{live.pk}/" in walking.client_of(place.otto).get("/").content.decode()


# Lifting


def test_it_operations_lifts_with_the_password_and_a_reason(place: Place, live: Deployment) -> None:
    suspension = answered(suspended(live, place.rita))
    with pytest.raises(WrongRole):
        lifted(live, place.rita)
    with pytest.raises(Hidden):
        lifted(live, place.mallory)
    with pytest.raises(Invalid):
        lifted(live, place.otto, " ")
    told = {"actor": Person(place.otto, "test"), "deployment_id": live.pk, "reason": "It is well."}
    with pytest.raises(NotConfirmed):
        suspensions.lift(**told, reauthentication=amending.proof(place.rita))
    suspension.refresh_from_db()
    assert suspension.is_open
    lifted(live, place.otto)
    suspension.refresh_from_db()
    assert (suspension.ending, suspension.lifted_by, suspension.confirmed) == ("lifted", place.otto, False)
    assert suspension.lift_order is not None
    assert suspension.lift_order > suspension.order
    with pytest.raises(WrongState) as refusal:
        lifted(live, place.otto)
    assert refusal.value.code == "not_suspended"


@pytest.mark.parametrize(("password", "expected"), [(walking.PASSWORD, "lifted"), ("wrong", "")])
def test_lifting_on_the_page_asks_for_the_password(
    place: Place, live: Deployment, password: str, expected: str
) -> None:
    answered(suspended(live, place.otto))
    client = walking.client_of(place.otto)
    assert 'name="password"' in client.get(f"/deployments/{live.pk}/").content.decode()
    answer = client.post(f"/deployments/{live.pk}/lift/", {"reason": "It is well.", "password": password})
    assert answer.status_code == (303 if expected else 403)
    assert live.suspensions.get().ending == expected


def test_lifting_over_the_api_wants_a_confirmation(place: Place, live: Deployment) -> None:
    suspended(live, place.otto)
    client, path = APIClient(), f"/api/v1/deployments/{live.pk}/suspensions/lift/"
    client.force_authenticate(place.otto)
    assert client.post(path, {"reason": "It is well."}).status_code == 422
    body = {"reason": "It is well.", "reauthentication": amending.proof(place.otto)}
    assert client.post(path, body).status_code == 202
    assert client.post(path, body).status_code == 409


def test_after_the_lift_its_run_is_ordered_again(place: Place, live: Deployment) -> None:
    Deployment.objects.filter(pk=live.pk).update(run={"state": "running"})
    suspension = answered(suspended(live, place.otto), **{str(live.pk): {"state": "stopped"}})
    live.refresh_from_db()
    assert live.run["state"] == "stopped"
    waiting = live.handoff.jobs.filter(task=queue.RUN_STREAMS, state=JobState.QUEUED)
    waiting.update(state=JobState.CANCELLED, ended_at=timezone.now())
    lifted(live, place.otto)
    assert not waiting.exists(), "not before the engine lets it score again"
    answered(suspension)
    assert waiting.count() == 1
    assert suspension.resumed_at is not None


# What rests while it is stopped


def test_the_order_of_a_run_starts_none_while_it_is_suspended(place: Place, live: Deployment) -> None:
    suspended(live, place.otto)
    job = live.handoff.jobs.get(task=queue.RUN_STREAMS)
    claimed = jobs.claim(job.pk, "worker", task=queue.RUN_STREAMS)
    assert claimed is not None
    plan = runs.begin(claimed.pk, claimed.fence)
    assert plan is not None
    assert plan.run == ""


def test_amendments_wait_until_it_is_lifted(place: Place, live: Deployment) -> None:
    proposed = amending.proposed(live, place.otto)
    ready = amending.proposed(live, place.otto, sinks=[{"stream": "scores"}, {"stream": "lake"}])
    amending.sign(ready, place.iris)
    suspended(live, place.otto)
    with pytest.raises(WrongState) as refusal:
        amending.proposed(live, place.otto)
    assert refusal.value.code == "suspended"
    with pytest.raises(WrongState):
        amending.sign(proposed, place.iris)
    amending.work(ready)
    ready.refresh_from_db()
    assert (ready.state, ready.because) == ("failed", "the deployment is suspended now")
    amendments.withdraw(actor=Person(place.otto, "test"), amendment_id=proposed.pk, reason="Later.")


def test_the_runs_of_a_batch_end_and_none_is_ordered(place: Place) -> None:
    live = batching.a_batch(place, batching.MINUTELY)
    batching.live_since(live, minutes=5)
    run = batches.run_due(actor=Worker("schedule"), deployment_id=live.pk)
    assert run is not None
    batching.started(run)
    answered(suspended(live, place.otto), **{str(run.pk): {"state": "stopped", "counts": batching.COUNTS}, "odd": {}})
    run.refresh_from_db()
    assert (run.state, run.why, run.counts["read"]) == (RunState.STOPPED, f"The deployment was suspended: {WHY}", 3)
    with pytest.raises(WrongState) as refusal:
        batching.on_demand(live, place.otto, "I want one.")
    assert refusal.value.code == "no_runs_now"


def test_the_same_version_does_not_take_its_own_place(place: Place, live: Deployment) -> None:
    again = building.offered(place, live.version, building.a_policy(("integrity",)), live.handoff.bindings)
    handoff = building.open_release(place, building.tested(building.open_review(place, again)))
    job = handoff.jobs.get(task=queue.DEPLOY)
    claimed = jobs.claim(job.pk, "worker", task=queue.DEPLOY)
    assert claimed is not None
    assert deployments.begin(claimed.pk, claimed.fence) is not None
    suspension = suspended(live, place.otto)
    deployments.finish(claimed.pk, claimed.fence, DeployReport(True, "it is live", ()), actor=STOPPER)
    suspension.refresh_from_db()
    handoff.refresh_from_db()
    assert (suspension.is_open, handoff.state) == (True, State.READY)
    assert Deployment.objects.get(state="live").pk == live.pk
    deployments.retry(actor=Person(place.otto, "test"), handoff_id=handoff.pk)
    late = jobs.claim(handoff.jobs.get(task=queue.DEPLOY, state=JobState.QUEUED).pk, "worker", task=queue.DEPLOY)
    assert late is not None
    assert deployments.begin(late.pk, late.fence) is None
    assert "lift that first" in Job.objects.get(pk=late.pk).error


# The worker's part


def test_an_order_that_nobody_needs_any_more_is_not_given(place: Place, live: Deployment) -> None:
    suspension = suspended(live, place.otto)
    first = suspension.job
    lifted(live, place.otto)
    assert first is not None
    late = jobs.claim(first.pk, "stopper", task=queue.STOP)
    assert late is not None
    assert suspensions.begin(late.pk, late.fence) is None
    assert Job.objects.get(pk=first.pk).state == JobState.CANCELLED
    _, plan = begun(suspension)
    assert (plan.on, plan.order) == (False, suspension.lift_order)


def test_an_answer_that_comes_after_the_lift_changes_nothing(place: Place, live: Deployment) -> None:
    suspension = suspended(live, place.otto)
    job, plan = begun(suspension)
    lifted(live, place.otto)
    suspensions.finish(job.pk, job.fence, plan, StopReport(), actor=STOPPER)
    suspension.refresh_from_db()
    assert (suspension.stopped_at, suspension.resumed_at) == (None, None)


def test_an_engine_without_address_is_told_and_tried_again(place: Place, live: Deployment, settings: Any) -> None:
    settings.ENGINE_URLS = {}
    suspension = suspended(live, place.otto)
    job = jobs.claim(str(suspension.job_id), "stopper", task=queue.STOP)
    assert job is not None
    assert suspensions.begin(job.pk, job.fence) is None
    suspension.refresh_from_db()
    assert "ENGINE_URLS" in suspension.error
    assert suspensions.unconfirmed() == [], "not before its pause is over"
    Job.objects.filter(pk=job.pk).update(ended_at=timezone.now() - timedelta(minutes=2))
    assert suspensions.unconfirmed() == [suspension.pk]
    assert suspensions.order_again(actor=STOPPER, suspension_id=suspension.pk) is not None
    assert suspensions.order_again(actor=STOPPER, suspension_id=suspension.pk) is None


# The policy


def test_a_finding_stops_nothing_where_the_policy_says_nothing(place: Place, live: Deployment) -> None:
    overdue(live)
    assert suspensions.stop_lapsed(actor=Worker("policy"), handoff_id=live.handoff_id) is None
    assert not Suspension.objects.exists()


def test_a_finding_stops_what_is_live_where_the_policy_says_so(place: Place) -> None:
    live = under(place, lapses="stop")
    second = building.a_version(place, 2)
    building.offered(place, second, live.handoff.policy_revision)  # another handoff, which nothing stops
    finding = overdue(live)
    tasks.stop_lapsed()
    suspension = Suspension.objects.get()
    assert (suspension.finding, suspension.suspended_by, suspension.by) == (finding, None, "the policy")
    assert suspensions.stop_lapsed(actor=Worker("policy"), handoff_id=live.handoff_id) is None
    with pytest.raises(WrongState) as refusal:
        lifted(live, place.otto)
    assert refusal.value.code == "suspension_cause_stands"
    Finding.objects.filter(pk=finding.pk).update(closed_at=timezone.now(), closing="resolved")
    lifted(live, place.otto)
    assert not suspensions.lapsed().exists()


def test_what_was_revoked_stops_nothing(place: Place) -> None:
    live = under(place, lapses="stop")
    overdue(live, items={"signoff.1": "The approval as Validator at the review gate was revoked."})
    tasks.stop_lapsed()
    assert not Suspension.objects.exists()


def test_before_a_condition_is_overdue_those_who_run_the_version_are_told(place: Place) -> None:
    live = under(place, lapses="stop")
    signoff = live.handoff.signoffs.get(gate="review")
    due = timezone.now() + timedelta(days=3)
    Condition.objects.create(signoff=signoff, number=1, text="Write it down.", due_at=due, owner=place.dana)
    (told,) = [one.task for one in walking.inbox(place.otto) if one.task.kind == "stops"]
    assert ("Write it down." in told.title, told.due) == (True, due)
    assert not [one for one in walking.inbox(place.rita) if one.task.kind == "stops"]


@pytest.mark.parametrize("odd", ["kill", "", 1, None])
def test_an_odd_answer_to_what_lapses_is_no_policy(odd: Any) -> None:
    content = building.a_policy(("integrity",)).content | {"lapses": odd}
    with pytest.raises(Invalid) as refusal:
        parse(content)
    assert "lapses" in refusal.value.fields


def test_of_two_policies_the_one_that_stops_counts() -> None:
    one = building.a_policy(("integrity",)).content
    other = one | {"policy": "other", "lapses": "stop"}
    assert union([(one, 1), (other, 1)], Subject("production", "low"))["lapses"] == "stop"
    assert "what is live stopped once a waiver ends" in str(changes(demands(parse(one)), demands(parse(other))).gained)


def under(place: Place, **more: str) -> Deployment:
    """Return what is live under a policy that says more."""
    content = building.a_policy(("integrity",)).content | {"policy": "lapsing", **more}
    made = building.Policy.objects.create(slug="lapsing", title="Lapsing")
    policy = made.revisions.create(number=1, source="{}", content=content, digest=building.digest_of(content))
    handoff = building.open_review(place, building.offered(place, building.a_version(place), policy))
    return counting.deployed(building.open_release(place, building.tested(handoff)))


def overdue(live: Deployment, items: Any = None) -> Finding:
    words = (
        "The approval as Validator at the review gate hangs on a condition that was due on 1 May 2026: write it down"
    )
    return Finding.objects.create(
        handoff=live.handoff, kind=Finding.Kind.APPROVAL, subject="approvals", items=items or {"signoff.1": words},
        severity="high", suspends=True, due_at=timezone.now() + timedelta(days=7),
    )  # fmt: skip


# The database's part


def refused(sentence: str, statement: str, *values: Any) -> None:
    wrong = pytest.raises((DatabaseError, IntegrityError), match=sentence)
    with wrong, transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(statement, values)


def test_the_database_keeps_what_was_done(place: Place, live: Deployment) -> None:
    suspension = answered(suspended(live, place.otto))
    change = "UPDATE handoff_suspension SET {} WHERE id = %s"
    refused("Cannot delete", "DELETE FROM handoff_suspension WHERE id = %s", suspension.pk)
    refused("Cannot update", change.format("reason = 'another'"), suspension.pk)
    refused("Cannot update", change.format("stopped_at = NULL"), suspension.pk)
    unsigned = change.format("ending = 'lifted', ended_at = now()")
    refused("suspension_lifted_by_somebody_known", unsigned, suspension.pk)
    refused("suspension_ended_has_a_time", change.format("ended_at = now()"), suspension.pk)
    refused("stays live on record", "UPDATE handoff_deployment SET state = 'superseded' WHERE id = %s", live.pk)
    columns = 'deployment_id, suspended_by_id, reason, "order", tries, error, lift_reason, ending'
    values = "gen_random_uuid(), %s, %s, 'x', 999999999, 0, '', '', ''"
    again = f"INSERT INTO handoff_suspension (id, {columns}) VALUES ({values})"
    refused("suspension_one_open", again, live.pk, place.otto.pk)
    lifted(live, place.otto)
    refused("Cannot update", change.format("ended_at = now()"), suspension.pk)
    second = amending.live(place, 2, "other")
    refused("only what is live", again, live.pk, place.otto.pk)
    refused("suspension_by_somebody_or_for_a_finding", again, second.pk, None)
