"""Read files of records: JSON lines and CSV, golden records and validation sets. Strict, line by line, with limits."""

import csv
import io
import itertools
import re
import sys
from collections.abc import Iterator
from typing import IO, Any

from engine import strict_json
from engine.errors import RecordError

MOST_RECORDS = 1_000_000
LONGEST_LINE = 1_000_000
LARGEST = sys.float_info.max
WHOLE = re.compile(r"-?(0|[1-9][0-9]{0,17})")
NUMBER = re.compile(r"[+-]?([0-9]|[1-9][0-9]{1,99})(\.[0-9]{1,99})?([eE][+-]?[0-9]{1,3})?")


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
    """Yield validation records: {"input": {...}, "label": number, text or boolean}.

    Raises RecordError like `read_json_lines`.
    """
    return _pairs(stream, {"input": dict, "label": int | float | str}, limit)


def read_sample(stream: IO[bytes], filename: str, *, limit: int = 100_000) -> list[dict[str, Any]]:
    """Return the records of a sample: CSV with a header line if the file is named so, else JSON lines.

    In CSV a column whose every value reads as a number becomes numbers, and an empty value null.
    """
    if not filename.lower().endswith(".csv"):
        return list(read_json_lines(stream, limit=limit))
    text = io.TextIOWrapper(stream, "utf-8-sig", newline="")
    try:
        rows = list(itertools.islice(csv.reader(text, strict=True), limit + 2))
    except (UnicodeDecodeError, csv.Error) as error:
        raise RecordError("records_malformed", f"The file is not CSV in UTF-8: {error}.") from error
    finally:
        text.detach()  # whoever opened the stream closes it
    if len(rows) > limit + 1:
        raise RecordError("records_too_many", f"The file has more than {limit} records.")
    if len(rows) < 2:
        raise RecordError("records_empty", "The file has no header line with records below it.")
    _check_table(rows)
    columns = {name: _typed([row[at] for row in rows[1:]]) for at, name in enumerate(rows[0])}
    return [{name: values[at] for name, values in columns.items()} for at in range(len(rows) - 1)]


def _check_table(rows: list[list[str]]) -> None:
    """Refuse columns without a name of their own, and lines of another length than the header. Raises RecordError."""
    header = rows[0]
    if len(set(header)) != len(header) or not all(header):
        raise RecordError("records_malformed", "Each column needs a name of its own in the first line.", field="line 1")
    for number, row in enumerate(rows, start=1):
        if len(row) != len(header):
            raise RecordError(
                "records_malformed",
                f"Record {number - 1} has {len(row)} values, the header {len(header)}.",
                field=f"record {number - 1}",
            )


def _pairs(stream: IO[bytes], keys: dict[str, Any], limit: int) -> Iterator[dict[str, Any]]:
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
    """Return a column as numbers if every value is one as JSON writes it; 007 and 1_000 stay texts, empty is null."""
    given = [value for value in values if value]
    for form, read in ((WHOLE, int), (NUMBER, float)):
        if given and all(form.fullmatch(value) for value in given):
            found = [read(value) if value else None for value in values]
            if all(value is None or -LARGEST <= value <= LARGEST for value in found):
                return found
    return [value or None for value in values]
