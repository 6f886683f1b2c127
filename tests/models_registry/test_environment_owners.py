"""Each environment has one owner at any time, with dates that nobody bends."""

from datetime import timedelta
from importlib import import_module
from itertools import pairwise
from typing import Any

import pgtrigger
import pytest
from django.apps import apps
from django.db import DatabaseError, transaction
from django.db.backends.postgresql.psycopg_any import DateTimeTZRange
from django.utils import timezone
from rest_framework.test import APIClient

from audit.actors import Person
from audit.models import Account, AuditEvent
from models_registry.models import Environment, EnvironmentOwner
from models_registry.services import environments
from tests.handoff import building

pytestmark = pytest.mark.django_db


@pytest.fixture
def ada(db: None) -> Person:
    account = building.person("ada")
    account.is_staff = True
    account.save(update_fields=["is_staff"])
    return Person(account, "test")


@pytest.fixture
def ward(ada: Person) -> Environment:
    building.a_place()
    return environments.create(
        actor=ada, slug="ward", name="Ward", kind="test", organisation="plant", owner="otto", python="3.11.7"
    )


def owners(ward: Environment) -> list[EnvironmentOwner]:
    return list(ward.owners.select_related("person").order_by("period"))


def test_an_environment_has_one_owner_at_any_time_and_never_none(ward: Environment, ada: Person) -> None:
    for change in ({"owner": "dana"}, {"hardware": "2 CPU"}, {"owner": "dana"}, {"owner": "otto", "purpose": "Tests"}):
        environments.change(actor=ada, slug="ward", **change)
    found = owners(ward)
    assert [one.person.username for one in found] == ["otto", "dana", "otto"]
    for before, after in pairwise(found):
        assert before.period.upper == after.period.lower
    assert found[0].period.lower <= found[0].period.upper
    assert found[-1].period.upper is None


def test_an_owner_outlives_a_clock_that_is_set_back(ward: Environment, ada: Person) -> None:
    later = timezone.now() + timedelta(hours=1)
    with pgtrigger.ignore("models_registry.EnvironmentOwner:ended_once"):
        ward.owners.update(period=DateTimeTZRange(later, None, "[)"))
    environments.change(actor=ada, slug="ward", owner="dana")
    first, second = owners(ward)
    assert first.period.upper == second.period.lower > later


def test_a_refused_change_moves_no_owner(ward: Environment, ada: Person) -> None:
    client = APIClient()
    client.force_authenticate(ada.user)
    etag = client.get("/api/v1/environments/ward/")["ETag"]
    for body in ({"owner": "nobody"}, {"owner": "dana", "python": "x"}):
        answer = client.patch("/api/v1/environments/ward/", body, format="json", HTTP_IF_MATCH=etag)
        assert answer.status_code == 422
    assert [one.person.username for one in owners(ward)] == ["otto"]
    answer = client.patch("/api/v1/environments/ward/", {"owner": "dana"}, format="json", HTTP_IF_MATCH=etag)
    assert answer.status_code == 200
    assert [one.person.username for one in owners(ward)] == ["otto", "dana"]


@pytest.mark.parametrize("attack", ["overlap", "person", "reopen", "backdate", "delete"])
def test_the_database_keeps_who_answered(ward: Environment, ada: Person, attack: str) -> None:
    environments.change(actor=ada, slug="ward", owner="dana")
    first, second = owners(ward)
    before = [(one.person_id, one.period) for one in (first, second)]
    rows = EnvironmentOwner.objects
    early = DateTimeTZRange(timezone.now() - timedelta(days=9), None, "[)")
    attacks: dict[str, Any] = {
        "overlap": lambda: rows.create(environment=ward, person=first.person, period=first.period),
        "person": lambda: rows.filter(pk=second.pk).update(person=first.person),
        "reopen": lambda: rows.filter(pk=first.pk).update(period=DateTimeTZRange(first.period.lower, None, "[)")),
        "backdate": lambda: rows.filter(pk=second.pk).update(period=early),
        "delete": lambda: rows.filter(pk=first.pk).delete(),
    }
    with pytest.raises(DatabaseError), transaction.atomic():
        attacks[attack]()
    assert [(one.person_id, one.period) for one in owners(ward)] == before


def told_as_earlier_releases_did(ward: Environment) -> None:
    """Write names in the place of marks."""
    with pgtrigger.ignore("audit.AuditEvent:append_only"):
        for event in AuditEvent.objects.filter(chain=f"environment:{ward.pk}"):
            body = event.body
            for account in Account.objects.all():
                body = body.replace(account.mark, account.username)
            AuditEvent.objects.filter(pk=event.pk).update(body=body)


def test_owners_of_before_are_read_from_the_trail(ward: Environment, ada: Person) -> None:
    for name in ("dana", "otto"):
        environments.change(actor=ada, slug="ward", owner=name)
    kept = [(one.person_id, one.period.upper) for one in owners(ward)]
    with pgtrigger.ignore("models_registry.EnvironmentOwner:kept"):
        EnvironmentOwner.objects.all().delete()
    told_as_earlier_releases_did(ward)
    import_module("models_registry.migrations.0007_environment_owners").fill(apps, None)
    found = owners(ward)
    assert [one.person_id for one in found] == [person for person, _ in kept]
    assert found[0].period.lower == Environment.objects.get(pk=ward.pk).created_at
    for before, after in pairwise(found):
        assert before.period.upper == after.period.lower
    assert found[-1].period.upper is None
    assert [one.person.username for one in Environment.objects.get(slug="production").owners.all()] == ["otto"]
