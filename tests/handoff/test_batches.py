"""Runs of batches as records: due, missed, skipped, on demand, stopped, lost, and never doubled or changed."""

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from django.db import DatabaseError, IntegrityError, connection, transaction
from django.utils import timezone
from rest_framework.test import APIClient

from audit.actors import Person, Worker
from audit.errors import Refused
from audit.models import AuditEvent
from handoff import queue, tasks
from handoff.errors import LeaseLost
from handoff.models import Deployment, Finding, Job, Run
from handoff.plans import RunReport
from handoff.services import batches, runs
from handoff.states import JobState, RunState
from models_registry.services import streams
from tests.handoff import batching, building
from tests.handoff.batching import DAILY, MINUTELY, WORKER, a_batch, begun, claimed, ended, live_since, started
from tests.handoff.building import Place
from tests.handoff.walking import client_of
from tests.queries.counting import deployed

pytestmark = pytest.mark.django_db(transaction=True)
SCHEDULE = Worker("schedule")
WHY = "The ward asks."


@pytest.fixture(autouse=True)
def _addressed(settings: Any) -> None:
    settings.ENGINE_URLS = {"production": "http://127.0.0.1:9"}


def due(deployment: Deployment) -> Run | None:
    return batches.run_due(actor=SCHEDULE, deployment_id=deployment.pk)


def on_demand(place: Place, deployment: Deployment) -> Run:
    return batching.on_demand(deployment, place.otto, WHY)


def told(run: Run) -> list[str]:
    return [event.action for event in AuditEvent.objects.filter(subject=f"run:{run.pk}").order_by("pk")]


def suspended(deployment: Deployment) -> Finding:
    return Finding.objects.create(
        handoff=deployment.handoff, items={"tools.python": "python moved"}, severity="high", suspends=True,
        due_at=timezone.now(),
    )  # fmt: skip


# Going live and schedules


def test_a_batch_without_a_schedule_runs_once_when_it_goes_live(place: Place) -> None:
    deployment = a_batch(place)
    run = deployment.runs.get()
    assert (run.number, run.cause, run.state, run.due_at) == (1, "went_live", "ordered", None)
    job, plan = begun(run.job)
    assert (plan.run, plan.keys, plan.tries) == (str(run.pk), f"{deployment.order}-1", batches.TRIES)
    assert list(plan.sinks) == ["gone"]
    batches.finish(job.pk, job.fence, plan, RunReport((), {"state": "starting", "counts": {}}), actor=WORKER)
    run.refresh_from_db()
    assert (run.state, run.order, run.ended_at) == ("running", job.fence, None)
    assert (ended(run).state, run.counts["rejected"], run.why) == ("finished", {"schema": 1}, "")
    assert told(run) == ["batch.ordered", "batch.started", "batch.ended"]
    assert not deployment.handoff.jobs.filter(task=queue.RUN_STREAMS).exists()
    assert batches.due_now() == []


def test_a_batch_with_a_schedule_waits_for_it_and_misses_nothing_but_old_times(place: Place) -> None:
    deployment = a_batch(place, DAILY)
    assert (deployment.runs.count(), batches.due_now(), due(deployment)) == (0, [], None)
    live_since(deployment, days=3)
    assert batches.due_now() == [deployment.pk]
    run = due(deployment)
    assert run is not None
    assert (run.cause, run.state, run.missed) == ("schedule", "ordered", 2)
    assert run.due_at is not None
    assert timezone.now() - run.due_at < timedelta(days=1)
    assert (batches.due_now(), due(deployment)) == ([], None)


def test_two_beats_at_once_order_one_run(place: Place) -> None:
    deployment = a_batch(place, DAILY)
    live_since(deployment, days=1)

    def beat(_: int) -> Run | None:
        try:
            return due(deployment)
        finally:
            connection.close()

    with ThreadPoolExecutor(4) as beats:
        found = list(beats.map(beat, range(4)))
    assert sum(run is not None for run in found) == 1
    assert deployment.runs.count() == 1
    assert deployment.handoff.jobs.filter(task=queue.RUN_BATCH).count() == 1


def test_the_task_of_the_beat_orders_what_is_due(place: Place) -> None:
    deployment = a_batch(place, DAILY)
    live_since(deployment, days=1)
    tasks.run_due()
    tasks.run_due()
    assert [run.cause for run in deployment.runs.all()] == ["schedule"]


