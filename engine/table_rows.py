"""Rows of Arrow columns that break rules, and the bytes of those columns as NumPy arrays, without copying."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

RULES = (
    "", "missing", "unknown_field", "null", "type", "not_finite", "minimum", "maximum", "allowed", "pattern", "size",
)  # fmt: skip
BLOCK = 1 << 15  # rows of a column that stay in a processor's cache from one comparison to the next
CODES = {rule: code for code, rule in enumerate(RULES)}


@dataclass(frozen=True, slots=True)
class Broken:
    """Rows of a column, each at most once, and for each the number in RULES of what it breaks."""

    rows: np.ndarray
    codes: np.ndarray

    @classmethod
    def all(cls, rows: np.ndarray, rule: str) -> Broken:
        """Return rows that all break one rule."""
        return cls(rows, np.full(len(rows), CODES[rule], "u1"))

    def __add__(self, other: Broken) -> Broken:
        """Return both; their rows have nothing in common."""
        if not len(other.rows):
            return self
        if not len(self.rows):
            return other
        return Broken(np.concatenate([self.rows, other.rows]), np.concatenate([self.codes, other.codes]))


NONE = Broken(np.empty(0, "i8"), np.empty(0, "u1"))


def without(found: Broken, other: Broken) -> Broken:
    if not len(other.rows):
        return found
    fresh = ~np.isin(found.rows, other.rows)
    return Broken(found.rows[fresh], found.codes[fresh])


def validity(column: pa.Array) -> np.ndarray | None:
    """Return which rows are not null; None if all are."""
    if not column.null_count:
        return None
    return bits(column.buffers()[0], column.offset, len(column))


def bits(buffer: pa.Buffer, offset: int, count: int) -> np.ndarray:
    content = np.frombuffer(buffer, "u1")[offset // 8 : (offset + count + 7) // 8]
    return np.unpackbits(content, bitorder="little")[offset % 8 : offset % 8 + count].view("?")


def numbers(column: pa.Array) -> np.ndarray:
    """Return the numbers of a column without copying; under nulls stands anything."""
    dtype = np.dtype(column.type.to_pandas_dtype())
    return np.frombuffer(column.buffers()[1], dtype)[column.offset : column.offset + len(column)]


def offsets(column: pa.Array) -> np.ndarray:
    dtype = "i8" if pa.types.is_large_string(column.type) else "i4"
    return np.frombuffer(column.buffers()[1], dtype)[column.offset : column.offset + len(column) + 1]


def bools(column: pa.BooleanArray) -> np.ndarray:
    return bits(column.buffers()[1], column.offset, len(column))


def where_not(fine: pa.BooleanArray, valid: np.ndarray | None) -> np.ndarray:
    wrong = ~bools(fine)
    return np.flatnonzero(wrong if valid is None else wrong & valid)
