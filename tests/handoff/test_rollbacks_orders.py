"""Ways back without an engine: which order a worker carries out beside others, and what comes of each."""

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pgtrigger
import pytest
from django.core.files.storage import default_storage
from django.db.models import F
from django.utils import timezone

from audit.actors import Person, Worker
from audit.models import AuditEvent
from handoff import queue
from handoff.leases import next_order
from handoff.models import Decision, Deployment, Handoff, Job, Reauthentication, Retirement
from handoff.plans import DeployPlan, DeployReport, RestorePlan
from handoff.services import deployments, jobs, rollbacks
from handoff.states import JobState, State
from models_registry.models import Environment
from models_registry.store import path_of
from tests.handoff import building
from tests.handoff.building import Place
from tests.handoff.test_deployments_orders import released

pytestmark = pytest.mark.django_db
WHY = "It scores everybody as ill."
WORKER = Worker("worker")
STEPS = ({"step": "activate", "ok": True},)
DONE = DeployReport(True, "it is live", STEPS)
SILENT = DeployReport(False, "the engine fell silent", STEPS, "unknown")
DOWN = DeployReport(False, "out of reach", STEPS, "unreachable")


@pytest.fixture
def place(db: None, store: Path, settings: Any) -> Place:
    """Return a model, its environments and its people; no test here calls the engine."""
    settings.ENGINE_URLS = {"production": "http://engine.example"}
    return building.a_place()


def live(place: Place, number: int = 1, *, confirm: bool = False, report: DeployReport = DONE) -> Handoff:
    """Return a handoff whose deployment was carried out, or as far as the report says."""
    handoff = released(place, number, confirm=confirm)
    job = taken(handoff, queue.DEPLOY)
    assert deployments.begin(job.pk, job.fence) is not None
    deployments.finish(job.pk, job.fence, report, actor=WORKER)
    handoff.refresh_from_db()
    return handoff


def taken(handoff: Handoff, task: str = queue.ROLL_BACK) -> Job:
    """Take the newest work of a kind as a worker."""
    job = jobs.claim(handoff.jobs.filter(task=task).latest("queued_at").pk, "worker", task=task)
    assert job is not None
    return job


def begun(handoff: Handoff) -> tuple[Job, Any]:
    job = taken(handoff)
    plan = rollbacks.begin(job.pk, job.fence)
    job.refresh_from_db()
    return job, plan


def latest(handoff: Handoff) -> Deployment:
    return handoff.deployments.order_by("-order")[0]


def back(place: Place, handoff: Handoff) -> Deployment:
    """Order the version before what is live, and return that order."""
    actor, of = Person(place.otto, "test"), handoff.deployments.get(state="live")
    job = deployments.roll_back(actor=actor, deployment_id=of.pk, reason=WHY)
    assert (job.task, job.handoff_id) == (queue.ROLL_BACK, handoff.pk)
    return of.rollbacks.get(state="ordered")


def asked(handoff: Handoff, purpose: str) -> Job:
    """Queue work for the engine, as a worker does that ordered it."""
    return queue.enqueue(handoff, gate="release", task=queue.ROLL_BACK, purposes=[purpose])[0]


def by_hand(of: Deployment, state: str, **more: Any) -> Deployment:
    """Write another order, as it stands beside."""
    at = {"ended_at": timezone.now()} if state == "failed" else {}
    told = {"handoff": of.handoff, "model": of.model, "version": of.version, "environment": of.environment}
    return Deployment.objects.create(
        state=state, digest=of.digest, order=next_order(), ordered_by="test", **told | at | more
    )


def bystanders(of: Deployment) -> None:
    """Write orders that are under way where this one is not: of another model, elsewhere, and in another slot."""
    place = of.environment
    far = Environment.objects.create(
        slug="elsewhere", name="Elsewhere", kind="production", organisation=place.organisation, owner=place.owner,
        engine="production", python="3.11.7", packages={},
    )  # fmt: skip
    by_hand(of, "ordered", environment=far)
    by_hand(of, "ordered", slot="beside")
    by_hand(of, "ordered", model=building.a_place("third").model)


def over(of: Deployment, state: str) -> None:
    """End an order by hand."""
    Deployment.objects.filter(pk=of.pk).update(state=state, ended_at=timezone.now())


def story(on: Any, action: str) -> dict[str, Any]:
    """Return what the trail tells last of an act."""
    told = AuditEvent.objects.filter(subject=f"{on._meta.model_name}:{on.pk}", action=action).latest("seq")
    found: dict[str, Any] = json.loads(told.body)
    return found


# To the version before


