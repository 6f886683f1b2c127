"""Find for each record of one side the same record of the other: by key fields, or by its place in the source."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from engine.errors import StreamError
from engine.schemas import Schema
from engine.streams.replay.sides import Side


@dataclass(frozen=True, slots=True)
class Alignment:
    """Rows that belong together, rows without a partner, and how often a key came again on each side.

    A key that comes again belongs to its first row; a row whose key is null or unreadable has no partner.
    """

    creation: np.ndarray
    production: np.ndarray
    only_creation: np.ndarray
    only_production: np.ndarray
    twins: tuple[int, int] = (0, 0)


def align(creation: Side, production: Side, schema: Schema, keys: Sequence[str]) -> Alignment:
    """Return which rows belong together. Raises StreamError `replay_key`."""
    if not keys:
        if np.array_equal(creation.places, production.places):
            rows = np.arange(len(creation))
            return Alignment(rows, rows, rows[:0], rows[:0])
        _, here, there = np.intersect1d(creation.places, production.places, assume_unique=True, return_indices=True)
        return Alignment(here, there, _others(here, len(creation)), _others(there, len(production)))
    fields = {one.name: one for one in schema.fields}
    for key in keys:
        if key not in fields or fields[key].items:
            words = f"{key} cannot tell records apart: it is no field of the schema, or a list."
            raise StreamError("replay_key", words, field=key)
    codes, count = _codes(creation, production, keys)
    here, there = codes[: len(creation)], codes[len(creation) :]
    first_here, first_there = _first(here, count), _first(there, count)
    both = np.flatnonzero((first_here >= 0) & (first_there >= 0))
    left = first_here[both]
    order = np.argsort(left)
    left, right = left[order], first_there[both][order]
    twins = (_twins(here, first_here), _twins(there, first_there))
    return Alignment(left, right, _lonely(here, first_here, left), _lonely(there, first_there, right), twins)


def _codes(creation: Side, production: Side, keys: Sequence[str]) -> tuple[np.ndarray, int]:
    """Return a number for each row of both sides, equal where all keys are equal and -1 without a key; and how many."""
    codes, count = np.zeros(len(creation) + len(production), "i8"), 1
    absent = np.zeros(len(codes), "?")
    for key in keys:
        arrays = [creation.columns[key].values, production.columns[key].values]
        encoded = pc.dictionary_encode(pa.chunked_array(arrays)).combine_chunks()
        absent |= encoded.indices.is_null().to_numpy(zero_copy_only=False)
        codes = codes * len(encoded.dictionary) + encoded.indices.fill_null(0).to_numpy()
        count *= len(encoded.dictionary)
        if len(keys) > 1:
            found, codes = np.unique(codes, return_inverse=True)
            count = len(found)
    return np.where(absent, -1, codes), count


def _first(codes: np.ndarray, count: int) -> np.ndarray:
    """Return for each code the first row that has it, or -1."""
    first = np.full(count, -1, "i8")
    rows = np.flatnonzero(codes >= 0)[::-1]
    first[codes[rows]] = rows  # of equal codes the last one written stays
    return first


def _twins(codes: np.ndarray, first: np.ndarray) -> int:
    return int(np.count_nonzero(codes >= 0) - np.count_nonzero(first >= 0))


def _lonely(codes: np.ndarray, first: np.ndarray, paired: np.ndarray) -> np.ndarray:
    """Return the rows without a partner; that a key came again is told apart."""
    alone = codes < 0
    alone[first[first >= 0]] = True
    alone[paired] = False
    return np.flatnonzero(alone)


def _others(rows: np.ndarray, count: int) -> np.ndarray:
    others = np.ones(count, "?")
    others[rows] = False
    return np.flatnonzero(others)
