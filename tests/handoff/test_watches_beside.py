"""Watches, canaries and what is live beside others, without an engine: whose counts, limits and findings they are."""

import json
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from audit.actors import Worker
from audit.models import Account, AuditEvent
from handoff import queue
from handoff.executors.counting import Told
from handoff.models import Decision, Deployment, Finding, Handoff, Job, Return, Watch
from handoff.plans import Counted, DeployReport
from handoff.rules.watches import NOTHING
from handoff.services import canaries, deployments, jobs, monitoring, watches
from handoff.states import JobState, State
from models_registry.models import Environment
from tests.handoff import building, standing
from tests.handoff.building import Place
from tests.handoff.stopping import suspended

pytestmark = pytest.mark.django_db
ROBOT = Worker("watch")
CANARY = {"kind": "canary", "least_minutes": 5, "least_requests": 100}
LIMITS = {"most_p99_ms": 250, "most_silent_hours": 24, "most_unseen_minutes": 1440}
DOWN = Told(error="It is down.")


@pytest.fixture
def place(db: None, store: Any, settings: Any) -> Place:
    """Return a model, its environments and its people; no test here calls the engine."""
    settings.ENGINE_URLS = {"production": "http://engine.example"}
    return building.a_place()


def deployed(place: Place, number: int = 1, *, confirm: bool = False, **more: Any) -> Handoff:
    """Return a handoff that is live, or a canary, under a policy with more keys."""
    policy = building.a_policy(("integrity",), confirm=confirm, **more)
    version = building.a_version(place, number, latency_p99_ms=100 + number)
    handoff = building.open_review(place, building.offered(place, version, policy))
    return standing.deployed(building.open_release(place, building.tested(handoff)))


def canary(place: Place, number: int = 1) -> Handoff:
    return deployed(place, number, confirm=True, strategy=CANARY)


def of(handoff: Handoff) -> Deployment:
    return handoff.deployments.get()


def counted(statuses: dict[int, int], model: str = "tumours", *, began: float = 1.0) -> Told:
    """Return what an engine would tell of version 1 of a model."""
    scored = statuses.get(200, 0)
    return Told({(model, "1"): Counted(began, statuses, scored, (scored, *NOTHING[1:]))})


def kept(handoff: Handoff, told: Told, **ago: float) -> Watch:
    """Keep what an engine told some time ago."""
    watches.keep(of(handoff), told, asked_at=timezone.now() - timedelta(**ago))
    return Watch.objects.get(deployment=of(handoff))


# What is counted


def test_what_serves_is_watched_and_engines_are_asked_by_name(place: Place, settings: Any) -> None:
    first = deployed(place)
    second, other = deployed(place, 2), canary(building.a_place("beside"))
    assert set(watches.watched()) == {of(second), of(other)}
    assert of(first).state == "superseded"
    assert watches.engines() == {"production": "http://engine.example"}
    Environment.objects.filter(pk=place.target.pk).update(engine="unheard-of")
    assert watches.engines() == {"unheard-of": ""}


def test_a_watch_begins_with_the_first_look_that_was_answered(place: Place) -> None:
    handoff, other = deployed(place), deployed(building.a_place("beside"))
    watch = kept(handoff, DOWN, minutes=9)
    assert (watch.error, watch.seen_at, watch.last_at, watch.told) == ("It is down.", None, None, {})
    watch = kept(handoff, counted({200: 7}, "beside"), minutes=8)
    assert (watch.error, watch.seen_at) == ("The engine counts nothing of version 1.", None)
    asked = watch.asked_at
    watch = kept(handoff, counted({200: 7}), minutes=5)
    assert (watch.began_at, watch.asked_at, watch.error, watch.scored) == (watch.seen_at, watch.seen_at, "", 0)
    assert watch.began_at > asked
    began, last = watch.began_at, watch.last_at
    assert last is None, "what was counted before is no traffic of it"
    watch = kept(handoff, counted({200: 7}), minutes=4)
    assert (watch.began_at, watch.last_at) == (began, None)
    watch = kept(handoff, counted({200: 7, 422: 1}), minutes=3)
    assert (watch.last_at, watch.refused, watch.scored) == (watch.asked_at, 1, 0)
    watch = kept(handoff, counted({200: 10, 422: 1}), minutes=2)
    assert (watch.last_at, watch.refused, watch.scored, watch.failed) == (watch.asked_at, 1, 3, 0)
    last = watch.last_at
    watch = kept(handoff, DOWN, minutes=1)
    assert (watch.last_at, watch.error, watch.scored, watch.asked_at > last) == (last, "It is down.", 3, True)
    assert not Watch.objects.filter(deployment=of(other)).exists()


