"""JSON Schema 2020-12: flat objects become schemas, and schemas objects.

https://json-schema.org/draft/2020-12/json-schema-validation gives the keywords. What only we can say stands under keys
that begin with x-, which others ignore.
"""

import math
import re
from collections.abc import Iterator, Mapping
from re import _parser as sre  # type: ignore[attr-defined]  # the only way to see a pattern's structure
from typing import Any

from engine import strict_json
from engine.errors import SchemaError
from engine.exchange.references import References, merged
from engine.fields import FLOATS, IDENTIFIER, INTEGERS, LARGEST_SIZE, LONGEST_TEXT, Field
from engine.patterns import LONGEST_MATCHED
from engine.schemas import Schema

DIALECT = "https://json-schema.org/draft/2020-12/schema"
NAMES = {"boolean": "boolean", "integer": "long", "number": "double", "string": "string"}
FORMATS: dict[tuple[Any, Any], str] = {
    ("integer", "int32"): "int",
    ("integer", "int64"): "long",
    ("number", "float"): "float",
}
FORMATS[("number", "double")] = "double"
TYPES = {"boolean": "boolean", "string": "string", "enum": "string"} | dict.fromkeys(INTEGERS, "integer")
TYPES |= dict.fromkeys(FLOATS, "number")
ANNOTATIONS = frozenset({
    "title", "description", "examples", "$comment", "$id", "$schema", "$anchor", "$defs", "definitions", "deprecated",
    "readOnly", "writeOnly",
})  # fmt: skip
ROOT_KEYS = ANNOTATIONS | {"type", "properties", "required", "additionalProperties", "x-namespace"}
VALUE_KEYS = frozenset(["type", "enum", "const", "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"])
FIELD_KEYS = ANNOTATIONS | VALUE_KEYS | {"pattern", "format", "items", "minItems", "maxItems", "x-unit", "x-avro-type"}
MOST_STEPS = 50_000
ANY_TEXT = r"[\s\S]*"


def from_json_schema(source: Mapping[str, Any] | str | bytes, name: str = "record") -> tuple[Schema, list[str]]:
    """Return the schema of a flat object, and notes on what it says differently here.

    Raises SchemaError `schema_not_json`, `schema_not_object`, `ref_remote`, `ref_unknown`, `ref_cyclic`,
    `schema_unsupported`, `schema_constraint`, `pattern_invalid` or `pattern_unsafe`.
    """
    content: Any = source
    if isinstance(source, str | bytes):
        try:
            content = strict_json.loads(source)
        except ValueError as error:
            raise SchemaError("schema_not_json", f"The schema is not JSON: {error}.") from error
    if not isinstance(content, Mapping):
        raise SchemaError("schema_not_object", "A JSON Schema of records is an object; true and false say nothing.")
    references = References(content)
    root = references.resolved(content, "")
    properties = root.get("properties")
    if root.get("type", "object") != "object" or not isinstance(properties, Mapping) or not properties:
        raise SchemaError("schema_not_object", "A JSON Schema of records has type 'object' and properties.")
    required = root.get("required", [])
    if not isinstance(required, list) or not all(isinstance(one, str) for one in required):
        raise SchemaError("schema_unsupported", "required is a list of names.", field="required")
    reader = _Reader(references, set(required))
    reader.notes += _of_root(root)
    rows = [reader.row(key, value) for key, value in properties.items()]
    title = root.get("title")
    named = title if isinstance(title, str) and IDENTIFIER.fullmatch(title) else name
    avro = {"type": "record", "name": named, "fields": rows}
    avro |= {"doc": root["description"]} if "description" in root else {}
    avro |= {"namespace": root["x-namespace"]} if "x-namespace" in root else {}
    return Schema.parse(avro), reader.notes


def _of_root(root: Mapping[str, Any]) -> Iterator[str]:
    dialect = root.get("$schema", DIALECT)
    if str(dialect).rstrip("#") != DIALECT:
        yield f"It is written for {dialect}; it was read as {DIALECT}."
    if root.get("additionalProperties", True) is not False:
        yield "It lets other fields through; here they are refused."
    yield from (f"{key} of the whole record is not taken over." for key in sorted(root.keys() - ROOT_KEYS))


