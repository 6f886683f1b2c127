"""Write consumers of a sink that the caller has locked and checked, and tell the trail.

Who may do so is for the caller to know: the integration owner directly, or a worker by an amendment that was signed.
"""

from typing import Any, NamedTuple

from django.conf import settings
from django.db import IntegrityError, transaction
from django.utils import timezone
from django.utils.module_loading import import_string

from audit.actors import Actor
from audit.models import Account
from audit.trail import record
from models_registry.errors import SinkBound, SlugTaken
from models_registry.models import Consumer, Stream


class Binding(NamedTuple):
    """Something live that writes into a sink, and the page where its amendments are proposed."""

    name: str
    path: str


def bound_by(sink: Stream) -> list[Binding]:
    """Return what is live and writes into a sink. The registry knows of nothing live: a function of the site tells."""
    found: list[Binding] = import_string(settings.SINKS_BOUND_BY)(sink)
    return found


def refuse_if_bound(sink: Stream) -> None:
    """Refuse to keep consumers directly where something live feeds them. Raises SinkBound."""
    bound = bound_by(sink)
    if bound:
        raise SinkBound(
            f"{sink.slug} is written by what is live: {', '.join(one.name for one in bound)}.",
            todo="Propose an amendment there, which the integration owner signs: "
            + ", ".join(one.path for one in bound),
        )


def add(sink: Stream, owner: Account, values: dict[str, Any], *, actor: Actor, because: str = "") -> Consumer:
    """Add a consumer. Raises SlugTaken."""
    try:
        with transaction.atomic():
            consumer = Consumer.objects.create(stream=sink, owner=owner, **values)
    except IntegrityError as error:
        raise _taken(sink, values["name"]) from error
    _record("consumer.added", actor, consumer, {**values, "owner": owner.mark}, because)
    return consumer


def change(found: Consumer, values: dict[str, Any], *, actor: Actor, because: str = "") -> Consumer:
    """Change what is known of a consumer; an owner is given as an account. Raises SlugTaken."""
    before = {name: getattr(found, name) for name in values}
    for name, value in values.items():
        setattr(found, name, value)
    found.revision += 1
    try:
        with transaction.atomic():
            found.save(update_fields=[*values, "revision"])
    except IntegrityError as error:
        raise _taken(found.stream, found.name) from error
    sides = {"before": _plain(before), "after": _plain(values)}
    _record("consumer.changed", actor, found, sides, because)
    return found


def retire(found: Consumer, *, actor: Actor, because: str) -> Consumer:
    """Retire a consumer: the sink feeds it no more."""
    found.retired_at = timezone.now()
    found.revision += 1
    found.save(update_fields=["retired_at", "revision"])
    _record("consumer.retired", actor, found, {"name": found.name}, because)
    return found


def _plain(values: dict[str, Any]) -> dict[str, Any]:
    return {name: value.mark if isinstance(value, Account) else value for name, value in values.items()}


def _taken(sink: Stream, name: str) -> SlugTaken:
    return SlugTaken(f"{sink.slug} feeds a consumer called {name} already.", fields={"name": "is in use"})


def _record(action: str, actor: Actor, consumer: Consumer, data: dict[str, Any], reason: str) -> None:
    chain = f"environment:{consumer.stream.environment_id}"
    told = {"stream": consumer.stream.slug, "consumer": consumer.name, **data}
    record(action, actor=actor, on=consumer, chain=chain, data=told, reason=reason)
