"""Read files of records: JSON lines and CSV, golden records and validation sets. Strict, line by line, with limits."""

import codecs
import csv
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
COMMA = re.compile(r"[+-]?[0-9]{1,99}(\.[0-9]{3})*,[0-9]{1,99}")
BYTE_ORDER_MARK = "\ufeff"
NUMBER = re.compile(r"[+-]?([0-9]|[1-9][0-9]{1,99})(\.[0-9]{1,99})?([eE][+-]?[0-9]{1,3})?")


def read_json_lines(stream: IO[bytes], *, limit: int = MOST_RECORDS) -> Iterator[dict[str, Any]]:
    """Yield the objects of a file of JSON lines.

    Raises RecordError `records_malformed` (with the line's number), `records_too_many` or `records_empty`.
    """
    count = 0
    for number, line in enumerate(_lines(stream), start=1):
        if number == 1:
            line = line.removeprefix(codecs.BOM_UTF8)
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
    for number, record in enumerate(_pairs(stream, {"input": dict, "label": int | float | str}, limit), start=1):
        label = record["label"]
        if not isinstance(label, str) and not -LARGEST <= label <= LARGEST:  # JSON can write 1e999
            raise RecordError(
                "records_malformed", f"The label of record {number} is no finite number.", field=f"record {number}"
            )
        yield record


def read_sample(stream: IO[bytes], filename: str, *, limit: int = 100_000) -> list[dict[str, Any]]:
    """Return the records of a sample: CSV with a header line, or Parquet, if the file is named so, else JSON lines.

    In CSV a column whose every value reads as a number becomes numbers, and an empty value null. Raises RecordError
    like `read_json_lines`, and `encoding_mixed`, `delimiter_unknown` or `decimal_comma`.
    """
    if filename.lower().endswith(".parquet"):
        from engine.exchange.arrow import read_parquet_sample  # pyarrow is large, and nothing else here needs it

        return read_parquet_sample(stream, limit=limit)
    if not filename.lower().endswith(".csv"):
        return list(read_json_lines(stream, limit=limit))
    try:
        rows = list(itertools.islice(csv.reader(_texts(stream), strict=True), limit + 2))
    except csv.Error as error:
        raise RecordError("records_malformed", f"The file is not CSV: {error}.") from error
    if len(rows) > limit + 1:
        raise RecordError("records_too_many", f"The file has more than {limit} records.")
    if len(rows) < 2:
        raise RecordError("records_empty", "The file has no header line with records below it.")
    _check_table(rows)
    columns = {name: _typed(name, [row[at] for row in rows[1:]]) for at, name in enumerate(rows[0])}
    return [{name: values[at] for name, values in columns.items()} for at in range(len(rows) - 1)]


def _texts(stream: IO[bytes]) -> Iterator[str]:
    """Yield the lines of a CSV file in UTF-8, with or without a byte order mark at its beginning."""
    for number, line in enumerate(_lines(stream), start=1):
        if number == 1 and line.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
            raise RecordError("encoding_mixed", "The file is in UTF-16; save it in UTF-8.", field="line 1")
        try:
            text = line.decode("utf-8-sig" if number == 1 else "utf-8")
        except UnicodeDecodeError as error:
            words = f"Line {number} is not UTF-8 from byte {error.start + 1} on; save the whole file in UTF-8."
            raise RecordError("encoding_mixed", words, field=f"line {number}") from error
        if BYTE_ORDER_MARK in text:
            words = f"Line {number} holds a byte order mark, as where files were joined; take it out."
            raise RecordError("encoding_mixed", words, field=f"line {number}")
        yield text


def _check_table(rows: list[list[str]]) -> None:
    """Refuse columns without a name of their own, and lines of another length than the header. Raises RecordError."""
    header = rows[0]
    if len(header) == 1 and any(mark in header[0] for mark in ";\t|"):
        raise RecordError("delimiter_unknown", "The columns are not separated by commas; write commas.", field="line 1")
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


def _typed(name: str, values: list[str]) -> list[Any]:
    """Return a column as numbers if every value is one as JSON writes it; 007 and 1_000 stay texts, empty is null."""
    given = [value for value in values if value]
    for form, read in ((WHOLE, int), (NUMBER, float)):
        if given and all(form.fullmatch(value) for value in given):
            found = [read(value) if value else None for value in values]
            if all(value is None or -LARGEST <= value <= LARGEST for value in found):
                return found
    commas = [value for value in given if COMMA.fullmatch(value)]
    if commas and all(NUMBER.fullmatch(value) or COMMA.fullmatch(value) for value in given):
        words = f"{name} writes numbers with a comma, as in {commas[0]}; write points."
        raise RecordError("decimal_comma", words, field=name)
    return [value or None for value in values]
