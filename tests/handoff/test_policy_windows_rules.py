"""How the windows and freezes of a policy are written: times to the minute, whole days, and a zone."""

from datetime import date
from typing import Any

import pytest

from handoff.rules.policy_windows import LONGEST_YEAR, read_freezes, read_windows
from handoff.rules.reading import Reader
from handoff.rules.windows import DAYS, Freeze, Opening, Window

BERLIN = "Europe/Berlin"
YEAR_END = {"name": "Year end", "zone": BERLIN, "from": "2026-12-18", "to": "2027-01-04"}
TIME = "must be a time such as 09:30, up to 24:00"
DAY = "must be a day such as 2026-12-24"
ZONE = "must be a time zone such as Europe/Berlin"
ANY_DAY = date(2000, 1, 1)


def window(**opening: Any) -> tuple[Any, Any]:
    """Return what a window with one opening is read as, and what is wrong with it."""
    reader = Reader()
    return read_windows(reader, [{"zone": BERLIN, "open": [opening]}]), reader.mistakes


def freeze(**other: Any) -> tuple[Any, Any]:
    """Return what a freeze is read as, and what is wrong with it."""
    reader = Reader()
    return read_freezes(reader, [YEAR_END | other]), reader.mistakes


@pytest.mark.parametrize(
    ("begins", "ends", "minutes"),
    [
        ("00:00", "24:00", (0, 1440)),
        ("08:05", "19:59", (485, 1199)),
        ("23:59", "00:00", (1439, 0)),
        ("20:00", "02:30", (1200, 150)),
    ],
)
def test_an_opening_is_read_to_its_minutes(begins: str, ends: str, minutes: tuple[int, int]) -> None:
    found = window(days=["fri", "mon"], **{"from": begins, "to": ends})
    assert found == ((Window(BERLIN, (Opening(("mon", "fri"), *minutes),)),), {})
    every = window(**{"from": begins, "to": ends})
    assert every == ((Window(BERLIN, (Opening(DAYS, *minutes),)),), {})


@pytest.mark.parametrize("time", ["24:01", "25:00", "09:60", "9:30", "09:30 ", "0930", "", None, 930, ["09:30"]])
def test_what_is_no_time_is_told(time: Any) -> None:
    assert window(**{"from": time, "to": "09:00"})[1] == {"windows[0].open[0].from": TIME}
    found, wrong = window(**{"from": "09:00", "to": time})
    assert (found[0].openings, wrong) == ((Opening(DAYS, 540, 0),), {"windows[0].open[0].to": TIME})


@pytest.mark.parametrize(
    ("opening", "place", "told"),
    [
        ({"from": "24:00", "to": "09:00"}, "from", "must be before 24:00"),
        (
            {"from": "09:00", "to": "09:00"},
            "to",
            "is the time at which it opens; for a whole day say 00:00 to 24:00",
        ),
        ({"from": "09:00", "to": "10:00", "days": []}, "days", f"must be a list, not empty, of {', '.join(DAYS)}"),
        ({"from": "09:00", "to": "10:00", "on": ["mon"]}, "on", "is not known; known are days, from, to"),
    ],
)
def test_what_is_no_opening_is_told(opening: dict[str, Any], place: str, told: str) -> None:
    assert window(**opening)[1] == {f"windows[0].open[0].{place}": told}


def test_a_window_opens_sometime_and_each_is_read_in_its_place() -> None:
    reader = Reader()
    good = {"zone": "UTC", "open": [{"from": "09:00", "to": "10:00"}, {"from": "11:00", "to": "12:00"}]}
    found = read_windows(reader, [good, {"zone": BERLIN, "open": [], "shut": []}, {"zone": "UTC", "open": "always"}])
    assert found == (
        Window("UTC", (Opening(DAYS, 540, 600), Opening(DAYS, 660, 720))),
        Window(BERLIN, ()),
        Window("UTC", ()),
    )
    assert reader.mistakes == {
        "windows[1].open": "is empty, so that nothing could ever be deployed",
        "windows[1].shut": "is not known; known are open, zone",
        "windows[2].open": "must be a list of at most 200 mappings",
    }


def test_windows_and_freezes_are_lists() -> None:
    reader = Reader()
    assert (read_windows(reader, {}), read_freezes(reader, None)) == ((), ())
    assert set(reader.mistakes) == {"windows", "freezes"}
    assert (read_windows(Reader(), []), read_freezes(Reader(), [])) == ((), ())


@pytest.mark.parametrize(
    ("zone", "told"),
    [
        ("Europe/Berlim", f"{ZONE} (did you mean Europe/Berlin?)"),
        ("../etc/passwd", ZONE),
        ("", ZONE),
        (None, ZONE),
        ([], ZONE),
        (7, ZONE),
    ],
)
def test_what_is_no_zone_is_told(zone: Any, told: str) -> None:
    reader = Reader()
    [found] = read_windows(reader, [{"zone": zone, "open": [{"from": "09:00", "to": "10:00"}]}])
    assert (found.zone, reader.mistakes) == ("UTC", {"windows[0].zone": told})
    assert freeze(zone=zone)[1] == {"freezes[0].zone": told}


def test_a_freeze_is_read_from_its_first_day_to_its_last() -> None:
    assert freeze() == ((Freeze("Year end", BERLIN, date(2026, 12, 18), date(2027, 1, 4)),), {})
    [one] = freeze(to="2026-12-18")[0]
    assert (one.first, one.last) == (date(2026, 12, 18), date(2026, 12, 18))
    assert freeze(to="2026-12-18")[1] == {}
    assert freeze(to="2026-12-17")[1] == {"freezes[0].to": "is before the first day"}


def test_a_freeze_has_a_name_and_nothing_else() -> None:
    assert freeze(name="", until="soon")[1] == {
        "freezes[0].name": "must be a text of at most 1000 characters",
        "freezes[0].until": "is not known; known are from, name, to, zone",
    }
    reader = Reader()
    read_freezes(reader, [YEAR_END, YEAR_END | {"from": "soon"}])
    assert reader.mistakes == {"freezes[1].from": DAY}


@pytest.mark.parametrize(
    "day",
    ["2026-02-30", "20260201", "2026-W05-1", "2026-2-1", "2026-02-01 ", "soon", "", None, 20260201, ["2026-02-01"]],
)
def test_what_is_no_day_is_told(day: Any) -> None:
    found, wrong = freeze(**{"from": day})
    assert (found[0].first, wrong) == (ANY_DAY, {"freezes[0].from": DAY})
    found, wrong = freeze(**{"from": "1999-12-31", "to": day})
    assert (found[0].last, wrong) == (ANY_DAY, {"freezes[0].to": DAY})


def test_the_last_day_of_all_has_a_day_after_it() -> None:
    """So that the end of a freeze can be told."""
    assert freeze(to=f"{LONGEST_YEAR}-12-31")[1] == {}
    assert freeze(to=f"{LONGEST_YEAR + 1}-01-01")[1] == {"freezes[0].to": DAY}
