"""Values of a field, as they were decoded, become an Arrow array; none becomes what it is not."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pyarrow as pa

from engine.fields import FLOATS, Field

# As wide as what may come: whether a number fits into Avro's int or float is for the check to say.
KINDS = {
    "boolean": pa.bool_(), "int": pa.int64(), "long": pa.int64(), "float": pa.float64(), "double": pa.float64(),
    "string": pa.string(), "enum": pa.string(),
}  # fmt: skip
TYPES: dict[str, frozenset[type]] = {
    "boolean": frozenset({bool}), "int": frozenset({int}), "long": frozenset({int}),
    "float": frozenset({int, float}), "double": frozenset({int, float}),
    "string": frozenset({str}), "enum": frozenset({str}),
}  # fmt: skip


def to_column(values: list[Any], field: Field) -> tuple[pa.Array, dict[int, Any]]:
    """Return values of a field as an array, and by row those that are not of its type."""
    is_odd = _odd_list(field) if field.items else _odd_value(field)
    kinds = set(map(type, values))
    odd = {}
    if field.items or not kinds <= TYPES[field.kind] | {type(None)}:
        odd = {row: value for row, value in enumerate(values) if is_odd(value)}
        if odd:
            values = [None if row in odd else value for row, value in enumerate(values)]
    try:
        return pa.array(values, kind_of(field)), odd
    except (pa.ArrowException, OverflowError, UnicodeEncodeError):  # too large, or no text that can be written
        return _singly(values, field, odd)


def _singly(values: list[Any], field: Field, odd: dict[int, Any]) -> tuple[pa.Array, dict[int, Any]]:
    kind, kept = kind_of(field), []
    for row, value in enumerate(values):
        try:  # a whole number beyond 2^53 is a double too, if not exactly
            plain = float(value) if field.type in FLOATS and value is not None else value
            pa.scalar(plain, kind)
        except (pa.ArrowException, OverflowError, UnicodeEncodeError):
            odd[row], plain = value, None
        kept.append(plain)
    return pa.array(kept, kind), odd


def _odd_value(field: Field) -> Callable[[Any], bool]:
    fitting = TYPES[field.kind] | {type(None)}
    return lambda value: type(value) not in fitting


def _odd_list(field: Field) -> Callable[[Any], bool]:
    fitting = TYPES[field.kind]

    def is_odd(value: Any) -> bool:
        return value is not None and (type(value) is not list or not fitting.issuperset(map(type, value)))

    return is_odd


def kind_of(field: Field) -> pa.DataType:
    """Return the type of a field's array."""
    return pa.list_(KINDS[field.kind]) if field.items else KINDS[field.kind]
