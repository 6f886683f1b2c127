"""MLflow signatures: columns and tensors come over, and an export comes back the same where MLflow can say it."""

import json
from typing import Any

import pytest
from hypothesis import given, settings

from engine.errors import SchemaError
from engine.exchange.mlflow import from_mlflow_signature, to_mlflow_signature
from engine.fields import Field
from engine.schemas import Schema
from tests.engine import drawn

# As MLflow 3 writes it for a data frame and for arrays.
FRAME = {
    "inputs": '[{"type": "long", "name": "age", "required": true},'
    ' {"type": "double", "name": "dose", "required": false},'
    ' {"type": "array", "items": {"type": "float"}, "name": "beats", "required": true},'
    ' {"type": "string", "name": "ward", "required": true}, {"type": "boolean", "name": "smoker", "required": true},'
    ' {"type": "integer", "name": "visits", "required": true}]',
    "outputs": '[{"type": "tensor", "tensor-spec": {"dtype": "float64", "shape": [-1]}}]',
    "params": None,
}


def tensor(dtype: Any, shape: Any) -> dict[str, Any]:
    """Return a signature with one tensor."""
    return {"inputs": json.dumps([{"name": "a", "type": "tensor", "tensor-spec": {"dtype": dtype, "shape": shape}}])}


def test_columns_and_a_nameless_tensor_come_over() -> None:
    found = from_mlflow_signature(FRAME)
    assert found.inputs is not None
    assert found.outputs is not None
    assert found.inputs.fields == (
        Field("age", "long"),
        Field("dose", "double", nullable=True),
        Field("beats", "array", items="float"),
        Field("ward", "string"),
        Field("smoker", "boolean"),
        Field("visits", "int"),
    )
    assert found.outputs.fields == (Field("output", "double"),)
    assert found.notes == (
        "dose: it may be left out there; here it has to come, and may be null.",
        "output: it has no name in the signature.",
    )


@pytest.mark.parametrize("wrap", [json.dumps, lambda one: json.dumps({"run_id": "1", "signature": one}), dict])
def test_a_signature_is_found_in_each_wrapping(wrap: Any) -> None:
    assert from_mlflow_signature(wrap(FRAME)).notes == from_mlflow_signature(FRAME).notes


@pytest.mark.parametrize(
    ("dtype", "shape", "expected"),
    [
        ("float32", [-1, 30], Field("a", "array", items="float", size=30)),
        ("float64", [-1, -1], Field("a", "array", items="double")),
        ("float64", [-1, 1], Field("a", "array", items="double", size=1)),
        ("int64", [-1], Field("a", "long")),
        ("int32", [-1], Field("a", "int")),
        ("int8", [-1], Field("a", "int", minimum=-128, maximum=127)),
        ("uint16", [-1, 2], Field("a", "array", items="int", size=2, minimum=0, maximum=65535)),
        ("bool", [-1], Field("a", "boolean")),
        ("str", [-1], Field("a", "string")),
    ],
)
def test_tensors_become_fields(dtype: str, shape: list[int], expected: Field) -> None:
    found = from_mlflow_signature(tensor(dtype, shape))
    assert found.inputs is not None
    assert found.inputs.fields == (expected,)
    assert found.outputs is None
    assert found.notes == ()


@pytest.mark.parametrize(
    ("source", "note"),
    [
        (tensor("uint64", [-1]), "a: uint64 became long, which ends at 2^63."),
        (tensor("object", [-1]), "a: object was taken for texts."),
        (
            FRAME | {"params": '[{"name": "t", "type": "double", "default": 0.5}]', "outputs": None},
            "Parameters of the call are no fields of a record; they were left out.",
        ),
        (
            {"inputs": '[{"type": "array", "items": {"type": "long"}, "name": "a", "required": false}]'},
            "a: it may be left out there; a list has to come here, if need be an empty one.",
        ),
        ({"inputs": '[{"type": "long"}, {"type": "long"}]'}, "input_1: it has no name in the signature."),
    ],
)
def test_what_is_different_here_is_told(source: Any, note: str) -> None:
    assert note in from_mlflow_signature(source).notes


