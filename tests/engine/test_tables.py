"""Whole tables: the verdict on every row is that of the check of single records, whatever Arrow's types are."""

import datetime
import decimal
import itertools
import math
import tracemalloc
from collections import Counter
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine import table_words, tables
from engine.errors import RecordError, SchemaError
from engine.fields import Field
from engine.schemas import Schema
from engine.tables import compile_table
from tests.engine import drawn

INTS = [pa.int8(), pa.int16(), pa.int32(), pa.int64(), pa.uint8(), pa.uint16(), pa.uint32(), pa.uint64()]
FLOATS = [pa.float16(), pa.float32(), pa.float64()]
TEXTS = [pa.string(), pa.large_string(), pa.string_view()]
OTHERS: dict[pa.DataType, Any] = {
    pa.timestamp("us"): datetime.datetime(2026, 1, 1),
    pa.date32(): datetime.date(2026, 1, 1),
    pa.decimal128(5, 2): decimal.Decimal("1.00"),
    pa.binary(): b"a",
    pa.struct([("a", pa.int64())]): {"a": 1},
    pa.map_(pa.string(), pa.int64()): [("a", 1)],
    pa.month_day_nano_interval(): pa.MonthDayNano([1, 2, 3]),
    pa.bool8(): True,
    pa.null(): None,
    pa.list_(pa.list_(pa.int64())): [[1]],
}


def as_int(value: Any, kind: pa.DataType) -> int:
    """Return a value, or something near, that a column of whole numbers can hold."""
    info = np.iinfo(kind.to_pandas_dtype())
    low, high = int(info.min), int(info.max)
    if not isinstance(value, int | float) or value != value:
        return 0
    return low if value <= low else high if value >= high else math.floor(value)


def as_float(value: Any, kind: pa.DataType) -> float:
    """Return a value, or something near, that a column of floats can hold."""
    try:
        with np.errstate(over="ignore"):
            return float(kind.to_pandas_dtype()(value if isinstance(value, int | float) else 0.5))
    except OverflowError:
        return math.inf


@st.composite
def scalar_columns(draw: st.DrawFn, field: Field, rows: int, others: bool = True) -> pa.Array:
    """Draw a column of single values: mostly of the field's own family of types."""
    families = [INTS + FLOATS] * 3 if field.numeric else [[pa.bool_()]] if field.kind == "boolean" else [TEXTS]
    kind = draw(
        st.sampled_from(
            draw(st.sampled_from(families * 4 + [INTS, FLOATS, [pa.bool_()], TEXTS, [*OTHERS] if others else FLOATS]))
        )
    )
    if kind in OTHERS:
        values = [OTHERS[kind]] * rows
    else:
        values = draw(st.lists(drawn.scalars(field), min_size=rows, max_size=rows))
        if kind in INTS:
            values = [as_int(value, kind) for value in values]
        elif kind in FLOATS:
            values = [as_float(value, kind) for value in values]
        elif kind == pa.bool_():
            values = [bool(value) for value in values]
        else:
            values = [value if isinstance(value, str) else "a" for value in values]
    if draw(st.booleans()):
        values = [None if draw(st.integers(0, 3)) == 0 else value for value in values]
    if kind == pa.float16():
        values = [None if value is None else np.float16(value) for value in values]
    if kind == pa.bool8():
        return pa.array(values, pa.bool_()).cast(pa.int8()).cast(pa.bool8())
    column = pa.array(values, kind)
    encodes = kind in INTS + TEXTS[:2] and draw(st.integers(0, 3)) == 0
    return column.dictionary_encode(draw(st.sampled_from(["mask", "encode"]))) if encodes else column


@st.composite
def columns(draw: st.DrawFn, field: Field, rows: int) -> pa.Array:
    """Draw a column for a field, seldom with lists where single values belong, or the other way round."""
    as_list = (field.type == "array") != (draw(st.integers(0, 6)) == 0)
    if not as_list:
        return draw(scalar_columns(field, rows))
    item = Field(field.name, field.kind, minimum=field.minimum, maximum=field.maximum, allowed=field.allowed)
    sizes = draw(
        st.one_of(st.just([field.size or 1] * rows), st.lists(st.integers(0, 3), min_size=rows, max_size=rows))
    )
    flat = draw(scalar_columns(item, sum(sizes), others=False))
    flat = flat.dictionary_decode() if pa.types.is_dictionary(flat.type) else flat
    items = list(flat) if pa.types.is_float16(flat.type) else flat.to_pylist()
    ends = np.cumsum([0, *sizes]).tolist()
    lists = [items[start:end] for start, end in itertools.pairwise(ends)]
    if draw(st.booleans()):
        lists = [None if draw(st.integers(0, 3)) == 0 else one for one in lists]
    kinds = [pa.list_, pa.large_list, pa.list_view, pa.large_list_view]
    if len(set(sizes)) == 1 and draw(st.booleans()):
        return pa.array(lists, pa.list_(flat.type, sizes[0]))
    return pa.array(lists, draw(st.sampled_from(kinds))(flat.type))


