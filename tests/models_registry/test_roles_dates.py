"""Roles that are held from a day to a day: on a model, an environment, or all environments of an organisation."""

from collections.abc import Callable
from datetime import date, datetime, time, timedelta
from typing import Any

import pytest
from django.contrib.auth.models import Group
from django.db import DatabaseError, IntegrityError, connection, transaction
from django.db.models import F
from django.db.models.functions import Now
from django.utils import timezone
from guardian.shortcuts import get_objects_for_user
from knox.models import AuthToken
from rest_framework.test import APIClient

from audit.actors import Person
from audit.errors import Refused
from audit.models import Account, AuditEvent
from models_registry import queries
from models_registry.access import environments_held_by, holders, roles_on
from models_registry.models import (
    Environment,
    EnvironmentUserGrant,
    OrganisationGroupGrant,
    OrganisationUserGrant,
    RegisteredModel,
    RegisteredModelGroupGrant,
    RegisteredModelUserGrant,
)
from models_registry.roles import Role
from models_registry.services import roles
from tests.handoff import building
from tests.handoff.building import Place

TABLES = (
    RegisteredModelUserGrant, RegisteredModelGroupGrant, EnvironmentUserGrant, OrganisationUserGrant,
    OrganisationGroupGrant,
)  # fmt: skip


@pytest.fixture
def ada(place: Place) -> Account:
    """Return an administrator of the site."""
    ada = building.person("ada")
    ada.is_staff = True
    ada.save(update_fields=["is_staff"])
    return ada


def day(days: int) -> date:
    """Return a day from today on."""
    return timezone.localdate() + timedelta(days=days)


def midnight(day: date) -> datetime:
    """Return the first moment of a day of the site."""
    return datetime.combine(day, time.min, tzinfo=timezone.get_current_timezone())


def granted(ada: Account, **more: Any) -> Any:
    """Grant mallory the role of a validator."""
    return roles.grant(
        actor=Person(ada, "test"), **{"role": "validator", "holder": "mallory", "model": "tumours"} | more
    )


def counted() -> tuple[int, ...]:
    """Return how much there is of everything that granting writes."""
    return (*(table.history.count() for table in TABLES), AuditEvent.objects.count())


def refused(code: str, act: Callable[[], object]) -> Refused:
    """Expect a refusal by its code, and that nothing was written."""
    before = counted()
    with pytest.raises(Refused) as refusal:
        act()
    assert (refusal.value.code, counted()) == (code, before)
    return refusal.value


def test_a_role_counts_only_between_its_days(place: Place, ada: Account) -> None:
    grant = granted(ada, starts=day(2), ends=day(3))
    assert grant.state_at(timezone.now()) == "planned"
    assert roles_on(place.mallory, model=place.model) == set()
    assert not holders(Role.VALIDATOR, model=place.model).filter(username="mallory").exists()
    begun = granted(ada, role="risk_compliance", ends=day(0))
    assert roles_on(place.mallory, model=place.model) == {Role.RISK_COMPLIANCE}
    assert (grant.starts_at, grant.ends_at) == (midnight(day(2)), midnight(day(4)))  # the last day is a whole one
    assert (begun.starts_at <= timezone.now(), begun.ends_at) == (True, midnight(day(1)))
    today = granted(ada, role="model_owner", starts=day(0))
    assert (midnight(day(0)) <= today.starts_at <= timezone.now(), today.ends_at) == (True, None)
    assert roles_on(place.mallory, model=place.model) == {Role.RISK_COMPLIANCE, Role.MODEL_OWNER}


def test_the_end_comes_by_itself_and_the_gate_sees_it(place: Place, ada: Account) -> None:
    grant = granted(ada, ends=day(1))
    assert Role.VALIDATOR in roles_on(place.mallory, model=place.model)
    building.ended(RegisteredModelUserGrant, pk=grant.pk)  # as the clock would
    assert roles_on(place.mallory, model=place.model) == set()


def test_nobody_holds_a_role_twice_on_one_day(place: Place, ada: Account) -> None:
    granted(ada, starts=day(2), ends=day(4))
    for more in ({}, {"starts": day(4)}, {"ends": day(2)}, {"starts": day(1), "ends": day(9)}):
        refused("role_held_already", lambda more=more: granted(ada, **more))
    granted(ada, starts=day(5))
    granted(ada, ends=day(1))
    assert [one.state for one in queries.holdings(place.model) if one.holder == "mallory"] == [
        "now",
        "planned",
        "planned",
    ]


