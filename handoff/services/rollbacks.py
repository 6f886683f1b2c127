"""Let a worker roll back to the version that was live before, or put back what the records say is live."""

from datetime import timedelta
from uuid import UUID

from django.db.models import QuerySet
from django.utils import timezone

from audit.actors import Actor, Worker
from audit.acts import act
from audit.trail import record
from handoff import queue
from handoff.deploy_plans import damage_in, deploy_plan, restore_plan
from handoff.emergencies import after_rollback, for_rollback
from handoff.going_live import RELATED, go_live, live_in, take_out
from handoff.leases import end, hold
from handoff.models import Decision, Deployment, Handoff, Job, Return
from handoff.moves import chain_of, move
from handoff.outcomes import fail_order, under_way
from handoff.plans import DeployPlan, DeployReport, RestorePlan
from handoff.retiring import retirement_of
from handoff.standing import standing_of
from handoff.states import DeploymentState, JobState, State

LONGEST_PAUSE_MINUTES = 60


def begin(job_id: UUID | str, fence: int) -> DeployPlan | RestorePlan | None:
    """Return the plan of a claimed rollback or restoration; None, with the job ended, if it is not wanted any more."""
    job = Job.objects.select_related("handoff").get(pk=job_id)
    rollback = job.purpose.startswith("rollback")
    order = _ordered(job.handoff) if rollback else None
    damage = damage_in(order.version) if order else []
    return _admit_rollback(job_id, fence, damage) if rollback else _admit_restore(job_id, fence)


def _ordered(handoff: Handoff) -> Deployment | None:
    return (
        Deployment.objects.select_related(*RELATED)
        .filter(rollback_of__handoff=handoff, rollback_of__state=DeploymentState.LIVE, state=DeploymentState.ORDERED)
        .first()
    )


@act
def _admit_rollback(job_id: UUID | str, fence: int, damage: list[str]) -> DeployPlan | None:
    handoff, job = hold(job_id, fence)
    actor = Worker(job.worker)
    order = _ordered(handoff)
    if order is None:
        end(job, JobState.CANCELLED, error="there is nothing to roll back any more")
        return None
    released = Decision.objects.filter(handoff=order.handoff_id, gate="release", opened=True).exists()
    why = "; ".join(damage) or ("" if released else "its release was never decided") or _rests_on_nothing(order)
    if why:
        end(job, JobState.REFUSED, error=why)
        fail_order(order, f"The rollback was refused: {why}", actor=actor)
        return None
    order.order = fence
    order.save(update_fields=["order"])
    data = {"purpose": job.purpose, "attempt": job.attempts, "fence": fence, "rests_on": order.rests_on}
    record("job.claimed", actor=actor, on=job, chain=chain_of(handoff), data=data)
    return deploy_plan(order, job_id=str(job_id), fence=fence, previous=live_in(order))


def _rests_on_nothing(order: Deployment) -> str:
    """Judge again, in the worker, what the order of a person rests on, and return why it holds no more; or nothing.

    A way back that a worker has ordered is not judged: it was approved once, and what serves must give way.
    """
    if order.rests_on == Deployment.RestsOn.APPROVAL:
        standing = standing_of(order.handoff)
        return "" if standing.stands else f"it does not stand approved any more: {standing.why}"
    if order.rests_on == Deployment.RestsOn.BREAK_GLASS and for_rollback(order.handoff) is None:
        return "the break-glass that it rests on is not in force any more"
    return ""


@act
def _admit_restore(job_id: UUID | str, fence: int) -> RestorePlan | None:
    handoff, job = hold(job_id, fence)
    if job.purpose.startswith("unload"):
        return _admit_unload(handoff, job, fence)
    refused = job.purpose.startswith("refused")
    unwanted = _unwanted(handoff, refused)
    if unwanted is None or (not refused and _slot_in_use(unwanted).exists()):
        end(job, JobState.CANCELLED, error="what is deployed there now was ordered later")
        return None
    data = {"purpose": job.purpose, "attempt": job.attempts, "fence": fence}
    record("job.claimed", actor=Worker(job.worker), on=job, chain=chain_of(handoff), data=data)
    live = live_in(unwanted)
    wanted = Deployment.objects.select_related(*RELATED).get(pk=live.pk) if live else None
    return restore_plan(unwanted, wanted, job_id=str(job_id), fence=fence)


def _admit_unload(handoff: Handoff, job: Job, fence: int) -> RestorePlan | None:
    live = handoff.deployments.select_related(*RELATED).filter(state=DeploymentState.LIVE).first()
    if live is None or _slot_in_use(live).exists():
        end(job, JobState.CANCELLED, error="it is not live any more, or another version is being deployed")
        return None
    data = {"purpose": job.purpose, "attempt": job.attempts, "fence": fence}
    record("job.claimed", actor=Worker(job.worker), on=job, chain=chain_of(handoff), data=data)
    return restore_plan(live, None, job_id=str(job.pk), fence=fence)


def _unwanted(handoff: Handoff, refused: bool) -> Deployment | None:
    states = [DeploymentState.CONFIRMING] if refused else [DeploymentState.FAILED]
    orders = Deployment.objects.select_related(*RELATED).filter(state__in=states)
    own = orders.filter(handoff=handoff) | orders.filter(rollback_of__handoff=handoff)
    return own.order_by("-order").first()


