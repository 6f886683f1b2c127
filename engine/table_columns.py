"""Fields of a schema compiled to check whole Arrow columns: which rows break which rule.

Each verdict is that of the field's own check (engine/fields.py) of the value that `to_pylist` gives. What Arrow has and
this module does not know as columns, it checks value by value.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from engine.fields import FLOATS, INTEGERS, LARGEST_SIZE, Field, compile_field
from engine.table_rows import BLOCK, CODES, NONE, Broken, bits, numbers, validity, without
from engine.table_texts import TextFinder, is_text

FEW_ALLOWED = 8
LISTS = (
    pa.types.is_list, pa.types.is_large_list, pa.types.is_fixed_size_list, pa.types.is_list_view,
    pa.types.is_large_list_view,
)  # fmt: skip
KNOWN = (
    *LISTS, is_text, pa.types.is_primitive, pa.types.is_decimal, pa.types.is_binary, pa.types.is_large_binary,
    pa.types.is_fixed_size_binary, pa.types.is_struct, pa.types.is_null,
)  # fmt: skip
Finder = Callable[[pa.Array, np.ndarray | None], Broken]


class ColumnCheck:
    """One field, compiled for columns. `told` is its check of single values."""

    def __init__(self, field: Field) -> None:
        """Compile a field that belongs to a schema."""
        self.field = field
        self.told = compile_field(field)
        self._finders: dict[pa.DataType, Finder] = {}
        self._items = ColumnCheck(replace(field, type=field.items, items="", size=None)) if field.items else None

    def broken(self, column: pa.Array) -> Broken:
        """Return the rows that break a rule."""
        if not len(column):
            return NONE
        if pa.types.is_dictionary(column.type):
            return self._by_entry(column)
        if not _is_known(column.type):
            return self._one_by_one(column)
        if pa.types.is_null(column.type):
            return NONE if self.field.nullable else Broken.all(np.arange(len(column)), "null")
        finder = self._finders.get(column.type)
        if finder is None:
            finder = self._finders[column.type] = self._finder(column.type)
        valid = validity(column)
        found = finder(column, valid)
        if valid is None or self.field.nullable:
            return found
        return found + Broken.all(np.flatnonzero(~valid), "null")

    def _one_by_one(self, column: pa.Array) -> Broken:
        rows, codes = [], []
        for row, value in enumerate(column.to_pylist()):
            wrong = self.told(value)
            if wrong is not None:
                rows.append(row)
                codes.append(CODES[wrong[0]])
        return Broken(np.array(rows, "i8"), np.array(codes, "u1"))

    def _by_entry(self, column: pa.DictionaryArray) -> Broken:
        """Check the entries of a dictionary once; a row is what its entry is."""
        entries = self.broken(column.dictionary)
        valid = validity(column)
        found = NONE
        if len(entries.rows):
            codes = np.zeros(len(column.dictionary), "u1")
            codes[entries.rows] = entries.codes
            indices = numbers(column.indices)
            by_row = codes[indices] if valid is None else codes[np.where(valid, indices, 0)] * valid
            rows = np.flatnonzero(by_row)
            found = Broken(rows, by_row[rows])
        if valid is None or self.field.nullable:
            return found
        return found + Broken.all(np.flatnonzero(~valid), "null")

    def _finder(self, kind: pa.DataType) -> Finder:
        """Return what finds broken rows among those that are not null, for a type of Arrow."""
        field, types = self.field, pa.types
        if self._items is not None:
            return _ListFinder(field, self._items) if any(is_list(kind) for is_list in LISTS) else _refuse_type
        if field.kind == "boolean" and types.is_boolean(kind):
            return _booleans(field)
        if field.kind in ("string", "enum") and is_text(kind):
            return TextFinder(field)
        number = types.is_integer(kind) or (types.is_floating(kind) and field.kind in FLOATS)
        return NumberFinder(field, np.dtype(kind.to_pandas_dtype())) if field.numeric and number else _refuse_type


def _is_known(kind: pa.DataType) -> bool:
    """Tell whether a type's values are of one plain kind in Python; pairs, for instance, would pass for lists."""
    return any(knows(kind) for knows in KNOWN) and not pa.types.is_interval(kind)


def _refuse_type(column: pa.Array, valid: np.ndarray | None) -> Broken:
    return Broken.all(np.arange(len(column)) if valid is None else np.flatnonzero(valid), "type")


def _booleans(field: Field) -> Finder:
    if len(set(field.allowed)) != 1:
        return lambda column, valid: NONE
    wanted = field.allowed[0]

    def find(column: pa.Array, valid: np.ndarray | None) -> Broken:
        wrong = bits(column.buffers()[1], column.offset, len(column)) != wanted
        return Broken.all(np.flatnonzero(wrong if valid is None else wrong & valid), "allowed")

    return find


