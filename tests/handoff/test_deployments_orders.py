"""Orders to deploy without an engine: which a worker may carry out beside others, and what comes of each report."""

import json
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from django.core.files.storage import default_storage
from django.utils import timezone

from audit.actors import Person, Worker
from audit.models import AuditEvent
from handoff import queue
from handoff.errors import Hidden, WrongRole, WrongState
from handoff.leases import next_order
from handoff.models import Deployment, Handoff, Job
from handoff.plans import DeployPlan, DeployReport
from handoff.services import deployments, jobs
from handoff.states import JobState, State
from models_registry.models import Environment
from models_registry.store import path_of
from tests.handoff import building
from tests.handoff.building import Place
from tests.handoff.test_jobs_claims import run_out

pytestmark = pytest.mark.django_db
WHY = "It scores everybody as ill."
WORKER = Worker("worker")
STEPS = ({"step": "activate", "ok": True},)
DONE = DeployReport(True, "it is live", STEPS)


@pytest.fixture
def place(db: None, store: Path, settings: Any) -> Place:
    """Return a model, its environments and its people; no test here calls the engine."""
    settings.ENGINE_URLS = {"production": "http://engine.example"}
    return building.a_place()


def released(place: Place, number: int = 1, *, confirm: bool = False) -> Handoff:
    """Return a handoff whose deployment is queued."""
    version = building.a_version(place, number, latency_p99_ms=100 + number)
    handoff = building.offered(place, version, building.a_policy(("integrity",), confirm=confirm))
    return building.open_release(place, building.tested(building.open_review(place, handoff)))


def taken(handoff: Handoff, task: str = queue.DEPLOY) -> Job:
    """Take the newest work of a kind as a worker."""
    job = jobs.claim(handoff.jobs.filter(task=task).latest("queued_at").pk, "worker", task=task)
    assert job is not None
    return job


def begun(handoff: Handoff, task: str = queue.DEPLOY) -> tuple[Job, DeployPlan]:
    job = taken(handoff, task)
    plan = deployments.begin(job.pk, job.fence)
    assert plan is not None
    return job, plan


def refused(handoff: Handoff, task: str = queue.DEPLOY) -> Job:
    """Let a worker find that it may not carry out an order."""
    job = taken(handoff, task)
    assert deployments.begin(job.pk, job.fence) is None
    job.refresh_from_db()
    handoff.refresh_from_db()
    return job


def done(handoff: Handoff, report: DeployReport = DONE, task: str = queue.DEPLOY) -> Deployment:
    """Let a worker carry out an order, and report on it."""
    job, _ = begun(handoff, task)
    found = deployments.finish(job.pk, job.fence, report, actor=WORKER)
    handoff.refresh_from_db()
    return found


def again(job: Job) -> None:
    """Let a worker fall silent, so that another takes the job."""
    run_out(job)
    jobs.sweep()


def by_hand(of: Handoff, state: str, **more: Any) -> Deployment:
    """Write an order, as it stands beside."""
    at = {"ended_at": timezone.now()} if state == "failed" else {}
    told = {"handoff": of, "model": of.model, "version": of.version, "environment": of.target}
    return Deployment.objects.create(
        state=state, digest=of.version.digest, order=next_order(), ordered_by="test", **told | at | more
    )


def story(on: Any, action: str) -> dict[str, Any]:
    """Return what the trail tells last of an act."""
    told = AuditEvent.objects.filter(subject=f"{on._meta.model_name}:{on.pk}", action=action).latest("seq")
    found: dict[str, Any] = json.loads(told.body)
    return found


# Whether an order is carried out


def test_orders_of_other_models_elsewhere_in_other_slots_or_over_hold_nothing_up(place: Place) -> None:
    far = Environment.objects.create(
        slug="elsewhere", name="Elsewhere", kind="production", organisation=place.target.organisation,
        owner=place.otto, engine="production", python="3.11.7", packages={},
    )  # fmt: skip
    beside = released(building.a_place("beside"), 3)
    begun(beside)
    for more in ({"environment": far}, {"slot": "beside"}, {"model": beside.model, "environment": far}):
        by_hand(beside, "ordered", **{"model": place.model} | more)
    by_hand(beside, "failed", model=place.model)
    handoff = released(place)
    job, plan = begun(handoff)
    assert (plan.model, plan.version, plan.fence, plan.previous) == ("tumours", "1", job.fence, None)
    order = handoff.deployments.get()
    assert (order.order, order.digest, order.slot, order.ordered_by, order.state) == (
        job.fence, handoff.version.digest, "main", "worker", "ordered",
    )  # fmt: skip
    assert story(order, "deployment.ordered")["data"] == {
        "version": 1, "digest": order.digest, "order": job.fence,
    }  # fmt: skip
    assert story(job, "job.claimed")["data"] == {
        "purpose": "deploy:1", "attempt": 1, "fence": job.fence, "gate_open": True,
    }  # fmt: skip


