"""Suspensions through the services: stop, lift, and the worker's part with or without an engine."""

from typing import Any

from django.conf import settings

from audit.actors import Person, Worker
from audit.models import Account
from handoff import queue, tasks
from handoff.models import Deployment, Job, Suspension
from handoff.plans import StopPlan, StopReport
from handoff.services import jobs, suspensions
from handoff.states import JobState
from tests.handoff import amending, walking
from tests.handoff.building import Place

WHY = "It refuses patients who are well."
STOPPER = Worker("stopper")


def with_passwords(place: Place) -> Place:
    """Let everybody confirm who they are."""
    for account in place.people.values():
        account.password = walking._hashed(settings.PASSWORD_HASHERS[0])
        account.save(update_fields=["password"])
    return place


def suspended(deployment: Deployment, who: Account, reason: str = WHY) -> Suspension:
    """Stop what is live."""
    return suspensions.suspend(actor=Person(who, "test"), deployment_id=deployment.pk, reason=reason)


def lifted(deployment: Deployment, who: Account, reason: str = "It was a false alarm.") -> Suspension:
    """Lift a suspension."""
    confirmed = amending.proof(who)
    actor = Person(who, "test")
    return suspensions.lift(actor=actor, deployment_id=deployment.pk, reason=reason, reauthentication=confirmed)


def begun(suspension: Suspension) -> tuple[Job, StopPlan]:
    """Claim the newest order of a suspension, and return what the engine is to be told."""
    suspension.refresh_from_db()
    job = jobs.claim(str(suspension.job_id), "stopper", task=queue.STOP)
    assert job is not None
    plan = suspensions.begin(job.pk, job.fence)
    assert plan is not None
    return job, plan


def answered(suspension: Suspension, error: str = "", **stopped: Any) -> Suspension:
    """Let the engine answer the newest order."""
    job, plan = begun(suspension)
    suspensions.finish(job.pk, job.fence, plan, StopReport(error, stopped), actor=STOPPER)
    suspension.refresh_from_db()
    return suspension


def work() -> None:
    """Carry out all orders to stop and to resume, at the real engine."""
    for key in list(Job.objects.filter(task=queue.STOP, state=JobState.QUEUED).values_list("pk", flat=True)):
        tasks.stop(str(key))
