"""Compatibility: each kind of change, and that the answer holds for every record."""

import time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.compatibility import Change, compare_for, compare_schemas, fits
from engine.schemas import Field, Schema
from tests.engine import drawn

NUMBERS = ["int", "long", "float", "double"]


def schema(*rows: dict[str, Any]) -> Schema:
    """Return a schema of these fields."""
    return Schema.parse({"type": "record", "name": "r", "fields": list(rows)})


def compare(old: dict[str, Any], new: dict[str, Any]) -> tuple[str, list[str]]:
    """Return the kind, and the kind of each change of a single field."""
    found = compare_schemas(schema({"name": "a"} | old), schema({"name": "a"} | new))
    assert all(one.field == "a" and one.reason.endswith(".") for one in found.changes)
    return found.kind, [one.kind for one in found.changes]


@pytest.mark.parametrize(("lower", "higher"), [(a, b) for at, a in enumerate(NUMBERS) for b in NUMBERS[at + 1 :]])
def test_numbers_promote_as_avro_resolves_them(lower: str, higher: str) -> None:
    assert compare({"type": lower}, {"type": higher}) == ("widening", ["widening"])
    assert compare({"type": higher}, {"type": lower}) == ("narrowing", ["narrowing"])
    many = ({"type": {"type": "array", "items": kind}} for kind in (lower, higher))
    assert compare(*many) == ("widening", ["widening"])


LIST = {"type": {"type": "array", "items": "int"}}
ENUM = {"type": {"type": "enum", "name": "e", "symbols": ["x", "y"]}}
MORE = {"type": {"type": "enum", "name": "e", "symbols": ["y", "x", "z"]}}


@pytest.mark.parametrize(
    ("old", "new", "kind"),
    [
        ({"type": "int"}, {"type": ["null", "int"]}, "widening"),
        ({"type": "int"}, {"type": "string"}, "breaking"),
        ({"type": "int"}, {"type": "boolean"}, "breaking"),
        ({"type": "boolean"}, {"type": "string"}, "breaking"),
        ({"type": "int"}, LIST, "breaking"),
        (LIST | {"size": 2}, LIST, "widening"),
        (LIST | {"size": 2}, LIST | {"size": 3}, "breaking"),
        (ENUM, MORE, "widening"),
        (ENUM, {"type": "string"}, "widening"),
        ({"type": "string", "allowed": ["x", "y"]}, ENUM, "narrowing"),
        ({"type": "string", "allowed": ["x", "q"]}, ENUM, "breaking"),
        ({"type": "int", "allowed": [1, 2]}, {"type": "int"}, "widening"),
        ({"type": "int", "allowed": [1, 2]}, {"type": "int", "allowed": [2, 1]}, "identical"),
        ({"type": "int", "allowed": [1, 2]}, {"type": "int", "allowed": [2, 3]}, "breaking"),
        ({"type": "int", "allowed": [1, 2]}, {"type": "double", "allowed": [1, 2]}, "widening"),
        ({"type": "int", "allowed": [1, 2, 3]}, {"type": "int", "minimum": 1, "maximum": 3}, "identical"),
        ({"type": "double", "allowed": [1, 2]}, {"type": "int", "allowed": [1, 2, 3]}, "breaking"),
        ({"type": "double", "minimum": 0.5, "maximum": 1.5}, {"type": "int", "minimum": 0, "maximum": 3}, "breaking"),
        ({"type": "boolean", "allowed": [True]}, {"type": "boolean"}, "widening"),
        ({"type": "boolean", "allowed": [False, True]}, {"type": "boolean"}, "identical"),
        ({"type": "int", "minimum": 1}, {"type": "int"}, "widening"),
        ({"type": "int", "minimum": 1}, {"type": "int", "minimum": 0}, "widening"),
        ({"type": "int", "maximum": 1}, {"type": "int", "maximum": 9}, "widening"),
        ({"type": "int", "minimum": 0.5}, {"type": "int", "minimum": 1}, "identical"),
        ({"type": "double", "minimum": 0.5}, {"type": "double", "minimum": 1}, "narrowing"),
        ({"type": "int"}, {"type": "int", "minimum": -(2**31)}, "identical"),
        ({"type": "int"}, {"type": "long", "minimum": -(2**31), "maximum": 2**31 - 1}, "widening"),
        ({"type": "int", "minimum": 0, "maximum": 9}, {"type": "int", "minimum": 5, "maximum": 12}, "breaking"),
        ({"type": "string", "pattern": "[a-z]+"}, {"type": "string"}, "widening"),
        ({"type": "string", "pattern": "[a-z]+"}, {"type": "string", "pattern": "[a-z]+"}, "identical"),
        ({"type": "string", "pattern": "[a-z]+"}, {"type": "string", "pattern": "[a-y]+"}, "breaking"),
        ({"type": "string", "allowed": ["x"]}, {"type": "string", "pattern": "[a-z]"}, "widening"),
        ({"type": "int", "unit": "kg"}, {"type": "int", "unit": "g"}, "breaking"),
        ({"type": "int"}, {"type": "int", "unit": "g"}, "identical"),
        ({"type": "int", "minimum": 0}, {"type": "long", "minimum": 1}, "breaking"),
        ({"type": "int", "doc": "one"}, {"type": "int", "doc": "two"}, "identical"),
    ],
)  # fmt: skip
def test_each_change_has_its_kind_both_ways(old: dict[str, Any], new: dict[str, Any], kind: str) -> None:
    back = {"widening": "narrowing", "narrowing": "widening"}.get(kind, kind)
    assert compare(old, new)[0] == kind
    assert compare(new, old)[0] == back
    if kind != "identical":
        assert kind in compare(old, new)[1]
        assert back in compare(new, old)[1]


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ({"type": "int"}, {"type": "double"}, "int became double, which takes all that int takes."),
        ({"type": "double"}, {"type": "int"}, "double became int, which takes only a part of what double takes."),
        ({"type": "int"}, {"type": "string"}, "It was int, and is string."),
        (LIST, {"type": "int"}, "It was a list of int, and is int."),
        ({"type": "int"}, {"type": ["null", "int"]}, "It may be null now."),
        ({"type": ["null", "int"]}, {"type": "int"}, "It may not be null any more."),
        ({"type": "int", "minimum": 1}, {"type": "int", "minimum": 0}, "The minimum was 1, and is 0."),
        ({"type": "int", "maximum": 1}, {"type": "int"}, "The maximum 1 is gone."),
        ({"type": "int"}, {"type": "int", "maximum": 1}, "A maximum is set now: 1."),
        (ENUM, MORE, "z may come now."),
        (MORE, ENUM, "z may not come any more."),
        ({"type": "int", "allowed": [1]}, {"type": "int"}, "The list of allowed values is gone."),
        ({"type": "int"}, {"type": "int", "allowed": [*range(9)]}, "Only 0, 1, 2, 3, 4 and 4 more may come now."),
        (LIST | {"size": 2}, LIST | {"size": 3}, "The number of values was 2, and is 3."),
        (
            {"type": "string", "pattern": "a"},
            {"type": "string", "pattern": "b"},
            "The pattern was a, and is b; no rule tells which texts match both.",
        ),
        (
            {"type": "int", "unit": "kg"},
            {"type": "int", "unit": "g"},
            "The unit was kg, and is g: the same number means something else.",
        ),
        (
            {"type": "int"},
            {"type": "int", "unit": "g"},
            "The unit g is stated now; make sure that both sides mean it.",
        ),
    ],
)
def test_each_change_gives_its_reason(old: dict[str, Any], new: dict[str, Any], reason: str) -> None:
    found = compare_schemas(schema({"name": "a"} | old), schema({"name": "a"} | new))
    assert [(one.field, one.reason) for one in found.changes] == [("a", reason)]


