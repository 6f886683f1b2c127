"""Open the source or sink that a stream describes. A transport's library is imported when one is opened, not before."""

from __future__ import annotations

from collections.abc import Iterator
from importlib import import_module
from typing import TYPE_CHECKING, Any

from engine.errors import StreamError
from engine.schemas import Schema
from engine.streams import secrets
from engine.streams.addresses import Reach
from engine.streams.descriptors import Stream
from engine.streams.transports import Batch, Sink, Source

if TYPE_CHECKING:
    from engine.streams.parts import Part

SOURCES = {
    "file": "files:FileSource",
    "sql": "sql:SqlSource",
    "valkey": "valkey:ValkeySource",
    "kafka": "kafka:KafkaSource",
    "inline": "plain:InlineSource",
}
HELD = {"valkey": "valkey:held", "kafka": "kafka:held"}
SINKS = {
    "file": "files:FileSink",
    "sql": "sql:SqlSink",
    "valkey": "valkey:ValkeySink",
    "kafka": "kafka:KafkaSink",
    "http": "webhook:WebhookSink",
    "discard": "plain:DiscardSink",
}


def open_source(stream: Stream, schema: Schema, *, reach: Reach, position: Any = None) -> Source:
    """Return an open source, behind a position where it has one. Raises StreamError."""
    if stream.transport not in SOURCES:
        raise StreamError("direction_unsupported", "Records that come by HTTP are scored at the engine's own endpoint.")
    options: dict[str, Any] = {"secret": _secret(stream), "reach": reach}
    if position is not None:
        options["position"] = position
    source: Source = _named(SOURCES[stream.transport])(stream, stream.schema or schema, **options)
    return source


def divide(stream: Stream, *, reach: Reach) -> list[Part]:
    """Return the parts of a source of files. Raises StreamError."""
    parts: list[Part] = _named("parts:divide")(stream, secret=_secret(stream), reach=reach)
    return parts


def open_part(stream: Stream, schema: Schema, part: Part, *, reach: Reach) -> Source:
    """Return one part of a source of files, open. Raises StreamError."""
    options = {"secret": _secret(stream), "reach": reach, "part": part}
    source: Source = _named("parts:PartSource")(stream, stream.schema or schema, **options)
    return source


def held(stream: Stream, schema: Schema, *, reach: Reach) -> Iterator[Batch]:
    """Return what an endless stream of `HELD` holds at this moment, and change nothing there. Raises StreamError."""
    batches: Iterator[Batch] = _named(HELD[stream.transport])(
        stream, stream.schema or schema, secret=_secret(stream), reach=reach
    )
    return batches


def open_sink(stream: Stream, schema: Schema, *, reach: Reach) -> Sink:
    """Return an open sink for the fields that the stream selects. Raises StreamError."""
    given = schema.select(stream.fields) if stream.fields else schema
    sink: Sink = _named(SINKS[stream.transport])(stream, given, secret=_secret(stream), reach=reach)
    return sink


def _secret(stream: Stream) -> str:
    return secrets.resolve(stream.secret) if stream.secret else ""


def _named(place: str) -> Any:
    module, _, name = place.partition(":")
    return getattr(import_module(f"engine.streams.{module}"), name)
