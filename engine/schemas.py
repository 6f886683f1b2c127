"""Schemas: Avro records whose fields may carry constraints. They tell, for any record, what is wrong with it.

Avro 1.12 (https://avro.apache.org/docs/) gives the types; the attributes minimum, maximum, allowed, pattern, unit and
size are additional, as Avro allows attributes it does not know.
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import rfc8785
from fastavro.schema import parse_schema

from engine import strict_json
from engine.errors import SchemaError
from engine.fields import IDENTIFIER, INTEGERS, SCALARS, Check, Field, check_constraints, compile_field

__all__ = ["INTEGERS", "Field", "Schema", "Violation", "infer_schema"]

VALUE_KEYS = frozenset(["minimum", "maximum", "allowed", "pattern", "unit", "size"])
FIELD_KEYS = VALUE_KEYS | {"name", "type", "doc", "order", "aliases"}
RECORD_KEYS = frozenset(["type", "name", "namespace", "doc", "fields", "aliases"])
MOST_FIELDS = 5000
LONGEST_WORDS = 2000
MOST_SYMBOLS = 20
WITHOUT_ZONE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9]{2}:[0-9]{2}(:[0-9]{2}([.,][0-9]{1,9})?)?")
PADDED = re.compile(r"[0-9]{1,100}")


@dataclass(frozen=True, slots=True)
class Violation:
    """What is wrong with one field of one record: the rule that is broken, the value, and a sentence."""

    field: str
    rule: str
    value: Any
    message: str


class Schema:
    """A record's fields in order, compiled for checking."""

    def __init__(self, name: str, fields: Sequence[Field], doc: str = "", namespace: str = "") -> None:
        """Compile fields. Raises SchemaError for a pattern that is not safe."""
        self.name = name
        self.doc = doc
        self.namespace = namespace
        self.fields = tuple(fields)
        self.names = tuple(one.name for one in self.fields)
        self._checks: dict[str, Check] = {one.name: compile_field(one) for one in self.fields}

    @classmethod
    def parse(cls, source: str | bytes | Mapping[str, Any]) -> "Schema":
        """Return the schema in an Avro record's JSON.

        Raises SchemaError `schema_not_json`, `schema_not_avro`, `schema_unsupported`, `schema_constraint`,
        `pattern_invalid` or `pattern_unsafe`, with the field that is odd.
        """
        content: Any = source
        if isinstance(source, str | bytes):
            try:
                content = strict_json.loads(source)
            except ValueError as error:
                raise SchemaError("schema_not_json", f"The schema is not JSON: {error}.") from error
        if not isinstance(content, Mapping) or content.get("type") != "record":
            raise SchemaError("schema_not_avro", "A schema is an Avro record: an object with type 'record'.")
        try:
            parse_schema(json.loads(json.dumps(content)), named_schemas={})
        except Exception as error:  # fastavro raises whatever the odd part provokes
            raise SchemaError("schema_not_avro", f"Avro does not accept the schema: {str(error)[:300]}.") from error
        odd = sorted(content.keys() - RECORD_KEYS)
        if odd:
            raise SchemaError("schema_unsupported", f"A record has no attribute {odd[0]!r}.", field=odd[0])
        rows = content.get("fields")
        if not isinstance(rows, list) or not 0 < len(rows) <= MOST_FIELDS:
            raise SchemaError("schema_unsupported", f"A schema has 1 to {MOST_FIELDS} fields.", field="fields")
        fields = [_field(row) for row in rows]
        if len({one.name for one in fields}) != len(fields):
            raise SchemaError("schema_unsupported", "Two fields have the same name; rename one.", field="fields")
        return cls(content["name"], fields, _words(content, "doc", ""), _words(content, "namespace", ""))

    def to_dict(self) -> dict[str, Any]:
        """Return the schema as Avro with its constraints; `parse` reads it back."""
        content: dict[str, Any] = {"type": "record", "name": self.name}
        content |= {"namespace": self.namespace} if self.namespace else {}
        content |= {"doc": self.doc} if self.doc else {}
        return content | {"fields": [one.to_dict() for one in self.fields]}

    def select(self, names: Sequence[str]) -> "Schema":
        """Return a schema of some of the fields, in the order of `names`. Raises KeyError for one that it lacks."""
        fields = {one.name: one for one in self.fields}
        return Schema(self.name, [fields[name] for name in names], self.doc, self.namespace)

    def canonical(self) -> bytes:
        """Return the canonical bytes (RFC 8785) of `to_dict`."""
        return rfc8785.dumps(self.to_dict())

    def check(self, record: Any) -> list[Violation]:
        """Return everything that is wrong with a record; nothing, if it meets the schema.

        Rules: missing, unknown_field, null, type, not_finite, minimum, maximum, allowed, pattern, size.
        """
        if not isinstance(record, Mapping):
            return [Violation("", "type", record, "a record is an object of fields")]
        found = []
        for name, check in self._checks.items():
            if name not in record:
                found.append(Violation(name, "missing", None, f"{name} is missing"))
                continue
            value = record[name]
            wrong = check(value)
            if wrong is not None:
                found.append(Violation(name, wrong[0], value, f"{name} {wrong[1]}"))
        if len(record) > len(self._checks) - len(found):
            known = self._checks
            found += [
                Violation(str(name), "unknown_field", record[name], f"{name} is not a field of the schema")
                for name in record
                if name not in known
            ]
        return found


