"""Suspend what is live and lift that again; and let a worker tell the engine until it has confirmed."""

from collections.abc import Mapping
from contextlib import suppress
from datetime import timedelta
from typing import Any
from uuid import UUID

from django.db.models import Q, QuerySet
from django.utils import timezone

from audit.actors import Actor, Person, Worker
from audit.acts import act
from audit.trail import record
from handoff import queue
from handoff.access import lock_to_stop, require_role
from handoff.batches import end_run, is_batch
from handoff.confirmations import use_up
from handoff.deploy_plans import engine_url
from handoff.errors import Invalid, Unavailable, WrongState
from handoff.facts import rules_of
from handoff.in_force import bindings_of, suspension_of
from handoff.leases import Clock, end, hold, next_order
from handoff.models import Deployment, Finding, Handoff, Job, Run, Suspension
from handoff.models.runs import UNDER_WAY
from handoff.moves import chain_of
from handoff.plans import StopPlan, StopReport
from handoff.rules.bindings import streams_in
from handoff.states import DeploymentState, JobState, RunState, State
from handoff.stopping import order, stop
from models_registry.roles import Role

LONGEST = 2000
LONGEST_PAUSE_SECONDS = 60
RELATED = ("deployment__model", "deployment__version", "deployment__environment", "suspended_by")
LAPSING = (Finding.Kind.WAIVER, Finding.Kind.APPROVAL)


@act
def suspend(*, actor: Person, deployment_id: UUID | str, reason: str) -> Suspension:
    """Stop a live version at once, for a reason: it scores nothing, and no run goes on, until that is lifted.

    Stopping is safe, so nobody is asked for a password. IT operations, risk and compliance, the owner of record and the
    environment's owner may. Raises Hidden, Forbidden, WrongRole, Invalid or WrongState.
    """
    deployment, handoff, _ = lock_to_stop(actor, deployment_id)
    reason = _said(reason, "Say why it is stopped.")
    _must_be_live(deployment)
    if suspension_of(deployment) is not None:
        raise WrongState(
            "It is suspended already.", code="suspended_already", todo="Read on its page by whom, and why."
        )
    return stop(deployment, handoff, actor=actor, reason=reason)


@act
def lift(*, actor: Person, deployment_id: UUID | str, reason: str, reauthentication: str) -> Suspension:
    """Let a suspended version score again, for a reason. IT operations of the target may, and confirm who they are.

    Whoever suspended it may too, if they hold that role. What the policy stopped stays so until its finding is closed.
    Raises Hidden, Forbidden, WrongRole, Invalid, WrongState or NotConfirmed.
    """
    deployment, handoff, known = lock_to_stop(actor, deployment_id)
    require_role(actor, known, Role.IT_OPERATIONS, "lift a suspension")
    suspension = suspension_of(deployment)
    if suspension is None:
        raise WrongState("It is not suspended.", code="not_suspended", todo="Look at what is live now.")
    if suspension.finding is not None and suspension.finding.closed_at is None:
        raise WrongState(
            f"What it was stopped for stands: {suspension.finding}",
            code="suspension_cause_stands",
            todo="Renew the waiver, or have the condition accepted as met; then lift it.",
        )
    reason = _said(reason, "Say why it may go on.")
    proof = use_up(reauthentication, actor)
    suspension.ending, suspension.lifted_by, suspension.lift_reason = Suspension.Ending.LIFTED, actor.user, reason
    suspension.reauthentication_id, suspension.lift_order = UUID(proof.reauthentication), next_order()
    suspension.ended_at, suspension.tries, suspension.error = proof.at, 0, ""
    suspension.save(
        update_fields=[
            "ending", "lifted_by", "lift_reason", "reauthentication", "lift_order", "ended_at", "tries", "error"
        ]
    )  # fmt: skip
    told = {"version": deployment.version.number, "order": suspension.lift_order, "confirmed": proof.method}
    record(
        "deployment.suspension_lifted", actor=actor, on=deployment, chain=chain_of(handoff), data=told, reason=reason
    )
    order(suspension, handoff, actor=actor)
    return suspension


