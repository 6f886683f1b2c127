"""Runs over streams: let a worker start the run of what is live and stop the others, and keep how it goes.

The runs of batches are ordered one by one (`handoff/services/batches.py`); only those of what is live no more are
stopped here.
"""

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import UUID

from django.db.models import OuterRef, Q, QuerySet, Subquery
from django.utils import timezone

from audit.actors import Actor
from audit.acts import act
from audit.trail import record
from handoff import queue
from handoff.batches import end_run, is_batch
from handoff.connections import changed_since, connected
from handoff.deploy_plans import engine_url
from handoff.errors import Unavailable
from handoff.in_force import suspension_of
from handoff.leases import end, hold
from handoff.models import Amendment, Deployment, Handoff, Job, Run
from handoff.models.runs import UNDER_WAY
from handoff.moves import chain_of
from handoff.plans import RunPlan, RunReport
from handoff.rules.bindings import BATCH, RUNNING
from handoff.states import AmendmentState, DeploymentState, JobState, RunState

MOST_STOPS = 20
PAUSE = timedelta(minutes=1)
RELATED = ("handoff__target", "model", "version", "environment")


@act
def begin(job_id: UUID | str, fence: int) -> RunPlan | None:
    """Return the order that makes an engine run the stream of what is live now, and nothing else of that model.

    None, with the job ended, when the engine has no address. Raises LeaseLost.
    """
    handoff, job = hold(job_id, fence)
    ordered = Deployment.objects.select_related(*RELATED).filter(handoff=handoff).order_by("-order")[0]
    try:
        url = engine_url(ordered.environment)
    except Unavailable as error:
        end(job, JobState.REFUSED, error=f"{error.message} {error.todo}")
        return None
    here = Deployment.objects.select_related(*RELATED).filter(
        model=ordered.model_id, environment=ordered.environment_id, slot=ordered.slot
    )
    live = here.filter(state=DeploymentState.LIVE).first()
    ended = here.exclude(state=DeploymentState.LIVE).filter(handoff__bindings__mode__in=RUNNING)
    stops = [str(pk) for pk in ended.order_by("-order").values_list("pk", flat=True)[:MOST_STOPS]]
    batches = [str(run.pk) for run in Run.objects.filter(deployment__in=ended, state__in=UNDER_WAY)]
    plan = RunPlan(str(job_id), fence, url, ordered.model.slug, (*stops, *batches), remember=bool(batches))
    if live is None or is_batch(live) or _amended(live) or _not_to_start(live):
        return plan
    streams = connected(live.handoff)
    if streams is None:
        return plan
    return replace(
        plan,
        run=str(live.pk),
        version=str(live.version.number),
        digest=live.digest,
        **streams.as_plan(),
    )


def _not_to_start(live: Deployment) -> str:
    """Return why the run of what is live is not to be started; or nothing."""
    suspension = suspension_of(live)
    if suspension is not None:
        return f"The deployment is suspended by {suspension.by}: {suspension.reason}"
    return "; ".join(changed_since(live.handoff).values())


def _amended(live: Deployment) -> bool:
    """Tell whether an amendment is being applied, which orders the run itself; the two would undo each other."""
    return Amendment.objects.filter(deployment=live, state=AmendmentState.APPLYING).exists()