def test_what_only_all_aspects_together_do_is_told() -> None:
    found = compare_schemas(
        schema({"name": "a", "type": "int", "minimum": 0, "maximum": 9}),
        schema({"name": "a", "type": "int", "minimum": 5, "maximum": 12}),
    )
    assert [one.kind for one in found.changes] == ["narrowing", "widening", "breaking"]
    assert found.changes[-1].reason.startswith("Taken together")


AGE, WARD = {"name": "age", "type": "int"}, {"name": "ward", "type": "string"}


def test_a_field_that_goes_or_comes_breaks() -> None:
    gone = compare_schemas(schema(AGE, WARD), schema(AGE))
    come = compare_schemas(schema(AGE), schema(AGE, WARD))
    assert gone.changes == (Change("ward", "breaking", "It is gone: records that carry it have a field too many."),)
    assert come.changes == (Change("ward", "breaking", "It is new: records made before lack it."),)
    assert gone.kind == come.kind == "breaking"


@pytest.mark.parametrize("other", ["Age", "age_years", "alter"])
def test_a_field_that_was_renamed_is_told_as_one_change(other: str) -> None:
    found = compare_schemas(schema(AGE, WARD), schema({**AGE, "name": other, "doc": "new"}, WARD))
    reason = f"age is called {other} now; records are read by name, so neither side finds its field."
    assert found.changes == (Change("age", "breaking", reason),)


def test_another_type_under_another_name_is_no_renaming() -> None:
    found = compare_schemas(schema(AGE, WARD), schema({"name": "ages", "type": "double"}, WARD))
    assert [(one.field, one.kind) for one in found.changes] == [("age", "breaking"), ("ages", "breaking")]


def test_another_order_alters_no_records_fate_and_is_told() -> None:
    found = compare_schemas(schema(AGE, WARD), schema(WARD, AGE))
    assert found.kind == "identical"
    assert [(one.field, one.kind) for one in found.changes] == [("ward", "identical")]


