"""What whole columns accept quickly is always accepted record by record too."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.columns import Columns
from engine.errors import RecordError
from engine.schemas import Schema
from tests.engine import drawn

FIELDS: list[dict[str, Any]] = [
    {"name": "a", "type": "double", "minimum": -1.5, "maximum": 2},
    {"name": "b", "type": "double"},
    {"name": "c", "type": "float"},
    {"name": "d", "type": "int", "minimum": 0},
    {"name": "e", "type": "long"},
    {"name": "f", "type": "long", "allowed": [1, 2, 5]},
    {"name": "g", "type": "float", "allowed": [0.5, 1.0]},
]
EDGES = [0.0, -0.0, 0.5, 1.0, 2.0, 2.0000001, -1.5, 5.0, 1.5, 2.0**31, 2.0**53, 2.0**63, 3.5e38, 1e308]
odd = st.sampled_from([*EDGES, math.nan, math.inf, -math.inf]) | st.floats() | st.integers(-3, 6).map(float)
words: st.SearchStrategy[Any] = st.sampled_from([True, False, None, "1", "", [1.0], {}, 10**30, 7, -1])


def schema(fields: list[dict[str, Any]]) -> Schema:
    """Return a schema of these fields."""
    return Schema.parse({"type": "record", "name": "Drawn", "fields": fields})


@given(st.data(), st.lists(st.sampled_from(FIELDS), min_size=1, unique_by=lambda one: one["name"]), st.integers(1, 4))
def test_an_accepted_matrix_has_no_violation(data: st.DataObject, fields: list[dict[str, Any]], count: int) -> None:
    columns = Columns(schema(fields))
    matrix = np.array([[data.draw(odd) for _ in fields] for _ in range(count)], "f8")
    records = columns.unpacked(matrix.ravel().tolist(), count)
    if columns.accept_matrix(matrix):
        assert [columns.schema.check(record) for record in records] == [[]] * count


@given(st.data(), st.integers(1, 3))
def test_an_accepted_row_has_no_violation(data: st.DataObject, width: int) -> None:
    columns = Columns(schema(FIELDS[:width]))
    values = [data.draw(odd | words.filter(lambda word: not isinstance(word, bool))) for _ in range(width)]
    if columns.accept_row(values):
        assert columns.schema.check(dict(zip(columns.names, values, strict=True))) == []


OUTPUTS = [
    *FIELDS,
    {"name": "h", "type": "boolean"},
    {"name": "i", "type": {"type": "enum", "name": "kinds", "symbols": ["x", "y"]}},
    {"name": "j", "type": {"type": "array", "items": "double"}, "size": 2, "minimum": 0, "maximum": 1},
    {"name": "k", "type": "string"},
    {"name": "l", "type": ["null", "double"]},
]


def test_infinity_is_not_within_a_double_without_limits() -> None:
    """Were limits rounded to 32 bits, infinity would be within them."""
    columns = Columns(schema([{"name": "b", "type": "double"}]))
    for value in (np.inf, -np.inf, np.nan):
        column = np.full(100, value, "f4")
        assert not columns.accept({"b": column}, {}, 100)
        assert not columns.accept({"b": column}, {"b": column.tolist()}, 100)


@settings(max_examples=500, deadline=None)
@given(st.data(), st.sampled_from(OUTPUTS), st.sampled_from(["f8", "f4", "i8", "?", "O", "U"]), st.booleans())
def test_an_accepted_output_has_no_violation(data: st.DataObject, field: dict[str, Any], dtype: str, few: bool) -> None:
    columns = Columns(schema([field]))
    kinds = {
        "i8": st.integers(-(2**63), 2**63 - 1),
        "?": st.booleans(),
        "O": words,
        "U": st.sampled_from(["x", "y", "z"]),
    }
    drawn = kinds.get(dtype, odd)
    wide = data.draw(st.booleans())
    values = [[data.draw(drawn), data.draw(drawn)] if wide else data.draw(drawn) for _ in range(3)]
    if dtype == "O" and wide:
        return  # no model gives lists of anything
    with np.errstate(over="ignore"):
        column = np.array(values, dtype)
    lists = {field["name"]: column.ravel().tolist()} if few else {}
    if columns.accept({field["name"]: column}, lists, 3):
        records = columns.to_records({field["name"]: column}, 3)
        assert [columns.schema.check(record) for record in records] == [[]] * 3


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_records_that_meet_their_schema_go_through_columns_and_back(data: st.DataObject) -> None:
    schema = data.draw(drawn.schemas())
    candidates = data.draw(st.lists(drawn.records(schema), min_size=1, max_size=4))
    records = [record for record in candidates if not schema.check(record)]
    columns = Columns(schema)
    free = [one.name for one in schema.fields if one.type == "array" and one.size is None]
    if any(len({len(record[name]) for record in records}) > 1 for name in free):
        with pytest.raises(RecordError, match="differ in length"):
            columns.from_records(records)
        return
    made = columns.from_records(records)
    back = columns.to_records(made, len(records))
    assert [schema.check(record) for record in back] == [[]] * len(records) or "float" in kinds(schema)
    for record, other in zip(records, back, strict=True):
        for one in schema.fields:
            if one.kind == "float" and record[one.name] is not None:
                np.testing.assert_allclose(other[one.name], record[one.name], rtol=1e-6, atol=1e-44)
            else:
                assert other[one.name] == record[one.name]


def kinds(schema: Schema) -> set[str]:
    """Return the types of the single values of a schema: 32 bits may round a limit away."""
    return {one.kind for one in schema.fields}
