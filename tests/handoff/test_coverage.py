"""Who has left: what they still answer for is listed with a day, and nothing is live without an owner unnoticed."""

from datetime import timedelta

import pytest
from django.utils import timezone
from knox.models import AuthToken
from rest_framework.test import APIClient

from audit.actors import Worker
from audit.errors import Refused
from audit.models import Account
from handoff.models import Finding
from handoff.services import findings, handoffs
from models_registry.duties import to_reassign
from models_registry.services import environments
from tests.handoff import walking
from tests.handoff.building import Place
from tests.handoff.walking import by, client_of
from tests.queries import counting

pytestmark = pytest.mark.django_db


@pytest.fixture
def site(place: Place) -> Place:
    """Return a place with the light policy."""
    return walking.a_site(place)


def leaves(who: Account, days: int = 0) -> None:
    """Make an account inactive, some days ago."""
    Account.objects.filter(pk=who.pk).update(is_active=False)
    who.refresh_from_db()
    assert who.left_at is not None
    if days:
        Account.objects.filter(pk=who.pk).update(left_at=timezone.now() - timedelta(days=days))


def test_what_a_leaver_answers_for_is_listed_with_a_day(site: Place) -> None:
    counting.a_sink(site)
    assert to_reassign(site.dana) == []
    leaves(site.otto)
    found = {(one.who, one.what, one.late) for one in to_reassign(site.dana)}
    assert found == {
        ("Otto", "the environment Production", False),
        ("Otto", "the stream scores in Production", False),
        ("Otto", "the consumer Ward board of scores", False),
        ("Otto", "the role IT operations on Production", False),
    }
    assert {one.due for one in to_reassign(site.dana)} == {timezone.localdate() + timedelta(days=14)}
    assert to_reassign(site.mallory) == []
    leaves(site.vera, days=20)
    api = APIClient(headers={"Authorization": f"Bearer {AuthToken.objects.create(user=site.dana)[1]}"})
    assert {one["late"] for one in api.get("/api/v1/reassignments/").json() if one["who"] == "Vera"} == {True}
    assert "was due" in client_of(site.dana).get("/duties/").content.decode()
    Account.objects.filter(pk=site.vera.pk).update(is_active=True)
    site.vera.refresh_from_db()
    assert site.vera.left_at is None


def test_nothing_is_offered_to_an_environment_whose_owner_has_left(site: Place) -> None:
    handoff = walking.drafted(site)
    leaves(site.otto)
    with pytest.raises(Refused) as refusal:
        handoffs.offer(actor=by(site.dana), handoff_id=str(handoff.pk))
    assert "the owner of Production has left" in refusal.value.fields["people.owner.left"]
    assert "Otto held it and left" in refusal.value.fields["roles.it_operations"]


def test_a_live_model_without_an_owner_is_a_finding_until_another_is_named(site: Place) -> None:
    version = counting.building.a_version(site)
    handoff = counting.building.tested(counting.signed(site, version))
    counting.approve(handoff, site.otto, "release")
    counting.deployed(handoff)
    assert findings.look(actor=Worker("drift"), handoff_id=handoff.pk) is None
    leaves(site.otto)
    raised = findings.look(actor=Worker("drift"), handoff_id=handoff.pk)
    assert raised is not None
    assert "an administrator must name another owner" in raised.items["people.owner.left"]
    environments.change(actor=by(site.ada), slug="production", owner="iris")
    findings.look(actor=Worker("drift"), handoff_id=handoff.pk)
    assert Finding.objects.get(pk=raised.pk).closing == "resolved"
