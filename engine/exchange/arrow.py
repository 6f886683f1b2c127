"""Arrow and Parquet: schemas of columns, and samples out of Parquet files. It needs pyarrow.

What Arrow cannot say (limits, lists of values, patterns, units) stands in the metadata of each column, under a key of
ours, so that it comes back from Arrow files and from Parquet files.
"""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, Any

import pyarrow as pa
import pyarrow.parquet as pq

from engine import strict_json
from engine.errors import RecordError, SchemaError
from engine.fields import Field
from engine.schemas import Schema

KEY = b"mdlc.field"
SCHEMA_KEY = b"mdlc.schema"
TYPES = {
    "boolean": pa.bool_(), "int": pa.int32(), "long": pa.int64(), "float": pa.float32(), "double": pa.float64(),
    "string": pa.string(), "enum": pa.dictionary(pa.int32(), pa.string()),
}  # fmt: skip
SCALARS: dict[pa.DataType, dict[str, Any]] = {
    pa.bool_(): {"type": "boolean"}, pa.int32(): {"type": "int"}, pa.int64(): {"type": "long"},
    pa.float16(): {"type": "float"}, pa.float32(): {"type": "float"}, pa.float64(): {"type": "double"},
    pa.int8(): {"type": "int", "minimum": -128, "maximum": 127},
    pa.int16(): {"type": "int", "minimum": -(2**15), "maximum": 2**15 - 1},
    pa.uint8(): {"type": "int", "minimum": 0, "maximum": 255},
    pa.uint16(): {"type": "int", "minimum": 0, "maximum": 2**16 - 1},
    pa.uint32(): {"type": "long", "minimum": 0, "maximum": 2**32 - 1},
    pa.uint64(): {"type": "long", "minimum": 0},
    pa.string(): {"type": "string"}, pa.large_string(): {"type": "string"}, pa.string_view(): {"type": "string"},
}  # fmt: skip
NOTED = {
    pa.float16(): "float16 became float, which takes more numbers",
    pa.uint64(): "uint64 became long, which ends at 2^63",
}
CONSTRAINTS = ("minimum", "maximum", "allowed", "pattern", "unit", "doc", "size")
LISTS = (
    pa.types.is_list, pa.types.is_large_list, pa.types.is_fixed_size_list, pa.types.is_list_view,
    pa.types.is_large_list_view,
)  # fmt: skip
LARGEST_SAMPLE = 1 << 30  # bytes, unpacked


def from_arrow(schema: pa.Schema, name: str = "record") -> tuple[Schema, list[str]]:
    """Return the schema of Arrow columns, and notes on what is different here.

    Raises SchemaError `timestamp_without_zone` or `schema_unsupported`, with the column.
    """
    notes: list[str] = []
    rows = [_row(one, notes) for one in schema]
    try:
        about = strict_json.loads((schema.metadata or {}).get(SCHEMA_KEY, b"{}"))
        about = {key: about[key] for key in ("name", "namespace", "doc") if isinstance(about.get(key), str)}
    except (ValueError, AttributeError):
        about = {}
    return Schema.parse({"type": "record", "name": name, "fields": rows} | about), notes


def from_parquet(source: str | os.PathLike[str] | IO[bytes], name: str = "record") -> tuple[Schema, list[str]]:
    """Return the schema of a Parquet file. Raises SchemaError like `from_arrow`, or `parquet_unreadable`."""
    try:
        with _file(source) as file:
            schema = file.schema_arrow
    except (pa.ArrowException, OSError) as error:
        words = f"The file cannot be read as Parquet: {str(error)[:200]}; write it again."
        raise SchemaError("parquet_unreadable", words) from error
    return from_arrow(schema, name)