class _Reader:
    """Read properties, one after the other."""

    def __init__(self, references: References, required: set[str]) -> None:
        self._references = references
        self._required = required
        self._steps = 0
        self.notes: list[str] = []

    def row(self, name: str, node: Any) -> dict[str, Any]:
        """Return a property as a field of Avro with constraints."""
        node, nullable = self._plain(name, node)
        if name not in self._required:
            self._note(name, "it may be left out there; here it has to come, and may be null")
            nullable = True
        row: dict[str, Any] = {"name": name}
        if node.get("type") == "array":
            item, _ = self._plain(name, node.get("items"), nullable_ok=False)
            row |= self._values(name, item)
            row["type"] = {"type": "array", "items": row["type"]}
            row |= self._size(name, node)
            self._left_out(name, item)
            if nullable:
                self._note(name, "a list is never null here; an empty one takes its place")
        else:
            row |= self._values(name, node)
            row["type"] = ["null", row["type"]] if nullable else row["type"]
        row |= {"doc": node["description"]} if "description" in node else {}
        row |= {"unit": node["x-unit"]} if "x-unit" in node else {}
        self._left_out(name, node)
        return row

    def _left_out(self, name: str, node: Mapping[str, Any]) -> None:
        longest = LONGEST_MATCHED if "pattern" in node else LONGEST_TEXT
        said = {"maxLength"} if type(node.get("maxLength")) is int and node["maxLength"] >= longest else set()
        for key in sorted(node.keys() - FIELD_KEYS - said):
            self._note(name, f"{key} is not taken over")

    def _note(self, name: str, words: str) -> None:
        self.notes.append(f"{name}: {words}.")

    def _plain(self, name: str, node: Any, *, nullable_ok: bool = True) -> tuple[dict[str, Any], bool]:
        """Return a schema without references, with one type, and whether it takes null."""
        self._steps += 1
        if self._steps > MOST_STEPS:
            raise SchemaError("schema_unsupported", "Its schemas are put together from too many others.", field=name)
        if not isinstance(node, Mapping):
            raise SchemaError("schema_unsupported", "Every field needs a schema that says its type.", field=name)
        node = self._references.resolved(node, name)
        for part in _listed(node, "allOf", name):
            node = merged(node, self._references.resolved(part, name), name)
        nullable = False
        for key in ("anyOf", "oneOf"):
            if key in node:
                node, nullable = self._without_null(name, node, key)
        kinds = node.get("type", _guessed(node))
        if isinstance(kinds, list):
            nullable = nullable or "null" in kinds
            kinds = [one for one in kinds if one != "null"]
            kinds = kinds[0] if len(kinds) == 1 else kinds
        node["type"] = kinds
        if not isinstance(kinds, str) or kinds not in (*NAMES, "array"):
            words = f"{_told(kinds)} is not supported; a field is a text, a number, true or false, or a list of such."
            raise SchemaError("schema_unsupported", words, field=name)
        if isinstance(node.get("enum"), list) and None not in node["enum"]:
            nullable = False
        if nullable and not nullable_ok:
            self._note(name, "values of a list are never null here")
        return node, nullable

    def _without_null(self, name: str, node: dict[str, Any], key: str) -> tuple[dict[str, Any], bool]:
        """Return a choice between null and one schema as that schema."""
        choices = [self._references.resolved(one, name) for one in _listed(node, key, name)]
        others = [one for one in choices if one.get("type") != "null"]
        if len(others) != 1:
            raise SchemaError("schema_unsupported", f"{key} has to choose between null and one schema.", field=name)
        rest, nullable = self._plain(name, others[0])
        return merged(rest, node, name), nullable or len(others) < len(choices)

    def _values(self, name: str, node: dict[str, Any]) -> dict[str, Any]:
        """Return type and constraints of single values."""
        if node["type"] not in NAMES:
            raise SchemaError("schema_unsupported", "A list of lists is not supported.", field=name)
        form = node.get("format") if isinstance(node.get("format"), str) else None
        kind = FORMATS.get((node["type"], form), NAMES[node["type"]])
        if "format" in node and (node["type"], form) not in FORMATS:
            self._note(name, f"the format {node['format']} is not checked here")
        row: dict[str, Any] = {"type": kind} | self._limits(name, node, kind)
        if "pattern" in node:
            row["pattern"] = self._pattern(name, node["pattern"])
        listed = node.get("enum", [node["const"]] if "const" in node else None)
        if listed is not None:
            row |= self._listed(name, node, kind, listed)
        return row

    def _listed(self, name: str, node: Mapping[str, Any], kind: str, listed: Any) -> dict[str, Any]:
        if not isinstance(listed, list):
            raise SchemaError("schema_unsupported", "enum is a list of values.", field=name)
        values = [value for value in listed if value is not None]
        if kind in INTEGERS:
            values = [int(value) if isinstance(value, float) and value.is_integer() else value for value in values]
        words = all(isinstance(value, str) and IDENTIFIER.fullmatch(value) for value in values)
        plain = node.get("x-avro-type") != "string" and "pattern" not in node
        if kind == "string" and words and plain and len(set(values)) == len(values):
            return {"type": {"type": "enum", "name": f"{name}_symbols", "symbols": values}}
        return {"allowed": values}

    def _limits(self, name: str, node: Mapping[str, Any], kind: str) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for key, sign in (("minimum", 1), ("maximum", -1)):
            limit: Any = node.get(key)
            strict = node.get(f"exclusive{key.capitalize()}")
            if strict is not None:
                if (
                    isinstance(strict, bool)
                    or not isinstance(strict, int | float)
                    or not abs(strict) <= FLOATS["double"]
                ):
                    words = f"exclusive{key.capitalize()} is a finite number; write it as one."
                    raise SchemaError("schema_unsupported", words, field=name)
                beyond = _beyond(strict, sign, kind)
                self._note(name, f"beyond {strict} became the {key} {beyond}")
                limit = beyond if not isinstance(limit, int | float) else max(limit * sign, beyond * sign) * sign
            end = _ends(kind)[sign < 0]
            if end is not None and type(limit) in (int, float) and limit * sign <= end * sign:
                continue  # the type says it
            found |= {} if limit is None else {key: limit}
        return found

    def _pattern(self, name: str, pattern: Any) -> Any:
        """Return a pattern, which JSON Schema looks for anywhere in a text, as one for the whole text."""
        if not isinstance(pattern, str):
            return pattern
        if re.search(r"\\[dDwWsS]", pattern):
            self._note(name, r"\d, \w and \s take all of Unicode here, not only ASCII")
        try:
            items = list(sre.parse(pattern))
        except re.error:
            return pattern  # which is refused by the schema, in its own words
        first = bool(items) and items[0] == (sre.AT, sre.AT_BEGINNING) and pattern.startswith("^")
        last = bool(items) and items[-1] == (sre.AT, sre.AT_END) and pattern.endswith("$")
        inner = pattern[first : len(pattern) - last]
        if first and last:
            return _ungrouped(inner)
        self._note(name, "the pattern is looked for anywhere there; here it was widened to match whole texts")
        return f"{'' if first else ANY_TEXT}(?:{inner}){'' if last else ANY_TEXT}"

    def _size(self, name: str, node: Mapping[str, Any]) -> dict[str, Any]:
        least, most = node.get("minItems"), node.get("maxItems")
        if least is not None and least == most:
            return {"size": least}
        if least or (most is not None and most != LARGEST_SIZE):
            self._note(name, "minItems and maxItems are taken over only if they are the same")
        return {}