def test_a_due_time_that_comes_while_a_run_goes_is_skipped_on_record(place: Place) -> None:
    deployment = a_batch(place, MINUTELY)
    first = started(on_demand(place, deployment))
    live_since(deployment, minutes=5)
    skipped = due(deployment)
    assert skipped is not None
    assert (skipped.number, skipped.state, skipped.why) == (2, "skipped", "Run 1 was still under way.")
    assert skipped.missed in (3, 4)
    assert (skipped.job, told(skipped)) == (None, ["batch.ended"])
    assert ended(first).state == "finished"
    assert due(deployment) is None  # that time is answered for


# Only what is live, approved and as it was signed


def test_a_suspended_approval_starts_no_run_and_says_so(place: Place) -> None:
    deployment = a_batch(place, DAILY)
    waiting = on_demand(place, deployment)
    finding = suspended(deployment)
    job = claimed(waiting.job)
    assert batches.begin(job.pk, job.fence) is None
    waiting.refresh_from_db()
    job.refresh_from_db()
    assert (waiting.state, job.state) == ("skipped", JobState.REFUSED)
    assert "suspended: python moved" in waiting.why
    live_since(deployment, days=1)
    skipped = due(deployment)
    assert skipped is not None
    assert (skipped.state, "suspended" in skipped.why) == ("skipped", True)
    with pytest.raises(Refused) as refusal:
        on_demand(place, deployment)
    assert refusal.value.code == "no_runs_now"
    page = client_of(place.otto).get(f"/deployments/{deployment.pk}/").content.decode()
    assert "The approval is suspended: python moved." in page
    Finding.objects.filter(pk=finding.pk).update(closed_at=timezone.now(), closing="resolved")
    assert on_demand(place, deployment).state == "ordered"


def test_a_stream_that_changed_since_it_was_signed_starts_no_run(place: Place) -> None:
    deployment = a_batch(place)
    otto = Person(place.otto, "test")
    moved = {"transport": "inline", "location": {"records": [{"radius": 2.0}]}}
    streams.change(actor=otto, environment="production", stream="days", descriptor=moved)
    run = deployment.runs.get()
    job = claimed(run.job)
    assert batches.begin(job.pk, job.fence) is None
    run.refresh_from_db()
    assert (run.state, "descriptor of the stream days changed" in run.why) == ("skipped", True)


def test_what_is_live_no_more_starts_none_and_its_run_is_stopped(place: Place) -> None:
    first = a_batch(place)
    going = started(first.runs.get())
    second = a_batch(place, DAILY, number=2)
    job = second.handoff.jobs.get(task=queue.RUN_STREAMS)
    taken = batching.jobs.claim(job.pk, "worker", task=queue.RUN_STREAMS)
    assert taken is not None
    plan = runs.begin(taken.pk, taken.fence)
    assert plan is not None
    assert (str(going.pk) in plan.stops, plan.run, plan.remember) == (True, "", True)
    stopped = {str(going.pk): {"state": "stopped", "counts": batching.COUNTS}}
    runs.finish(taken.pk, taken.fence, plan, RunReport((), {}, stopped=stopped), actor=WORKER)
    going.refresh_from_db()
    assert (going.state, going.counts["scored"]) == ("stopped", 2)
    assert "superseded" in going.why
    first.refresh_from_db()
    with pytest.raises(Refused, match="only what is live runs"):
        on_demand(place, first)
    live_since(first, days=9)
    assert due(first) is None


def test_a_run_that_waits_when_another_version_goes_live_is_skipped(place: Place) -> None:
    first = a_batch(place)
    a_batch(place, DAILY, number=2)
    run = first.runs.get()
    job = claimed(run.job)
    assert batches.begin(job.pk, job.fence) is None
    run.refresh_from_db()
    assert (run.state, "superseded" in run.why) == ("skipped", True)


def test_an_engine_without_an_address_fails_the_run(place: Place, settings: Any) -> None:
    run = a_batch(place).runs.get()
    settings.ENGINE_URLS = {}
    job = claimed(run.job)
    assert batches.begin(job.pk, job.fence) is None
    run.refresh_from_db()
    assert (run.state, "no engine that we know" in run.why) == ("failed", True)


# On demand and stopped, by every door


def by_service(place: Place, who: Any, deployment: Deployment, **more: Any) -> int:
    try:
        if "number" in more:
            batches.stop(actor=Person(who, "test"), deployment_id=deployment.pk, **more)
        else:
            batches.run_now(actor=Person(who, "test"), deployment_id=deployment.pk, **more)
    except Refused as refusal:
        return refusal.status
    return 200


def by_api(place: Place, who: Any, deployment: Deployment, **more: Any) -> int:
    client = APIClient()
    client.force_authenticate(who)
    act = f"{more['number']}/stop/" if "number" in more else ""
    answer = client.post(f"/api/v1/deployments/{deployment.pk}/runs/{act}", {"reason": more["reason"]}, format="json")
    return 200 if answer.status_code == 202 else int(answer.status_code)


