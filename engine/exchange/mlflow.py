"""MLflow model signatures: the columns or tensors of a model's inputs and outputs, as an `MLmodel` file has them.

MLflow keeps them as two JSON texts, `inputs` and `outputs` (https://mlflow.org/docs/latest/model/signatures). They are
read and written here without MLflow.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from engine import strict_json
from engine.errors import SchemaError
from engine.fields import IDENTIFIER, Field
from engine.schemas import Schema

COLUMNS = {
    "boolean": "boolean", "integer": "int", "long": "long", "float": "float", "double": "double", "string": "string",
}  # fmt: skip
NAMES = {ours: theirs for theirs, ours in COLUMNS.items()} | {"enum": "string"}
TENSORS: dict[str, dict[str, Any]] = {
    "bool": {"type": "boolean"}, "float16": {"type": "float"}, "float32": {"type": "float"},
    "float64": {"type": "double"}, "int32": {"type": "int"}, "int64": {"type": "long"},
    "int8": {"type": "int", "minimum": -128, "maximum": 127},
    "int16": {"type": "int", "minimum": -(2**15), "maximum": 2**15 - 1},
    "uint8": {"type": "int", "minimum": 0, "maximum": 255},
    "uint16": {"type": "int", "minimum": 0, "maximum": 2**16 - 1},
    "uint32": {"type": "long", "minimum": 0, "maximum": 2**32 - 1},
    "uint64": {"type": "long", "minimum": 0}, "str": {"type": "string"}, "object": {"type": "string"},
}  # fmt: skip
NOTED = {
    "float16": "float16 became float, which takes more numbers",
    "uint64": "uint64 became long, which ends at 2^63",
    "object": "object was taken for texts",
}
MOST_FIELDS = 5000


@dataclass(frozen=True, slots=True)
class Signature:
    """The schemas of a model's inputs and outputs, None where the signature has none, and what they do not say."""

    inputs: Schema | None
    outputs: Schema | None
    notes: tuple[str, ...]


def from_mlflow_signature(source: Mapping[str, Any] | str | bytes) -> Signature:
    """Return the schemas of a signature, or of a whole `MLmodel` file's content that has one.

    Raises SchemaError `signature_invalid`, or `schema_unsupported` with the field.
    """
    content = _read(source)
    content = content["signature"] if isinstance(content, Mapping) and "signature" in content else content
    if not isinstance(content, Mapping) or not (content.get("inputs") or content.get("outputs")):
        raise SchemaError(
            "signature_invalid", "An MLflow signature has inputs, outputs or both; log the model with one."
        )
    notes: list[str] = []
    if _read(content.get("params")):
        notes.append("Parameters of the call are no fields of a record; they were left out.")
    inputs, outputs = (_side(_read(content.get(key)), key, notes) for key in ("inputs", "outputs"))
    return Signature(inputs, outputs, tuple(notes))


def _read(source: Any) -> Any:
    if not isinstance(source, str | bytes):
        return source
    try:
        return strict_json.loads(source)
    except ValueError as error:
        words = f"The signature is not JSON: {error}. Take `signature` out of the file MLmodel."
        raise SchemaError("signature_invalid", words) from error


def _side(columns: Any, key: str, notes: list[str]) -> Schema | None:
    if not columns:
        return None
    odd = not isinstance(columns, list) or not all(isinstance(one, Mapping) for one in columns)
    if odd or len(columns) > MOST_FIELDS:
        raise SchemaError("signature_invalid", f"{key} is a list of columns or tensors.", field=key)
    rows = [_row(column, _name(column, at, len(columns), key, notes), notes) for at, column in enumerate(columns)]
    return Schema.parse({"type": "record", "name": key, "fields": rows})


