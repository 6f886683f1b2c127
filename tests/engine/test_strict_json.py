"""Strict JSON: one reading of each text, or a ValueError; never anything else."""

import json
import math
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine import strict_json

plain = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
)


@settings(deadline=None)
@given(plain, st.booleans())
def test_what_json_writes_is_read_back(value: Any, ascii_only: bool) -> None:
    text = json.dumps(value, ensure_ascii=ascii_only)
    assert strict_json.loads(text) == strict_json.loads(text.encode()) == value


TOKENS = st.sampled_from(
    [*'{}[],:"\\', '"a"', "1", "-", "e9", "true", "null", "NaN", "-Infinity", "\\ud800", " ", "\ufeff"]
)


@settings(deadline=None)
@given(st.binary(max_size=60) | st.lists(TOKENS, max_size=25).map(lambda some: "".join(some).encode()))
def test_any_bytes_are_read_or_refused(content: bytes) -> None:
    try:
        value = strict_json.loads(content)
    except ValueError:
        return
    json.dumps(value, allow_nan=False, ensure_ascii=False).encode()
    assert json.loads(content.decode()) == value


@pytest.mark.parametrize(
    "text",
    [
        '{"a": 1, "a": 1}', '[{"a": {"b": 1, "b": 2}}]', "NaN", "[Infinity]", '{"a": -Infinity}', "", "{", "nul", "1 2",
        '"\\ud800"', '{"\\udfff": 1}', "[" * 100_000, '{"a":' * 100_000, "1" * 5000, b"\xff", '"a"'.encode("utf-16"),
        b"\xef\xbb\xbf1", '"\n"', "{'a': 1}", "[1,]", "01", "+1", ".5", "0x10",
    ],
)  # fmt: skip
def test_what_two_readers_could_read_differently_is_refused(text: str | bytes) -> None:
    with pytest.raises(ValueError):
        strict_json.loads(text)


def test_whole_pairs_and_large_numbers_are_read() -> None:
    assert strict_json.loads('"\\ud83d\\ude00"') == "\U0001f600"
    assert strict_json.loads("123456789012345678901234567890") == 123456789012345678901234567890
    assert strict_json.loads("1e400") == math.inf, "whoever takes numbers checks that they are finite"
