"""Join what several workers told of their scores, as if one had told it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from engine.streams.scores import INTERVALS, MOST_LABELS, OTHER

Told = Mapping[str, Any]


def joined(one: Told | None, other: Told) -> Told:
    """Return the figures of two, as `Scores.told` has them; of figures of another form, only the later ones."""
    if one is None or (one["every_s"], one["fields"]) != (other["every_s"], other["fields"]):
        return other
    intervals = {interval["at"]: interval for interval in one["intervals"]}
    for interval in other["intervals"]:
        before = intervals.get(interval["at"])
        intervals[interval["at"]] = _interval(before, interval) if before else interval
    latest = [intervals[at] for at in sorted(intervals)][-INTERVALS:]
    return {**other, "intervals": latest}


def _interval(one: Told, other: Told) -> dict[str, Any]:
    fields = dict(one["fields"])
    for name, told in other["fields"].items():
        join = _labels if "labels" in told else _numbers
        fields[name] = join(fields[name], told) if name in fields else told
    return {"at": one["at"], "count": one["count"] + other["count"], "fields": fields}


def _numbers(one: Told, other: Told) -> dict[str, Any]:
    count = one["count"] + other["count"]
    mean = one["mean"] * (one["count"] / count) + other["mean"] * (other["count"] / count)
    return {"count": count, "mean": mean, "min": min(one["min"], other["min"]), "max": max(one["max"], other["max"])}


def _labels(one: Told, other: Told) -> dict[str, Any]:
    labels = dict(one["labels"])
    for label, count in other["labels"].items():
        label = label if label in labels or len(labels) < MOST_LABELS else OTHER
        labels[label] = labels.get(label, 0) + count
    return {"labels": labels}
