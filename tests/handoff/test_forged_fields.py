"""Mass assignment: whoever sends more fields than an act takes sets none of them, at any door."""

from collections.abc import Callable
from importlib import import_module
from pkgutil import iter_modules
from typing import Any
from uuid import UUID

import pytest
from django.apps import apps
from django.db import models
from django.urls import reverse
from rest_framework import serializers
from rest_framework.test import APIClient

from audit.admin_doors import ActForm
from audit.models import Account
from handoff.api.serializers import AnswerIn, HandoffIn, PolicyIn, SignOffIn
from handoff.models import Answer, Handoff, PolicyRevision, SignOff
from handoff.queries.signing import sheet_for
from handoff.services import reauthentications
from models_registry.api.serializers import ModelIn
from models_registry.models import RegisteredModel
from tests.handoff import building, walking
from tests.handoff.building import Place
from tests.handoff.test_policies_drafts import LIGHT
from tests.handoff.walking import LINK, PASSWORD, by, client_of

NUMBER, WORD, KEY, YEAR = 987654321, "forged", UUID("f0" * 16), "2097-01-01T00:00:00Z"
MARKS = (str(NUMBER), WORD, str(KEY), YEAR, "datetime(2097")
APPS = ("audit", "handoff", "models_registry")
TABLES = (Answer, Handoff, PolicyRevision, RegisteredModel, SignOff)
# What people do give; under these names nothing is forged here.
GIVEN = {
    *(name for one in (AnswerIn, HandoffIn, ModelIn, PolicyIn, SignOffIn) for name in one().fields),
    *("password", "code", "link", "seen"),
}


@pytest.fixture
def site(db: None, store: Any) -> Place:
    return walking.a_site()


def forged() -> dict[str, Any]:
    """Return a value for every column of the five tables, and of accounts, that no act takes from whoever sends it."""
    found: dict[str, Any] = {}
    for table in (*TABLES, Account):
        for column in table._meta.concrete_fields:
            of_kind: list[tuple[type[models.Field[Any, Any]], Any]] = [
                (models.DateTimeField, YEAR), (models.UUIDField, str(KEY)), (models.BooleanField, "true"),
                (models.IntegerField, NUMBER), (models.ForeignKey, NUMBER),
            ]  # fmt: skip
            value = next((value for kind, value in of_kind if isinstance(column, kind)), WORD)
            found |= dict.fromkeys({column.name, column.attname}, value)
    return {name: value for name, value in found.items() if name not in GIVEN}


def nothing_forged() -> None:
    """Hold every row against the values that were sent, and the accounts against what they may do."""
    rows = [str(row) for table in TABLES for row in table.objects.values()]
    assert not [(mark, row) for row in rows for mark in MARKS if mark in row]
    assert not Account.objects.filter(is_superuser=True).exists()
    assert set(Account.objects.filter(is_staff=True).values_list("username", flat=True)) == {"ada"}


def by_api(who: Account, name: str, body: dict[str, Any], *args: Any) -> int:
    client = APIClient()
    client.force_authenticate(who)
    return int(client.post(reverse(f"api:{name}", args=args), forged() | body, format="json").status_code)


def by_page(who: Account, name: str, body: dict[str, Any], *args: Any) -> int:
    return int(client_of(who).post(reverse(name, args=args), forged() | body).status_code)


def over_the_api(site: Place) -> None:
    """Register a model; publish a policy; draft, offer, answer and sign, each time with all that is not asked for."""
    model = {"slug": "other", "name": "Other", "purpose": "x", "owner_team": "x"}
    assert by_api(site.dana, "models", model) == 201
    assert by_api(site.ada, "policies", {"source": LIGHT.replace("30", "20")}) == 201
    draft = {"model": site.model.slug, "version": 1, "source": "workbench", "target": "production"}
    assert by_api(site.dana, "handoffs", draft) == 201
    handoff = Handoff.objects.get()
    assert handoff.state == "draft"
    assert by_api(site.dana, "handoff-offer", {}, handoff.pk) == 200
    answer = {"item": "purpose", "choice": "yes", "evidence": [LINK]}
    assert by_api(site.dana, "handoff-answers", answer, handoff.pk) == 201
    walking.answered(site, Handoff.objects.get(), but=("purpose",))
    assert by_api(site.vera, "handoff-signoffs", signature(handoff, site.vera), handoff.pk) == 201