def test_a_worker_goes_back_for_the_handoff_whose_work_it_took(place: Place) -> None:
    beside = building.a_place("beside")
    live(place)
    second = live(place, 2)
    live(beside)
    theirs_second = live(beside, 2)
    order = back(place, second)
    theirs = back(beside, theirs_second)
    job, plan = begun(second)
    assert isinstance(plan, DeployPlan)
    assert plan.previous is not None
    assert (plan.model, plan.version, plan.previous.version, plan.fence) == ("tumours", "1", "2", job.fence)
    order.refresh_from_db()
    assert (order.order, story(job, "job.claimed")["data"]) == (
        job.fence, {"purpose": job.purpose, "attempt": 1, "fence": job.fence, "rests_on": "approval"},
    )  # fmt: skip
    rollbacks.finish(job.pk, job.fence, DONE, actor=WORKER)
    order.refresh_from_db()
    theirs.refresh_from_db()
    job.refresh_from_db()
    second.refresh_from_db()
    assert (order.state, order.log, theirs.state, job.error) == ("live", list(STEPS), "ordered", "")
    assert (second.state, order.handoff.state) == (State.ROLLED_BACK, State.LIVE)
    because = f"version 1 was put back: {WHY}"
    assert story(order.handoff, "handoff.moved")["reason"] == because


@pytest.mark.parametrize("what", ["the order", "what it would end"])
def test_where_that_has_ended_meanwhile_there_is_nothing_to_go_back_for(place: Place, what: str) -> None:
    live(place)
    second = live(place, 2)
    order = back(place, second)
    if what == "the order":
        over(order, "failed")
    else:
        over(second.deployments.get(), "superseded")
    job, plan = begun(second)
    assert (plan, job.state, job.error) == (None, JobState.CANCELLED, "there is nothing to roll back any more")


def test_a_version_that_was_damaged_in_the_store_does_not_come_back(place: Place) -> None:
    first, second = live(place), live(place, 2)
    order = back(place, second)
    blob = first.version.elements.get(name="thresholds").blob_id
    default_storage.delete(path_of(blob))
    job, plan = begun(second)
    order.refresh_from_db()
    assert (plan, job.state, order.state, order.reason) == (
        None, JobState.REFUSED, "failed", f"The rollback was refused: {job.error}",
    )  # fmt: skip
    assert "the element thresholds in the store does not hash to" in job.error
    assert second.deployments.get().state == "live"


def test_a_version_whose_release_was_never_decided_does_not_come_back(place: Place) -> None:
    first, second = live(place), live(place, 2)
    order = back(place, second)
    with pgtrigger.ignore("handoff.Decision:append_only"):
        Decision.objects.filter(handoff=first, gate="release").delete()
    Decision.objects.create(handoff=first, gate="release", taken_by="Otto", opened=False, facts={}, result={})
    assert Decision.objects.filter(handoff=first, gate="review", opened=True).exists()
    job, plan = begun(second)
    order.refresh_from_db()
    assert (plan, job.error, order.state) == (None, "its release was never decided", "failed")


@pytest.mark.parametrize(("report", "restores"), [(SILENT, 1), (DOWN, 0)])
def test_a_rollback_that_failed_leaves_what_is_live_and_is_put_right_where_nobody_knows(
    place: Place, report: DeployReport, restores: int
) -> None:
    live(place)
    second = live(place, 2)
    failed = back(place, second)
    job, _ = begun(second)
    rollbacks.finish(job.pk, job.fence, DOWN, actor=WORKER)
    order = back(place, second)
    job, _ = begun(second)
    rollbacks.finish(job.pk, job.fence, report, actor=WORKER)
    order.refresh_from_db()
    failed.refresh_from_db()
    job.refresh_from_db()
    second.refresh_from_db()
    assert (order.state, order.reason, order.log) == ("failed", report.summary, list(STEPS))
    assert (failed.reason, job.error, second.state) == (DOWN.summary, report.summary, State.LIVE)
    assert second.jobs.filter(purpose=f"restore:{job.fence}", state="queued").count() == restores
    assert second.jobs.filter(purpose__startswith="restore").count() == restores


# What the records say is put back


def test_after_an_order_that_nobody_knows_the_end_of_what_is_live_is_put_back(place: Place) -> None:
    live(place)
    failed = live(place, 2, report=SILENT)
    assert (failed.state, latest(failed).state) == (State.READY, "failed")
    beside = live(building.a_place("beside"), 3)
    by_hand(latest(beside), "failed")  # a newer one
    bystanders(latest(failed))
    job, plan = begun(failed)
    assert isinstance(plan, RestorePlan)
    assert plan.wanted is not None
    assert (plan.unwanted, plan.wanted.version, plan.fence, plan.model) == ("2", "1", job.fence, "tumours")
    assert story(job, "job.claimed")["data"] == {"purpose": job.purpose, "attempt": 1, "fence": job.fence}
    rollbacks.finish(job.pk, job.fence, DONE, actor=WORKER)
    job.refresh_from_db()
    assert (job.state, job.error, rollbacks.restores_due()) == (JobState.DONE, "", [])


