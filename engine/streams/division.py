"""Which runs can be divided among machines: from files, into what takes the same record twice and has it once."""

from __future__ import annotations

from engine.errors import StreamError
from engine.streams.orders import RunOrder

SINKS = ("file", "sql", "discard")  # they take the same rows again, and are as before


def refusal(order: RunOrder) -> StreamError | None:
    """Return why a run cannot be divided among machines, or None if it can."""
    source = order.source
    if source.get("transport") != "file":
        words = "cannot be divided among machines; give a folder of files, or let engines share a consumer group."
        return StreamError("source_indivisible", f"{source.get('transport')} {words}", field="source.transport")
    if source.get("loop"):
        return StreamError("source_indivisible", "A source that loops has no end; leave loop out.", field="source.loop")
    for name, sink in [*((f"sinks.{name}", one) for name, one in order.sinks.items()), ("letters", order.letters)]:
        if sink is not None and sink.get("transport") not in SINKS:
            return StreamError(
                "sink_unrepeatable",
                f"{sink.get('transport')} would take a record twice when a worker is lost; choose file or sql.",
                field=f"{name}.transport",
            )
    return None
