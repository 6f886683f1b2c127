"""JSON Schema: what comes over, what is told, what is refused, and that an export comes back the same."""

import json
import math
import time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.errors import SchemaError
from engine.exchange.json_schema import from_json_schema, to_json_schema
from engine.fields import FLOATS, INTEGERS, Field
from engine.schemas import Schema
from tests.engine import drawn


def document(properties: Any, **more: Any) -> dict[str, Any]:
    """Return a schema of objects in which every property is required."""
    return {
        "type": "object", "properties": properties, "required": list(properties), "additionalProperties": False,
    } | more  # fmt: skip


def field(node: Any, **more: Any) -> tuple[Field, list[str]]:
    """Read a property, and return it with the notes."""
    schema, notes = from_json_schema(document({"a": node}, **more))
    return schema.fields[0], notes


@pytest.mark.parametrize(
    ("node", "expected"),
    [
        ({"type": "integer"}, Field("a", "long")),
        ({"type": "integer", "format": "int32"}, Field("a", "int")),
        ({"type": "number"}, Field("a", "double")),
        ({"type": "number", "format": "float"}, Field("a", "float")),
        ({"type": "boolean"}, Field("a", "boolean")),
        ({"type": "string", "description": "d", "x-unit": "u"}, Field("a", "string", doc="d", unit="u")),
        ({"type": ["number", "null"], "minimum": 0}, Field("a", "double", nullable=True, minimum=0)),
        ({"anyOf": [{"type": "null"}, {"type": "integer"}]}, Field("a", "long", nullable=True)),
        (
            {"oneOf": [{"type": "integer", "minimum": 1}, {"type": "null"}]},
            Field("a", "long", nullable=True, minimum=1),
        ),
        ({"allOf": [{"type": "integer"}, {"maximum": 9}]}, Field("a", "long", maximum=9)),
        ({"enum": ["x", "y"]}, Field("a", "enum", allowed=("x", "y"))),
        ({"enum": ["x", None]}, Field("a", "enum", nullable=True, allowed=("x",))),
        ({"type": ["string", "null"], "enum": ["x"]}, Field("a", "enum", allowed=("x",))),
        ({"enum": ["x y", "z"]}, Field("a", "string", allowed=("x y", "z"))),
        ({"const": 3}, Field("a", "long", allowed=(3,))),
        ({"type": "integer", "enum": [1.0, 2]}, Field("a", "long", allowed=(1, 2))),
        ({"enum": [1, 2.5]}, Field("a", "double", allowed=(1, 2.5))),
        ({"type": "boolean", "const": True}, Field("a", "boolean", allowed=(True,))),
        ({"type": "string", "pattern": "^[a-z]+$"}, Field("a", "string", pattern="[a-z]+")),
        ({"type": "string", "pattern": "^(?:a|b)$"}, Field("a", "string", pattern="a|b")),
        ({"type": "string", "pattern": "^(?:a)(?:b)$"}, Field("a", "string", pattern="(?:a)(?:b)")),
        ({"type": "integer", "maximum": 2**63 - 1}, Field("a", "long")),
        (
            {"type": "array", "items": {"type": "number"}, "minItems": 2, "maxItems": 2},
            Field("a", "array", items="double", size=2),
        ),
        ({"$ref": "#/$defs/a~1b"}, Field("a", "long", minimum=4)),
        ({"$ref": "#/$defs/a~1b", "maximum": 9}, Field("a", "long", minimum=4, maximum=9)),
        ({"$ref": "#named"}, Field("a", "boolean")),
    ],
)
def test_what_both_can_say_comes_over_without_a_note(node: dict[str, Any], expected: Field) -> None:
    defs = {"a/b": {"type": "integer", "minimum": 4}, "c": {"$anchor": "named", "type": "boolean"}}
    assert field(node, **{"$defs": defs}) == (expected, [])


