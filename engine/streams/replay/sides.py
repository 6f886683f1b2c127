"""One side of a replay: all that a source holds, as Arrow columns; what does not fit into them stands beside."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from engine.schemas import Schema
from engine.streams.arrays import KINDS, kind_of, to_column
from engine.streams.cells import read_column
from engine.streams.rows import Reject

MOST_TOLD = 5


class Missing:
    """The value of a field that a record does not have."""

    def __repr__(self) -> str:
        return "(missing)"


MISSING = Missing()


class Unreadable(str):
    """The text of a cell that cannot be read as its field's type."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class Column:
    """A field of every record. `odd` has, by row, what is no value of the field's type; there the array has a null."""

    values: pa.Array
    odd: dict[int, Any]

    def listed(self, rows: np.ndarray) -> list[Any]:
        """Return the values of some rows as they came."""
        values = self.values.take(pa.array(rows)).to_pylist()
        odd = self.odd
        return [odd.get(row, value) for row, value in zip(rows.tolist(), values, strict=True)] if odd else values


@dataclass(frozen=True, slots=True)
class Side:
    """N records as columns. `places` says where each lay in its source, counted from 0 with those that were unreadable.

    `unknown` has, by row, a field that the schema does not know. `rejects` counts what could not be decoded at all by
    cause, and `examples` holds the first of these.
    """

    columns: dict[str, Column]
    places: np.ndarray
    unknown: dict[int, str]
    rejects: Counter[str]
    examples: tuple[Reject, ...]

    def __len__(self) -> int:
        return len(self.places)


class Gathering:
    """Takes batches in, in their order, and gives the side that they are."""

    def __init__(self, schema: Schema) -> None:
        """Begin with nothing."""
        self._fields = schema.fields
        self._arrays: dict[str, list[pa.Array]] = {one.name: [pa.array([], kind_of(one))] for one in schema.fields}
        self._odd: dict[str, dict[int, Any]] = {one.name: {} for one in schema.fields}
        self._places: list[np.ndarray] = [np.empty(0, "i8")]
        self._unknown: dict[int, str] = {}
        self._rejects: Counter[str] = Counter()
        self._examples: list[Reject] = []
        self._count = 0

    def reject(self, rejects: Sequence[Reject]) -> None:
        """Take in what could not be decoded."""
        self._rejects.update(one.cause for one in rejects)
        self._examples += rejects[: MOST_TOLD - len(self._examples)]

    def add_records(self, records: list[dict[str, Any]], places: np.ndarray) -> None:
        """Take in decoded records."""
        lacking: Counter[int] = Counter()
        for one in self._fields:
            name = one.name
            values, odd = to_column([record.get(name, MISSING) for record in records], one)
            lacking.update(row for row, value in odd.items() if value is MISSING)
            self._put(name, values, odd)
        more = np.fromiter(map(len, records), "i8", len(records)) - len(self._fields)
        for row, times in lacking.items():
            more[row] += times
        for row in np.flatnonzero(more).tolist():
            self._unknown[self._count + row] = next(name for name in records[row] if name not in self._arrays)
        self._end(places)

    def add_table(self, table: pa.Table, places: np.ndarray) -> None:
        """Take in a table with a column for each field."""
        for one in self._fields:
            values = table.column(one.name).combine_chunks().cast(kind_of(one))
            self._put(one.name, values, {})
        self._end(places)

    def add_cells(self, batch: pa.RecordBatch, schema: Schema, places: np.ndarray) -> None:
        """Take in the cells of a CSV file; one that cannot be read stands beside its column as the text that it is.

        Columns that the schema does not know are left out, as an engine leaves them.
        """
        types = {one.name: one for one in schema.fields}
        for one in self._fields:
            if one.name not in batch.schema.names:
                self._put(one.name, pa.nulls(len(batch), kind_of(one)), dict.fromkeys(range(len(batch)), MISSING))
                continue
            cells = batch.column(one.name)
            values, wrong = read_column(cells, types[one.name], KINDS[one.kind])
            rows = np.flatnonzero(wrong.to_numpy(zero_copy_only=False)).tolist()
            self._put(one.name, values, {row: _unreadable(cells[row]) for row in rows})
        self._end(places)

    def side(self) -> Side:
        """Return everything."""
        columns = {name: Column(pa.concat_arrays(arrays), self._odd[name]) for name, arrays in self._arrays.items()}
        places = np.concatenate(self._places)
        return Side(columns, places, self._unknown, self._rejects, tuple(self._examples))

    def __len__(self) -> int:
        return self._count

    def _put(self, name: str, values: pa.Array, odd: dict[int, Any]) -> None:
        self._arrays[name].append(values)
        if odd:
            start = self._count
            self._odd[name].update({start + row: value for row, value in odd.items()})

    def _end(self, places: np.ndarray) -> None:
        self._places.append(places)
        self._count += len(places)


def _unreadable(cell: pa.Scalar) -> Unreadable:
    return Unreadable(cell.as_py().decode(errors="backslashreplace"))
