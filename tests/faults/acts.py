"""What the children of the zygote do: sign, upload, work on a job, ring. Each calls what an installation would call."""

from collections.abc import Callable, Iterator
from typing import Any

from celery import current_app
from django.conf import settings
from django.db import connection

from audit.actors import Person
from audit.errors import Refused
from handoff import tasks  # noqa: F401 - registers them
from handoff.executors.http import Engine
from handoff.management.commands import relay
from handoff.models import Handoff
from models_registry.services import versions
from tests.handoff import building

HALF = 512


def hasten(lease: int, engine_seconds: float, ring_again: float) -> None:
    """Shorten what is waited for, so that a trial takes seconds; nothing else is different."""
    settings.JOB_LEASE_SECONDS = lease
    defaults = Engine.__init__.__kwdefaults__
    assert defaults is not None
    defaults["seconds"] = engine_seconds
    relay.RING_AGAIN = ring_again


def sign(handoff_id: str, gate: str, who: str) -> dict[str, str]:
    """Sign as a web process does, and tell what the person would be told."""
    handoff = Handoff.objects.get(pk=handoff_id)
    try:
        return {"signoff": str(building.sign(handoff, gate, building.person(who)).pk)}
    except Refused as refusal:
        return {"refused": refusal.code}


def upload(model: str, number: int, name: str, content: str) -> dict[str, str]:
    """Put an element into a draft, its bytes in chunks."""
    raw = content.encode()

    def chunks() -> Iterator[bytes]:
        for start in range(0, len(raw), HALF):
            yield raw[start : start + HALF]

    actor = Person(building.person("dana"), "test")
    try:
        element, _ = versions.set_element(actor=actor, model=model, number=number, name=name, chunks=chunks())
    except Refused as refusal:
        return {"refused": refusal.code}
    return {"element": element.blob_id}


def work(task: str, job_id: str) -> None:
    """Carry out one job, as a worker does that got the message."""
    current_app.tasks[task](job_id)
    connection.close()


def ring() -> None:
    """Be the relay."""
    relay.Relay(0.25).run()


ACTS: dict[str, Callable[..., Any]] = {"sign": sign, "upload": upload, "work": work, "ring": ring}
