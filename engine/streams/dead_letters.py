"""Dead letters: every record that was not scored or not delivered is kept, with the reason."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence

from engine.fields import Field
from engine.schemas import Schema
from engine.streams.rows import Reject, Rows
from engine.streams.transports import Sink

LETTER = Schema(
    "DeadLetter",
    [
        Field("at", "double", unit="s", doc="seconds since 1970"),
        Field("sink", "string", doc="the sink that did not take an output; empty for a reject"),
        Field("cause", "string"),
        Field("rule", "string"),
        Field("field", "string"),
        Field("message", "string"),
        Field("record", "string", doc="the record as JSON, or the message as text"),
    ],
    doc="A record that was not scored or not delivered, and why.",
)
LONGEST = 9_000


class DeadLetters:
    """Writes letters to a sink, and where that fails to a local one; if that fails too, nothing is acknowledged."""

    def __init__(self, local: Sink, chosen: Sink | None = None) -> None:
        """Take the sink of this machine's own, and the one that the deployment chose."""
        self._sinks = [chosen, local] if chosen else [local]

    def keep(self, rejects: Sequence[Reject], *, sink: str = "") -> None:
        """Keep rejects. Raises StreamError when no sink takes them."""
        if not rejects:
            return
        records = [
            {
                "at": time.time(),
                "sink": sink,
                "cause": one.cause,
                "rule": one.rule,
                "field": one.field,
                "message": one.message[:LONGEST],
                "record": _text(one.raw)[:LONGEST],
            }
            for one in rejects
        ]
        # each sink that does not take a record has a letter of its own about it
        keys = [f"{one.key}#{sink}" if sink else one.key for one in rejects]
        rows = Rows(LETTER, keys, records=records)
        for last, target in enumerate(self._sinks, start=1):
            try:
                target.write(rows)
            except Exception:
                if last == len(self._sinks):
                    raise
            else:
                return

    def close(self) -> None:
        """Close the sinks."""
        for sink in self._sinks:
            sink.close()


def _text(raw: object) -> str:
    return raw if isinstance(raw, str) else json.dumps(raw, default=str)
