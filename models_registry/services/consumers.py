"""Keep consumers of sinks that nothing live is bound to. Only the integration owner does; the trail tells the others.

What a live deployment feeds changes by an amendment of that deployment.
"""

from typing import Any

from audit.actors import Person
from audit.acts import act
from audit.errors import StaleView
from models_registry import consumers
from models_registry.access import find_person, lock_environment
from models_registry.errors import Hidden, Invalid, Retired
from models_registry.models import Consumer, Stream
from models_registry.roles import Role
from models_registry.rules.consumers import FREE, check_consumer
from models_registry.rules.streams import fields_of


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
    """Add a consumer to a sink, with the person who answers for it.

    Raises Hidden, Forbidden, SinkBound, Invalid or SlugTaken.
    """
    sink = _sink(actor, environment, stream)
    told = {
        "name": name,
        "kind": kind,
        "purpose": purpose,
        "criticality": criticality,
        "effect": effect,
        "fields": list(fields or []),
    }
    check_consumer(told, fields_of(sink.descriptor))
    return consumers.add(sink, find_person(owner), told, actor=actor)


@act
def change(
    *, actor: Person, environment: str, stream: str, consumer_id: str, revision: int | None = None, **changes: Any
) -> Consumer:
    """Change what is known of a consumer. Raises Hidden, Forbidden, SinkBound, StaleView, Invalid or SlugTaken."""
    found = _lock(actor, environment, stream, consumer_id, revision)
    odd = sorted(set(changes) - set(FREE))
    if odd:
        raise Invalid("This cannot change.", fields=dict.fromkeys(odd, "is fixed"))
    check_consumer(changes, fields_of(found.stream.descriptor))
    if "owner" in changes:
        changes["owner"] = find_person(changes["owner"])
    return consumers.change(found, changes, actor=actor)


@act
def retire(
    *, actor: Person, environment: str, stream: str, consumer_id: str, reason: str, revision: int | None = None
) -> Consumer:
    """Retire a consumer: the sink feeds it no more. Raises Hidden, Forbidden, SinkBound, StaleView or Invalid."""
    found = _lock(actor, environment, stream, consumer_id, revision)
    if not reason.strip():
        raise Invalid("Say why the consumer is retired.", fields={"reason": "is empty"})
    return consumers.retire(found, actor=actor, because=reason)


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
    consumers.refuse_if_bound(found)
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
