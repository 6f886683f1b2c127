"""What this process has in hand: jobs that it has claimed, each kept alive while the work goes on.

A worker that is told to stop (SIGTERM) claims nothing more. What is under way has `MDLC_STOP_SECONDS` to end; then
its rows are given back at once, so that another worker need not wait for a lease, and the process ends.
"""

import logging
import os
import socket
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from threading import Event, Thread, get_ident
from typing import Any
from uuid import UUID

from celery import bootsteps
from django.conf import settings
from django.db import DatabaseError, InterfaceError, connection

from audit.actors import Worker
from audit.request_ids import of_request
from engine import tracing
from engine.fault_points import fault_point
from handoff.errors import LeaseLost
from handoff.models import Job
from handoff.services import jobs

log = logging.getLogger(__name__)
STOPPING = Event()
IN_HAND: dict[UUID, int] = {}  # jobs that threads of this process hold, with their fencing numbers


class Holder:
    """The worker that holds a job, with a thread that keeps the lease while the work goes on."""

    def __init__(self, job: Job) -> None:
        """Start to keep the lease of a job that was just claimed."""
        self.fence = job.fence
        self.actor = Worker(job.worker)
        self._job_id = job.pk
        self._ended = Event()
        self._thread = Thread(target=self._beat, name=f"lease of {job.pk}", daemon=True)
        self._thread.start()

    def say(self, progress: str) -> None:
        """Tell how far the work is; the page shows it. The connection goes back to the pool while the work goes on."""
        jobs.beat(self._job_id, self.fence, progress)
        connection.close()

    def stop(self) -> None:
        """Let the lease go."""
        self._ended.set()
        self._thread.join()

    def _beat(self) -> None:
        while not self._ended.wait(settings.JOB_LEASE_SECONDS / 3):
            try:
                if not jobs.beat(self._job_id, self.fence):
                    return
            except (DatabaseError, InterfaceError):
                log.warning("the lease of job %s could not be extended now", self._job_id)
            finally:
                connection.close()


@contextmanager
def held(job_id: str, task: str) -> Iterator[Holder | None]:
    """Claim a job and keep its lease; None if it is not there to be taken. A failure of ours gives it back.

    Nothing is claimed by a process that ends: the row waits, and its bell is rung again.
    """
    worker = f"{socket.gethostname()}:{os.getpid()}:{get_ident() % 10**6}"
    fault_point("job.received")
    job = None if STOPPING.is_set() else jobs.claim(job_id, worker, task=task)
    if job is None:
        yield None
        return
    holder = Holder(job)
    IN_HAND[job.pk] = job.fence
    try:
        with of_request(job.request, job=job_id), _traced(job):
            fault_point("job.claimed")
            yield holder
            fault_point("job.recorded")
    except LeaseLost:
        log.warning("job %s was taken over; fence %s is not valid any more", job_id, job.fence)
    except Exception as error:
        log.exception("job %s failed", job_id)
        connection.close_if_unusable_or_obsolete()  # what broke may be the connection, and the job is given back by one
        jobs.release(job.pk, job.fence, f"{type(error).__name__}: {error}")
    finally:
        IN_HAND.pop(job.pk, None)
        holder.stop()


def _traced(job: Job) -> AbstractContextManager[tracing.Span]:
    """Open the span of one attempt, below that of the request that asked for the work."""
    return tracing.span(
        job.task,
        parent=job.trace,
        kind=tracing.SpanKind.CONSUMER,
        mdlc__job=str(job.pk),
        mdlc__attempt=job.attempts,
        mdlc__fence=job.fence,
    )


def hand_back() -> int:
    """Give back every job that this process holds, and return how many. What it still reports is not kept."""
    given = [job_id for job_id, fence in list(IN_HAND.items()) if jobs.hand_back(job_id, fence)]
    for job_id in given:
        log.warning("job %s is given back, for this worker ends", job_id)
    return len(given)


class LastCall:
    """Lets a worker's jobs end in time, and ends the process when they do not."""

    def start(self) -> None:
        """Do nothing yet."""

    def stop(self) -> None:
        """Claim nothing more; once the time is over, give back what is in hand and end. Celery waits meanwhile."""
        STOPPING.set()
        log.info("the worker ends: %d jobs are in hand", len(IN_HAND))
        Thread(target=self._end, name="last call", daemon=True).start()

    def _end(self) -> None:
        Event().wait(settings.STOP_SECONDS)
        try:
            hand_back()
        except (DatabaseError, InterfaceError):
            log.exception("what is in hand waits for the end of its lease")
        tracing.stop()
        logging.shutdown()
        os._exit(0)  # the threads that still work cannot be ended otherwise, and nothing that they report counts


class Step(bootsteps.StartStopStep):
    """The part of a worker that gives it a last call. It stops before the pool and the stopper, which wait for work."""

    requires = ("celery.worker.components:Pool", "handoff.stopper:Step")

    def create(self, parent: Any) -> LastCall:
        """Return what is stopped first."""
        return LastCall()
