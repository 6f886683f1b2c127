"""The admin: configuration through services, records to read, actions with a reason; being a superuser adds nothing."""

import json
from typing import Any

import pytest
from django.contrib import admin
from django.contrib.auth.models import Group
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from audit.models import Account, AuditEvent
from handoff.models import Handoff, Job, PolicyRevision, SignOff
from handoff.services import handoffs
from handoff.states import State
from models_registry.models import (
    Environment,
    EnvironmentGroupGrant,
    EnvironmentUserGrant,
    ModelVersion,
    Organisation,
    RegisteredModelUserGrant,
)
from models_registry.roles import Role
from models_registry.services import roles, versions
from models_registry.states import VersionState
from tests.handoff import building, walking
from tests.handoff.building import Place
from tests.handoff.walking import by, client_of

OURS = sorted(
    (model for model in admin.site._registry if model._meta.app_label in {"audit", "models_registry", "handoff"}),
    key=lambda model: model._meta.label,
)
THINGS, HOLDERS = ("Environment", "Organisation", "RegisteredModel"), ("User", "Group")
ADDABLE = {
    *("Organisation", "Environment", "Stream", "Consumer", "PolicyRevision", "Account", "DutyRevision", "RaciRevision"),
    *("MergedAccount", "FormerPerson", "ChecklistTemplateRevision"),
    *(f"{thing}{holder}Grant" for thing in THINGS for holder in HOLDERS),
}


@pytest.fixture
def site(db: None, store: Any) -> Place:
    """Return a place in which ada, who is staff and a superuser, also holds a role on the model."""
    place = walking.a_site()
    Account.objects.filter(pk=place.ada.pk).update(is_superuser=True)
    place.ada.refresh_from_db()
    building._grant(RegisteredModelUserGrant, place.ada, Role.RISK_COMPLIANCE, place.model)
    return place


def listed(model: Any) -> str:
    return reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist")


def page_of(record: Any, act: str = "change") -> str:
    return reverse(f"admin:{record._meta.app_label}_{record._meta.model_name}_{act}", args=[record.pk])


def added(model: Any) -> str:
    return reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_add")


def via(event: AuditEvent) -> str:
    """Return the door through which somebody acted."""
    return str(json.loads(event.body)["actor"]["via"])


def acted(client: Client, action: str, *records: Any, reason: str = "It was a mistake.") -> Any:
    body = {"action": action, "_selected_action": [str(record.pk) for record in records], "confirmed": "yes"}
    return client.post(listed(records[0]), {**body, "reason": reason}, follow=True)


@pytest.mark.parametrize("model", OURS, ids=lambda model: model.__name__)
def test_lists_and_pages_open_and_only_configuration_is_added(model: Any, site: Place) -> None:
    walking.ready(site)
    ada = client_of(site.ada)
    assert ada.get(listed(model)).status_code == 200
    assert ada.get(added(model)).status_code == (200 if model.__name__ in ADDABLE else 403)
    visible = admin.site._registry[model]
    request = ada.get(listed(model)).wsgi_request
    record = visible.get_queryset(request).first()
    if record is not None:
        assert ada.get(page_of(record)).status_code == 200
        assert ada.post(page_of(record, "delete"), {"post": "yes"}).status_code == 403
        assert model._default_manager.filter(pk=record.pk).exists()


@pytest.mark.parametrize("model", OURS, ids=lambda model: model.__name__)
def test_others_are_turned_away(model: Any, site: Place) -> None:
    for account in (site.otto, site.mallory, None):
        answer = client_of(account).get(listed(model))
        assert answer.status_code in (302, 403), account


def test_staff_without_a_role_see_no_records(site: Place) -> None:
    handoff = walking.ready(site)
    site.mallory.is_staff = site.mallory.is_superuser = True
    site.mallory.save(update_fields=["is_staff", "is_superuser"])
    mallory = client_of(site.mallory)
    for model in (Handoff, ModelVersion, Job, SignOff, AuditEvent):
        assert str(handoff.pk) not in mallory.get(listed(model)).content.decode()
        assert "field-__str__" not in mallory.get(listed(model)).content.decode()
    assert mallory.get(page_of(handoff)).status_code == 302
    assert acted(mallory, "withdraw", handoff).status_code == 200
    handoff.refresh_from_db()
    assert handoff.state == State.READY


