"""Orders of runs over streams without an engine: which runs are started and stopped, and whose record tells it."""

import json
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from audit.actors import Person, Worker
from audit.models import AuditEvent
from handoff import queue
from handoff.leases import next_order
from handoff.models import Deployment, Job, Run
from handoff.plans import RunPlan, RunReport
from handoff.services import jobs, runs
from handoff.states import JobState, RunState
from models_registry.models import Environment
from models_registry.services import streams
from tests.handoff import amending, batching, building
from tests.handoff.building import Place
from tests.handoff.stopping import suspended

pytestmark = pytest.mark.django_db
WORKER = Worker("worker")
REQUESTS = {"mode": "request_reply"}
GOING = {"state": "running", "counts": {"read": 3}}
STEPS = ({"step": "start", "ok": True},)


@pytest.fixture
def place(db: None, store: Any, settings: Any) -> Place:
    """Return a place with streams; its engine is played by the tests."""
    settings.ENGINE_URLS = {"production": "http://engine.example"}
    return amending.streamed(building.a_place())


def beside() -> Place:
    """Return another model in the same environment."""
    return building.a_place("beside")


def by_hand(of: Deployment, state: str, **more: Any) -> Deployment:
    """Write another order of the same handoff, as it would have ended."""
    at = {"live_at": timezone.now()} if state == "live" else {"ended_at": timezone.now()}
    told = {"handoff": of.handoff, "model": of.model, "version": of.version, "environment": of.environment}
    return Deployment.objects.create(
        state=state, digest=of.digest, order=next_order(), ordered_by="test", **told | at | more
    )


def elsewhere(place: Place) -> Environment:
    """Return another environment."""
    return Environment.objects.create(
        slug="elsewhere", name="Elsewhere", kind="production", organisation=place.target.organisation,
        owner=place.otto, engine="production", python="3.11.7", packages={},
    )  # fmt: skip


def ordered(deployment: Deployment) -> Job:
    """Return the newest order of a run that stands beside a deployment."""
    return deployment.handoff.jobs.filter(task=queue.RUN_STREAMS).latest("queued_at")


def claimed(job: Job) -> Job:
    found = jobs.claim(job.pk, "worker", task=queue.RUN_STREAMS)
    assert found is not None
    return found


def begun(deployment: Deployment) -> tuple[Job, RunPlan]:
    """Claim the order of a run, and return it with what the engine is to be told."""
    job = claimed(ordered(deployment))
    plan = runs.begin(job.pk, job.fence)
    assert plan is not None
    return job, plan


def answered(job: Job, plan: RunPlan, error: str = "", **more: Any) -> None:
    """Let the engine answer an order."""
    report = RunReport(STEPS, **{"state": {} if error else GOING, "error": error, **more})
    runs.finish(job.pk, job.fence, plan, report, actor=WORKER)


def running(*deployments: Deployment) -> None:
    """Let the engine have told that runs go."""
    Deployment.objects.filter(pk__in=[one.pk for one in deployments]).update(run=GOING)


def run_of(deployment: Deployment) -> dict[str, Any]:
    """Return what is kept of a run, without when it was told."""
    deployment.refresh_from_db()
    return {key: value for key, value in deployment.run.items() if key != "told_at"}


def moved_stream(place: Place) -> None:
    """Change what the handoffs of patients were signed with."""
    told = {"environment": "production", "stream": "patients", "descriptor": {**amending.OTHERS}}
    streams.change(actor=Person(place.otto, "test"), **told)


def event_of(deployment: Deployment) -> dict[str, Any]:
    """Return what the trail tells of the newest order of a run."""
    told = AuditEvent.objects.filter(subject=f"deployment:{deployment.pk}", action="run.ordered").latest("seq")
    found: dict[str, Any] = json.loads(told.body)
    return found


# What is ordered


