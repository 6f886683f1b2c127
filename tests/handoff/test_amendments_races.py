"""At the same instant, over the API with real connections: of two amendments exactly one is applied."""

from collections.abc import Callable

import pytest
from rest_framework.test import APIClient

from audit.models import Account
from handoff import queue
from handoff.models import Amendment, AmendmentSignOff, Job
from tests.handoff import amending, building
from tests.handoff.test_signoffs_races import at_once

pytestmark = pytest.mark.django_db(transaction=True)


def signing(amendment: Amendment, who: Account) -> Callable[[], int]:
    """Return a request that signs what is there now."""
    body = {**amending.signature(amendment, who), "reauthentication": amending.proof(who)}
    client = APIClient()
    client.force_authenticate(who)
    return lambda: int(client.post(f"/api/v1/amendments/{amendment.pk}/signoffs/", body).status_code)


def test_of_two_amendments_signed_at_once_one_is_applied(place: building.Place) -> None:
    deployment = amending.live(amending.streamed(place))
    building._grant(building.EnvironmentUserGrant, place.rita, "integration_owner", place.target)
    first = amending.proposed(deployment, place.iris)
    second = amending.proposed(deployment, place.otto, sinks=[{"stream": "scores"}, {"stream": "lake"}])
    assert sorted(at_once(signing(first, place.iris), signing(second, place.rita))) == [201, 409]
    assert AmendmentSignOff.objects.count() == 1
    assert Job.objects.filter(task=queue.AMEND).count() == 1
    assert sorted(Amendment.objects.values_list("state", flat=True)) == ["applying", "proposed"]


def test_of_two_who_sign_one_amendment_at_once_one_signs(place: building.Place) -> None:
    deployment = amending.live(amending.streamed(place))
    building._grant(building.EnvironmentUserGrant, place.rita, "integration_owner", place.target)
    amendment = amending.proposed(deployment, place.otto)
    assert sorted(at_once(signing(amendment, place.iris), signing(amendment, place.rita))) == [201, 409]
    assert AmendmentSignOff.objects.count() == 1
    assert Job.objects.filter(task=queue.AMEND).count() == 1