def test_two_versions_are_not_deployed_at_once(place: Place) -> None:
    begun(released(place))
    second = released(place, 2)
    job = refused(second)
    assert (job.state, second.state, second.deployments.count()) == (JobState.REFUSED, State.READY, 0)
    assert job.error == "version 1 is being deployed there; deploy again when that has ended"


def test_another_worker_goes_on_with_the_order_that_is_there(place: Place) -> None:
    handoff = released(place)
    first, _ = begun(handoff)
    order = handoff.deployments.get()
    again(first)
    job, plan = begun(handoff)
    order.refresh_from_db()
    assert (handoff.deployments.count(), order.order, plan.fence) == (1, job.fence, job.fence)
    assert job.fence > first.fence


def test_a_handoff_that_moved_on_is_not_deployed(place: Place) -> None:
    handoff = released(place)
    Handoff.objects.filter(pk=handoff.pk).update(state=State.READY)
    job = refused(handoff)
    assert (job.state, job.error, handoff.deployments.count()) == (
        JobState.CANCELLED, "the handoff is ready now", 0,
    )  # fmt: skip


@pytest.mark.parametrize("attempts", [1, 2])
def test_without_an_engine_it_waits_and_what_an_earlier_worker_ordered_is_put_right(
    place: Place, settings: Any, attempts: int
) -> None:
    handoff = released(place)
    if attempts == 2:
        again(begun(handoff)[0])
    settings.ENGINE_URLS = {}
    job = refused(handoff)
    assert (job.state, handoff.state, "no engine that we know" in job.error) == (JobState.REFUSED, State.READY, True)
    restores = list(handoff.jobs.filter(task=queue.ROLL_BACK).values_list("purpose", flat=True))
    orders = list(handoff.deployments.values_list("state", "order"))
    assert restores == [f"restore:{order}" for _, order in orders]
    assert [state for state, _ in orders] == ["failed"] * (attempts - 1)


def damaged(handoff: Handoff) -> None:
    """Take the thresholds of a version out of the store."""
    default_storage.delete(path_of(handoff.version.elements.get(name="thresholds").blob_id))


@pytest.mark.parametrize("attempts", [1, 2])
def test_what_is_not_what_was_approved_goes_back(place: Place, attempts: int) -> None:
    other = released(building.a_place("beside"), 2)
    handoff = released(place)
    if attempts == 2:
        again(begun(handoff)[0])
    damaged(handoff)
    job = refused(handoff)
    assert (job.state, handoff.state, handoff.return_note.reasons) == (JobState.REFUSED, State.RETURNED, ["security"])
    assert job.error.startswith("What is stored is not what was approved: the element thresholds in the store")
    assert (handoff.return_note.comment, [one.state for one in handoff.deployments.all()]) == (
        job.error, ["failed"] * (attempts - 1),
    )  # fmt: skip
    begun(other)


def test_why_it_has_to_wait_goes_before_what_is_damaged(place: Place, settings: Any) -> None:
    handoff = released(place)
    damaged(handoff)
    settings.ENGINE_URLS = {}
    assert (refused(handoff).state, handoff.state) == (JobState.REFUSED, State.READY)


def test_a_canary_whose_bytes_were_damaged_later_stays_until_people_end_it(place: Place) -> None:
    handoff = released(place, confirm=True)
    order = done(handoff)
    building.sign(handoff, "confirm", place.iris)
    damaged(handoff)
    job = refused(handoff, queue.CONFIRM)
    order.refresh_from_db()
    assert (job.state, handoff.state, order.state) == (JobState.REFUSED, State.CONFIRMING, "confirming")
    assert "thresholds" in job.error


# What comes of it


