"""Who holds a job: only the worker with its newest fencing number, and only while its lease runs."""

from uuid import UUID

from django.db import connection
from django.db.models.functions import Now

from handoff.errors import LeaseLost
from handoff.models import Handoff, Job
from handoff.states import JobState

GONE = "Another worker holds this job now, or it was cancelled; what you report is not kept."


# A worker that is paused in the middle of a transaction keeps its locks. The server ends such a session before those
# who wait for the locks give up (lock_timeout, 10 s), so that a pause costs nobody else an attempt.
SILENCE_MS = 5000


def lock_handoff_of(job_id: UUID | str) -> Handoff | None:
    """Lock the handoff of a job for a transaction in which the worker may not fall silent."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT set_config('idle_in_transaction_session_timeout', %s, true)", [str(SILENCE_MS)])
    return (
        Handoff.objects.select_for_update(of=("self",))
        .select_related("model", "version", "target__organisation", "target__owner")
        .filter(jobs__pk=job_id)
        .first()
    )


def hold(job_id: UUID | str, fence: int) -> tuple[Handoff, Job]:
    """Lock the handoff of a job, then the job, for its holder. Raises LeaseLost for everybody else."""
    handoff = lock_handoff_of(job_id)
    mine = Job.objects.select_for_update().filter(pk=job_id, fence=fence, state=JobState.RUNNING, lease_until__gt=Now())
    job = mine.first()
    if handoff is None or job is None:
        raise LeaseLost(GONE)
    return handoff, job


def end(job: Job, state: JobState, *, error: str = "") -> None:
    """End a job that the caller holds. Raises LeaseLost if it is not running under that fencing number any more."""
    mine = Job.objects.filter(pk=job.pk, fence=job.fence, state=JobState.RUNNING)
    if not mine.update(state=state, ended_at=Now(), error=error[:2000]):
        raise LeaseLost(GONE)
    job.state, job.error = state, error[:2000]


def cancel_waiting(handoff: Handoff) -> int:
    """Cancel what is still queued for a locked handoff, and return how many jobs that were."""
    return handoff.jobs.filter(state=JobState.QUEUED).update(
        state=JobState.CANCELLED, ended_at=Now(), error="nobody needs it any more"
    )
