"""Registered models: who registers and changes them, what is refused, and what the trail tells."""

from typing import Any

import pytest

from audit.actors import Person
from audit.errors import Refused
from audit.models import Account, AuditEvent
from models_registry.access import roles_on
from models_registry.models import RegisteredModel, RegisteredModelUserGrant
from models_registry.roles import Role
from models_registry.services import registered_models, versions
from tests.handoff import artifacts, building
from tests.handoff.building import Place
from tests.models_registry.test_environments import told

PRICES: dict[str, Any] = {"slug": "prices", "name": "Prices", "purpose": "Tells prices.", "owner_team": "Sales"}


def by(who: str) -> Person:
    return Person(Account.objects.get(username=who), "test")


def kept() -> tuple[Any, ...]:
    """Return all that these acts write."""
    models = list(RegisteredModel.objects.order_by("pk").values())
    return models, RegisteredModelUserGrant.history.count(), AuditEvent.objects.count()


def refused(who: str, act: Any, **values: Any) -> tuple[str, list[str]]:
    """Expect a refusal that changes nothing; return its code, and the fields that it names."""
    before = kept()
    with pytest.raises(Refused) as refusal:
        act(actor=by(who), **values)
    assert kept() == before
    return refusal.value.code, list(refusal.value.fields)


def changed(**values: Any) -> RegisteredModel:
    """Return the model after dana changed it."""
    return registered_models.change(actor=by("dana"), slug="tumours", **values)


@pytest.mark.parametrize("more", [{}, {"risk_tier": "high", "model_type": "regression"}], ids=["usual", "all"])
def test_whoever_registers_a_model_is_its_data_scientist_and_nothing_else(place: Place, more: dict[str, str]) -> None:
    made = registered_models.register(actor=by("mallory"), **PRICES, **more)
    whole = {**PRICES, "risk_tier": "medium", "model_type": "", **more}
    assert made.created_by == place.mallory
    assert RegisteredModel.objects.filter(slug="prices").values(*whole).get() == whole
    assert told("model.registered") == (
        f"model:{made.pk}", place.mallory.pk, f"registeredmodel:{made.pk}", whole
    )  # fmt: skip
    assert roles_on(place.mallory, model=made) == {Role.DATA_SCIENTIST}
    assert roles_on(place.mallory, model=place.model) == set()


NOT_REGISTERED: list[tuple[dict[str, str], str, list[str]]] = [
    ({"risk_tier": "extreme"}, "invalid", ["risk_tier"]),
    ({"model_type": "oracle"}, "invalid", ["model_type"]),
    ({"name": " "}, "invalid", ["name"]),
    ({"purpose": "", "owner_team": " "}, "invalid", ["purpose", "owner_team"]),
    ({"slug": "tumours"}, "name_taken", ["slug"]),
]


@pytest.mark.parametrize(("change", "code", "fields"), NOT_REGISTERED, ids=lambda one: str(one)[:40])
def test_what_says_too_little_is_not_registered(
    place: Place, change: dict[str, str], code: str, fields: list[str]
) -> None:
    assert refused("mallory", registered_models.register, **{**PRICES, **change}) == (code, fields)


def test_a_model_is_described_anew_and_no_other(place: Place) -> None:
    registered_models.register(actor=by("dana"), **PRICES)
    other = RegisteredModel.objects.filter(slug="prices").values().get()
    since = place.model.risk_tier_since
    before = {"name": "Tumours", "purpose": "Tests", "owner_team": "Lab"}
    after = {"name": "Growths", "purpose": "Finds growths.", "owner_team": "Ward"}
    model = changed(revision=1, **after)
    assert (model.pk, model.revision) == (place.model.pk, 2)
    place.model.refresh_from_db()
    assert {name: getattr(place.model, name) for name in after} == after
    assert (place.model.revision, place.model.risk_tier_since) == (2, since)
    chain, subject = f"model:{place.model.pk}", f"registeredmodel:{place.model.pk}"
    assert told("model.changed") == (chain, place.dana.pk, subject, {"before": before, "after": after})
    assert RegisteredModel.objects.filter(slug="prices").values().get() == other


def test_the_tier_counts_from_when_it_became_another(place: Place) -> None:
    since = place.model.risk_tier_since
    assert changed(risk_tier="medium").risk_tier_since == since
    place.model.refresh_from_db()
    assert place.model.risk_tier_since == since
    assert changed(risk_tier="high").risk_tier_since > since
    place.model.refresh_from_db()
    assert (place.model.risk_tier, place.model.risk_tier_since > since) == ("high", True)


NOT_CHANGED: list[tuple[str, dict[str, Any], str, list[str]]] = [
    ("vera", {"name": "Mine"}, "role_not_held", []),
    ("mallory", {"name": "Mine"}, "not_found", []),
    ("dana", {"name": "x", "revision": 2}, "changed_since_shown", []),
    ("dana", {"name": "x", "state": "y", "created_by": "dana"}, "invalid", ["created_by", "state"]),
    ("dana", {"risk_tier": "extreme"}, "invalid", ["risk_tier"]),
    ("dana", {"model_type": "oracle"}, "invalid", ["model_type"]),
]


@pytest.mark.parametrize(("who", "change", "code", "fields"), NOT_CHANGED, ids=lambda one: str(one)[:40])
def test_a_change_that_is_refused_changes_nothing(
    place: Place, who: str, change: dict[str, Any], code: str, fields: list[str]
) -> None:
    assert refused(who, registered_models.change, slug="tumours", **change) == (code, fields)


def test_a_draft_and_the_versions_of_other_models_fix_nothing(place: Place) -> None:
    building.a_version(building.a_place("prices"))
    versions.draft(actor=by("dana"), model="tumours")
    limits = artifacts.elements()["thresholds"]  # measured by roc_auc
    versions.set_element(actor=by("dana"), model="tumours", number=1, name="thresholds", chunks=[limits])
    for told_of_it in ({"risk_tier": "low"}, {"model_type": "regression"}, {"model_type": "other"}, {"model_type": ""}):
        model = changed(**told_of_it)
        assert {name: getattr(model, name) for name in told_of_it} == told_of_it


def test_what_is_fixed_may_be_said_again(place: Place) -> None:
    changed(model_type="classification")
    building.a_version(place)
    for told_of_it in ({"model_type": "classification"}, {"risk_tier": "medium"}):
        assert changed(**told_of_it).revision == RegisteredModel.objects.get(slug="tumours").revision
    assert refused("dana", registered_models.change, slug="tumours", model_type="other") == ("type_fixed", [])
    assert refused("dana", registered_models.change, slug="tumours", risk_tier="low") == ("tier_not_lowered", [])


def test_a_type_that_a_sealed_version_contradicts_is_told_with_the_number(place: Place) -> None:
    building.a_version(place, 3)  # measured by roc_auc
    building.a_version(building.a_place("prices"), 1)
    with pytest.raises(Refused) as refusal:
        changed(model_type="regression")
    why = "a regression model is measured by mae, r2, rmse, and the thresholds name roc_auc"
    assert refusal.value.fields == {"model_type": f"version 3: {why}"}
