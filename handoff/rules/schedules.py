"""When a batch is due: five fields of cron, read in a time zone.

The fields are those of crontab(5): where both a day of the month and a weekday are named, either will do. A due time is
a time on the clocks of the zone. As in RFC 5545, 3.3.5, one that the clocks skip in spring is as much later as they
skip, and one that they show twice in autumn is the first of the two: so each comes exactly once.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from difflib import get_close_matches
from functools import cache
from heapq import heappop, heappush
from itertools import islice, takewhile
from typing import Any
from zoneinfo import ZoneInfo, available_timezones

from cronsim import CronSim, CronSimError

from handoff.errors import Invalid

FIELDS = ("minute", "hour", "day of the month", "month", "weekday")
LONGEST = 100
MOST_MISSED = 1000
# How far back the newest due time is looked for: the first that is far enough.
WINDOWS = [timedelta(hours=1), timedelta(days=1), timedelta(days=32), timedelta(days=366), timedelta(days=366 * 50)]
DAY = timedelta(days=1)
ANY_DAY = datetime(2000, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Due:
    """The newest time at which something was due, and how many due times before it were missed."""

    at: datetime
    missed: int


@dataclass(frozen=True, slots=True)
class Schedule:
    """A schedule that was read."""

    cron: str
    zone: str

    def after(self, moment: datetime) -> Iterator[datetime]:
        """Yield the due times behind a moment, in UTC, from early to late; there is no last one."""
        zone = ZoneInfo(self.zone)
        waiting: list[datetime] = []  # a time that was skipped comes behind some that are later on the clocks
        for wall in CronSim(self.cron, _wall(moment, zone) - _skipped(moment, zone)):
            due = wall.replace(tzinfo=zone).astimezone(UTC)
            if due > moment and due not in waiting:
                heappush(waiting, due)
            while waiting and _wall(waiting[0], zone) <= wall:
                yield heappop(waiting)

    def next(self, moment: datetime) -> datetime:
        """Return the first due time behind a moment, in UTC."""
        return next(self.after(moment))

    def newest(self, after: datetime, until: datetime) -> Due | None:
        """Return the newest due time behind one moment and up to another, or None; at most 1,000 count as missed."""
        if self.next(after) > until:
            return None
        for window in WINDOWS:
            found = [*takewhile(lambda due: due <= until, self.after(until - window))]
            if found:
                break
        all_of_them = takewhile(lambda due: due < found[-1], self.after(after))
        return Due(found[-1], sum(1 for _ in islice(all_of_them, MOST_MISSED)))

    def local(self, moment: datetime) -> datetime:
        """Return a moment as the clocks of the zone show it."""
        return moment.astimezone(ZoneInfo(self.zone))

    @property
    def words(self) -> str:
        """Return the schedule in words."""
        return f"{CronSim(self.cron, ANY_DAY).explain()}, {self.zone}"


def schedule_of(bindings: Mapping[str, Any]) -> Schedule | None:
    """Return the schedule in bindings that were read; None where there is none."""
    told = bindings.get("schedule")
    return Schedule(told["cron"], told["zone"]) if told else None


def read_schedule(raw: Any) -> dict[str, str]:
    """Return a schedule: `cron`, five fields, and `zone`, a name of the IANA data base.

    Raises Invalid that names the odd field, or says that it is never due.
    """
    if not isinstance(raw, Mapping) or set(raw) - {"cron", "zone"}:
        raise _odd("schedule", 'must be {"cron": "0 2 * * *", "zone": "Europe/Berlin"}')
    cron, zone = raw.get("cron"), raw.get("zone")
    parts = cron.split() if isinstance(cron, str) and len(cron) <= LONGEST else []
    if len(parts) != len(FIELDS):
        raise _odd("schedule.cron", f"must have five fields: {', '.join(FIELDS)}")
    for place, (part, name) in enumerate(zip(parts, FIELDS, strict=True)):
        alone = [part if at == place else "*" for at in range(len(parts))]
        if not _reads(" ".join(alone)):
            raise _odd("schedule.cron", f"has {part!r} as {name}, which no cron knows")
    if not _reads(" ".join(parts)):
        raise _odd("schedule.cron", "is never due: no month of these has such a day")
    if not isinstance(zone, str) or zone not in zones():
        near = get_close_matches(str(zone), zones())
        mean = f"; did you mean {near[0]}?" if near else ", such as Europe/Berlin or UTC"
        raise _odd("schedule.zone", f"must be a time zone of the IANA data base{mean}")
    return {"cron": " ".join(parts), "zone": zone}


def _reads(cron: str) -> bool:
    """Tell whether an expression is one, and is ever due."""
    try:
        return next(CronSim(cron, ANY_DAY), None) is not None
    except CronSimError:
        return False


@cache
def zones() -> frozenset[str]:
    """Return all time zones; they are looked for once, for that reads every file of the data base."""
    return frozenset(available_timezones())


def _wall(moment: datetime, zone: ZoneInfo) -> datetime:
    """Return what the clocks of a zone show."""
    return moment.astimezone(zone).replace(tzinfo=None)


def _skipped(moment: datetime, zone: ZoneInfo) -> timedelta:
    """Return by how much clocks went forward in the day before a moment; times that they skipped may be due yet."""
    return max(_wall(moment, zone) - _wall(moment - DAY, zone) - DAY, timedelta())


def _odd(place: str, words: str) -> Invalid:
    return Invalid("The schedule cannot be read.", code="schedule_odd", fields={f"bindings.{place}": words})