def test_a_long_error_is_kept_as_far_as_there_is_room(place: Place) -> None:
    assert kept(deployed(place), Told(error="x" * 501)).error == "x" * 500


def test_what_a_run_reads_is_traffic_too(place: Place) -> None:
    handoff = deployed(place)
    assert kept(handoff, counted({200: 0}), minutes=9).streamed == 0
    Deployment.objects.update(run={"state": "running", "counts": {"read": 5}})
    watch = kept(handoff, counted({200: 0}), minutes=8)
    assert (watch.streamed, watch.last_at) == (5, watch.asked_at)
    last = watch.last_at
    watch = kept(handoff, counted({200: 0}), minutes=7)
    assert (watch.streamed, watch.last_at) == (5, last)


def test_what_a_run_had_read_before_the_first_look_is_no_traffic(place: Place) -> None:
    handoff = deployed(place)
    Deployment.objects.update(run={"state": "running", "counts": {"read": 5}})
    watch = kept(handoff, counted({200: 0}))
    assert (watch.streamed, watch.last_at) == (5, None)


# What is live


def looked(handoff: Handoff) -> list[Finding]:
    return monitoring.look(actor=ROBOT, handoff_id=handoff.pk)


def test_a_limit_that_is_broken_is_a_finding_of_its_own_handoff(place: Place) -> None:
    handoff, other = deployed(place, monitoring=LIMITS), deployed(building.a_place("beside"), monitoring=LIMITS)
    plain = deployed(building.a_place("third"))
    due = timezone.now()
    Finding.objects.create(handoff=plain, kind="evidence", items={"a": "x"}, severity="low", suspends=False, due_at=due)
    for one, ago in ((handoff, 9), (other, 9), (handoff, 1)):
        slug = "tumours" if one == handoff else "beside"
        kept(one, counted({200: 100, 500: 9 if ago == 1 else 0}, slug), minutes=ago)
    assert set(monitoring.watched()) == {handoff, other}
    assert looked(other) == looked(plain) == []
    (finding,) = looked(handoff)
    assert (finding.handoff, finding.subject, finding.severity, finding.owner, finding.suspends) == (
        handoff, "monitoring:failed", "high", place.otto, False,
    )  # fmt: skip
    told = json.loads(AuditEvent.objects.get(action="finding.raised").body)["data"]
    assert (told["environment"], told["limit"]) == ("production", "failed")
    assert looked(handoff) == []
    assert Finding.objects.filter(kind="watch").count() == 1


def test_what_is_superseded_is_held_to_nothing_and_watched_until_its_findings_are_closed(place: Place) -> None:
    handoff = deployed(place, monitoring=LIMITS)
    kept(handoff, counted({200: 100}), minutes=9)
    kept(handoff, counted({200: 100, 500: 9}), minutes=1)
    (finding,) = looked(handoff)
    second = deployed(place, 2)
    assert list(monitoring.watched()) == [handoff]
    assert looked(handoff) == []
    finding.refresh_from_db()
    assert (finding.closing, list(monitoring.watched()), second.state) == ("resolved", [], State.LIVE)


def test_what_is_suspended_is_not_silent_and_who_left_owns_no_finding(place: Place) -> None:
    handoff, other = deployed(place, monitoring=LIMITS), deployed(building.a_place("beside"), monitoring=LIMITS)
    for one, slug in ((handoff, "tumours"), (other, "beside")):
        kept(one, counted({200: 100}, slug), hours=26)
        kept(one, counted({200: 100}, slug), minutes=1)
    suspended(of(handoff), place.rita)
    Account.objects.filter(pk=place.otto.pk).update(is_active=False)
    assert looked(handoff) == []
    (finding,) = looked(other)
    assert (finding.subject, finding.severity, finding.owner) == ("monitoring:silent", "medium", None)


# Canaries


def look(handoff: Handoff) -> Job | None:
    return canaries.look(actor=ROBOT, handoff_id=handoff.pk)


def due(handoff: Handoff, place: Place, model: str = "tumours") -> None:
    """Let a canary have run long enough, and be signed."""
    building.sign(handoff, "confirm", place.iris)
    kept(handoff, counted({200: 0}, model), minutes=6)
    kept(handoff, counted({200: 200}, model), seconds=1)


