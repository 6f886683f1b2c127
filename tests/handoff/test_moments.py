"""An environment as it was at an instant: versions, owners, approvals and waivers, on the page and over the API."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.utils import timezone

from handoff.models import Deployment
from handoff.queries.moments import environment_at
from models_registry.models import ImportException
from tests.handoff import building, walking
from tests.handoff.building import Place
from tests.queries.counting import approve, deployed, signed

pytestmark = pytest.mark.django_db


@pytest.fixture
def place() -> Place:
    """Return a site where a version went live, and another one after it."""
    place = walking.a_site()
    for number in (1, 2):
        handoff = building.tested(signed(place, building.a_version(place, number, latency_p99_ms=100 + number)))
        approve(handoff, place.otto, "release")
        deployed(handoff)
    return place


def at(place: Place, moment: datetime, who: str = "vera") -> Any:
    """Return the answer of the API."""
    client = walking.client_of(place.people[who])
    return client.get("/api/v1/environments/production/moment/", {"at": moment.isoformat()})


def test_each_instant_has_its_own_version_owner_and_approvers(place: Place) -> None:
    first, second = Deployment.objects.order_by("live_at")
    assert first.live_at is not None
    assert second.live_at is not None
    for deployment, instants in (
        (first, (first.live_at, second.live_at - timedelta(microseconds=1))),
        (second, (second.live_at, timezone.now())),
    ):
        for instant in instants:
            told = at(place, instant).json()
            (served,) = told["served"]
            assert (served["digest"], served["version"]) == (deployment.digest, deployment.version.number)
            assert served["owner"] == place.otto.printed_name
            signers = {row["printed_name"] for row in served["approvals"]}
            assert signers == set(deployment.handoff.signoffs.values_list("printed_name", flat=True))
            assert served["policy_digest"] == deployment.handoff.policy_digest
    before = at(place, first.live_at - timedelta(microseconds=1)).json()
    assert before["served"] == []
    assert [datetime.fromisoformat(turn) for turn in told["turns"]] == sorted(
        {first.live_at, second.live_at, first.ended_at}, reverse=True
    )


def test_a_signature_that_ended_later_counted_then(place: Place) -> None:
    newest = Deployment.objects.latest("live_at")
    signoff = newest.handoff.signoffs.latest("signed_at")
    before = timezone.now()
    type(signoff).objects.filter(pk=signoff.pk).update(voided_at=timezone.now(), voided_because="for a test")
    counted = [
        {row["id"] for row in at(place, instant).json()["served"][0]["approvals"]}
        for instant in (before, timezone.now())
    ]
    assert [str(signoff.pk) in ids for ids in counted] == [True, False]


def test_waivers_are_in_force_from_their_grant_to_their_end(place: Place) -> None:
    now = timezone.now()
    told = {"environment": place.target, "library": "torch", "reason": "x", "asked_by": place.dana}
    granted = {"answer": "granted", "answered_by": place.otto, "comment": "x"}
    ImportException.objects.create(
        version="1.0", answered_at=now - timedelta(days=2), until=(now + timedelta(days=9)).date(), **told, **granted
    )
    ImportException.objects.create(version="2.0", **told)
    instants = (now - timedelta(days=3), now - timedelta(days=1))
    assert [[one["version"] for one in at(place, one).json()["waivers"]] for one in instants] == [[], ["1.0"]]


def test_the_page_shows_the_same_and_steps_from_change_to_change(place: Place) -> None:
    client = walking.client_of(place.vera)
    first, second = Deployment.objects.order_by("live_at")
    assert first.live_at is not None
    now = client.get("/environments/production/as-it-was/").content.decode()
    assert f"v{second.version.number}" in now
    assert "Change before" in now
    then = client.get("/environments/production/as-it-was/", {"at": first.live_at.isoformat()}).content.decode()
    assert f"v{first.version.number}" in then
    assert place.vera.printed_name in then
    assert "Next change" in then
    assert "Nothing was live then" in client.get("/environments/production/as-it-was/?at=2020-01-01").content.decode()


@pytest.mark.parametrize(("asked", "status"), [("soon", 422), ("2999-01-01", 422), ("2026-13-01", 422)])
def test_an_instant_that_is_none_is_refused(asked: str, status: int, place: Place) -> None:
    client = walking.client_of(place.vera)
    for address in ("/api/v1/environments/production/moment/", "/environments/production/as-it-was/"):
        assert client.get(address, {"at": asked}).status_code == status


def test_a_stranger_sees_neither_the_environment_nor_what_ran_there(place: Place) -> None:
    assert at(place, datetime(2026, 1, 1, tzinfo=UTC), "mallory").status_code == 404
    assert walking.client_of(place.people["mallory"]).get("/environments/production/as-it-was/").status_code == 404


def test_it_costs_the_same_however_much_there_is(place: Place, django_assert_num_queries: Any) -> None:
    with django_assert_num_queries(11):
        environment_at(place.vera, "production", timezone.now())
