"""Jobs: claimed, kept alive, given back and swept. Each is one conditional statement, by the database's clock."""

from dataclasses import dataclass
from uuid import UUID

from django.conf import settings
from django.db import connection
from django.db.models import Func, Value
from django.db.models.functions import Now

from audit.actors import Actor, Person, Worker
from audit.acts import act
from audit.trail import record
from engine.fault_points import fault_point
from handoff import queue
from handoff.access import lock_handoff, require_role
from handoff.errors import Hidden, Invalid, WrongState
from handoff.facts import Known
from handoff.leases import Clock, with_handoff
from handoff.models import Handoff, Job
from handoff.moves import chain_of
from handoff.ordering import order_again
from handoff.outcomes import WAITING, after_death
from handoff.states import JobState, State
from models_registry.roles import Role

CLAIM = """
    UPDATE handoff_job
       SET state = 'running', worker = %s, attempts = attempts + 1, fence = nextval('handoff_fence'),
           claimed_at = clock_timestamp(), lease_until = clock_timestamp() + make_interval(secs => %s), error = ''
     WHERE id = %s AND task = %s AND state = 'queued'
 RETURNING *
"""
# SKIP LOCKED: several sweepers at once share the work, and none waits for a worker that is reporting right now.
REQUEUE = """
    UPDATE handoff_job SET state = 'queued', error = 'the worker ' || worker || ' fell silent', lease_until = NULL
     WHERE id IN (SELECT id FROM handoff_job
                   WHERE state = 'running' AND lease_until < clock_timestamp() AND attempts < %s
                     FOR UPDATE SKIP LOCKED)
"""
# The bell is rung with it, as for a new job, so that nobody waits for a sweep.
HAND_BACK = """
    WITH mine AS (
        UPDATE handoff_job SET state = 'queued', error = 'the worker ' || worker || ' was stopped', lease_until = NULL
         WHERE id = %s AND fence = %s AND state = 'running'
     RETURNING id, queue, task)
    SELECT pg_notify('job', id::text || ' ' || queue || ' ' || task) FROM mine
"""
SWEEPER = Worker("sweeper")
MOST_BELLS = 500


@dataclass(frozen=True, slots=True)
class Bell:
    """What a message to the workers says: which job, for which task, in which queue."""

    job_id: str
    queue: str
    task: str
    trace: str = ""


def claim(job_id: UUID | str, worker: str, *, task: str) -> Job | None:
    """Take a queued job for this worker, under a new fencing number; None if it is not there to be taken."""
    try:
        key = UUID(str(job_id))
    except ValueError:
        return None
    return next(iter(Job.objects.raw(CLAIM, [worker[:120], settings.JOB_LEASE_SECONDS, key, task])), None)


def beat(job_id: UUID | str, fence: int, progress: str | None = None) -> bool:
    """Extend a running lease for the holder of this fencing number. A lease that ran out is not revived."""
    lease = Func(
        Value(settings.JOB_LEASE_SECONDS), function="make_interval", template="%(function)s(secs => %(expressions)s)"
    )
    changes = {"lease_until": Now() + lease} | ({} if progress is None else {"progress": progress[:200]})
    mine = Job.objects.filter(pk=job_id, fence=fence, state=JobState.RUNNING, lease_until__gt=Now())
    return bool(mine.update(**changes))


def release(job_id: UUID | str, fence: int, error: str) -> None:
    """Give a job back after a failure of ours: to be tried again, or for good when it is out of attempts."""
    mine = Job.objects.filter(pk=job_id, fence=fence, state=JobState.RUNNING)
    again = mine.filter(attempts__lt=settings.JOB_ATTEMPTS)
    if not again.update(state=JobState.QUEUED, lease_until=None, error=error[:2000]):
        _bury(job_id, fence=fence, because=error, actor=SWEEPER)


def hand_back(job_id: UUID, fence: int) -> bool:
    """Put a job back that its holder cannot end, for its process is told to stop; tell whether it was still held.

    Being stopped is nobody's failure: however often it was tried, it waits again.
    """
    with connection.cursor() as cursor:
        cursor.execute(HAND_BACK, [job_id, fence])
        return bool(cursor.fetchall())


def sweep() -> list[Bell]:
    """Put jobs of silent workers back, bury those out of attempts, and return a bell for every job that waits."""
    with connection.cursor() as cursor:
        cursor.execute(REQUEUE, [settings.JOB_ATTEMPTS])
    fault_point("sweep.requeued")
    silent = Job.objects.filter(state=JobState.RUNNING, lease_until__lt=Now()).values_list("pk", "fence", "worker")
    for job_id, fence, worker in silent:  # of which those out of attempts are buried
        _bury(job_id, fence=fence, because=f"the worker {worker} fell silent", actor=SWEEPER)
    waiting = (
        Job.objects.filter(state=JobState.QUEUED).order_by("queued_at").values_list("pk", "queue", "task", "trace")
    )
    return [Bell(str(job_id), *told) for job_id, *told in waiting[:MOST_BELLS]]


def trace_of(job_id: UUID | str) -> str:
    """Return the traceparent that a job was queued under; "" where there is none."""
    return Job.objects.filter(pk=job_id).values_list("trace", flat=True).first() or ""


