"""Break-glass and suspension together, in both orders: neither lifts, hides or outlives the other."""

from pathlib import Path
from typing import Any

import pytest

from handoff import tasks
from handoff.models import Deployment, Finding, Handoff, Suspension
from handoff.plans import RestorePlan
from handoff.states import State
from tests.handoff import building
from tests.handoff.building import Place
from tests.handoff.stopping import suspended
from tests.handoff.test_break_glass import broken, carried_out, let_its_time_pass, live, ready, taken_back

pytestmark = pytest.mark.django_db


@pytest.fixture
def place(db: None, store: Path, settings: Any) -> Place:
    """Return a model, its environments and its people; no test here calls the engine."""
    settings.ENGINE_URLS = {"production": "http://engine.example"}
    return building.a_place()


def serving(handoff: Handoff) -> Deployment:
    return handoff.deployments.get(state="live")


@pytest.mark.parametrize("first", ["suspended", "broken"])
def test_break_glass_brings_another_version_in_the_place_of_what_is_suspended(place: Place, first: str) -> None:
    """Whichever came first: the suspension ends with what it stopped, and does not pass on to what took its place."""
    before, after = live(place), ready(place, 2)
    acts = [lambda: broken(place, after), lambda: suspended(serving(before), place.otto)]
    for act in acts if first == "broken" else reversed(acts):
        act()
    after.refresh_from_db()
    assert carried_out(after).state == State.LIVE
    assert Suspension.objects.get().ending == "superseded"
    assert not Suspension.objects.filter(deployment=serving(after)).exists()
    assert after.break_glass.get().state == "confirmed", "its signatures are awaited as ever"


def test_at_the_deadline_what_was_taken_out_suspended_does_not_come_back(place: Place) -> None:
    before, after = live(place), ready(place, 2)
    suspended(serving(before), place.otto)
    glass = broken(place, after)
    carried_out(after)
    let_its_time_pass(glass)
    tasks.watch_break_glass()
    plan = taken_back(after)
    assert isinstance(plan, RestorePlan), "it is taken out, and nothing is served"
    glass.refresh_from_db()
    before.refresh_from_db()
    assert (glass.state, after.state, before.state) == ("rolled_back", State.ROLLED_BACK, State.SUPERSEDED)


def test_what_break_glass_brought_is_suspended_and_still_goes_at_the_deadline(place: Place) -> None:
    before, after = live(place), ready(place, 2)
    glass = broken(place, after)
    carried_out(after)
    suspension = suspended(serving(after), place.otto)
    tasks.watch_break_glass()
    glass.refresh_from_db()
    assert glass.state == "confirmed", "to stop it changes no deadline"
    let_its_time_pass(glass)
    tasks.watch_break_glass()
    taken_back(after)
    for row in (before, glass, suspension):
        row.refresh_from_db()
    assert (before.state, glass.state, suspension.ending) == (State.LIVE, "rolled_back", "superseded")


def test_signatures_end_the_break_glass_and_not_the_suspension(place: Place) -> None:
    handoff = ready(place)
    glass = broken(place, handoff)
    carried_out(handoff)
    suspension = suspended(serving(handoff), place.otto)
    building.sign(handoff, "release", place.otto)
    glass.refresh_from_db()
    suspension.refresh_from_db()
    assert (glass.state, suspension.ended_at) == ("regularised", None)
    assert not Finding.objects.filter(closed_at=None).exists()
