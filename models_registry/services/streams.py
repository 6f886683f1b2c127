"""Keep streams: declare them, change their descriptors, retire them."""

from collections.abc import Mapping
from typing import Any

from django.db import IntegrityError, transaction
from django.db.models import DateTimeField
from django.db.models.functions import Coalesce
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
FAULT = ("failing_since", "fault_code", "fault")


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
    told = {
        "direction": direction,
        "descriptor": descriptor,
        "digest": digest,
        "owner": person.mark,
        "purpose": purpose,
    }
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
        before["owner"] = found.owner.mark
        found.owner = find_person(changes["owner"])
    if "descriptor" in changes:
        before["digest"] = found.digest
        found.digest = check_descriptor(changes["descriptor"], found.direction)
        _check_consumers(found, changes["descriptor"])
        found.descriptor = changes["descriptor"]
        found.failing_since, found.fault_code, found.fault = None, "", ""  # that was about another place
    found.purpose = changes.get("purpose", found.purpose)
    found.revision += 1
    found.save(update_fields=[*changes, "digest", "revision", *FAULT])
    after = {**changes, **({"digest": found.digest} if "descriptor" in changes else {})}
    after |= {"owner": found.owner.mark} if "owner" in changes else {}
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


def to_ask() -> list[tuple[Environment, dict[str, dict[str, Any]]]]:
    """Return the environments that have an engine and streams, with direction and descriptor of each stream by name."""
    found: dict[Environment, dict[str, dict[str, Any]]] = {}
    kept = Stream.objects.filter(retired_at=None).exclude(environment__engine="").select_related("environment")
    for one in kept.order_by("environment__slug", "slug"):
        told = {"direction": one.direction, "descriptor": one.descriptor, "digest": one.digest}
        found.setdefault(one.environment, {})[one.slug] = told
    return list(found.items())


def asked(environment: Environment, streams: Mapping[str, Mapping[str, Any]], faults: Mapping[str, Any]) -> bool:
    """Keep which of the streams that an engine asked do not answer, and since when; tell whether that is news.

    No act, and nothing for the trail: what follows from it, a finding, is one. `faults` has a code and a message by
    name, or nothing for a stream that answers. A descriptor that changed meanwhile is asked another time.
    """
    moved = False
    for slug, told in streams.items():
        fault = faults.get(slug) or {}
        kept = Stream.objects.filter(environment=environment, slug=slug, digest=told["digest"], retired_at=None)
        if not fault:
            moved |= bool(kept.exclude(failing_since=None).update(failing_since=None, fault_code="", fault=""))
            continue
        code, words = str(fault.get("code") or "unreachable")[:50], str(fault.get("message") or "")[:300]
        since = Coalesce("failing_since", timezone.now(), output_field=DateTimeField())
        changed = kept.exclude(fault_code=code, fault=words)
        moved |= bool(changed.update(failing_since=since, fault_code=code, fault=words))
    return moved


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
