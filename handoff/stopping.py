"""Stop what is live, and end a stop: as records, in the transaction of whoever is the cause.

The caller has locked the deployment's handoff. Numbers of orders are drawn behind that lock, so a worker that was told
before what to serve has a lower one, and one that is told later reads of the suspension.
"""

from audit.actors import Actor
from audit.trail import record
from handoff import queue
from handoff.in_force import suspension_of
from handoff.leases import Clock, next_order
from handoff.models import Deployment, Finding, Handoff, Suspension
from handoff.moves import chain_of


def stop(
    deployment: Deployment, handoff: Handoff, *, actor: Actor, reason: str, finding: Finding | None = None
) -> Suspension:
    """Suspend a live deployment for somebody's reason, or for a finding, and write the work beside it."""
    suspension = Suspension.objects.create(
        deployment=deployment,
        suspended_by=None if finding else actor.user,
        finding=finding,
        reason=reason,
        order=next_order(),
    )
    told = {
        "version": deployment.version.number,
        "order": suspension.order,
        **({"finding": str(finding.pk)} if finding else {}),
    }
    record("deployment.suspended", actor=actor, on=deployment, chain=chain_of(handoff), data=told, reason=reason)
    order(suspension, handoff, actor=actor)
    return suspension


def order(suspension: Suspension, handoff: Handoff, *, actor: Actor) -> None:
    """Queue the order to the engine that a suspension asks for now: to stop, or to score again."""
    stem = f"{'suspend' if suspension.is_open else 'resume'}:{suspension.ordered}"
    attempt = handoff.jobs.filter(task=queue.STOP, purpose__startswith=f"{stem}:").count() + 1
    job = queue.enqueue(handoff, gate="live", task=queue.STOP, purposes=[f"{stem}:{attempt}"])[0]
    suspension.job = job
    suspension.save(update_fields=["job"])


def supersede(before: Deployment, *, by: Deployment, actor: Actor) -> None:
    """End the suspension of what another version takes the place of. Its mark stays at the engine, and harms nobody."""
    suspension = suspension_of(before)
    if suspension is None:
        return
    suspension.ending = Suspension.Ending.SUPERSEDED
    Suspension.objects.filter(pk=suspension.pk).update(ending=suspension.ending, ended_at=Clock())
    told = {"version": before.version.number, "by": by.version.number, "order": suspension.order}
    record("deployment.suspension_superseded", actor=actor, on=before, chain=chain_of(before.handoff), data=told)


def still_stopped(before: Deployment | None, deployment: Deployment) -> str:
    """Say that a deployment would only bring back the version that is suspended there; nothing where it is another.

    A suspension ends when it is lifted or another version takes the place, never because the same one is ordered again.
    """
    if before is None or before.digest != deployment.digest:
        return ""
    suspension = suspension_of(before)
    if suspension is None:
        return ""
    return f"version {before.version.number} is suspended there by {suspension.by}: lift that first"