def _listed(node: dict[str, Any], key: str, name: str) -> list[Mapping[str, Any]]:
    """Take the schemas of a keyword out of a schema."""
    found = node.pop(key, [])
    if not isinstance(found, list) or not all(isinstance(one, Mapping) for one in found):
        raise SchemaError("schema_unsupported", f"{key} is a list of schemas.", field=name)
    return found


def _guessed(node: Mapping[str, Any]) -> Any:
    """Return the types of the values that a schema without a type lists."""
    listed = node.get("enum", [node["const"]] if "const" in node else None)
    if not isinstance(listed, list):
        return None
    words = {bool: "boolean", int: "integer", float: "number", str: "string", type(None): "null"}
    kinds = sorted({words.get(type(value), "object") for value in listed})
    return [one for one in kinds if one != "integer"] if {"integer", "number"} <= set(kinds) else kinds


def _told(kinds: Any) -> str:
    return " or ".join(map(str, kinds)) if isinstance(kinds, list) and kinds else repr(kinds) if kinds else "no type"


def _ends(kind: str) -> tuple[float | None, float | None]:
    """Return the limits of a type itself; a double's are those of JSON's readers."""
    if kind in INTEGERS:
        return INTEGERS[kind]
    return (-FLOATS[kind], FLOATS[kind]) if kind == "float" else (None, None)