def by_page(place: Place, who: Any, deployment: Deployment, **more: Any) -> int:
    act = f"runs/{more['number']}/stop/" if "number" in more else "run-now/"
    answer = client_of(who).post(f"/deployments/{deployment.pk}/{act}", {"reason": more["reason"]})
    return 200 if answer.status_code == 303 else int(answer.status_code)


Door = Callable[..., int]
DOORS = pytest.mark.parametrize("door", [by_service, by_api, by_page])


@DOORS
def test_only_it_operations_of_the_target_run_it_now_and_for_a_reason(place: Place, door: Door) -> None:
    deployment = a_batch(place, DAILY)
    events = AuditEvent.objects.count()
    for name, status in (("dana", 403), ("vera", 403), ("iris", 403), ("mallory", 404)):
        assert door(place, getattr(place, name), deployment, reason=WHY) == status
    assert door(place, place.otto, deployment, reason=" ") == 422
    assert (deployment.runs.count(), AuditEvent.objects.count()) == (0, events)
    assert door(place, place.otto, deployment, reason=WHY) == 200
    run = deployment.runs.get()
    assert (run.cause, run.asked_by, run.reason, run.state) == ("demand", place.otto, WHY, "ordered")
    event = AuditEvent.objects.get(action="batch.ordered")
    assert (event.actor_label, json.loads(event.body)["reason"]) == ("Otto", WHY)
    assert door(place, place.otto, deployment, reason=WHY) == 409
    assert deployment.runs.count() == 1


@DOORS
def test_only_it_operations_of_the_target_stop_it_and_for_a_reason(place: Place, door: Door) -> None:
    deployment = a_batch(place)
    run = started(deployment.runs.get())
    for name, status in (("dana", 403), ("iris", 403), ("mallory", 404)):
        assert door(place, getattr(place, name), deployment, number=1, reason=WHY) == status
    assert door(place, place.otto, deployment, number=9, reason=WHY) == 404
    assert door(place, place.otto, deployment, number=1, reason="") == 422
    run.refresh_from_db()
    assert (run.state, run.stop_job) == ("running", None)
    assert door(place, place.otto, deployment, number=1, reason=WHY) == 200
    assert door(place, place.otto, deployment, number=1, reason=WHY) == 409
    run.refresh_from_db()
    job, plan = begun(run.stop_job)
    assert (plan.stops, plan.run, plan.remember) == ((str(run.pk),), "", True)
    report = RunReport((), {}, stopped={str(run.pk): {"state": "stopped", "counts": batching.COUNTS}})
    batches.finish(job.pk, job.fence, plan, report, actor=WORKER)
    run.refresh_from_db()
    assert (run.state, run.stopped_by, run.why, run.counts["read"]) == ("stopped", place.otto, WHY, 3)
    assert told(run) == ["batch.ordered", "batch.started", "batch.stop_asked", "batch.ended"]
    assert door(place, place.otto, deployment, number=1, reason=WHY) == 409


def test_what_is_no_batch_has_no_runs(place: Place) -> None:
    version = building.a_version(place)
    handoff = building.open_review(place, building.offered(place, version, building.a_policy(("integrity",))))
    deployment = deployed(building.open_release(place, building.tested(handoff)))
    with pytest.raises(Refused) as refusal:
        on_demand(place, deployment)
    assert refusal.value.code == "no_batch"
    page = client_of(place.otto).get(f"/deployments/{deployment.pk}/").content.decode()
    assert "Run now" not in page
    assert not Run.objects.exists()


def test_a_run_that_no_worker_took_is_stopped_at_once(place: Place) -> None:
    deployment = a_batch(place)
    run = deployment.runs.get()
    batches.stop(actor=Person(place.otto, "test"), deployment_id=deployment.pk, number=1, reason=WHY)
    run.refresh_from_db()
    assert run.job is not None
    assert (run.state, run.job.state, run.why) == ("stopped", JobState.CANCELLED, WHY)
    assert run.job.error == "the run was stopped"
    assert batching.jobs.claim(run.job.pk, "worker", task=queue.RUN_BATCH) is None


