"""The two environments of a handoff as the difference report sees them: what they are, deliver and feed."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import orjson
from django.db.models import Prefetch, Q

from audit.models import Account
from handoff.models import Handoff
from handoff.rules.bindings import streams_in
from handoff.rules.sides import Consumer, Owner, Side, Stream
from models_registry.models import Consumer as Fed
from models_registry.models import Environment
from models_registry.models import Stream as Registered
from models_registry.queries import exceptions_in

DIRECTION_OF = {"input": "source", "output": "sink"}
FED = Fed.objects.filter(retired_at=None).select_related("owner")


def sides_of(handoff: Handoff, bindings: Mapping[str, Any]) -> tuple[Side, Side]:
    """Return the source and the target as they are now, by three queries beyond the environments themselves.

    Of the source everything counts that it declares; of the target what the bindings name, and what that feeds. Where
    the source declares several sources of records, none of them is taken to say which fields it delivers.
    """
    bound = {told["stream"] for _, _, told in streams_in(bindings)}
    streams = Registered.objects.filter(retired_at=None)
    streams = streams.prefetch_related(Prefetch("consumers", FED))
    of_source, of_target = Q(environment=handoff.source_id), Q(environment=handoff.target_id, slug__in=bound)
    found = list(streams.filter(of_source | of_target if bound else of_source))
    here = [one for one in found if one.environment_id == handoff.source_id]
    there = [one for one in found if one.environment_id == handoff.target_id and one.slug in bound]
    target = _side(handoff.target, there, _slots(there, "input"))
    excepted = exceptions_in([handoff.target])[handoff.target_id]
    return _side(handoff.source, here, _slots(here)), replace(target, exceptions=excepted.let_in(target.packages))


def fields_of(schema: str) -> dict[str, str]:
    """Return the fields of an Avro record by name, each with its type in words."""
    return _fields(orjson.loads(schema))


def _side(environment: Environment, streams: list[Registered], slots: dict[str, Stream]) -> Side:
    return Side(
        name=environment.name,
        kind=environment.kind,
        organisation=environment.organisation.name,
        owner=_owner(environment.owner),
        purpose=environment.purpose,
        python=environment.python,
        packages=environment.packages,
        hardware=environment.hardware,
        systems=environment.systems,
        requirements=environment.requirements,
        import_policy=environment.import_policy,
        streams=slots,
        consumers={
            f"{stream.slug}.{one.name}": Consumer(_owner(one.owner), one.purpose)
            for stream in streams
            for one in stream.consumers.all()
        },
    )


def _slots(streams: list[Registered], *wanted: str) -> dict[str, Stream]:
    """Return what leads in and out, each as one: a single stream with its fields, several of a kind in words."""
    found = {}
    for slot in wanted or DIRECTION_OF:
        told = [one for one in streams if one.direction == DIRECTION_OF[slot]]
        if len(told) == 1:
            found[slot] = _slot(told[0])
        elif told:
            words = (filter(None, (one.descriptor["transport"], one.descriptor.get("encoding"))) for one in told)
            found[slot] = Stream("; ".join(", ".join(one) for one in words))
    return found


def _slot(stream: Registered) -> Stream:
    schema, encoding = stream.descriptor.get("schema"), stream.descriptor.get("encoding", "")
    fields = _fields(schema) if schema else None
    return Stream(stream.descriptor["transport"], encoding, fields)


def _owner(account: Account) -> Owner:
    return Owner(account.printed_name, account.mark, account.pk)


def _fields(schema: Mapping[str, Any]) -> dict[str, str]:
    return {str(field["name"]): _words(field["type"]) for field in schema.get("fields", [])}


def _words(kind: Any) -> str:
    if isinstance(kind, list):
        return " or ".join(_words(one) for one in kind)
    if not isinstance(kind, dict):
        return str(kind)
    inner = kind.get("items", kind.get("values"))
    return f"{kind.get('type')} of {_words(inner)}" if inner is not None else _words(kind.get("type"))