@act
def finish(job_id: UUID | str, fence: int, plan: RunPlan, report: RunReport, *, actor: Actor) -> None:
    """Keep what became of the order of a run. Raises LeaseLost for a late holder."""
    handoff, job = hold(job_id, fence)
    end(job, JobState.DONE, error=report.error)
    stopped = {"state": "stopped", "told_at": timezone.now().isoformat()}
    over = Run.objects.filter(pk__in=plan.stops).values("deployment")
    for gone in Deployment.objects.select_for_update().filter(Q(pk__in=plan.stops) | Q(pk__in=over)).exclude(run={}):
        gone.run = {**gone.run, **stopped}
        gone.save(update_fields=["run"])
    if not report.error:
        _stop_batches(plan, report, actor)
    wanted = Deployment.objects.select_for_update(of=("self",)).filter(handoff=handoff).order_by("-order")[0]
    if plan.run:
        wanted = Deployment.objects.select_for_update(of=("self",)).select_related("handoff").get(pk=plan.run)
    streaming = wanted.state == DeploymentState.LIVE and not is_batch(wanted)
    why = _not_to_start(wanted) if not plan.run and streaming else ""
    if why:
        wanted.run = {"state": "not started", "error": {"message": why}}
    elif plan.run:
        wanted.run = _kept(report.state) if report.state else {"state": "failed", "error": {"message": report.error}}
    wanted.log = [*wanted.log, *report.steps]
    wanted.save(update_fields=["run", "log"])
    record(
        "run.ordered",
        actor=actor,
        on=wanted,
        chain=chain_of(handoff),
        data={"run": plan.run, "stopped": list(plan.stops), "state": wanted.run.get("state", ""), "order": fence},
        reason=report.error or why,
    )


def _stop_batches(plan: RunPlan, report: RunReport, actor: Actor) -> None:
    """End the runs of batches that were stopped because another version is live."""
    of_what_ended = Run.objects.select_related("deployment__handoff").filter(pk__in=plan.stops, state__in=UNDER_WAY)
    for run in of_what_ended:
        counts = report.stopped.get(str(run.pk), {}).get("counts")
        why = f"The deployment is {run.deployment.get_state_display()}; only what is live runs."
        end_run(run, RunState.STOPPED, why, actor=actor, counts=counts)


@act
def order_again(*, actor: Actor, deployment_id: UUID, lost: bool = False) -> Job | None:
    """Queue the order of a run anew after it died, or after the engine lost the run. None if nobody needs it."""
    found = Deployment.objects.select_related("handoff").get(pk=deployment_id)
    handoff = Handoff.objects.select_for_update(of=("self",)).get(pk=found.handoff_id)
    ordered = handoff.jobs.filter(task=queue.RUN_STREAMS)
    latest = ordered.order_by("-queued_at").first()
    states = (JobState.DEAD, JobState.DONE) if lost else (JobState.DEAD,)
    live = Deployment.objects.filter(pk=deployment_id, state=DeploymentState.LIVE).exists()
    if not live or latest is None or latest.state not in states:
        return None
    purpose = f"streams:{found.order}:{ordered.count() + 1}"
    job = queue.enqueue(handoff, gate="live", task=queue.RUN_STREAMS, purposes=[purpose])[0]
    record("job.queued", actor=actor, on=job, chain=chain_of(handoff), data={"purpose": purpose})
    return job


def dead() -> list[UUID]:
    """Return the live deployments whose run could not be ordered a minute ago or longer."""
    latest = Job.objects.filter(handoff=OuterRef("handoff"), task=queue.RUN_STREAMS).order_by("-queued_at")
    found = Deployment.objects.filter(state=DeploymentState.LIVE).annotate(
        job_state=Subquery(latest.values("state")[:1]), job_ended=Subquery(latest.values("ended_at")[:1])
    )
    late = found.filter(job_state=JobState.DEAD, job_ended__lt=timezone.now() - PAUSE)
    return list(late.values_list("pk", flat=True))


def going() -> QuerySet[Deployment]:
    """Return the live deployments that run over a stream for ever."""
    running = Deployment.objects.filter(state=DeploymentState.LIVE, handoff__bindings__mode__in=RUNNING)
    return running.select_related("model", "environment").exclude(handoff__bindings__mode=BATCH)


def keep(deployment_id: UUID, told: Mapping[str, Any]) -> None:
    """Keep what an engine told of a run that is live; no act, and nothing for the trail."""
    Deployment.objects.filter(pk=deployment_id, state=DeploymentState.LIVE).update(run=_kept(told))


def _kept(told: Mapping[str, Any]) -> dict[str, Any]:
    kept = {key: told[key] for key in ("state", "counts", "letters", "parts", "scores", "error") if key in told}
    return {**kept, "told_at": timezone.now().isoformat()}
