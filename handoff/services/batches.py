"""Runs of batches: on a schedule or on demand, started and stopped by a worker, followed to their end."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import UUID

from django.db.models import Max, Q, QuerySet
from django.utils import timezone

from audit.actors import Actor, Person, Worker
from audit.acts import act
from audit.trail import record
from handoff import queue
from handoff.access import lock_handoff, require_role
from handoff.batches import end_run, is_batch, order_run, run_under_way, skip_run, why_not
from handoff.connections import connected
from handoff.deploy_plans import engine_url
from handoff.errors import Hidden, Invalid, Unavailable, WrongState
from handoff.in_force import bindings_for, suspension_of
from handoff.leases import Clock, end, hold
from handoff.models import Deployment, Handoff, Job, Run
from handoff.models.runs import UNDER_WAY
from handoff.moves import chain_of
from handoff.plans import RunPlan, RunReport
from handoff.rules.bindings import BATCH
from handoff.rules.schedules import Due, schedule_of
from handoff.states import DeploymentState, JobState, RunState
from models_registry.roles import Role

PAUSE = timedelta(minutes=1)
TRIES = 5  # how often in a row a run may end too early without getting any further
RELATED = ("handoff__target", "model", "version", "environment")
OF_RUN = tuple(f"deployment__{part}" for part in RELATED)
ENDS_AS = {"finished": RunState.FINISHED, "failed": RunState.FAILED, "stopped": RunState.STOPPED}


def due_now() -> list[UUID]:
    """Return the live batch deployments whose schedule wants a run now."""
    live = Deployment.objects.filter(state=DeploymentState.LIVE, handoff__bindings__mode=BATCH)
    found = live.select_related("handoff").annotate(last=Max("runs__due_at"))
    return [one.pk for one in found if _due(one, one.last)]


@act
def run_due(*, actor: Worker, deployment_id: UUID | str) -> Run | None:
    """Order the run that a schedule wants now, or write down why it is skipped; None where nothing is due any more.

    After an outage one run is ordered, for the newest due time; the others are counted as missed.
    """
    deployment = _locked(Deployment.objects.get(pk=deployment_id))
    due = _due(deployment, Run.objects.filter(deployment=deployment).aggregate(last=Max("due_at"))["last"])
    if due is None:
        return None
    why, before = why_not(deployment), run_under_way(deployment)
    if not why and before is not None:
        why = f"Run {before.number} was still under way."
    if why:
        return skip_run(deployment, due, why, actor=actor)
    return order_run(deployment, Run.Cause.SCHEDULE, actor=actor, due=due)


@act
def run_now(*, actor: Person, deployment_id: UUID | str, reason: str) -> Run:
    """Order a run of a live batch now, for a reason. IT operations of the target may.

    Raises Hidden, WrongRole, Invalid, or WrongState: it is no batch, starts no runs now, or one is under way.
    """
    deployment = _lock_for(actor, deployment_id, "run a batch")
    if not reason.strip():
        raise Invalid("Say why it runs now.", fields={"reason": "is empty"})
    if not is_batch(deployment):
        raise WrongState(
            "This deployment is no batch.", code="no_batch", todo="Only what was handed over as a batch has runs."
        )
    why = why_not(deployment)
    if why:
        raise WrongState(why, code="no_runs_now", todo="Put that right first; its handoff's page tells more.")
    before = run_under_way(deployment)
    if before is not None:
        raise WrongState(
            f"Run {before.number} is under way.", code="under_way", todo="Wait for it to end, or stop it first."
        )
    return order_run(deployment, Run.Cause.DEMAND, actor=actor, reason=reason.strip())


@act
def stop(*, actor: Person, deployment_id: UUID | str, number: int, reason: str) -> Run:
    """Stop a run that is under way, for a reason. IT operations of the target may; what was delivered stays.

    Raises Hidden, WrongRole, Invalid, or WrongState: it has ended, is being stopped, or is just being started.
    """
    deployment = _lock_for(actor, deployment_id, "stop a run")
    run = Run.objects.select_related("job").filter(deployment=deployment, number=number).first()
    if run is None:
        raise Hidden("There is no such run.")
    run.deployment = deployment
    if not reason.strip():
        raise Invalid("Say why it is stopped.", fields={"reason": "is empty"})
    if not run.is_under_way:
        raise WrongState(f"Run {number} is {run.get_state_display()} already.", code="run_ended")
    if run.stop_job_id is not None or (run.job is not None and run.job.state == JobState.RUNNING):
        raise WrongState("A worker has it in hand already.", code="under_way", todo="Wait for the worker to end.")
    told = {"number": number}
    record("batch.stop_asked", actor=actor, on=run, chain=chain_of(deployment.handoff), data=told, reason=reason)
    waiting = Job.objects.filter(run=run, state=JobState.QUEUED)
    never_tried = waiting.filter(attempts=0).exists()
    waiting.update(state=JobState.CANCELLED, ended_at=Clock(), error="the run was stopped")
    run.stopped_by, run.why = actor.user, reason.strip()
    if never_tried:
        run.save(update_fields=["stopped_by"])
        end_run(run, RunState.STOPPED, run.why, actor=actor)
        return run
    stem = f"stop:{deployment.order}:{number}:"
    purposes = [f"{stem}{deployment.handoff.jobs.filter(purpose__startswith=stem).count() + 1}"]
    run.stop_job = queue.enqueue(deployment.handoff, gate="live", task=queue.RUN_BATCH, purposes=purposes)[0]
    run.save(update_fields=["stopped_by", "why", "stop_job"])
    return run


@act
def begin(job_id: UUID | str, fence: int) -> RunPlan | None:
    """Return the order to start or to stop a run; None, with the job ended, if it is not wanted any more.

    A deployment that is live no more, or whose approval is suspended, starts none. Raises LeaseLost.
    """
    _, job = hold(job_id, fence)
    run, actor = _of(job), Worker(job.worker)
    if not run.is_under_way:
        end(job, JobState.CANCELLED, error="the run has ended")
        return None
    stopping = run.stop_job_id == job.pk
    why, state = "" if stopping else why_not(run.deployment), RunState.SKIPPED
    try:
        url = engine_url(run.deployment.environment)
    except Unavailable as error:
        url, why, state = "", why or f"{error.message} {error.todo}", RunState.FAILED
    if why:
        end(job, JobState.REFUSED, error=why)
        end_run(run, state if run.state == RunState.ORDERED else RunState.STOPPED, why, actor=actor)
        return None
    Run.objects.filter(pk=run.pk).update(order=fence)
    plan = RunPlan(str(job_id), fence, url, run.deployment.model.slug)
    if stopping:
        return replace(plan, stops=(str(run.pk),), remember=True)
    streams = connected(run.deployment.handoff)
    assert streams is not None
    return replace(
        plan,
        run=str(run.pk),
        version=str(run.deployment.version.number),
        digest=run.deployment.digest,
        **streams.as_plan(),
        keys=f"{run.deployment.order}-{run.number}",
        tries=TRIES,
    )


@act
def finish(job_id: UUID | str, fence: int, plan: RunPlan, report: RunReport, *, actor: Actor) -> None:
    """Keep what became of the order to start or to stop a run. Raises LeaseLost for a late holder."""
    handoff, job = hold(job_id, fence)
    run = _of(job)
    end(job, JobState.DONE, error=report.error)
    if not run.is_under_way:
        return
    if report.error and plan.stops:
        Run.objects.filter(pk=run.pk).update(stop_job=None, why=report.error)  # it goes on; somebody may try again
    elif report.error:
        end_run(run, RunState.FAILED, report.error, actor=actor)
    elif plan.stops:
        told = report.stopped.get(str(run.pk), {})
        end_run(run, ENDS_AS.get(str(told.get("state")), RunState.STOPPED), run.why, actor=actor, counts=_counts(told))
    else:
        began = {} if run.began_at else {"began_at": Clock()}
        Run.objects.filter(pk=run.pk).update(state=RunState.RUNNING, counts=_counts(report.state), **began)
        told = {"number": run.number, "order": fence}
        record("batch.started", actor=actor, on=run, chain=chain_of(handoff), data=told)


def going() -> QuerySet[Run]:
    """Return the runs that an engine has."""
    return Run.objects.select_related(*OF_RUN).filter(state=RunState.RUNNING)


def follow(run_id: UUID, told: Mapping[str, Any], *, actor: Worker) -> None:
    """Keep what an engine told of a run; once it has ended, that is on record for good."""
    if told.get("ended"):
        _settle(run_id, told, actor=actor)
    else:
        why = str(told.get("error", {}).get("message", ""))
        Run.objects.filter(pk=run_id, state=RunState.RUNNING, stop_job=None).update(counts=_counts(told), why=why)


@act
def _settle(run_id: UUID, told: Mapping[str, Any], *, actor: Worker) -> None:
    run = Run.objects.select_related("deployment").get(pk=run_id)
    deployment = _locked(run.deployment)
    run = Run.objects.select_for_update().get(pk=run_id)
    run.deployment = deployment
    if run.state != RunState.RUNNING:
        return
    state = ENDS_AS.get(str(told.get("state")), RunState.FAILED)
    error = told.get("error", {})
    why = f"{error.get('code')}: {error.get('message')}" if state == RunState.FAILED else run.why
    if state == RunState.STOPPED:
        suspension = suspension_of(deployment)
        words = f"The deployment was suspended: {suspension.reason}" if suspension else ""
        why = why or words or "Somebody stopped it at the engine."
    end_run(run, state, why if state != RunState.FINISHED else "", actor=actor, counts=_counts(told))


def unordered() -> list[UUID]:
    """Return the runs whose order could not be given a minute ago or longer."""
    late = {"state": JobState.DEAD, "ended_at__lt": timezone.now() - PAUSE}
    to_start = Q(stop_job=None, **{f"job__{key}": value for key, value in late.items()})
    to_stop = Q(**{f"stop_job__{key}": value for key, value in late.items()})
    return list(Run.objects.filter(to_start | to_stop, state__in=UNDER_WAY).values_list("pk", flat=True))


@act
def order_again(*, actor: Actor, run_id: UUID, lost: bool = False) -> Job | None:
    """Queue an order anew after it died, or after the engine lost the run; it goes on under the same name and keys.

    None if nobody needs it.
    """
    run = Run.objects.select_related("deployment").get(pk=run_id)
    deployment = _locked(run.deployment)
    run = Run.objects.select_related("job", "stop_job").get(pk=run_id)
    latest = run.stop_job or run.job
    states = (JobState.DEAD, JobState.DONE) if lost else (JobState.DEAD,)
    if not run.is_under_way or latest is None or latest.state not in states:
        return None
    purpose = f"{'stop' if run.stop_job else 'run'}:{deployment.order}:{run.number}:again:{run.again + 1}"
    job = queue.enqueue(deployment.handoff, gate="live", task=queue.RUN_BATCH, purposes=[purpose])[0]
    run.again += 1
    if run.stop_job:
        run.stop_job = job
    else:
        run.job = job
    run.save(update_fields=["again", "job", "stop_job"])
    told = {"number": run.number, "purpose": purpose, "lost": lost}
    record("batch.ordered_again", actor=actor, on=run, chain=chain_of(deployment.handoff), data=told)
    return job


def _due(deployment: Deployment, last: Any) -> Due | None:
    """Return what the schedule of a deployment wants now; nothing before it was live, and nothing twice."""
    schedule = schedule_of(bindings_for(deployment))
    if schedule is None or deployment.state != DeploymentState.LIVE or deployment.live_at is None:
        return None
    return schedule.newest(max(last or deployment.live_at, deployment.live_at), timezone.now())


def _locked(deployment: Deployment) -> Deployment:
    """Lock the handoff of a deployment, and return the deployment as it is then."""
    Handoff.objects.select_for_update(of=("self",)).get(pk=deployment.handoff_id)
    return Deployment.objects.select_related(*RELATED).get(pk=deployment.pk)


def _lock_for(actor: Person, deployment_id: UUID | str, doing: str) -> Deployment:
    """Lock the handoff of a deployment for IT operations. Raises Hidden or WrongRole."""
    found = Deployment.objects.filter(pk=deployment_id).first()
    try:
        if found is None:
            raise Hidden("There is no such deployment.")
        _, known = lock_handoff(actor, found.handoff_id, parts=())
    except Hidden:
        raise Hidden("There is no such deployment.") from None  # the words would tell that it is there
    require_role(actor, known, Role.IT_OPERATIONS, doing)
    return Deployment.objects.select_related(*RELATED).get(pk=found.pk)


def _of(job: Job) -> Run:
    """Return the run that a job starts or stops."""
    return Run.objects.select_related(*OF_RUN).get(Q(job=job) | Q(stop_job=job))


def _counts(told: Mapping[str, Any]) -> dict[str, Any]:
    """Return what an engine counted, with the parts of a cluster where there are some."""
    counts = dict(told.get("counts") or {})
    return counts | {"parts": told["parts"]} if told.get("parts") else counts
