"""Jobs: claimed, kept alive, given back and swept. Each is one conditional statement, by the database's clock."""

from dataclasses import dataclass
from uuid import UUID

from django.conf import settings
from django.db import connection
from django.db.models import Func, Value
from django.db.models.functions import Now

from audit.actors import Actor, Worker
from audit.acts import act
from audit.trail import record
from handoff.leases import Clock, with_handoff
from handoff.models import Job
from handoff.moves import chain_of
from handoff.outcomes import after_death
from handoff.states import JobState

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
SWEEPER = Worker("sweeper")
MOST_BELLS = 500


@dataclass(frozen=True, slots=True)
class Bell:
    """What a message to the workers says: which job, for which task, in which queue."""

    job_id: str
    queue: str
    task: str


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


def sweep() -> list[Bell]:
    """Put jobs of silent workers back, bury those out of attempts, and return a bell for every job that waits."""
    with connection.cursor() as cursor:
        cursor.execute(REQUEUE, [settings.JOB_ATTEMPTS])
    spent = Job.objects.filter(
        state=JobState.RUNNING, lease_until__lt=Now(), attempts__gte=settings.JOB_ATTEMPTS
    ).values_list("pk", "fence", "worker")
    for job_id, fence, worker in spent:
        _bury(job_id, fence=fence, because=f"the worker {worker} fell silent", actor=SWEEPER)
    waiting = Job.objects.filter(state=JobState.QUEUED).order_by("queued_at").values_list("pk", "queue", "task")
    return [Bell(str(job_id), queue, task) for job_id, queue, task in waiting[:MOST_BELLS]]


@act
def _bury(job_id: UUID | str, *, fence: int, because: str, actor: Actor) -> bool:
    spent = Job.objects.filter(pk=job_id, fence=fence, state=JobState.RUNNING, attempts__gte=settings.JOB_ATTEMPTS)
    job = with_handoff(spent)
    if job is None or not spent.update(state=JobState.DEAD, ended_at=Clock(), error=because[:2000]):
        return False
    handoff, job.error = job.handoff, because[:2000]
    record(
        "job.died",
        actor=actor,
        on=job,
        chain=chain_of(handoff),
        data={"purpose": job.purpose, "attempts": job.attempts, "worker": job.worker},
        reason=because,
    )
    after_death(handoff, job, actor=actor)
    return True
