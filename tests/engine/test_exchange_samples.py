"""Samples from the world: zeros in front, commas, byte order marks, several encodings, times without a zone."""

import io
import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from engine.errors import EngineError
from engine.fields import Field
from engine.records import read_json_lines, read_sample
from engine.schemas import Schema, infer_schema


def of_csv(content: bytes) -> list[dict[str, object]]:
    """Read a CSV sample."""
    return read_sample(io.BytesIO(content), "sample.csv")


def test_zeros_in_front_are_kept_and_told() -> None:
    records = of_csv(b"code,n\n007,7\n123,8\n")
    assert records == [{"code": "007", "n": 7}, {"code": "123", "n": 8}]
    schema, notes = infer_schema(records, "r")
    assert schema.fields[0] == Field("code", "string")
    assert notes[0] == "code: text, 2 different in 2 records; leading zeros are kept"


def test_a_byte_order_mark_in_front_is_no_part_of_the_first_name() -> None:
    assert of_csv(b"\xef\xbb\xbfa,b\n1,x\n") == [{"a": 1, "b": "x"}]
    assert list(read_json_lines(io.BytesIO(b'\xef\xbb\xbf{"a": 1}\n{"a": 2}\n'))) == [{"a": 1}, {"a": 2}]


@pytest.mark.parametrize(
    ("content", "code", "field"),
    [
        ("a,b\n1,ä\n2,ö\n".encode() + "3,ü\n".encode("latin-1"), "encoding_mixed", "line 4"),
        ("a,b\n1,ä\n".encode("cp1252"), "encoding_mixed", "line 2"),
        ("a,b\n1,2\n".encode("utf-16"), "encoding_mixed", "line 1"),
        (b"a,b\n1,2\n\xef\xbb\xbfa,b\n3,4\n", "encoding_mixed", "line 3"),
        (b'a,b\n"3,14",1\n"2,5",2\n', "decimal_comma", "a"),
        (b'a,b\n"1.234,5",1\n7,2\n', "decimal_comma", "a"),
        (b"a;b\n1;2\n", "delimiter_unknown", "line 1"),
        (b"a\tb\n1\t2\n", "delimiter_unknown", "line 1"),
    ],
)
def test_what_would_be_misread_is_refused(content: bytes, code: str, field: str) -> None:
    with pytest.raises(EngineError) as refusal:
        of_csv(content)
    assert (refusal.value.code, refusal.value.field) == (code, field)
    assert refusal.value.message.endswith(".")


def test_texts_with_commas_stay_texts() -> None:
    assert of_csv(b'a\n"3,14 or so"\n"2,5"\n') == [{"a": "3,14 or so"}, {"a": "2,5"}]


def test_a_field_over_several_lines_is_one_value() -> None:
    assert of_csv(b'a,b\r\n"one\r\ntwo",1\r\n') == [{"a": "one\r\ntwo", "b": 1}]


@pytest.mark.parametrize("number", [2**63, -(2**63) - 1, 10**30])
def test_whole_numbers_beyond_64_bits_are_not_rounded_in_silence(number: int) -> None:
    records = list(read_json_lines(io.BytesIO(json.dumps({"a": number}).encode())))
    with pytest.raises(EngineError) as refusal:
        infer_schema(records, "r")
    assert (refusal.value.code, refusal.value.field) == ("integer_too_large", "a")
    schema = Schema.parse({"type": "record", "name": "r", "fields": [{"name": "a", "type": "long"}]})
    assert [one.rule for one in schema.check(records[0])] == ["type"]


@pytest.mark.parametrize("text", ["2026-03-29T02:30:00", "2026-03-29 02:30", "2026-03-29T02:30:00.123456"])
def test_times_without_a_zone_are_refused(text: str) -> None:
    with pytest.raises(EngineError) as refusal:
        infer_schema([{"at": text}, {"at": None}], "r")
    assert (refusal.value.code, refusal.value.field) == ("timestamp_without_zone", "at")


@pytest.mark.parametrize("text", ["2026-03-29T02:30:00Z", "2026-03-29T02:30:00+01:00", "2026-03-29", "soon"])
def test_times_with_a_zone_and_other_texts_are_not(text: str) -> None:
    assert infer_schema([{"at": text}], "r")[0].fields == (Field("at", "string"),)


def test_a_sample_in_parquet_is_read_and_its_schema_inferred() -> None:
    stream = io.BytesIO()
    table = pa.table(
        {"a": [1, 2, None], "b": ["x", "y", "z"], "c": [[1.0, 2.0]] * 3, "d": pa.array([1, 2, 3], pa.int8())}
    )
    pq.write_table(table, stream)
    stream.seek(0)
    schema, notes = infer_schema(read_sample(stream, "Sample.PARQUET"), "r")
    assert schema.fields == (
        Field("a", "long", nullable=True),
        Field("b", "string"),
        Field("c", "array", items="double", size=2),
        Field("d", "long"),
    )
    assert notes[0] == "a: long from 1 to 2 in 2 records; at most 0.67 of new values lie outside; set the true limits"
    assert not stream.closed


def test_the_stream_of_a_sample_stays_open() -> None:
    stream = io.BytesIO(b"a\n1\n")
    read_sample(stream, "s.csv")
    assert not stream.closed


def test_a_union_with_null_behind_is_refused() -> None:
    with pytest.raises(EngineError) as refusal:
        Schema.parse({"type": "record", "name": "r", "fields": [{"name": "a", "type": ["int", "null"]}]})
    assert (refusal.value.code, refusal.value.field) == ("union_order", "a")
