"""Keep streams: declare them, change their descriptors, retire them."""

from typing import Any

from django.db import IntegrityError, transaction
from django.utils import timezone

from audit.actors import Person
from audit.acts import act
from audit.errors import StaleView
from audit.trail import record
from models_registry.access import find_person, lock_environment
from models_registry.errors import Hidden, InUse, Invalid, Retired, SlugTaken
from models_registry.models import Consumer, Environment, Stream
from models_registry.roles import Role
from models_registry.rules.streams import SIDES, check_descriptor, fields_of

KEEPERS = (Role.IT_OPERATIONS, Role.INTEGRATION_OWNER)
FREE = ("purpose", "descriptor", "owner")


@act
def declare(
    *, actor: Person, environment: str, slug: str, direction: str, descriptor: Any, owner: str, purpose: str = ""
) -> Stream:
    """Declare a stream of an environment, with the person who answers for it."""
    where = lock_environment(actor, environment, *KEEPERS)
    if direction not in SIDES:
        raise Invalid("A stream is a source or a sink.", fields={"direction": "must be source or sink"})
    digest = check_descriptor(descriptor, direction)
    person = find_person(owner)
    try:
        with transaction.atomic():
            stream = Stream.objects.create(
                environment=where,
                slug=slug,
                direction=direction,
                purpose=purpose,
                descriptor=descriptor,
                digest=digest,
                owner=person,
            )
    except IntegrityError as error:
        raise SlugTaken(f"{where.name} has a stream {slug}, or had one.", fields={"slug": "is in use"}) from error
    told = {"direction": direction, "descriptor": descriptor, "digest": digest, "owner": owner, "purpose": purpose}
    _record("stream.declared", actor, stream, told)
    return stream


@act
def change(*, actor: Person, environment: str, stream: str, revision: int | None = None, **changes: Any) -> Stream:
    """Change what a stream is for, its descriptor or its owner.

    A changed descriptor has another digest: whatever was signed over the old one does not cover it.
    """
    found = _lock(actor, environment, stream, revision)
    odd = sorted(set(changes) - set(FREE))
    if odd:
        raise Invalid("This cannot change.", fields=dict.fromkeys(odd, "is fixed"))
    before = {name: getattr(found, name) for name in changes if name != "owner"}
    if "owner" in changes:
        before["owner"] = found.owner.username
        found.owner = find_person(changes["owner"])
    if "descriptor" in changes:
        before["digest"] = found.digest
        found.digest = check_descriptor(changes["descriptor"], found.direction)
        _check_consumers(found, changes["descriptor"])
        found.descriptor = changes["descriptor"]
    found.purpose = changes.get("purpose", found.purpose)
    found.revision += 1
    found.save(update_fields=[*changes, "digest", "revision"])
    after = {**changes, **({"digest": found.digest} if "descriptor" in changes else {})}
    _record("stream.changed", actor, found, {"before": before, "after": after})
    return found


@act
def retire(*, actor: Person, environment: str, stream: str, reason: str, revision: int | None = None) -> Stream:
    """Retire a stream that feeds no consumer any more. Its name is not used again."""
    found = _lock(actor, environment, stream, revision)
    if not reason.strip():
        raise Invalid("Say why the stream is retired.", fields={"reason": "is empty"})
    fed = Consumer.objects.filter(stream=found, retired_at=None).values_list("name", flat=True)
    if fed:
        raise InUse(
            f"{found.slug} still feeds {', '.join(fed)}.", todo="Let the integration owner retire its consumers first."
        )
    found.retired_at = timezone.now()
    found.revision += 1
    found.save(update_fields=["retired_at", "revision"])
    _record("stream.retired", actor, found, {"digest": found.digest}, reason)
    return found


def _lock(actor: Person, environment: str, slug: str, revision: int | None) -> Stream:
    """Lock a stream that may still change, behind its environment."""
    where = lock_environment(actor, environment, *KEEPERS)
    found = Stream.objects.select_for_update().filter(environment=where, slug=slug).first()
    if found is None:
        raise Hidden(f"{where.name} has no stream {slug}.")
    if found.retired_at is not None:
        raise Retired("The stream was retired.", todo="Declare another one.")
    if revision is not None and revision != found.revision:
        raise StaleView("The stream changed after you read it.", todo="Read it again, then repeat your change.")
    found.environment = where
    return found


def _check_consumers(stream: Stream, descriptor: Any) -> None:
    """Refuse to take a field away that a consumer uses."""
    left = fields_of(descriptor)
    if left is None:
        return
    for consumer in Consumer.objects.filter(stream=stream, retired_at=None):
        gone = sorted(set(consumer.fields) - set(left))
        if gone:
            raise InUse(
                f"{consumer.name} uses {', '.join(gone)}, which this descriptor would take away.",
                todo=f"Talk to {consumer.owner.printed_name}, who answers for it, or keep the fields.",
                fields={"descriptor.fields": f"must keep {', '.join(gone)}"},
            )


def _record(action: str, actor: Person, stream: Stream, data: dict[str, Any], reason: str = "") -> None:
    where: Environment = stream.environment
    told = {"stream": stream.slug, **data}
    record(action, actor=actor, on=stream, chain=f"environment:{where.pk}", data=told, reason=reason)