@st.composite
def arrow_tables(draw: st.DrawFn, schema: Schema) -> pa.Table | pa.RecordBatch:
    """Draw a table for a schema: sliced, in chunks, and seldom with a column missing or one too many."""
    rows = draw(st.integers(0, 6))
    named = {one.name: draw(columns(one, rows + 2)) for one in schema.fields if draw(st.integers(0, 15))}
    if not draw(st.integers(0, 15)):
        named["zz"] = pa.array([1] * (rows + 2))
    if not named:
        named["zz"] = pa.array(["x"] * (rows + 2))
    if draw(st.booleans()):
        return pa.RecordBatch.from_pydict(named).slice(draw(st.integers(0, 2)), rows)
    cut = draw(st.integers(0, rows + 2))
    table = pa.table(named)
    parts = [table.slice(0, cut), table.slice(cut)]
    if any(pa.types.is_dictionary(one.type) for one in table.schema):
        return table.slice(draw(st.integers(0, 2)), rows)
    return pa.concat_tables(parts).slice(draw(st.integers(0, 2)), rows)


def assert_same(schema: Schema, table: pa.Table | pa.RecordBatch) -> None:
    """Compare a table's verdict with those of its rows."""
    rows = table.to_pylist()
    expected = [schema.check(row) for row in rows]
    verdict = compile_table(schema, most_told=10_000).check(table)
    assert verdict.accepted.tolist() == [not found for found in expected]
    assert verdict.rejected == sum(map(bool, expected))
    told = [(one.row, one.field, one.rule, repr(one.value), one.message) for one in verdict.rejections]
    assert told == [
        (row, one.field, one.rule, repr(one.value), one.message) for row, found in enumerate(expected) for one in found
    ]
    assert verdict.counts == Counter(one.rule for found in expected for one in found)
    assert verdict.fields == Counter((one.field, one.rule) for found in expected for one in found)


@given(st.data())
@settings(max_examples=1200, deadline=None)
def test_a_table_gets_the_verdict_of_its_records(data: st.DataObject) -> None:
    schema = data.draw(drawn.schemas())
    assert_same(schema, data.draw(arrow_tables(schema)))


@given(st.data())
@settings(max_examples=100, deadline=None)
def test_steps_change_nothing(data: st.DataObject) -> None:
    schema = data.draw(drawn.schemas())
    table = data.draw(arrow_tables(schema))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tables, "STEP", 2)
        assert_same(schema, table)


def schema(**rows: Any) -> Schema:
    """Return a schema of these fields."""
    fields = [{"name": name} | (row if isinstance(row, dict) else {"type": row}) for name, row in rows.items()]
    return Schema.parse({"type": "record", "name": "r", "fields": fields})


@pytest.mark.parametrize("limit", [0.1, 0.3, 16_777_217, 1e-46, 2**53 - 1])
@pytest.mark.parametrize("kind", [pa.float32(), pa.float64(), pa.float16()])
def test_limits_are_not_rounded_to_the_columns_type(limit: float, kind: pa.DataType) -> None:
    dtype = kind.to_pandas_dtype()
    with np.errstate(over="ignore"):
        near = dtype(limit)
    around = [np.nextafter(near, dtype(-math.inf)), near, np.nextafter(near, dtype(math.inf))]
    table = pa.table({"a": pa.array(around, kind), "b": pa.array(around, kind), "c": pa.array(around, kind)})
    edges = {"a": {"minimum": limit}, "b": {"maximum": limit}, "c": {"allowed": [limit]}}
    assert_same(schema(**{name: {"type": "double"} | edge for name, edge in edges.items()}), table)


def test_limits_beyond_the_columns_type_refuse_or_take_everything() -> None:
    edges = [{"minimum": 300}, {"maximum": 300}, {"minimum": -300}, {"maximum": -300}, {"minimum": 0.2, "maximum": 0.8}]
    many = schema(**{f"f{at}": {"type": "int"} | edge for at, edge in enumerate(edges)})
    assert_same(many, pa.table({name: pa.array([-128, 0, 127], pa.int8()) for name in many.names}))
    edges = [{"minimum": 1e300}, {"maximum": 1e300}, {"minimum": -1e300}, {"maximum": -1e300}]
    many = schema(**{f"f{at}": {"type": "double"} | edge for at, edge in enumerate(edges)})
    values = [-math.inf, -3e38, 0.0, math.nan, 3e38, math.inf]
    assert_same(many, pa.table({name: pa.array(values, pa.float32()) for name in many.names}))


