"""Texts of Arrow columns: too long, not among those allowed, not matching, or no texts at all."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from engine.fields import LONGEST_TEXT, Field, compile_scalar
from engine.linear_patterns import to_linear
from engine.patterns import LONGEST_MATCHED, compile_pattern
from engine.table_rows import CODES, NONE, Broken, bools, numbers, offsets, where_not, without
from engine.table_words import ShortList, ShortPattern


def is_text(kind: pa.DataType) -> bool:
    """Tell whether a column of this type holds texts."""
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind))


class TextFinder:
    """Find texts that are too long, not among those allowed, or do not match."""

    def __init__(self, field: Field) -> None:
        """Compile a field of texts."""
        self._longest = LONGEST_MATCHED if field.pattern else LONGEST_TEXT
        self._pattern = compile_pattern(field.pattern, field.name) if field.pattern else None
        self._linear = to_linear(field.pattern) if field.pattern else None
        self._listed = pa.array(list(field.allowed), pa.string()) if field.allowed else None
        check = compile_scalar(field)
        fine = [value for value in field.allowed if check(value) is None]
        self._fine = pa.array(fine, pa.string())
        self._short_list = ShortList.of(fine)
        self._short = ShortPattern.of(field.pattern) if field.pattern else None
        if self._linear is not None:
            try:
                pc.match_substring_regex(pa.array([""]), self._linear.text)
            except pa.ArrowInvalid:  # more repetitions than RE2 accepts
                self._linear = None

    def __call__(self, column: pa.Array, valid: np.ndarray | None) -> Broken:
        """Return the broken rows."""
        if pa.types.is_string_view(column.type):
            column = column.cast(pa.large_string())
        if self._listed is not None:
            rows = self._not_listed(column, valid)
            return self._sorted_out(column.take(pa.array(rows)), rows) if len(rows) else NONE
        broken, ascii_only = _not_utf8(column, valid)
        long = self._too_long(column)
        if len(long):
            broken = broken + without(Broken.all(long if valid is None else long[valid[long]], "size"), broken)
        if self._pattern is None:
            return broken
        fine = ~np.isin(np.arange(len(column)), broken.rows) if len(broken.rows) else None
        if fine is not None:
            valid = fine if valid is None else valid & fine
        return broken + Broken.all(self._mismatched(column, valid, ascii_only), "pattern")

    def _not_listed(self, column: pa.Array, valid: np.ndarray | None) -> np.ndarray:
        if self._short_list is None:
            return where_not(pc.is_in(column, value_set=self._fine.cast(column.type)), valid)
        judged = self._short_list.judge(column)
        if len(judged.open):
            left = column.take(pa.array(judged.open))
            judged.fine[judged.open] = bools(pc.is_in(left, value_set=self._fine.cast(column.type)))
        return np.flatnonzero(~judged.fine if valid is None else ~judged.fine & valid)

    def _sorted_out(self, refused: pa.Array, rows: np.ndarray) -> Broken:
        """Tell apart why texts are not among those allowed."""
        codes = np.full(len(rows), CODES["allowed"], "u1")
        assert self._listed is not None
        if len(self._fine) != len(self._listed):
            codes[bools(pc.is_in(refused, value_set=self._listed.cast(refused.type)))] = CODES["pattern"]
        unreadable, _ = _not_utf8(refused, None)
        codes[self._too_long(refused)] = CODES["size"]
        codes[unreadable.rows] = unreadable.codes
        return Broken(rows, codes)

    def _too_long(self, column: pa.Array) -> np.ndarray:
        """Return the rows with more characters than fit; bytes are at least as many as characters."""
        places = offsets(column)
        long = np.flatnonzero(places[1:] - places[:-1] > self._longest)
        if not len(long):
            return long
        lengths = pc.utf8_length(column.take(pa.array(long))).fill_null(0)
        return long[lengths.to_numpy(zero_copy_only=False) > self._longest]

    def _mismatched(self, column: pa.Array, valid: np.ndarray | None, ascii_only: bool) -> np.ndarray:
        assert self._pattern is not None
        if valid is not None and not valid.all():
            rows = np.flatnonzero(valid)
            return rows[self._mismatched(column.take(pa.array(rows)), None, ascii_only)]
        if self._short is not None and ascii_only:
            judged = self._short.judge(column)
            judged.fine[judged.open] = True
            rows = np.flatnonzero(~judged.fine)
            if not len(judged.open):
                return rows
            left = judged.open[self._matched_one_by_one(column.take(pa.array(judged.open)), ascii_only)]
            return np.concatenate([rows, left])
        return self._matched_one_by_one(column, ascii_only)

    def _matched_one_by_one(self, column: pa.Array, ascii_only: bool) -> np.ndarray:
        assert self._pattern is not None
        if self._linear is not None and (ascii_only or not self._linear.ascii_only):
            return where_not(pc.match_substring_regex(column, self._linear.text), None)
        coded = column.dictionary_encode()
        matches = [self._pattern.fullmatch(text) is not None for text in coded.dictionary.to_pylist()]
        return np.flatnonzero(~np.array(matches, "?")[numbers(coded.indices)])


def _not_utf8(column: pa.Array, valid: np.ndarray | None) -> tuple[Broken, bool]:
    """Return the rows whose bytes are no text (Parquet files may hold such), and whether all is ASCII."""
    places = offsets(column)
    data = column.buffers()[2]
    content = np.frombuffer(data, "u1")[places[0] : places[-1]] if data is not None else NONE.codes
    if not len(content) or content.max() < 128:
        return NONE, True
    try:
        column.validate(full=True)
    except pa.ArrowInvalid:
        rows = [
            row
            for row, value in enumerate(column.cast(pa.large_binary() if places.itemsize == 8 else pa.binary()))
            if value.is_valid and not _decodes(value.as_py())
        ]
        return Broken.all(np.array(rows, "i8"), "type"), False
    return NONE, False


def _decodes(content: bytes) -> bool:
    try:
        content.decode()
    except UnicodeDecodeError:
        return False
    return True
