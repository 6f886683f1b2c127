"""Files of records: strict JSON lines and CSV, with limits, and the place of what is wrong."""

import io
from typing import Any

import pytest

from engine.errors import RecordError
from engine.records import LONGEST_LINE, read_golden, read_json_lines, read_sample, read_validation


def lines(text: str | bytes, **options: Any) -> list[dict[str, Any]]:
    """Read JSON lines."""
    return list(read_json_lines(io.BytesIO(text if isinstance(text, bytes) else text.encode()), **options))


def test_objects_are_read_line_by_line() -> None:
    assert lines('{"a": 1}\n\n{"a": 2.5}\r\n{"a": null}') == [{"a": 1}, {"a": 2.5}, {"a": None}]


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ('{"a": 1}\n{"a": NaN}', "line 2"),
        ('{"a": Infinity}', "line 1"),
        ('{"a": -Infinity}', "line 1"),
        ('{"a": 1, "a": 2}', "line 1"),
        ('{"a": {"b": 1, "b": 2}}', "line 1"),
        ("[1]", "line 1"),
        ("1", "line 1"),
        ('{"a": 1', "line 1"),
        ('{"a": 1} {"a": 2}', "line 1"),
        (b'{"a": "\xff"}', "line 1"),
        ('{"a": ' + "[" * 100_000, "line 1"),
        ('{"a": ' + "1" * 10_000 + "}", "line 1"),
    ],
)
def test_what_is_no_strict_json_is_refused_with_its_line(text: str | bytes, where: str) -> None:
    with pytest.raises(RecordError) as refusal:
        lines(text)
    assert (refusal.value.code, refusal.value.field) == ("records_malformed", where)


def test_too_much_and_nothing_are_refused() -> None:
    with pytest.raises(RecordError) as refusal:
        lines('{"a": 1}\n' * 3, limit=2)
    assert refusal.value.code == "records_too_many"
    with pytest.raises(RecordError) as refusal:
        lines("\n\n")
    assert refusal.value.code == "records_empty"
    with pytest.raises(RecordError, match="longer"):
        lines(b" " * (LONGEST_LINE + 1))


def test_golden_and_validation_records_have_exactly_their_keys() -> None:
    assert list(read_golden(io.BytesIO(b'{"input": {"a": 1}, "output": {"b": 2}}')))
    assert list(read_validation(io.BytesIO(b'{"input": {"a": 1}, "label": "x"}')))
    for wrong in (b'{"input": {}}', b'{"input": {}, "output": 1}', b'{"input": {}, "output": {}, "more": 1}'):
        with pytest.raises(RecordError) as refusal:
            list(read_golden(io.BytesIO(wrong)))
        assert (refusal.value.code, refusal.value.field) == ("records_malformed", "record 1")
    for label in (b"null", b"[1]", b"{}"):
        with pytest.raises(RecordError):
            list(read_validation(io.BytesIO(b'{"input": {}, "label": ' + label + b"}")))


def test_a_csv_sample_keeps_texts_that_only_look_like_numbers() -> None:
    stream = io.BytesIO("\ufeffage,dose,ward,code,empty\r\n7,0.5,a,007,\r\n-8,,b,010,\r\n9,1e-3,c,1_0,\r\n".encode())
    assert read_sample(stream, "Sample.CSV") == [
        {"age": 7, "dose": 0.5, "ward": "a", "code": "007", "empty": None},
        {"age": -8, "dose": None, "ward": "b", "code": "010", "empty": None},
        {"age": 9, "dose": 0.001, "ward": "c", "code": "1_0", "empty": None},
    ]
    assert not stream.closed


@pytest.mark.parametrize("value", ["nan", "inf", "1e999", "0x10", "１２", "1" * 400])
def test_odd_numbers_in_csv_stay_texts(value: str) -> None:
    assert read_sample(io.BytesIO(f"a,b\n{value},1\n".encode()), "s.csv") == [{"a": value, "b": 1}]


@pytest.mark.parametrize(
    ("text", "code"),
    [
        (b"", "records_empty"),
        (b"a,b\n", "records_empty"),
        (b"a,a\n1,2\n", "records_malformed"),
        (b"a,\n1,2\n", "records_malformed"),
        (b"a,b\n1\n", "records_malformed"),
        (b"a\n\xff\n", "encoding_mixed"),
        (b'a\n"x\n', "records_malformed"),
        (b"a\n" + b"1\n" * 6, "records_too_many"),
    ],
)
def test_what_is_no_table_is_refused(text: bytes, code: str) -> None:
    with pytest.raises(RecordError) as refusal:
        read_sample(io.BytesIO(text), "s.csv", limit=5)
    assert refusal.value.code == code


def test_a_sample_of_another_name_is_json_lines() -> None:
    assert read_sample(io.BytesIO(b'{"a": 1}'), "sample.jsonl") == [{"a": 1}]
