"""Carry out stops in the process that holds the engines' token, beside its workers and never behind them.

Celery's own threads may all be at long deployments, and the broker may be away. So a thread of its own hears from the
database of each stop as it is committed, and carries it out in a pool of its own. The relay rings for stops as for all
other jobs, too: whoever is first claims the job, and the other finds it claimed.
"""

import logging
from concurrent.futures import ThreadPoolExecutor
from threading import Event, Thread
from typing import Any

import psycopg
from celery import bootsteps
from django.db import DatabaseError, InterfaceError, connection

from handoff import tasks
from handoff.listening import ear
from handoff.models import Job
from handoff.states import JobState

log = logging.getLogger(__name__)
AT_ONCE = 4
SWEEP_SECONDS = 1.0
LONGEST_PAUSE = 5.0


class Stopper:
    """Hears of stops and carries them out, until it is told to end."""

    def __init__(self) -> None:
        """Start without having heard of any."""
        self._ended = Event()
        self._pool = ThreadPoolExecutor(AT_ONCE, "stop")
        self._under_way: set[str] = set()
        self._thread = Thread(target=self._run, name="stopper", daemon=True)

    def start(self) -> None:
        """Start to listen."""
        self._thread.start()
        log.info("the stopper listens")

    def stop(self) -> None:
        """End, after what is under way."""
        self._ended.set()
        self._thread.join()
        self._pool.shutdown(wait=True, cancel_futures=True)

    def _run(self) -> None:
        pause = 0.1
        while not self._ended.is_set():
            try:
                with ear() as heard:
                    while not self._ended.is_set():
                        self._round(heard)
                        pause = 0.1
            except (DatabaseError, InterfaceError, psycopg.Error) as error:
                log.warning("the stopper cannot reach the database: %s", error)
                self._ended.wait(pause)
                pause = min(2 * pause, LONGEST_PAUSE)

    def _round(self, heard: psycopg.Connection[Any]) -> None:
        """Carry out what waits, tell engines again that did not answer, and listen until the next sweep."""
        try:
            tasks.tell_again()
            waiting = Job.objects.filter(queue=Job.Queue.STOPS, state=JobState.QUEUED).order_by("queued_at")
            for key in waiting.values_list("pk", flat=True):
                self._carry_out(str(key))
        finally:
            connection.close()
        for note in heard.notifies(timeout=SWEEP_SECONDS):
            job_id, queue, _ = note.payload.split(" ", 2)
            if queue == Job.Queue.STOPS:
                self._carry_out(job_id)
            if self._ended.is_set():
                return

    def _carry_out(self, job_id: str) -> None:
        if job_id in self._under_way:
            return
        self._under_way.add(job_id)
        self._pool.submit(_one, job_id).add_done_callback(lambda _: self._under_way.discard(job_id))


def _one(job_id: str) -> None:
    """Carry out one stop. What fails stays in its row, and is tried again."""
    try:
        tasks.stop(job_id)
    except (DatabaseError, InterfaceError):
        log.exception("the stop %s waits for the next sweep", job_id)
    finally:
        connection.close()


class Step(bootsteps.StartStopStep):
    """The part of a Celery worker that keeps a stopper, where the worker takes deployments and so holds the token."""

    def include_if(self, parent: Any) -> bool:
        """Tell whether this worker takes deployments."""
        return Job.Queue.DEPLOYMENTS in parent.app.amqp.queues.consume_from

    def create(self, parent: Any) -> Stopper:
        """Return what is started and stopped with the worker."""
        return Stopper()