def read_parquet_sample(stream: IO[bytes], *, limit: int) -> list[dict[str, Any]]:
    """Return the records of a Parquet file.

    Raises RecordError `records_malformed`, `records_too_many` or `records_empty`, and SchemaError like `from_arrow`.
    """
    try:
        with _file(stream) as file:
            count = file.metadata.num_rows
            groups = (file.metadata.row_group(at) for at in range(file.metadata.num_row_groups))
            if count > limit or sum(group.total_byte_size for group in groups) > LARGEST_SAMPLE:
                raise RecordError("records_too_many", f"The file has more than {limit} records, or over 1 GiB of them.")
            if not count:
                raise RecordError("records_empty", "The file holds no records.")
            from_arrow(file.schema_arrow)  # for its refusals, before anything is unpacked
            return [record for batch in file.iter_batches() for record in batch.to_pylist()]
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        words = f"The file cannot be read as Parquet: {str(error)[:200]}; write it again."
        raise RecordError("records_malformed", words) from error


@contextmanager
def _file(source: str | os.PathLike[str] | IO[bytes]) -> Iterator[pq.ParquetFile]:
    with pq.ParquetFile(source) as file:
        yield file


def to_arrow(schema: Schema) -> pa.Schema:
    """Return the columns of a schema, with what Arrow cannot say in their metadata."""
    about = {key: value for key, value in schema.to_dict().items() if key in ("name", "namespace", "doc")}
    return pa.schema([_column(one) for one in schema.fields], metadata={SCHEMA_KEY: json.dumps(about)})


def _column(field: Field) -> pa.Field:
    kind = TYPES[field.kind]
    if field.type == "array":
        kind = pa.list_(pa.field("item", kind, nullable=False), -1 if field.size is None else field.size)
    row = field.to_dict()
    said = {key: row[key] for key in CONSTRAINTS if key in row}
    if field.kind == "enum":
        said["symbols"] = list(field.allowed)
    return pa.field(field.name, kind, nullable=field.nullable, metadata={KEY: json.dumps(said)} if said else None)


def _row(column: pa.Field, notes: list[str]) -> dict[str, Any]:
    """Return a column as a field of Avro with constraints."""
    name, kind = column.name, column.type
    said = _said(column, notes)
    symbols = said.pop("symbols", None)
    if any(is_list(kind) for is_list in LISTS):
        row = _scalar(kind.value_type, name, symbols, notes)
        row["type"] = {"type": "array", "items": row["type"]}
        row |= {"size": kind.list_size} if pa.types.is_fixed_size_list(kind) else {}
        if column.nullable or kind.value_field.nullable:
            notes.append(f"{name}: neither a list nor a value in it is null here.")
    else:
        row = _scalar(kind, name, symbols, notes)
        row["type"] = ["null", row["type"]] if column.nullable else row["type"]
    return {"name": name} | row | said


def _scalar(kind: pa.DataType, name: str, symbols: Any, notes: list[str]) -> dict[str, Any]:
    if pa.types.is_dictionary(kind):
        if symbols and kind.value_type in (pa.string(), pa.large_string()):
            return {"type": {"type": "enum", "name": f"{name}_symbols", "symbols": symbols}}
        notes.append(f"{name}: a dictionary does not tell all its values; list those that are allowed.")
        kind = kind.value_type
    elif symbols and kind in (pa.string(), pa.large_string(), pa.string_view()):  # Parquet may lose the dictionary
        return {"type": {"type": "enum", "name": f"{name}_symbols", "symbols": symbols}}
    if pa.types.is_timestamp(kind) and kind.tz is None:
        words = "It holds times without a zone, which nobody can place; give them one, and send them as long or text."
        raise SchemaError("timestamp_without_zone", words, field=name)
    if kind not in SCALARS:
        words = (
            f"Columns of the type {kind} are not supported; cast it to a number, a text, a boolean or a list of one."
        )
        raise SchemaError("schema_unsupported", words, field=name)
    if kind in NOTED:
        notes.append(f"{name}: {NOTED[kind]}.")
    return dict(SCALARS[kind])


def _said(column: pa.Field, notes: list[str]) -> dict[str, Any]:
    """Return what the column's metadata says in our words; foreign or broken metadata is not read."""
    content = (column.metadata or {}).get(KEY)
    if content is None:
        return {}
    try:
        said = strict_json.loads(content)
    except ValueError:
        said = None
    if not isinstance(said, dict) or not said.keys() <= {*CONSTRAINTS, "symbols"}:
        notes.append(f"{column.name}: its metadata under {KEY.decode()} cannot be read, and was left out.")
        return {}
    return said
