"""Avro as others write it: defaults, logical types and unions in any order are told, or refused where they mislead."""

from collections.abc import Mapping
from typing import Any

from engine import strict_json
from engine.errors import SchemaError
from engine.schemas import Schema

KINDS: dict[str, Any] = {"null": type(None), "boolean": bool, "string": str, "enum": str, "array": list}
KINDS |= dict.fromkeys(("int", "long"), int) | dict.fromkeys(("float", "double"), (int, float))


def from_avro(source: Mapping[str, Any] | str | bytes) -> tuple[Schema, list[str]]:
    """Return the schema of an Avro record, and notes on what is different here.

    Raises SchemaError like `Schema.parse`, `union_order`, or `timestamp_without_zone` for local timestamps.
    """
    content: Any = source
    if isinstance(source, str | bytes):
        try:
            content = strict_json.loads(source)
        except ValueError as error:
            raise SchemaError("schema_not_json", f"The schema is not JSON: {error}.") from error
    if not isinstance(content, Mapping) or not isinstance(content.get("fields"), list):
        return Schema.parse(content if isinstance(content, Mapping) else {}), []
    notes: list[str] = []
    rows = [_row(row, notes) if isinstance(row, Mapping) else row for row in content["fields"]]
    return Schema.parse({**content, "fields": rows}), notes


def to_avro(schema: Schema) -> dict[str, Any]:
    """Return a schema as Avro; readers of plain Avro pass over the constraints."""
    return schema.to_dict()


def _row(row: Mapping[str, Any], notes: list[str]) -> dict[str, Any]:
    name = str(row.get("name"))
    found = {key: value for key, value in row.items() if key != "default"}
    kind = found.get("type")
    if "default" in row:
        first = kind[0] if isinstance(kind, list) and kind else kind
        word = first.get("type") if isinstance(first, Mapping) else first
        if isinstance(word, str) and word in KINDS and not _is(row["default"], KINDS[word]):
            words = f"The default {row['default']!r} is not of the union's first type, {word}; exchange the two types."
            raise SchemaError("union_order", words, field=name)
        notes.append(f"{name}: its default is not used; every record has to carry the field.")
    if isinstance(kind, Mapping) and "logicalType" in kind:
        found["type"] = _logical(kind, name, notes)
    elif isinstance(kind, list):
        found["type"] = [
            _logical(one, name, notes) if isinstance(one, Mapping) and "logicalType" in one else one for one in kind
        ]
    return found


def _is(value: Any, kind: Any) -> bool:
    return isinstance(value, kind) and (kind is bool or not isinstance(value, bool))


def _logical(kind: Mapping[str, Any], name: str, notes: list[str]) -> Any:
    logical = str(kind["logicalType"])
    if logical.startswith("local-timestamp"):
        words = f"{logical} has no zone, so nobody can place it; use {logical.removeprefix('local-')}, which is in UTC."
        raise SchemaError("timestamp_without_zone", words, field=name)
    notes.append(f"{name}: {logical} is read as plain {kind.get('type')}.")
    rest = {key: value for key, value in kind.items() if key not in ("logicalType", "precision", "scale")}
    return rest["type"] if set(rest) == {"type"} else rest