def on_the_pages(site: Place) -> None:
    """Do the same in the browser, where the forms have no such fields."""
    model = {"slug": "other", "name": "Other", "purpose": "x", "owner_team": "x", "risk_tier": "low"}
    assert by_page(site.dana, "model-new", model) in (302, 303)
    assert by_page(site.ada, "policy-publish", {"source": LIGHT.replace("30", "20")}) == 200
    draft = {"version": f"{site.model.slug}@1", "source": "workbench", "target": "production", "do": "draft"}
    assert by_page(site.dana, "handoff-new", draft) == 303
    handoff = Handoff.objects.get()
    assert handoff.state == "draft"
    assert by_page(site.dana, "handoff-offer", {}, handoff.pk) == 303
    answer = {"choice": "yes", "link": LINK["link"]}
    assert by_page(site.dana, "handoff-answer", answer, handoff.pk, "purpose") == 303
    walking.answered(site, Handoff.objects.get(), but=("purpose",))
    signed = signature(handoff, site.vera) | {"password": PASSWORD}
    assert by_page(site.vera, "handoff-sign", signed, handoff.pk, "validation") == 303


def signature(handoff: Handoff, who: Account) -> dict[str, Any]:
    """Return what an approval needs; the conditions and reasons of other answers are empty."""
    sheet = sheet_for(who, handoff.pk, "validation")
    confirmed = reauthentications.confirm(actor=by(who), password=PASSWORD)
    return {
        "requirement": "validation", "decision": "approve", "meaning": sheet.rule.meaning, "seen": sheet.seen,
        "reauthentication": str(confirmed.pk),
    }  # fmt: skip


@pytest.mark.django_db
@pytest.mark.parametrize("walk", [over_the_api, on_the_pages])
def test_fields_that_an_act_does_not_take_are_set_by_nobody(walk: Callable[[Place], None], site: Place) -> None:
    building.a_version(site)
    walk(site)
    handoff = Handoff.objects.get()
    assert (handoff.state, handoff.drafted_by, handoff.signoffs.get().signer) == ("in_review", site.dana, site.vera)
    nothing_forged()


@pytest.mark.django_db
def test_the_admin_takes_no_field_but_those_of_its_forms(site: Place) -> None:
    handoff, client = walking.offered(site), client_of(site.ada)
    for record in (handoff, handoff.version, site.ada):
        place = f"admin:{record._meta.app_label}_{record._meta.model_name}_change"
        assert client.post(reverse(place, args=[record.pk]), forged()).status_code in (302, 403)
    address = reverse("admin:handoff_policyrevision_add")
    shown = client.post(address, forged() | {"source": LIGHT.replace("30", "20")})
    seen = shown.context["adminform"].form["seen"].value()
    body = forged() | {"source": LIGHT.replace("30", "20"), "seen": seen}
    assert client.post(address, body).status_code == 302
    assert PolicyRevision.objects.get(number=2).published_by == site.ada
    nothing_forged()


def test_what_comes_in_is_read_by_plain_serializers_and_forms() -> None:
    """One that is made from a table would take every column that is added to it later."""
    for app in APPS:
        for folder in ("api", "admin"):
            if (package := getattr(apps.get_app_config(app).module, "__path__", None)) is None:
                continue
            for found in iter_modules([f"{next(iter(package))}/{folder}"]):
                import_module(f"{app}.{folder}.{found.name}")
    inputs = [one for one in below(serializers.Serializer) if one.__module__.startswith(APPS) and takes(one)]
    assert len(inputs) > 20
    assert not [one for one in inputs if issubclass(one, serializers.ModelSerializer)]
    forms = [one for one in below(ActForm) if one._meta.model is not None]
    assert len(forms) > 5
    assert not [one for one in forms if one._meta.fields is None]  # which stands for all


def takes(one: type[Any]) -> bool:
    return one.__name__.endswith("In")


def below(kind: type[Any]) -> list[type[Any]]:
    """Return all classes that derive from one."""
    return [found for one in kind.__subclasses__() for found in (one, *below(one))]
