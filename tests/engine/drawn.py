"""Schemas and records drawn at random, for properties that have to hold for all of them."""

import math
import string
from typing import Any

from hypothesis import strategies as st

from engine.fields import INTEGERS, Field
from engine.schemas import Schema

NAMES = ("a", "b", "c", "d")
TEXTS = ("", "a", "b", "ab", "7", "A-1", "A-12", "ä", "x" * 1000, "x" * 1001, "y" * 10_001, "a\n")
PATTERNS = ("", "", "[A-Z]-[0-9]+", "[a-z]*", "A-.*")
UNITS = ("", "", "mg/dL", "°C", "%")
DOCS = ("", "", "What was measured.", 'über "alles"\nin two lines')
WORDS = ("a", "b", "ab", "c")
NUMBERS: tuple[Any, ...] = (
    0, 1, 2, 3, -1, 0.5, 1.5, 2.0, -0.0, 2**31 - 1, 2**31, -(2**31) - 1, 2**53, 2**53 + 1, 2**63 - 1, 2**63, 10**400,
    3.4028234663852886e38, 3.5e38, 1.7976931348623157e308, math.nan, math.inf, -math.inf,
)  # fmt: skip
LIMITS = st.sampled_from([None, None, 0, 1, 2, 3, -1, 0.5, 1.5, 2**31, -(2**31), 2**53, 1e300])
ODD: tuple[Any, ...] = (None, True, False, [], {}, "", 0, 1.0)


@st.composite
def fields(draw: st.DrawFn, name: str = "a") -> Field:
    """Draw a field whose constraints fit its type."""
    kind = draw(st.sampled_from(["boolean", "int", "long", "float", "double", "string", "enum"]))
    is_array = draw(st.integers(0, 4)) == 0
    allowed: tuple[Any, ...] = ()
    pattern, low, high = "", None, None
    if kind == "enum":
        allowed = tuple(draw(st.lists(st.sampled_from(WORDS), min_size=1, unique=True)))
    elif kind == "string":
        pattern = draw(st.sampled_from(PATTERNS))
        allowed = tuple(draw(st.one_of(st.just([]), st.lists(st.sampled_from(WORDS), min_size=1, unique=True))))
    elif kind == "boolean":
        allowed = draw(st.sampled_from([(), (), (True,), (False,), (True, False)]))
    else:
        low, high = draw(LIMITS), draw(LIMITS)
        low, high = (high, low) if low is not None and high is not None and low > high else (low, high)
        allowed = _allowed_numbers(draw, kind, low, high)
    return Field(
        name,
        "array" if is_array else kind,
        items=kind if is_array else "",
        size=draw(st.sampled_from([None, 1, 2])) if is_array else None,
        nullable=not is_array and draw(st.booleans()),
        minimum=low,
        maximum=high,
        allowed=allowed,
        pattern=pattern,
        unit=draw(st.sampled_from(UNITS)),
        doc=draw(st.sampled_from(DOCS)),
    )


def _allowed_numbers(draw: st.DrawFn, kind: str, low: Any, high: Any) -> tuple[Any, ...]:
    numbers = [0, 1, 2, 3] if kind in INTEGERS else [0, 1, 2.0, 0.5, 3.25]
    fitting = [n for n in numbers if (low is None or n >= low) and (high is None or n <= high)]
    return tuple(draw(st.lists(st.sampled_from(fitting), unique=True))) if fitting and draw(st.booleans()) else ()


@st.composite
def schemas(draw: st.DrawFn, names: tuple[str, ...] = NAMES) -> Schema:
    """Draw a schema of a few fields."""
    chosen = draw(st.lists(st.sampled_from(names), min_size=1, max_size=3, unique=True))
    return parsed(*(draw(fields(name)) for name in chosen))


def parsed(*rows: Field) -> Schema:
    """Return a schema of these fields, read back as Avro, so that what is drawn is a schema that people can write."""
    return Schema.parse(Schema("drawn", rows).to_dict())


def scalars(field: Field) -> st.SearchStrategy[Any]:
    """Draw single values for a field: most are on one side or the other of its limits."""
    near = [limit + step for limit in (field.minimum, field.maximum) if limit is not None for step in (-1, 0, 0.5, 1)]
    if field.numeric:
        of_kind = [*NUMBERS, *near, *field.allowed, *map(float, field.allowed)]
        usual = st.integers(-3, 5) if field.kind in INTEGERS else st.floats(-3, 5, width=32)
        return st.one_of(usual, st.sampled_from(of_kind), st.sampled_from(ODD))
    texts = st.one_of(st.sampled_from(TEXTS + WORDS), st.text(string.ascii_lowercase, max_size=3))
    return st.one_of(st.booleans() if field.kind == "boolean" else texts, st.sampled_from(ODD))


def values(field: Field) -> st.SearchStrategy[Any]:
    """Draw values for a field, few of them of another type."""
    if field.type == "array":
        return st.one_of(st.lists(scalars(field), max_size=3), st.sampled_from(ODD))
    return scalars(field)


def records(*schemas: Schema) -> st.SearchStrategy[dict[str, Any]]:
    """Draw records with the fields of these schemas, few with a field missing or one too many."""
    asked = {field.name: field for schema in schemas for field in schema.fields}
    whole = st.fixed_dictionaries({name: values(field) for name, field in asked.items()})
    partly = st.fixed_dictionaries({}, optional={name: values(field) for name, field in asked.items()})
    of_one = st.one_of([st.fixed_dictionaries({f.name: values(f) for f in one.fields}) for one in schemas])
    return st.one_of(of_one, of_one, whole, partly, st.builds(lambda one: one | {"zz": 1}, whole))