def test_only_canaries_that_nobody_takes_back_are_looked_at(place: Place) -> None:
    handoff, other = canary(place), canary(building.a_place("beside"))
    plain = deployed(building.a_place("third"), confirm=True)
    deployed(building.a_place("fourth"), confirm=False)
    assert plain.state == State.CONFIRMING
    assert set(canaries.watched()) == {handoff, other}
    Return.objects.create(handoff=other, reasons=["cost"], comment="Too dear.", returned_by=place.otto)
    assert list(canaries.watched()) == [handoff]
    assert (look(other), look(plain)) == (None, None)


def test_a_canary_that_is_due_is_confirmed_and_no_other(place: Place) -> None:
    other, handoff = canary(building.a_place("beside")), canary(place)
    kept(other, counted({200: 0}, "beside"), minutes=6)
    due(handoff, place)
    assert (look(other), other.jobs.filter(task=queue.CONFIRM).count()) == (None, 0)
    job = look(handoff)
    assert job is not None
    assert (job.handoff_id, job.purpose, job.gate) == (handoff.pk, "confirm", "confirm")
    decision = Decision.objects.filter(handoff=handoff, gate="confirm").latest("pk")
    told = json.loads(
        AuditEvent.objects.filter(chain=f"handoff:{handoff.pk}", action="gate.decided").latest("seq").body
    )
    assert (decision.opened, told["data"]["gate"], told["data"]["open"]) == (True, "confirm", True)
    assert "outputs" in told["data"]["requirements"]
    assert look(handoff) is None, "a worker has it in hand"


def test_work_of_another_kind_holds_no_canary_up(place: Place) -> None:
    handoff = canary(place)
    due(handoff, place)
    queue.enqueue(handoff, gate="live", task=queue.REPLAY, purposes=["replay:1"])
    job = look(handoff)
    assert job is not None
    assert job.task == queue.CONFIRM


def test_while_work_on_a_canary_is_under_way_it_is_left_alone(place: Place) -> None:
    handoff = canary(place)
    due(handoff, place)
    restore = queue.enqueue(handoff, gate="release", task=queue.ROLL_BACK, purposes=["restore:1"])[0]
    assert look(handoff) is None
    Job.objects.filter(pk=restore.pk).update(state=JobState.CANCELLED, ended_at=timezone.now())
    assert look(handoff) is not None
    watches.keep(of(handoff), counted({200: 200, 500: 99}), asked_at=timezone.now())
    assert (look(handoff), Return.objects.exists()) == (None, False), "a worker confirms it, and finds the gate shut"


def test_a_confirmation_that_did_not_come_about_waits_for_operations(place: Place) -> None:
    handoff = canary(place)
    due(handoff, place)
    job = look(handoff)
    assert job is not None
    claimed = jobs.claim(job.pk, "worker", task=queue.CONFIRM)
    assert claimed is not None
    assert deployments.begin(claimed.pk, claimed.fence) is not None
    report = DeployReport(False, "out of reach", (), "unreachable")
    deployments.finish(claimed.pk, claimed.fence, report, actor=ROBOT)
    assert look(handoff) is None
    assert handoff.jobs.filter(task=queue.CONFIRM).count() == 1
    assert handoff.jobs.get(task=queue.CONFIRM).state == JobState.DONE


def test_a_canary_whose_target_drifted_is_not_confirmed(place: Place) -> None:
    handoff = canary(place)
    due(handoff, place)
    Environment.objects.filter(pk=place.target.pk).update(python="3.9.1")
    before = Decision.objects.count()
    assert (look(handoff), Decision.objects.count()) == (None, before)
    assert not handoff.jobs.filter(task=queue.CONFIRM).exists()


def test_a_canary_that_breaks_a_limit_ends_with_its_figures_while_others_go_on(place: Place) -> None:
    other, handoff = canary(building.a_place("beside")), canary(place)
    for one, slug, failed in ((other, "beside", 0), (handoff, "tumours", 9)):
        kept(one, counted({200: 0}, slug), minutes=2)
        kept(one, counted({200: 20, 500: failed}, slug), seconds=1)
    assert (look(other), Return.objects.count()) == (None, 0)
    job = look(handoff)
    assert job is not None
    assert (job.purpose, job.handoff_id) == ("refused", handoff.pk)
    told = json.loads(AuditEvent.objects.get(action="handoff.returned").body)
    assert (told["data"]["reasons"], told["data"]["canary"]["failed"]) == (["performance"], 9)
    assert told["reason"].startswith("The canary is not within its limits: 31 % failed, 9 of 29")
