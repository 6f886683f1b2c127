"""Environments and organisations: who creates and changes them, what is refused, and what the trail tells."""

from typing import Any

import orjson
import pytest

from audit.actors import Person
from audit.errors import Refused
from audit.models import Account, AuditEvent
from models_registry.models import Environment, EnvironmentOwner, EnvironmentUserGrant, Organisation
from models_registry.services import environments, organisations
from tests.handoff import building
from tests.handoff.building import Place

WARD: dict[str, Any] = {
    "slug": "ward", "name": "Ward", "kind": "test", "organisation": "plant", "owner": "otto", "python": "3.11.7",
}  # fmt: skip
ALL_OF_IT: dict[str, Any] = {
    "name": "Plant floor",
    "purpose": "Runs what was accepted.",
    "python": "3.12.1",
    "packages": {"numpy": "2.4.6"},
    "hardware": "8 CPU",
    "systems": "Linux",
    "requirements": "Logs",
    "import_policy": {"default": "allow"},
    "engine": "floor",
}


@pytest.fixture(autouse=True)
def ada(place: Place) -> Account:
    """Return an administrator of the site."""
    ada = building.person("ada")
    ada.is_staff = True
    ada.save(update_fields=["is_staff"])
    return ada


def by(who: str) -> Person:
    return Person(Account.objects.get(username=who), "test")


def kept() -> tuple[Any, ...]:
    """Return all that these acts write."""
    tables = (Environment, Organisation, EnvironmentOwner)
    return (*(list(table.objects.order_by("pk").values()) for table in tables), AuditEvent.objects.count())


def told(action: str) -> tuple[str, int, str, Any]:
    """Return the chain, the actor, the subject and the data of the only event of an action."""
    body = orjson.loads(AuditEvent.objects.get(action=action).body)
    return body["chain"], body["actor"]["id"], body["subject"], body["data"]


def refused(who: str, act: Any, **values: Any) -> tuple[str, list[str]]:
    """Expect a refusal that changes nothing; return its code, and the fields that it names."""
    before = kept()
    with pytest.raises(Refused) as refusal:
        act(actor=by(who), **values)
    assert kept() == before
    return refusal.value.code, list(refusal.value.fields)


def test_an_administrator_creates_an_environment_and_it_is_told(ada: Account, place: Place) -> None:
    free = {"packages": {"numpy": "2.4.6"}, "import_policy": {"default": "allow"}, "hardware": "2 CPU"}
    made = environments.create(actor=by("ada"), **WARD, **free)
    assert made == Environment.objects.get(slug="ward")
    assert (made.name, made.kind, made.organisation.slug, made.owner, made.python) == (
        "Ward", "test", "plant", place.otto, "3.11.7"
    )  # fmt: skip
    assert {name: getattr(made, name) for name in free} == free
    told_of_it = {name: WARD[name] for name in ("slug", "name", "kind", "organisation")}
    assert told("environment.created") == (
        f"environment:{made.pk}", ada.pk, f"environment:{made.pk}", {**told_of_it, "owner": place.otto.mark}
    )  # fmt: skip
    assert [one.person for one in made.owners.all()] == [place.otto]


NOT_CREATED: list[tuple[str, dict[str, Any], str, list[str]]] = [
    ("otto", {}, "administrator_required", []),
    ("ada", {"kind": "cellar"}, "invalid", ["kind"]),
    ("ada", {"organisation": "nowhere"}, "not_found", ["organisation"]),
    ("ada", {"owner": "nobody"}, "invalid", ["owner"]),
    ("ada", {"slug": "production"}, "name_taken", ["slug"]),
    ("ada", {"python": "latest"}, "invalid", ["python"]),
    ("ada", {"python": None}, "invalid", ["python"]),
    ("ada", {"packages": ["numpy"]}, "invalid", ["packages"]),
    ("ada", {"packages": {"numpy": "2.4.6", "scipy": "newest"}}, "invalid", ["packages.scipy"]),
    ("ada", {"packages": {"numpy": 2}}, "invalid", ["packages.numpy"]),
    ("ada", {"import_policy": {"default": "perhaps"}}, "policy_malformed", ["import_policy"]),
]


