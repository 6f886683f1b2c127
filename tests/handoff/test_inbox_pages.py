"""The inbox shows a page at a time: the soonest due first, nothing twice, nothing left out, whatever else happens."""

from datetime import timedelta

import pytest
from django.core.cache import cache
from django.test import Client
from django.utils import timezone

from handoff.models import Handoff
from handoff.queries import inbox
from handoff.queries.inbox import count_of, inbox_of
from handoff.services import handoffs
from models_registry.access import held_by
from tests.handoff import building, walking
from tests.handoff.building import Place
from tests.handoff.walking import by

pytestmark = pytest.mark.django_db


@pytest.fixture
def site(monkeypatch: pytest.MonkeyPatch) -> Place:
    """Return a place with five drafts and offers of dana's, where a page holds two."""
    monkeypatch.setattr(inbox, "PAGE", 2)
    place = walking.a_site()
    for number in range(1, 4):
        walking.drafted(place, building.a_version(place, number))
    for number in (4, 5):
        walking.offered(place, building.a_version(place, number))
    return place


def pages_of(site: Place, who: str) -> list[list[int]]:
    """Return the numbers of the versions on each page of somebody's inbox, as the pages are turned."""
    account, after, pages = site.people[who], None, []
    while not pages or after is not None:
        page = inbox_of(account, held_by(account), after)
        pages.append(sorted({entry.task.handoff.version.number for entry in page.entries}))
        after = page.after
        assert len(pages) < 9
    return pages


def test_each_handoff_stands_on_one_page_and_the_offers_that_end_come_first(site: Place) -> None:
    pages = pages_of(site, "dana")
    assert pages[0] == [4, 5]  # they have to be answered until a day
    assert sorted(number for page in pages for number in page) == [1, 2, 3, 4, 5]
    assert [len(page) for page in pages] == [2, 2, 1]


def test_whatever_waits_for_somebody_else_fills_no_page(site: Place) -> None:
    assert pages_of(site, "vera") == [[]]  # nothing to sign before the checklist is answered
    for number in (4, 5):
        walking.answered(site, Handoff.objects.get(version__number=number))
    assert pages_of(site, "vera") == [[4, 5]]
    assert pages_of(site, "mallory") == [[]]


def test_a_page_goes_on_behind_those_that_wait_for_nobody_here(site: Place) -> None:
    """Two offers end sooner than what vera is asked for; she finds hers all the same."""
    last = walking.answered(site, walking.offered(site, building.a_version(site, 6)))
    Handoff.objects.filter(pk=last.pk).update(expires_at=timezone.now() + timedelta(days=300))
    assert pages_of(site, "vera") == [[6]]


def test_more_than_is_judged_for_one_page_is_on_the_next(site: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inbox, "MOST", 3)
    walking.offered(site, building.a_version(site, 7))
    last = walking.answered(site, walking.offered(site, building.a_version(site, 6)))
    Handoff.objects.filter(pk=last.pk).update(expires_at=timezone.now() + timedelta(days=300))
    pages = pages_of(site, "vera")
    assert [number for page in pages for number in page] == [6]
    assert pages[0] == []
    answer = walking.client_of(site.vera).get("/")
    assert b"Nothing here waits for you" in answer.content
    assert b"Due later" in answer.content


def test_a_page_that_goes_on_behind_what_is_done_starts_anew(site: Place) -> None:
    behind = inbox_of(site.dana, held_by(site.dana)).after
    handoffs.withdraw(actor=by(site.dana), handoff_id=str(behind), reason="Not needed any more.")
    again = inbox_of(site.dana, held_by(site.dana), behind)
    assert [one.task.key for one in again.entries] == [one.task.key for one in walking.inbox(site.dana)]
    assert behind not in {one.task.handoff.pk for one in again.entries}


def test_the_menu_tells_that_there_is_more_than_it_counted(site: Place) -> None:
    count, more = count_of(site.dana)
    assert more
    page = walking.client_of(site.dana).get("/handoffs/").content.decode()
    assert f">{count}+<" in "".join(page.split())
    assert count_of(site.vera) == (0, False)


def shown_to(browser: Client) -> str:
    """Return the number in the menu of a page that is not the inbox."""
    return str(browser.get("/delegations/").context["inbox_count"])


def test_the_number_is_counted_once_a_minute_and_whenever_its_holder_does_something(site: Place) -> None:
    cache.clear()
    vera, dana = walking.client_of(site.vera), walking.client_of(site.dana)
    assert shown_to(vera) == ""
    offer = walking.answered(site, Handoff.objects.get(version__number=4))
    assert shown_to(vera) == ""  # somebody else did that, less than a minute ago
    vera.post("/account/reauthenticate/", {"password": "not it"})
    assert shown_to(vera) == "1"
    handoffs.withdraw(actor=by(site.dana), handoff_id=str(offer.pk), reason="Not needed any more.")
    assert shown_to(vera) == "1"
    assert vera.get("/").context["inbox_count"] == shown_to(vera) == ""  # the inbox itself counts always
    assert shown_to(dana) == "3+"  # each has a number of their own


def test_the_pages_lead_to_each_other_in_the_browser_and_over_the_api(site: Place) -> None:
    browser = walking.client_of(site.dana)
    first = browser.get("/")
    assert b"or more things wait for you" in b" ".join(first.content.split())
    behind = first.context["after"]
    second = browser.get(f"/?after={behind}")
    assert b"The soonest due" in second.content
    shown = [bundle.handoff.pk for answer in (first, second) for bundle in answer.context["bundles"]]
    assert len(set(shown)) == len(shown) == 4
    assert browser.get("/?after=what").context["bundles"][0].handoff.pk == shown[0]
    assert _over_the_api(browser) == _keys(site)


def _keys(site: Place) -> list[str]:
    """Return the handoffs of dana's inbox in the order in which its pages show them."""
    account, after, keys = site.dana, None, []
    while True:
        page = inbox_of(account, held_by(account), after)
        keys += [str(entry.task.handoff.pk) for entry in page.entries]
        if page.after is None:
            return keys
        after = page.after


def _over_the_api(browser: Client) -> list[str]:
    """Return the handoffs that the API tells of, page by page."""
    keys, there = [], "/api/v1/inbox/"
    while there:
        page = browser.get(there).json()
        keys += [task["handoff"] for task in page["results"]]
        there = page["next"]
    return keys


def test_the_api_refuses_a_place_to_go_on_that_is_none(site: Place) -> None:
    answer = walking.client_of(site.dana).get("/api/v1/inbox/?after=what")
    assert answer.status_code == 422
    assert "after" in answer.json()["fields"]