def test_records_are_not_changed_by_hand(site: Place) -> None:
    handoff = walking.offered(site)
    events = AuditEvent.objects.count()
    page = client_of(site.ada).get(page_of(handoff)).content.decode()
    assert 'name="_save"' not in page
    assert client_of(site.ada).post(page_of(handoff), {"state": "live"}).status_code == 403
    handoff.refresh_from_db()
    assert handoff.state == State.IN_REVIEW
    assert AuditEvent.objects.count() == events


def test_an_action_asks_for_a_reason_and_goes_through_its_service(site: Place) -> None:
    handoff = walking.offered(site)
    building._grant(RegisteredModelUserGrant, site.ada, Role.DATA_SCIENTIST, site.model)
    ada = client_of(site.ada)
    asked = ada.post(listed(handoff), {"action": "withdraw", "_selected_action": [str(handoff.pk)]})
    assert "Reason" in asked.content.decode()
    assert "Say why" in acted(ada, "withdraw", handoff, reason=" ").content.decode()
    handoff.refresh_from_db()
    assert handoff.state == State.IN_REVIEW
    told = acted(ada, "withdraw", handoff).content.decode()
    handoff.refresh_from_db()
    assert handoff.state == State.WITHDRAWN, told
    event = AuditEvent.objects.filter(action="handoff.moved").latest("pk")
    assert event.actor_label == site.ada.printed_name
    assert (via(event), json.loads(event.body)["reason"]) == ("admin", "It was a mistake.")


def test_a_refused_action_changes_nothing_and_says_why(site: Place) -> None:
    handoff = walking.offered(site)
    other = building.a_place("warts").model
    building._grant(RegisteredModelUserGrant, site.ada, Role.DATA_SCIENTIST, other)
    events = AuditEvent.objects.count()
    told = acted(client_of(site.ada), "withdraw", handoff).content.decode()
    assert "You do not hold the role Data scientist here" in told
    assert "Those who hold it: Dana" in told
    handoff.refresh_from_db()
    assert handoff.state == State.IN_REVIEW
    assert AuditEvent.objects.count() == events


def test_there_is_no_action_that_signs(site: Place) -> None:
    for model in OURS:
        acts = getattr(admin.site._registry[model], "acts", ())
        assert not {one.name for one in acts} & {"sign", "approve", "refuse", "answer", "acknowledge"}


def test_drafts_are_discarded_on_record(site: Place) -> None:
    building._grant(RegisteredModelUserGrant, site.ada, Role.DATA_SCIENTIST, site.model)
    draft = versions.draft(actor=by(site.dana), model=site.model.slug)
    sealed = building.a_version(site, 2)
    acted(client_of(site.ada), "discard", draft, sealed)
    draft.refresh_from_db()
    sealed.refresh_from_db()
    assert (draft.state, sealed.state) == (VersionState.DISCARDED, VersionState.NOMINATED)
    assert via(AuditEvent.objects.get(action="version.discarded")) == "admin"


NEW: dict[str, Any] = {
    "name": "Clinic B", "slug": "clinic-b", "kind": "production", "purpose": "", "python": "3.11.7",
    "packages": '{"numpy": "2.4.6"}', "hardware": "", "import_policy": "{}", "engine": "",
}  # fmt: skip


def test_an_environment_is_created_and_changed_through_the_service(site: Place) -> None:
    ada = client_of(site.ada)
    ada.post(added(Organisation), {"name": "Ward", "slug": "ward"})
    ward = Organisation.objects.get(slug="ward")
    body = {**NEW, "organisation": ward.pk, "owner": site.otto.pk}
    assert ada.post(added(Environment), body).status_code == 302
    made = Environment.objects.get(slug="clinic-b")
    assert (made.packages, made.owner, made.organisation) == ({"numpy": "2.4.6"}, site.otto, ward)
    more = {"systems": "Kubernetes 1.34", "requirements": "A runbook."}
    change = {**body, **more, "hardware": "8 CPU", "seen": made.revision}
    assert ada.post(page_of(made), change).status_code == 302
    made.refresh_from_db()
    assert (made.hardware, made.revision) == ("8 CPU", 2)
    assert {name: getattr(made, name) for name in more} == more
    shown = ada.get("/environments/clinic-b/").content.decode()
    assert all(words in shown for words in more.values())
    stale = ada.post(page_of(made), {**change, "hardware": "1 CPU"})
    assert "changed after you read it" in stale.content.decode()
    made.refresh_from_db()
    assert made.hardware == "8 CPU"
    told = AuditEvent.objects.filter(action__startswith="environment.").order_by("pk")
    assert [(one.action, via(one)) for one in told] == [
        ("environment.created", "admin"),
        ("environment.changed", "admin"),
    ]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"slug": "production"}, "is in use"),
        ({"packages": '{"numpy": "newest"}'}, "is not a version"),
        ({"import_policy": '{"default": "maybe"}'}, "default is one of allow, warn, prohibit"),
        ({"python": "three"}, "is not a version"),
        ({"kind": "attic"}, "attic"),
        ({"owner": ""}, "required"),
    ],
)
def test_an_odd_environment_is_refused_by_field(change: dict[str, Any], words: str, site: Place) -> None:
    body = {**NEW, "organisation": site.target.organisation_id, "owner": site.otto.pk, **change}
    events, there = AuditEvent.objects.count(), Environment.objects.count()
    answer = client_of(site.ada).post(added(Environment), body)
    assert answer.status_code == 200
    assert words in answer.content.decode()
    assert Environment.objects.count() == there
    assert AuditEvent.objects.count() == events


