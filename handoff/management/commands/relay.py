"""The relay: hear of new jobs, and ring the workers through the broker. The only process that publishes.

Beside that it seals the audit trail once a second, in a thread of its own: nobody must wait for that, and it must not
wait for the broker.
"""

import logging
import signal
import time
from collections.abc import Iterable
from dataclasses import replace
from threading import Event, Thread
from typing import Any

import psycopg
from celery import current_app
from django.core.management.base import BaseCommand, CommandParser
from django.db import DatabaseError, InterfaceError, connection

from audit import sealer
from engine import tracing
from engine.fault_points import fault_point
from handoff.listening import ear
from handoff.services import jobs
from handoff.services.jobs import Bell

log = logging.getLogger(__name__)
EXPIRES = 60
RING_AGAIN = 10.0
LONGEST_PAUSE = 5.0


class Ringer:
    """Send bells; one that was sent a moment ago is not sent again, one that nobody heard is."""

    def __init__(self) -> None:
        """Start without having rung."""
        self._rung: dict[str, float] = {}

    def ring(self, bells: Iterable[Bell], *, fresh: bool) -> int:
        """Send the bells whose time has come, and return how many. Raises the broker's error; then ring them later."""
        now, sent = time.monotonic(), 0
        for bell in bells:
            if not fresh and now - self._rung.get(bell.job_id, -RING_AGAIN) < RING_AGAIN:
                continue
            fault_point("relay.before_bell")
            with tracing.span("ring", parent=bell.trace, kind=tracing.SpanKind.PRODUCER, mdlc__job=bell.job_id):
                current_app.send_task(
                    bell.task, args=[bell.job_id], queue=bell.queue, expires=EXPIRES, ignore_result=True, retry=False
                )
            fault_point("relay.after_bell")
            self._rung[bell.job_id] = now
            sent += 1
        if len(self._rung) > 10_000:
            self._rung = {job: at for job, at in self._rung.items() if now - at < RING_AGAIN}
        return sent


class Relay:
    """One relay. Any number may run: a job that is rung twice is claimed once."""

    def __init__(self, every: float) -> None:
        """Sweep every so many seconds."""
        self.every = every
        self.ringer = Ringer()
        self.stopped = Event()
        self.traced = tracing.on()

    def run(self) -> None:
        """Listen and sweep until told to stop; after a failure of the database or the broker go on, more slowly."""
        pause = 0.1
        while not self.stopped.is_set():
            try:
                with ear() as heard:
                    while not self.stopped.is_set():
                        self._round(heard)
                        pause = 0.1
            except (DatabaseError, InterfaceError, psycopg.Error) as error:
                log.warning("the database does not answer: %s", error)
                connection.close()
                self.stopped.wait(pause)
                pause = min(2 * pause, LONGEST_PAUSE)

    def _round(self, heard: psycopg.Connection[Any]) -> None:
        """Ring what waits, then what comes until the next sweep."""
        try:
            self._ring(jobs.sweep(), fresh=False)
        finally:
            connection.close()
        until = time.monotonic() + self.every
        while not self.stopped.is_set() and (left := until - time.monotonic()) > 0:
            for note in heard.notifies(timeout=min(left, 1.0), stop_after=1):
                self._ring([self._heard(note.payload)], fresh=True)

    def _heard(self, payload: str) -> Bell:
        """Read a note; where traces are taken, the row tells which one the work belongs to."""
        bell = bell_of(payload)
        return replace(bell, trace=jobs.trace_of(bell.job_id)) if self.traced else bell

    def _ring(self, bells: Iterable[Bell], *, fresh: bool) -> None:
        try:
            self.ringer.ring(bells, fresh=fresh)
        except (
            Exception
        ) as error:  # whatever a broker's client raises: the rows wait, and are rung after the next sweep
            log.warning("the broker does not answer, the jobs wait: %s", error)


def bell_of(payload: str) -> Bell:
    """Read what the trigger says: the job, the queue and the task."""
    job_id, queue, task = payload.split(" ", 2)
    return Bell(job_id, queue, task)


class Command(BaseCommand):
    """Run the relay."""

    help = "Hear of new jobs and ring the workers through the broker, and seal the audit trail, until stopped."
    requires_system_checks: list[str] = []  # they would load every page and take 30 MB

    def add_arguments(self, parser: CommandParser) -> None:
        """Take the time between two sweeps."""
        parser.add_argument("--every", type=float, default=2.0, help="Seconds between two sweeps.")

    def handle(self, *args: Any, **options: Any) -> None:
        """Run until SIGTERM or SIGINT."""
        tracing.start("mdlc-relay")
        relay = Relay(options["every"])
        for name in (signal.SIGTERM, signal.SIGINT):
            signal.signal(name, lambda *_: relay.stopped.set())
        sealing = Thread(target=sealer.run, args=[relay.stopped], name="sealer")
        sealing.start()
        self.stdout.write("relay: listening")
        self.stdout.flush()
        relay.run()
        sealing.join()
