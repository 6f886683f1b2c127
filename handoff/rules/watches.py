"""What engines have counted of a deployment: added up over their restarts, and the figures that limits are held to."""

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import accumulate
from typing import Any

from engine.counters import BUCKETS
from handoff.plans import Counted

BOUNDS_MS = tuple(round(1000 * bound, 3) for bound in BUCKETS)
NOTHING = (0,) * (len(BUCKETS) + 1)
ENOUGH = 100  # requests; fewer say nothing of a percentage or a percentile
HOUR = timedelta(hours=1)
MARK_EVERY = timedelta(minutes=5)
MOST_PERCENT = 100
MOST_MS = 5000  # below the last bound of the buckets, so that what takes longer is known to


@dataclass(frozen=True, slots=True)
class Counts:
    """Requests by how they ended: scored, failed (5xx, a breach of the output schema too), or refused (4xx).

    Refused is what the client sent wrongly. It counts neither for the version nor against it.
    """

    scored: int = 0
    failed: int = 0
    refused: int = 0
    records: int = 0
    buckets: tuple[int, ...] = NOTHING

    @property
    def requests(self) -> int:
        """Return how many requests the version answered for."""
        return self.scored + self.failed

    @property
    def failed_percent(self) -> float:
        """Return the share of the requests that failed; 0 of none."""
        return round(100 * self.failed / self.requests, 3) if self.requests else 0.0

    @property
    def p99_ms(self) -> float | None:
        """Return the 99th percentile of the latency; None of fewer than a hundred scored requests.

        Interpolated inside its bucket, as `histogram_quantile` of Prometheus does; never above the last bound.
        """
        below = [0, *accumulate(self.buckets)]  # how many stand in the buckets before each
        if below[-1] < ENOUGH:
            return None
        rank = 0.99 * below[-1]
        at = bisect_left(below, rank) - 1
        lower, upper = (0.0, *BOUNDS_MS)[at], (*BOUNDS_MS, BOUNDS_MS[-1])[at]
        return round(lower + (upper - lower) * (rank - below[at]) / self.buckets[at], 3)

    def __add__(self, other: "Counts") -> "Counts":
        """Return both together."""
        return self._with(other, 1)

    def __sub__(self, other: "Counts") -> "Counts":
        """Return what came since; never less than nothing."""
        return self._with(other, -1)

    def _with(self, other: "Counts", sign: int) -> "Counts":
        *mine, buckets = self.as_list()
        *its, others = other.as_list()
        numbers = [max(0, a + sign * b) for a, b in zip([*mine, *buckets], [*its, *others], strict=True)]
        scored, failed, refused, records = numbers[:4]
        return Counts(scored, failed, refused, records, tuple(numbers[4:]))

    def as_list(self) -> list[Any]:
        """Return plain data, as it is kept."""
        return [self.scored, self.failed, self.refused, self.records, list(self.buckets)]


@dataclass(frozen=True, slots=True)
class CanaryFact:
    """How far a canary is: since when it is watched and was last seen, in minutes, and its counts since then."""

    minutes: float = 0.0
    scored: int = 0
    failed: int = 0
    p99_ms: float | None = None
    unseen_minutes: float | None = None

    @property
    def requests(self) -> int:
        """Return how many requests it answered for."""
        return self.scored + self.failed


@dataclass(frozen=True, slots=True)
class Mark:
    """What had been counted in all at an instant."""

    at: datetime
    total: Counts

    def as_list(self) -> list[Any]:
        """Return plain data, as it is kept."""
        return [self.at.isoformat(), *self.total.as_list()]


def counts_of(told: Counted) -> Counts:
    """Return what an engine told of one version, by how the requests ended."""
    ends = {
        "scored": sum(n for status, n in told.statuses.items() if status < 400),
        "failed": sum(n for status, n in told.statuses.items() if status >= 500),
        "refused": sum(n for status, n in told.statuses.items() if 400 <= status < 500),
    }
    return Counts(**ends, records=told.records, buckets=told.buckets)


def read_counts(kept: Sequence[Any]) -> Counts:
    """Return counts that were kept as plain data."""
    scored, failed, refused, records, buckets = kept
    return Counts(scored, failed, refused, records, tuple(buckets))


def read_mark(kept: Sequence[Any]) -> Mark:
    """Return a mark that was kept as plain data."""
    return Mark(datetime.fromisoformat(kept[0]), read_counts(kept[1:]))


def came_since(before: Counts | None, began: float, now: Counts, began_now: float) -> Counts:
    """Return what an engine counted between two looks.

    Of the first look nothing: what stands there already, such as the replay of the golden records, is no traffic of the
    deployment. Where counting began anew, as after a restart, all of it.
    """
    if before is None:
        return Counts()
    return now - before if began == began_now else now


def marked(marks: Sequence[Mark], at: datetime, total: Counts) -> tuple[Mark, ...]:
    """Return the marks with one more where the last is five minutes old, and without those that no hour needs."""
    due = not marks or at - marks[-1].at >= MARK_EVERY
    found = [*marks, Mark(at, total)] if due else list(marks)
    older = [mark for mark in found if mark.at <= at - HOUR]
    return tuple(older[-1:] + [mark for mark in found if mark.at > at - HOUR])


def of_the_hour(marks: Sequence[Mark], at: datetime, total: Counts) -> tuple[datetime, Counts]:
    """Return since when, and what was counted in the hour before an instant, or in less where nothing is older."""
    older = [mark for mark in marks if mark.at <= at - HOUR] or list(marks[:1])
    return (older[-1].at, total - older[-1].total) if older else (at, Counts())


def too_many(failed: int, requests: int, percent: float) -> bool:
    """Tell whether more failed than a percentage allows; fewer than a hundred requests are taken for a hundred."""
    return 100 * failed > percent * max(requests, ENOUGH)


def told_failed(failed: int, requests: int) -> str:
    """Return how many failed, in words."""
    percent = 100 * failed / requests if requests else 0.0
    return f"{percent:.3g} % failed, {failed} of {requests}"
