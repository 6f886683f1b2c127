"""Roles: who grants them, on what, and never to themselves, by whatever way."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import orjson
import pytest
from django.contrib.auth.models import Group
from django.db import IntegrityError, transaction
from django.utils import timezone

from audit.actors import Person
from audit.errors import Refused
from audit.models import Account, AuditEvent
from models_registry.access import roles_on
from models_registry.models import (
    Environment,
    EnvironmentGroupGrant,
    EnvironmentUserGrant,
    RegisteredModel,
    RegisteredModelGroupGrant,
    RegisteredModelUserGrant,
)
from models_registry.roles import Role
from models_registry.services import registered_models, roles
from tests.handoff import building

TABLES = (RegisteredModelUserGrant, RegisteredModelGroupGrant, EnvironmentUserGrant, EnvironmentGroupGrant)


@pytest.fixture
def ada(place: building.Place) -> Account:
    """Return an administrator of the site, who leads a group and answers for a robot."""
    ada = building.person("ada")
    ada.is_staff = True
    ada.save(update_fields=["is_staff"])
    ada.groups.add(Group.objects.create(name="leads"))
    robot = Account.objects.create(username="robot", kind="service", responsible=ada)
    robot.groups.add(Group.objects.create(name="robots"))
    Group.objects.create(name="others").user_set.add(place.vera)
    return ada


def counted() -> tuple[int, ...]:
    """Return how much there is of everything that granting writes."""
    return (*(table.history.count() for table in TABLES), AuditEvent.objects.count())


@pytest.mark.parametrize("holder", ["ada", "robot", "group:leads", "group:robots"])
@pytest.mark.parametrize("role", ["validator", "model_owner"])
def test_nobody_grants_a_role_to_themselves(place: building.Place, ada: Account, holder: str, role: str) -> None:
    before = counted()
    with pytest.raises(Refused) as refusal:
        roles.grant(actor=Person(ada, "test"), role=role, holder=holder, model="tumours")
    assert refusal.value.code == "self_grant"
    assert counted() == before
    assert roles_on(ada, model=place.model) == set()


@pytest.mark.parametrize("holder", ["otto", "group:others"])
def test_a_role_is_granted_and_taken_away_on_the_record(place: building.Place, ada: Account, holder: str) -> None:
    who = place.otto if holder == "otto" else place.vera
    act = {"actor": Person(ada, "test"), "role": "model_owner", "holder": holder, "model": "tumours"}
    roles.grant(**act)
    assert Role.MODEL_OWNER in roles_on(who, model=place.model)
    roles.revoke(**act)
    assert Role.MODEL_OWNER not in roles_on(who, model=place.model)
    chain = AuditEvent.objects.filter(chain=f"model:{place.model.pk}").order_by("seq")
    assert list(chain.values_list("action", flat=True)) == ["role.granted", "role.revoked"]


REFUSED: dict[str, tuple[str, str, str, dict[str, str], str]] = {
    "a data scientist grants nothing": ("dana", "validator", "rita", {}, "administrator_required"),
    "a stranger finds nothing": ("mallory", "validator", "rita", {}, "not_found"),
    "there is no such role": ("ada", "emperor", "rita", {}, "invalid"),
    "this role is held on environments": ("ada", "it_operations", "rita", {}, "invalid"),
    "this role is held on models": ("ada", "validator", "rita", {"model": "", "environment": "production"}, "invalid"),
    "this role is not held in organisations": (
        "ada", "validator", "rita", {"model": "", "organisation": "lab"}, "invalid"
    ),
    "there is no such account": ("ada", "validator", "nobody", {}, "invalid"),
    "there is no such group": ("ada", "validator", "group:nobody", {}, "invalid"),
    "who has left gets nothing": ("ada", "validator", "gone", {}, "invalid"),
    "on nothing": ("ada", "validator", "rita", {"model": ""}, "invalid"),
    "on two things": ("ada", "validator", "rita", {"environment": "production"}, "invalid"),
    "there is no such model": ("ada", "validator", "rita", {"model": "nowhere"}, "not_found"),
    "an environment is no model": ("ada", "validator", "rita", {"model": "production"}, "not_found"),
    "a model is hidden from who holds nothing on it": ("iris", "validator", "rita", {}, "not_found"),
    "on an environment that is hidden": (
        "mallory", "it_operations", "rita", {"model": "", "environment": "production"}, "not_found"
    ),
    "on an organisation that is hidden": (
        "mallory", "it_operations", "rita", {"model": "", "organisation": "plant"}, "not_found"
    ),
}  # fmt: skip
ACTS = pytest.mark.parametrize("act", [roles.grant, roles.revoke])


@ACTS
@pytest.mark.parametrize(("who", "role", "holder", "on", "code"), REFUSED.values(), ids=REFUSED.keys())
def test_what_is_refused_changes_nothing(
    place: building.Place,
    ada: Account,
    act: Callable[..., Any],
    who: str,
    role: str,
    holder: str,
    on: dict[str, str],
    code: str,
) -> None:
    building.person("gone")
    Account.objects.filter(username="gone").update(is_active=False)
    if act is roles.revoke and holder == "gone":
        code = "role_not_held_by_them"
    before = counted()
    with pytest.raises(Refused) as refusal:
        act(actor=by(who), role=role, holder=holder, **{"model": "tumours"} | on)
    assert refusal.value.code == code
    assert counted() == before


def by(who: str) -> Person:
    return Person(Account.objects.get(username=who), "test")


def told(action: str) -> tuple[str, int, str, Any]:
    """Return the chain, the actor, the subject and the data of the only event of an action."""
    body = orjson.loads(AuditEvent.objects.get(action=action).body)
    return body["chain"], body["actor"]["id"], body["subject"], body["data"]


def test_the_account_of_somebody_else_gets_what_ones_own_other_account_does_not(
    place: building.Place, ada: Account
) -> None:
    Account.objects.create(username="ada2", same_person=ada)
    before = counted()
    with pytest.raises(Refused, match="Nobody grants a role to themselves"):
        roles.grant(actor=by("ada"), role="validator", holder="ada2", model="tumours")
    assert counted() == before
    Account.objects.create(username="otto_robot", kind="service", responsible=place.otto)
    assert roles.grant(actor=by("ada"), role="validator", holder="otto_robot", model="tumours").user.pk != ada.pk


@pytest.mark.parametrize("holder", ["rita", "group:others"])
@pytest.mark.parametrize(
    ("kind", "slug", "role"),
    [
        ("model", "tumours", "administrator"),
        ("model", "tumours", "model_owner"),
        ("environment", "production", "administrator"),
        ("environment", "production", "it_operations"),
        ("organisation", "plant", "administrator"),
        ("organisation", "plant", "analytic_engineer"),
    ],
)
def test_a_role_is_granted_on_what_it_is_held_on_and_both_acts_are_told(
    place: building.Place, ada: Account, kind: str, slug: str, role: str, holder: str
) -> None:
    thing: Any = {"model": place.model, "environment": place.target, "organisation": place.target.organisation}[kind]
    who = place.rita if holder == "rita" else place.vera  # vera is in the group
    starts, ends = timezone.localdate(), timezone.localdate() + timedelta(days=3)
    act = {"actor": by("ada"), "role": role, "holder": holder, kind: slug}
    row = roles.grant(**act, starts=starts, ends=ends)
    to = row.user if holder == "rita" else row.group
    assert to == (place.rita if holder == "rita" else Group.objects.get(name="others"))
    assert (row.content_object, row.permission.codename) == (thing, f"hold_{role}")
    assert type(row).history.get(pk=row.pk).ends_at == row.ends_at
    on = {"model": place.model} if kind == "model" else {"environment": place.target}
    assert Role(role) in roles_on(who, **on)
    chain = "site" if kind == "organisation" else f"{kind}:{thing.pk}"
    subject, mark = f"{thing._meta.model_name}:{thing.pk}", place.rita.mark if holder == "rita" else holder
    days = {"starts": starts.isoformat(), "ends": ends.isoformat()}
    data = {"role": role, "holder": mark}
    assert told("role.granted") == (chain, ada.pk, subject, data | days)
    assert roles.revoke(**act) == thing
    assert told("role.revoked") == (chain, ada.pk, subject, data)
    assert Role(role) not in roles_on(who, **on)


def test_a_last_day_is_told_with_what_is_taken_away(place: building.Place, ada: Account) -> None:
    ends = timezone.localdate() + timedelta(days=2)
    roles.revoke(actor=by("ada"), role="validator", holder="vera", model="tumours", ends=ends)
    *_, data = told("role.revoked")
    assert data == {"role": "validator", "holder": place.vera.mark, "ends": ends.isoformat()}
    assert Role.VALIDATOR in roles_on(place.vera, model=place.model)


def test_what_is_taken_away_is_one_role_of_one_holder_on_one_thing(place: building.Place, ada: Account) -> None:
    prices = building.a_place("prices").model
    act = {"actor": by("ada"), "role": "validator", "holder": "iris", "model": "tumours"}
    rest: list[dict[str, str]] = [
        {},
        {"role": "model_owner"},
        {"model": "prices"},
        {"holder": "rita"},
        {"holder": "group:others"},
    ]
    for more in rest:
        roles.grant(**act | more)
    roles.revoke(**act)
    assert roles_on(place.iris, model=place.model) == {Role.MODEL_OWNER}
    assert roles_on(place.iris, model=prices) == {Role.VALIDATOR}
    assert Role.VALIDATOR in roles_on(place.rita, model=place.model)
    group = RegisteredModelGroupGrant.history.get()
    assert group.ends_at is None
    roles.revoke(**act | {"holder": "group:others"})
    group.refresh_from_db()
    assert group.ends_at is not None
    assert Role.VALIDATOR in roles_on(place.vera, model=place.model), "by a grant of her own"


@pytest.mark.parametrize("kind", ["model", "environment"])
def test_the_administrator_of_one_thing_grants_on_that_one(place: building.Place, ada: Account, kind: str) -> None:
    building.a_place("prices")
    thing, other, role = {
        "model": ("tumours", "prices", "validator"),
        "environment": ("production", "workbench", "it_operations"),
    }[kind]
    for slug, held in ((thing, "administrator"), (other, role)):
        roles.grant(actor=by("ada"), role=held, holder="iris", **{kind: slug})
    roles.grant(actor=by("iris"), role=role, holder="mallory", **{kind: thing})
    before = counted()
    for act in (roles.grant, roles.revoke):
        with pytest.raises(Refused) as refusal:
            act(actor=by("iris"), role=role, holder="rita", **{kind: other})
        assert refusal.value.code == "administrator_required"
    assert counted() == before
    roles.revoke(actor=by("iris"), role=role, holder="mallory", **{kind: thing})
    on = {"model": place.model} if kind == "model" else {"environment": Environment.objects.get(slug="production")}
    assert roles_on(place.mallory, **on) == set()


def test_the_risk_tier_of_a_nominated_model_only_rises(place: building.Place) -> None:
    def to(tier: str) -> str:
        changed = registered_models.change(actor=Person(place.dana, "test"), slug="tumours", risk_tier=tier)
        return changed.risk_tier

    assert to("low") == "low"
    assert to("medium") == "medium"
    building.a_version(place)
    with pytest.raises(Refused) as refusal:
        to("low")
    assert refusal.value.code == "tier_not_lowered"
    place.model.refresh_from_db()
    assert place.model.risk_tier == "medium"
    assert to("high") == "high"


def test_the_database_lets_no_tier_be_lowered(place: building.Place) -> None:
    table = RegisteredModel.objects.filter(pk=place.model.pk)
    assert table.update(risk_tier="low")
    assert table.update(risk_tier="medium")
    building.a_version(place)
    with pytest.raises(IntegrityError, match="only rises"), transaction.atomic():
        table.update(risk_tier="low")
    assert table.update(name="Growths", risk_tier="high")