def test_pairs_do_not_pass_for_lists_unseen() -> None:
    lists = {"type": {"type": "array", "items": "long"}}
    spans = pa.array([pa.MonthDayNano([1, 2, 3]), None])
    maps = pa.array([[("a", 1)], []], pa.map_(pa.string(), pa.int64()))
    assert_same(schema(a=lists, b=lists), pa.table({"a": spans, "b": maps}))


@pytest.mark.parametrize("kind", TEXTS)
def test_length_is_counted_in_characters(kind: pa.DataType) -> None:
    values = ["ä" * 6000, "ä" * 10_000, "ä" * 10_001, "y" * 10_001, "x" * 1001, "1" * 1001, "1", None]
    table = pa.table({name: pa.array(values, kind) for name in "abcd"})
    listed = {"type": "string", "allowed": ["1", "22"], "pattern": "[0-9]"}
    assert_same(schema(a="string", b={"type": "string", "pattern": "[0-9]*"}, c=listed, d=["null", "string"]), table)


def test_what_stands_under_a_null_is_not_looked_at() -> None:
    buffers = [pa.py_buffer(b"\x05"), pa.py_buffer(np.array([0, 1, 20_001, 20_002], "i4")), pa.py_buffer(b"a" * 20_002)]
    texts = pa.Array.from_buffers(pa.string(), 3, buffers)
    numbers = pa.Array.from_buffers(pa.float64(), 3, [pa.py_buffer(b"\x05"), pa.py_buffer(np.array([1, np.nan, 2.0]))])
    nullable = schema(a=["null", "string"], b=["null", "double"], c={"type": ["null", "string"], "pattern": "a"})
    table = pa.table({"a": texts, "b": numbers, "c": texts})
    assert_same(nullable, table)
    assert compile_table(nullable).check(table).accepted.all()


@pytest.mark.parametrize("kind", [pa.string(), pa.large_string()])
def test_bytes_that_are_no_text_are_refused(kind: pa.DataType) -> None:
    binary = pa.binary() if kind == pa.string() else pa.large_binary()
    odd = pa.array([b"\xff\xfe", b"a", b"\xc3\xa4", b"\xed\xa0\x80", None], binary).view(kind)
    plain, listed = {"type": ["null", "string"]}, {"type": ["null", "string"], "allowed": ["a", "ä"]}
    verdict = compile_table(schema(a=plain, b=plain | {"pattern": "a|ä"}, c=listed)).check(
        pa.table(dict.fromkeys("abc", odd))
    )
    assert verdict.accepted.tolist() == [False, True, True, False, True]
    assert verdict.fields == {("a", "type"): 2, ("b", "type"): 2, ("c", "type"): 2}
    assert verdict.rejections[0].value == "\ufffd\ufffd"
    assert verdict.rejections[0].message == "a cannot be read as string"


def test_dates_that_python_cannot_hold_are_refused_like_others() -> None:
    times = pa.array([2**62, 1], pa.timestamp("s"))
    verdict = compile_table(schema(a="double")).check(pa.table({"a": times}))
    assert verdict.counts == {"type": 2}
    assert verdict.rejections[0].value == "<timestamp[s]>"


def test_two_columns_of_one_name_are_refused() -> None:
    table = pa.Table.from_arrays([pa.array([1]), pa.array([2])], ["a", "a"])
    with pytest.raises(RecordError) as refusal:
        compile_table(schema(a="long")).check(table)
    assert (refusal.value.code, refusal.value.field) == ("records_malformed", "a")


def test_the_first_violations_are_told_and_all_are_counted() -> None:
    table = pa.table({"b": np.full(600_000, np.nan), "a": np.arange(600_000) % 2 * 1000})
    verdict = compile_table(schema(a={"type": "long", "maximum": 9}, b="double"), most_told=5).check(table)
    told = [(one.row, one.field) for one in verdict.rejections]
    assert told == [(0, "b"), (1, "a"), (1, "b"), (2, "b"), (3, "a")]
    assert verdict.counts == {"not_finite": 600_000, "maximum": 300_000}
    assert verdict.rejected == 600_000


