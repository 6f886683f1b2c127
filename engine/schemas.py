"""Schemas: Avro records whose fields may carry constraints. They tell, for any record, what is wrong with it.

Avro 1.12 (https://avro.apache.org/docs/) gives the types; the attributes minimum, maximum, allowed, pattern, unit and
size are additional, as Avro allows attributes it does not know.
"""

import json
import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import rfc8785
from fastavro.schema import SchemaParseException, parse_schema

from engine import strict_json
from engine.errors import SchemaError
from engine.patterns import LONGEST_MATCHED, compile_pattern

LONGEST_TEXT = 10_000
INTEGERS = {"int": (-(2**31), 2**31 - 1), "long": (-(2**63), 2**63 - 1)}
FLOATS = {"float": 3.4028234663852886e38, "double": math.inf}
SCALARS = frozenset({"boolean", "string", "enum", *INTEGERS, *FLOATS})
FIELD_KEYS = {
    "name",
    "type",
    "doc",
    "minimum",
    "maximum",
    "allowed",
    "pattern",
    "unit",
    "size",
    "default",
    "order",
    "aliases",
}
RECORD_KEYS = {"type", "name", "namespace", "doc", "fields", "aliases"}
MOST_FIELDS = 5000
IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,199}")


@dataclass(frozen=True, slots=True)
class Violation:
    """What is wrong with one field of one record: the rule that is broken, the value, and a sentence."""

    field: str
    rule: str
    value: Any
    message: str


@dataclass(frozen=True, slots=True)
class Field:
    """One field. `type` is an Avro type, or 'array' with values of the type `items`; `allowed` has an enum's symbols."""

    name: str
    type: str
    items: str = ""
    size: int | None = None
    nullable: bool = False
    minimum: float | None = None
    maximum: float | None = None
    allowed: tuple[Any, ...] = ()
    pattern: str = ""
    unit: str = ""
    doc: str = ""

    @property
    def kind(self) -> str:
        """Return the type of single values."""
        return self.items if self.type == "array" else self.type

    @property
    def numeric(self) -> bool:
        """Tell whether the values are numbers."""
        return self.kind in INTEGERS or self.kind in FLOATS


Check = Callable[[Any], "tuple[str, str] | None"]


