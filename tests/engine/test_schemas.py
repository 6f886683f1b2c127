"""Schemas: what they accept, what they refuse, and that nothing odd makes them fall over."""

import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.errors import SchemaError
from engine.schemas import Schema, infer_schema

PATIENT = {
    "type": "record",
    "name": "patient",
    "doc": "One patient.",
    "fields": [
        {"name": "age", "type": "int", "minimum": 0, "maximum": 120, "unit": "years"},
        {"name": "weight", "type": "double", "minimum": 0.5, "maximum": 400},
        {"name": "sex", "type": {"type": "enum", "name": "sexes", "symbols": ["f", "m", "x"]}},
        {"name": "ward", "type": "string", "pattern": "[A-Z]-[0-9]+"},
        {"name": "grade", "type": "long", "allowed": [1, 2, 3]},
        {"name": "smoker", "type": ["null", "boolean"]},
        {"name": "beats", "type": {"type": "array", "items": "float"}, "size": 2, "minimum": 0},
    ],
}
GOOD = {"age": 7, "weight": 21.5, "sex": "f", "ward": "B-12", "grade": 2, "smoker": None, "beats": [60.0, 61]}


def schema(*fields: dict[str, Any]) -> Schema:
    """Return a schema of these fields."""
    return Schema.parse({"type": "record", "name": "drawn", "fields": list(fields)})


def broken(parsed: Schema, record: Any) -> list[tuple[str, str]]:
    """Return field and rule of each violation."""
    return [(one.field, one.rule) for one in parsed.check(record)]


def test_a_record_that_meets_its_schema_has_no_violation() -> None:
    assert Schema.parse(PATIENT).check(GOOD) == []


@pytest.mark.parametrize(
    ("change", "field", "rule"),
    [
        ({"age": 121}, "age", "maximum"),
        ({"age": -1}, "age", "minimum"),
        ({"age": 7.0}, "age", "type"),
        ({"age": True}, "age", "type"),
        ({"age": "7"}, "age", "type"),
        ({"age": None}, "age", "null"),
        ({"age": 2**31}, "age", "type"),
        ({"weight": math.nan}, "weight", "not_finite"),
        ({"weight": math.inf}, "weight", "not_finite"),
        ({"weight": -math.inf}, "weight", "not_finite"),
        ({"weight": 10**400}, "weight", "type"),
        ({"weight": 400.0000001}, "weight", "maximum"),
        ({"sex": "F"}, "sex", "allowed"),
        ({"sex": 1}, "sex", "type"),
        ({"ward": "B-"}, "ward", "pattern"),
        ({"ward": "B-1\n"}, "ward", "pattern"),
        ({"ward": "B-" + "1" * 1000}, "ward", "size"),
        ({"grade": 4}, "grade", "allowed"),
        ({"smoker": "no"}, "smoker", "type"),
        ({"beats": [1.0]}, "beats", "size"),
        ({"beats": [1.0, None]}, "beats", "null"),
        ({"beats": [1.0, math.nan]}, "beats", "not_finite"),
        ({"beats": [1.0, -1.0]}, "beats", "minimum"),
        ({"beats": [1.0, 3.5e38]}, "beats", "type"),
        ({"beats": "ab"}, "beats", "type"),
        ({"beats": None}, "beats", "null"),
        ({"height": 1.0}, "height", "unknown_field"),
    ],
)
def test_each_breach_is_told_by_field_and_rule(change: dict[str, Any], field: str, rule: str) -> None:
    (violation,) = Schema.parse(PATIENT).check(GOOD | change)
    assert (violation.field, violation.rule) == (field, rule)
    assert violation.message.startswith(field)


def test_missing_fields_and_what_is_no_record_are_told() -> None:
    parsed = Schema.parse(PATIENT)
    assert broken(parsed, {}) == [(name, "missing") for name in parsed.names]
    assert broken(parsed, [GOOD]) == [("", "type")]
    assert broken(parsed, {**{k: v for k, v in GOOD.items() if k != "age"}, "Age": 7}) == [
        ("age", "missing"),
        ("Age", "unknown_field"),
    ]


def test_a_limit_is_told_in_full() -> None:
    (violation,) = schema({"name": "n", "type": "long", "maximum": 123456789}).check({"n": 123456790})
    assert violation.message == "n must be at most 123456789"


def test_the_canonical_form_reads_back_to_the_same_schema() -> None:
    parsed = Schema.parse(json.dumps(PATIENT))
    again = Schema.parse(parsed.canonical())
    assert again.fields == parsed.fields
    assert again.canonical() == parsed.canonical()