def test_what_is_live_runs_and_all_that_ended_in_its_place_stops(place: Place) -> None:
    answering = amending.live(place, bindings=REQUESTS)
    first, second = amending.live(place, 2), amending.live(place, 3)
    failed = by_hand(first, "failed")
    for place_of in ({"environment": elsewhere(place)}, {"slot": "beside"}):  # where it does not run
        by_hand(first, "superseded", **place_of)
        by_hand(first, "live", **place_of)
    other = beside()
    amending.live(other)
    amending.live(other, 2)
    job, plan = begun(second)
    assert (plan.run, plan.stops) == (str(second.pk), (str(failed.pk), str(first.pk)))
    assert str(answering.pk) not in plan.stops
    assert (plan.job_id, plan.fence, plan.engine_url, plan.model) == (
        str(job.pk), job.fence, "http://engine.example", "tumours",
    )  # fmt: skip
    assert (plan.version, plan.digest, plan.remember) == ("3", second.digest, False)
    assert (plan.source["location"]["stream"], list(plan.sinks)) == ("patients", ["scores"])


def test_without_an_engine_nothing_is_ordered_and_the_job_says_why(place: Place, settings: Any) -> None:
    job = claimed(ordered(amending.live(place)))
    settings.ENGINE_URLS = {}
    assert runs.begin(job.pk, job.fence) is None
    job.refresh_from_db()
    assert (job.state, "no engine that we know" in job.error, "ENGINE_URLS" in job.error) == ("refused", True, True)


def test_what_only_answers_requests_stops_the_run_before_it_and_starts_none(place: Place) -> None:
    first = amending.live(place)
    second = amending.live(place, 2, bindings=REQUESTS)
    running(first)
    job, plan = begun(second)
    assert (plan.run, plan.stops, plan.remember) == ("", (str(first.pk),), False)
    answered(job, plan, state={})
    assert (run_of(first), run_of(second)) == ({**GOING, "state": "stopped"}, {})
    assert (event_of(second)["data"]["stopped"], event_of(second)["reason"]) == ([str(first.pk)], "")


def test_where_nothing_is_live_any_more_its_run_stops(place: Place) -> None:
    gone = amending.live(place)
    running(gone)
    Deployment.objects.filter(pk=gone.pk).update(state="retired", ended_at=timezone.now())
    job, plan = begun(gone)
    assert (plan.run, plan.stops) == ("", (str(gone.pk),))
    answered(job, plan, state={})
    assert run_of(gone) == {**GOING, "state": "stopped"}


def test_only_an_amendment_of_its_own_that_is_being_applied_holds_a_run_up(place: Place) -> None:
    other, live = amending.live(beside()), amending.live(place)
    amending.sign(amending.proposed(other, place.iris), place.iris)
    amending.sign(amending.proposed(live, place.otto), place.iris, decision="refuse", comment="No.")
    assert begun(live)[1].run == str(live.pk)


def test_a_stream_that_changed_starts_no_run_and_the_record_says_why(place: Place) -> None:
    live = amending.live(place)
    moved_stream(place)
    job, plan = begun(live)
    assert plan.run == ""
    answered(job, plan, state={})
    told = run_of(live)
    assert (told["state"], "descriptor of the stream patients changed" in told["error"]["message"]) == (
        "not started", True,
    )  # fmt: skip
    assert (event_of(live)["reason"], event_of(live)["data"]["state"]) == (told["error"]["message"], "not started")


def test_the_runs_of_batches_that_ended_are_stopped_and_no_other(place: Place) -> None:
    theirs = batching.started(batching.a_batch(beside()).runs.get())
    first = batching.a_batch(place)
    batching.ended(batching.started(first.runs.get()))
    run = batching.started(batching.on_demand(first, place.otto, "The ward asks."))
    second = batching.a_batch(place, batching.DAILY, number=2)
    running(first, theirs.deployment)
    job, plan = begun(second)
    assert (plan.run, plan.stops, plan.remember) == ("", (str(first.pk), str(run.pk)), True)
    answered(job, plan, stopped={str(run.pk): {"state": "stopped", "counts": batching.COUNTS}})
    run.refresh_from_db()
    theirs.refresh_from_db()
    assert (run.state, run.counts, run.why) == (
        RunState.STOPPED, batching.COUNTS, "The deployment is superseded; only what is live runs.",
    )  # fmt: skip
    assert (theirs.state, theirs.counts, run_of(theirs.deployment)) == (RunState.RUNNING, {}, GOING)
    assert (run_of(first), run_of(second)) == ({**GOING, "state": "stopped"}, {})


