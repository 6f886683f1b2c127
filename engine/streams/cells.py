"""Cells of a CSV file, read as bytes, become values of the schema's types; a cell that cannot costs its row only.

Texts stay as they are, with their leading zeros. Numbers are as JSON writes them, with a decimal point. An empty cell
is null where the field may be null; nothing is guessed.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from engine.exchange.arrow import to_arrow
from engine.fields import FLOATS, INTEGERS, Field
from engine.schemas import Schema
from engine.streams.rows import Reject

WHOLE = r"^-?(0|[1-9][0-9]{0,18})$"
NUMBER = r"^[+-]?([0-9]|[1-9][0-9]{1,99})(\.[0-9]{1,99})?([eE][+-]?[0-9]{1,3})?$"
LOGICAL = r"^(true|false|True|False|TRUE|FALSE)$"


def read_cells(batch: pa.RecordBatch, schema: Schema, keys: Sequence[str]) -> tuple[pa.Table, list[str], list[Reject]]:
    """Return the table of the rows whose cells could be read, their keys, and what was wrong with the others.

    `batch` has N rows of binary columns; a column of the schema that the file lacks is missing in every row.
    """
    bad = _none(batch.num_rows)
    columns, rejects = [], []
    target = to_arrow(schema)
    for at, one in enumerate(schema.fields):
        if one.name not in batch.schema.names:
            words = f"The file has no column {one.name}."
            return (
                target.empty_table(),
                [],
                [Reject(key, "schema", "missing", one.name, words) for key in keys],
            )
        column = batch.column(one.name)
        values, wrong = read_column(column, one, target.field(at).type)
        columns.append(values)
        if pc.any(wrong).as_py():
            fresh = pc.and_not(wrong, bad)
            for row in pc.indices_nonzero(fresh).to_pylist():
                raw = column[row].as_py()[:200].decode(errors="backslashreplace")
                words = f"{one.name}: {raw!r} cannot be read as {one.kind}."
                rejects.append(Reject(keys[row], "encoding", "cell_unreadable", one.name, words, raw))
            bad = pc.or_(bad, wrong)
    table = pa.Table.from_arrays(columns, schema=pa.schema([one.with_nullable(True) for one in target]))
    if not rejects:
        return table, list(keys), []
    good = pc.invert(bad)
    kept = [key for key, fits in zip(keys, good.to_pylist(), strict=True) if fits]
    return table.filter(good), kept, rejects


def read_column(column: pa.Array, one: Field, kind: pa.DataType) -> tuple[pa.Array, pa.Array]:
    """Return a column's values, and which of its cells could not be read."""
    text, broken = _decoded(column)
    empty = pc.equal(text, "")
    if one.nullable:
        text = pc.if_else(empty, pa.scalar(None, pa.string()), text)
    if one.kind in ("string", "enum"):
        return text.cast(kind), broken
    form = WHOLE if one.kind in INTEGERS else NUMBER if one.kind in FLOATS else LOGICAL
    odd = pc.or_(broken, pc.fill_null(pc.invert(pc.match_substring_regex(text, form)), False))
    text = pc.if_else(odd, pa.scalar(None, pa.string()), text)
    try:
        return (pc.utf8_lower(text) if one.kind == "boolean" else text).cast(kind), odd
    except pa.ArrowInvalid:  # a number of the right form and too large: look at each
        return _cast_singly(text, kind, odd)


def _cast_singly(text: pa.Array, kind: pa.DataType, odd: pa.Array) -> tuple[pa.Array, pa.Array]:
    values, wrong = [], odd.to_pylist()
    for at, cell in enumerate(text):
        try:
            values.append(cell.cast(kind).as_py())
        except pa.ArrowInvalid:
            values.append(None)
            wrong[at] = True
    return pa.array(values, kind), pa.array(wrong, pa.bool_())


def _decoded(column: pa.Array) -> tuple[pa.Array, pa.Array]:
    """Return a column as texts, and which of its cells are no UTF-8."""
    try:
        return column.cast(pa.string()), _none(len(column))
    except pa.ArrowInvalid:
        texts, broken = [], []
        for cell in column:
            try:
                texts.append(cell.as_py().decode())
                broken.append(False)
            except UnicodeDecodeError:
                texts.append("")
                broken.append(True)
        return pa.array(texts, pa.string()), pa.array(broken, pa.bool_())


def _none(count: int) -> pa.BooleanArray:
    return pa.array(np.zeros(count, "?"))
