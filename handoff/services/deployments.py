"""Deployments: let a worker carry out an order while its gate is open, and keep what became of it."""

from dataclasses import dataclass
from uuid import UUID

from django.db.models import QuerySet

from audit.actors import Actor, Person, Worker
from audit.acts import act
from audit.trail import record
from engine.fault_points import fault_point
from handoff.access import lock_handoff, require_role
from handoff.asking import asked_anew
from handoff.classifying import keep_kind, tell_kind
from handoff.decisions import decide
from handoff.deploy_plans import damage_in, deploy_plan, engine_url
from handoff.emergencies import for_rollback
from handoff.errors import ApprovalLapsed, Hidden, Invalid, Unavailable, WrongState
from handoff.facts import known_of, rules_of
from handoff.going_back import end_canary, must_have_previous, order_previous
from handoff.going_live import RELATED, go_live, live_in
from handoff.leases import end, hold
from handoff.models import Deployment, Handoff, Job, Return
from handoff.moves import chain_of, move
from handoff.ordering import order_again
from handoff.outcomes import fail_order, make_ready_again, send_back, under_way
from handoff.plans import DeployPlan, DeployReport
from handoff.queries.forgeries import forged_in
from handoff.readiness import looked_again
from handoff.standing import standing_of
from handoff.states import DeploymentState, JobState, State
from handoff.stopping import still_stopped
from models_registry.models import ModelVersion
from models_registry.roles import Role

STATE_OF = {"release": State.DEPLOYING, "confirm": State.CONFIRMING}
AGAIN = {
    "unreachable",
    "unknown",
    "stale_order",
    "suspended",
}  # nothing is wrong with the version: operations may deploy again
IN_SLOT = (DeploymentState.ORDERED, DeploymentState.CONFIRMING)


@dataclass(frozen=True, slots=True)
class _Admitted:
    deployment: Deployment
    previous: Deployment | None


def begin(job_id: UUID | str, fence: int) -> DeployPlan | None:
    """Return the plan of a claimed order; None, with the job ended, when its gate is shut. Raises LeaseLost.

    Every byte of the version is hashed again first, and every signature proven; only then, and only while the gate is
    open, does the worker get links to the bytes.
    """
    version = ModelVersion.objects.get(handoffs__jobs__pk=job_id)
    admitted = _admit(job_id, fence, damage_in(version))
    if admitted is None:
        return None
    fault_point("deploy.admitted")
    return deploy_plan(admitted.deployment, job_id=str(job_id), fence=fence, previous=admitted.previous)


@act
def _admit(job_id: UUID | str, fence: int, damage: list[str]) -> _Admitted | None:
    handoff, job = hold(job_id, fence)
    actor = Worker(job.worker)
    if handoff.state != STATE_OF[job.gate]:
        end(job, JobState.CANCELLED, error=f"the handoff is {State(handoff.state).label} now")
        return None
    why = _why_not(handoff, job, actor)
    if not why and (wrong := [*damage, *forged_in(handoff)]):
        _refuse_untrue(handoff, job, "; ".join(wrong), actor)
        return None
    if why:
        end(job, JobState.REFUSED, error=why)
        if handoff.state == State.DEPLOYING:
            make_ready_again(handoff, why, actor=actor, unknown=True)  # an order is there since an earlier attempt
        return None
    deployment = _order(handoff, job, actor)
    fault_point("deploy.ordered")
    return _Admitted(deployment, live_in(deployment))


def _why_not(handoff: Handoff, job: Job, actor: Actor) -> str:
    """Judge the gate again, now, in the worker, and return why the order may not be carried out; or nothing."""
    result = decide(handoff, job.gate, actor=actor, known=looked_again(handoff, asked_anew(handoff, actor=actor)))
    record(
        "job.claimed",
        actor=actor,
        on=job,
        chain=chain_of(handoff),
        data={"purpose": job.purpose, "attempt": job.attempts, "fence": job.fence, "gate_open": result.open},
    )
    if not result.open:
        missing = "; ".join(f"{r.title}: {r.why}" for r in result.missing) or "somebody refused"
        return f"the {job.gate} gate is shut: {missing}"
    try:
        engine_url(handoff.target)
    except Unavailable as error:
        return f"{error.message} {error.todo}"
    other = _in_slot(handoff).exclude(handoff=handoff).first()
    if other is not None:
        return f"version {other.version.number} is being deployed there; deploy again when that has ended"
    return _still_stopped(_meant(handoff))


def _still_stopped(deployment: Deployment) -> str:
    return still_stopped(live_in(deployment), deployment)


def _meant(handoff: Handoff) -> Deployment:
    """Return the order that a handoff has or would have, not written."""
    return Deployment(
        model=handoff.model, environment=handoff.target, slot=_slot(handoff), digest=handoff.version.digest
    )


def _in_slot(handoff: Handoff) -> QuerySet[Deployment]:
    return Deployment.objects.filter(
        model=handoff.model_id, environment=handoff.target_id, slot=_slot(handoff), state__in=IN_SLOT
    )


def _slot(handoff: Handoff) -> str:
    return str(handoff.bindings.get("slot", "main"))


def _refuse_untrue(handoff: Handoff, job: Job, wrong: str, actor: Actor) -> None:
    """Refuse an order whose bytes, signatures or rules are not those that people approved."""
    because = f"What is stored is not what was approved: {wrong}"
    end(job, JobState.REFUSED, error=because)
    deployment = under_way(handoff)
    if handoff.state == State.CONFIRMING:
        return  # the engine serves bytes that it has hashed itself; people end the canary, or have it confirmed
    if deployment is not None:
        fail_order(deployment, because, actor=actor)
    send_back(handoff, [Return.Reason.SECURITY], because, actor=actor)