def test_a_batch_is_marked_by_its_run_and_what_ended_before_the_answer_stays(place: Place) -> None:
    first = batching.a_batch(place)
    run = batching.started(first.runs.get())
    second = batching.a_batch(place, batching.DAILY, number=2)
    job, plan = begun(second)
    running(first)
    over = batching.ended(run).why
    answered(job, RunPlan(plan.job_id, plan.fence, plan.engine_url, plan.model, (str(run.pk),)))
    run.refresh_from_db()
    assert (run.state, run.why, run_of(first)) == (RunState.FINISHED, over, {**GOING, "state": "stopped"})


def test_an_order_that_failed_ends_no_run_of_a_batch(place: Place) -> None:
    run = batching.started(batching.a_batch(place).runs.get())
    second = batching.a_batch(place, batching.DAILY, number=2)
    answered(*begun(second), error="It will not.")
    run.refresh_from_db()
    assert (run.state, run_of(second), event_of(second)["reason"]) == (RunState.RUNNING, {}, "It will not.")


# What is kept of it


def test_the_record_of_what_was_ordered_tells_how_it_goes(place: Place) -> None:
    silent = amending.live(place)
    first, second = amending.live(place, 2), amending.live(place, 3)
    other = amending.live(beside())
    running(first, other)
    job, plan = begun(second)
    answered(job, plan, state={**GOING, "odd": 1})
    assert run_of(second) == GOING
    assert (second.run["told_at"][:4], second.log[-1]) == (timezone.now().isoformat()[:4], STEPS[0])
    first.refresh_from_db()
    assert (first.run["state"], first.run["counts"], "told_at" in first.run) == ("stopped", {"read": 3}, True)
    assert (run_of(silent), run_of(other)) == ({}, GOING)
    job.refresh_from_db()
    assert (job.state, job.error) == (JobState.DONE, "")
    event = event_of(second)
    assert (event["reason"], event["data"]) == (
        "",
        {
            "run": str(second.pk), "stopped": [str(first.pk), str(silent.pk)], "state": "running", "order": job.fence,
        },
    )  # fmt: skip


def test_a_run_that_the_engine_refuses_has_failed_and_says_why(place: Place) -> None:
    live = amending.live(place)
    job, plan = begun(live)
    answered(job, plan, error="It is not here.")
    job.refresh_from_db()
    assert run_of(live) == {"state": "failed", "error": {"message": "It is not here."}}
    assert (job.state, job.error, event_of(live)["reason"]) == (JobState.DONE, "It is not here.", "It is not here.")


def test_a_late_order_of_an_older_version_starts_what_is_live_now(place: Place) -> None:
    first, second = amending.live(place), amending.live(place, 2)
    job, plan = begun(first)
    assert (plan.run, plan.version, plan.stops) == (str(second.pk), "2", (str(first.pk),))
    answered(job, plan)
    assert (run_of(first), run_of(second)) == ({}, GOING)


def test_an_order_is_told_of_its_own_deployment_where_nothing_runs(place: Place) -> None:
    first = amending.live(place)
    amending.live(place, 2, bindings=REQUESTS)
    moved_stream(place)
    amending.live(beside(), bindings=REQUESTS)  # the newest of all
    job, plan = begun(first)
    assert plan.run == ""
    answered(job, plan, state={})
    assert (run_of(first), event_of(first)["reason"]) == ({}, "")