def _slot_in_use(deployment: Deployment) -> QuerySet[Deployment]:
    return Deployment.objects.filter(
        model=deployment.model_id,
        environment=deployment.environment_id,
        slot=deployment.slot,
        state__in=[DeploymentState.ORDERED, DeploymentState.CONFIRMING],
    )


@act
def finish(job_id: UUID | str, fence: int, report: DeployReport, *, actor: Actor) -> None:
    """Keep what became of a rollback or restoration. Raises LeaseLost for a late holder."""
    handoff, job = hold(job_id, fence)
    end(job, JobState.DONE, error="" if report.live else report.summary)
    if job.purpose.startswith("rollback"):
        _finish_rollback(handoff, fence, report, actor)
    elif job.purpose.startswith("refused"):
        _finish_refused(handoff, report, actor)
    elif job.purpose.startswith("unload") and report.live:
        _finish_unload(handoff, report, actor)


def restores_due() -> list[UUID]:
    """Return the handoffs after whose failed order nobody has got through to the engine yet, once it is time again."""
    tried = Job.objects.filter(purpose__startswith="restore:", state__in=[JobState.DONE, JobState.DEAD])
    handoffs = tried.exclude(error="").order_by().values_list("handoff", flat=True).distinct()
    return [handoff_id for handoff_id in handoffs if _next_restore(handoff_id)]


def _next_restore(handoff_id: UUID) -> str:
    """Return the purpose of the next attempt if the newest one failed long enough ago; else nothing."""
    jobs = Job.objects.filter(handoff=handoff_id, purpose__startswith="restore:").order_by("queued_at", "fence")
    last = jobs.last()
    if last is None or last.ended_at is None or last.state not in (JobState.DONE, JobState.DEAD) or not last.error:
        return ""
    stem = ":".join(last.purpose.split(":")[:2])
    attempts = jobs.filter(purpose__startswith=stem).count()
    pause = timedelta(minutes=min(2 ** min(attempts - 1, 10), LONGEST_PAUSE_MINUTES))
    return f"{stem}:{attempts + 1}" if last.ended_at + pause <= timezone.now() else ""


@act
def restore_again(*, actor: Actor, handoff_id: UUID) -> Job | None:
    """Queue another attempt to put back what the records say is live, as the engine was out of reach; None if not due.

    The pauses double, up to an hour. An attempt that is not wanted any more is cancelled by the worker that takes it.
    """
    handoff = Handoff.objects.select_for_update(of=("self",)).get(pk=handoff_id)
    purpose = _next_restore(handoff_id)
    if not purpose:
        return None
    job = queue.enqueue(handoff, gate="release", task=queue.ROLL_BACK, purposes=[purpose])[0]
    record("job.queued", actor=actor, on=job, chain=chain_of(handoff), data={"purpose": purpose})
    return job


def _finish_rollback(handoff: Handoff, fence: int, report: DeployReport, actor: Actor) -> None:
    order = Deployment.objects.select_related(*RELATED).get(rollback_of__handoff=handoff, order=fence)
    if not report.live:
        fail_order(order, report.summary, actor=actor, log=report.steps)
        if report.reason_code == "unknown":
            queue.enqueue(handoff, gate="release", task=queue.ROLL_BACK, purposes=[f"restore:{fence}"])
        return
    back = Handoff.objects.select_for_update(of=("self",)).get(pk=order.handoff_id)
    go_live(order, actor=actor, log=report.steps)
    move(back, State.LIVE, actor=actor, because=f"version {order.version.number} was put back: {order.reason}")
    after_rollback(handoff, f"version {order.version.number} was put back", actor=actor)


def _finish_unload(handoff: Handoff, report: DeployReport, actor: Actor) -> None:
    """Keep that the engine serves nothing instead of what was live; nobody answers for it any more."""
    live = handoff.deployments.select_related(*RELATED).filter(state=DeploymentState.LIVE).first()
    if live is None:
        return  # another version took its place meanwhile, and the engine has said so to whoever ordered that
    plan = retirement_of(live)
    because, retired = "it was taken out, and there was no earlier version to go back to", False
    if plan is not None and plan.due_at <= timezone.now():
        because, retired = f"it was retired: {plan.reason}", True
    take_out(live, because, actor=actor, log=report.steps, retired=retired)
    after_rollback(handoff, because, actor=actor)


def _finish_refused(handoff: Handoff, report: DeployReport, actor: Actor) -> None:
    deployment = under_way(handoff)
    if deployment is None or handoff.state != State.CONFIRMING:
        return
    deployment.log = [*deployment.log, *report.steps]
    if not report.live:
        deployment.save(update_fields=["log"])
        return  # operations may try again
    comment = Return.objects.get(handoff=handoff).comment
    deployment.state, deployment.reason = DeploymentState.ROLLED_BACK, comment
    deployment.ended_at = timezone.now()
    deployment.save(update_fields=["state", "reason", "log", "ended_at"])
    record(
        "deployment.rolled_back",
        actor=actor,
        on=deployment,
        chain=chain_of(handoff),
        data={"version": deployment.version.number, "order": deployment.order},
        reason=comment,
    )
    move(handoff, State.RETURNED, actor=actor, because=comment)
    after_rollback(handoff, comment, actor=actor)
