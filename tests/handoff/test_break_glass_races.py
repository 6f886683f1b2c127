"""Break-glass at the same instant as something else, with real connections: exactly one of both has its effect."""

from collections.abc import Callable
from typing import Any

import pytest
from rest_framework.test import APIClient

from handoff import queue, tasks
from handoff.models import BreakGlass, Finding, Handoff
from handoff.queries.break_glass import sheet_for
from handoff.states import State
from tests.handoff import building
from tests.handoff.building import Place
from tests.handoff.test_break_glass import asked, broken, carried_out, let_its_time_pass, proof_of, ready
from tests.handoff.test_signoffs_races import at_once

pytestmark = pytest.mark.django_db(transaction=True)


def confirming(place: Place, glass: BreakGlass, who: str) -> Callable[[], int]:
    """Return a request that confirms what is there now."""
    account = place.people[who]
    seen, proof = sheet_for(account, glass.handoff_id, glass.pk).seen, proof_of(account)
    client = APIClient()
    client.force_authenticate(account)
    path = f"/api/v1/handoffs/{glass.handoff_id}/break-glass/{glass.pk}/confirm/"
    body = {"seen": seen, "reauthentication": proof}
    return lambda: int(client.post(path, body, format="json").status_code)


def signing(handoff: Handoff, place: Place) -> Callable[[], int]:
    """Return the last signature of the release."""

    def sign() -> int:
        building.sign(Handoff.objects.get(pk=handoff.pk), "release", place.otto)
        return 201

    return sign


def test_two_confirmations_order_one_deployment(place: Place) -> None:
    handoff = ready(place)
    glass = asked(handoff, place.iris)
    assert sorted(at_once(confirming(place, glass, "rita"), confirming(place, glass, "otto"))) == [200, 409]
    assert handoff.jobs.filter(task=queue.DEPLOY).count() == 1
    assert Finding.objects.filter(handoff=handoff).count() == 1


def test_break_glass_and_the_last_signature_order_one_deployment(place: Place) -> None:
    for number in (1, 2, 3):
        handoff = ready(place, number)
        glass = asked(handoff, place.iris)
        answers = at_once(confirming(place, glass, "rita"), signing(handoff, place))
        handoff.refresh_from_db()
        glass.refresh_from_db()
        assert (handoff.state, handoff.jobs.filter(task=queue.DEPLOY).count()) == (State.DEPLOYING, 1)
        assert (answers[0] == 200) == (glass.state == "confirmed")
        assert answers[1] == 201  # it is taken behind the gate that break-glass has opened, too


def test_the_deadline_and_the_last_signature_leave_either_all_signatures_or_the_way_back(
    place: Place, settings: Any
) -> None:
    settings.ENGINE_URLS = {"production": "http://engine.example"}
    handoff = ready(place)
    glass = broken(place, handoff)
    carried_out(handoff)
    let_its_time_pass(glass)

    def watch() -> int:
        tasks.watch_break_glass()
        return 0

    at_once(watch, signing(handoff, place), watch)
    glass.refresh_from_db()
    assert (glass.state, handoff.jobs.filter(task=queue.ROLL_BACK).count()) == ("overdue", 1)