def test_a_run_that_is_just_being_started_is_not_stopped(place: Place) -> None:
    deployment = a_batch(place)
    run = deployment.runs.get()
    job, plan = begun(run.job)
    with pytest.raises(Refused) as refusal:
        batches.stop(actor=Person(place.otto, "test"), deployment_id=deployment.pk, number=1, reason=WHY)
    assert refusal.value.code == "under_way"
    batches.finish(job.pk, job.fence, plan, RunReport((), {"state": "starting"}), actor=WORKER)
    batches.stop(actor=Person(place.otto, "test"), deployment_id=deployment.pk, number=1, reason=WHY)
    run.refresh_from_db()
    assert run.stop_job is not None


def test_a_stop_that_the_engine_refuses_can_be_asked_again(place: Place) -> None:
    deployment = a_batch(place)
    run = started(deployment.runs.get())
    for _ in range(2):
        batches.stop(actor=Person(place.otto, "test"), deployment_id=deployment.pk, number=1, reason=WHY)
        run.refresh_from_db()
        job, plan = begun(run.stop_job)
        batches.finish(job.pk, job.fence, plan, RunReport((), {}, "It will not."), actor=WORKER)
        run.refresh_from_db()
        assert (run.state, run.stop_job, run.why) == ("running", None, "It will not.")


# What the engine tells, and loses


def test_a_run_that_the_engine_refuses_or_gives_up_has_failed(place: Place) -> None:
    deployment = a_batch(place)
    run = deployment.runs.get()
    job, plan = begun(run.job)
    batches.finish(job.pk, job.fence, plan, RunReport((), {}, "It is not here."), actor=WORKER)
    run.refresh_from_db()
    assert (run.state, run.why) == ("failed", "It is not here.")
    other = started(on_demand(place, deployment))
    error = {"code": "target_missing", "message": "There is no file."}
    batches.follow(other.pk, {"state": "failed", "counts": {"read": 1}, "error": error, "ended": False}, actor=WORKER)
    other.refresh_from_db()
    assert (other.state, other.why, other.counts) == ("running", "There is no file.", {"read": 1})
    assert ended(other, "failed", error=error).why == "target_missing: There is no file."
    assert other.state == "failed"


def test_an_order_that_died_is_given_again_a_minute_later(place: Place) -> None:
    deployment = a_batch(place)
    run = deployment.runs.get()
    Job.objects.filter(pk=run.job_id).update(state=JobState.RUNNING, lease_until=timezone.now())
    Job.objects.filter(pk=run.job_id).update(state=JobState.DEAD, ended_at=timezone.now())
    assert batches.unordered() == []
    Job.objects.filter(pk=run.job_id).update(ended_at=timezone.now() - timedelta(minutes=2))
    tasks.watch_runs()
    tasks.watch_runs()
    run.refresh_from_db()
    assert (run.again, run.state) == (1, "ordered")
    assert run.job is not None
    assert run.job.state == JobState.QUEUED
    assert deployment.handoff.jobs.filter(task=queue.RUN_BATCH).count() == 2
    assert told(run)[-1] == "batch.ordered_again"


def test_a_lost_run_is_ordered_again_under_the_same_name_and_keys(place: Place) -> None:
    run = a_batch(place).runs.get()
    _, before = begun(run.job)
    Job.objects.filter(pk=run.job_id).update(state=JobState.DONE, ended_at=timezone.now())
    Run.objects.filter(pk=run.pk).update(state=RunState.RUNNING, began_at=timezone.now())
    assert batches.order_again(actor=WORKER, run_id=run.pk) is None
    assert batches.order_again(actor=WORKER, run_id=run.pk, lost=True) is not None
    assert batches.order_again(actor=WORKER, run_id=run.pk, lost=True) is None
    run.refresh_from_db()
    _, plan = begun(run.job)
    assert (plan.run, plan.keys, plan.fence > before.fence) == (before.run, before.keys, True)


def test_a_late_worker_changes_nothing(place: Place) -> None:
    run = a_batch(place).runs.get()
    job, plan = begun(run.job)
    with pytest.raises(LeaseLost):
        batches.finish(job.pk, job.fence - 1, plan, RunReport((), {"state": "running"}), actor=WORKER)
    run.refresh_from_db()
    assert run.state == "ordered"


def test_what_an_engine_tells_of_a_run_that_is_over_or_to_be_stopped_is_not_kept(place: Place) -> None:
    run, more = a_batch(place).runs.get(), {"state": "running", "counts": {"read": 7}}
    batches.follow(run.pk, more, actor=WORKER)
    run.refresh_from_db()
    assert (run.state, run.counts) == ("ordered", {})
    batches.follow(started(run).pk, more, actor=WORKER)
    run.refresh_from_db()
    assert (run.state, run.counts) == ("running", {"read": 7})
    over = ended(run).counts
    batches.follow(run.pk, more, actor=WORKER)
    run.refresh_from_db()
    assert (run.state, run.counts) == ("finished", over)


