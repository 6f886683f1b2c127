"""Who holds a job: only the worker with its newest fencing number, and only while its lease runs."""

from uuid import UUID

from django.db import connection
from django.db.models import DateTimeField, Func, QuerySet, TextField, Value

from handoff.errors import LeaseLost
from handoff.models import Handoff, Job
from handoff.states import JobState

GONE = "Another worker holds this job now, or it was cancelled; what you report is not kept."
# A worker that is paused in the middle of a transaction keeps its locks. The server ends such a session before those
# who wait for the locks give up (lock_timeout, 10 s), so that a pause costs nobody else an attempt.
SILENCE_MS = 5000
IMPATIENT = Func(
    Value("idle_in_transaction_session_timeout"),
    Value(str(SILENCE_MS)),
    Value(True),
    function="set_config",
    output_field=TextField(),
)
PARTS = ("handoff__model", "handoff__version", "handoff__target__organisation", "handoff__target__owner")


class Clock(Func):
    """The database's clock, as it is now and not when the statement or the transaction began."""

    template = "clock_timestamp()"
    output_field = DateTimeField()


def next_order() -> int:
    """Return a number above all orders and fencing numbers so far, for an order that no job has claimed yet."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT nextval('handoff_fence')")
        return int(cursor.fetchone()[0])


def with_handoff(jobs: QuerySet[Job], parts: tuple[str, ...] = PARTS) -> Job | None:
    """Return the one job among some, its handoff locked for a transaction in which the worker may not fall silent."""
    locked = jobs.order_by().select_for_update(of=("handoff",)).select_related(*parts)
    return next(iter(locked.annotate(impatient=IMPATIENT)), None)


def hold(job_id: UUID | str, fence: int, *, parts: tuple[str, ...] = PARTS) -> tuple[Handoff, Job]:
    """Lock the handoff of a job, for the job's holder. Raises LeaseLost for everybody else.

    `parts` are fetched with it; who needs few of them names few, for they are most of what the query costs. The job
    itself may still be lost while the caller goes on; what counts is whether `end` finds it held.
    """
    mine = Job.objects.filter(pk=job_id, fence=fence, state=JobState.RUNNING, lease_until__gt=Clock())
    job = with_handoff(mine)
    if job is None:
        raise LeaseLost(GONE)
    return job.handoff, job


def end(job: Job, state: JobState, *, error: str = "") -> None:
    """End a job that the caller holds. Raises LeaseLost if the lease ran out, or the job is somebody else's now."""
    mine = Job.objects.filter(pk=job.pk, fence=job.fence, state=JobState.RUNNING, lease_until__gt=Clock())
    if not mine.update(state=state, ended_at=Clock(), error=error[:2000]):
        raise LeaseLost(GONE)
    job.state, job.error = state, error[:2000]


def cancel_waiting(handoff: Handoff) -> int:
    """Cancel what is still queued for a locked handoff, and return how many jobs that were."""
    return handoff.jobs.filter(state=JobState.QUEUED).update(
        state=JobState.CANCELLED, ended_at=Clock(), error="nobody needs it any more"
    )
