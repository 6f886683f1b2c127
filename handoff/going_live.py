"""Make an ordered deployment the live one: what it replaces ends, and the ownership of record moves, at one instant."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from django.db import connection
from django.db.backends.postgresql.psycopg_any import DateTimeTZRange
from django.db.models import Exists, OuterRef

from audit.actors import Actor
from audit.trail import record
from handoff import queue
from handoff.asking import ask_those_open
from handoff.batches import is_batch, order_run
from handoff.in_force import bindings_of
from handoff.models import BreakGlass, Deployment, Handoff, OwnerOfRecord, Retirement, Run, Suspension
from handoff.moves import chain_of, move
from handoff.retiring import end_retirement
from handoff.rules.bindings import streams_in
from handoff.rules.break_glass import ROLLBACK
from handoff.states import BreakGlassState, DeploymentState, State
from handoff.stopping import supersede

RELATED = ("handoff", "model", "version", "environment__organisation", "environment__owner")

# Later than the last change of owner even if the clock was set back: a period never ends before it began.
INSTANT = """
    SELECT GREATEST(clock_timestamp(), max(lower(period)) + interval '1 microsecond')
      FROM handoff_ownerofrecord WHERE model_id = %s AND environment_id = %s
"""


def go_live(deployment: Deployment, *, actor: Actor, log: Sequence[Mapping[str, Any]] = ()) -> None:
    """Make a deployment of a locked handoff live, and end the one before; a rollback rolls that one back.

    If that was suspended, the suspension has ended with it.
    """
    at = _instant(deployment)
    to = DeploymentState.ROLLED_BACK if deployment.rollback_of_id else DeploymentState.SUPERSEDED
    before = live_in(deployment)
    if before is not None:
        supersede(before, by=deployment, actor=actor)
        end_retirement(before, Retirement.Ending.SUPERSEDED, "another version took its place", actor=actor)
        _end(before, to, at, by=deployment, actor=actor)
    deployment.state, deployment.live_at, deployment.log = DeploymentState.LIVE, at, [*deployment.log, *log]
    deployment.save(update_fields=["state", "live_at", "log"])
    record(
        "deployment.live",
        actor=actor,
        on=deployment,
        chain=chain_of(deployment.handoff),
        data={
            "version": deployment.version.number,
            "digest": deployment.digest,
            "environment": deployment.environment.slug,
            "order": deployment.order,
            "instead_of": before.version.number if before else None,
        },
    )
    _move_owner(deployment, at, actor)
    batch = is_batch(deployment)
    going = [one.handoff for one in (before, None if batch else deployment) if one is not None]
    if any(streams_in(bindings_of(one)) for one in going):
        queue.enqueue(deployment.handoff, gate="live", task=queue.RUN_STREAMS, purposes=[f"streams:{deployment.order}"])
    ask_those_open(deployment.handoff, actor=actor)
    if batch and "schedule" not in bindings_of(deployment.handoff):
        order_run(deployment, Run.Cause.WENT_LIVE, actor=actor)


def live_in(deployment: Deployment) -> Deployment | None:
    """Lock and return what is live now where a deployment goes: its handoff first, as whoever suspends it does."""
    here = Deployment.objects.filter(
        model=deployment.model_id,
        environment=deployment.environment_id,
        slot=deployment.slot,
        state=DeploymentState.LIVE,
    )
    live = here.values("handoff")[:1]
    list(Handoff.objects.order_by().select_for_update(of=("self",), no_key=True).filter(pk__in=live).values("pk"))
    return here.select_for_update(of=("self",)).select_related("version", "handoff").first()


def previous_of(deployment: Deployment) -> Deployment | None:
    """Return what was live before a deployment and may be live again.

    It was never rolled back itself, nor taken out while it was suspended: what was stopped comes back by a new handoff.
    And no break-glass brought it there whose signatures never came; one for a rollback is judged with its approval.
    """
    stopped = Suspension.objects.filter(ending=Suspension.Ending.SUPERSEDED)
    glass = BreakGlass.objects.filter(handoff=OuterRef("handoff"), confirmed_by__isnull=False)
    return (
        Deployment.objects.select_related(*RELATED)
        .filter(
            model=deployment.model_id,
            environment=deployment.environment_id,
            slot=deployment.slot,
            state=DeploymentState.SUPERSEDED,
            handoff__state=State.SUPERSEDED,
        )
        .exclude(version=deployment.version_id)
        .exclude(handoff__in=stopped.values("deployment__handoff"))
        .exclude(Exists(glass.exclude(state=BreakGlassState.REGULARISED).exclude(gate=ROLLBACK)))
        .order_by("-ended_at")
        .first()
    )


def serves_instead(handoff: Handoff) -> Deployment | None:
    """Return what is live now and would be rolled back to the version of a handoff; None where that goes elsewhere."""
    here = Deployment.objects.filter(model=handoff.model_id, environment=handoff.target_id, state=DeploymentState.LIVE)
    for live in here.select_related(*RELATED):
        previous = previous_of(live)
        if previous is not None and previous.handoff_id == handoff.pk:
            return live
    return None


def _instant(deployment: Deployment) -> datetime:
    with connection.cursor() as cursor:
        cursor.execute(INSTANT, [deployment.model_id, deployment.environment_id])
        found: datetime = cursor.fetchone()[0]
    return found


def _end(before: Deployment, to: DeploymentState, at: datetime, *, by: Deployment, actor: Actor) -> None:
    before.state, before.ended_at = to, at
    before.save(update_fields=["state", "ended_at"])
    handoff = Handoff.objects.select_for_update(of=("self",)).get(pk=before.handoff_id)
    rolled_back = to == DeploymentState.ROLLED_BACK
    record(
        "deployment.rolled_back" if rolled_back else "deployment.superseded",
        actor=actor,
        on=before,
        chain=chain_of(handoff),
        data={"version": before.version.number, "by": by.version.number, "order": by.order},
        reason=by.reason,
    )
    because = f"version {by.version.number} took its place" + (f": {by.reason}" if by.reason else "")
    move(handoff, State.ROLLED_BACK if rolled_back else State.SUPERSEDED, actor=actor, because=because)


def take_out(
    deployment: Deployment,
    because: str,
    *,
    actor: Actor,
    log: Sequence[Mapping[str, Any]] = (),
    retired: bool = False,
) -> None:
    """End the live deployment of a locked handoff that the engine does not serve any more; nothing takes its place.

    One that is retired has come to its end as planned; any other is rolled back.
    """
    at = _instant(deployment)
    supersede(deployment, by=deployment, actor=actor)
    ending = Retirement.Ending.RETIRED if retired else Retirement.Ending.SUPERSEDED
    end_retirement(deployment, ending, because, actor=actor)
    deployment.state = DeploymentState.RETIRED if retired else DeploymentState.ROLLED_BACK
    deployment.ended_at, deployment.reason, deployment.log = at, because, [*deployment.log, *log]
    deployment.save(update_fields=["state", "ended_at", "reason", "log"])
    if not retired:
        record(
            "deployment.rolled_back",
            actor=actor,
            on=deployment,
            chain=chain_of(deployment.handoff),
            data={"version": deployment.version.number, "order": deployment.order},
            reason=because,
        )
    _end_owner(deployment, at)
    if streams_in(bindings_of(deployment.handoff)):
        purpose = f"streams:{deployment.order}:out"
        queue.enqueue(deployment.handoff, gate="live", task=queue.RUN_STREAMS, purposes=[purpose])
    move(deployment.handoff, State.RETIRED if retired else State.ROLLED_BACK, actor=actor, because=because)


def _end_owner(deployment: Deployment, at: datetime) -> OwnerOfRecord | None:
    owners = OwnerOfRecord.objects.filter(model=deployment.model_id, environment=deployment.environment_id)
    before = owners.select_for_update(of=("self",)).filter(period__upper_inf=True).first()
    if before is not None:
        before.period = DateTimeTZRange(before.period.lower, at, "[)")
        before.save(update_fields=["period"])
    return before


def _move_owner(deployment: Deployment, at: datetime, actor: Actor) -> None:
    before = _end_owner(deployment, at)
    target = deployment.environment
    owner = OwnerOfRecord.objects.create(
        model=deployment.model,
        environment=target,
        organisation=target.organisation,
        person=target.owner,
        deployment=deployment,
        period=DateTimeTZRange(at, None, "[)"),
    )
    record(
        "owner.moved",
        actor=actor,
        on=owner,
        chain=chain_of(deployment.handoff),
        data={
            "organisation": target.organisation.slug,
            "person": owner.person_id,
            "from": before.person_id if before else None,
            "since": at.isoformat(),
        },
    )
