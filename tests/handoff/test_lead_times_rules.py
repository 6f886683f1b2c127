"""Lead times as a rule: what is counted of moves, by hand, and how lengths are told."""

from datetime import UTC, datetime, timedelta
from itertools import product

import pytest

from handoff.rules.lead_times import Count, Move, Team, Time, Told, in_words, nearest_rank, summary

START = datetime(2026, 3, 1, tzinfo=UTC)
PATH = ("draft", "in_review", "testing", "ready", "deploying", "live")
HOUR = 3600.0


def told(hours: list[float], team: str = "Analytics", model: str = "Tumours", *, back: tuple[str, ...] = ()) -> Told:
    """Return a handoff that stayed so many hours in each step; the last move returns it if there is a reason."""
    at, moves = START, []
    for here, (stay, there) in enumerate(zip(hours, PATH[1:], strict=False)):
        at += timedelta(hours=stay)
        moves.append(Move(at, PATH[here], "returned" if back and here == len(hours) - 1 else there))
    return Told(team, model, START, moves, back)


def test_steps_are_timed_from_move_to_move() -> None:
    """All figures by hand: of three handoffs of two teams, one of them returned."""
    found = summary([told([1, 2, 3, 4, 5]), told([1, 4, 1, 1, 1]), told([2, 9], "Ward", back=("performance",))])
    assert (found.offered, found.live, found.returned) == (3, 2, 1)
    assert found.whole == Time("whole", "From offer to live", 2, 7 * HOUR, 14 * HOUR)
    assert found.steps == (
        Time("draft", "Draft", 3, HOUR, 2 * HOUR),
        Time("in_review", "Review gate", 3, 4 * HOUR, 9 * HOUR),
        Time("testing", "Promotion tests", 2, HOUR, 3 * HOUR),
        Time("ready", "Release gate", 2, HOUR, 4 * HOUR),
        Time("deploying", "Deployment", 2, HOUR, 5 * HOUR),
        Time("confirming", "Confirm gate", 0, None, None),
    )
    assert found.teams == (Team("Analytics", 2, 2, 0, 7 * HOUR), Team("Ward", 1, 0, 1, None))
    assert found.reasons == (Count("performance", 1),)
    assert found.returned_from == (Count("in_review", 1),)
    assert found.bounced == (Count("Tumours", 1),)


def test_a_step_that_goes_on_counts_nowhere_and_a_return_is_no_way_to_live() -> None:
    found = summary([told([1, 2])])
    assert {one.name: one.count for one in found.steps if one.count} == {"draft": 1, "in_review": 1}
    assert (found.offered, found.live, found.returned, found.whole.median) == (1, 0, 0, None)
    assert found.teams == (Team("Analytics", 1, 0, 0, None),)
    assert found.reasons == found.returned_from == found.bounced == ()


def test_where_the_offer_is_not_on_record_nothing_is_said_of_the_way_to_live() -> None:
    found = summary([Told("Ward", "Doses", START, [Move(START + timedelta(hours=5), "deploying", "live")])])
    assert (found.offered, found.live, found.whole.median) == (1, 0, None)
    assert found.teams == (Team("Ward", 1, 0, 0, None),)


def test_what_went_live_again_counts_once_and_clocks_never_run_back() -> None:
    one = told([1, 1, 1, 1, 1])
    again = [
        Move(START + timedelta(days=9), "live", "superseded"),
        Move(START + timedelta(days=10), "superseded", "live"),
    ]
    found = summary([Told(one.team, one.model, START + timedelta(days=1), [*one.moves, *again])])
    assert (found.live, found.whole.median) == (1, 4 * HOUR)
    assert [step.median for step in found.steps] == [0, HOUR, HOUR, HOUR, HOUR, None]
    turned = [Move(START, "draft", "in_review"), Move(START - timedelta(hours=1), "in_review", "live")]
    assert summary([Told("Ward", "Doses", START, turned)]).whole.median == 0


def test_what_came_most_often_stands_first_and_equals_stand_by_name() -> None:
    found = summary(
        [
            told([1], model="Scans", back=("safety", "cost")),
            told([1, 1], model="Doses", back=("cost",)),
            told([1, 1], model="Scans", back=("latency",)),
            told([1, 1, 1], model="Wards", back=()),
        ]
    )
    assert found.reasons == (Count("cost", 2), Count("latency", 1), Count("safety", 1))
    assert found.returned_from == (Count("in_review", 2), Count("draft", 1))
    assert found.bounced == (Count("Scans", 2), Count("Doses", 1))
    assert (found.returned, found.teams[0].returned) == (3, 3)


def test_nothing_gives_nothing() -> None:
    found = summary([])
    assert (found.offered, found.live, found.returned, found.whole.median, found.teams) == (0, 0, 0, None, ())


def test_a_rank_is_the_least_value_that_enough_do_not_exceed() -> None:
    for size in range(1, 6):
        for values in product(range(4), repeat=size):
            for tenths in range(1, 11):
                found = nearest_rank(values, tenths / 10)
                enough = [one for one in values if 10 * sum(other <= one for other in values) >= tenths * size]
                assert found == min(enough), (values, tenths)
    assert nearest_rank([], 0.5) is None
    assert nearest_rank([3, 1, 2], 0) == 1  # of no share at all the least


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (None, "–"),
        (0, "under 1 s"),
        (0.2, "under 1 s"),
        (1, "1 s"),
        (59.4, "59 s"),
        (60, "1 min"),
        (61, "1 min 1 s"),
        (3_599, "59 min 59 s"),
        (3_600, "1 h"),
        (7_325, "2 h 2 min"),
        (86_399, "23 h 59 min"),
        (86_400, "1 d"),
        (86_460, "1 d 1 min"),
        (200_000, "2 d 7 h"),
    ],
)
def test_lengths_are_told_in_two_units(seconds: float | None, words: str) -> None:
    assert in_words(seconds) == words
