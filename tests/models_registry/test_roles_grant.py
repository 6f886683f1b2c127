"""Roles: who grants them, on what, and never to themselves, by whatever way."""

import pytest
from django.contrib.auth.models import Group
from django.db import IntegrityError, transaction

from audit.actors import Person
from audit.errors import Refused
from audit.models import Account, AuditEvent
from models_registry.access import roles_on
from models_registry.models import (
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


REFUSED: dict[str, tuple[str, str, str, str]] = {
    "a data scientist grants nothing": ("dana", "validator", "rita", "administrator_required"),
    "a stranger finds nothing": ("mallory", "validator", "rita", "not_found"),
    "there is no such role": ("ada", "emperor", "rita", "invalid"),
    "this role is held on environments": ("ada", "it_operations", "rita", "invalid"),
    "there is no such account": ("ada", "validator", "nobody", "invalid"),
    "there is no such group": ("ada", "validator", "group:nobody", "invalid"),
}


@pytest.mark.parametrize(("who", "role", "holder", "code"), REFUSED.values(), ids=REFUSED.keys())
def test_a_refused_grant_changes_nothing(
    place: building.Place, ada: Account, who: str, role: str, holder: str, code: str
) -> None:
    before = counted()
    with pytest.raises(Refused) as refusal:
        roles.grant(actor=Person(Account.objects.get(username=who), "test"), role=role, holder=holder, model="tumours")
    assert refusal.value.code == code
    assert counted() == before


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
