"""Check a whole batch at once. What is accepted here, `Schema.check` accepts too; the other way round need not hold."""

from __future__ import annotations

from collections.abc import Callable
from itertools import chain
from operator import itemgetter
from typing import TYPE_CHECKING, Any

import numpy as np

from engine.columns import INT_LIMITS, Columns

if TYPE_CHECKING:
    import pyarrow as pa

Columnar = dict[str, np.ndarray]
Given = np.ndarray | Columnar  # what a model takes: a matrix of records by fields, or a column for each field
NUMBERS = {int, float}


class BulkCheck:
    """A schema, compiled for batches of records, and for tables."""

    def __init__(self, columns: Columns) -> None:
        """Take a schema's columns."""
        self._columns, self._schema = columns, columns.schema
        fields = self._schema.fields
        self._width = len(fields)
        self._whole = [at for at, one in enumerate(fields) if one.type in INT_LIMITS]
        self._single = [at for at, one in enumerate(fields) if one.type == "float"]
        get: Callable[[dict[str, Any]], Any] = itemgetter(*self._schema.names)
        self._values = get if self._width > 1 else lambda record: (get(record),)
        self._tables: Any = None

    def records(self, records: list[dict[str, Any]]) -> Given | None:
        """Return records as a model takes them, or None if one of them may be outside of the schema."""
        if not records or set(map(len, records)) != {self._width}:
            return None
        try:
            rows = map(self._values, records)
            return self._matrix(list(chain.from_iterable(rows))) if self._columns.packable else self._lists(list(rows))
        except (KeyError, OverflowError):  # a field is missing, or a number beyond every double
            return None

    def table(self, table: pa.Table) -> Given | None:
        """Return a table as a model takes it, or None if one of its rows is outside of the schema."""
        if not table.num_rows or self._check(table).rejected:
            return None
        if self._columns.packable:
            matrix = np.column_stack([table.column(name).to_numpy().astype("f8") for name in self._schema.names])
            return self._accepted(matrix)
        return self._columns.from_lists({name: table.column(name).to_pylist() for name in self._schema.names})

    def _matrix(self, values: list[Any]) -> np.ndarray | None:
        types = set(map(type, values))
        if not types <= NUMBERS:
            return None
        if float in types and any(set(map(type, values[at :: self._width])) != {int} for at in self._whole):
            return None
        return self._accepted(np.array(values, "f8").reshape(-1, self._width))

    def _accepted(self, matrix: np.ndarray) -> np.ndarray | None:
        if not self._columns.accept_matrix(matrix):
            return None
        for at in self._single:
            matrix[:, at] = matrix[:, at].astype("f4")
        return matrix

    def _lists(self, rows: list[tuple[Any, ...]]) -> Columnar | None:
        import pyarrow as pa  # here, because a model of plain numbers never needs it

        from engine.streams.arrays import to_column

        arrays, lists = {}, {}
        for one, values in zip(self._schema.fields, zip(*rows, strict=True), strict=True):
            lists[one.name] = list(values)
            arrays[one.name], odd = to_column(lists[one.name], one)
            if odd:
                return None
        return None if self._check(pa.table(arrays)).rejected else self._columns.from_lists(lists)

    def _check(self, table: pa.Table) -> Any:
        if self._tables is None:
            from engine.tables import compile_table

            self._tables = compile_table(self._schema, most_told=0)
        return self._tables.check(table)
