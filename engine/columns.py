"""A schema compiled to work on whole columns: quick acceptance, NumPy columns from records and back, V2 tensors."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from engine.errors import RecordError
from engine.inference import Tensor
from engine.schemas import Field, Schema

FLOAT_LIMITS = {"float": float(np.finfo("f4").max), "double": float(np.finfo("f8").max)}
INT_LIMITS = {"int": (-(2**31), 2**31 - 1), "long": (-(2**53), 2**53)}
MANY = 200
DTYPES = {"boolean": "?", "int": "i4", "long": "i8", "float": "f4", "double": "f8", "string": "O", "enum": "O"}
DATATYPES = {
    "boolean": "BOOL", "int": "INT32", "long": "INT64", "float": "FP32", "double": "FP64",
    "string": "BYTES", "enum": "BYTES",
}  # fmt: skip


class Columns:
    """A schema's fields as columns.

    `packable` says that every field is a plain number, so that records fit into one matrix of doubles. What is accepted
    here is always accepted by `Schema.check` too; the other way round need not hold.
    """

    def __init__(self, schema: Schema) -> None:
        """Compile a schema."""
        self.schema = schema
        self.names = [one.name for one in schema.fields]
        self.places = {name: at for at, name in enumerate(self.names)}
        self._fields = {one.name: one for one in schema.fields}
        self._acceptors = [(one.name, _acceptor(one)) for one in schema.fields]
        self.packable = all(_is_plain_number(one) for one in schema.fields)
        if self.packable:
            limits = [_limits(one) for one in schema.fields]
            self._lows, self._highs = (np.array(side) for side in zip(*limits, strict=True))
            self._whole = np.array([at for at, one in enumerate(schema.fields) if one.type in INT_LIMITS], "i8")
            self._ranges = list(limits)
            self._plain = not self._whole.size and not any(one.allowed for one in schema.fields)
            self._allowed = [(at, np.array(one.allowed, "f8")) for at, one in enumerate(schema.fields) if one.allowed]

    def is_array(self, name: str) -> bool:
        """Say whether a field holds a list of values."""
        return name in self._fields and self._fields[name].type == "array"

    def takes(self, tensor: Tensor) -> bool:
        """Say whether a tensor's datatype may feed its field without conversion: no fractions into whole numbers."""
        return tensor.datatype[0] != "F" or self._fields[tensor.name].type not in INT_LIMITS

    def accept_matrix(self, matrix: np.ndarray) -> bool:
        """Say whether every record of a matrix is surely within the schema; NaN and infinity never are."""
        if not ((matrix >= self._lows) & (matrix <= self._highs)).all():
            return False
        if self._whole.size:
            whole = matrix[:, self._whole]
            if not (whole == np.floor(whole)).all():
                return False
        return all(np.isin(matrix[:, at], allowed).all() for at, allowed in self._allowed)

    def accept_row(self, values: list[Any]) -> bool:
        """Say whether a single record of plain values is surely within the schema; quicker than NumPy for so few.

        Whoever calls has made sure that no boolean is among the values.
        """
        if not self._plain or len(values) > MANY:
            return False
        try:
            for (low, high), value in zip(self._ranges, values, strict=True):
                if not low <= value <= high:
                    return False
        except TypeError:
            return False
        return True

    def accept(self, columns: dict[str, np.ndarray], lists: dict[str, list[Any]], count: int) -> bool:
        """Say whether columns of `count` records are surely within the schema; `lists` may hold them flat, too."""
        if columns.keys() != self.places.keys():
            return False
        return all(accept(columns[name], lists.get(name), count) for name, accept in self._acceptors)

    def unpacked(self, values: list[Any], count: int) -> list[dict[str, Any]]:
        """Return the rows of a flat list as records; whole doubles become integers where the schema wants those."""
        whole = {name for name, one in self._fields.items() if one.type in INT_LIMITS}
        width = len(self.names)
        rows = (values[at * width : (at + 1) * width] for at in range(count))
        return [
            {
                n: int(v) if n in whole and type(v) is float and v.is_integer() else v
                for n, v in zip(self.names, row, strict=True)
            }
            for row in rows
        ]

    def from_records(self, records: list[dict[str, Any]]) -> dict[str, np.ndarray]:
        """Return N records that meet the schema as columns. Raises RecordError `shape` for lists of odd lengths."""
        return self.from_lists({name: [record.get(name) for record in records] for name in self._fields})

    def from_lists(self, lists: dict[str, list[Any]]) -> dict[str, np.ndarray]:
        """Return N values of each field that meet the schema as columns. Raises RecordError `shape`, as above."""
        return {name: _column(one, lists[name]) for name, one in self._fields.items()}

    def to_records(self, columns: dict[str, np.ndarray], count: int) -> list[dict[str, Any]]:
        """Return columns as records of plain values; a column of another length is left out, so that it is missed."""
        listed = {name: column.tolist() for name, column in columns.items() if len(column) == count}
        return [{name: values[at] for name, values in listed.items()} for at in range(count)]

    def tensors(self) -> list[dict[str, Any]]:
        """Return the fields as V2 metadata."""
        return [
            {
                "name": one.name,
                "datatype": DATATYPES[one.kind],
                "shape": [-1, one.size or -1] if one.type == "array" else [-1],
            }
            for one in self.schema.fields
        ]


