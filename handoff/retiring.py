"""The plan to retire what is live: which one stands, and how it ends, in the transaction of whoever is the cause.

The caller has locked the deployment's handoff.
"""

from audit.actors import Actor
from audit.trail import record
from handoff.leases import Clock
from handoff.models import Deployment, Retirement
from handoff.moves import chain_of

ACTIONS = {
    Retirement.Ending.CANCELLED: "retirement.cancelled",
    Retirement.Ending.RETIRED: "deployment.retired",
    Retirement.Ending.SUPERSEDED: "retirement.superseded",
}


def retirement_of(deployment: Deployment) -> Retirement | None:
    """Return the plan to retire a deployment that stands."""
    return Retirement.objects.filter(deployment=deployment, ended_at=None).first()


def end_retirement(deployment: Deployment, ending: Retirement.Ending, because: str, *, actor: Actor) -> None:
    """End the plan to retire a deployment, if one stands."""
    plan = retirement_of(deployment)
    if plan is None:
        return
    Retirement.objects.filter(pk=plan.pk).update(
        ending=ending, ended_at=Clock(), ended_by=actor.mark, because=because[:5000]
    )
    told = {"version": deployment.version.number, "retirement": str(plan.pk), "due": plan.due_at.isoformat()}
    chain = chain_of(deployment.handoff)
    record(ACTIONS[ending], actor=actor, on=deployment, chain=chain, data=told, reason=because)
