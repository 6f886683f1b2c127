"""The population of changes: complete, narrowed to the asker, streamed, and harmless in a spreadsheet."""

import csv
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from audit.models import Account
from handoff.queries.changes import HEADINGS, changes, rows
from handoff.rules.tables import harmless, lines
from tests.handoff import building, walking
from tests.handoff.building import Place

API, PAGE = "/api/v1/changes/", "/changes/"


@pytest.fixture
def place(db: None) -> Place:
    """Return a site with two offers and a draft."""
    place = walking.a_site()
    for number in (1, 2):
        walking.offered(place, building.a_version(place, number, latency_p99_ms=100 + number))
    walking.drafted(place, building.a_version(place, 3, latency_p99_ms=103))
    return place


def period(days: int = 1) -> dict[str, str]:
    """Return a period about now."""
    now = timezone.now()
    return {"since": (now - timedelta(days=days)).isoformat(), "until": (now + timedelta(days=days)).isoformat()}


def table(place: Place, who: str, address: str = API, **asked: str) -> list[list[str]]:
    """Return what somebody downloads, cell by cell."""
    answer: Any = walking.client_of(place.people[who]).get(address, period() | asked)
    assert answer.status_code == 200, answer.content
    assert answer["Content-Type"] == "text/csv; charset=utf-8"
    return list(csv.reader(b"".join(answer.streaming_content).decode().splitlines()))


def test_every_offer_is_in_the_table_and_nothing_else(place: Place) -> None:
    head, *found = table(place, "vera")
    assert head == list(HEADINGS)
    assert [row[head.index("version")] for row in found] == ["1", "2"]
    assert table(place, "vera", PAGE, download="1") == [head, *found]


def test_the_period_and_the_asker_narrow_it(place: Place) -> None:
    now = timezone.now()
    later = {"since": (now + timedelta(hours=1)).isoformat(), "until": (now + timedelta(hours=2)).isoformat()}
    assert len(table(place, "vera", **later)) == len(table(place, "mallory")) == 1
    page = walking.client_of(place.vera).get(PAGE, period())
    assert "2 changes" in page.content.decode()


@pytest.mark.parametrize(
    "asked", [{}, {"since": "2026-01-01"}, {"since": "2026-02-01", "until": "2026-01-01"}, {"since": "x", "until": "y"}]
)
def test_a_period_that_is_none_is_refused(asked: dict[str, str], place: Place) -> None:
    client = walking.client_of(place.vera)
    assert client.get(API, asked).status_code == 422
    assert client.get(PAGE, asked).status_code == (422 if asked else 200)


@pytest.mark.parametrize(
    ("cell", "becomes"),
    [
        ("=1+1", "'=1+1"),
        ("+1", "'+1"),
        ("-1", "'-1"),
        ("@SUM(A1)", "'@SUM(A1)"),
        (" =1", "' =1"),
        ("\t=1", "'\t=1"),
        ("plain", "plain"),
        (-1, -1),
    ],
)
def test_no_cell_is_a_formula(cell: str | int, becomes: str | int) -> None:
    assert harmless(cell) == becomes


@pytest.mark.parametrize("door", [{"address": API}, {"address": PAGE, "download": "1"}])
def test_a_formula_in_a_name_stays_text(door: dict[str, str], place: Place) -> None:
    Account.objects.filter(pk=place.dana.pk).update(first_name='=HYPERLINK("http://x")', last_name="")
    head, *found = table(place, "vera", **door)
    assert {row[head.index("offered_by")] for row in found} == {'\'=HYPERLINK("http://x")'}


def test_it_costs_four_queries_and_comes_line_by_line(place: Place, django_assert_num_queries: Any) -> None:
    now = timezone.now()
    found = changes(place.vera, now - timedelta(days=1), now + timedelta(days=1))
    with django_assert_num_queries(4):
        assert len(list(lines(rows(found)))) == 3
