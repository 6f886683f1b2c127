"""Suspensions beside others: each order, answer and lift concerns one, and what has ended or is confirmed rests."""

import json
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from audit.actors import Person, Worker
from audit.models import AuditEvent
from handoff import queue
from handoff.errors import Invalid, WrongState
from handoff.leases import next_order
from handoff.models import Deployment, Finding, Job, Run, Suspension
from handoff.plans import StopReport
from handoff.services import jobs, suspensions
from handoff.states import JobState, RunState
from tests.handoff import amending, batching, building
from tests.handoff.building import Place
from tests.handoff.stopping import STOPPER, WHY, answered, begun, lifted, suspended
from tests.queries import counting

pytestmark = pytest.mark.django_db
POLICY = Worker("policy")
HANGS = "The approval as Validator at the review gate hangs on a condition that was due on 1 May 2026: write it down"
DOWN = "The engine did not answer in time."


@pytest.fixture
def place(db: None, store: Any, settings: Any) -> Place:
    """Return a place with streams, whose people have passwords; its engine is played by the tests."""
    settings.ENGINE_URLS = {"production": "http://engine.example"}
    return amending.streamed(building.a_place())


@pytest.fixture
def live(place: Place) -> Deployment:
    """Return what is live over streams."""
    return amending.live(place)


@pytest.fixture
def other(live: Deployment) -> Deployment:
    """Return what is live of another model in the same environment, since later."""
    return amending.live(building.a_place("beside"))


def row(suspension: Suspension) -> dict[str, Any]:
    """Return all that is kept of a suspension."""
    return Suspension.objects.values().get(pk=suspension.pk)


def acts(deployment: Deployment) -> list[str]:
    """Return what the trail tells of a deployment that was stopped or goes on."""
    told = AuditEvent.objects.filter(subject=f"deployment:{deployment.pk}").order_by("seq")
    names = ("deployment.suspended", "deployment.not_stopped", "deployment.stopped", "deployment.suspension_lifted")
    found = told.filter(action__in=[*names, "deployment.resumed"]).values_list("action", flat=True)
    return [one.removeprefix("deployment.") for one in found]


def told_of(deployment: Deployment, action: str) -> dict[str, Any]:
    """Return the one event of an act, as it was written."""
    found: dict[str, Any] = json.loads(
        AuditEvent.objects.get(subject=f"deployment:{deployment.pk}", action=action).body
    )
    return found


# Reasons, and who is told what


def test_a_reason_has_one_to_two_thousand_characters(place: Place, live: Deployment) -> None:
    for reason, words in ((" ", "is empty"), ("x" * 2001, "has more than 2000 characters")):
        with pytest.raises(Invalid) as refusal:
            suspended(live, place.otto, reason)
        assert refusal.value.fields == {"reason": words}
    suspension = suspended(live, place.otto, f" {'x' * 2000} ")
    assert (suspension.reason, suspension.deployment, suspension.is_open) == ("x" * 2000, live, True)
    with pytest.raises(Invalid) as refusal:
        lifted(live, place.otto, "x" * 2001)
    assert refusal.value.fields == {"reason": "has more than 2000 characters"}


def test_a_lift_starts_to_count_anew_and_is_on_the_trail(place: Place, live: Deployment, other: Deployment) -> None:
    theirs = row(suspended(other, place.otto))
    suspension = answered(suspended(live, place.otto), DOWN)
    assert (suspension.tries, suspension.error) == (1, DOWN)
    found = lifted(live, place.otto, " It is well. ")
    assert (found.pk, found.ending, found.lift_reason, found.tries, found.error) == (
        suspension.pk, "lifted", "It is well.", 0, "",
    )  # fmt: skip
    assert row(found)["lift_reason"] == "It is well."
    event = told_of(live, "deployment.suspension_lifted")
    assert (event["reason"], event["data"]) == (
        "It is well.", {"version": 1, "order": found.lift_order, "confirmed": "password"},
    )  # fmt: skip
    assert Suspension.objects.values().get(pk=theirs["id"]) == theirs


