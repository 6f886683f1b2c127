"""Fields of a schema: what each may be, and a function for each that tells what is wrong with a value."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from engine.errors import SchemaError
from engine.patterns import LONGEST_MATCHED, compile_pattern

LONGEST_TEXT = 10_000
LARGEST_SIZE = 100_000
MOST_ALLOWED = 10_000
EXACT = 2**53  # canonical JSON (RFC 8785) holds whole numbers up to here
INTEGERS = {"int": (-(2**31), 2**31 - 1), "long": (-(2**63), 2**63 - 1)}
FLOATS = {"float": 3.4028234663852886e38, "double": 1.7976931348623157e308}
SCALARS = frozenset({"boolean", "string", "enum", *INTEGERS, *FLOATS})
IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,199}")

Check = Callable[[Any], "tuple[str, str] | None"]


@dataclass(frozen=True, slots=True)
class Field:
    """One field. `type` is an Avro type, or 'array' of values of the type `items`; `allowed` has an enum's symbols."""

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

    def to_dict(self) -> dict[str, Any]:
        """Return the field as Avro with its constraints."""
        kind: Any = self.kind
        if kind == "enum":
            kind = {"type": "enum", "name": f"{self.name}_symbols", "symbols": list(self.allowed)}
        if self.type == "array":
            kind = {"type": "array", "items": kind}
        row: dict[str, Any] = {"name": self.name, "type": ["null", kind] if self.nullable else kind}
        for key in ("size", "minimum", "maximum", "pattern", "unit", "doc"):
            value = getattr(self, key)
            if value not in (None, ""):
                row[key] = value
        if self.allowed and self.kind != "enum":
            row["allowed"] = list(self.allowed)
        return row


def check_constraints(field: Field, row: Mapping[str, Any], symbols: tuple[str, ...]) -> None:
    """Refuse constraints that do not fit the type, so that none is silently without effect. Raises SchemaError."""

    def refuse(why: str) -> None:
        raise SchemaError("schema_constraint", f"{field.name}: {why}.", field=field.name)

    for limit in (field.minimum, field.maximum):
        if limit is not None and (not field.numeric or not _is_limit(limit)):
            refuse("minimum and maximum are finite numbers (whole ones up to 2^53), on a field of numbers")
    if field.minimum is not None and field.maximum is not None and field.minimum > field.maximum:
        refuse("the minimum is above the maximum; exchange them")
    size = row.get("size")
    if size is not None and (field.type != "array" or type(size) is not int or not 0 < size <= LARGEST_SIZE):
        refuse(f"size is a whole number from 1 to {LARGEST_SIZE}, on an array")
    if "pattern" in row and field.kind != "string":
        refuse("a pattern is for texts; remove it")
    if "pattern" in row:
        compile_pattern(row["pattern"], field.name)
    if "allowed" in row:
        _check_allowed(field, row["allowed"], symbols, refuse)


def _check_allowed(field: Field, allowed: Any, symbols: tuple[str, ...], refuse: Callable[[str], None]) -> None:
    if not isinstance(allowed, list | tuple) or not 0 < len(allowed) <= MOST_ALLOWED:
        refuse(f"allowed is a list of 1 to {MOST_ALLOWED} values")
    if symbols:
        if not all(isinstance(value, str) and value in symbols for value in allowed):
            refuse("allowed lists symbols of the enum")
        return
    plain = compile_scalar(Field(field.name, field.kind, minimum=field.minimum, maximum=field.maximum))
    if any(plain(value) or (isinstance(value, int) and abs(value) > EXACT) for value in allowed):
        refuse("allowed lists values of the field's own type, within its limits, whole numbers up to 2^53")


def compile_field(field: Field) -> Check:
    """Return a function that tells what is wrong with a value of a field: (rule, words), or None if nothing is."""
    one = compile_scalar(field)
    if field.type == "array":
        return _compile_array(field, one)
    if not field.nullable:
        return lambda value: ("null", "is null") if value is None else one(value)
    return lambda value: None if value is None else one(value)


def compile_scalar(field: Field) -> Check:
    """Return a function that tells what is wrong with a single value, null apart."""
    kind = field.kind
    if kind in INTEGERS or kind in FLOATS:
        return _compile_number(field, kind)
    return _compile_boolean(field) if kind == "boolean" else _compile_text(field)


def _compile_array(field: Field, one: Check) -> Check:
    size = field.size

    def check(value: Any) -> tuple[str, str] | None:
        if value is None:
            return "null", "is null"
        if not isinstance(value, list | tuple):
            return "type", "must be a list"
        if len(value) != size if size is not None else len(value) > LARGEST_SIZE:
            return "size", f"must have {size or f'at most {LARGEST_SIZE}'} values, not {len(value)}"
        for index, item in enumerate(value):
            wrong = ("null", "is null") if item is None else one(item)
            if wrong:
                return wrong[0], f"[{index}] {wrong[1]}"
        return None

    return check


def _compile_boolean(field: Field) -> Check:
    allowed = frozenset(field.allowed)

    def check(value: Any) -> tuple[str, str] | None:
        if not isinstance(value, bool):
            return "type", "must be true or false"
        if allowed and value not in allowed:
            return "allowed", f"must be {'true' if field.allowed[0] else 'false'}"
        return None

    return check


def _compile_text(field: Field) -> Check:
    allowed = frozenset(field.allowed)
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
    infinite = (float("inf"), float("-inf"))

    def check(value: Any) -> tuple[str, str] | None:
        if isinstance(value, bool) or not isinstance(value, int if whole else int | float):
            return "type", f"must be {word}"
        if value != value or value in infinite:
            return "not_finite", "must be finite, not NaN or infinity"
        if not low <= value <= high:
            return "type", f"must fit into Avro's {kind}"
        if minimum is not None and value < minimum:
            return "minimum", f"must be at least {_told(minimum)}"
        if maximum is not None and value > maximum:
            return "maximum", f"must be at most {_told(maximum)}"
        if allowed and value not in allowed:
            return "allowed", "must be one of " + ", ".join(map(str, field.allowed[:10]))
        return None

    return check


def _told(limit: float) -> str:
    return str(limit) if isinstance(limit, int) else f"{limit:.15g}"


def _is_limit(value: Any) -> bool:
    if type(value) is int:
        return abs(value) <= EXACT
    return type(value) is float and abs(value) <= FLOATS["double"]
