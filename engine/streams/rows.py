"""Some records on their way through a stream, each with its key: as plain records, or as an Arrow table of the same."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pyarrow as pa

    from engine.schemas import Schema

KEY = "record_key"


@dataclass(frozen=True, slots=True)
class Reject:
    """A record that was not scored, or an output that was not delivered, and why.

    `cause` is encoding, schema (a field or its type), constraint (a value), prediction, output or delivery.
    """

    key: str
    cause: str
    rule: str
    field: str
    message: str
    raw: Any = None


class Rows:
    """N records of one schema with N keys. A key names a record for ever: where it lay in its source."""

    def __init__(
        self,
        schema: Schema,
        keys: Sequence[str],
        *,
        records: list[dict[str, Any]] | None = None,
        table: pa.Table = None,
    ) -> None:
        """Take either plain records or a table whose columns have the schema's names and types."""
        self.schema = schema
        self.keys = keys
        if records is not None:
            self.__dict__["records"] = records
        if table is not None:
            self.__dict__["table"] = table

    def __len__(self) -> int:
        return len(self.keys)

    @cached_property
    def records(self) -> list[dict[str, Any]]:
        """Return the records as plain values."""
        records: list[dict[str, Any]] = self.table.to_pylist()
        return records

    @cached_property
    def table(self) -> pa.Table:
        """Return the records as an Arrow table."""
        import pyarrow as pa  # here, because most streams carry messages and never need it

        from engine.exchange.arrow import to_arrow

        return pa.Table.from_pylist(self.records, schema=to_arrow(self.schema))

    def selected(self, names: Sequence[str]) -> Rows:
        """Return the same rows with some of their fields."""
        if not names or tuple(names) == self.schema.names:
            return self
        schema = self.schema.select(names)
        if "table" in self.__dict__:
            return Rows(schema, self.keys, table=self.table.select(list(names)))
        return Rows(schema, self.keys, records=[{name: record[name] for name in names} for record in self.records])
