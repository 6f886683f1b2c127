"""When approvals run out, hang on conditions or are asked for anew: every case of a small scope, in plain words."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import product

import pytest

from handoff.rules.lapses import AgainFact, ConditionFact, asked_again, lapse, ran_out, runs_out

SIGNED = datetime(2026, 3, 2, 12, tzinfo=UTC)
DAY = timedelta(days=1)
TICK = timedelta(microseconds=1)


@dataclass(frozen=True)
class Given:
    """An approval."""

    signed_at: str = SIGNED.isoformat()
    conditions: tuple[ConditionFact, ...] = ()
    again: AgainFact | None = None


def again(asked: int, due: int) -> AgainFact:
    """Return that it is asked for anew some days after it was given, and due some days after that."""
    return AgainFact("the owner changed", (SIGNED + asked * DAY).isoformat(), (SIGNED + due * DAY).isoformat())


def condition(due: int) -> ConditionFact:
    """Return a condition that is due some days after the approval."""
    return ConditionFact("c", f"show it by day {due}", (SIGNED + due * DAY).isoformat(), 1, "Dana")


def test_every_end_of_an_approval() -> None:
    """The days of the rule, the due day of an approval anew, both in either order, or neither; around each instant."""
    for days, due in product((0, 10, 20), (0, 10, 15)):
        given = Given(again=again(5, due) if due else None)
        ends = [SIGNED + at * DAY for at in (days, due) if at]
        first = min(ends) if ends else None
        assert runs_out(given, days) == first
        assert bool(ran_out(given, days, None)) == bool(ends)
        for at, tick in product((0, 10, 15, 20), (-TICK, 0 * TICK, TICK)):
            now = SIGNED + at * DAY + tick
            gone = first is not None and now >= first
            words = ran_out(given, days, now)
            assert bool(words) == gone, (days, due, now)
            if gone and first is not None:
                because = ", for the owner changed" if due and first == SIGNED + due * DAY else ""
                assert words == f"ran out on {first.day} {first:%B} 2026{because}"
            assert lapse(given, days, now) == words


@pytest.mark.parametrize("dues", [(), (3,), (3, 6), (6, 3)])
def test_every_condition_must_be_met_in_time(dues: tuple[int, ...]) -> None:
    """The first in the list that is overdue is named; where nobody knows the time, it is; running out is worse."""
    given = Given(conditions=tuple(condition(one) for one in dues))
    for at, tick in product((0, 3, 6), (-TICK, 0 * TICK)):
        now = SIGNED + at * DAY + tick
        late = [one for one in dues if now >= SIGNED + one * DAY]
        words = lapse(given, 0, now)
        assert words == (
            f"hangs on a condition that was due on {2 + late[0]} March 2026: show it by day {late[0]}" if late else ""
        )
    assert bool(lapse(given, 0, None)) == bool(dues)
    assert lapse(given, 1, SIGNED + 9 * DAY) == "ran out on 3 March 2026"


def test_it_is_asked_for_anew_from_its_instant_on() -> None:
    """Before that, and where nobody knows the time, or nothing asks for it, it is not."""
    fact = again(5, 10)
    for tick in (-TICK, 0 * TICK, TICK):
        now = SIGNED + 5 * DAY + tick
        assert asked_again(Given(again=fact), now) == (fact if tick >= 0 * TICK else None)
        assert asked_again(Given(), now) is None
    assert asked_again(Given(again=fact), None) is None
