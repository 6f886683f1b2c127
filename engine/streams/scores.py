"""What was scored lately, in figures: a few numbers for each interval of the clock, never the records themselves."""

from __future__ import annotations

import copy
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import inf
from typing import Any

from engine.fields import Field
from engine.schemas import Schema
from engine.streams.rows import Rows

EVERY_S = 10
INTERVALS = 60
MOST_FIELDS = 6
MOST_LABELS = 8
LONGEST_LABEL = 60
OTHER = "(other)"


@dataclass(frozen=True, slots=True)
class Followed:
    """What is followed under a name: a field, or one place of a list of numbers; as numbers, or as labels."""

    name: str
    field: str
    place: int | None
    kind: str

    def values(self, records: Sequence[Mapping[str, Any]]) -> list[Any]:
        """Return what N records have there, without nulls."""
        found = [value for record in records if (value := record[self.field]) is not None]
        return found if self.place is None else [value[self.place] for value in found]


class Scores:
    """The outputs of a run by interval: how many came, the mean and the ends of numbers, and how often each label came.

    Labels are texts, symbols, truth values, and numbers of which the schema allows only some. Lists of numbers are
    followed place by place if their size is in the schema, other lists not at all; six in all, in the schema's order.
    """

    def __init__(self, outputs: Schema, *, now: Callable[[], float] = time.time) -> None:
        """Begin empty. `now` tells the seconds since 1970."""
        self._followed = [one for field in outputs.fields for one in _followed(field)][:MOST_FIELDS]
        self._kinds = {one.name: one.kind for one in self._followed}
        self._now = now
        self._intervals: deque[dict[str, Any]] = deque(maxlen=INTERVALS)
        self._lock = threading.Lock()  # one thread scores, another tells

    def add(self, rows: Rows) -> None:
        """Count N rows of outputs into the interval in which it is now."""
        if not rows:
            return
        records = rows.records
        with self._lock:
            interval = self._current()
            interval["count"] += len(records)
            for one in self._followed:
                values = one.values(records)
                if values:
                    add = _with_numbers if one.kind == "number" else _with_labels
                    interval["fields"][one.name] = add(interval["fields"].get(one.name, {}), values)

    def told(self) -> dict[str, Any]:
        """Return the figures as JSON: `every_s`, the followed `fields`, and the `intervals` from old to new.

        An interval has `at` (its begin in seconds since 1970), `count`, and by field either `count`, `mean`, `min` and
        `max`, or `labels` with how often each came. Intervals in which nothing came are left out.
        """
        with self._lock:
            return {"every_s": EVERY_S, "fields": self._kinds, "intervals": copy.deepcopy(list(self._intervals))}

    def take_up(self, told: Mapping[str, Any]) -> None:
        """Go on behind figures that an earlier process of the same run told."""
        if (told.get("every_s"), told.get("fields")) == (EVERY_S, self._kinds):
            self._intervals.extend(told["intervals"])

    def _current(self) -> dict[str, Any]:
        """Return the interval of the clock; a clock that was set back goes on in the last one."""
        at = int(self._now() // EVERY_S) * EVERY_S
        if not self._intervals or self._intervals[-1]["at"] < at:
            self._intervals.append({"at": at, "count": 0, "fields": {}})
        return self._intervals[-1]


def _followed(field: Field) -> list[Followed]:
    """Return what is followed of a field; nothing of lists that may be long, or that are not of numbers."""
    kind = "number" if field.numeric and not field.allowed else "label"
    if field.type != "array":
        return [Followed(field.name, field.name, None, kind)]
    if field.size is None or kind == "label":
        return []
    return [Followed(f"{field.name}[{at}]", field.name, at, kind) for at in range(min(field.size, MOST_FIELDS))]


def _with_numbers(known: Mapping[str, Any], values: list[Any]) -> dict[str, Any]:
    """Return what is known of a field's numbers with some more of them."""
    count, before = len(values), known.get("count", 0)
    mean = sum(value / count for value in values) if abs(total := float(sum(values))) == inf else total / count
    if not before:
        return {"count": count, "mean": mean, "min": min(values), "max": max(values)}
    share = count / (before + count)
    return {
        "count": before + count,
        "mean": known["mean"] * (1 - share) + mean * share,
        "min": min(known["min"], *values),
        "max": max(known["max"], *values),
    }


def _with_labels(known: Mapping[str, Any], values: list[Any]) -> dict[str, Any]:
    """Return what is known of a field's labels with some more of them; beyond the first eight they are others."""
    labels = dict(known.get("labels", {}))
    for value, count in Counter(values).items():
        label = str(value).lower() if isinstance(value, bool) else str(value)[:LONGEST_LABEL]
        label = label if label in labels or len(labels) < MOST_LABELS else OTHER
        labels[label] = labels.get(label, 0) + count
    return {"labels": labels}