@pytest.mark.parametrize(("who", "change", "code", "fields"), NOT_CREATED, ids=lambda one: str(one)[:40])
def test_what_is_no_environment_is_not_created(who: str, change: dict[str, Any], code: str, fields: list[str]) -> None:
    assert refused(who, environments.create, **{**WARD, **change}) == (code, fields)


def test_its_administrators_change_all_that_is_flexible(place: Place) -> None:
    building._grant(EnvironmentUserGrant, place.iris, "administrator", place.target)
    bench = Environment.objects.filter(slug="workbench").values().get()
    before = Environment.objects.filter(slug="production").values(*ALL_OF_IT).get()
    changed = environments.change(actor=by("iris"), slug="production", revision=1, **ALL_OF_IT)
    assert Environment.objects.filter(slug="production").values(*ALL_OF_IT, "revision").get() == {
        **ALL_OF_IT, "revision": 2
    }  # fmt: skip
    assert (changed.pk, changed.revision, changed.name) == (place.target.pk, 2, "Plant floor")
    chain = f"environment:{place.target.pk}"
    assert told("environment.changed") == (chain, place.iris.pk, chain, {"before": before, "after": ALL_OF_IT})
    assert Environment.objects.filter(slug="workbench").values().get() == bench


def test_a_new_owner_is_told_by_marks_beside_what_else_changed(place: Place) -> None:
    changed = environments.change(actor=by("ada"), slug="production", owner="rita", hardware="2 CPU")
    assert (changed.owner, Environment.objects.get(slug="production").owner) == (place.rita, place.rita)
    *_, data = told("environment.changed")
    assert data == {
        "before": {"hardware": "", "owner": place.otto.mark},
        "after": {"hardware": "2 CPU", "owner": place.rita.mark},
    }
    assert [one.person for one in EnvironmentOwner.objects.filter(environment=place.target)] == [place.rita]
    assert not EnvironmentOwner.objects.filter(environment=place.source).exists()
    environments.change(actor=by("ada"), slug="production", owner="otto")
    first, second = place.target.owners.order_by("period")
    assert (first.person, second.person, first.period.upper) == (place.rita, place.otto, second.period.lower)
    environments.change(actor=by("ada"), slug="production", owner="iris")
    assert [one.person for one in place.target.owners.order_by("period")] == [place.rita, place.otto, place.iris]


NOT_CHANGED: list[tuple[str, dict[str, Any], str, list[str]]] = [
    ("mallory", {"name": "Mine"}, "not_found", []),
    ("otto", {"name": "Mine"}, "role_not_held", []),
    ("dana", {"name": "Mine"}, "role_not_held", []),
    ("ada", {"name": "x", "revision": 2}, "changed_since_shown", []),
    ("ada", {"name": "x", "organisation": "lab", "kind": "test"}, "invalid", ["kind", "organisation"]),
    ("ada", {"owner": "nobody"}, "invalid", ["owner"]),
    ("ada", {"python": "latest"}, "invalid", ["python"]),
    ("ada", {"packages": {"numpy": ""}}, "invalid", ["packages.numpy"]),
]


@pytest.mark.parametrize(("who", "change", "code", "fields"), NOT_CHANGED, ids=lambda one: str(one)[:40])
def test_a_change_that_is_refused_changes_nothing(
    place: Place, who: str, change: dict[str, Any], code: str, fields: list[str]
) -> None:
    building._grant(EnvironmentUserGrant, place.dana, "administrator", place.source)  # another environment
    assert refused(who, environments.change, slug="production", **change) == (code, fields)


def test_only_an_administrator_creates_an_organisation_and_its_name_is_free(ada: Account) -> None:
    assert refused("otto", organisations.create, slug="clinic", name="Clinic") == ("administrator_required", [])
    made = organisations.create(actor=by("ada"), slug="clinic", name="City clinic")
    assert made == Organisation.objects.get(slug="clinic", name="City clinic")
    assert told("organisation.created") == (
        "site", ada.pk, f"organisation:{made.pk}", {"slug": "clinic", "name": "City clinic"}
    )  # fmt: skip
    assert refused("ada", organisations.create, slug="clinic", name="Other") == ("name_taken", ["slug"])
