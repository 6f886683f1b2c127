"""Compare two schemas: which records does the new one take that the old one does not, and the other way round?

Identical: both take the same records. Widening: the new one takes all that the old one takes, and more. Narrowing: the
new one takes a part of what the old one takes. Breaking: neither lies within the other, or the same numbers mean
something else. When it cannot be told, as with two different patterns, the answer is breaking. Types follow Avro 1.12's
schema resolution: int, long, float and double promote to the right, and fields are matched by name. Names, namespaces
and descriptions do not matter.
"""

import difflib
import math
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from engine.fields import FLOATS, INTEGERS, compile_scalar
from engine.schemas import Field, Schema

__all__ = ["Change", "Compatibility", "compare_for", "compare_schemas", "fits"]

Kind = Literal["identical", "widening", "narrowing", "breaking"]

RANKS = {kind: rank for rank, kind in enumerate(["int", "long", "float", "double", "enum", "string"])}
ASPECTS = ("size", "nullable", "allowed", "minimum", "maximum", "pattern")
MOST_PAIRS = 2_500
MOST_TOLD = 5
TOGETHER: dict[Kind, str] = {
    "identical": "Taken together, the same values are taken as before.",
    "widening": "Taken together, values are taken that were refused.",
    "narrowing": "Taken together, values are refused that were taken.",
    "breaking": "Taken together, some values are taken that were refused, and others refused that were taken.",
}


@dataclass(frozen=True, slots=True)
class Change:
    """What is different in one field, what it does to compatibility, and why, in a sentence."""

    field: str
    kind: Kind
    reason: str


@dataclass(frozen=True, slots=True)
class Compatibility:
    """The worst of all fields, and every change. A change of the kind identical alters no record's fate."""

    kind: Kind
    changes: tuple[Change, ...] = ()


def compare_schemas(old: Schema, new: Schema) -> Compatibility:
    """Return whether the new schema takes the records of the old one, and every change with its field and reason.

    If the kind is not identical, at least one change is of that kind.
    """
    return _together(list(_changes(old, new)))


def compare_for(old: Schema, new: Schema, used: Collection[str]) -> Compatibility:
    """Return what became of some fields, for who reads these alone: all that compare_schemas tells of them.

    A field that is new concerns whoever names it, and one that has another name now whoever named the old one.
    """
    return _together([one for one in _changes(old, new) if one.field in used])


def _together(changes: Sequence[Change]) -> Compatibility:
    kind = _worst(one.kind for one in changes)
    if kind == "breaking" and not any(one.kind == "breaking" for one in changes):
        wider, narrower = (next(one.field for one in changes if one.kind == kind) for kind in ("widening", "narrowing"))
        reason = f"It takes more than before while {narrower} takes less, so neither schema lies within the other."
        changes = [*changes, Change(wider, "breaking", reason)]
    return Compatibility(kind, tuple(changes))


def fits(stream: Schema, model: Schema) -> Compatibility:
    """Return whether a stream may feed a model, seen from the model.

    Identical and narrowing are fine, field by field. Widening: values may come that the model refuses. Breaking: it
    must not run, as when fractions would come for whole numbers, which Avro does not resolve.
    """
    changes = tuple(_strict(one, stream, model) for one in _changes(model, stream))
    kinds: tuple[Kind, ...] = ("breaking", "widening", "narrowing")
    return Compatibility(
        next((kind for kind in kinds if any(one.kind == kind for one in changes)), "identical"), changes
    )


def _strict(change: Change, stream: Schema, model: Schema) -> Change:
    """Return a change as breaking if the stream's field has fractions and the model's has none."""
    sent, wanted = ({one.name: one for one in schema.fields}.get(change.field) for schema in (stream, model))
    if change.kind != "widening" or sent is None or wanted is None:
        return change
    if sent.kind in FLOATS and wanted.kind in INTEGERS:
        reason = f"The stream sends {sent.kind}, the model takes {wanted.kind}: fractions do not become whole numbers."
        return Change(change.field, "breaking", reason)
    return change


def _worst(kinds: Iterable[Kind]) -> Kind:
    found = set(kinds) - {"identical"}
    if "breaking" in found or len(found) > 1:
        return "breaking"
    return next(iter(found), "identical")


