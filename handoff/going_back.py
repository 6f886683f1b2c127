"""Go back from what serves: to the version that was live before, to nothing, or out of a canary."""

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from django.db import IntegrityError, transaction

from audit.actors import Actor, Person
from audit.trail import record
from handoff import queue
from handoff.emergencies import SERVES, end_break_glass, record_break_glass
from handoff.errors import GateShut, WrongState
from handoff.facts import Known
from handoff.going_live import previous_of, serves_instead
from handoff.leases import Clock, next_order
from handoff.models import BreakGlass, Deployment, Handoff, Job, Return
from handoff.moves import chain_of
from handoff.outcomes import WAITING
from handoff.rules.break_glass import ROLLBACK
from handoff.standing import standing_of
from handoff.states import BreakGlassState, DeploymentState, State

UNDER_WAY = (DeploymentState.ORDERED, DeploymentState.CONFIRMING)


def end_canary(
    handoff: Handoff,
    reason: str,
    *,
    actor: Actor,
    reasons: Sequence[str] = (Return.Reason.OPERABILITY.value,),
    told: Mapping[str, Any] | None = None,
) -> Job:
    """Have a canary of a locked handoff taken back, which returns the handoff to data science. Raises WrongState.

    `told` is what the event holds beside the codes of the reasons.
    """
    if Return.objects.filter(handoff=handoff).exists():
        raise WrongState("It is being taken back already.", code="under_way", todo="Wait for the worker to end.")
    by = actor.user if isinstance(actor, Person) else None
    Return.objects.create(handoff=handoff, reasons=list(reasons), comment=reason, returned_by=by)
    record(
        "handoff.returned",
        actor=actor,
        on=handoff,
        chain=chain_of(handoff),
        data={"reasons": list(reasons), "retests": [], **(told or {})},
        reason=reason,
    )
    return queue.enqueue(handoff, gate="confirm", task=queue.ROLL_BACK, purposes=["refused"])[0]


def must_have_previous(deployment: Deployment) -> Deployment:
    """Return what was live before a deployment and may be live again. Raises WrongState."""
    previous = previous_of(deployment)
    if previous is None:
        raise WrongState(
            "No earlier version was live here, so there is nothing to go back to.",
            code="nothing_to_roll_back_to",
            todo="Deploy another version instead.",
        )
    return previous


def order_previous(
    handoff: Handoff,
    deployment: Deployment,
    previous: Deployment,
    reason: str,
    *,
    rests_on: Deployment.RestsOn,
    actor: Actor,
) -> Job:
    """Order the version that was live before a live deployment of a locked handoff. Raises WrongState.

    What the order rests on was judged by the caller; what its approval lacks is on the trail in any case.
    """
    try:
        with transaction.atomic():
            order = Deployment.objects.create(
                handoff=previous.handoff,
                model=previous.model,
                version=previous.version,
                environment=previous.environment,
                slot=previous.slot,
                digest=previous.digest,
                order=next_order(),
                rollback_of=deployment,
                rests_on=rests_on,
                ordered_by=actor.mark,
                reason=reason,
            )
    except IntegrityError as error:
        if "deployment_one_under_way" not in str(error):
            raise
        raise WrongState(
            "Another deployment of this model is under way here.",
            code="under_way",
            todo="Wait for it to end, then look at what is live.",
        ) from error
    order.ordered_by = actor.label  # as it is read
    job = queue.enqueue(handoff, gate="release", task=queue.ROLL_BACK, purposes=[f"rollback:{order.order}"])[0]
    lacks = "" if rests_on == Deployment.RestsOn.APPROVAL else standing_of(previous.handoff).why
    told = {"rests_on": rests_on.value, **({"lacks": lacks} if lacks else {})}
    record(
        "deployment.ordered",
        actor=actor,
        on=order,
        chain=chain_of(handoff),
        data={"version": order.version.number, "digest": order.digest, "order": order.order, "rollback": True, **told},
        reason=reason,
    )
    return job


def take_back(handoff: Handoff, reason: str, *, actor: Actor) -> Job | None:
    """Have whatever serves of a locked handoff taken back; None while something is under way, or nothing serves.

    A live version gives way to the one before, and where there is none it is taken out, so that nothing is served.
    The version before need not stand approved any more: it was approved once, and is the lesser evil.
    """
    if _busy(handoff):
        return None
    canary = handoff.deployments.filter(state=DeploymentState.CONFIRMING).first()
    if canary is not None:
        if not Return.objects.filter(handoff=handoff).exists():
            return end_canary(handoff, reason, actor=actor)
        return _again(handoff, "confirm", "refused", reason, actor)
    live = handoff.deployments.select_related("version").filter(state=DeploymentState.LIVE).first()
    if live is None or _in_slot(live):
        return None
    previous = previous_of(live)
    if previous is not None:
        rests_on = Deployment.RestsOn.WAY_BACK
        return order_previous(handoff, live, previous, reason, rests_on=rests_on, actor=actor)
    return _unload(handoff, live, reason, actor)