def test_memory_does_not_grow_with_the_table() -> None:
    one = pa.array(np.where(np.arange(1 << 16) % 7, 0.5, 7.0))
    check = compile_table(schema(**{f"f{at}": {"type": "double", "maximum": 1} for at in range(8)}))
    peaks = []
    for chunks in (8, 80):
        table = pa.table({f"f{at}": pa.chunked_array([one] * chunks) for at in range(8)})
        tracemalloc.start()
        verdict = check.check(table)
        peaks.append(tracemalloc.get_traced_memory()[1] - verdict.accepted.nbytes)
        tracemalloc.stop()
    assert peaks[1] < 2 * peaks[0]


ATOMS = ["a", "b", "0", "-", "é", ".", "[a-c]", "[^a]", r"\d", r"\D", r"\w", r"\s", "[^\\d-]", r"\.", r"\n", "[\\w.]"]


TIMES = st.sampled_from(["?", "*", "+", "{2}", "{1,2}", "+?"])
PATTERNS = st.recursive(
    st.sampled_from(ATOMS),
    lambda inner: st.one_of(
        st.lists(inner, min_size=1, max_size=3).map("".join),
        st.lists(inner, min_size=2, max_size=3).map(lambda parts: f"(?:{'|'.join(parts)})"),
        st.builds("(?:{}){}".format, inner, TIMES),
    ),
    max_leaves=5,
)
WORDS = st.lists(st.text("ab0-é.\n 7²٣_", max_size=4) | st.text("ab0-._\n", max_size=30), min_size=1)
SHORT = [
    "[A-Z]{2}-[0-9]{4,7}",
    "[0-9]{4}-[0-9]{2}-[0-9]{2}",
    "[a-z]+",
    "[a-z]*9",
    "x[A-Za-z0-9_]{3,}y",
    "[^,]{8}",
    ".{7,9}",
    "a?",
]


@given(PATTERNS, WORDS, st.sampled_from(["{}", "^{}$", "^{}", "{}$"]))
@settings(max_examples=400, deadline=None)
def test_every_pattern_means_the_same_in_columns(pattern: str, texts: list[str], frame: str) -> None:
    try:
        parsed = schema(a={"type": "string", "pattern": frame.format(pattern)})
    except SchemaError:
        return
    assert_same(parsed, pa.table({"a": texts}))


@pytest.mark.parametrize("pattern", ["a{0,1500}", r"\bab\b", "(?:a$|b)c?", "(?:^a|b)"])
def test_patterns_without_an_equal_in_re2_are_matched_all_the_same(pattern: str) -> None:
    assert_same(
        schema(a={"type": "string", "pattern": pattern}), pa.table({"a": ["", "ab", "a" * 900, "b", "bc", "a"]})
    )


@given(st.sampled_from(SHORT), st.data())
@settings(max_examples=400, deadline=None)
def test_short_texts_match_as_words_what_they_match_as_texts(pattern: str, data: st.DataObject) -> None:
    near = st.from_regex(
        pattern.replace("+", "{1,26}").replace("*", "{0,26}"), fullmatch=True, alphabet=st.characters(max_codepoint=126)
    )
    changed = st.tuples(near, st.integers(0, 30), st.characters(max_codepoint=127)).map(
        lambda drawn: drawn[0][: drawn[1]] + drawn[2] + drawn[0][drawn[1] + 1 :]
    )
    texts = data.draw(
        st.lists(near | changed | st.sampled_from(["", "x" * 900, "AB-1234567 "]), min_size=1, max_size=8)
    )
    texts *= data.draw(st.sampled_from([1, 1, 5]))
    texts.insert(data.draw(st.integers(0, len(texts))), data.draw(near | changed))
    with pytest.MonkeyPatch.context() as patch:
        if data.draw(st.booleans()):
            patch.setattr(table_words, "BLOCK", 7)
            patch.setattr(table_words, "TILE", 3)
            patch.setattr(table_words, "MOST_ODD", 2)
        assert_same(schema(a={"type": ["null", "string"], "pattern": pattern}), pa.table({"a": [*texts, None]}))
        assert_same(schema(a={"type": "string", "pattern": pattern}), pa.table({"a": texts}))


LONG = [
    "",
    "a",
    "a\0",
    "a\0\0",
    "seven77",
    "seven77\0",
    "eight888",
    "fifteen-fifteen",
    "sixteen-sixteen-",
    "ä" * 11,
    "b" * 24,
]


@given(
    st.lists(st.sampled_from(LONG), min_size=1, max_size=8, unique=True), st.lists(st.sampled_from(LONG), min_size=1)
)
@settings(max_examples=300, deadline=None)
def test_short_lists_take_their_texts_and_no_others(allowed: list[str], texts: list[str]) -> None:
    parsed = schema(a={"type": "string", "allowed": allowed})
    assert_same(parsed, pa.table({"a": texts}))
    assert_same(parsed, pa.table({"a": pa.array([*texts, "y" * 900], pa.large_string())}))