def _changes(old: Schema, new: Schema) -> Iterator[Change]:
    before = {one.name: one for one in old.fields}
    after = {one.name: one for one in new.fields}
    renamed = _renamed(old, new)
    called = set(renamed.values())
    for name, field in before.items():
        if name in after:
            yield from _compare_fields(field, after[name])
        elif name in renamed:
            reason = f"{name} is called {renamed[name]} now; records are read by name, so neither side finds its field."
            yield Change(name, "breaking", reason)
        else:
            yield Change(name, "breaking", "It is gone: records that carry it have a field too many.")
    for name in after:
        if name not in before and name not in called:
            yield Change(name, "breaking", "It is new: records made before lack it.")
    yield from _order(old, new)


def _order(old: Schema, new: Schema) -> Iterator[Change]:
    shared = set(old.names) & set(new.names)
    common = [name for name in old.names if name in shared]
    now = [name for name in new.names if name in shared]
    moved = next((name for name, other in zip(now, common, strict=True) if name != other), None)
    if moved is not None:
        reason = "The order of the fields changed. Records are read by name; who sends packed rows has to follow it."
        yield Change(moved, "identical", reason)


def _renamed(old: Schema, new: Schema) -> dict[str, str]:
    """Return old and new names of fields that went and came with one definition, in one place or with similar names."""
    before, places = ({name: at for at, name in enumerate(schema.names)} for schema in (old, new))
    gone = [one for one in old.fields if one.name not in places]
    come: dict[Field, dict[str, int]] = {}
    for one in new.fields:
        if one.name not in before:
            come.setdefault(replace(one, name="", doc=""), {})[one.name] = places[one.name]
    found: dict[str, str] = {}
    for field in gone:
        alike = come.get(replace(field, name="", doc=""), {})
        close = difflib.get_close_matches(field.name, alike, 1) if len(gone) * len(alike) <= MOST_PAIRS else []
        if not close and before[field.name] < len(new.names) and new.names[before[field.name]] in alike:
            close = [new.names[before[field.name]]]
        if close:
            found[field.name] = close[0]
            del alike[close[0]]
    return found


def _compare_fields(old: Field, new: Field) -> list[Change]:
    if replace(old, doc=new.doc) == new:
        return []
    changes = [_unit(old, new)] if old.unit != new.unit else []
    if _family(old) != _family(new):
        changes.append(Change(old.name, "breaking", f"It was {_described(old)}, and is {_described(new)}."))
        return changes
    whole = _relation(old, new)
    parts = [Change(old.name, _aspect_kind(old, step, whole), reason) for step, reason in _steps(old, new)]
    if parts and whole not in {one.kind for one in parts}:
        parts.append(Change(old.name, whole, TOGETHER[whole]))
    return changes + parts


def _aspect_kind(old: Field, step: Field, whole: Kind) -> Kind:
    """Return the kind of one aspect's change taken alone, unless all aspects together say otherwise."""
    alone = _relation(old, step)
    return alone if whole == "breaking" or alone == "identical" else whole


def _steps(old: Field, new: Field) -> Iterator[tuple[Field, str]]:
    """Yield, for each aspect in which the fields differ, the old field with that aspect changed, and a reason."""
    typed = (old.kind == "enum") != (new.kind == "enum")
    if old.kind != new.kind:
        allowed = new.allowed if typed else old.allowed
        yield replace(old, type=new.type, items=new.items, allowed=allowed), _typed(old, new)
    for aspect in ASPECTS:
        before, after = getattr(old, aspect), getattr(new, aspect)
        if before != after and not (aspect == "allowed" and typed):
            yield replace(old, **{aspect: after}), _reason(aspect, before, after)


def _typed(old: Field, new: Field) -> str:
    if RANKS[old.kind] < RANKS[new.kind]:
        return f"{old.kind} became {new.kind}, which takes all that {old.kind} takes."
    return f"{old.kind} became {new.kind}, which takes only a part of what {old.kind} takes."


