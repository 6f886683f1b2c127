"""Lead times and returns: counted by hand, narrowed to the asker, and shown through both doors."""

from datetime import UTC, datetime, timedelta
from itertools import product
from typing import Any

import pytest
from django.utils import timezone

from handoff.models import Return
from handoff.outcomes import send_back
from handoff.queries.lead_times import lead_times
from handoff.rules.lead_times import Move, Told, in_words, nearest_rank, summary
from handoff.states import State
from tests.handoff import building, walking
from tests.handoff.building import Place

API, PAGE = "/api/v1/lead-times/", "/lead-times/"
START = datetime(2026, 3, 1, tzinfo=UTC)
PATH = ("draft", "in_review", "testing", "ready", "deploying", "live")


def told(hours: list[float], team: str = "Analytics", *, back: bool = False) -> Told:
    """Return a handoff that stayed so many hours in each step; the last move returns it, if it comes back."""
    at, moves = START, []
    for here, (stay, there) in enumerate(zip(hours, PATH[1:], strict=False)):
        at += timedelta(hours=stay)
        to = "returned" if back and here == len(hours) - 1 else there
        moves.append(Move(at, PATH[here], to))
    return Told(team, "Tumours", START, moves, ["performance"] if back else [])


def test_steps_are_timed_from_move_to_move() -> None:
    found = summary([told([1, 2, 3, 4, 5]), told([1, 4, 1, 1, 1]), told([2, 9], "Ward", back=True)])
    assert (found.offered, found.live, found.returned) == (3, 2, 1)
    assert {one.name: (one.count, one.median, one.ninth) for one in found.steps} == {
        "draft": (3, 3600, 7200), "in_review": (3, 4 * 3600, 9 * 3600), "testing": (2, 3600, 3 * 3600),
        "ready": (2, 3600, 4 * 3600), "deploying": (2, 3600, 5 * 3600), "confirming": (0, None, None),
    }  # fmt: skip
    assert (found.whole.count, found.whole.median, found.whole.ninth) == (2, 7 * 3600, 14 * 3600)
    assert [(one.name, one.offered, one.live, one.returned, one.median) for one in found.teams] == [
        ("Analytics", 2, 2, 0, 7 * 3600), ("Ward", 1, 0, 1, None),
    ]  # fmt: skip
    assert found.reasons == (("performance", 1),)
    assert found.returned_from == (("in_review", 1),)
    assert found.bounced == (("Tumours", 1),)


def test_what_went_live_again_counts_once_and_clocks_never_run_back() -> None:
    one = told([1, 1, 1, 1, 1])
    again = [
        Move(START + timedelta(days=9), "live", "superseded"),
        Move(START + timedelta(days=10), "superseded", "live"),
    ]
    found = summary([Told(one.team, one.model, START + timedelta(days=1), [*one.moves, *again])])
    assert (found.live, found.whole.median) == (1, 4 * 3600)
    assert found.steps[0].median == 0


def test_nothing_gives_nothing() -> None:
    found = summary([])
    assert (found.offered, found.whole.median, found.teams, found.bounced) == (0, None, (), ())


def test_a_rank_is_the_least_value_that_enough_do_not_exceed() -> None:
    for size in range(1, 6):
        for values in product(range(4), repeat=size):
            for tenths in range(1, 11):
                found = nearest_rank(values, tenths / 10)
                enough = [one for one in values if 10 * sum(other <= one for other in values) >= tenths * size]
                assert found == min(enough), (values, tenths)


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(None, "–"), (0.2, "under 1 s"), (59.4, "59 s"), (61, "1 min 1 s"), (7_200, "2 h"), (200_000, "2 d 7 h")],
)
def test_lengths_are_told_in_two_units(seconds: float | None, words: str) -> None:
    assert in_words(seconds) == words


@pytest.fixture
def place(db: None) -> Place:
    """Return a site with an offer that was returned and one that is in review."""
    place = walking.a_site()
    first = walking.offered(place, building.a_version(place, 1))
    walking.offered(place, building.a_version(place, 2, "other"))
    send_back(first, [Return.Reason.COST], "It is too dear.", actor=walking.by(place.vera))
    return place


def period(days: int = 1) -> dict[str, str]:
    now = timezone.now()
    return {"since": (now - timedelta(days=days)).isoformat(), "until": (now + timedelta(days=days)).isoformat()}


def test_moves_are_read_from_the_trail(place: Place) -> None:
    now = timezone.now()
    found = lead_times(place.vera, now - timedelta(days=1), now + timedelta(days=1))
    assert (found.offered, found.returned, found.live) == (2, 1, 0)
    assert found.returned_from == ((State.IN_REVIEW.value, 1),)
    assert found.reasons == (("cost", 1),)
    assert found.steps[0].count == 2
    assert lead_times(place.mallory, now - timedelta(days=1), now + timedelta(days=1)).offered == 0
    assert lead_times(place.vera, now + timedelta(days=1), now + timedelta(days=2)).offered == 0


def test_both_doors_tell_the_same(place: Place) -> None:
    answer: Any = walking.client_of(place.vera).get(API, period())
    body = answer.json()
    assert (body["offered"], body["returned"]) == (2, 1)
    assert body["reasons"] == [{"name": "cost", "number": 1}]
    assert body["steps"][0]["name"] == "draft"
    page = walking.client_of(place.vera).get(PAGE).content.decode()
    for words in ("2 offered, 0 of them went live, 1 returned", "Returned because of", "cost", "Review gate"):
        assert words in " ".join(page.split())
    stranger = walking.client_of(place.mallory).get(PAGE).content.decode()
    assert "Nothing was offered in that period" in stranger


@pytest.mark.parametrize(
    ("asked", "field"),
    [
        ({}, "since"),
        ({"since": "2026-02-01", "until": "2026-01-01"}, "until"),
        ({"since": "x", "until": "2026-01-01"}, "since"),
    ],
)
def test_an_odd_period_is_refused_with_its_field(place: Place, asked: dict[str, str], field: str) -> None:
    answer = walking.client_of(place.vera).get(API, asked)
    assert answer.status_code == 422
    assert field in answer.json()["fields"]
    if asked:
        page = walking.client_of(place.vera).get(PAGE, asked)
        assert page.status_code == 422
        assert "How long each step takes" not in page.content.decode()