def _is_plain_number(one: Field) -> bool:
    return (one.type in FLOAT_LIMITS or one.type in INT_LIMITS) and not one.nullable


def _limits(one: Field) -> tuple[float, float]:
    """Return the smallest and the largest value surely allowed."""
    kind = one.kind
    low, high = INT_LIMITS[kind] if kind in INT_LIMITS else (-FLOAT_LIMITS[kind], FLOAT_LIMITS[kind])
    return (
        float(low if one.minimum is None else max(low, one.minimum)),
        float(high if one.maximum is None else min(high, one.maximum)),
    )


def _acceptor(one: Field) -> Callable[[np.ndarray, list[Any] | None, int], bool]:
    """Return a function that says whether a column of so many records is surely within its field."""
    kind, is_array, size = one.kind, one.type == "array", one.size
    allowed = set(one.allowed) if one.allowed else None
    if kind in ("string", "enum", "boolean"):
        dtypes = "b" if kind == "boolean" else "OUT"
        known = {True, False} if kind == "boolean" and allowed is None else allowed or set()

        def accept_words(column: np.ndarray, values: list[Any] | None, count: int) -> bool:
            fits = column.shape == ((count, size) if is_array else (count,)) and column.dtype.kind in dtypes
            if not fits or one.pattern:
                return False
            try:
                return known.issuperset(column.ravel().tolist() if values is None else values)
            except TypeError:  # a list or the like among the words
                return False

        return accept_words
    low, high = _limits(one)
    dtypes = "iu" if kind in INT_LIMITS else "f"

    def accept_numbers(column: np.ndarray, values: list[Any] | None, count: int) -> bool:
        if column.shape != ((count, size) if is_array else (count,)) or column.dtype.kind not in dtypes:
            return False
        if values is not None:
            for value in values:
                if not low <= value <= high:
                    return False
            return allowed is None or allowed.issuperset(values)
        # as Python's doubles: NumPy would round the limits to a 32-bit column's type, and infinity would be within
        return (low <= float(column.min()) and float(column.max()) <= high) and (
            allowed is None or bool(np.isin(column, one.allowed).all())
        )

    return accept_numbers


def _column(one: Field, values: list[Any]) -> np.ndarray:
    """Return values as an array; with nulls among them as objects. Raises RecordError `shape`."""
    if one.type == "array" and one.size is None and len(set(map(len, values))) > 1:
        raise RecordError("shape", f"The lists of {one.name} differ in length; send them apart.", field=one.name)
    return np.array(values, dtype="O" if one.nullable else DTYPES[one.kind])