def test_that_an_engine_has_not_confirmed_is_told_once_and_counted(place: Place, live: Deployment) -> None:
    suspension = suspended(live, place.otto)
    for tries in (1, 2, 3):
        answered(suspension, f"{DOWN} {tries}")
        assert (suspension.tries, suspension.error) == (tries, f"{DOWN} {tries}")
        job = suspensions.order_again(actor=STOPPER, suspension_id=suspension.pk)
        assert job is not None
        assert job.purpose == f"suspend:{suspension.order}:{tries + 1}"
    answered(suspension)
    assert (suspension.tries, suspension.error) == (0, "")
    lifted(live, place.otto)
    answered(suspension, DOWN)
    assert acts(live) == ["suspended", "not_stopped", "stopped", "suspension_lifted"]
    suspensions.order_again(actor=STOPPER, suspension_id=suspension.pk)
    answered(suspension)
    assert (suspension.tries, suspension.error, acts(live)[-1]) == (0, "", "resumed")
    assert told_of(live, "deployment.not_stopped")["reason"] == f"{DOWN} 1"
    assert told_of(live, "deployment.resumed")["data"] == {
        "version": 1, "order": suspension.lift_order, "runs": [],
    }  # fmt: skip


# The worker's part


def test_an_answer_is_of_the_suspension_whose_order_it_was(place: Place, live: Deployment, other: Deployment) -> None:
    theirs = suspended(other, place.otto)
    before = row(theirs)
    suspension = suspended(live, place.rita)
    Deployment.objects.filter(pk=other.pk).update(run={"state": "running"})
    _, plan = begun(suspension)
    assert (plan.model, plan.version, plan.digest, plan.order, plan.on, plan.engine_url) == (
        "tumours", "1", live.digest, suspension.order, True, "http://engine.example",
    )  # fmt: skip
    job = Job.objects.get(pk=suspension.job_id)
    suspensions.finish(job.pk, job.fence, plan, StopReport("", {str(live.pk): {}, str(other.pk): {}}), actor=STOPPER)
    suspension.refresh_from_db()
    other.refresh_from_db()
    assert suspension.stopped_at is not None
    assert (row(theirs), other.run, acts(other)) == (before, {"state": "running"}, ["suspended"])
    assert told_of(live, "deployment.stopped")["data"]["runs"] == sorted([str(live.pk), str(other.pk)])


def test_what_another_version_took_the_place_of_is_told_to_no_engine(place: Place, live: Deployment) -> None:
    suspension = suspended(live, place.otto)
    amending.live(place, 2)
    job = jobs.claim(str(suspension.job_id), "stopper", task=queue.STOP)
    assert job is not None
    assert suspensions.begin(job.pk, job.fence) is None
    job.refresh_from_db()
    assert (job.state, job.error) == (JobState.CANCELLED, "nobody needs it any more")


def test_an_answer_that_comes_after_another_version_changes_nothing(place: Place, live: Deployment) -> None:
    suspension = suspended(live, place.otto)
    job, plan = begun(suspension)
    amending.live(place, 2)
    before = row(suspension)
    suspensions.finish(job.pk, job.fence, plan, StopReport(DOWN), actor=STOPPER)
    job.refresh_from_db()
    assert (row(suspension), job.state, acts(live)) == (before, JobState.DONE, ["suspended"])


def test_what_is_confirmed_or_waits_for_a_worker_is_not_ordered_again(
    place: Place, live: Deployment, other: Deployment
) -> None:
    theirs = answered(suspended(other, place.otto), DOWN)
    suspension = suspended(live, place.otto)
    assert suspensions.order_again(actor=STOPPER, suspension_id=suspension.pk) is None
    answered(suspension)
    assert suspensions.order_again(actor=STOPPER, suspension_id=suspension.pk) is None
    job = suspensions.order_again(actor=STOPPER, suspension_id=theirs.pk)
    assert job is not None
    assert (job.handoff_id, job.purpose) == (other.handoff_id, f"suspend:{theirs.order}:2")


@pytest.mark.parametrize(("tries", "pause"), [(0, 1), (1, 1), (2, 2), (4, 8), (6, 32), (7, 60), (40, 60)])
def test_the_pauses_between_orders_double_up_to_a_minute(
    place: Place, live: Deployment, tries: int, pause: int
) -> None:
    suspension = answered(suspended(live, place.otto), DOWN)
    Suspension.objects.filter(pk=suspension.pk).update(tries=tries)
    for ago, expected in ((pause - 0.8, []), (pause + 0.1, [suspension.pk])):
        Job.objects.filter(pk=suspension.job_id).update(ended_at=timezone.now() - timedelta(seconds=ago))
        assert suspensions.unconfirmed() == expected