def _field(row: Mapping[str, Any]) -> Field:
    """Read one field. Raises SchemaError naming it."""
    name = row["name"]
    odd = sorted(row.keys() - FIELD_KEYS)
    if odd:
        raise SchemaError("schema_unsupported", f"A field has no attribute {odd[0]!r} here; remove it.", field=name)
    if not IDENTIFIER.fullmatch(name):
        raise SchemaError("schema_unsupported", "A field's name has at most 200 letters, digits and _.", field=name)
    kind, nullable = _nullable(row["type"], name)
    items = ""
    symbols: tuple[str, ...] = ()
    if isinstance(kind, Mapping) and kind.get("type") == "array":
        items, symbols = _scalar(kind["items"], name)
        kind = "array"
    else:
        kind, symbols = _scalar(kind, name)
    if items and nullable:
        raise SchemaError("schema_unsupported", "A list cannot be null; send an empty list instead.", field=name)
    allowed = row.get("allowed")
    field = Field(
        name=name,
        type=kind,
        items=items,
        size=row.get("size"),
        nullable=nullable,
        minimum=row.get("minimum"),
        maximum=row.get("maximum"),
        allowed=tuple(allowed) if isinstance(allowed, list | tuple) and allowed else symbols,
        pattern=row.get("pattern", ""),
        unit=_words(row, "unit", name),
        doc=_words(row, "doc", name),
    )
    check_constraints(field, row, symbols)
    return field


def _words(row: Mapping[str, Any], key: str, field: str) -> str:
    words = row.get(key, "")
    if not isinstance(words, str) or len(words) > LONGEST_WORDS or not _encodable(words):
        raise SchemaError("schema_unsupported", f"{key} is a text of at most {LONGEST_WORDS} characters.", field=field)
    return words


def _encodable(text: str) -> bool:
    """Tell whether a text is Unicode that can be stored: JSON can spell half a surrogate pair."""
    return not any("\ud800" <= character <= "\udfff" for character in text)


def _nullable(kind: Any, name: str) -> tuple[Any, bool]:
    if not isinstance(kind, list):
        return kind, False
    others = [one for one in kind if one != "null"]
    if len(others) != 1 or len(kind) != 2:
        raise SchemaError("schema_unsupported", "The only union is a type with null.", field=name)
    if kind[0] != "null":  # Avro encodes a union's branch by its place, so another order is another encoding
        raise SchemaError("union_order", 'Write null first in a union: ["null", …].', field=name)
    return others[0], True


def _scalar(kind: Any, name: str) -> tuple[str, tuple[str, ...]]:
    if isinstance(kind, Mapping) and kind.get("type") == "enum":
        return "enum", tuple(kind["symbols"])
    if isinstance(kind, Mapping):
        kind = kind.get("type")
    if not isinstance(kind, str) or kind not in SCALARS or kind == "enum":
        raise SchemaError(
            "schema_unsupported",
            f"{kind!r} is not supported; use " + ", ".join(sorted(SCALARS)) + " or array.",
            field=name,
        )
    return str(kind), ()