def test_days_that_cannot_be_are_refused(place: Place, ada: Account) -> None:
    assert refused("invalid", lambda: granted(ada, starts=day(-1))).fields == {"starts": "is past"}
    assert refused("invalid", lambda: granted(ada, ends=day(-1))).fields == {"ends": "is past"}
    late = refused("invalid", lambda: granted(ada, starts=day(3), ends=day(2)))
    assert late.fields == {"ends": "is before the first day"}
    past = refused("invalid", lambda: granted(ada, starts=day(-2), ends=day(-1)))
    assert past.fields == {"starts": "is past", "ends": "is past"}
    assert granted(ada, starts=day(3), ends=day(3)).ends_at == midnight(day(4))
    act = {"actor": Person(ada, "test"), "role": "validator", "holder": "vera", "model": "tumours"}
    assert refused("invalid", lambda: roles.revoke(**act, ends=day(-1))).fields == {"ends": "is past"}


def test_taking_a_role_away_keeps_it_in_the_history(place: Place, ada: Account) -> None:
    granted(ada, ends=day(5))
    granted(ada, starts=day(8))
    act = {"actor": Person(ada, "test"), "role": "validator", "holder": "mallory", "model": "tumours"}
    roles.revoke(**act, ends=day(1))
    last, planned = [one for one in queries.holdings(place.model, ended=True) if one.holder == "mallory"]
    assert (last.ends, last.state, planned.state) == (day(1), "now", "ended")
    roles.revoke(**act)
    assert roles_on(place.mallory, model=place.model) == set()
    assert {one.state for one in queries.holdings(place.model, ended=True) if one.holder == "mallory"} == {"ended"}
    assert not [one for one in queries.holdings(place.model) if one.holder == "mallory"]
    refused("role_not_held_by_them", lambda: roles.revoke(**act))


def test_a_last_day_never_lets_a_role_last_longer(place: Place, ada: Account) -> None:
    """Ada holds a role herself: who could move its end away would grant it to themselves."""
    building._grant(RegisteredModelUserGrant, ada, "validator", place.model)
    act = {"actor": Person(ada, "test"), "role": "validator", "model": "tumours"}
    roles.revoke(**act, holder="ada", ends=day(1))
    granted(ada, ends=day(1))
    for holder, days in (("ada", 1), ("ada", 5), ("mallory", 1), ("mallory", 5)):
        told = {"holder": holder, "ends": day(days)}
        found = refused("role_not_held_by_them", lambda told=told: roles.revoke(**act, **told))
        assert found.message == f"{holder} does not hold this role after {day(days).isoformat()}."
    granted(ada, starts=day(3))
    roles.revoke(**act, holder="mallory", ends=day(5))
    held = sorted((one.holder, one.ends) for one in queries.holdings(place.model) if one.ends)
    assert held == [("ada", day(1)), ("mallory", day(1)), ("mallory", day(5))]
    roles.revoke(**act, holder="ada", ends=day(0))
    assert RegisteredModelUserGrant.history.get(user=ada).ends_at == midnight(day(1))


def test_who_has_left_can_lose_their_roles(place: Place, ada: Account) -> None:
    place.vera.is_active = False
    place.vera.save(update_fields=["is_active"])
    roles.revoke(actor=Person(ada, "test"), role="validator", holder="vera", model="tumours")
    assert not [one for one in queries.holdings(place.model) if one.holder == "vera"]


@pytest.mark.parametrize("by_group", [False, True])
def test_a_role_in_an_organisation_is_held_on_its_environments(place: Place, ada: Account, by_group: bool) -> None:
    if by_group:
        Group.objects.create(name="night").user_set.add(place.mallory)
    who = "group:night" if by_group else "mallory"
    granted(ada, role="it_operations", holder=who, model="", organisation="plant")
    assert roles_on(place.mallory, environment=place.target) == {Role.IT_OPERATIONS}
    assert roles_on(place.mallory, environment=place.source) == set()  # the lab's
    later = Environment.objects.create(
        slug="later", name="Later", kind="test", organisation=place.target.organisation, owner=place.otto, python="3.11"
    )
    assert set(environments_held_by(place.mallory)) == {place.target, later}
    (shown,) = [one for one in queries.holdings(place.target) if one.holder == who]
    assert shown.by == "Plant"
    refused("invalid", lambda: granted(ada, role="validator", model="", organisation="plant"))


