"""What was scored lately, in figures: a few numbers for each interval of the clock, never the records themselves."""

from __future__ import annotations

import copy
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Mapping
from math import inf
from typing import Any

from engine.schemas import Schema
from engine.streams.rows import Rows

EVERY_S = 10
INTERVALS = 60
MOST_FIELDS = 6
MOST_LABELS = 8
LONGEST_LABEL = 60
OTHER = "(other)"


class Scores:
    """The outputs of a run by interval: how many came, the mean and the ends of numbers, and how often each label came.

    Single numbers, texts, symbols and truth values are followed, in the order of the schema and at most six; lists are
    not. A null is in the interval's count alone.
    """

    def __init__(self, outputs: Schema, *, now: Callable[[], float] = time.time) -> None:
        """Begin empty. `now` tells the seconds since 1970."""
        self._fields = tuple(one for one in outputs.fields if one.type != "array")[:MOST_FIELDS]
        self._kinds = {one.name: "number" if one.numeric else "label" for one in self._fields}
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
            for one in self._fields:
                values = [value for record in records if (value := record[one.name]) is not None]
                if values:
                    add = _with_numbers if one.numeric else _with_labels
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
