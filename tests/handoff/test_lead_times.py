"""Lead times and returns: read from the trail, narrowed to the asker, and shown through both doors."""

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from handoff.models import Return
from handoff.outcomes import send_back
from handoff.queries.lead_times import lead_times
from handoff.states import State
from tests.handoff import building, walking
from tests.handoff.building import Place

API, PAGE = "/api/v1/lead-times/", "/lead-times/"


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
