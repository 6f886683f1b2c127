"""What a replay found, as data and as text."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from engine.streams.replay.causes import CAUSES
from engine.streams.replay.differences import FieldReport
from engine.streams.replay.sides import MISSING
from engine.streams.rows import Reject

LONGEST = 200


@dataclass(frozen=True, slots=True)
class SideReport:
    """One side: records read, rejects by cause, records without a partner, twins, and examples of these.

    `alone` has the keys (or places) of the first records without a partner, `unreadable` the first that could not be
    decoded at all.
    """

    records: int
    seconds: float
    rejects: Mapping[str, int]
    missing: int
    twins: int
    alone: tuple[Any, ...]
    unreadable: tuple[Reject, ...]


@dataclass(frozen=True, slots=True)
class Predictions:
    """The model's answers to both sides: records compared, records scored on one side only, and fields that differ."""

    compared: int
    creation_only: int
    production_only: int
    fields: tuple[FieldReport, ...]
    seconds: float


@dataclass(frozen=True, slots=True)
class Report:
    """A replay. `seconds` is what comparing took, without reading and predicting."""

    creation: SideReport
    production: SideReport
    compared: int
    fields: tuple[FieldReport, ...]
    predictions: Predictions | None
    seconds: float

    @property
    def equal(self) -> bool:
        """Tell whether both sides hold the same records, and all are fit to be scored.

        A replay of no records proves nothing, and is not equal.
        """
        sides = all(not (one.rejects or one.missing or one.twins) for one in (self.creation, self.production))
        same = not any(one.differing for one in self.fields)
        found = self.predictions
        agree = found is None or not (
            found.creation_only or found.production_only or any(one.differing for one in found.fields)
        )
        return bool(self.compared) and sides and same and agree

    def to_dict(self) -> dict[str, Any]:
        """Return the report as plain JSON."""
        content: dict[str, Any] = plain(asdict(self))
        return {"equal": self.equal} | content

    def to_text(self) -> str:
        """Return the report for people, a finding a line."""
        lines = [f"{'EQUAL' if self.equal else 'NOT EQUAL'}: {self.compared:,} records compared, field by field."]
        for name, side in (("creation", self.creation), ("production", self.production)):
            lines += _side_lines(name, side)
        for one in self.fields:
            lines += _field_lines("", one)
        if self.predictions is not None:
            found = self.predictions
            lines.append(f"predictions: {found.compared:,} compared")
            for name, count in (("creation", found.creation_only), ("production", found.production_only)):
                lines += [f"  {count:,} scored in {name} only"] if count else []
            for one in found.fields:
                lines += _field_lines("prediction ", one)
        return "\n".join(lines)


def _side_lines(name: str, side: SideReport) -> list[str]:
    lines = [f"{name}: {side.records:,} records in {side.seconds:.1f} s"]
    lines += [f"  {count:,} rejected: {cause}" for cause, count in side.rejects.items()]
    lines += [f"    {one.message} {plain(one.raw)!r}" for one in side.unreadable]
    if side.missing:
        lines.append(f"  {side.missing:,} here only, such as {', '.join(map(str, plain(list(side.alone))))}")
    lines += [f"  {side.twins:,} came again under a key that was there"] if side.twins else []
    return lines


def _field_lines(prefix: str, one: FieldReport) -> list[str]:
    if not one.differing:
        return [f"{prefix}{one.field}: equal" + (f" (largest gap {one.worst:.3g})" if one.worst else "")]
    kinds = ", ".join(f"{kind} {count:,}" for kind, count in one.kinds.items())
    lines = [f"{prefix}{one.field}: {one.differing:,} differ ({kinds})"]
    for example in one.examples:
        guess = f" ({CAUSES[example.cause]})" if example.cause else ""
        lines.append(f"  {plain(example.creation)!r} became {plain(example.production)!r}: {example.kind}{guess}")
    return lines


def plain(value: Any) -> Any:
    """Return a value as JSON can hold it; what is missing becomes a word, and what is long is cut."""
    if isinstance(value, Mapping):
        return {str(key): plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [plain(one) for one in value[:LONGEST]]
    if value is MISSING:
        return repr(MISSING)
    if isinstance(value, str):
        return str(value)[:LONGEST].encode(errors="backslashreplace").decode()
    if isinstance(value, float) and (value != value or value in (float("inf"), float("-inf"))):
        return str(value)
    return value if value is None or isinstance(value, bool | int | float) else repr(value)[:LONGEST]
