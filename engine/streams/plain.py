"""Transports without a place: records given in the descriptor itself, and a sink that keeps nothing."""

from __future__ import annotations

from typing import Any

from engine.schemas import Schema
from engine.streams.addresses import Reach
from engine.streams.descriptors import Stream
from engine.streams.rows import Rows
from engine.streams.transports import Batch


class InlineSource:
    """Gives the descriptor's own records."""

    endless = False

    def __init__(self, stream: Stream, schema: Schema, *, secret: str, reach: Reach, position: Any = None) -> None:
        """Take the records behind a position, which is a count."""
        self._records = [dict(one) for one in stream.location["records"]]
        self._at, self._size, self._loop = int(position or 0), stream.batch.records, stream.loop

    def read(self) -> Batch | None:
        """Return the next records, or None behind the last."""
        if self._at >= len(self._records) and self._loop:
            self._at = 0
        chunk = self._records[self._at : self._at + self._size]
        if not chunk:
            return None
        keys = [f"inline/{row}" for row in range(self._at, self._at + len(chunk))]
        self._at += len(chunk)
        return Batch(keys, chunk, position=self._at)

    def acknowledge(self, batch: Batch) -> None:
        """Do nothing."""

    def close(self) -> None:
        """Do nothing."""


class DiscardSink:
    """Takes everything and keeps nothing."""

    def __init__(self, stream: Stream, schema: Schema, *, secret: str, reach: Reach) -> None:
        """Need nothing."""

    def write(self, rows: Rows) -> None:
        """Forget the rows."""

    def close(self) -> None:
        """Do nothing."""


class NoSource:
    """Gives nothing."""

    endless = False

    def read(self) -> Batch | None:
        """Return None: this is the end."""
        return None

    def acknowledge(self, batch: Batch) -> None:
        """Do nothing."""

    def close(self) -> None:
        """Do nothing."""
