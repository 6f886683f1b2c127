"""Runs of one batch beside those of another: each order, stop and answer concerns its own run, and no other."""

import json
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.utils import timezone

from audit.actors import Person, Worker
from audit.models import AuditEvent
from handoff import queue
from handoff.errors import Hidden, WrongState
from handoff.models import Deployment, Finding, Job, Run
from handoff.plans import RunReport
from handoff.services import batches, jobs, suspensions
from handoff.states import JobState, RunState
from tests.handoff import batching, building
from tests.handoff.batching import COUNTS, DAILY, MINUTELY, WORKER, a_batch, begun, claimed, ended, live_since, started
from tests.handoff.building import Place

pytestmark = pytest.mark.django_db
SCHEDULE = Worker("schedule")
WHY = "The ward asks."
STARTING = {"state": "starting", "counts": {"read": 1}}


@pytest.fixture
def place(db: None, store: Any, settings: Any) -> Place:
    """Return a model, its environments and its people; no test here calls the engine."""
    settings.ENGINE_URLS = {"production": "http://engine.example"}
    return building.a_place()


def due(deployment: Deployment) -> Run | None:
    return batches.run_due(actor=SCHEDULE, deployment_id=deployment.pk)


def on_demand(place: Place, deployment: Deployment) -> Run:
    return batching.on_demand(deployment, place.otto, WHY)


def stop(place: Place, deployment: Deployment, number: int = 1) -> Run:
    return batches.stop(actor=Person(place.otto, "test"), deployment_id=deployment.pk, number=number, reason=f" {WHY} ")


def beside(schedule: dict[str, str] | None = None) -> Deployment:
    """Return a batch of another model that is live in the same environment."""
    return a_batch(building.a_place("beside"), schedule)


def suspended(deployment: Deployment) -> None:
    Finding.objects.create(
        handoff=deployment.handoff, items={"tools.python": "python moved"}, severity="high", suspends=True,
        due_at=timezone.now(),
    )  # fmt: skip


def died(job_id: Any, **ago: int) -> None:
    """Let a job be out of attempts, some time ago."""
    Job.objects.filter(pk=job_id).update(state=JobState.RUNNING, lease_until=timezone.now())
    Job.objects.filter(pk=job_id).update(state=JobState.DEAD, ended_at=timezone.now() - timedelta(**ago))


def lost(run: Run) -> Run:
    """Order a running run anew, which its engine has lost."""
    assert batches.order_again(actor=WORKER, run_id=run.pk, lost=True) is not None
    run.refresh_from_db()
    return run


def row(run: Run) -> dict[str, Any]:
    """Return all that is kept of a run."""
    return Run.objects.values().get(pk=run.pk)


# Schedules


def test_a_due_time_is_answered_for_by_the_runs_of_the_batch_itself(place: Place) -> None:
    deployment, other = a_batch(place, DAILY), beside(DAILY)
    live_since(deployment, days=3)
    live_since(other, days=3)
    assert due(other) is not None
    assert batches.due_now() == [deployment.pk]
    run = due(deployment)
    assert run is not None
    assert (run.deployment, run.number, run.missed) == (deployment, 1, 2)


def test_a_schedule_ends_with_its_deployment_and_leaves_no_record(place: Place) -> None:
    first = a_batch(place, DAILY)
    a_batch(place, DAILY, number=2)
    live_since(first, days=9)
    assert (batches.due_now(), due(first), first.runs.count()) == ([], None, 0)


def test_why_nothing_starts_goes_before_the_run_that_is_under_way(place: Place) -> None:
    deployment = a_batch(place, MINUTELY)
    started(on_demand(place, deployment))
    suspended(deployment)
    live_since(deployment, minutes=5)
    skipped = due(deployment)
    assert skipped is not None
    assert (skipped.state, skipped.why) == (RunState.SKIPPED, "The approval is suspended: python moved.")


# Stopping