def infer_schema(records: Sequence[Mapping[str, Any]], name: str) -> tuple[Schema, list[str]]:
    """Return a schema for N sample records, and one note a field on how sure it is.

    Whole numbers become long, other numbers double, with the range that was seen as a note and not as a limit (a
    sample's range is not the world's); few different texts become an enum. Raises SchemaError `sample_unusable`,
    `integer_too_large` or `timestamp_without_zone`.
    """
    if not records:
        raise SchemaError("sample_unusable", "The sample holds no records.")
    fields, notes = [], []
    for key in dict.fromkeys(key for record in records for key in record):
        if not isinstance(key, str) or not IDENTIFIER.fullmatch(key):
            raise SchemaError(
                "sample_unusable", f"{key!r} is no field name; use letters, digits and _ in the sample.", field=str(key)
            )
        values = [record.get(key) for record in records]
        seen = [value for value in values if value is not None]
        if not seen:
            raise SchemaError("sample_unusable", f"{key} is null in every record of the sample.", field=key)
        field, note = _guess(key, seen, nullable=len(seen) < len(values))
        fields.append(field)
        notes.append(note)
    return Schema.parse(Schema(name, fields).to_dict()), notes


def _guess(key: str, seen: Sequence[Any], *, nullable: bool) -> tuple[Field, str]:
    kinds = {type(value) for value in seen}
    if kinds == {bool}:
        return Field(key, "boolean", nullable=nullable), f"{key}: true or false in {len(seen)} records"
    if kinds <= {int, float}:
        return _guess_number(key, seen, "long" if kinds == {int} else "double", nullable)
    if kinds == {str}:
        symbols = sorted(set(seen))
        few = len(symbols) <= MOST_SYMBOLS and len(seen) >= 5 * len(symbols)
        if few and all(IDENTIFIER.fullmatch(symbol) for symbol in symbols):
            field = Field(key, "enum", nullable=nullable, allowed=tuple(symbols))
            return field, f"{key}: one of {len(symbols)} texts in {len(seen)} records; others will be refused"
        if all(WITHOUT_ZONE.fullmatch(text) for text in symbols):
            words = (
                f"{key} holds times without a zone, which nobody can place; write it, as in 2026-01-31T08:00:00+01:00."
            )
            raise SchemaError("timestamp_without_zone", words, field=key)
        note = f"{key}: text, {len(symbols)} different in {len(seen)} records"
        note += "; leading zeros are kept" if all(PADDED.fullmatch(text) for text in symbols) else ""
        return Field(key, "string", nullable=nullable), note
    if kinds == {list} and not nullable:
        return _guess_list(key, seen)
    raise SchemaError("sample_unusable", f"{key} holds objects, or values of different types.", field=key)


def _guess_number(key: str, seen: Sequence[Any], kind: str, nullable: bool) -> tuple[Field, str]:
    low, high = min(seen), max(seen)
    if kind == "long" and not INTEGERS["long"][0] <= low <= high <= INTEGERS["long"][1]:
        words = f"{key} holds whole numbers beyond 64 bits, which a double would round; write them as texts."
        raise SchemaError("integer_too_large", words, field=key)
    field = Field(key, kind, nullable=nullable)
    check = compile_field(field)
    if any(check(value) for value in seen):
        raise SchemaError("sample_unusable", f"{key} holds a number that is not finite or too large.", field=key)
    # Of n + 1 values in any order, each is as likely to be the least or the most: the next one, with 2 in n + 1.
    chance = f"at most {2 / (len(seen) + 1):.2g} of new values lie outside" if len(seen) > 1 else "nobody knows more"
    return field, f"{key}: {kind} from {low:g} to {high:g} in {len(seen)} records; {chance}; set the true limits"


def _guess_list(key: str, seen: Sequence[list[Any]]) -> tuple[Field, str]:
    sizes = {len(value) for value in seen}
    inner, _ = _guess(key, [item for value in seen for item in value] or [0.0], nullable=False)
    if inner.type == "array":
        raise SchemaError("sample_unusable", f"{key} holds lists of lists; give each inner list a field.", field=key)
    size = sizes.pop() if len(sizes) == 1 else None
    field = Field(key, "array", items=inner.kind, size=size or None, allowed=inner.allowed)
    return field, f"{key}: list of {size or 'any number of'} values of the type {inner.kind}"