@act
def _bury(job_id: UUID | str, *, fence: int, because: str, actor: Actor) -> None:
    spent = Job.objects.filter(pk=job_id, fence=fence, state=JobState.RUNNING, attempts__gte=settings.JOB_ATTEMPTS)
    job, error = with_handoff(spent), because[:2000]
    if job is None or not spent.update(state=JobState.DEAD, ended_at=Clock(), error=error):
        return
    handoff, job.error = job.handoff, error
    record(
        "job.died",
        actor=actor,
        on=job,
        chain=chain_of(handoff),
        data={"purpose": job.purpose, "attempts": job.attempts, "worker": job.worker},
        reason=because,
    )
    after_death(handoff, job, actor=actor)


# What somebody may cancel, and what is ended elsewhere instead.
CANCELLED = {queue.RUN_TEST, queue.DEPLOY, queue.CONFIRM, queue.AMEND, queue.ROLL_BACK}
ELSEWHERE = {
    queue.RUN_STREAMS: "Roll the deployment back; the run is stopped with it.",
    queue.RUN_BATCH: "Stop the run on the page of its deployment.",
    queue.REPLAY: "Let it end; a replay changes nothing.",
}
RESTORES = ("restore", "refused")


@act
def retry(*, actor: Person, job_id: UUID | str) -> Job:
    """Try dead work once more, as IT operations; return the job that waits now.

    A test keeps its row and the attempts that it had, so it gets one more. A deployment or a confirmation is ordered
    anew, and its gate judged again. Nothing else is safe to repeat. Raises Hidden, WrongRole, WrongState or GateShut.
    """
    job, handoff, known = _locked(actor, job_id)
    require_role(actor, known, Role.IT_OPERATIONS, "try work again")
    if job.state != JobState.DEAD:
        words = f"Work that is {job.get_state_display()} is not tried again."
        raise WrongState(words, code="job_not_dead", todo="Only work that is out of attempts is.")
    if job.task in (queue.DEPLOY, queue.CONFIRM):
        again = order_again(handoff, known, actor=actor)
    elif job.task == queue.RUN_TEST:
        again = _once_more(job, handoff)
    else:
        raise WrongState(
            "Only tests and deployments are tried again by hand.",
            code="job_not_repeated",
            todo="Workers order the other kinds again by themselves, or the act that caused them is repeated.",
        )
    data = {"purpose": job.purpose, "attempts": job.attempts, "again": str(again.pk)}
    record("job.retried", actor=actor, on=job, chain=chain_of(handoff), data=data)
    return again


@act
def cancel(*, actor: Person, job_id: UUID | str, reason: str) -> Job:
    """Cancel work, for a reason, as IT operations. What follows is what follows when it dies.

    Work that waits is never begun. A worker that has it in hand loses its lease: what it reports is not kept, and where
    it gave an engine orders, work with a higher number puts that right. Raises Hidden, WrongRole, Invalid or
    WrongState.
    """
    job, handoff, known = _locked(actor, job_id)
    require_role(actor, known, Role.IT_OPERATIONS, "cancel work")
    if not reason.strip():
        raise Invalid("Say why it is cancelled.", fields={"reason": "is empty"})
    _must_be_cancellable(job)
    because = f"was cancelled: {reason.strip()}"  # by whom, the trail says
    Job.objects.filter(pk=job.pk).update(state=JobState.CANCELLED, ended_at=Clock(), error=because[:2000])
    came_from, job.state, job.error = job.state, JobState.CANCELLED, because[:2000]
    data = {"purpose": job.purpose, "from": came_from, "fence": job.fence}
    record("job.cancelled", actor=actor, on=job, chain=chain_of(handoff), data=data, reason=reason.strip())
    after_death(handoff, job, actor=actor, why=because)
    return job


def _locked(actor: Person, job_id: UUID | str) -> tuple[Job, Handoff, Known]:
    """Lock a job after its handoff, as workers do. Raises Hidden."""
    try:
        handoff, known = lock_handoff(actor, Job.objects.values_list("handoff", flat=True).get(pk=job_id))
    except (Job.DoesNotExist, Hidden):
        raise Hidden("There is no such work.") from None  # the words would tell that it is there
    return Job.objects.select_for_update().get(pk=job_id), handoff, known


def _once_more(job: Job, handoff: Handoff) -> Job:
    if handoff.state != State.TESTING:
        raise WrongState(
            f"The handoff is {State(handoff.state).label}, so its tests are over.",
            code="job_over",
            todo="Offer the version again; its tests run anew.",
        )
    Job.objects.filter(pk=job.pk).update(state=JobState.QUEUED, ended_at=None, lease_until=None)
    job.state, job.ended_at, job.lease_until = JobState.QUEUED, None, None
    return job


def _must_be_cancellable(job: Job) -> None:
    if job.state not in WAITING:
        words = f"Work that is {job.get_state_display()} is over."
        raise WrongState(words, code="job_over", todo="There is nothing to cancel any more.")
    if job.task not in CANCELLED or job.purpose.startswith(RESTORES):
        raise WrongState(
            "This work is not cancelled: without it an engine might serve what nobody approved.",
            code="job_not_cancelled",
            todo=ELSEWHERE.get(job.task, "Let it end; it puts the engine right."),
        )
