"""What a transport offers: a source gives batches and takes acknowledgements; a sink takes rows, all or none."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from engine.streams.rows import Reject

if TYPE_CHECKING:
    import pyarrow as pa

    from engine.streams.rows import Rows


@dataclass(slots=True)
class Batch:
    """What a source gave at once: records (or a table) with their keys, what could not be decoded, and where it lay.

    `position` is plain JSON; a source that is opened at it goes on behind this batch. `tokens` is what it needs to
    acknowledge the batch.
    """

    keys: Sequence[str] = ()
    records: list[dict[str, Any]] | None = None
    table: pa.Table = None
    rejects: list[Reject] = field(default_factory=list)
    position: Any = None
    tokens: Any = None

    def __len__(self) -> int:
        return len(self.keys) + len(self.rejects)


class Source(Protocol):
    """Where records come from."""

    endless: bool

    def read(self) -> Batch | None:
        """Return the next batch, an empty one when none came in time, or None at the end.

        Raises StreamError when the source cannot be reached or read.
        """

    def acknowledge(self, batch: Batch) -> None:
        """Tell the source that a batch is done for good, every record of it."""

    def close(self) -> None:
        """Let go of connections and files."""


class Sink(Protocol):
    """Where records go to."""

    def write(self, rows: Rows) -> None:
        """Deliver rows, all of them; the same keys again change nothing where the target can tell.

        Raises StreamError when the target cannot be reached or refuses.
        """

    def close(self) -> None:
        """Let go of connections and files."""