@pytest.mark.parametrize(
    ("node", "expected", "note"),
    [
        (
            {"type": "integer", "exclusiveMinimum": 0},
            Field("a", "long", minimum=1),
            "a: beyond 0 became the minimum 1.",
        ),
        (
            {"type": "integer", "exclusiveMaximum": 0.5},
            Field("a", "long", maximum=0),
            "a: beyond 0.5 became the maximum 0.",
        ),
        (
            {"type": "number", "exclusiveMinimum": 0, "minimum": -3},
            Field("a", "double", minimum=5e-324),
            "a: beyond 0 became the minimum 5e-324.",
        ),
        ({"type": "number", "multipleOf": 2}, Field("a", "double"), "a: multipleOf is not taken over."),
        ({"type": "string", "maxLength": 2}, Field("a", "string"), "a: maxLength is not taken over."),
        ({"type": "string", "format": "date"}, Field("a", "string"), "a: the format date is not checked here."),
        ({"type": "string", "nullable": True}, Field("a", "string"), "a: nullable is not taken over."),
        (
            {"type": "string", "pattern": "b"},
            Field("a", "string", pattern=r"[\s\S]*(?:b)[\s\S]*"),
            "a: the pattern is looked for anywhere there; here it was widened to match whole texts.",
        ),
        (
            {"type": "string", "pattern": r"^\d$"},
            Field("a", "string", pattern=r"\d"),
            r"a: \d, \w and \s take all of Unicode here, not only ASCII.",
        ),
        (
            {"type": "array", "items": {"type": "integer", "multipleOf": 3}},
            Field("a", "array", items="long"),
            "a: multipleOf is not taken over.",
        ),
        (
            {"type": "array", "items": {"type": "integer"}, "maxItems": 3},
            Field("a", "array", items="long"),
            "a: minItems and maxItems are taken over only if they are the same.",
        ),
    ],
)
def test_what_cannot_be_said_is_told(node: dict[str, Any], expected: Field, note: str) -> None:
    found, notes = field(node)
    assert found == expected
    assert notes == [note]


def test_what_the_whole_record_lets_through_is_told() -> None:
    schema, notes = from_json_schema(
        {
            "$schema": "http://json-schema.org/draft-07/schema#", "title": "person", "minProperties": 1,
            "properties": {"a": {"type": "string"}, "b": {"type": "array", "items": {"type": "string"}}},
        }
    )  # fmt: skip
    assert schema.name == "person"
    assert [one.nullable for one in schema.fields] == [True, False]
    assert notes == [
        "It is written for http://json-schema.org/draft-07/schema#; it was read as "
        "https://json-schema.org/draft/2020-12/schema.",
        "It lets other fields through; here they are refused.",
        "minProperties of the whole record is not taken over.",
        "a: it may be left out there; here it has to come, and may be null.",
        "b: it may be left out there; here it has to come, and may be null.",
        "b: a list is never null here; an empty one takes its place.",
    ]


CIRCLE = {"b": {"$ref": "#/$defs/c"}, "c": {"$ref": "#/$defs/b"}}
TREE = {"t": {"type": "object", "properties": {"left": {"anyOf": [{"type": "null"}, {"$ref": "#/$defs/t"}]}}}}


@pytest.mark.parametrize(
    ("node", "more", "code", "where"),
    [
        ({"$ref": "#/$defs/b"}, {"$defs": CIRCLE}, "ref_cyclic", "#/$defs/b"),
        ({"$ref": "#/$defs/t"}, {"$defs": TREE}, "ref_cyclic", "#/$defs/t"),
        ({"type": "array", "items": {"$ref": "#"}}, {}, "ref_cyclic", "#"),
        ({"$ref": "https://example.org/s.json"}, {}, "ref_remote", "https://example.org/s.json"),
        ({"$ref": "other.json#/a"}, {}, "ref_remote", "other.json#/a"),
        ({"$ref": "#/$defs/none"}, {}, "ref_unknown", "#/$defs/none"),
        ({"$ref": "#none"}, {}, "ref_unknown", "#none"),
        ({"$ref": 3}, {}, "ref_unknown", "$ref"),
        ({"$ref": "#/$defs/x", "minimum": 1}, {"$defs": {"x": {"minimum": 2}}}, "schema_unsupported", "a"),
        ({"type": "object", "properties": {}}, {}, "schema_unsupported", "a"),
        ({"type": "null"}, {}, "schema_unsupported", "a"),
        ({}, {}, "schema_unsupported", "a"),
        (True, {}, "schema_unsupported", "a"),
        ({"type": ["string", "number"]}, {}, "schema_unsupported", "a"),
        ({"anyOf": [{"type": "string"}, {"type": "number"}]}, {}, "schema_unsupported", "a"),
        ({"anyOf": 3}, {}, "schema_unsupported", "a"),
        ({"enum": ["a", 1]}, {}, "schema_unsupported", "a"),
        ({"type": "string", "enum": 3}, {}, "schema_unsupported", "a"),
        ({"type": "array", "items": {"type": "array", "items": {"type": "string"}}}, {}, "schema_unsupported", "a"),
        ({"type": "array"}, {}, "schema_unsupported", "a"),
        ({"type": "number", "minimum": 1, "exclusiveMinimum": True}, {}, "schema_unsupported", "a"),
        ({"type": "number", "exclusiveMinimum": math.inf}, {}, "schema_unsupported", "a"),
        ({"type": "number", "minimum": "1"}, {}, "schema_constraint", "a"),
        ({"type": "string", "enum": ["a", 3]}, {}, "schema_constraint", "a"),
        ({"type": "string", "pattern": "^(a+)+$"}, {}, "pattern_unsafe", "a"),
        ({"type": "string", "pattern": "b+"}, {}, "pattern_unsafe", "a"),
        ({"type": "string", "pattern": "("}, {}, "pattern_invalid", "a"),
        ({"type": "string", "pattern": r"^\p{L}$"}, {}, "pattern_invalid", "a"),
    ],
)  # fmt: skip
def test_what_is_no_flat_record_is_refused(node: Any, more: dict[str, Any], code: str, where: str) -> None:
    with pytest.raises(SchemaError) as refusal:
        field(node, **more)
    assert (refusal.value.code, refusal.value.field) == (code, where)
    assert refusal.value.message.endswith(".")


