"""An amendment that waits for a worker is forged, or was never signed: the worker applies nothing."""

from collections.abc import Callable, Iterator
from typing import Any

import orjson
import pytest
from django.test import override_settings

from handoff import queue
from handoff.in_force import bindings_of
from handoff.models import Amendment, Handoff
from handoff.states import AmendmentState, JobState
from tests.attacks.forging import past_the_services
from tests.doors.asking import taken_back
from tests.doors.conftest import for_a_file, settle
from tests.handoff import amending, building
from tests.handoff.building import Place

pytestmark = pytest.mark.django_db


@pytest.fixture(scope="module")
def amendment(
    django_db_setup: None, django_db_blocker: Any, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Amendment]:
    """Return an amendment that waits for the signature of the integration owner."""
    engines = override_settings(ENGINE_URLS={"production": "http://engine.example"})
    with for_a_file(django_db_blocker, tmp_path_factory.mktemp("amending")), engines:
        place: Place = amending.streamed(building.a_place())
        amendment = amending.proposed(amending.live(place), place.iris)
        settle()
        yield amendment


def never_signed(one: Amendment) -> None:
    """Order the work as the last signature does, without one."""
    handoff = Handoff.objects.get(pk=one.deployment.handoff_id)
    one.job = queue.enqueue(handoff, gate="live", task=queue.AMEND, purposes=["amend:1:1"])[0]
    one.state = AmendmentState.APPLYING
    one.save(update_fields=["job", "state"])


def the_signature_is_deleted(one: Amendment) -> None:
    past_the_services("DELETE FROM handoff_amendmentsignoff WHERE amendment_id = %s", one.pk)


def the_bindings_are_changed(one: Amendment) -> None:
    bindings = orjson.dumps(one.bindings | {"outputs": [{"stream": "lake"}]}).decode()
    past_the_services("UPDATE handoff_amendment SET bindings = %s WHERE id = %s", bindings, one.pk)


def the_refusal_is_turned_round(one: Amendment) -> None:
    past_the_services("UPDATE handoff_amendmentsignoff SET comment = 'Yes.' WHERE amendment_id = %s", one.pk)


def the_signature_is_forged(one: Amendment) -> None:
    forged = "UPDATE handoff_amendmentsignoff SET signature = %s WHERE amendment_id = %s"
    past_the_services(forged, "A" * 86 + "==", one.pk)


@pytest.mark.parametrize(
    ("forge", "words"),
    [
        (never_signed, "did not sign what would be applied"),
        (the_signature_is_deleted, "did not sign what would be applied"),
        (the_bindings_are_changed, "did not sign what would be applied"),
        (the_refusal_is_turned_round, "not what the statement says"),
        (the_signature_is_forged, "signature"),
    ],
)
def test_an_amendment_that_was_forged_is_not_applied(
    forge: Callable[[Amendment], None], words: str, amendment: Amendment
) -> None:
    with taken_back():
        one = Amendment.objects.get(pk=amendment.pk)
        if forge is not never_signed:
            amending.sign(one, one.proposed_by)
            one.refresh_from_db()
        before = bindings_of(Handoff.objects.get(pk=one.deployment.handoff_id))
        forge(one)
        amending.work(one)
        assert one.job is not None
        assert (one.state, one.job.state, words in one.because) == ("failed", JobState.REFUSED, True), one.because
        assert bindings_of(Handoff.objects.get(pk=one.deployment.handoff_id)) == before
