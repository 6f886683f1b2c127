"""Who holds a job: only the worker with its newest fencing number, and only while its lease runs."""

from uuid import UUID

from django.db.models.functions import Now

from handoff.errors import LeaseLost
from handoff.models import Handoff, Job
from handoff.states import JobState

GONE = "Another worker holds this job now, or it was cancelled; what you report is not kept."


def hold(job_id: UUID | str, fence: int) -> tuple[Handoff, Job]:
    """Lock the handoff of a job, then the job, for its holder. Raises LeaseLost for everybody else."""
    handoff = (
        Handoff.objects.select_for_update(of=("self",))
        .select_related("model", "version", "target__organisation", "target__owner")
        .filter(jobs=job_id)
        .first()
    )
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
