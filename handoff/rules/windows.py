"""When a version may be deployed: windows that come back every week, and freezes between two days, each in a time zone.

What counts is the clock on the wall of the zone. An hour that it skips is never there, so that nothing opens in it;
an hour that it shows twice opens what falls into it twice.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from heapq import merge
from itertools import pairwise
from zoneinfo import ZoneInfo

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
WHOLE_DAY = 24 * 60
HORIZON = 400


@dataclass(frozen=True, slots=True)
class Opening:
    """From one minute of some days to another; where the second is not later, to that of the day after."""

    days: tuple[str, ...]
    begins: int
    ends: int

    def holds(self, day: int, minute: int) -> bool:
        """Tell whether it is open at a minute of a day of the week; Monday is 0."""
        today, yesterday = DAYS[day] in self.days, DAYS[day - 1] in self.days
        if self.begins < self.ends:
            return today and self.begins <= minute < self.ends
        return (today and minute >= self.begins) or (yesterday and minute < self.ends)

    def words(self) -> str:
        """Return it as people read it."""
        days = ", ".join(self.days) if len(self.days) < len(DAYS) else "every day"
        begins, ends = (f"{minute // 60:02}:{minute % 60:02}" for minute in (self.begins, self.ends))
        return f"{days} {begins} to {ends}"


@dataclass(frozen=True, slots=True)
class Window:
    """The openings of a week on the clock of one zone; one of them is enough."""

    zone: str
    openings: tuple[Opening, ...]

    def words(self) -> str:
        """Return the openings as people read them."""
        return "; ".join(one.words() for one in self.openings) + f" ({self.zone})"

    def open_at(self, now: datetime) -> bool:
        """Tell whether it is open at an instant."""
        there = now.astimezone(ZoneInfo(self.zone))
        return any(one.holds(there.weekday(), there.hour * 60 + there.minute) for one in self.openings)


@dataclass(frozen=True, slots=True)
class Freeze:
    """Days on which nothing is deployed, the first and the last included."""

    name: str
    zone: str
    first: date
    last: date

    def words(self) -> str:
        """Return it as people read it."""
        return f"{self.name}, {self.first} to {self.last} ({self.zone})"

    def holds_at(self, now: datetime) -> bool:
        """Tell whether it holds at an instant."""
        return self.first <= now.astimezone(ZoneInfo(self.zone)).date() <= self.last


def open_at(windows: Sequence[Window], freezes: Sequence[Freeze], now: datetime) -> bool:
    """Tell whether something may be deployed at an instant: every window is open, and no freeze holds."""
    return all(one.open_at(now) for one in windows) and not any(one.holds_at(now) for one in freezes)


def next_opening(windows: Sequence[Window], freezes: Sequence[Freeze], now: datetime) -> datetime | None:
    """Return the first instant after `now` at which something may be deployed, within 400 days; None if there is none.

    Only where a window begins or a day does can that be, so those instants are tried in turn.
    """
    now = now.astimezone(UTC)
    begins = [_begins(one.zone, {o.begins for o in one.openings}, now) for one in windows]
    begins += [_begins(one.zone, set(), now) for one in freezes]
    return next((at for at in merge(*begins) if at > now and open_at(windows, freezes, at)), None)


def told(at: datetime | None, zone: str) -> str:
    """Return an instant as people of a zone read it."""
    if at is None:
        return "never within a year"
    there = at.astimezone(ZoneInfo(zone))
    return f"{there:%a} {there.day} {there:%b %Y, %H:%M} ({zone})"


def _begins(zone: str, minutes: set[int], now: datetime) -> Iterator[datetime]:
    """Give, in order, when days and these minutes of them begin; on a day of odd length every minute."""
    where = ZoneInfo(zone)
    today = now.astimezone(where).date()
    days = (today + timedelta(days=at) for at in range(HORIZON + 2))
    midnights = (datetime.combine(day, time(), tzinfo=where).astimezone(UTC) for day in days)
    for begin, end in pairwise(midnights):
        long = int((end - begin).total_seconds()) // 60
        wanted = sorted({0, *minutes} - {WHOLE_DAY}) if long == WHOLE_DAY else range(long)
        yield from (begin + timedelta(minutes=minute) for minute in wanted)