def _reason(aspect: str, before: Any, after: Any) -> str:
    if aspect == "nullable":
        return "It may be null now." if after else "It may not be null any more."
    if aspect == "allowed":
        return _listed(before, after)
    word = {"size": "number of values", "pattern": "pattern"}.get(aspect, aspect)
    if before in (None, ""):
        return f"A {word} is set now: {after}."
    if after in (None, ""):
        return f"The {word} {before} is gone."
    if aspect == "pattern":
        return f"The pattern was {before}, and is {after}; no rule tells which texts match both."
    return f"The {word} was {before}, and is {after}."


def _listed(before: tuple[Any, ...], after: tuple[Any, ...]) -> str:
    if not before:
        return f"Only {_few(after)} may come now."
    if not after:
        return "The list of allowed values is gone."
    more = [value for value in after if value not in before]
    less = [value for value in before if value not in after]
    words = [f"{_few(more)} may come now"] if more else []
    words += [f"{_few(less)} may not come any more"] if less else []
    return f"{'; '.join(words) or 'The allowed values stand in another order'}."


def _few(values: Iterable[Any]) -> str:
    found = [str(value) for value in values]
    return ", ".join(found[:MOST_TOLD]) + (f" and {len(found) - MOST_TOLD} more" if len(found) > MOST_TOLD else "")


def _unit(old: Field, new: Field) -> Change:
    if old.unit and new.unit:
        reason = f"The unit was {old.unit}, and is {new.unit}: the same number means something else."
        return Change(old.name, "breaking", reason)
    words = f"The unit {new.unit} is stated now" if new.unit else f"The unit {old.unit} is not stated any more"
    return Change(old.name, "identical", f"{words}; make sure that both sides mean it.")


def _family(field: Field) -> tuple[bool, str]:
    kind = "number" if field.numeric else "boolean" if field.kind == "boolean" else "text"
    return field.type == "array", kind


def _described(field: Field) -> str:
    return f"a list of {field.kind}" if field.type == "array" else field.kind


def _relation(old: Field, new: Field) -> Kind:
    """Return how the values of two fields of one family relate; a type that changed is never identical."""
    up, down = _within(old, new), _within(new, old)
    if up and down and old.kind != new.kind:
        up = RANKS[old.kind] < RANKS[new.kind]
        down = not up
    if up:
        return "identical" if down else "widening"
    return "narrowing" if down else "breaking"


def _within(one: Field, other: Field) -> bool:
    """Tell whether every value that one field takes is taken by the other; when in doubt, no."""
    if one.nullable and not other.nullable:
        return False
    if other.size is not None and one.size != other.size:
        return False
    listed = _values(one, len(other.allowed))
    if listed is not None:
        check = compile_scalar(other)
        return all(check(value) is None for value in listed)
    if other.allowed:
        return False
    return _number_within(one, other) if one.numeric else other.pattern in ("", one.pattern)


def _values(field: Field, few: int) -> list[Any] | None:
    """Return all single values that a field takes, in each form, if they are listed or as few as that; else None."""
    found: list[Any] = list(field.allowed)
    if field.kind == "boolean":
        found = found or [True, False]
    elif field.numeric and not found:
        low, high = _interval(field)
        if field.kind in FLOATS or high - low >= few:
            return None
        found = list(range(int(low), int(high) + 1))
    elif not found:
        return None
    if field.kind in FLOATS:
        found += [int(value) for value in found if value == math.floor(value)] + [float(value) for value in found]
    check = compile_scalar(field)
    return [value for value in found if check(value) is None]


def _interval(field: Field) -> tuple[float, float]:
    """Return the smallest and the largest number that a field takes; for whole numbers, whole ones."""
    whole = field.kind in INTEGERS
    low, high = INTEGERS[field.kind] if whole else (-FLOATS[field.kind], FLOATS[field.kind])
    low = low if field.minimum is None else max(low, math.ceil(field.minimum) if whole else field.minimum)
    high = high if field.maximum is None else min(high, math.floor(field.maximum) if whole else field.maximum)
    return low, high


def _number_within(one: Field, other: Field) -> bool:
    low, high = _interval(one)
    lowest, highest = _interval(other)
    if low > high:
        return True
    return lowest <= low and high <= highest and (other.kind in FLOATS or one.kind in INTEGERS)
