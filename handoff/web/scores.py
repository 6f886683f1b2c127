"""The scores that a run told lately, drawn: steps over the last ten minutes, as paths for an SVG of 600 by 100."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

SLOTS = 60
WIDE = 10.0
HIGH = 100.0
GAP = 1.0
FLAT = 0.5  # what has no height shows, too
SHADES = 5
FIGURE = "{:.4g}"


@dataclass(frozen=True, slots=True)
class Label:
    """One label of a plot: how often it came, and the bars that show it."""

    name: str
    count: int
    share: float
    path: str


@dataclass(frozen=True, slots=True)
class Plot:
    """One field, or the number of records, over time. `top` and `bottom` label the axis; a path may be empty."""

    title: str
    words: str
    top: str
    bottom: str
    bars: str = ""
    band: str = ""
    line: str = ""
    labels: tuple[Label, ...] = ()


@dataclass(frozen=True, slots=True)
class Line:
    """One interval in the table: when it began, how many records came, and each field in words."""

    at: datetime
    count: int
    cells: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Scores:
    """All plots of a run, and the same as a table, the newest interval first."""

    begin: datetime
    end: datetime
    every_s: int
    plots: tuple[Plot, ...]
    heads: tuple[str, ...]
    lines: tuple[Line, ...]


@dataclass(frozen=True, slots=True)
class Interval:
    """What came in one interval; `slot` is its place from the left."""

    slot: int
    at: int
    count: int
    fields: Mapping[str, Any]


def scores_of(run: Mapping[str, Any]) -> Scores | None:
    """Return the plots of what a run told; None if it told no scores of its last ten minutes, or nothing readable."""
    try:
        told = run["scores"]
        every, kinds = int(told["every_s"]), dict(told["fields"])
        last = datetime.fromisoformat(run["told_at"]).timestamp()
        begin = (int(last // every) - SLOTS + 1) * every
        given = [
            Interval((one["at"] - begin) // every, one["at"], one["count"], one["fields"]) for one in told["intervals"]
        ]
        intervals = [one for one in given if 0 <= one.slot < SLOTS]
        if not intervals:
            return None
        plots = [_counted(intervals, every)]
        plots += [(_numbers if kind == "number" else _labels)(name, intervals) for name, kind in kinds.items()]
        lines = [
            Line(_day(one.at), one.count, tuple(_cell(one.fields.get(name)) for name in kinds))
            for one in reversed(intervals)
        ]
    except (KeyError, TypeError, ValueError, AttributeError, ArithmeticError):  # an engine's words, not ours
        return None
    return Scores(_day(begin), _day(begin + SLOTS * every), every, tuple(plots), tuple(kinds), tuple(lines))


def _interval(told: Mapping[str, Any], begin: int, every: int) -> Interval:
    return Interval((told["at"] - begin) // every, told["at"], told["count"], told["fields"])


def _counted(intervals: Sequence[Interval], every: int) -> Plot:
    total, most = sum(one.count for one in intervals), max(one.count for one in intervals)
    words = f"{total} records, at most {most} in {every} seconds"
    return Plot(
        "Records scored", words, str(most), "0", bars=_boxes((one.slot, one.count / most, 0) for one in intervals)
    )


def _numbers(name: str, intervals: Sequence[Interval]) -> Plot:
    """Return a plot of the mean, with a band from the least to the most."""
    known = [(one.slot, one.fields[name]) for one in intervals if name in one.fields]
    if not known:
        return Plot(name, "no value came", "", "")
    low, high = min(one["min"] for _, one in known), max(one["max"] for _, one in known)
    count = sum(one["count"] for _, one in known)
    mean = sum(one["mean"] * (one["count"] / count) for _, one in known)
    words = f"mean {FIGURE.format(mean)}, from {FIGURE.format(low)} to {FIGURE.format(high)}"
    if low == high:
        low, high = low - 1, high + 1

    def height(value: float) -> float:
        return value / (high - low) - low / (high - low)

    band = _boxes(((slot, height(one["max"]), height(one["min"])) for slot, one in known), gap=0)
    line = _line((slot, height(one["mean"])) for slot, one in known)
    return Plot(name, words, FIGURE.format(high), FIGURE.format(low), band=band, line=line)


def _labels(name: str, intervals: Sequence[Interval]) -> Plot:
    """Return a plot of the share of each label; the rarest ones go together."""
    known = {one.slot: Counter(one.fields[name]["labels"]) for one in intervals if name in one.fields}
    totals = sum(known.values(), Counter())
    if not totals:
        return Plot(name, "no value came", "", "")
    first = [label for label, _ in totals.most_common(SHADES if len(totals) <= SHADES else SHADES - 1)]
    groups = {label: [label] for label in first}
    if len(first) < len(totals):
        groups["all others"] = [label for label in totals if label not in first]
    floors = dict.fromkeys(known, 0.0)
    drawn = []
    for title, members in groups.items():
        boxes = []
        for slot, found in known.items():
            share = sum(found[member] for member in members) / found.total()
            if share:
                boxes.append((slot, floors[slot] + share, floors[slot]))
                floors[slot] += share
        count = sum(totals[member] for member in members)
        drawn.append(Label(title, count, count / totals.total(), _boxes(boxes)))
    words = ", ".join(f"{one.name} {one.share:.0%}" for one in drawn)
    return Plot(name, words, "100 %", "0", labels=tuple(drawn))


def _boxes(boxes: Iterable[tuple[int, float, float]], gap: float = GAP) -> str:
    """Return a path of a box for each slot, from its top to its bottom, which are heights from 0 to 1."""
    parts = []
    for slot, top, bottom in boxes:
        left, high = slot * WIDE, HIGH * (1 - top)
        deep = max(HIGH * (1 - bottom), high + FLAT)
        parts.append(f"M{left:.1f} {deep:.2f}V{high:.2f}H{left + WIDE - gap:.1f}V{deep:.2f}Z")
    return "".join(parts)


def _line(points: Iterable[tuple[int, float]]) -> str:
    """Return a path in steps that breaks off where nothing came."""
    parts, before = [], -2
    for slot, height in points:
        joint = "V" if slot == before + 1 else f"M{slot * WIDE:.1f} "
        parts.append(f"{joint}{HIGH * (1 - height):.2f}H{(slot + 1) * WIDE:.1f}")
        before = slot
    return "".join(parts)


def _cell(figures: Mapping[str, Any] | None) -> str:
    if not figures:
        return "none"
    if "labels" in figures:
        return ", ".join(f"{name} {count}" for name, count in sorted(figures["labels"].items()))
    mean, low, high = (FIGURE.format(figures[key]) for key in ("mean", "min", "max"))
    return f"{mean} ({low} to {high})"


def _day(seconds: int) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