def end_in_arrears(row: BreakGlass, handoff: Handoff, because: str, *, actor: Actor, fallen: bool = False) -> None:
    """End a break-glass in force of a locked handoff without its signatures: what it made live is taken back.

    At its deadline; or at once, where it has `fallen` because both halves were one person's. While work is under way,
    the workers find the gate shut, and whoever watches break-glass orders the way back later.
    """
    if handoff.state not in (*SERVES, State.DEPLOYING):
        end_break_glass(row, handoff, BreakGlassState.ENDED, f"{because}; it had deployed nothing", actor=actor)
        return
    BreakGlass.objects.filter(pk=row.pk).update(state=BreakGlassState.OVERDUE, overdue_at=Clock(), fallen=fallen)
    row.state = BreakGlassState.OVERDUE
    record_break_glass(row, handoff, "overdue", actor=actor, reason=because)
    take_back(handoff, because, actor=actor)


def take_out_of_service(handoff: Handoff, live: Deployment, reason: str, *, actor: Actor) -> Job | None:
    """Have a live deployment of a locked handoff taken out, whatever was there before; None while work is under way."""
    return None if _busy(handoff) or _in_slot(live) else _unload(handoff, live, reason, actor)


def lock_what_gives_way(handoff_id: UUID | str, break_glass_id: UUID | str) -> None:
    """Lock the handoff of what a rollback by break-glass would end, before its own, as whoever rolls back does."""
    rows = BreakGlass.objects.filter(pk=break_glass_id, handoff__pk=handoff_id, gate=ROLLBACK)
    row = rows.select_related("handoff").first()
    live = serves_instead(row.handoff) if row is not None else None
    if live is not None:
        Handoff.objects.select_for_update(of=("self",)).get(pk=live.handoff_id)


def may_come_back(handoff: Handoff, known: Known) -> Deployment:
    """Return what is live and would give way to a version whose approval has run out. Raises WrongState or GateShut."""
    live = serves_instead(handoff)
    if live is None:
        raise WrongState(
            "Nobody would go back to this version: it is not the one that was live before what is live now.",
            code="nothing_to_roll_back_to",
            todo="See on the page of what is live which version was live before.",
        )
    lacks = standing_of(handoff, known).lacks
    if not lacks:
        raise WrongState(
            "The version stands approved.",
            code="nothing_missing",
            todo="IT operations can roll back to it without break-glass.",
        )
    back = [one for one in lacks if one.taken_back]
    if back:
        raise GateShut(
            "Somebody took their approval back, and break-glass steps over what ran out, not over a no: "
            + " ".join(one.why for one in back),
            code="more_than_signatures",
            todo="Somebody who holds the role signs again. What is live can be stopped at any time.",
            fields={one.key: one.why for one in back},
        )
    return live


def come_back(live: Deployment, reason: str, *, actor: Actor) -> Job:
    """Order the version before what is live, whose handoff is locked, by a break-glass that was just confirmed."""
    rests_on = Deployment.RestsOn.BREAK_GLASS
    return order_previous(live.handoff, live, must_have_previous(live), reason, rests_on=rests_on, actor=actor)


def _busy(handoff: Handoff) -> bool:
    work = [queue.DEPLOY, queue.CONFIRM, queue.ROLL_BACK]
    return handoff.jobs.filter(task__in=work, state__in=WAITING).exists()


def _in_slot(live: Deployment) -> bool:
    here = Deployment.objects.filter(model=live.model_id, environment=live.environment_id, slot=live.slot)
    return here.filter(state__in=UNDER_WAY).exists()


def _unload(handoff: Handoff, live: Deployment, reason: str, actor: Actor) -> Job:
    return _again(handoff, "release", f"unload:{live.order}", reason, actor)


def _again(handoff: Handoff, gate: str, stem: str, reason: str, actor: Actor) -> Job:
    attempt = handoff.jobs.filter(task=queue.ROLL_BACK, gate=gate, purpose__startswith=stem).count() + 1
    job = queue.enqueue(handoff, gate=gate, task=queue.ROLL_BACK, purposes=[f"{stem}:{attempt}"])[0]
    data = {"purpose": job.purpose}
    record("job.queued", actor=actor, on=job, chain=chain_of(handoff), data=data, reason=reason)
    return job