def test_nothing_is_told_again_of_what_is_confirmed_ended_or_waits(
    place: Place, live: Deployment, other: Deployment
) -> None:
    suspension = suspended(live, place.otto)
    assert suspensions.unconfirmed() == [], "it waits for a worker"
    answered(suspension)
    answered(suspended(other, place.otto), DOWN)
    lifted(other, place.otto)
    resumed = answered(other.suspensions.get(), DOWN)
    let_pauses_pass()
    assert suspensions.unconfirmed() == [resumed.pk]
    amending.live(building_of(other), 2)
    assert suspensions.unconfirmed() == []
    assert suspensions.order_again(actor=STOPPER, suspension_id=resumed.pk) is None


def let_pauses_pass() -> None:
    """Let every order have ended some minutes ago."""
    Job.objects.filter(task=queue.STOP, ended_at__isnull=False).update(ended_at=timezone.now() - timedelta(minutes=5))


def building_of(deployment: Deployment) -> Place:
    """Return the place of a deployment's model."""
    handoff = deployment.handoff
    people = {name: building.person(name) for name in ("dana", "vera", "otto", "iris", "rita")}
    return Place(handoff.model, handoff.source, handoff.target, people)


# Runs that rest, and go on


def test_of_the_runs_that_an_engine_stopped_those_of_the_batch_end(place: Place) -> None:
    theirs = batching.started(batching.a_batch(building.a_place("beside")).runs.get())
    batch = batching.a_batch(place)
    over = batching.ended(batching.started(batch.runs.get()))
    run = batching.started(batching.on_demand(batch, place.otto, "The ward asks."))
    Run.objects.filter(pk=run.pk).update(counts={"read": 1})
    before = list(Run.objects.exclude(pk=run.pk).order_by("pk").values())
    stopped = {str(one.pk): {"state": "stopped"} for one in (theirs, over, run)}
    suspension = answered(suspended(batch, place.otto), **stopped, by_hand={})
    run.refresh_from_db()
    assert (run.state, run.why, run.counts) == (
        RunState.STOPPED, f"The deployment was suspended: {WHY}", {"read": 1},
    )  # fmt: skip
    assert list(Run.objects.exclude(pk=run.pk).order_by("pk").values()) == before
    lifted(batch, place.otto)
    answered(suspension)
    assert not batch.handoff.jobs.filter(task=queue.RUN_STREAMS).exists(), "the next run waits for its time"


def test_a_run_that_the_engine_does_not_name_goes_on(place: Place) -> None:
    batch = batching.a_batch(place)
    run = batching.started(batch.runs.get())
    answered(suspended(batch, place.otto))
    run.refresh_from_db()
    assert run.state == RunState.RUNNING


def test_after_the_lift_the_run_over_streams_is_ordered_under_the_next_number(place: Place, live: Deployment) -> None:
    queue.enqueue(live.handoff, gate="live", task=queue.RUN_STREAMS, purposes=["streams:0:1"])  # of an older order
    suspension = answered(suspended(live, place.otto))
    lifted(live, place.otto)
    answered(suspension)
    job = live.handoff.jobs.filter(task=queue.RUN_STREAMS).latest("queued_at")
    assert job.purpose == f"streams:{live.order}:2"
    event = AuditEvent.objects.get(subject=f"job:{job.pk}", action="job.queued")
    assert json.loads(event.body)["data"] == {"purpose": job.purpose}


def test_what_only_answers_requests_has_no_run_to_order(place: Place) -> None:
    live = amending.live(place, bindings={"mode": "request_reply"})
    suspension = answered(suspended(live, place.otto))
    lifted(live, place.otto)
    answered(suspension)
    assert not live.handoff.jobs.filter(task=queue.RUN_STREAMS).exists()


# The policy


def under(place: Place, **more: str) -> Deployment:
    """Return what is live under a policy that stops what lapses, or under one that says something else."""
    policy = building.a_policy(("integrity",), **({"lapses": "stop"} | more))
    version = building.a_version(place, place.model.versions.count() + 1)
    handoff = building.open_review(place, building.offered(place, version, policy))
    return counting.deployed(building.open_release(place, building.tested(handoff)))


