"""What a stream's descriptor must be, and whether a stream fits the schemas of a model."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Literal

import rfc8785

from engine.compatibility import fits
from engine.errors import SchemaError, StreamError
from engine.schemas import Schema
from engine.streams.descriptors import KEYS, problems
from models_registry.errors import Invalid

SIDES: dict[str, Literal["in", "out"]] = {"source": "in", "sink": "out"}
LARGEST = 256 * 1024


@dataclass(frozen=True, slots=True)
class Misfit:
    """Why a stream does not fit a model: the rule's code, the place in the descriptor, and the reason."""

    code: str
    field: str
    reason: str


@dataclass(frozen=True, slots=True)
class Fit:
    """How a stream's schema stands to the model's, change by change, and what speaks against running them."""

    kind: str
    changes: tuple[dict[str, str], ...] = ()
    misfits: tuple[Misfit, ...] = ()


def check_descriptor(descriptor: Any, direction: str) -> str:
    """Return the digest of a coherent descriptor. Raises Invalid with the first broken rule's code, and all places."""
    found = list(problems(descriptor, SIDES[direction]))
    if found:
        raise Invalid(
            found[0].message,
            code=found[0].code,
            todo="Correct the descriptor at the places that are named.",
            fields=_places(found),
        )
    return digest_of(descriptor)


def digest_of(descriptor: Mapping[str, Any]) -> str:
    """Return the SHA-256 over a descriptor's canonical form. Raises Invalid for what has none."""
    try:
        canonical = rfc8785.dumps(dict(descriptor))
    except (ValueError, RecursionError, TypeError) as error:
        raise _not_plain(str(error)) from error
    if len(canonical) > LARGEST:
        raise _not_plain(f"it is larger than {LARGEST} bytes")
    if rb"\u0000" in canonical:
        raise _not_plain("it holds a null character")
    return sha256(canonical).hexdigest()


def in_order(descriptor: Mapping[str, Any]) -> dict[str, Any]:
    """Return a descriptor in the order in which a person writes one; the database keeps none."""
    return {key: descriptor[key] for key in KEYS if key in descriptor}


def fields_of(descriptor: Mapping[str, Any]) -> tuple[str, ...] | None:
    """Return the names of the fields that a stream is known to carry; None where only the model would tell."""
    if descriptor.get("fields"):
        return tuple(descriptor["fields"])
    return Schema.parse(descriptor["schema"]).names if descriptor.get("schema") else None


def endless(descriptor: Mapping[str, Any]) -> bool:
    """Tell whether a source never ends by itself: messages, and what is read again from its start."""
    return descriptor["transport"] in ("valkey", "kafka") or descriptor.get("loop") is True


def fit(descriptor: Mapping[str, Any], direction: str, schema: Schema) -> Fit:
    """Return how a stream fits the schema of a model: its input's for a source, its output's for a sink."""
    side = SIDES[direction]
    misfits = tuple(Misfit(one.code, one.field, one.message) for one in problems(descriptor, side, schema))
    if not descriptor.get("schema"):
        return Fit("inherited", (), misfits)
    try:
        verdict = fits(Schema.parse(descriptor["schema"]), schema)
    except SchemaError as error:  # a rule of the schema was tightened after the stream was declared
        return Fit("breaking", (), misfits or (Misfit(error.code, "schema", error.message),))
    changes = tuple({"field": one.field, "kind": one.kind, "reason": one.reason} for one in verdict.changes)
    return Fit(verdict.kind, changes, misfits)


def misfits_of(descriptor: Mapping[str, Any], direction: str, schema: str) -> tuple[Misfit, ...]:
    """Return what speaks against running a stream beside a schema that is given as text."""
    try:
        return fit(descriptor, direction, Schema.parse(schema)).misfits
    except SchemaError as error:
        return (Misfit(error.code, "schema", error.message),)


def _places(found: Iterable[StreamError]) -> dict[str, str | list[str]]:
    """Return the sentences by the place in the descriptor that they speak of."""
    places: dict[str, list[str]] = {}
    for one in found:
        places.setdefault(f"descriptor.{one.field}".rstrip("."), []).append(one.message)
    return {place: told[0] if len(told) == 1 else told for place, told in places.items()}


def _not_plain(why: str) -> Invalid:
    places = {"descriptor": f"is refused: {why}"}
    return Invalid(f"The descriptor cannot be kept: {why}.", code="descriptor_malformed", fields=places)