@pytest.mark.parametrize(
    ("source", "code"),
    [
        ("{", "schema_not_json"),
        (b"\xff\xfe", "schema_not_json"),
        ('{"type": "record", "type": "record"}', "schema_not_json"),
        ('{"a": NaN}', "schema_not_json"),
        ("[" * 100_000, "schema_not_json"),
        ("[]", "schema_not_avro"),
        ('{"type": "object", "properties": {}}', "schema_not_avro"),
        ('{"type": "record", "name": "r", "fields": [1]}', "schema_not_avro"),
        ('{"type": "record", "name": "r", "fields": [{"name": "a"}]}', "schema_not_avro"),
        ('{"type": "record", "name": "r"}', "schema_unsupported"),
        ('{"type": "record", "name": "r", "fields": []}', "schema_unsupported"),
        ({"name": "1a", "type": "int"}, "schema_unsupported"),
        ({"name": "a", "type": "number"}, "schema_not_avro"),
        ({"name": "a", "type": "bytes"}, "schema_unsupported"),
        ({"name": "a" * 201, "type": "int"}, "schema_unsupported"),
        ({"name": "a", "type": ["int", "string"]}, "schema_unsupported"),
        ({"name": "a", "type": ["null"]}, "schema_unsupported"),
        ({"name": "a", "type": ["null", {"type": "array", "items": "int"}]}, "schema_unsupported"),
        ({"name": "a", "type": {"type": "array", "items": ["null", "int"]}}, "schema_unsupported"),
        ({"name": "a", "type": {"type": "map", "values": "int"}}, "schema_unsupported"),
        ({"name": "a", "type": "int", "default": 1}, "schema_unsupported"),
        ({"name": "a", "type": "int", "max": 1}, "schema_unsupported"),
        ({"name": "a", "type": "int", "doc": "\ud800"}, "schema_unsupported"),
    ],
)
def test_what_is_no_schema_is_refused(source: Any, code: str) -> None:
    with pytest.raises(SchemaError) as refusal:
        schema(source) if isinstance(source, dict) else Schema.parse(source)
    assert refusal.value.code == code
    assert refusal.value.message.endswith(".")


def test_a_field_that_stands_twice_is_refused() -> None:
    with pytest.raises(SchemaError):
        schema({"name": "a", "type": "int"}, {"name": "a", "type": "int"})


@pytest.mark.parametrize(
    "field",
    [
        {"type": "string", "minimum": 1},
        {"type": "int", "minimum": "1"},
        {"type": "int", "minimum": True},
        {"type": "int", "minimum": 2, "maximum": 1},
        {"type": "double", "maximum": 10**400},
        {"type": "long", "minimum": 2**60},
        {"type": "double", "minimum": math.nan},
        {"type": "int", "size": 3},
        {"type": {"type": "array", "items": "int"}, "size": 0},
        {"type": {"type": "array", "items": "int"}, "size": True},
        {"type": {"type": "array", "items": "int"}, "size": 10**9},
        {"type": "int", "pattern": "a"},
        {"type": "int", "pattern": ""},
        {"type": "int", "allowed": 5},
        {"type": "int", "allowed": []},
        {"type": "int", "allowed": [[1]]},
        {"type": "int", "allowed": [1.5]},
        {"type": "long", "allowed": [2**60]},
        {"type": "string", "allowed": "abc"},
        {"type": "double", "allowed": [math.inf]},
        {"type": "int", "allowed": [5], "maximum": 4},
        {"type": {"type": "enum", "name": "e", "symbols": ["a"]}, "allowed": ["b"]},
        {"type": {"type": "enum", "name": "e", "symbols": ["a"]}, "allowed": [["a"]]},
    ],
)
def test_a_constraint_that_does_not_fit_is_refused_and_never_ignored(field: dict[str, Any]) -> None:
    with pytest.raises(SchemaError) as refusal:
        schema({"name": "a", **field})
    assert (refusal.value.code, refusal.value.field) == ("schema_constraint", "a")


KEYS = ["type", "allowed", "minimum", "maximum", "size", "pattern", "doc", "unit"]
junk = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**20), 10**20)
    | st.floats()
    | st.sampled_from(["", "int", "double", "string", "record", "array", "enum", "null", "a", "(a+)+", "\ud800"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from([*KEYS, "name", "fields", "items", "symbols", "namespace", "aliases"]),
            inner,
            max_size=4,
        )
    ),
    max_leaves=10,
)


@given(junk, st.dictionaries(st.sampled_from(KEYS), junk))
def test_junk_is_refused_with_a_schema_error_or_gives_a_schema_that_works(whole: Any, field: dict[str, Any]) -> None:
    candidates = [
        whole,
        {"type": "record", "name": "r", "fields": whole},
        {"type": "record", **field, "fields": [whole]},
    ]
    candidates.append({"type": "record", "name": "r", "fields": [{"name": "a", "type": "int", **field}]})
    for candidate in candidates:
        try:
            parsed = Schema.parse(candidate)
        except SchemaError:
            continue
        assert Schema.parse(parsed.canonical()).fields == parsed.fields
        parsed.check({"a": whole})


def test_a_sample_becomes_a_schema_that_its_records_meet() -> None:
    records = [
        {"age": at, "dose": at / 2, "ward": "a" if at % 2 else "b", "note": f"n {at}", "ok": True, "xs": [1, 2]}
        for at in range(10)
    ]
    records[3]["dose"] = None
    parsed, notes = infer_schema(records, "sample")
    kinds = {one.name: (one.type, one.nullable) for one in parsed.fields}
    assert kinds["age"] == ("long", False)
    assert kinds["dose"] == ("double", True)
    assert kinds["ward"] == ("enum", False)
    assert kinds["note"] == ("string", False)
    assert kinds["ok"] == ("boolean", False)
    assert {one.name: one.size for one in parsed.fields}["xs"] == 2
    assert len(notes) == len(parsed.fields)
    assert [parsed.check(record) for record in records] == [[]] * 10


@pytest.mark.parametrize(
    "records",
    [
        [],
        [{"a": None}],
        [{"a": 1}, {"a": "x"}],
        [{"a": {"b": 1}}],
        [{"a": [[1]]}],
        [{"a": [1, None]}],
        [{"a b": 1}],
        [{"": 1}],
        [{"a": math.inf}],
        [{"a": math.nan}],
        [{"a": 10**400}, {"a": 0.5}],
    ],
)
def test_a_sample_that_tells_nothing_is_refused(records: list[dict[str, Any]]) -> None:
    with pytest.raises(SchemaError) as refusal:
        infer_schema(records, "sample")
    assert refusal.value.code == "sample_unusable"