def test_wider_here_and_narrower_there_is_breaking() -> None:
    found = compare_schemas(schema(AGE, WARD), schema(AGE | {"type": "long"}, WARD | {"pattern": "[a-z]+"}))
    assert found.kind == "breaking"
    assert [(one.field, one.kind) for one in found.changes] == [
        ("age", "widening"),
        ("ward", "narrowing"),
        ("age", "breaking"),
    ]


@pytest.mark.parametrize(
    ("stream", "model", "kind"),
    [
        ({"type": "int"}, {"type": "double"}, "narrowing"),
        ({"type": "double"}, {"type": "double"}, "identical"),
        ({"type": "long"}, {"type": "int"}, "widening"),
        ({"type": "double"}, {"type": "long"}, "breaking"),
        ({"type": ["null", "double"]}, {"type": "double"}, "widening"),
        ({"type": "string"}, {"type": "double"}, "breaking"),
    ],
)
def test_a_stream_fits_a_model_unless_it_could_never_work(
    stream: dict[str, Any], model: dict[str, Any], kind: str
) -> None:
    found = fits(schema({"name": "a"} | stream), schema({"name": "a"} | model))
    assert found.kind == kind
    assert kind == "identical" or kind in {one.kind for one in found.changes}


def test_a_stream_that_is_wider_here_and_narrower_there_may_send_refused_values() -> None:
    found = fits(schema(AGE | {"type": "long"}, WARD | {"pattern": "[a-z]+"}), schema(AGE, WARD))
    assert found.kind == "widening"


@st.composite
def pairs(draw: st.DrawFn) -> tuple[Schema, Schema]:
    """Draw a schema, and another that differs in one field only."""
    old = draw(drawn.schemas())
    at = draw(st.integers(0, len(old.fields) - 1))
    rows = list(old.fields)
    rows[at] = draw(drawn.fields(rows[at].name))
    return old, drawn.parsed(*rows)


@given(st.data())
@settings(max_examples=800, deadline=None)
def test_the_answer_holds_for_every_record(data: st.DataObject) -> None:
    old, new = data.draw(st.one_of(pairs(), st.tuples(drawn.schemas(), drawn.schemas())))
    kind = compare_schemas(old, new).kind
    for record in data.draw(st.lists(drawn.records(old, new), max_size=12)):
        before, after = not old.check(record), not new.check(record)
        if kind in ("identical", "widening"):
            assert after or not before
        if kind in ("identical", "narrowing"):
            assert before or not after


@given(pairs())
@settings(max_examples=300, deadline=None)
def test_the_way_back_is_the_mirror_image(both: tuple[Schema, Schema]) -> None:
    mirror = {"widening": "narrowing", "narrowing": "widening"}
    there, back = compare_schemas(*both), compare_schemas(*reversed(both))
    assert back.kind == mirror.get(there.kind, there.kind)
    assert there.kind == "identical" or there.kind in {one.kind for one in there.changes}
    assert compare_schemas(both[0], both[0]) == compare_schemas(both[1], both[1])
    assert not compare_schemas(both[0], both[0]).changes


@given(drawn.schemas(), st.data())
@settings(max_examples=300, deadline=None)
def test_one_relaxed_aspect_is_never_narrowing_nor_breaking(old: Schema, data: st.DataObject) -> None:
    rows = list(old.fields)
    at = data.draw(st.integers(0, len(rows) - 1))
    options = {"minimum": None, "maximum": None, "pattern": "", "size": None, "nullable": rows[at].type != "array"}
    aspect = data.draw(st.sampled_from(sorted(options)))
    rows[at] = Field(**{key: getattr(rows[at], key) for key in Field.__slots__} | {aspect: options[aspect]})
    assert compare_schemas(old, drawn.parsed(*rows)).kind in ("identical", "widening")


def test_large_schemas_are_compared_quickly() -> None:
    old = schema(*({"name": f"f{at}", "type": "double", "minimum": 0} for at in range(5000)))
    new = schema(*({"name": f"g{at}", "type": "double", "minimum": 0} for at in range(5000)))
    begun = time.perf_counter()
    assert compare_schemas(old, new).kind == "breaking"
    assert time.perf_counter() - begun < 5


def test_for_who_reads_some_fields_only_these_count() -> None:
    old = schema(AGE, WARD | {"allowed": ["north", "south"]})
    new = schema(AGE | {"maximum": 150}, WARD | {"allowed": ["north", "south", "east"]})
    assert compare_for(old, new, ["odd"]).kind == "identical"
    for name in ("age", "ward"):
        alone = compare_for(old, new, [name])
        assert alone.kind == next(one.kind for one in compare_schemas(old, new).changes if one.field == name)
        assert {one.field for one in alone.changes} == {name}
    assert compare_for(old, new, ["age", "ward"]) == compare_schemas(old, new)
    assert [one.field for one in compare_for(old, schema(AGE), ["ward", "age"]).changes] == ["ward"]