def test_a_version_goes_live_once_it_is_confirmed_and_each_step_is_kept_once(place: Place) -> None:
    handoff = released(place, confirm=True)
    order = done(handoff)
    assert (order.state, order.log, handoff.state) == ("confirming", list(STEPS), State.CONFIRMING)
    assert story(handoff, "handoff.moved")["reason"] == "it is live"
    order.refresh_from_db()
    assert (order.state, order.log) == ("confirming", list(STEPS))
    building.sign(handoff, "confirm", place.iris)
    live = done(handoff, task=queue.CONFIRM)
    assert (live.pk, live.state, live.log, handoff.state) == (order.pk, "live", [*STEPS, *STEPS], State.LIVE)
    direct = released(building.a_place("beside"))
    found = done(direct)
    assert (found.state, found.log, direct.state) == ("live", list(STEPS), State.LIVE)
    assert direct.jobs.get(task=queue.DEPLOY).error == ""


@pytest.mark.parametrize(
    ("code", "state", "reasons", "restores"),
    [
        ("unreachable", State.READY, [], 0),
        ("unknown", State.READY, [], 1),
        ("stale_order", State.READY, [], 0),
        ("suspended", State.READY, [], 0),
        ("contract_breach", State.RETURNED, ["contract_breach"], 0),
        ("odd", State.RETURNED, ["operability"], 0),
        ("", State.RETURNED, ["operability"], 0),
    ],
)
def test_a_failure_goes_back_or_waits_by_its_cause(
    place: Place, code: str, state: str, reasons: list[str], restores: int
) -> None:
    other = done(released(building.a_place("beside"), 2))
    handoff = released(place)
    order = done(handoff, DeployReport(False, "it did not work", ({"step": "load", "ok": False},), code))
    order.refresh_from_db()
    other.refresh_from_db()
    assert (handoff.state, order.state, order.reason, order.log) == (
        state, "failed", "it did not work", [{"step": "load", "ok": False}],
    )  # fmt: skip
    assert (other.state, other.log) == ("live", list(STEPS))
    note = getattr(handoff, "return_note", None)
    assert (note.reasons if note else []) == reasons
    assert handoff.jobs.filter(purpose=f"restore:{order.order}").count() == restores
    assert handoff.jobs.get(task=queue.DEPLOY).error == "it did not work"


@pytest.mark.parametrize(("code", "state"), [("unreachable", State.CONFIRMING), ("golden", State.RETURNED)])
def test_a_canary_that_could_not_be_confirmed_serves_on_unless_it_answers_otherwise(
    place: Place, code: str, state: str
) -> None:
    handoff = released(place, confirm=True)
    done(handoff)
    building.sign(handoff, "confirm", place.iris)
    order = done(handoff, DeployReport(False, "no answer", ({"step": "reach", "ok": False},), code), queue.CONFIRM)
    order.refresh_from_db()
    assert (handoff.state, order.log) == (state, [*STEPS, {"step": "reach", "ok": False}])
    assert order.state == ("confirming" if state == State.CONFIRMING else "failed")
    assert not handoff.jobs.filter(task=queue.ROLL_BACK).exists()


# Again, and back


def test_operations_deploys_again_what_waits(place: Place) -> None:
    handoff = released(place)
    done(handoff, DeployReport(False, "out of reach", (), "unreachable"))
    with pytest.raises(WrongRole, match="deploy again"):
        deployments.retry(actor=Person(place.vera, "test"), handoff_id=handoff.pk)
    found = deployments.retry(actor=Person(place.otto, "test"), handoff_id=handoff.pk)
    assert (found.pk, found.state) == (handoff.pk, State.DEPLOYING)
    assert done(handoff).state == "live"
    assert handoff.deployments.filter(state="failed").count() == 1


def test_what_is_rolled_back_is_there_visible_and_serves(place: Place) -> None:
    first = done(released(place))
    second = done(released(place, 2))
    beside = done(released(building.a_place("beside"), 3))  # the newest, and nothing was before it
    told: dict[str, Any] = {"actor": Person(place.otto, "test"), "reason": WHY}
    for wanted in (uuid4(), second.handoff_id):
        with pytest.raises(Hidden, match=r"There is no such deployment\."):
            deployments.roll_back(**told, deployment_id=wanted)
    with pytest.raises(Hidden, match=r"There is no such deployment\."):
        deployments.roll_back(actor=Person(place.mallory, "test"), reason=WHY, deployment_id=second.pk)
    with pytest.raises(WrongState, match="A deployment that is superseded cannot be rolled back"):
        deployments.roll_back(**told, deployment_id=first.pk)
    job = deployments.roll_back(**told, deployment_id=second.pk)
    order = second.rollbacks.get()
    assert (job.purpose, job.handoff_id, order.version) == (f"rollback:{order.order}", second.handoff_id, first.version)
    assert not beside.rollbacks.exists()