def test_only_an_administrator_of_an_organisation_grants_in_it(place: Place, ada: Account) -> None:
    act = {"role": "it_operations", "model": "", "organisation": "plant"}
    refused("administrator_required", lambda: granted(place.otto, **act))
    refused("not_found", lambda: granted(place.mallory, **act, holder="iris"))
    granted(ada, role="administrator", holder="iris", model="", organisation="plant")
    granted(place.iris, **act)
    assert roles_on(place.mallory, environment=place.target) == {Role.IT_OPERATIONS}
    refused("self_grant", lambda: granted(place.iris, **act, holder="iris"))


def test_guardian_and_django_say_what_the_view_says(place: Place, ada: Account) -> None:
    def told() -> list[object]:
        hold = "models_registry.hold_validator"
        listed = get_objects_for_user(place.vera, "hold_validator", klass=RegisteredModel, with_superuser=False)
        return [*listed, Account.objects.get(pk=place.vera.pk).has_perm(hold, place.model)]

    act = {"actor": Person(ada, "test"), "role": "validator", "holder": "vera", "model": "tumours"}
    assert told() == [place.model, True]
    roles.revoke(**act)
    assert told() == [False]
    roles.grant(**act, starts=day(1))
    assert told() == [False]
    assert not place.vera.has_perm("models_registry.hold_validator", place.target)
    assert not place.vera.has_perm("models_registry.hold_validator")


FORGED: dict[str, Callable[[Any], object]] = {
    "delete": lambda rows: rows.delete(),
    "another person": lambda rows: rows.update(user=building.person("mallory")),
    "since ever": lambda rows: rows.update(starts_at=F("starts_at") - timedelta(days=9)),
    "ended yesterday": lambda rows: rows.update(ends_at=Now() - timedelta(days=1)),
}


@pytest.mark.parametrize("forge", FORGED.values(), ids=FORGED.keys())
def test_the_database_keeps_grants_as_they_were(place: Place, forge: Callable[[Any], object]) -> None:
    rows = RegisteredModelUserGrant.history.filter(user=place.vera)
    before = list(rows.values())
    with pytest.raises(DatabaseError), transaction.atomic():
        forge(rows)
    assert list(rows.values()) == before


def test_the_database_lets_no_grant_overlap_begin_in_the_past_or_rise_again(place: Place) -> None:
    rows = RegisteredModelUserGrant.history.filter(user=place.vera)
    vera = rows.get()
    same = {"permission": vera.permission, "content_object": place.model}
    with pytest.raises(IntegrityError, match="registeredmodelusergrant_once_at_a_time"), transaction.atomic():
        RegisteredModelUserGrant.objects.create(user=place.vera, starts_at=Now() + timedelta(days=3), **same)
    with pytest.raises(DatabaseError, match="not_from_the_past"), transaction.atomic():
        RegisteredModelUserGrant.objects.create(user=place.iris, starts_at=Now() - timedelta(days=3), **same)
    with connection.cursor() as cursor:  # ended before this transaction began
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        cursor.execute("ALTER TABLE models_registry_registeredmodelusergrant DISABLE TRIGGER USER")
        rows.update(starts_at=Now() - timedelta(days=2), ends_at=Now() - timedelta(days=1))
        cursor.execute("ALTER TABLE models_registry_registeredmodelusergrant ENABLE TRIGGER USER")
    with pytest.raises(DatabaseError, match="ended_once"), transaction.atomic():
        rows.update(ends_at=None)
    assert roles_on(place.vera, model=place.model) == set()


def test_roles_with_days_go_over_the_api(place: Place, ada: Account) -> None:
    client = APIClient(headers={"Authorization": f"Bearer {AuthToken.objects.create(user=ada)[1]}"})
    building._grant(EnvironmentUserGrant, ada, "administrator", place.target)
    body = {"role": "it_operations", "holder": "mallory", "starts": day(1).isoformat(), "ends": day(9).isoformat()}
    for path in ("environments/production", "organisations/plant"):
        address = f"/api/v1/{path}/roles/"
        answer = client.post(address, body)
        assert (answer.status_code, answer.json()) == (201, body)
        assert client.post(address, body).json()["code"] == "role_held_already"
        (listed,) = [one for one in client.get(address).json() if one["holder"] == "mallory" and not one["by"]]
        assert (listed["starts"], listed["ends"], listed["state"]) == (body["starts"], body["ends"], "planned")
        assert client.delete(address, {"role": "it_operations", "holder": "mallory"}).status_code == 204
        found = client.get(address, {"ended": "true"}).json()
        assert [one["state"] for one in found if one["holder"] == "mallory" and not one["by"]] == ["ended"]
    assert roles_on(place.mallory, environment=place.target) == set()