class Schema:
    """A record's fields in order, compiled for checking."""

    def __init__(self, name: str, fields: Sequence[Field], doc: str = "", namespace: str = "") -> None:
        """Compile fields. Raises SchemaError for a pattern that is not safe."""
        self.name = name
        self.doc = doc
        self.namespace = namespace
        self.fields = tuple(fields)
        self.names = tuple(one.name for one in self.fields)
        self._checks: dict[str, Check] = {one.name: _compile(one) for one in self.fields}

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
        except (SchemaParseException, ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
            raise SchemaError("schema_not_avro", f"Avro does not accept the schema: {error}.") from error
        odd = sorted(set(content) - RECORD_KEYS)
        if odd:
            raise SchemaError("schema_unsupported", f"A record has no attribute {odd[0]!r}.", field=odd[0])
        rows = content.get("fields")
        if not isinstance(rows, list) or not 0 < len(rows) <= MOST_FIELDS:
            raise SchemaError("schema_unsupported", f"A schema has 1 to {MOST_FIELDS} fields.", field="fields")
        fields = [_field(row) for row in rows]
        return cls(content["name"], fields, content.get("doc", ""), content.get("namespace", ""))

    def to_dict(self) -> dict[str, Any]:
        """Return the schema as Avro with its constraints; `parse` reads it back."""
        content: dict[str, Any] = {"type": "record", "name": self.name}
        content |= {"namespace": self.namespace} if self.namespace else {}
        content |= {"doc": self.doc} if self.doc else {}
        return content | {"fields": [_row(one) for one in self.fields]}

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

    def check_columns(self, columns: Mapping[str, Sequence[Any]]) -> list[tuple[int, Violation]]:
        """Return everything that is wrong with N records given as columns, with each record's index from 0."""
        lengths = {len(column) for column in columns.values()}
        count = max(lengths, default=0)
        if len(lengths) > 1:
            return [(0, Violation("", "size", sorted(lengths), "the columns have different lengths"))]
        names = list(columns)
        return [
            (index, violation)
            for index, values in enumerate(zip(*columns.values(), strict=True))
            for violation in self.check(dict(zip(names, values, strict=True)))
        ] or ([] if count else [(0, Violation("", "missing", None, "there are no records"))])


def _field(row: Any) -> Field:
    """Read one field. Raises SchemaError naming it."""
    name = row["name"]
    odd = sorted(set(row) - FIELD_KEYS)
    if odd or "default" in row:
        what = odd[0] if odd else "default"
        raise SchemaError("schema_unsupported", f"A field has no attribute {what!r} here.", field=name)
    if not IDENTIFIER.fullmatch(name):
        raise SchemaError("schema_unsupported", "A field's name has at most 200 letters, digits and _.", field=name)
    kind, nullable = _nullable(row["type"], name)
    items = ""
    symbols: tuple[str, ...]
    if isinstance(kind, Mapping) and kind.get("type") == "array":
        items, symbols = _scalar(kind["items"], name)
        kind = "array"
    else:
        kind, symbols = _scalar(kind, name)
    if items and nullable:
        raise SchemaError("schema_unsupported", "A list cannot be null; make it shorter or leave it out.", field=name)
    field = Field(
        name=name,
        type=kind,
        items=items,
        size=row.get("size"),
        nullable=nullable,
        minimum=row.get("minimum"),
        maximum=row.get("maximum"),
        allowed=tuple(row.get("allowed", ())) or symbols,
        pattern=row.get("pattern", ""),
        unit=str(row.get("unit", "")),
        doc=str(row.get("doc", "")),
    )
    _check_constraints(field, symbols)
    return field


def _nullable(kind: Any, name: str) -> tuple[Any, bool]:
    if not isinstance(kind, list):
        return kind, False
    others = [one for one in kind if one != "null"]
    if len(others) != 1 or len(kind) != 2:
        raise SchemaError("schema_unsupported", "The only union is a type with null.", field=name)
    return others[0], True


def _scalar(kind: Any, name: str) -> tuple[str, tuple[str, ...]]:
    if isinstance(kind, Mapping) and kind.get("type") == "enum":
        return "enum", tuple(kind["symbols"])
    if isinstance(kind, Mapping):
        kind = kind.get("type")
    if kind not in SCALARS or kind == "enum":
        raise SchemaError(
            "schema_unsupported",
            f"{kind!r} is not supported; use " + ", ".join(sorted(SCALARS)) + " or array.",
            field=name,
        )
    return str(kind), ()


def _check_constraints(field: Field, symbols: tuple[str, ...]) -> None:
    """Refuse constraints that do not fit the type, so that none is silently without effect."""

    def refuse(why: str) -> None:
        raise SchemaError("schema_constraint", why, field=field.name)

    for limit in (field.minimum, field.maximum):
        if limit is not None and (not field.numeric or not _is_number(limit)):
            refuse("minimum and maximum are finite numbers on a numeric field")
    if field.minimum is not None and field.maximum is not None and field.minimum > field.maximum:
        refuse("the minimum is above the maximum")
    if field.size is not None and (field.type != "array" or not _is_whole(field.size) or not 0 < field.size <= 100_000):
        refuse("size is a whole number above 0 on an array")
    if field.pattern:
        if field.kind != "string":
            refuse("a pattern is for texts")
        compile_pattern(field.pattern, field.name)
    if field.allowed and not symbols:
        plain = _compile(Field(field.name, field.kind, minimum=field.minimum, maximum=field.maximum))
        if len(field.allowed) > 10_000 or any(plain(value) for value in field.allowed):
            refuse("allowed lists at most 10000 values of the field's own type")
    if symbols and not set(field.allowed) <= set(symbols):
        refuse("allowed lists symbols of the enum")


def _row(field: Field) -> dict[str, Any]:
    kind: Any = field.kind
    if kind == "enum":
        kind = {"type": "enum", "name": f"{field.name}_symbols", "symbols": list(field.allowed)}
    if field.type == "array":
        kind = {"type": "array", "items": kind}
    row: dict[str, Any] = {"name": field.name, "type": ["null", kind] if field.nullable else kind}
    for key in ("size", "minimum", "maximum", "pattern", "unit", "doc"):
        value = getattr(field, key)
        if value not in (None, ""):
            row[key] = value
    if field.allowed and field.kind != "enum":
        row["allowed"] = list(field.allowed)
    return row


def _compile(field: Field) -> Check:
    """Return a function that tells what is wrong with a value: (rule, words) or None."""
    one = _compile_scalar(field)
    if field.type == "array":
        return _compile_array(field, one)
    if not field.nullable:
        return lambda value: ("null", "is null") if value is None else one(value)
    return lambda value: None if value is None else one(value)


def _compile_array(field: Field, one: Check) -> Check:
    size = field.size

    def check(value: Any) -> tuple[str, str] | None:
        if value is None:
            return "null", "is null"
        if not isinstance(value, list | tuple):
            return "type", "must be a list"
        if size is not None and len(value) != size:
            return "size", f"must have {size} values, not {len(value)}"
        for index, item in enumerate(value):
            wrong = ("null", "is null") if item is None else one(item)
            if wrong:
                return wrong[0], f"[{index}] {wrong[1]}"
        return None

    return check


def _compile_scalar(field: Field) -> Check:
    kind = field.kind
    if kind in INTEGERS or kind in FLOATS:
        return _compile_number(field, kind)
    allowed = frozenset(field.allowed)
    if kind == "boolean":
        return lambda value: (
            ("type", "must be true or false")
            if not isinstance(value, bool)
            else (("allowed", f"must be {field.allowed[0]}") if allowed and value not in allowed else None)
        )
    pattern = compile_pattern(field.pattern, field.name) if field.pattern else None
    longest = LONGEST_MATCHED if pattern else LONGEST_TEXT

    def check(value: Any) -> tuple[str, str] | None:
        if not isinstance(value, str):
            return "type", "must be a text"
        if len(value) > longest:
            return "size", f"must have at most {longest} characters"
        if allowed and value not in allowed:
            return "allowed", "must be one of " + ", ".join(map(str, field.allowed[:10]))
        if pattern is not None and not pattern.fullmatch(value):
            return "pattern", f"must match {field.pattern}"
        return None

    return check


def _compile_number(field: Field, kind: str) -> Check:
    whole = kind in INTEGERS
    low, high = INTEGERS[kind] if whole else (-FLOATS[kind], FLOATS[kind])
    minimum, maximum = field.minimum, field.maximum
    allowed = frozenset(field.allowed)
    word = "a whole number" if whole else "a number"

    def check(value: Any) -> tuple[str, str] | None:
        if isinstance(value, bool) or not isinstance(value, int if whole else int | float):
            return "type", f"must be {word}"
        if value != value or value in (math.inf, -math.inf):
            return "not_finite", "must be finite, not NaN or infinity"
        if not low <= value <= high:
            return "type", f"must fit into Avro's {kind}"
        if minimum is not None and value < minimum:
            return "minimum", f"must be at least {minimum:g}"
        if maximum is not None and value > maximum:
            return "maximum", f"must be at most {maximum:g}"
        if allowed and value not in allowed:
            return "allowed", "must be one of " + ", ".join(map(str, field.allowed[:10]))
        return None

    return check


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def infer_schema(records: Sequence[Mapping[str, Any]], name: str) -> tuple[Schema, list[str]]:
    """Return a schema for sample records, and notes on how sure each field is.

    Whole numbers become long, other numbers double, with the range that was seen as a note and not as a limit (a
    sample's range is not the world's); few different texts become an enum. Raises SchemaError `sample_unusable`.
    """
    if not records:
        raise SchemaError("sample_unusable", "The sample holds no records.")
    fields, notes = [], []
    for key in dict.fromkeys(key for record in records for key in record):
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
        kind = "long" if kinds == {int} else "double"
        note = f"{key}: {kind} from {min(seen):g} to {max(seen):g} in {len(seen)} records; set the true limits"
        return Field(key, kind, nullable=nullable), note
    if kinds == {str}:
        symbols = sorted(set(seen))
        if len(symbols) <= 20 and len(seen) >= 5 * len(symbols) and all(IDENTIFIER.fullmatch(s) for s in symbols):
            field = Field(key, "enum", nullable=nullable, allowed=tuple(symbols))
            return field, f"{key}: one of {len(symbols)} texts in {len(seen)} records; others will be refused"
        return Field(key, "string", nullable=nullable), f"{key}: text, {len(symbols)} different in {len(seen)} records"
    if kinds == {list} and not nullable:
        sizes = {len(value) for value in seen}
        inner, _ = _guess(key, [item for value in seen for item in value] or [0.0], nullable=False)
        size = sizes.pop() if len(sizes) == 1 else None
        return Field(
            key, "array", items=inner.kind, size=size or None, allowed=inner.allowed
        ), f"{key}: list of {inner.kind}"
    raise SchemaError("sample_unusable", f"{key} holds values of different types.", field=key)
