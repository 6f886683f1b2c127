"""Read the windows and freezes of a policy."""

import re
from collections.abc import Mapping
from datetime import date
from typing import Any

from handoff.rules.reading import Reader, likeness
from handoff.rules.schedules import zones
from handoff.rules.windows import DAYS, WHOLE_DAY, Freeze, Opening, Window

WINDOW_KEYS = ("zone", "open")
OPENING_KEYS = ("days", "from", "to")
FREEZE_KEYS = ("name", "zone", "from", "to")
CLOCK = re.compile(r"([01][0-9]|2[0-3]):([0-5][0-9])")
LONGEST_YEAR = 9998


def read_windows(reader: Reader, raw: Any) -> tuple[Window, ...]:
    """Read the windows, each of which must be open."""
    return tuple(_window(reader, f"windows[{at}]", row) for at, row in enumerate(reader.rows("windows", raw)))


def read_freezes(reader: Reader, raw: Any) -> tuple[Freeze, ...]:
    """Read the freezes, none of which may hold."""
    return tuple(_freeze(reader, f"freezes[{at}]", row) for at, row in enumerate(reader.rows("freezes", raw)))


def _window(reader: Reader, place: str, row: Mapping[str, Any]) -> Window:
    reader.unknown(place, row, WINDOW_KEYS)
    openings = reader.rows(f"{place}.open", row.get("open"))
    if not openings:
        reader.wrong(f"{place}.open", "is empty, so that nothing could ever be deployed")
    read = tuple(_opening(reader, f"{place}.open[{at}]", one) for at, one in enumerate(openings))
    return Window(_zone(reader, place, row), read)


def _opening(reader: Reader, place: str, row: Mapping[str, Any]) -> Opening:
    reader.unknown(place, row, OPENING_KEYS)
    begins, ends = (_minute(reader, f"{place}.{key}", row.get(key)) for key in ("from", "to"))
    if begins == WHOLE_DAY:
        reader.wrong(f"{place}.from", "must be before 24:00")
    if begins == ends:
        reader.wrong(f"{place}.to", "is the time at which it opens; for a whole day say 00:00 to 24:00")
    return Opening(reader.subset(f"{place}.days", row.get("days", list(DAYS)), DAYS), begins, ends)


def _freeze(reader: Reader, place: str, row: Mapping[str, Any]) -> Freeze:
    reader.unknown(place, row, FREEZE_KEYS)
    first, last = (_date(reader, f"{place}.{key}", row.get(key)) for key in ("from", "to"))
    if last < first:
        reader.wrong(f"{place}.to", "is before the first day")
    return Freeze(reader.text(f"{place}.name", row.get("name")), _zone(reader, place, row), first, last)


def _zone(reader: Reader, place: str, row: Mapping[str, Any]) -> str:
    zone = row.get("zone")
    if isinstance(zone, str) and zone in zones():
        return zone
    reader.wrong(f"{place}.zone", f"must be a time zone such as Europe/Berlin{likeness(str(zone), zones())}")
    return "UTC"


def _minute(reader: Reader, place: str, raw: Any) -> int:
    if raw == "24:00":
        return WHOLE_DAY
    found = CLOCK.fullmatch(raw) if isinstance(raw, str) else None
    if found is None:
        reader.wrong(place, "must be a time such as 09:30, up to 24:00")
        return 0
    return int(found[1]) * 60 + int(found[2])


def _date(reader: Reader, place: str, raw: Any) -> date:
    try:
        found = date.fromisoformat(raw) if isinstance(raw, str) else None
    except ValueError:
        found = None
    if found is None or found.isoformat() != raw or found.year > LONGEST_YEAR:
        reader.wrong(place, "must be a day such as 2026-12-24")
        return date(2000, 1, 1)
    return found