def finding(on: Deployment, kind: Finding.Kind = Finding.Kind.APPROVAL, **more: Any) -> Finding:
    told = {"subject": "approvals", "items": {"signoff.1": HANGS}, "severity": "high", "suspends": True} | more
    due = timezone.now() + timedelta(days=7)
    return Finding.objects.create(handoff=on.handoff, kind=kind, due_at=due, **told)


def stop_lapsed(on: Deployment) -> Suspension | None:
    return suspensions.stop_lapsed(actor=POLICY, handoff_id=on.handoff_id)


def closed(one: Finding) -> None:
    Finding.objects.filter(pk=one.pk).update(closed_at=timezone.now(), closing="resolved")


def over(on: Deployment) -> None:
    """Write an order of the same handoff that came to nothing, the newest."""
    Deployment.objects.create(
        handoff=on.handoff, model=on.model, version=on.version, environment=on.environment, digest=on.digest,
        order=next_order(), state="failed", ended_at=timezone.now(), ordered_by="test",
    )  # fmt: skip


def test_what_lapsed_is_listed_once_until_it_is_stopped(place: Place) -> None:
    live, other = under(place), under(building.a_place("beside"))
    over(live)
    closed(finding(other))
    finding(other, suspends=False, subject="aside")
    finding(other, Finding.Kind.EVIDENCE)
    assert list(suspensions.lapsed()) == []
    first, _ = finding(live), finding(live, Finding.Kind.WAIVER, subject="waivers")
    assert list(suspensions.lapsed()) == [live.handoff]
    suspension = stop_lapsed(live)
    assert suspension is not None
    assert (suspension.deployment, suspension.finding, suspension.reason) == (live, first, str(first))
    assert told_of(live, "deployment.suspended")["data"]["finding"] == str(first.pk)
    assert list(suspensions.lapsed()) == []
    assert stop_lapsed(live) is None, "it is stopped already"
    closed(first)
    lifted(live, place.otto)
    assert list(suspensions.lapsed()) == [live.handoff]
    again = stop_lapsed(live)
    assert again is not None
    assert again.finding != first


@pytest.mark.parametrize(
    ("_case", "kind", "more", "stops"),
    [
        ("a waiver that ended", Finding.Kind.WAIVER, {"items": {"waiver": "The waiver of the item ended."}}, True),
        ("one approval of two hangs on it", Finding.Kind.APPROVAL, {"items": {"a": "It ran out.", "b": HANGS}}, True),
        ("an approval that ran out", Finding.Kind.APPROVAL, {"items": {"a": "It ran out."}}, False),
        ("what suspends nothing", Finding.Kind.APPROVAL, {"suspends": False}, False),
        ("of another kind", Finding.Kind.EVIDENCE, {}, False),
    ],
)
def test_what_stops_is_a_waiver_that_ended_or_a_condition_that_is_overdue(
    _case: str, kind: Finding.Kind, more: dict[str, Any], stops: bool, place: Place
) -> None:
    live = under(place)
    under(building.a_place("beside"))
    over(live)
    found = finding(live, kind, **more)
    suspension = stop_lapsed(live)
    assert (suspension is not None) is stops
    assert [(one.deployment, one.finding) for one in Suspension.objects.all()] == ([(live, found)] if stops else [])


def test_a_finding_stops_once_and_not_what_it_was_closed_for_or_another_took_the_place_of(place: Place) -> None:
    live = under(place)
    found = finding(live)
    told = {"reason": str(found), "order": next_order(), "ending": "superseded", "ended_at": timezone.now()}
    Suspension.objects.create(deployment=live, finding=found, **told)
    assert stop_lapsed(live) is None, "it has stopped it before"
    closed(finding(live, Finding.Kind.WAIVER, subject="waivers"))
    assert stop_lapsed(live) is None
    finding(live, Finding.Kind.WAIVER, subject="another")
    under(place)
    assert stop_lapsed(live) is None, "another version took its place"
    assert live.suspensions.count() == 1


def test_a_canary_is_not_suspended(place: Place, live: Deployment) -> None:
    Deployment.objects.filter(pk=live.pk).update(state="superseded", ended_at=timezone.now())
    with pytest.raises(WrongState, match="A deployment that is superseded is not suspended") as refusal:
        suspensions.suspend(actor=Person(place.otto, "test"), deployment_id=live.pk, reason=WHY)
    assert refusal.value.code == "not_live"
