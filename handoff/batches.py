"""Runs of a batch as records: ordered, skipped and ended in the transaction of whoever is the cause.

The caller has locked the handoff of the deployment.
"""

from collections.abc import Mapping
from typing import Any

from django.db.models import Max

from audit.actors import Actor
from audit.trail import record
from handoff import queue
from handoff.connections import changed_since
from handoff.in_force import bindings_for, suspension_of
from handoff.leases import Clock
from handoff.models import Deployment, Finding, Run
from handoff.models.runs import UNDER_WAY
from handoff.moves import chain_of
from handoff.rules.bindings import BATCH
from handoff.rules.schedules import Due
from handoff.states import DeploymentState, RunState

LONGEST_WHY = 5000


def is_batch(deployment: Deployment) -> bool:
    """Tell whether a deployment runs as a batch."""
    return bool(bindings_for(deployment).get("mode") == BATCH)


def why_not(deployment: Deployment) -> str:
    """Return why a deployment starts no run now; or nothing."""
    if deployment.state != DeploymentState.LIVE:
        return f"The deployment is {deployment.get_state_display()}; only what is live runs."
    suspension = suspension_of(deployment)
    if suspension is not None:
        return f"The deployment is suspended by {suspension.by}: {suspension.reason}"
    finding = Finding.objects.filter(handoff=deployment.handoff_id, closed_at=None, suspends=True).first()
    if finding is not None:
        return f"The approval is suspended: {finding}."
    moved = changed_since(deployment.handoff)
    return f"The streams are not what was signed: {'; '.join(moved.values())}." if moved else ""


def run_under_way(deployment: Deployment) -> Run | None:
    """Return the run of a deployment that has not ended."""
    return Run.objects.filter(deployment=deployment, state__in=UNDER_WAY).first()


def order_run(
    deployment: Deployment, cause: Run.Cause, *, actor: Actor, due: Due | None = None, reason: str = ""
) -> Run:
    """Write a run and the job that starts it."""
    number = _next_number(deployment)
    purposes = [f"run:{deployment.order}:{number}"]
    job = queue.enqueue(deployment.handoff, gate="live", task=queue.RUN_BATCH, purposes=purposes)[0]
    run = Run.objects.create(
        deployment=deployment,
        number=number,
        cause=cause,
        due_at=due.at if due else None,
        missed=due.missed if due else 0,
        asked_by=actor.user if cause == Run.Cause.DEMAND else None,
        reason=reason,
        job=job,
    )
    told = {"number": number, "cause": str(cause), **_told(due)}
    record("batch.ordered", actor=actor, on=run, chain=chain_of(deployment.handoff), data=told, reason=reason)
    return run


def skip_run(deployment: Deployment, due: Due, why: str, *, actor: Actor) -> Run:
    """Write down that a due time passed without a run, and why."""
    run = Run.objects.create(
        deployment=deployment,
        number=_next_number(deployment),
        cause=Run.Cause.SCHEDULE,
        due_at=due.at,
        missed=due.missed,
        state=RunState.SKIPPED,
        why=why[:LONGEST_WHY],
        ended_at=Clock(),
    )
    told = {"number": run.number, "state": run.state, **_told(due)}
    record("batch.ended", actor=actor, on=run, chain=chain_of(deployment.handoff), data=told, reason=run.why)
    return run


def end_run(run: Run, state: RunState, why: str = "", *, actor: Actor, counts: Mapping[str, Any] | None = None) -> None:
    """End a run that is under way."""
    run.state, run.why, run.counts = state, why[:LONGEST_WHY], dict(counts or run.counts)
    Run.objects.filter(pk=run.pk).update(state=state, why=run.why, counts=run.counts, ended_at=Clock())
    told = {"number": run.number, "state": str(state), "counts": run.counts}
    record("batch.ended", actor=actor, on=run, chain=chain_of(run.deployment.handoff), data=told, reason=run.why)


def _next_number(deployment: Deployment) -> int:
    return (Run.objects.filter(deployment=deployment).aggregate(last=Max("number"))["last"] or 0) + 1


def _told(due: Due | None) -> dict[str, Any]:
    return {"due": due.at.isoformat(), "missed": due.missed} if due else {}