def test_a_stop_is_of_one_run_of_one_deployment(place: Place) -> None:
    other = beside()
    deployment = a_batch(place)
    theirs = started(other.runs.get())
    waiting = row(on_demand(place, a_batch(building.a_place("third"), DAILY)))
    before = row(theirs)
    ended(started(deployment.runs.get()))
    run = started(on_demand(place, deployment))
    asked = stop(place, deployment, 2)
    run.refresh_from_db()
    assert (asked.pk, run.stopped_by, run.why, run.state) == (run.pk, place.otto, WHY, RunState.RUNNING)
    assert run.job is not None
    assert run.job.state == JobState.DONE, "an order that was carried out stays so"
    assert run.stop_job is not None
    assert run.stop_job.purpose == f"stop:{deployment.order}:2:1"
    assert (row(theirs), Run.objects.values().get(pk=waiting["id"])) == (before, waiting)
    assert Job.objects.get(pk=waiting["job_id"]).state == JobState.QUEUED
    with pytest.raises(Hidden, match=r"There is no such run\."):
        stop(place, other, 2)
    for wanted in (uuid4(), other.handoff_id):
        with pytest.raises(Hidden, match=r"There is no such deployment\."):
            batches.stop(actor=Person(place.otto, "test"), deployment_id=wanted, number=1, reason=WHY)


def test_a_run_that_no_worker_ever_tried_ends_with_its_stop(place: Place) -> None:
    run = stop(place, a_batch(place))
    assert (run.state, run.stopped_by, run.why) == (RunState.STOPPED, place.otto, WHY)
    run.refresh_from_db()
    assert (run.state, run.stopped_by, run.why, run.stop_job) == (RunState.STOPPED, place.otto, WHY, None)
    assert run.job is not None
    assert run.job.ended_at is not None


def test_a_run_that_a_worker_tried_may_be_at_the_engine_and_is_stopped_there(place: Place) -> None:
    deployment = a_batch(place)
    run = deployment.runs.get()
    job = claimed(run.job)
    jobs.release(job.pk, job.fence, "The engine fell silent.")
    stop(place, deployment)
    run.refresh_from_db()
    job.refresh_from_db()
    assert (run.state, job.state) == (RunState.ORDERED, JobState.CANCELLED)
    _, plan = begun(run.stop_job)
    assert plan.stops == (str(run.pk),)


def test_a_stop_that_is_asked_again_is_another_order(place: Place) -> None:
    deployment, other = a_batch(place), beside()
    theirs = started(other.runs.get())
    before = row(theirs)
    run = started(deployment.runs.get())
    stop(place, deployment)
    run.refresh_from_db()
    job, plan = begun(run.stop_job)
    batches.finish(job.pk, job.fence, plan, RunReport((), {}, "It will not."), actor=WORKER)
    stop(place, deployment)
    run.refresh_from_db()
    assert run.stop_job is not None
    assert run.stop_job.purpose == f"stop:{deployment.order}:1:2"
    assert row(theirs) == before


def test_what_was_stopped_after_its_end_is_told_as_it_ended(place: Place) -> None:
    deployment = a_batch(place)
    run = started(deployment.runs.get())
    stop(place, deployment)
    run.refresh_from_db()
    job, plan = begun(run.stop_job)
    told = {str(run.pk): {"state": "finished", "counts": COUNTS}}
    batches.finish(job.pk, job.fence, plan, RunReport((), {}, stopped=told), actor=WORKER)
    run.refresh_from_db()
    assert (run.state, run.counts) == (RunState.FINISHED, COUNTS)


# The worker's part


