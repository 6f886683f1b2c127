"""Read files of records: JSON lines and CSV, golden records and validation sets. Strict, line by line, with limits."""

import csv
import io
import math
from collections.abc import Iterator
from typing import IO, Any

from engine import strict_json
from engine.errors import RecordError

MOST_RECORDS = 1_000_000
LONGEST_LINE = 1_000_000


def read_json_lines(stream: IO[bytes], *, limit: int = MOST_RECORDS) -> Iterator[dict[str, Any]]:
    """Yield the objects of a file of JSON lines.

    Raises RecordError `records_malformed` (with the line's number), `records_too_many` or `records_empty`.
    """
    count = 0
    for number, line in enumerate(_lines(stream), start=1):
        if not line.strip():
            continue
        count += 1
        if count > limit:
            raise RecordError("records_too_many", f"The file has more than {limit} records.")
        try:
            value = strict_json.loads(line)
        except ValueError as error:
            raise RecordError(
                "records_malformed", f"Line {number} is not JSON: {error}.", field=f"line {number}"
            ) from error
        if not isinstance(value, dict):
            raise RecordError("records_malformed", f"Line {number} is not an object.", field=f"line {number}")
        yield value
    if not count:
        raise RecordError("records_empty", "The file holds no records.")


def read_golden(stream: IO[bytes], *, limit: int = 100_000) -> Iterator[dict[str, Any]]:
    """Yield golden records: {"input": {...}, "output": {...}}. Raises RecordError like `read_json_lines`."""
    return _pairs(stream, {"input": dict, "output": dict}, limit)


def read_validation(stream: IO[bytes], *, limit: int = MOST_RECORDS) -> Iterator[dict[str, Any]]:
    """Yield validation records: {"input": {...}, "label": value}. Raises RecordError like `read_json_lines`."""
    return _pairs(stream, {"input": dict, "label": object}, limit)


def read_sample(stream: IO[bytes], filename: str, *, limit: int = 100_000) -> list[dict[str, Any]]:
    """Return the records of a sample: CSV with a header line if the file is named so, else JSON lines.

    In CSV a column whose every value reads as a number becomes numbers, and an empty value null.
    """
    if not filename.lower().endswith(".csv"):
        return list(read_json_lines(stream, limit=limit))
    try:
        rows = list(csv.reader(io.TextIOWrapper(stream, "utf-8-sig", newline="")))
    except (UnicodeDecodeError, csv.Error) as error:
        raise RecordError("records_malformed", f"The file is not CSV in UTF-8: {error}.") from error
    if len(rows) < 2 or len(set(rows[0])) != len(rows[0]) or any(len(row) != len(rows[0]) for row in rows):
        raise RecordError("records_malformed", "A CSV sample has a header, records, and as many values in each line.")
    if len(rows) > limit:
        raise RecordError("records_too_many", f"The file has more than {limit} records.")
    columns = {name: _typed([row[at] for row in rows[1:]]) for at, name in enumerate(rows[0])}
    return [{name: values[at] for name, values in columns.items()} for at in range(len(rows) - 1)]


def _pairs(stream: IO[bytes], keys: dict[str, type], limit: int) -> Iterator[dict[str, Any]]:
    for number, record in enumerate(read_json_lines(stream, limit=limit), start=1):
        if record.keys() != keys.keys() or not all(isinstance(record[key], kind) for key, kind in keys.items()):
            raise RecordError(
                "records_malformed",
                f"Record {number} must have exactly " + " and ".join(keys) + ".",
                field=f"record {number}",
            )
        yield record


def _lines(stream: IO[bytes]) -> Iterator[bytes]:
    while line := stream.readline(LONGEST_LINE + 1):
        if len(line) > LONGEST_LINE:
            raise RecordError("records_malformed", f"A line is longer than {LONGEST_LINE} bytes.")
        yield line


def _typed(values: list[str]) -> list[Any]:
    for read in (int, float):
        try:
            found = [read(value) if value != "" else None for value in values]
        except ValueError:
            continue
        if all(value is None or math.isfinite(value) for value in found):
            return found
    return [value if value != "" else None for value in values]
