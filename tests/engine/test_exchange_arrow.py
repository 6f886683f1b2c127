"""Arrow and Parquet: columns become fields and come back, and a file that was written is read as what it was."""

import io
import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings

from engine.errors import RecordError, SchemaError
from engine.exchange.arrow import KEY, SCHEMA_KEY, from_arrow, from_parquet, read_parquet_sample, to_arrow
from engine.fields import Field
from engine.schemas import Schema
from engine.tables import compile_table
from tests.engine import drawn


def column(kind: pa.DataType, said: Any = None, *, nullable: bool = False) -> pa.Schema:
    """Return a schema of one column, with metadata of ours."""
    metadata = None if said is None else {KEY: said if isinstance(said, bytes) else json.dumps(said)}
    return pa.schema([pa.field("a", kind, nullable=nullable, metadata=metadata)])


@pytest.mark.parametrize(
    ("schema", "expected"),
    [
        (column(pa.bool_()), Field("a", "boolean")),
        (column(pa.int32()), Field("a", "int")),
        (column(pa.int64(), nullable=True), Field("a", "long", nullable=True)),
        (column(pa.int16()), Field("a", "int", minimum=-32768, maximum=32767)),
        (column(pa.uint32()), Field("a", "long", minimum=0, maximum=2**32 - 1)),
        (column(pa.float32(), {"minimum": 0.5}), Field("a", "float", minimum=0.5)),
        (column(pa.float64(), {"unit": "m", "doc": "words"}), Field("a", "double", unit="m", doc="words")),
        (column(pa.large_string(), {"pattern": "a+"}), Field("a", "string", pattern="a+")),
        (
            column(pa.dictionary(pa.int8(), pa.string()), {"symbols": ["x", "y"]}),
            Field("a", "enum", allowed=("x", "y")),
        ),
        (column(pa.string(), {"symbols": ["x"]}), Field("a", "enum", allowed=("x",))),
        (
            column(pa.list_(pa.field("item", pa.float64(), nullable=False), 3)),
            Field("a", "array", items="double", size=3),
        ),
        (column(pa.large_list(pa.field("item", pa.int64(), nullable=False))), Field("a", "array", items="long")),
    ],
)
def test_columns_become_fields_without_a_note(schema: pa.Schema, expected: Field) -> None:
    found, notes = from_arrow(schema)
    assert found.fields == (expected,)
    assert notes == []


@pytest.mark.parametrize(
    ("schema", "expected", "note"),
    [
        (column(pa.float16()), Field("a", "float"), "a: float16 became float, which takes more numbers."),
        (column(pa.uint64()), Field("a", "long", minimum=0), "a: uint64 became long, which ends at 2^63."),
        (
            column(pa.dictionary(pa.int32(), pa.string())),
            Field("a", "string"),
            "a: a dictionary does not tell all its values; list those that are allowed.",
        ),
        (
            column(pa.list_(pa.int64())),
            Field("a", "array", items="long"),
            "a: neither a list nor a value in it is null here.",
        ),
        (
            column(pa.int64(), b"{"),
            Field("a", "long"),
            "a: its metadata under mdlc.field cannot be read, and was left out.",
        ),
        (
            column(pa.int64(), {"name": "b"}),
            Field("a", "long"),
            "a: its metadata under mdlc.field cannot be read, and was left out.",
        ),
    ],
)
def test_what_is_different_here_is_told(schema: pa.Schema, expected: Field, note: str) -> None:
    found, notes = from_arrow(schema)
    assert found.fields == (expected,)
    assert notes == [note]


@pytest.mark.parametrize(
    ("kind", "code"),
    [
        (pa.timestamp("us"), "timestamp_without_zone"),
        (pa.list_(pa.timestamp("ns")), "timestamp_without_zone"),
        (pa.timestamp("us", "UTC"), "schema_unsupported"),
        (pa.date32(), "schema_unsupported"),
        (pa.time64("us"), "schema_unsupported"),
        (pa.decimal128(10, 2), "schema_unsupported"),
        (pa.binary(), "schema_unsupported"),
        (pa.null(), "schema_unsupported"),
        (pa.struct([("x", pa.int64())]), "schema_unsupported"),
        (pa.map_(pa.string(), pa.int64()), "schema_unsupported"),
        (pa.list_(pa.list_(pa.int64())), "schema_unsupported"),
        (pa.dictionary(pa.int32(), pa.timestamp("us")), "timestamp_without_zone"),
    ],
)
def test_columns_that_no_field_can_be_are_refused(kind: pa.DataType, code: str) -> None:
    with pytest.raises(SchemaError) as refusal:
        from_arrow(column(kind, nullable=kind == pa.null()))
    assert (refusal.value.code, refusal.value.field) == (code, "a")