def test_an_order_tells_the_run_and_its_version_and_numbers_no_other(place: Place) -> None:
    deployment, other = a_batch(place), beside()
    theirs = row(started(other.runs.get()))
    run = deployment.runs.get()
    job, plan = begun(run.job)
    assert (plan.version, plan.digest, plan.model, plan.engine_url) == (
        "1", deployment.digest, "tumours", "http://engine.example",
    )  # fmt: skip
    assert (plan.stops, plan.remember, list(plan.sinks)) == ((), False, ["gone"])
    batches.finish(job.pk, job.fence, plan, RunReport((), STARTING), actor=WORKER)
    run.refresh_from_db()
    assert (run.order, run.state, run.counts) == (job.fence, RunState.RUNNING, {"read": 1})
    assert run.began_at is not None
    assert Run.objects.values().get(pk=theirs["id"]) == theirs
    assert set(batches.going()) == {run, other.runs.get()}
    event = AuditEvent.objects.get(action="batch.started", subject=f"run:{run.pk}")
    assert json.loads(event.body)["data"] == {"number": 1, "order": job.fence}


def test_an_order_to_stop_a_run_that_has_ended_meanwhile_is_not_wanted(place: Place) -> None:
    deployment = a_batch(place)
    run = started(deployment.runs.get())
    stop(place, deployment)
    assert ended(run).state == RunState.FINISHED
    assert list(batches.going()) == []
    job = claimed(run.stop_job)
    assert batches.begin(job.pk, job.fence) is None
    job.refresh_from_db()
    assert (job.state, job.error) == (JobState.CANCELLED, "the run has ended")


def test_what_is_suspended_is_stopped_all_the_same(place: Place) -> None:
    deployment = a_batch(place)
    run = started(deployment.runs.get())
    stop(place, deployment)
    suspended(deployment)
    run.refresh_from_db()
    assert begun(run.stop_job)[1].stops == (str(run.pk),)


def test_without_an_engine_the_approval_is_told_first(place: Place, settings: Any) -> None:
    run = a_batch(place).runs.get()
    suspended(run.deployment)
    settings.ENGINE_URLS = {}
    job = claimed(run.job)
    assert batches.begin(job.pk, job.fence) is None
    run.refresh_from_db()
    assert (run.state, run.why) == (RunState.FAILED, "The approval is suspended: python moved.")


def test_a_running_run_that_may_not_be_ordered_anew_is_stopped_and_not_skipped(place: Place) -> None:
    run = lost(started(a_batch(place).runs.get()))
    suspended(run.deployment)
    job = claimed(run.job)
    assert batches.begin(job.pk, job.fence) is None
    run.refresh_from_db()
    job.refresh_from_db()
    assert (run.state, job.state, job.error) == (RunState.STOPPED, JobState.REFUSED, run.why)


def test_a_run_that_is_ordered_anew_keeps_when_it_began(place: Place) -> None:
    run = started(a_batch(place).runs.get())
    began = run.began_at
    assert began is not None
    assert (started(lost(run)).began_at, run.again) == (began, 1)


def test_an_answer_to_the_order_of_a_run_that_has_ended_changes_nothing(place: Place) -> None:
    run = lost(started(a_batch(place).runs.get()))
    job, plan = begun(run.job)
    over = row(ended(run))
    batches.finish(job.pk, job.fence, plan, RunReport((), STARTING), actor=WORKER)
    job.refresh_from_db()
    assert (row(run), job.state) == (over, JobState.DONE)


# What engines tell


def test_what_an_engine_tells_is_of_its_run_alone(place: Place) -> None:
    deployment, other = a_batch(place), beside()
    theirs = row(started(other.runs.get()))
    run = started(deployment.runs.get())
    error = {"code": "late", "message": "It waits."}
    batches.follow(run.pk, {"counts": {"read": 7}, "parts": [{"read": 7}], "error": error}, actor=WORKER)
    run.refresh_from_db()
    assert (run.counts, run.why) == ({"read": 7, "parts": [{"read": 7}]}, "It waits.")
    assert Run.objects.values().get(pk=theirs["id"]) == theirs
    assert ended(run).why == "", "it finished all the same"
    assert Run.objects.values().get(pk=theirs["id"]) == theirs


