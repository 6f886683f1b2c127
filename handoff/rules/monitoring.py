"""The least that is watched of what is live, and what breaks its limits."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import datetime, timedelta
from typing import Any

from handoff.rules.reading import Reader
from handoff.rules.watches import MOST_MS, MOST_PERCENT, Counts, told_failed, too_many

KEYS = ("most_failed_percent", "most_p99_ms", "most_silent_hours", "most_unseen_minutes")
LONGEST_SILENCE = 8784  # hours: a year
LONGEST_UNSEEN = 1440  # minutes: a day
SHORTEST_UNSEEN = 2  # minutes; a worker asks every minute
USUAL = {"most_failed_percent": 1.0, "most_unseen_minutes": 30}


@dataclass(frozen=True, slots=True)
class MonitoringRules:
    """What a policy says of monitoring; None is no limit, and without the key there is none."""

    most_failed_percent: float | None = None
    most_p99_ms: int | None = None
    most_silent_hours: int | None = None
    most_unseen_minutes: int | None = None

    def __bool__(self) -> bool:
        """Tell whether anything is watched."""
        return any(getattr(self, one.name) is not None for one in fields(self))

    def words(self) -> str:
        """Return it in words."""
        told = []
        if self.most_failed_percent is not None:
            told.append(f"at most {self.most_failed_percent:g} % failed in an hour")
        if self.most_p99_ms is not None:
            told.append(f"a 99th percentile of at most {self.most_p99_ms} ms")
        if self.most_silent_hours is not None:
            told.append(f"at most {self.most_silent_hours} hours without a request")
        if self.most_unseen_minutes is not None:
            told.append(f"seen at least every {self.most_unseen_minutes} minutes")
        return "what is live is monitored: " + ", ".join(told)


@dataclass(frozen=True, slots=True)
class Figures:
    """What is known of a live deployment: since when it is watched, when it was last seen and used, and its last hour.

    `error` is why it was not seen at the last look.
    """

    began_at: datetime
    seen_at: datetime | None
    last_at: datetime | None
    hour_since: datetime
    hour: Counts
    error: str = ""


def read_monitoring(reader: Reader, raw: Any) -> MonitoringRules:
    """Read `monitoring` of a policy; without it nothing is held to limits."""
    if raw is None:
        return MonitoringRules()
    place = "monitoring"
    row = reader.mapping(place, raw)
    reader.unknown(place, row, KEYS)
    given = {**USUAL, **{key: row[key] for key in KEYS if key in row}}

    def whole(key: str, least: int, most: int, of: str) -> int | None:
        return reader.whole(f"{place}.{key}", given[key], least, most, of=of) if key in given else None

    return MonitoringRules(
        reader.number(f"{place}.most_failed_percent", given["most_failed_percent"], 0, MOST_PERCENT),
        whole("most_p99_ms", 1, MOST_MS, "of milliseconds "),
        whole("most_silent_hours", 1, LONGEST_SILENCE, "of hours "),
        whole("most_unseen_minutes", SHORTEST_UNSEEN, LONGEST_UNSEEN, "of minutes "),
    )


def united(one: Mapping[str, Any] | None, other: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """Return what two policies both allow: of each limit the smaller; None where neither asks for any."""
    if one is None and other is None:
        return None
    both: list[Mapping[str, Any]] = [{**USUAL, **part} for part in (one, other) if part is not None]
    return {key: min(part[key] for part in both if key in part) for key in KEYS if any(key in part for part in both)}


def broken(rules: MonitoringRules, known: Figures, now: datetime, *, stopped: bool = False) -> dict[str, str]:
    """Return a sentence for each limit that is broken, by its subject.

    Silence is told as of the last look that was answered, and not of what is `stopped`, which answers nobody.
    """
    found, hour, seen = {}, known.hour, known.seen_at or known.began_at
    percent, p99, silent = rules.most_failed_percent, rules.most_p99_ms, rules.most_silent_hours
    if percent is not None and too_many(hour.failed, hour.requests, percent):
        found["failed"] = f"In an hour {told_failed(hour.failed, hour.requests)}; the policy allows {percent:g} %."
    if p99 is not None and hour.p99_ms is not None and hour.p99_ms > p99:
        found["p99"] = f"The 99th percentile of the latency was {hour.p99_ms:g} ms in an hour; {p99} ms are allowed."
    last = known.last_at or known.began_at
    if silent is not None and not stopped and seen - last > timedelta(hours=silent):
        found["silent"] = f"No request came since {_at(last)}; the policy allows {silent} hours of silence."
    unseen = rules.most_unseen_minutes
    if unseen is not None and now - seen > timedelta(minutes=unseen):
        why = f": {known.error}" if known.error else ""
        found["unseen"] = f"What its engine counts is not known since {_at(seen)}{why}"
    return found


def _at(instant: datetime) -> str:
    return f"{instant:%-d %b %Y, %H:%M} UTC"