def test_a_policy_is_published_and_a_bad_one_refused(site: Place) -> None:
    source = PolicyRevision.objects.get(policy__slug="light").source
    ada = client_of(site.ada)
    assert ada.post(added(PolicyRevision), {"source": source + "\n# again\n"}).status_code in (200, 302)
    there = PolicyRevision.objects.count()
    refused = ada.post(added(PolicyRevision), {"source": "policy: [nothing"})
    assert refused.status_code == 200
    assert PolicyRevision.objects.count() == there


def test_roles_are_granted_to_others_and_taken_away(site: Place) -> None:
    ada = client_of(site.ada)
    body = {"thing": site.target.pk, "role": Role.IT_OPERATIONS, "holder": site.mallory.pk}
    assert ada.post(added(EnvironmentUserGrant), body).status_code == 302
    grant = EnvironmentUserGrant.objects.get(user=site.mallory)
    own = ada.post(added(EnvironmentUserGrant), {**body, "holder": site.ada.pk})
    assert "Nobody grants a role to themselves" in own.content.decode()
    assert not EnvironmentUserGrant.history.filter(user=site.ada).exists()
    acted(ada, "take_away", grant)
    assert EnvironmentUserGrant.history.get(user=site.mallory).state_at(timezone.now()) == "ended"
    told = AuditEvent.objects.filter(action__startswith="role.").order_by("pk")
    assert [(one.action, via(one)) for one in told] == [("role.granted", "admin"), ("role.revoked", "admin")]


def test_groups_hold_roles_too(site: Place) -> None:
    group = Group.objects.create(name="night-shift")
    body = {"thing": site.target.pk, "role": Role.IT_OPERATIONS, "holder": group.pk}
    ada = client_of(site.ada)
    assert ada.post(added(EnvironmentGroupGrant), body).status_code == 302
    acted(ada, "take_away", EnvironmentGroupGrant.objects.get())
    assert EnvironmentGroupGrant.history.get().state_at(timezone.now()) == "ended"


def many(place: Place, count: int) -> None:
    """Make handoffs, each withdrawn but the last, with all that belongs to them."""
    version = building.a_version(place)
    for _ in range(count):
        handoff = walking.offered(place, version)
        handoffs.withdraw(actor=by(place.dana), handoff_id=str(handoff.pk), reason="again")


@pytest.mark.parametrize("model", OURS, ids=lambda model: model.__name__)
def test_a_list_takes_as_many_queries_with_many_rows_as_with_one(model: Any, site: Place) -> None:
    ada = client_of(site.ada)
    many(site, 1)
    ada.get(listed(model))
    with CaptureQueriesContext(connection) as few:
        ada.get(listed(model))
    for holder in (site.vera, site.rita, site.iris):
        roles.grant(
            actor=by(site.ada), role=Role.ANALYTIC_ENGINEER, holder=holder.username, environment=site.target.slug
        )
    version = ModelVersion.objects.get()
    for _ in range(4):
        handoff = walking.offered(site, version)
        handoffs.withdraw(actor=by(site.dana), handoff_id=str(handoff.pk), reason="again")
    with CaptureQueriesContext(connection) as more:
        ada.get(listed(model))
    assert len(more) <= len(few), json.dumps([one["sql"][:160] for one in more.captured_queries], indent=1)