def test_where_nothing_was_live_nothing_is_put_back(place: Place) -> None:
    failed = live(place, report=SILENT)
    _, plan = begun(failed)
    assert (plan.unwanted, plan.wanted) == ("1", None)


def test_after_a_rollback_that_nobody_knows_the_end_of_what_is_live_is_put_back(place: Place) -> None:
    live(place)
    second = live(place, 2)
    back(place, second)
    job, _ = begun(second)
    rollbacks.finish(job.pk, job.fence, SILENT, actor=WORKER)
    _, plan = begun(second)
    assert (plan.unwanted, plan.wanted.version) == ("1", "2")


@pytest.mark.parametrize("what", ["nothing failed", "another is under way"])
def test_what_was_put_right_or_ordered_later_is_left_alone(place: Place, what: str) -> None:
    live(place)
    second = live(place, 2)
    asked(second, "restore:1")
    if what == "another is under way":
        by_hand(latest(second), "failed")
        by_hand(latest(second), "ordered")
    job, plan = begun(second)
    assert (plan, job.state, job.error) == (
        None, JobState.CANCELLED, "what is deployed there now was ordered later",
    )  # fmt: skip


def let_pass(**ago: float) -> None:
    """Let time pass since every attempt so far."""
    Job.objects.filter(ended_at__isnull=False).update(ended_at=F("ended_at") - timedelta(**ago))


def ended(job: Job, state: JobState, error: str) -> None:
    """Let a job have ended now."""
    Job.objects.filter(pk=job.pk).update(state=JobState.RUNNING, lease_until=timezone.now())
    Job.objects.filter(pk=job.pk).update(state=state, ended_at=timezone.now(), error=error)


def attempts(handoff: Handoff, number: int) -> None:
    """Let so many attempts to put something back have ended now."""
    for one in range(1, number + 1):
        ended(asked(handoff, "restore:7" if one == 1 else f"restore:7:{one}"), JobState.DEAD, "out of reach")


@pytest.mark.parametrize(("number", "minutes"), [(1, 1), (2, 2), (4, 8), (6, 32), (7, 60), (12, 60)])
def test_the_pauses_between_attempts_double_up_to_an_hour(place: Place, number: int, minutes: int) -> None:
    handoff, other = live(place), live(building.a_place("beside"))
    queue.enqueue(handoff, gate="release", task=queue.ROLL_BACK, purposes=["restore:5", "restore:5:2"])  # before
    Job.objects.filter(purpose__startswith="restore:5").update(state=JobState.CANCELLED, ended_at=timezone.now())
    attempts(handoff, number)
    asked(handoff, "unload:1")  # newer, and of another kind
    asked(other, "restore:7")
    let_pass(minutes=minutes - 0.5)
    assert (rollbacks.restores_due(), again(handoff)) == ([], None)
    let_pass(minutes=0.6)
    assert rollbacks.restores_due() == [handoff.pk]
    job = again(handoff)
    assert job is not None
    assert (job.purpose, job.handoff_id, job.task) == (f"restore:7:{number + 1}", handoff.pk, queue.ROLL_BACK)
    told = story(job, "job.queued")
    assert (told["data"], again(handoff), rollbacks.restores_due()) == ({"purpose": job.purpose}, None, [])


def again(handoff: Handoff) -> Job | None:
    return rollbacks.restore_again(actor=WORKER, handoff_id=handoff.pk)


@pytest.mark.parametrize(
    ("state", "error", "due"),
    [
        (JobState.DONE, "out of reach", True),
        (JobState.DEAD, "out of reach", True),
        (JobState.DONE, "", False),
        (JobState.CANCELLED, "it was ordered later", False),
    ],
)
def test_only_an_attempt_that_failed_is_tried_again(place: Place, state: JobState, error: str, due: bool) -> None:
    handoff = live(place)
    attempts(handoff, 1)
    ended(asked(handoff, "restore:7:2"), state, error)
    let_pass(hours=2)
    assert rollbacks.restores_due() == ([handoff.pk] if due else [])
    assert (again(handoff) is not None) is due
    assert again(live(building.a_place("beside"))) is None, "nothing was ever put back there"


# A canary that is refused


