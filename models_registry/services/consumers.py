"""Keep consumers of sinks. Only the integration owner does; the trail tells everybody else."""

from typing import Any

from django.db import IntegrityError, transaction
from django.utils import timezone

from audit.actors import Person
from audit.acts import act
from audit.errors import StaleView
from audit.trail import record
from models_registry.access import find_person, lock_environment
from models_registry.errors import Hidden, Invalid, Retired, SlugTaken
from models_registry.models import Consumer, Stream
from models_registry.roles import Role
from models_registry.rules.streams import fields_of

FREE = ("name", "kind", "owner", "purpose", "fields", "criticality", "effect")


@act
def add(
    *,
    actor: Person,
    environment: str,
    stream: str,
    name: str,
    kind: str,
    owner: str,
    purpose: str,
    criticality: str,
    effect: str,
    fields: list[str] | None = None,
) -> Consumer:
    """Add a consumer to a sink, with the person who answers for it."""
    sink = _sink(actor, environment, stream)
    told = {
        "name": name,
        "kind": kind,
        "purpose": purpose,
        "criticality": criticality,
        "effect": effect,
        "fields": list(fields or []),
    }
    _check(sink, told)
    person = find_person(owner)
    try:
        with transaction.atomic():
            consumer = Consumer.objects.create(stream=sink, owner=person, **told)
    except IntegrityError as error:
        raise _taken(sink, name) from error
    _record("consumer.added", actor, consumer, {**told, "owner": owner})
    return consumer


@act
def change(
    *, actor: Person, environment: str, stream: str, consumer_id: str, revision: int | None = None, **changes: Any
) -> Consumer:
    """Change what is known of a consumer."""
    found = _lock(actor, environment, stream, consumer_id, revision)
    odd = sorted(set(changes) - set(FREE))
    if odd:
        raise Invalid("This cannot change.", fields=dict.fromkeys(odd, "is fixed"))
    _check(found.stream, changes)
    before = {name: getattr(found, name) for name in changes if name != "owner"}
    if "owner" in changes:
        before["owner"] = found.owner.username
        found.owner = find_person(changes["owner"])
    for name in changes.keys() - {"owner"}:
        setattr(found, name, changes[name])
    found.revision += 1
    try:
        with transaction.atomic():
            found.save(update_fields=[*changes, "revision"])
    except IntegrityError as error:
        raise _taken(found.stream, found.name) from error
    _record("consumer.changed", actor, found, {"before": before, "after": changes})
    return found


@act
def retire(
    *, actor: Person, environment: str, stream: str, consumer_id: str, reason: str, revision: int | None = None
) -> Consumer:
    """Retire a consumer: the sink feeds it no more."""
    found = _lock(actor, environment, stream, consumer_id, revision)
    if not reason.strip():
        raise Invalid("Say why the consumer is retired.", fields={"reason": "is empty"})
    found.retired_at = timezone.now()
    found.revision += 1
    found.save(update_fields=["retired_at", "revision"])
    _record("consumer.retired", actor, found, {"name": found.name}, reason)
    return found


def _sink(actor: Person, environment: str, stream: str) -> Stream:
    """Lock a sink of an environment whose integration owner acts."""
    where = lock_environment(actor, environment, Role.INTEGRATION_OWNER)
    found = Stream.objects.select_for_update().filter(environment=where, slug=stream).first()
    if found is None:
        raise Hidden(f"{where.name} has no stream {stream}.")
    if found.direction != Stream.Direction.SINK:
        raise Invalid("Only a sink has consumers; this is a source.", code="consumer_of_source")
    if found.retired_at is not None:
        raise Retired("The stream was retired.", todo="Add the consumer to another sink.")
    found.environment = where
    return found


def _lock(actor: Person, environment: str, stream: str, consumer_id: str, revision: int | None) -> Consumer:
    sink = _sink(actor, environment, stream)
    found = Consumer.objects.select_for_update().filter(stream=sink, pk=consumer_id).first()
    if found is None:
        raise Hidden(f"{sink.slug} has no such consumer.")
    if found.retired_at is not None:
        raise Retired("The consumer was retired.", todo="Add another one.")
    if revision is not None and revision != found.revision:
        raise StaleView("The consumer changed after you read it.", todo="Read it again, then repeat your change.")
    found.stream = sink
    return found


def _check(sink: Stream, values: dict[str, Any]) -> None:
    """Refuse a consumer that says nothing of itself, or that uses what the sink does not carry."""
    wrong: dict[str, str | list[str]] = {}
    for name, choices in (("kind", Consumer.Kind.values), ("criticality", Consumer.Criticality.values)):
        if name in values and values[name] not in choices:
            wrong[name] = f"must be one of {', '.join(choices)}"
    wrong |= {
        name: "is empty" for name in ("name", "purpose", "effect") if name in values and not str(values[name]).strip()
    }
    used = values.get("fields", [])
    if not isinstance(used, list) or not all(isinstance(one, str) and 0 < len(one) <= 200 for one in used):
        wrong["fields"] = "must be a list of names"
    elif len(set(used)) != len(used):
        wrong["fields"] = "names a field twice"
    else:
        carried = fields_of(sink.descriptor)
        unknown = sorted(set(used) - set(carried)) if carried is not None else []
        if unknown:
            wrong["fields"] = f"{', '.join(unknown)}: the sink carries {', '.join(carried or ())} only"
    if wrong:
        raise Invalid("Say what the consumer is, what it uses, and what hangs on it.", fields=wrong)


def _taken(sink: Stream, name: str) -> SlugTaken:
    return SlugTaken(f"{sink.slug} feeds a consumer called {name} already.", fields={"name": "is in use"})


def _record(action: str, actor: Person, consumer: Consumer, data: dict[str, Any], reason: str = "") -> None:
    chain = f"environment:{consumer.stream.environment_id}"
    told = {"stream": consumer.stream.slug, "consumer": consumer.name, **data}
    record(action, actor=actor, on=consumer, chain=chain, data=told, reason=reason)
