"""Check whole tables against a schema: the verdict that `Schema.check` gives on each row, at the speed of columns.

A schema has two compilers: engine/schemas.py for single records, and this one for Arrow. A property test holds them to
the same verdict. Tables are worked through in steps of rows, so that only their own memory grows with them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from engine.errors import RecordError
from engine.schemas import Schema
from engine.table_columns import ColumnCheck
from engine.table_rows import NONE, RULES, Broken
from engine.table_texts import is_text

__all__ = ["Rejection", "TableCheck", "Verdict", "compile_table"]

STEP = 1 << 19  # rows
MOST_TOLD = 100
LONGEST_TOLD = 200


@dataclass(frozen=True, slots=True)
class Rejection:
    """What is wrong with one field of one row: as `Violation`, with the number of the row, from 0."""

    row: int
    field: str
    rule: str
    value: Any
    message: str


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a check found.

    `accepted` tells of each row whether it meets the schema; `counts` has violations by rule and `fields` by field and
    rule; `rejections` are the first ones, by row and then as `Schema.check` orders them.
    """

    accepted: np.ndarray
    counts: dict[str, int]
    fields: dict[tuple[str, str], int]
    rejections: tuple[Rejection, ...]

    @property
    def rejected(self) -> int:
        """Return the number of rows that break a rule."""
        return len(self.accepted) - int(np.count_nonzero(self.accepted))


def compile_table(schema: Schema, *, most_told: int = MOST_TOLD) -> TableCheck:
    """Return the check of tables for a schema, which tells of at most so many violations in full."""
    return TableCheck(schema, most_told)


class TableCheck:
    """A schema, compiled for tables. It may be used from several threads."""

    def __init__(self, schema: Schema, most_told: int) -> None:
        """Compile each field."""
        self.schema = schema
        self._columns = {one.name: ColumnCheck(one) for one in schema.fields}
        self._most_told = most_told

    def check(self, table: pa.Table | pa.RecordBatch) -> Verdict:
        """Return which rows meet the schema, and why the others do not.

        Raises RecordError `records_malformed` if two columns have one name.
        """
        names = table.schema.names
        twins = [name for name, times in Counter(names).items() if times > 1]
        if twins:
            raise RecordError("records_malformed", f"Two columns are called {twins[0]}; rename one.", field=twins[0])
        found = _Findings(table.num_rows, self._most_told)
        # One after the other: what a column takes is too short for threads, which wait for each other's glue in Python.
        for start in range(0, table.num_rows, STEP):
            part = table.slice(start, STEP)
            found.add(start, part, ((name, *self._one(part, name)) for name in self._names(names)))
        return found.verdict()

    def _names(self, given: list[str]) -> Iterator[str]:
        """Yield the schema's fields, then the columns that it does not know."""
        yield from self._columns
        yield from (name for name in given if name not in self._columns)

    def _one(self, part: pa.Table | pa.RecordBatch, name: str) -> tuple[ColumnCheck | None, Broken]:
        check = self._columns.get(name)
        if check is None:
            return None, Broken.all(np.arange(part.num_rows), "unknown_field")
        if name not in part.schema.names:
            return check, Broken.all(np.arange(part.num_rows), "missing")
        column = part.column(name)
        if isinstance(column, pa.Array):
            return check, check.broken(column)
        found, start = NONE, 0
        for chunk in column.chunks:
            broken = check.broken(chunk)
            found += Broken(broken.rows + start, broken.codes)
            start += len(chunk)
        return check, found


class _Findings:
    """Gather what the columns of each step say."""

    def __init__(self, rows: int, most_told: int) -> None:
        self._accepted = np.ones(rows, "?")
        self._fields: Counter[tuple[str, str]] = Counter()
        self._told: list[Rejection] = []
        self._most_told = most_told

    def add(
        self,
        start: int,
        part: pa.Table | pa.RecordBatch,
        columns: Iterator[tuple[str, ColumnCheck | None, Broken]],
    ) -> None:
        """Take in the columns of the rows from `start` on."""
        candidates = []
        accepted = self._accepted[start : start + part.num_rows]
        left = self._most_told - len(self._told)
        for place, (name, check, broken) in enumerate(columns):
            if not len(broken.rows):
                continue
            accepted[broken.rows] = False
            for code, count in enumerate(np.bincount(broken.codes).tolist()):
                if count:
                    self._fields[name, RULES[code]] += count
            if left > 0:
                rows = broken.rows
                first = np.argsort(rows)[:left] if len(rows) <= left else np.argpartition(rows, left - 1)[:left]
                candidates += [(int(rows[at]), place, name, check, RULES[broken.codes[at]]) for at in first]
        candidates.sort(key=lambda one: one[:2])
        for row, _, name, check, rule in candidates[: max(left, 0)]:
            self._told.append(_rejection(start + row, name, check, rule, part, row))

    def verdict(self) -> Verdict:
        """Return everything that was found."""
        counts: Counter[str] = Counter()
        for (_, rule), count in self._fields.items():
            counts[rule] += count
        return Verdict(self._accepted, dict(counts), dict(self._fields), tuple(self._told))


def _rejection(
    number: int, name: str, check: ColumnCheck | None, rule: str, part: pa.Table | pa.RecordBatch, row: int
) -> Rejection:
    if rule == "missing":
        return Rejection(number, name, rule, None, f"{name} is missing")
    value = _value(part.column(name)[row])
    if check is None:
        return Rejection(number, name, rule, value, f"{name} is not a field of the schema")
    wrong = check.told(value)
    words = wrong[1] if wrong is not None and wrong[0] == rule else f"cannot be read as {check.field.type}"
    return Rejection(number, name, rule, value, f"{name} {words}")


def _value(scalar: pa.Scalar) -> Any:
    """Return the value as it is in Python; if Python cannot hold or decode it, a text in its place."""
    try:
        return scalar.as_py()
    except (ValueError, OverflowError, NotImplementedError):
        if is_text(scalar.type):
            return scalar.as_buffer().to_pybytes()[:LONGEST_TOLD].decode(errors="replace")
        return f"<{scalar.type}>"[:LONGEST_TOLD]