def test_a_canary_gives_way_for_the_reason_that_was_given(place: Place) -> None:
    live(place)
    canary = live(place, 2, confirm=True)
    assert canary.state == State.CONFIRMING
    of = latest(canary)
    job = deployments.roll_back(actor=Person(place.otto, "test"), deployment_id=of.pk, reason=WHY)
    assert job.purpose == "refused"
    job, plan = begun(canary)
    assert (plan.unwanted, plan.wanted.version) == ("2", "1")
    rollbacks.finish(job.pk, job.fence, DOWN, actor=WORKER)
    of.refresh_from_db()
    canary.refresh_from_db()
    assert (of.state, of.ended_at, of.log[-1], canary.state) == ("confirming", None, STEPS[0], State.CONFIRMING)
    queue.enqueue(canary, gate="confirm", task=queue.ROLL_BACK, purposes=["refused:2"])
    job, _ = begun(canary)
    rollbacks.finish(job.pk, job.fence, DONE, actor=WORKER)
    of.refresh_from_db()
    canary.refresh_from_db()
    assert (of.state, of.reason, of.ended_at is None, len(of.log)) == ("rolled_back", WHY, False, 3)
    assert canary.state == State.RETURNED
    event = story(of, "deployment.rolled_back")
    assert (event["reason"], event["data"]) == (WHY, {"version": 2, "order": of.order})


@pytest.mark.parametrize("when", ["before", "meanwhile"])
def test_a_canary_that_ended_otherwise_is_not_taken_back(place: Place, when: str) -> None:
    canary = live(place, confirm=True)
    of = latest(canary)
    deployments.roll_back(actor=Person(place.otto, "test"), deployment_id=of.pk, reason=WHY)
    if when == "before":
        over(of, "failed")
        job, plan = begun(canary)
        assert (plan, job.state) == (None, JobState.CANCELLED)
        return
    job, _ = begun(canary)
    over(of, "failed")
    rollbacks.finish(job.pk, job.fence, DONE, actor=WORKER)
    of.refresh_from_db()
    canary.refresh_from_db()
    assert (of.state, canary.state) == ("failed", State.CONFIRMING)


def test_a_handoff_that_moved_on_is_not_returned_by_a_late_answer(place: Place) -> None:
    canary = live(place, confirm=True)
    of = latest(canary)
    deployments.roll_back(actor=Person(place.otto, "test"), deployment_id=of.pk, reason=WHY)
    job, _ = begun(canary)
    Handoff.objects.filter(pk=canary.pk).update(state=State.LIVE)
    rollbacks.finish(job.pk, job.fence, DONE, actor=WORKER)
    of.refresh_from_db()
    canary.refresh_from_db()
    assert (of.state, canary.state) == ("confirming", State.LIVE)


# Taken out, so that nothing is served


def test_what_is_taken_out_is_rolled_back_unless_its_day_to_retire_has_come(place: Place) -> None:
    handoff = live(place)
    of = handoff.deployments.get()
    proof = Reauthentication.objects.create(person=place.otto, method="password", expires_at=timezone.now())
    plan = Retirement.objects.create(
        deployment=of, planned_by=place.otto, reason="Old.", due_at=timezone.now() + timedelta(days=3),
        reauthentication=proof,
    )  # fmt: skip
    by_hand(of, "failed")  # a newer order that came to nothing
    bystanders(of)
    asked(handoff, "unload:1")
    job, order = begun(handoff)
    assert (order.unwanted, order.wanted) == ("1", None)
    assert story(job, "job.claimed")["data"] == {"purpose": "unload:1", "attempt": 1, "fence": job.fence}
    rollbacks.finish(job.pk, job.fence, DONE, actor=WORKER)
    of.refresh_from_db()
    handoff.refresh_from_db()
    plan.refresh_from_db()
    because = "it was taken out, and there was no earlier version to go back to"
    assert (of.state, of.reason, handoff.state, plan.ending) == (
        "rolled_back", because, State.ROLLED_BACK, "superseded",
    )  # fmt: skip
    assert of.log[-1] == STEPS[0]


@pytest.mark.parametrize("when", ["before", "meanwhile", "nobody reached the engine"])
def test_what_another_version_took_the_place_of_is_not_taken_out(place: Place, when: str) -> None:
    handoff = live(place)
    of = handoff.deployments.get()
    by_hand(of, "failed")
    asked(handoff, "unload:1")
    if when == "before":
        over(of, "superseded")
        job, plan = begun(handoff)
        assert (plan, job.state) == (None, JobState.CANCELLED)
        return
    job, _ = begun(handoff)
    if when == "meanwhile":
        over(of, "superseded")
    rollbacks.finish(job.pk, job.fence, DONE if when == "meanwhile" else DOWN, actor=WORKER)
    of.refresh_from_db()
    handoff.refresh_from_db()
    assert (of.state, handoff.state) == ("superseded" if when == "meanwhile" else "live", State.LIVE)
