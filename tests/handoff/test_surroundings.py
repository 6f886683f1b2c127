"""Only what changed is compared again: everything that the comparison of a handoff reads counts as a change."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from audit.actors import Person
from audit.models import Account
from handoff import surroundings, tasks
from handoff.models import Finding, Handoff
from handoff.services import approvals, findings, signoffs
from models_registry.models import Consumer, Environment, ImportException, Organisation, RegisteredModel, Stream
from tests.handoff import amending, building
from tests.handoff.building import Place

pytestmark = pytest.mark.django_db


@pytest.fixture
def place(store: Any, settings: Any, monkeypatch: pytest.MonkeyPatch) -> Place:
    """Return a place with streams, where nothing is compared but for a change."""
    settings.ENGINE_URLS = {"production": "http://engine.example"}
    monkeypatch.setattr(surroundings, "ANYWAY", 10**12)
    return amending.streamed(building.a_place())


@pytest.fixture
def handoff(place: Place) -> Handoff:
    """Return a handoff that is live over streams and was compared with its target."""
    handoff = amending.live(place).handoff
    assert list(surroundings.changed()) == [handoff.pk]
    assert list(surroundings.changed()) == []
    return handoff


def asked_for(place: Place) -> None:
    """Ask for an exception in the target."""
    ImportException.objects.create(
        environment=place.target, library="torch", version="2.4.0", reason="Nothing else reads it.", asked_by=place.otto
    )


CHANGES: dict[str, Callable[[Place], Any]] = {
    "a library of the target": lambda p: Environment.objects.filter(pk=p.target.pk).update(packages={"numpy": "9.0"}),
    "the purpose of the source": lambda p: Environment.objects.filter(pk=p.source.pk).update(purpose="Other."),
    "the owner": lambda p: Environment.objects.filter(pk=p.target.pk).update(owner=p.iris),
    "the name of the owner": lambda p: Account.objects.filter(pk=p.target.owner_id).update(last_name="Married"),
    "the owner leaves": lambda p: Account.objects.filter(pk=p.target.owner_id).update(is_active=False),
    "the organisation": lambda p: Organisation.objects.filter(pk=p.target.organisation_id).update(name="Other"),
    "the import policy": lambda p: Environment.objects.filter(pk=p.target.pk).update(import_policy={"default": "warn"}),
    "a stream does not answer": lambda p: Stream.objects.filter(slug="scores").update(
        failing_since=timezone.now(), fault_code="refused"
    ),
    "a stream is retired": lambda p: Stream.objects.filter(slug="lake").update(retired_at=timezone.now()),
    "a consumer": lambda p: Consumer.objects.update(purpose="Another one."),
    "an exception": asked_for,
    "the risk tier": lambda p: RegisteredModel.objects.filter(pk=p.model.pk).update(risk_tier="high"),
    "an amendment": lambda p: amending.proposed(p.model.handoffs.get().deployments.get(), p.iris),
}


@pytest.mark.parametrize("change", CHANGES)
def test_what_the_comparison_reads_is_a_change(change: str, place: Place, handoff: Handoff) -> None:
    CHANGES[change](place)
    assert list(surroundings.changed()) == [handoff.pk]
    assert list(surroundings.changed()) == []


def test_what_it_does_not_read_is_none(place: Place, handoff: Handoff) -> None:
    Environment.objects.update(probed_at=timezone.now(), probe_error="It does not answer.")
    Account.objects.update(last_login=timezone.now())
    assert list(surroundings.changed()) == []


def test_a_new_day_is_one_only_where_an_exception_ended_with_the_one_before(
    place: Place, handoff: Handoff, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = timezone.localtime()
    asked_for(place)
    last = now.date() + timedelta(days=9)
    ImportException.objects.update(answer="granted", answered_by=place.vera, answered_at=now, until=last)
    assert list(surroundings.changed()) == [handoff.pk]
    for days, found in ((1, []), (9, []), (10, [handoff.pk]), (11, [])):
        monkeypatch.setattr(surroundings.timezone, "localtime", lambda days=days: now + timedelta(days=days))
        assert list(surroundings.changed()) == found, days


def test_in_its_turn_everything_is_compared_whatever_changed(
    place: Place, handoff: Handoff, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(surroundings, "ANYWAY", 1)
    assert list(surroundings.changed()) == list(surroundings.changed()) == [handoff.pk]


def test_what_could_not_be_compared_is_compared_again(place: Place, handoff: Handoff) -> None:
    Environment.objects.filter(pk=place.target.pk).update(python="3.9.1")
    for _ in surroundings.changed():
        break
    tasks.look_for_drift()
    assert Finding.objects.get(closed_at=None).kind == Finding.Kind.DRIFT
    assert findings.watched().get() == handoff


def test_approvals_are_looked_at_by_the_minute_only_where_time_can_end_them(place: Place, handoff: Handoff) -> None:
    assert list(approvals.running()) == []
    given = handoff.signoffs.get(gate="release")
    told = {"handoff_id": str(handoff.pk), "signoff_id": str(given.pk), "reason": "A mistake."}
    signoffs.revoke(actor=Person(given.signer, "test"), **told)
    assert list(approvals.running()) == [handoff], "what is found about them is closed by whoever signs anew"
