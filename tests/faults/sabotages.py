"""Builds that lack one guard each, made here and nowhere else, so that the harness can show that it finds them.

A sabotage is done in the children that act, in the engine, or in the tests' own database.
"""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

from celery import current_app
from django.db import connection, transaction

from engine.fault_points import fault_point
from handoff import queue
from handoff.models import Deployment, Handoff, Job
from handoff.services import deployments
from tests.faults.stand import Stand

ENQUEUE = queue.enqueue
ON_COMMIT = "test.on_commit"


def _no_rows() -> None:
    """Send messages from the act itself, and write no job beside it."""

    def enqueue(handoff: Handoff, *, gate: str, task: str, purposes: Iterable[str]) -> list[Job]:
        jobs = [Job(handoff=handoff, gate=gate, purpose=one, queue=queue.QUEUES[task], task=task) for one in purposes]
        for job in jobs:
            _send(job)
        return jobs

    queue.enqueue = enqueue


def _on_commit_only() -> None:
    """Write the job, and let nothing but the process that committed it ring for it."""

    def enqueue(handoff: Handoff, *, gate: str, task: str, purposes: Iterable[str]) -> list[Job]:
        jobs = ENQUEUE(handoff, gate=gate, task=task, purposes=purposes)
        transaction.on_commit(lambda: _ring(jobs))
        return jobs

    queue.enqueue = enqueue


def _ring(jobs: Iterable[Job]) -> None:
    fault_point(ON_COMMIT)
    for job in jobs:
        _send(job)


def _send(job: Job) -> None:
    current_app.send_task(job.task, args=[str(job.pk)], queue=job.queue, ignore_result=True, retry=False)


def _judged_once() -> None:
    """Let the worker trust that a gate which was open is open."""
    deployments._why_not = lambda handoff, job, actor: ""


IN_CHILD: dict[str, Callable[[], None]] = {
    "no outbox": _no_rows,
    "on_commit only": _on_commit_only,
    "no re-evaluation": _judged_once,
}


@contextmanager
def without_the_constraint(name: str) -> Iterator[None]:
    """Let the tests' own database forget a constraint for a while."""
    constraint = next(one for one in Deployment._meta.constraints if one.name == name)
    with connection.schema_editor() as editor:
        editor.remove_constraint(Deployment, constraint)
    try:
        yield
    finally:
        with connection.schema_editor() as editor:
            editor.add_constraint(Deployment, constraint)


@contextmanager
def unfenced(stand: Stand) -> Iterator[None]:
    """Let the engine obey every order, however old."""
    args = stand.engine.process.args
    at = args.index("engine")
    args[at] = "tests.faults.unfenced"
    stand.engine.kill()
    stand.engine.start()
    try:
        yield
    finally:
        args[at] = "engine"
        stand.engine.kill()
        stand.engine.start()