def lapsed() -> QuerySet[Handoff]:
    """Return the live handoffs with an open finding that suspends, and a deployment that is not suspended yet."""
    open_ = Finding.objects.filter(closed_at=None, suspends=True, kind__in=LAPSING)
    free = Deployment.objects.filter(state=DeploymentState.LIVE).exclude(
        pk__in=Suspension.objects.filter(ended_at=None).values("deployment")
    )
    live = Handoff.objects.filter(state=State.LIVE, findings__in=open_, deployments__in=free)
    return live.distinct().order_by("pk")


@act
def stop_lapsed(*, actor: Worker, handoff_id: UUID | str) -> Suspension | None:
    """Stop a live version whose waiver has ended or whose condition is overdue, where its policy says so.

    A finding stops once: what somebody has lifted since is not stopped for it again. None if there is nothing to stop.
    """
    handoff = Handoff.objects.select_for_update(of=("self",)).get(pk=handoff_id)
    if rules_of(handoff).lapses != "stop":
        return None
    live = Deployment.objects.select_related("version").filter(handoff=handoff, state=DeploymentState.LIVE).first()
    open_ = handoff.findings.filter(closed_at=None, suspends=True, kind__in=LAPSING, suspensions=None)
    finding = next((one for one in open_.order_by("raised_at") if _has_lapsed(one)), None)
    if live is None or finding is None or suspension_of(live) is not None:
        return None
    return stop(live, handoff, actor=actor, reason=str(finding)[:LONGEST], finding=finding)


def _has_lapsed(finding: Finding) -> bool:
    """Tell whether a finding is of a waiver that ended, or of an approval whose condition is overdue."""
    return finding.kind == Finding.Kind.WAIVER or any("hangs on a condition" in one for one in finding.items.values())


@act
def begin(job_id: UUID | str, fence: int) -> StopPlan | None:
    """Return the order for the engine; None, with the job ended, if it is not wanted any more. Raises LeaseLost."""
    _, job = hold(job_id, fence)
    suspension = Suspension.objects.select_related(*RELATED).filter(job=job).first()
    if suspension is None or not _wanted(suspension):
        end(job, JobState.CANCELLED, error="nobody needs it any more")
        return None
    deployment = suspension.deployment
    try:
        url = engine_url(deployment.environment)
    except Unavailable as error:
        end(job, JobState.REFUSED, error=f"{error.message} {error.todo}")
        _not_confirmed(suspension, job.handoff, f"{error.message} {error.todo}", Worker(job.worker))
        return None
    return StopPlan(
        job_id=str(job_id),
        fence=fence,
        order=suspension.ordered,
        engine_url=url,
        model=deployment.model.slug,
        version=str(deployment.version.number),
        digest=deployment.digest,
        on=suspension.is_open,
    )


def _wanted(suspension: Suspension) -> bool:
    """Tell whether the engine has to be told: what ended, or was confirmed, needs nothing."""
    return suspension.deployment.state == DeploymentState.LIVE and not suspension.confirmed


@act
def finish(job_id: UUID | str, fence: int, plan: StopPlan, report: StopReport, *, actor: Actor) -> None:
    """Keep what the engine answered. Raises LeaseLost for a late holder.

    What was lifted meanwhile has a job of its own by now, whose higher number the engine follows.
    """
    handoff, job = hold(job_id, fence)
    end(job, JobState.DONE, error=report.error)
    suspension = Suspension.objects.select_related(*RELATED).filter(job=job).first()
    if suspension is None or suspension.is_open is not plan.on:
        return
    if report.error:
        _not_confirmed(suspension, handoff, report.error, actor)
        return
    when = "stopped_at" if plan.on else "resumed_at"
    Suspension.objects.filter(pk=suspension.pk, **{when: None}).update(tries=0, error="", **{when: Clock()})
    told = {"version": suspension.deployment.version.number, "order": plan.order, "runs": sorted(report.stopped)}
    action = "deployment.stopped" if plan.on else "deployment.resumed"
    record(action, actor=actor, on=suspension.deployment, chain=chain_of(handoff), data=told)
    if plan.on:
        _stopped_runs(suspension, report.stopped, actor)
    elif streams_in(bindings_of(handoff)) and not is_batch(suspension.deployment):
        _start_again(suspension.deployment, handoff, actor)