# The database's own net


def refused(act: Callable[[], Any], name: str) -> None:
    with pytest.raises((IntegrityError, DatabaseError), match=name), transaction.atomic():
        act()


def test_the_database_keeps_runs_apart_and_as_they_ended(place: Place) -> None:
    deployment = a_batch(place, DAILY)
    live_since(deployment, days=1)
    run = due(deployment)
    assert run is not None
    now = timezone.now()
    other = {"deployment": deployment, "number": 2, "cause": "schedule", "due_at": now}
    over = {"state": "skipped", "why": "x", "ended_at": now}
    refused(lambda: Run.objects.create(**other), "run_one_under_way")
    refused(lambda: Run.objects.create(**{**other, **over, "due_at": run.due_at}), "run_once_per_due_time")
    refused(lambda: Run.objects.create(**{**other, **over, "number": 1}), "run_number_once")
    refused(lambda: Run.objects.create(**{**other, **over, "why": ""}), "run_says_why")
    refused(lambda: Run.objects.create(**{**other, **over, "ended_at": None}), "run_ended_has_a_time")
    refused(lambda: Run.objects.create(**{**other, **over, "cause": "demand"}), "run_tells_its_cause")
    refused(lambda: Run.objects.create(**{**other, **over, "state": "gone"}), "run_ended_has_a_time|run_state_known")
    refused(lambda: Run.objects.filter(pk=run.pk).update(number=7), "Cannot update")
    refused(lambda: Run.objects.filter(pk=run.pk).delete(), "Cannot delete")
    ended(started(run))
    for change in ({"why": "x"}, {"counts": {}}, {"state": "running"}, {"ended_at": now}):
        refused(lambda change=change: Run.objects.filter(pk=run.pk).update(**change), "Cannot update|transition")  # type: ignore[misc]
    assert Run.objects.get() == run


# What is shown


def test_the_page_shows_the_runs_their_causes_and_what_is_due(place: Place) -> None:
    deployment = a_batch(place, DAILY)
    otto = client_of(place.otto)
    page = otto.get(f"/deployments/{deployment.pk}/").content.decode()
    for words in ("At 02:00 every day, Europe/Berlin", "Next run due", "in Europe/Berlin", "It has not run yet"):
        assert words in page
    for _ in range(11):
        ended(started(on_demand(place, deployment)))
    page = otto.get(f"/deployments/{deployment.pk}/").content.decode()
    for words in (f"Otto: {WHY}", "finished", "Page 1 of 2", f"/deployments/{deployment.pk}/runs/11/"):
        assert words in page
    assert "/runs/1/" not in page
    assert "/runs/1/" in otto.get(f"/deployments/{deployment.pk}/?page=2").content.decode()
    assert "every 5s" in otto.get(f"/deployments/{deployment.pk}/run/?page=2").content.decode()
    one = otto.get(f"/deployments/{deployment.pk}/runs/11/").content.decode()
    for words in ("Rejected: schema", "Delivered: gone", f"{deployment.order}-11/", "this record never changes"):
        assert words in one
    assert "Stop this run" not in one
    assert client_of(place.mallory).get(f"/deployments/{deployment.pk}/runs/11/").status_code == 404
    assert otto.get(f"/deployments/{deployment.pk}/runs/12/").status_code == 404
    started(on_demand(place, deployment))
    assert "Stop this run" in otto.get(f"/deployments/{deployment.pk}/runs/12/").content.decode()
    assert "Stop this run" not in client_of(place.dana).get(f"/deployments/{deployment.pk}/runs/12/").content.decode()


def test_the_api_tells_the_same(place: Place) -> None:
    deployment = a_batch(place, DAILY)
    ended(started(on_demand(place, deployment)))
    client = APIClient()
    client.force_authenticate(place.dana)
    listed = client.get(f"/api/v1/deployments/{deployment.pk}/runs/").json()["results"]
    one = client.get(f"/api/v1/deployments/{deployment.pk}/runs/1/").json()
    assert listed == [one]
    assert (one["state"], one["cause"], one["asked_by"], one["counts"]) == (
        "finished", "demand", "otto", batching.COUNTS,
    )  # fmt: skip
    assert client.get(f"/api/v1/deployments/{deployment.pk}/").json()["next_run_at"] > timezone.now().isoformat()[:19]
    assert client.get(f"/api/v1/deployments/{deployment.pk}/runs/2/").status_code == 404
    client.force_authenticate(place.mallory)
    assert client.get(f"/api/v1/deployments/{deployment.pk}/runs/").status_code == 404