def _beyond(limit: float, sign: int, kind: str) -> float:
    """Return the next number of a kind above (sign 1) or below (sign -1) a limit."""
    if kind in INTEGERS:
        return math.floor(limit) + 1 if sign > 0 else math.ceil(limit) - 1
    return math.nextafter(limit, math.inf * sign)


def _ungrouped(pattern: str) -> str:
    """Return a pattern without a group around all of it."""
    if pattern.startswith("(?:") and pattern.endswith(")"):
        try:
            if str(sre.parse(pattern)) == str(sre.parse(pattern[3:-1])):
                return pattern[3:-1]
        except re.error:  # the two brackets belong to two groups
            pass
    return pattern


def to_json_schema(schema: Schema) -> tuple[dict[str, Any], list[str]]:
    """Return a schema in JSON Schema 2020-12, and notes on what readers of it may understand differently."""
    notes = [
        f"{one.name}: the unit {one.unit} stands under x-unit, which others ignore."
        for one in schema.fields
        if one.unit
    ]
    notes += [
        f"{one.name}: the pattern is written as Python reads it; \\d, \\w and \\s take all of Unicode here."
        for one in schema.fields
        if re.search(r"\\[dDwWsSAZ]|\(\?P", one.pattern)
    ]
    if any(one.kind in INTEGERS for one in schema.fields):
        notes.append("Readers of JSON Schema take 1.0 for a whole number; here it is none.")
    document: dict[str, Any] = {"$schema": DIALECT, "title": schema.name, "type": "object"}
    document |= {"description": schema.doc} if schema.doc else {}
    document |= {"x-namespace": schema.namespace} if schema.namespace else {}
    properties = {one.name: _property(one) for one in schema.fields}
    return document | {"properties": properties, "required": list(schema.names), "additionalProperties": False}, notes


def _property(field: Field) -> dict[str, Any]:
    found = _value(field)
    if field.nullable:
        found["type"] = [found["type"], "null"]
        found |= {"enum": [*found["enum"], None]} if "enum" in found else {}
    if field.type == "array":
        found = {"type": "array", "items": found}
        found |= {"maxItems": LARGEST_SIZE} if field.size is None else {"minItems": field.size, "maxItems": field.size}
    found |= {"description": field.doc} if field.doc else {}
    return found | ({"x-unit": field.unit} if field.unit else {})


def _value(field: Field) -> dict[str, Any]:
    found: dict[str, Any] = {"type": TYPES[field.kind]}
    if field.numeric:
        found["format"] = {"int": "int32", "long": "int64"}.get(field.kind, field.kind)
    for key, end in zip(("minimum", "maximum"), _ends(field.kind), strict=True):
        given = [limit for limit in (getattr(field, key), end) if limit is not None]
        found |= {key: (max if key == "minimum" else min)(given)} if given else {}
    if field.kind == "string" and not field.allowed:
        found["maxLength"] = LONGEST_MATCHED if field.pattern else LONGEST_TEXT
    found |= {"pattern": f"^(?:{field.pattern})$"} if field.pattern else {}
    found |= {"enum": list(field.allowed)} if field.allowed else {}
    return found | ({"x-avro-type": "string"} if field.kind == "string" and field.allowed else {})
