"""What the offer of a version changes for the consumers of the outputs that are live, and who answers for them."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from engine.compatibility import Change, Compatibility, compare_for
from engine.schemas import Schema
from handoff.in_force import bindings_of
from handoff.models import AskedConsumer, Deployment, Handoff
from handoff.states import DeploymentState
from models_registry.models import Consumer, Element, ModelVersion, Stream
from models_registry.rules.streams import fields_of

SCHEMA = "output_schema"


@dataclass(frozen=True, slots=True)
class Question:
    """What changes for one consumer, compared with the version that feeds it now."""

    consumer: Consumer
    live: ModelVersion
    compatibility: str
    changes: list[dict[str, str]]

    def is_asked(self, row: AskedConsumer | None) -> bool:
        """Tell whether a row says the same."""
        told = (self.consumer.fields, self.live.pk, self.compatibility, self.changes)
        return row is not None and told == (row.fields, row.live_id, row.compatibility, row.changes)


def questions_of(handoff: Handoff) -> list[Question]:
    """Return the consumers that a handoff changes something for, if its output schema is not that of what is live.

    They are those of the sinks that the live deployment of the model in the target writes into. Where nothing is live,
    nobody is asked, and that costs one query; two where both schemas are equal to the byte.
    """
    live = list(
        Deployment.objects.select_related("handoff__target", "version")
        .filter(model=handoff.model_id, environment=handoff.target_id, state=DeploymentState.LIVE)
        .exclude(handoff=handoff)
    )
    if not live:
        return []
    versions = [handoff.version_id, *(one.version_id for one in live)]
    schemas = Element.objects.filter(name=SCHEMA, version__in=versions).only("version", "blob", "text")
    by_version = {schema.version_id: schema for schema in schemas}
    after = by_version[handoff.version_id]
    for one in live:
        before = by_version[one.version_id]
        if before.blob_id != after.blob_id:
            return list(_questions(handoff, one, Schema.parse(before.text or ""), Schema.parse(after.text or "")))
    return []


def _questions(handoff: Handoff, live: Deployment, before: Schema, after: Schema) -> Iterator[Question]:
    # Outputs alone: who reads dead letters gets the same fields from every version.
    sinks, planned = (
        {told["stream"]: told for told in bindings.get("outputs", ())}
        for bindings in (bindings_of(live.handoff), handoff.bindings)
    )
    fed = Consumer.objects.filter(stream__environment=handoff.target_id, stream__slug__in=sinks, retired_at=None)
    for one in fed.select_related("stream", "owner").order_by("stream__slug", "name"):
        slug = one.stream.slug
        had = _chosen(one.stream, sinks[slug], before)
        gets = _chosen(one.stream, planned[slug], after) if slug in planned else []
        found = _compared(one, had, gets, before, after)
        if found.kind != "identical":
            changes = [{"field": c.field, "kind": c.kind, "reason": c.reason} for c in found.changes]
            yield Question(one, live.version, found.kind, [c for c in changes if c["kind"] != "identical"])


def _compared(consumer: Consumer, had: list[str], gets: list[str], before: Schema, after: Schema) -> Compatibility:
    """Return what becomes of the fields that a consumer uses: all that it gets where it names none."""
    used = set(consumer.fields) if consumer.fields else {*had, *gets}
    lost = [name for name in had if name in used and name in after.names and name not in gets]
    if lost and not gets:
        why = f"The version would not write into {consumer.stream.slug} any more."
    else:
        why = f"{consumer.stream.slug} would not carry it any more."
    found = compare_for(before, after, used)
    if not lost:
        return found
    return Compatibility("breaking", (*found.changes, *(Change(name, "breaking", why) for name in lost)))


def carried(handoff: Handoff, sink: Stream, told: Mapping[str, Any]) -> list[str]:
    """Return the fields that a sink gets: those that the bindings choose, else its own, else all outputs."""
    outputs = next((one.text for one in handoff.version.elements.all() if one.name == SCHEMA), None)
    return _chosen(sink, told, Schema.parse(outputs) if outputs else None)


def _chosen(sink: Stream, told: Mapping[str, Any], outputs: Schema | None) -> list[str]:
    if told.get("fields"):
        return list(told["fields"])
    own = fields_of(sink.descriptor)
    if own is not None:
        return list(own)
    return list(outputs.names) if outputs else []