class NumberFinder:
    """Find numbers of one NumPy type outside a field's limits, block by block."""

    def __init__(self, field: Field, dtype: np.dtype) -> None:
        """Turn the limits into ones of the column's own type, so that nothing is rounded while comparing."""
        whole = field.kind in INTEGERS
        least, most = INTEGERS[field.kind] if whole else (-FLOATS[field.kind], FLOATS[field.kind])
        self._type_limits = _limits(least, most, dtype)
        self._minimum, self._maximum = _limits(field.minimum, field.maximum, dtype)
        self._low = max(self._type_limits[0], self._minimum)
        self._high = min(self._type_limits[1], self._maximum)
        self._dtype = dtype
        self._allowed = _representable(field.allowed, dtype) if field.allowed else None

    def __call__(self, column: pa.Array, valid: np.ndarray | None) -> Broken:
        """Return the broken rows."""
        values = numbers(column)
        found = []
        clean = self._allowed is None  # as long as no block held a broken value, looking at its extremes is quicker
        for start in range(0, len(values), BLOCK):
            block = values[start : start + BLOCK]
            if clean and self._low <= block.min() and block.max() <= self._high:
                continue
            clean = False
            wrong = self._wrong(block)
            if valid is not None:
                wrong &= valid[start : start + BLOCK]
            rows = wrong.nonzero()[0]
            if len(rows):
                found.append(rows + start)
        rows = np.concatenate(found) if found else NONE.rows
        return Broken(rows, self._codes(values[rows])) if len(rows) else NONE

    def _wrong(self, block: np.ndarray) -> np.ndarray:
        fine: np.ndarray = block >= self._low
        fine &= block <= self._high
        if self._allowed is not None:
            fine &= _among(block, self._allowed)
        return np.logical_not(fine, out=fine)

    def _codes(self, values: np.ndarray) -> np.ndarray:
        """Return for each broken value the first rule that it breaks, in the order of the field's check."""
        least, most = self._type_limits
        codes = np.full(len(values), CODES["allowed"], "u1")
        codes[values > self._maximum] = CODES["maximum"]
        codes[values < self._minimum] = CODES["minimum"]
        codes[~((values >= least) & (values <= most))] = CODES["type"]
        if self._dtype.kind == "f":
            codes[~np.isfinite(values)] = CODES["not_finite"]
        return codes


def _limits(low: float | None, high: float | None, dtype: np.dtype) -> tuple[Any, Any]:
    """Return the smallest and the largest number of a type within limits; if there is none, the first is the larger."""
    if dtype.kind in "iu":
        info = np.iinfo(dtype)
        lowest, highest = int(info.min), int(info.max)
        lowest = lowest if low is None else max(lowest, math.ceil(low))
        highest = highest if high is None else min(highest, math.floor(high))
        return lowest, highest
    most = float(np.finfo(dtype).max)
    return (
        -most if low is None or low <= -most else math.inf if low > most else _inwards(low, dtype, math.inf),
        most if high is None or high >= most else -math.inf if high < -most else _inwards(high, dtype, -math.inf),
    )


def _inwards(limit: float, dtype: np.dtype, towards: float) -> float:
    """Return a limit as a number of the type, if it is none then the next one inside."""
    near = dtype.type(limit)
    outside = float(near) < limit if towards > 0 else float(near) > limit
    return float(np.nextafter(near, dtype.type(towards))) if outside else float(near)


def _representable(allowed: tuple[Any, ...], dtype: np.dtype) -> np.ndarray:
    """Return those of the allowed numbers that a column of the type can hold exactly."""
    low, high = _limits(None, None, dtype)
    inside = [value for value in allowed if low <= value <= high]
    return np.array(sorted({dtype.type(value) for value in inside if dtype.type(value).item() == value}), dtype)


def _among(block: np.ndarray, allowed: np.ndarray) -> np.ndarray:
    if len(allowed) > FEW_ALLOWED:
        return np.isin(block, allowed)
    fine = np.zeros(len(block), "?")
    for value in allowed:
        fine |= block == value
    return fine


class _ListFinder:
    """Find lists of another size, or with a broken value; the first one counts."""

    def __init__(self, field: Field, items: ColumnCheck) -> None:
        self._size = field.size
        self._items = items

    def __call__(self, column: pa.Array, valid: np.ndarray | None) -> Broken:
        lengths = pc.list_value_length(column).fill_null(0).to_numpy(zero_copy_only=False)
        wrong = lengths != self._size if self._size is not None else lengths > LARGEST_SIZE
        if valid is not None:
            wrong = wrong & valid
        sizes = Broken.all(np.flatnonzero(wrong), "size")
        inside = self._items.broken(pc.list_flatten(column))
        if not len(inside.rows):
            return sizes
        order = np.argsort(inside.rows, kind="stable")
        rows = np.searchsorted(np.cumsum(lengths), inside.rows[order], side="right")
        rows, first = np.unique(rows, return_index=True)
        return sizes + without(Broken(rows, inside.codes[order][first]), sizes)