def test_while_it_is_being_stopped_nothing_more_is_kept_of_it(place: Place) -> None:
    deployment = a_batch(place)
    run = started(deployment.runs.get())
    stop(place, deployment)
    before = row(run)
    batches.follow(run.pk, {"state": "running", "counts": {"read": 9}}, actor=WORKER)
    assert row(run) == before


def test_only_a_run_that_an_engine_has_ends_by_its_word_and_once(place: Place) -> None:
    run = a_batch(place).runs.get()
    assert ended(run).state == RunState.ORDERED
    over = row(ended(started(run)))
    ended(run, "failed")
    assert row(run) == over


def test_an_end_that_nobody_knows_is_a_failure(place: Place) -> None:
    run = started(a_batch(place).runs.get())
    assert (ended(run, "gone", error={"code": "odd", "message": "It left."}).state, run.why) == (
        RunState.FAILED, "odd: It left.",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("who", "why"),
    [
        ("nobody", "Somebody stopped it at the engine."),
        ("a person", WHY),
        ("a suspension", "The deployment was suspended: It scores everybody as ill."),
    ],
)
def test_a_run_that_was_stopped_tells_why(place: Place, who: str, why: str) -> None:
    deployment = a_batch(place)
    run = started(deployment.runs.get())
    if who == "a person":
        stop(place, deployment)
    if who == "a suspension":
        told = {"deployment_id": deployment.pk, "reason": "It scores everybody as ill."}
        suspensions.suspend(actor=Person(place.otto, "test"), **told)
    assert (ended(run, "stopped").state, run.why, run.counts) == (RunState.STOPPED, why, COUNTS)


# Orders that died


def test_a_stop_that_died_is_ordered_anew_as_a_stop(place: Place) -> None:
    deployment, other = a_batch(place), beside()
    theirs = started(other.runs.get())
    run = started(deployment.runs.get())
    stop(place, deployment)
    run.refresh_from_db()
    first = run.job
    assert batches.order_again(actor=WORKER, run_id=run.pk) is None, "it waits for a worker"
    died(run.stop_job_id, minutes=2)
    assert batches.unordered() == [run.pk]
    job = batches.order_again(actor=WORKER, run_id=run.pk)
    assert job is not None
    assert job.purpose == f"stop:{deployment.order}:1:again:1"
    run.refresh_from_db()
    assert (run.stop_job, run.job, run.again) == (job, first, 1)
    theirs.refresh_from_db()
    assert (theirs.again, batches.unordered()) == (0, [])
    event = AuditEvent.objects.get(action="batch.ordered_again")
    assert json.loads(event.body)["data"] == {"number": 1, "purpose": job.purpose, "lost": False}
    assert begun(job)[1].stops == (str(run.pk),)


def test_a_run_that_has_ended_is_not_ordered_anew(place: Place) -> None:
    deployment = a_batch(place)
    run = started(deployment.runs.get())
    stop(place, deployment)
    run.refresh_from_db()
    died(run.stop_job_id, minutes=2)
    ended(run)
    assert batches.unordered() == []
    assert batches.order_again(actor=WORKER, run_id=run.pk) is None
    assert batches.order_again(actor=WORKER, run_id=run.pk, lost=True) is None


def test_a_run_is_asked_for_at_the_deployment_that_was_named(place: Place) -> None:
    deployment = a_batch(place, DAILY)
    other = beside(DAILY)  # the newer one
    run = on_demand(place, deployment)
    assert (run.deployment, other.runs.count(), run.reason) == (deployment, 0, WHY)
    with pytest.raises(WrongState) as refusal:
        on_demand(place, deployment)
    assert refusal.value.code == "under_way"
    with pytest.raises(Hidden, match=r"There is no such deployment\."):
        batches.run_now(actor=Person(place.otto, "test"), deployment_id=uuid4(), reason=WHY)
    assert deployment.handoff.jobs.filter(task=queue.RUN_BATCH).count() == 1