def test_a_run_that_was_started_before_the_suspension_is_told_as_it_goes(place: Place) -> None:
    live = amending.live(place)
    job, plan = begun(live)
    suspended(live, place.otto)
    answered(job, plan)
    assert run_of(live) == GOING


def test_a_run_that_is_suspended_says_by_whom_and_a_batch_says_nothing(place: Place) -> None:
    amending.live(place)
    batch = batching.a_batch(place, batching.DAILY, number=2)
    suspended(batch, place.otto)
    answered(*begun(batch), state={})
    assert run_of(batch) == {}
    live = amending.live(beside())
    suspended(live, place.rita, "It is wrong.")
    answered(*begun(live), state={})
    assert run_of(live)["error"]["message"] == "The deployment is suspended by Rita: It is wrong."


# Orders that died, and what is looked at


def ended(job: Job, state: JobState = JobState.DEAD, **ago: int) -> None:
    """Let a job have ended, some time ago."""
    Job.objects.filter(pk=job.pk).update(state=JobState.RUNNING, lease_until=timezone.now())
    Job.objects.filter(pk=job.pk).update(state=state, ended_at=timezone.now() - timedelta(**ago))


def again(deployment: Deployment, **more: Any) -> Job | None:
    return runs.order_again(actor=WORKER, deployment_id=deployment.pk, **more)


def test_an_order_that_died_is_given_again_and_one_that_was_carried_out_if_the_run_is_lost(place: Place) -> None:
    live, other = amending.live(place), amending.live(beside())
    assert (again(live), again(live, lost=True)) == (None, None), "it waits for a worker"
    ended(ordered(live), minutes=2)
    suspended(live, place.otto)  # work of another kind
    job = again(live)
    assert job is not None
    assert (job.purpose, job.handoff_id, again(live)) == (f"streams:{live.order}:2", live.handoff_id, None)
    event = AuditEvent.objects.get(subject=f"job:{job.pk}", action="job.queued")
    assert json.loads(event.body)["data"] == {"purpose": job.purpose}
    ended(job, JobState.DONE)
    assert again(live) is None
    assert again(live, lost=True) is not None
    assert other.handoff.jobs.filter(task=queue.RUN_STREAMS).count() == 1


def test_only_what_is_live_is_ordered_again(place: Place) -> None:
    first, second = amending.live(place), amending.live(place, 2)
    answering = amending.live(beside(), bindings=REQUESTS)
    for one in (first, second):
        ended(ordered(one), minutes=2)
    assert again(first) is None
    assert again(answering, lost=True) is None, "no run of it was ever ordered"
    assert runs.dead() == [second.pk]


def test_an_order_is_dead_a_minute_after_the_newest_try(place: Place) -> None:
    late, other = amending.live(place), amending.live(beside())
    third = amending.live(building.a_place("third"))
    ended(ordered(late), minutes=2)
    ended(ordered(other), seconds=50)
    ended(ordered(third), JobState.DONE, minutes=2)
    suspended(late, place.otto)  # work of another kind, and newer
    assert runs.dead() == [late.pk]
    assert again(late) is not None
    assert runs.dead() == []
    ended(ordered(late), JobState.DONE, minutes=2)
    assert runs.dead() == []


def test_streams_that_are_live_are_looked_at_and_what_they_tell_is_kept(place: Place) -> None:
    first, live, other = amending.live(place), amending.live(place, 2), amending.live(beside())
    amending.live(building.a_place("third"), bindings=REQUESTS)
    batching.a_batch(building.a_place("fourth"))
    assert set(runs.going()) == {live, other}
    for one in (first, live):
        runs.keep(one.pk, {**GOING, "parts": [1], "letters": 2, "scores": 3, "error": {}, "name": "x"})
    assert run_of(live) == {**GOING, "parts": [1], "letters": 2, "scores": 3, "error": {}}
    assert (run_of(first), run_of(other), Run.objects.filter(deployment=live).count()) == ({}, {}, 0)