@pytest.mark.parametrize(
    ("source", "code"),
    [
        ("{", "schema_not_json"),
        ('{"type": "object", "type": "object"}', "schema_not_json"),
        ("true", "schema_not_object"),
        ('{"type": "array"}', "schema_not_object"),
        ('{"type": "object", "properties": {}}', "schema_not_object"),
        ('{"properties": {"a": {"type": "string"}}, "required": 3}', "schema_unsupported"),
        ('{"properties": {"a b": {"type": "string"}}}', "schema_unsupported"),
        ('{"allOf":' * 200 + "1" + "}" * 200, "schema_unsupported"),
    ],
)
def test_what_is_no_document_is_refused(source: str, code: str) -> None:
    with pytest.raises(SchemaError) as refusal:
        from_json_schema(source)
    assert refusal.value.code == code


def test_data_that_looks_like_a_reference_is_data() -> None:
    found, _ = field({"type": "string", "examples": [{"$ref": "#/nowhere"}], "default": {"$ref": "x"}})
    assert found == Field("a", "string")


def test_definitions_that_double_at_every_step_end_soon() -> None:
    defs: dict[str, Any] = {f"d{at}": {"allOf": [{"$ref": f"#/$defs/d{at + 1}"}] * 2} for at in range(40)}
    begun = time.perf_counter()
    with pytest.raises(SchemaError):
        field({"$ref": "#/$defs/d0"}, **{"$defs": defs | {"d40": {"type": "object"}}})
    assert time.perf_counter() - begun < 5


def without_idle_limits(schema: Schema) -> dict[str, Any]:
    """Return a schema's Avro without limits that its types have anyway: an export says those for every field."""
    content = schema.to_dict()
    for row, one in zip(content["fields"], schema.fields, strict=True):
        low, high = INTEGERS.get(one.kind, (-FLOATS["float"], FLOATS["float"]))
        if one.kind in INTEGERS or one.kind == "float":
            row.pop("minimum", None) if one.minimum is not None and one.minimum <= low else None
            row.pop("maximum", None) if one.maximum is not None and one.maximum >= high else None
    return content


@given(drawn.schemas())
@settings(max_examples=500, deadline=None)
def test_an_export_comes_back_as_the_same_schema(schema: Schema) -> None:
    exported, _ = to_json_schema(schema)
    again, notes = from_json_schema(json.dumps(exported))
    assert again.to_dict() == without_idle_limits(schema)
    assert notes == []


def test_everything_that_a_field_can_say_is_exported() -> None:
    row = {
        "name": "a",
        "type": ["null", "string"],
        "pattern": r"\d+",
        "unit": "m",
        "doc": "words",
        "allowed": ["1", "2"],
    }
    schema = Schema.parse({"type": "record", "name": "r", "namespace": "n", "doc": "d", "fields": [row]})
    exported, notes = to_json_schema(schema)
    assert exported["properties"]["a"] == {
        "type": ["string", "null"], "pattern": r"^(?:\d+)$", "enum": ["1", "2", None], "x-avro-type": "string",
        "description": "words", "x-unit": "m",
    }  # fmt: skip
    assert [note.split(":")[0] for note in notes] == ["a", "a"]
    assert from_json_schema(exported)[0].to_dict() == schema.to_dict()


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-3, 3)
    | st.sampled_from(["#", "#/$defs/a", "string", "array", "(", "null"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                [
                    "type",
                    "$ref",
                    "items",
                    "enum",
                    "const",
                    "anyOf",
                    "allOf",
                    "minimum",
                    "exclusiveMinimum",
                    "pattern",
                    "minItems",
                    "maxItems",
                    "format",
                    "description",
                    "x-unit",
                ]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@given(JSON, JSON)
@settings(max_examples=600, deadline=None)
def test_nothing_odd_makes_it_fall_over(node: Any, other: Any) -> None:
    try:
        found, notes = field(node, **{"$defs": {"a": other}})
    except SchemaError:
        return
    assert found.name == "a"
    assert all(note.endswith(".") for note in notes)