def _name(column: Mapping[str, Any], at: int, count: int, key: str, notes: list[str]) -> str:
    """Return a column's name; MLflow lets columns be without one."""
    name = column.get("name")
    if name is None:
        made = key.removesuffix("s") if count == 1 else f"{key.removesuffix('s')}_{at}"
        notes.append(f"{made}: it has no name in the signature.")
        return made
    if not isinstance(name, str) or not IDENTIFIER.fullmatch(name):
        words = f"{name!r} is no field name; rename the column to letters, digits and _, and log the model again."
        raise SchemaError("schema_unsupported", words, field=str(name))
    return name


def _row(column: Mapping[str, Any], name: str, notes: list[str]) -> dict[str, Any]:
    if column.get("type") == "tensor":
        return {"name": name} | _tensor(column.get("tensor-spec"), name, notes)
    kind: Any = column.get("type")
    optional = column.get("required", True) is False or column.get("optional") is True
    if kind == "array":
        items = column.get("items")
        kind = {"type": "array", "items": _column(items.get("type") if isinstance(items, Mapping) else items, name)}
        if optional:
            notes.append(f"{name}: it may be left out there; a list has to come here, if need be an empty one.")
        return {"name": name, "type": kind}
    if optional:
        notes.append(f"{name}: it may be left out there; here it has to come, and may be null.")
    return {"name": name, "type": ["null", _column(kind, name)] if optional else _column(kind, name)}


def _column(kind: Any, name: str) -> str:
    if not isinstance(kind, str) or kind not in COLUMNS:
        words = f"The type {kind!r} is not supported; use " + ", ".join(COLUMNS) + " or an array of one of them."
        raise SchemaError("schema_unsupported", words, field=name)
    return COLUMNS[kind]


def _tensor(spec: Any, name: str, notes: list[str]) -> dict[str, Any]:
    """Return type and constraints of a tensor whose first dimension counts records."""
    dtype: Any = spec.get("dtype") if isinstance(spec, Mapping) else None
    shape: Any = spec.get("shape") if isinstance(spec, Mapping) else None
    if not isinstance(dtype, str) or dtype not in TENSORS:
        words = f"Tensors of the type {dtype!r} are not supported; use " + ", ".join(TENSORS) + "."
        raise SchemaError("schema_unsupported", words, field=name)
    whole = isinstance(shape, Sequence) and all(type(one) is int for one in shape)
    if not whole or not 1 <= len(shape) <= 2 or shape[0] != -1:
        words = f"The shape {shape!r} is not supported: records first (-1), then at most one dimension."
        raise SchemaError("schema_unsupported", words, field=name)
    if dtype in NOTED:
        notes.append(f"{name}: {NOTED[dtype]}.")
    row = dict(TENSORS[dtype])
    if len(shape) == 2:
        row["type"] = {"type": "array", "items": row["type"]}
        row |= {} if shape[1] == -1 else {"size": shape[1]}
    return row


def to_mlflow_signature(inputs: Schema | None, outputs: Schema | None) -> tuple[dict[str, Any], list[str]]:
    """Return a signature of columns as `MLmodel` keeps it, and notes on what it cannot say."""
    notes = [
        f"{one.name}: {what} cannot be said in a signature."
        for schema in (inputs, outputs)
        for one in (schema.fields if schema else ())
        for what in _unsaid(one)
    ]
    texts = {
        key: json.dumps([_spec(one) for one in schema.fields]) if schema else None
        for key, schema in (("inputs", inputs), ("outputs", outputs))
    }
    return texts | {"params": None}, notes


def _spec(field: Field) -> dict[str, Any]:
    kind = NAMES[field.kind]
    found: dict[str, Any] = {"type": "array", "items": {"type": kind}} if field.type == "array" else {"type": kind}
    return found | {"name": field.name, "required": not field.nullable}


def _unsaid(field: Field) -> list[str]:
    words = {"size": "the number of values", "minimum": "the minimum", "maximum": "the maximum"}
    words |= {"allowed": "the list of values", "pattern": "the pattern", "unit": "the unit", "doc": "the description"}
    found = [word for key, word in words.items() if getattr(field, key) not in (None, "", ())]
    return [*found, "that it may be null, only that it may be left out,"] if field.nullable else found
