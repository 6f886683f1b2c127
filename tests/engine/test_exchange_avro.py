"""Avro as others write it."""

import json
from typing import Any

import pytest
from hypothesis import given, settings

from engine.errors import SchemaError
from engine.exchange.avro import from_avro, to_avro
from engine.fields import Field
from engine.schemas import Schema
from tests.engine import drawn


def read(row: dict[str, Any]) -> tuple[Field, list[str]]:
    """Read a record with one field."""
    schema, notes = from_avro(json.dumps({"type": "record", "name": "r", "fields": [{"name": "a"} | row]}))
    return schema.fields[0], notes


@pytest.mark.parametrize(
    ("row", "expected", "notes"),
    [
        ({"type": ["null", "int"]}, Field("a", "int", nullable=True), []),
        (
            {"type": ["null", "int"], "default": None},
            Field("a", "int", nullable=True),
            ["a: its default is not used; every record has to carry the field."],
        ),
        (
            {"type": {"type": "long", "logicalType": "timestamp-millis"}},
            Field("a", "long"),
            ["a: timestamp-millis is read as plain long."],
        ),
        (
            {"type": ["null", {"type": "string", "logicalType": "uuid"}]},
            Field("a", "string", nullable=True),
            ["a: uuid is read as plain string."],
        ),
    ],
)
def test_what_is_read_otherwise_is_told(row: dict[str, Any], expected: Field, notes: list[str]) -> None:
    assert read(row) == (expected, notes)


@pytest.mark.parametrize(
    ("row", "code"),
    [
        ({"type": ["int", "null"]}, "union_order"),
        ({"type": ["null", "int"], "default": 3}, "union_order"),
        ({"type": ["int", "null"], "default": None}, "union_order"),
        ({"type": {"type": "long", "logicalType": "local-timestamp-micros"}}, "timestamp_without_zone"),
        ({"type": {"type": "bytes", "logicalType": "decimal", "precision": 4, "scale": 2}}, "schema_unsupported"),
        ({"type": ["null", "int", "string"]}, "schema_unsupported"),
        ({"type": "nothing"}, "schema_not_avro"),
    ],
)
def test_what_misleads_is_refused(row: dict[str, Any], code: str) -> None:
    with pytest.raises(SchemaError) as refusal:
        read(row)
    assert (refusal.value.code, refusal.value.field) == (code, "" if code == "schema_not_avro" else "a")


@pytest.mark.parametrize("source", ["[]", "3", "{}", '{"type": "record", "name": "r", "fields": [3]}'])
def test_what_is_no_record_is_refused(source: str) -> None:
    with pytest.raises(SchemaError) as refusal:
        from_avro(source)
    assert refusal.value.code == "schema_not_avro"


def test_what_is_not_json_is_refused() -> None:
    with pytest.raises(SchemaError) as refusal:
        from_avro("{")
    assert refusal.value.code == "schema_not_json"


@given(drawn.schemas())
@settings(max_examples=200, deadline=None)
def test_an_export_comes_back_as_the_same_schema(schema: Schema) -> None:
    again, notes = from_avro(json.dumps(to_avro(schema)))
    assert again.to_dict() == schema.to_dict()
    assert notes == []