@pytest.mark.parametrize(
    ("kind", "said", "code"),
    [
        (pa.int64(), {"pattern": "a"}, "schema_constraint"),
        (pa.string(), {"pattern": "(a+)+"}, "pattern_unsafe"),
        (pa.string(), {"symbols": ["a b"]}, "schema_not_avro"),
        (pa.string(), {"symbols": 3}, "schema_not_avro"),
        (pa.int64(), {"doc": 3}, "schema_unsupported"),
    ],
)
def test_metadata_is_believed_no_more_than_a_schema(kind: pa.DataType, said: Any, code: str) -> None:
    with pytest.raises(SchemaError) as refusal:
        from_arrow(column(kind, said))
    assert refusal.value.code == code


@given(drawn.schemas())
@settings(max_examples=300, deadline=None)
def test_an_export_comes_back_through_a_parquet_file(schema: Schema) -> None:
    arrow = to_arrow(schema)
    assert from_arrow(arrow)[0].to_dict() == schema.to_dict()
    stream = io.BytesIO()
    pq.write_table(arrow.empty_table(), stream)
    stream.seek(0)
    again, notes = from_parquet(stream)
    assert again.to_dict() == schema.to_dict()
    assert notes == []


def test_names_and_descriptions_come_back() -> None:
    content = {
        "type": "record",
        "name": "r",
        "namespace": "n",
        "doc": "words",
        "fields": [{"name": "a", "type": "int"}],
    }
    schema = Schema.parse(content)
    assert from_arrow(to_arrow(schema))[0].to_dict() == content
    broken = to_arrow(schema).with_metadata({SCHEMA_KEY: b"[1"})
    assert from_arrow(broken, "other")[0].name == "other"


def test_records_meet_the_schema_of_the_file_they_came_in(tmp_path: Path) -> None:
    row = {"name": "a", "type": {"type": "enum", "name": "e", "symbols": ["x", "y"]}}
    schema = Schema.parse({"type": "record", "name": "r", "fields": [row, {"name": "b", "type": ["null", "double"]}]})
    table = pa.table({"a": ["x", "y"], "b": [1.5, None]}).cast(to_arrow(schema))
    pq.write_table(table, tmp_path / "sample.parquet")
    with (tmp_path / "sample.parquet").open("rb") as stream:
        records = read_parquet_sample(stream, limit=2)
    assert records == [{"a": "x", "b": 1.5}, {"a": "y", "b": None}]
    again, _ = from_parquet(tmp_path / "sample.parquet")
    assert compile_table(again).check(pq.read_table(tmp_path / "sample.parquet")).accepted.all()


def parquet(table: pa.Table) -> io.BytesIO:
    """Return a Parquet file."""
    stream = io.BytesIO()
    pq.write_table(table, stream)
    stream.seek(0)
    return stream


@pytest.mark.parametrize(
    ("stream", "code"),
    [
        (io.BytesIO(b""), "records_malformed"),
        (io.BytesIO(b"PAR1" + b"\0" * 30 + b"PAR1"), "records_malformed"),
        (parquet(pa.table({"a": [1, 2, 3]})), "records_too_many"),
        (parquet(pa.table({"a": pa.array([], pa.int64())})), "records_empty"),
        (parquet(pa.table({"a": pa.array([1], pa.timestamp("us"))})), "timestamp_without_zone"),
        (parquet(pa.table({"a": [[[1]]]})), "schema_unsupported"),
    ],
)
def test_odd_samples_are_refused(stream: io.BytesIO, code: str) -> None:
    with pytest.raises((RecordError, SchemaError)) as refusal:
        read_parquet_sample(stream, limit=2)
    assert refusal.value.code == code


def test_a_damaged_file_is_refused(tmp_path: Path) -> None:
    whole = parquet(pa.table({"a": list(range(1000))})).getvalue()
    (tmp_path / "cut.parquet").write_bytes(whole[:-20])
    with pytest.raises(SchemaError) as refusal:
        from_parquet(tmp_path / "cut.parquet")
    assert refusal.value.code == "parquet_unreadable"
    middle = bytearray(whole)
    middle[8:60] = b"\xff" * 52
    with pytest.raises(RecordError) as refused:
        read_parquet_sample(io.BytesIO(bytes(middle)), limit=5000)
    assert refused.value.code == "records_malformed"