@pytest.mark.parametrize(
    ("source", "code", "where"),
    [
        ("{", "signature_invalid", ""),
        ("[]", "signature_invalid", ""),
        ({}, "signature_invalid", ""),
        ({"signature": None}, "signature_invalid", ""),
        ({"inputs": "[1"}, "signature_invalid", ""),
        ({"inputs": '{"a": 1}'}, "signature_invalid", "inputs"),
        ({"outputs": "[1]"}, "signature_invalid", "outputs"),
        ({"inputs": [{"name": "a b", "type": "long"}]}, "schema_unsupported", "a b"),
        ({"inputs": [{"name": "a", "type": "datetime"}]}, "schema_unsupported", "a"),
        ({"inputs": [{"name": "a", "type": "binary"}]}, "schema_unsupported", "a"),
        ({"inputs": [{"name": "a", "type": "object", "properties": {}}]}, "schema_unsupported", "a"),
        ({"inputs": [{"name": "a", "type": "array", "items": {"type": "array"}}]}, "schema_unsupported", "a"),
        ({"inputs": [{"name": "a", "type": ["long"]}]}, "schema_unsupported", "a"),
        ({"inputs": [{"name": "a", "type": "long"}] * 2}, "schema_unsupported", "fields"),
        (tensor("datetime64[ns]", [-1]), "schema_unsupported", "a"),
        (tensor(None, [-1]), "schema_unsupported", "a"),
        (tensor("float32", [-1, 3, 224, 224]), "schema_unsupported", "a"),
        (tensor("float32", [8, 3]), "schema_unsupported", "a"),
        (tensor("float32", []), "schema_unsupported", "a"),
        (tensor("float32", "-1"), "schema_unsupported", "a"),
        (tensor("float32", [-1, 0]), "schema_constraint", "a"),
    ],
)
def test_what_is_no_signature_of_records_is_refused(source: Any, code: str, where: str) -> None:
    with pytest.raises(SchemaError) as refusal:
        from_mlflow_signature(source)
    assert (refusal.value.code, refusal.value.field) == (code, where)
    assert refusal.value.message.endswith(".")


@given(drawn.schemas(), drawn.schemas())
@settings(max_examples=300, deadline=None)
def test_an_export_comes_back_but_for_what_its_notes_tell(inputs: Schema, outputs: Schema) -> None:
    exported, notes = to_mlflow_signature(inputs, outputs)
    found = from_mlflow_signature(json.dumps(exported))
    for schema, again in ((inputs, found.inputs), (outputs, found.outputs)):
        assert again is not None
        for one, back in zip(schema.fields, again.fields, strict=True):
            bare = Field(
                one.name,
                "string" if one.type == "enum" else one.type,
                items="string" if one.items == "enum" else one.items,
                nullable=one.nullable,
            )
            assert back == bare
            if one != bare:
                assert any(note.startswith(f"{one.name}: ") for note in notes)


def test_every_thing_lost_has_a_note() -> None:
    row = {"name": "a", "type": {"type": "array", "items": "string"}, "size": 2, "pattern": "a", "allowed": ["a"]}
    row |= {"unit": "m", "doc": "words"}
    other = {"name": "b", "type": ["null", "int"], "minimum": 0, "maximum": 3}
    schema = Schema.parse({"type": "record", "name": "r", "fields": [row, other]})
    exported, notes = to_mlflow_signature(schema, None)
    assert exported["outputs"] is None
    assert notes == [
        "a: the number of values cannot be said in a signature.",
        "a: the list of values cannot be said in a signature.",
        "a: the pattern cannot be said in a signature.",
        "a: the unit cannot be said in a signature.",
        "a: the description cannot be said in a signature.",
        "b: the minimum cannot be said in a signature.",
        "b: the maximum cannot be said in a signature.",
        "b: that it may be null, only that it may be left out, cannot be said in a signature.",
    ]