def _order(handoff: Handoff, job: Job, actor: Actor) -> Deployment:
    """Write the order, or give the one that an earlier attempt left a newer number."""
    deployment = under_way(handoff)
    if deployment is not None:
        deployment.order = job.fence
        deployment.save(update_fields=["order"])
        return deployment
    deployment = Deployment.objects.create(
        handoff=handoff,
        model=handoff.model,
        version=handoff.version,
        environment=handoff.target,
        slot=_slot(handoff),
        order=job.fence,
        digest=handoff.version.digest,
        ordered_by=actor.mark,
    )
    tell_kind(handoff, actor=actor)
    record(
        "deployment.ordered",
        actor=actor,
        on=deployment,
        chain=chain_of(handoff),
        data={"version": handoff.version.number, "digest": deployment.digest, "order": deployment.order},
    )
    return deployment


@act
def finish(job_id: UUID | str, fence: int, report: DeployReport, *, actor: Actor) -> Deployment:
    """Keep what became of an order, and move the handoff on. Raises LeaseLost for a late holder."""
    handoff, job = hold(job_id, fence)
    deployment = handoff.deployments.select_related("version", "environment__organisation", "model").get(order=fence)
    if report.live and (stopped := _still_stopped(deployment)):
        report = DeployReport(False, stopped, report.steps, "suspended")
    end(job, JobState.DONE, error="" if report.live else report.summary)
    if not report.live:
        _failed(handoff, deployment, report, actor)
        return deployment
    if handoff.state == State.DEPLOYING:
        deployment.state, deployment.log = DeploymentState.CONFIRMING, [*deployment.log, *report.steps]
        deployment.save(update_fields=["state", "log"])
        move(handoff, State.CONFIRMING, actor=actor, because=report.summary)
    known = known_of(handoff)
    if decide(handoff, "confirm", actor=actor, known=known).open:
        keep_kind(deployment, known)
        go_live(deployment, actor=actor, log=report.steps if job.gate == "confirm" else ())
        move(handoff, State.LIVE, actor=actor, because=report.summary)
    return deployment


def _failed(handoff: Handoff, deployment: Deployment, report: DeployReport, actor: Actor) -> None:
    if report.reason_code in AGAIN and handoff.state == State.CONFIRMING:
        deployment.log = [*deployment.log, *report.steps]
        deployment.save(update_fields=["log"])
        return  # it serves, as far as we know; operations may ask to confirm again
    if report.reason_code in AGAIN:
        Deployment.objects.filter(pk=deployment.pk).update(log=[*deployment.log, *report.steps])
        make_ready_again(handoff, report.summary, actor=actor, unknown=report.reason_code == "unknown")
        return
    fail_order(deployment, report.summary, actor=actor, log=report.steps)
    reason = report.reason_code if report.reason_code in Return.Reason.values else Return.Reason.OPERABILITY
    send_back(handoff, [reason], report.summary, actor=actor)


@act
def retry(*, actor: Person, handoff_id: UUID | str) -> Handoff:
    """Deploy again after the engine could not be reached. The gate is judged again; nobody needs to sign again."""
    handoff, known = lock_handoff(actor, handoff_id)
    require_role(actor, known, Role.IT_OPERATIONS, "deploy again")
    order_again(handoff, known, actor=actor)
    return handoff


@act
def roll_back(*, actor: Person, deployment_id: UUID | str, reason: str) -> Job:
    """Order the version that was live before, for a reason; or end a canary. One action of IT operations.

    Returns the work that was queued for it. Raises Hidden, WrongRole, Invalid, WrongState when there is nothing to go
    back to or another deployment is under way, or ApprovalLapsed when the version before does not stand approved any
    more and no break-glass is in force for it.
    """
    found = Deployment.objects.filter(pk=deployment_id).first()
    if found is None:
        raise Hidden("There is no such deployment.")
    try:
        handoff, known = lock_handoff(actor, found.handoff_id)
    except Hidden:
        raise Hidden("There is no such deployment.") from None  # the words would tell that it is there
    require_role(actor, known, Role.IT_OPERATIONS, "roll a deployment back")
    if not reason.strip():
        raise Invalid("Say why it is rolled back.", fields={"reason": "is empty"})
    deployment = Deployment.objects.select_related(*RELATED).get(pk=found.pk)
    if deployment.state == DeploymentState.CONFIRMING:
        return end_canary(handoff, reason, actor=actor)
    if deployment.state != DeploymentState.LIVE:
        raise WrongState(f"A deployment that is {deployment.get_state_display()} cannot be rolled back.")
    previous = must_have_previous(deployment)
    return order_previous(handoff, deployment, previous, reason, rests_on=_rests_on(previous), actor=actor)


def _rests_on(previous: Deployment) -> Deployment.RestsOn:
    """Lock the handoff of a version that was live before, and return on what one may go back to it now."""
    handoff = Handoff.objects.select_for_update(of=("self",)).get(pk=previous.handoff_id)
    standing = standing_of(handoff)
    if standing.stands:
        return Deployment.RestsOn.APPROVAL
    if for_rollback(handoff) is not None:
        return Deployment.RestsOn.BREAK_GLASS
    ways = [
        f"{one.title} signs again on the page of its handoff ({', '.join(one.who) or 'nobody holds the role'})"
        for one in standing.renewable
    ]
    if rules_of(handoff).break_glass.roles:
        ways.append("two people go back all the same by break-glass, asked for on the page of its handoff")
    raise ApprovalLapsed(
        f"Version {previous.version.number} does not stand approved any more: {standing.why}",
        todo=f"{'; or '.join(ways) or 'Offer it anew, or deploy another version'}. What is live can be stopped.",
        fields={one.key: one.why for one in standing.lacks},
    )
