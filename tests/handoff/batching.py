"""Batches that are live without an engine: the worker's part is played through the services."""

from datetime import timedelta
from typing import Any

from django.utils import timezone

from audit.actors import Person, Worker
from audit.models import Account
from handoff import queue
from handoff.connections import pinned
from handoff.models import Deployment, Handoff, Job, Run
from handoff.plans import RunPlan, RunReport
from handoff.rules.bindings import read_bindings
from handoff.services import batches, jobs
from tests.handoff import building
from tests.handoff.building import Place
from tests.queries.counting import deployed

DAILY = {"cron": "0 2 * * *", "zone": "Europe/Berlin"}
MINUTELY = {"cron": "* * * * *", "zone": "UTC"}
COUNTS = {"read": 3, "scored": 2, "rejected": {"schema": 1}, "delivered": {"gone": 2}, "dead": {}}
WORKER = Worker("worker")


def a_batch(place: Place, schedule: dict[str, str] | None = None, number: int = 1) -> Deployment:
    """Return a batch that is live."""
    raw = building.batch_streams(place) | ({"schedule": schedule} if schedule else {})
    bindings = pinned(read_bindings(raw), place.target)
    version = building.a_version(place, number, latency_p99_ms=100 + number)
    handoff = building.open_review(place, building.offered(place, version, building.a_policy(("integrity",)), bindings))
    return deployed(building.open_release(place, building.tested(handoff)))


def live_since(deployment: Deployment, **ago: int) -> None:
    """Let a deployment have been live for a while."""
    Deployment.objects.filter(pk=deployment.pk).update(live_at=timezone.now() - timedelta(**ago))


def on_demand(deployment: Deployment, who: Account, reason: str) -> Run:
    """Ask for a run now."""
    return batches.run_now(actor=Person(who, "test"), deployment_id=deployment.pk, reason=reason)


def claimed(job: Job | None) -> Job:
    """Claim a job as a worker."""
    assert job is not None
    found = jobs.claim(job.pk, "worker", task=queue.RUN_BATCH)
    assert found is not None
    return found


def begun(job: Job | None) -> tuple[Job, RunPlan]:
    """Claim a job, and return it with the order that it gives."""
    taken = claimed(job)
    plan = batches.begin(taken.pk, taken.fence)
    assert plan is not None
    return taken, plan


def started(run: Run) -> Run:
    """Start a run, as a worker does whose engine takes the order."""
    job, plan = begun(run.job)
    told = {"state": "starting", "counts": {}, "ended": False}
    batches.finish(job.pk, job.fence, plan, RunReport((), told), actor=WORKER)
    run.refresh_from_db()
    return run


def ended(run: Run, state: str = "finished", **more: Any) -> Run:
    """Let the engine tell that a run has ended."""
    batches.follow(run.pk, {"state": state, "counts": COUNTS, "ended": True, **more}, actor=WORKER)
    run.refresh_from_db()
    return run


def again(handoff: Handoff) -> Job:
    """Return the newest job of a batch."""
    found = handoff.jobs.filter(task=queue.RUN_BATCH).order_by("queued_at").last()
    assert found is not None
    return found
