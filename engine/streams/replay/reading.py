"""Read all that a source holds at this moment, and change nothing there: no group is joined, nothing acknowledged."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Generator
from typing import Any, cast

import numpy as np

from engine.errors import RecordError
from engine.schemas import Schema
from engine.streams import opening
from engine.streams.addresses import Reach
from engine.streams.descriptors import Batching, Stream
from engine.streams.files import FileSource
from engine.streams.replay.sides import Gathering, Side
from engine.streams.rows import Reject
from engine.streams.transports import Batch

PAGE = 20_000
MOST_RECORDS = 5_000_000


def read_side(stream: Stream, schema: Schema, *, reach: Reach, most: int = MOST_RECORDS) -> Side:
    """Return what a source holds, with a column for each field of a model's schema.

    Raises StreamError as sources do, and RecordError `records_too_many`.
    """
    stream = dataclasses.replace(stream, batch=Batching(PAGE, 1.0), loop=False)
    gathering = Gathering(schema)
    if stream.transport == "file" and stream.encoding == "csv":
        _read_cells(stream, stream.schema or schema, reach, gathering, most)
        return gathering.side()
    start = 0
    with contextlib.closing(_batches(stream, schema, reach)) as batches:
        for batch in batches:
            places = start + _places(batch)
            start += len(batch)
            _limit(start, most)
            gathering.reject(batch.rejects)
            if batch.table is not None:
                gathering.add_table(batch.table, places)
            else:
                gathering.add_records(batch.records or [], places)
    return gathering.side()


def _batches(stream: Stream, schema: Schema, reach: Reach) -> Generator[Batch]:
    if stream.transport in opening.HELD:
        yield from opening.held(stream, schema, reach=reach)
        return
    with contextlib.closing(opening.open_source(stream, schema, reach=reach)) as source:
        while (batch := source.read()) is not None:
            yield batch


def _places(batch: Batch) -> np.ndarray:
    """Return where the readable records of a batch lie among all of it, by the numbers at the end of their keys."""
    if not batch.rejects:
        return np.arange(len(batch.keys))
    keys = [*batch.keys, *(one.key for one in batch.rejects)]
    order = sorted(range(len(keys)), key=lambda at: _number(keys[at]))
    places = np.empty(len(keys), "i8")
    places[order] = np.arange(len(keys))
    return places[: len(batch.keys)]


def _number(key: str) -> tuple[int, ...]:
    return tuple(int(part) for part in key.rpartition("/")[2].split("-"))


def _read_cells(stream: Stream, schema: Schema, reach: Reach, gathering: Gathering, most: int) -> None:
    """Read CSV files cell by cell, so that one that cannot be read is compared too."""
    source = cast(FileSource, opening.open_source(stream, schema, reach=reach))
    begins, good, odd, file = 0, 0, 0, 0
    for block, lines, number in source.cells():
        if number != file:
            begins, good, odd, file = begins + good + odd, 0, 0, number
        gathering.reject([_misshapen(line) for line in lines[odd:]])
        odd = len(lines)
        places = np.arange(good, good + len(block))
        before = np.array([line.number - 2 for line in lines], "i8") - np.arange(odd)  # good rows above each odd line
        gathering.add_cells(block, schema, begins + places + np.searchsorted(before, places, side="right"))
        good += len(block)
        _limit(begins + good + odd, most)


def _misshapen(line: Any) -> Reject:
    words = f"Line {line.number} has {line.actual_columns} values, the header {line.expected_columns}."
    return Reject(f"line-{line.number}", "encoding", "row_misshapen", "", words, line.text[:2000])


def _limit(count: int, most: int) -> None:
    if count > most:
        raise RecordError("records_too_many", f"The source holds more than {most} records; replay fewer.")