def _not_confirmed(suspension: Suspension, handoff: Handoff, why: str, actor: Actor) -> None:
    """Keep why the engine has not confirmed; the trail is told once, however often it is tried."""
    suspension.tries, suspension.error = suspension.tries + 1, why[:LONGEST]
    suspension.save(update_fields=["tries", "error"])
    if suspension.tries == 1 and suspension.is_open:
        told = {"version": suspension.deployment.version.number, "order": suspension.order}
        about = suspension.deployment
        record("deployment.not_stopped", actor=actor, on=about, chain=chain_of(handoff), data=told, reason=why)


def _stopped_runs(suspension: Suspension, stopped: Mapping[str, Mapping[str, Any]], actor: Actor) -> None:
    """Keep that runs were stopped: that over streams goes on after the lift, that of a batch has ended."""
    deployment = suspension.deployment
    if str(deployment.pk) in stopped:
        run = {**deployment.run, "state": "stopped", "told_at": timezone.now().isoformat()}
        Deployment.objects.filter(pk=deployment.pk).update(run=run)
    ended = Run.objects.filter(deployment=deployment, pk__in=_keys(stopped), state__in=UNDER_WAY)
    for one in ended.select_related("deployment__handoff"):
        counts = dict(stopped[str(one.pk)].get("counts") or {})
        why = f"The deployment was suspended: {suspension.reason}"
        end_run(one, RunState.STOPPED, why, actor=actor, counts=counts)


def _keys(stopped: Mapping[str, Any]) -> list[UUID]:
    """Return the runs that have a key of ours among those that an engine names."""
    found = []
    for name in stopped:
        with suppress(ValueError):  # somebody started it at the engine by hand
            found.append(UUID(name))
    return found


def _start_again(deployment: Deployment, handoff: Handoff, actor: Actor) -> None:
    stem = f"streams:{deployment.order}"
    attempt = handoff.jobs.filter(purpose__startswith=stem).count() + 1
    job = queue.enqueue(handoff, gate="live", task=queue.RUN_STREAMS, purposes=[f"{stem}:{attempt}"])[0]
    record("job.queued", actor=actor, on=job, chain=chain_of(handoff), data={"purpose": job.purpose})


def unconfirmed() -> list[UUID]:
    """Return the suspensions that the engine has to be told of again by now; the pauses double, up to a minute."""
    waits = Q(ended_at=None, stopped_at=None) | Q(ending=Suspension.Ending.LIFTED, resumed_at=None)
    rows = Suspension.objects.select_related("job").filter(waits, deployment__state=DeploymentState.LIVE)
    now = timezone.now()
    return [one.pk for one in rows if one.job and one.job.ended_at and one.job.ended_at + _pause(one.tries) <= now]


def _pause(tries: int) -> timedelta:
    return timedelta(seconds=min(2 ** max(min(tries, 10) - 1, 0), LONGEST_PAUSE_SECONDS))


@act
def order_again(*, actor: Actor, suspension_id: UUID) -> Job | None:
    """Queue the order to the engine anew; None if nobody needs it."""
    found = Suspension.objects.select_related("deployment").get(pk=suspension_id)
    handoff = Handoff.objects.select_for_update(of=("self",)).get(pk=found.deployment.handoff_id)
    suspension = Suspension.objects.select_related("deployment", "job").get(pk=suspension_id)
    ended = suspension.job is None or suspension.job.ended_at is not None
    if not ended or not _wanted(suspension):
        return None
    order(suspension, handoff, actor=actor)
    return suspension.job


def _said(reason: str, wanted: str) -> str:
    reason = reason.strip()
    if not reason or len(reason) > LONGEST:
        words = "is empty" if not reason else f"has more than {LONGEST} characters"
        raise Invalid(wanted, fields={"reason": words})
    return reason


def _must_be_live(deployment: Deployment) -> None:
    if deployment.state != DeploymentState.LIVE:
        raise WrongState(
            f"A deployment that is {deployment.get_state_display()} is not suspended.",
            code="not_live",
            todo="Suspend what is live now. A canary is ended, and a deployment under way is waited for.",
        )
