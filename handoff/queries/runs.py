"""Runs of batch deployments, and when the next one is due."""

from datetime import datetime
from uuid import UUID

from django.db.models import QuerySet
from django.utils import timezone

from audit.models import Account
from handoff.errors import Hidden
from handoff.in_force import bindings_for
from handoff.models import Deployment, Run
from handoff.queries.deployments import fetch
from handoff.rules.schedules import Schedule, schedule_of
from handoff.states import DeploymentState


def runs_of(deployment: Deployment) -> QuerySet[Run]:
    """Return the runs of a deployment, the newest first."""
    return Run.objects.filter(deployment=deployment).select_related("asked_by", "stopped_by").order_by("-number")


def run_of(user: Account, deployment_id: UUID | str, number: int) -> Run:
    """Return one run of a deployment that an account may know of. Raises Hidden."""
    deployment = fetch(user, deployment_id)
    found = (
        runs_of(deployment).select_related("asked_by", "stopped_by", "job", "stop_job").filter(number=number).first()
    )
    if found is None:
        raise Hidden("There is no such run.")
    found.deployment = deployment
    return found


def schedule_in_force(deployment: Deployment) -> Schedule | None:
    """Return the schedule of a deployment that is live; None where there is none."""
    return schedule_of(bindings_for(deployment)) if deployment.state == DeploymentState.LIVE else None


def next_due(deployment: Deployment) -> datetime | None:
    """Return when the next run of a live deployment is due; None where it has no schedule."""
    schedule = schedule_in_force(deployment)
    return schedule.next(timezone.now()) if schedule else None
