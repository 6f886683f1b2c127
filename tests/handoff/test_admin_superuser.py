"""A superuser without a role tries every page, form and action of the admin: no gate gives way, no record changes."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from django.apps import apps
from django.contrib import admin
from django.db import models
from django.test import Client
from django.urls import reverse

from audit.admin_doors import Configuration
from audit.models import Account, AuditEvent
from tests.handoff import walking
from tests.handoff.building import Place
from tests.handoff.recording import one_of_each
from tests.handoff.walking import client_of
from tests.queries import counting

pytestmark = pytest.mark.django_db
# Written by coming in and looking around, not by acts.
ASIDE = {"Session", "LogEntry", "AccessLog", "AccessAttempt", "AccessFailureLog", "TreeLeaf", "TreeNode", "TreeHead"}
# Administrators of the site take roles away and end delegations, which opens no gate; each is an event.
TAKEN = {"role.revoked", "delegation.ended"}
OURS = ("audit", "models_registry", "handoff", "auth", "knox", "django_celery_beat", "account", "mfa", "axes")


@pytest.fixture
def sam(db: None, store: Any) -> Account:
    """Return a superuser, who holds no role, where something of everything is."""
    reverse("admin:index")  # the addresses are read now, which takes some models out
    site: Place = walking.a_site()
    handoff = counting.building.tested(counting.signed(site, counting.building.a_version(site, 50)))
    counting.approve(handoff, site.otto, "release")  # its deployment is queued
    walking.answered(site, walking.offered(site, counting.building.a_version(site, 51)))
    one_of_each(site.ada, 1)
    return Account.objects.create(username="sam", is_staff=True, is_superuser=True)


def everything() -> dict[str, list[dict[str, Any]]]:
    """Return every row of every table, but for what coming in writes; `last_login` is part of that."""
    found = {}
    for model in apps.get_models():
        if model._meta.app_label in OURS and model.__name__ not in ASIDE and model._meta.managed:
            rows = model._base_manager.order_by("pk").values()
            found[model._meta.label] = [{k: v for k, v in row.items() if k != "last_login"} for row in rows]
    return found


def url(model: type[models.Model], act: str, *args: Any) -> str:
    return reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_{act}", args=args)


def typed(model: type[models.Model]) -> dict[str, str]:
    """Return a form that sets every field to something else."""
    names = [field.name for field in model._meta.get_fields() if getattr(field, "editable", False)]
    return {name: "live" if name == "state" else "1" for name in names} | {"_save": "Save", "reason": "Because."}


def attacks(client: Client, model: type[models.Model], acts: set[str]) -> Iterator[tuple[str, int]]:
    """Try all that there is at one model, and give how each was answered."""
    keys = [str(pk) for pk in model._base_manager.order_by("pk").values_list("pk", flat=True)[:3]]
    for key in keys:
        yield "read", client.get(url(model, "change", key)).status_code
        yield "delete", client.post(url(model, "delete", key), {"post": "yes"}).status_code
        if not isinstance(admin.site._registry[model], Configuration):
            yield "change", client.post(url(model, "change", key), typed(model)).status_code
    for act in acts:
        body = {"action": act, "_selected_action": keys, "confirmed": "yes", "post": "yes", "reason": "Because."}
        yield act, client.post(url(model, "changelist"), body).status_code


def test_a_superuser_finds_no_way_round(sam: Account) -> None:
    acts = {act.name for door in admin.site._registry.values() for act in getattr(door, "acts", ())}
    acts |= {"delete_selected", "sign", "approve", "answer"}
    assert len(acts) > 12
    assert len(admin.site._registry) > 40
    client, before = client_of(sam), everything()
    people = (Account, apps.get_model("auth", "Group"))  # kept in the admin, each change an event
    for model in admin.site._registry:
        if model not in people:
            for what, status in attacks(client, model, acts):
                assert status in (200, 302, 403, 404), (model, what, status)
                assert status != 200 or what in ("read", *acts), (model, what)
    for model in people:
        for key in model._base_manager.values_list("pk", flat=True):
            assert client.post(url(model, "delete", key), {"post": "yes"}).status_code == 403
        for act in acts:
            body = {"action": act, "_selected_action": [sam.pk], "confirmed": "yes", "post": "yes"}
            assert client.post(url(model, "changelist"), body).status_code in (200, 302)
    after = everything()
    changed = {label for label in before if before[label] != after[label]}
    assert {label for label in changed if not label.endswith("Grant")} == {
        "audit.AuditEvent",
        "audit.PersonalKey",  # an administrator retires a lost key, on record
        "models_registry.Delegation",
    }
    told = AuditEvent.objects.filter(actor=sam).exclude(chain__startswith="account:")
    assert set(told.values_list("action", flat=True)) == TAKEN


def test_what_a_superuser_adds_is_made_by_a_service_on_record_or_refused(sam: Account) -> None:
    client, before = client_of(sam), everything()
    added = set()
    for model, door in admin.site._registry.items():
        if model is Account or model.__name__ == "Group":
            continue
        events = AuditEvent.objects.count()
        answer = client.post(url(model, "add"), typed(model))
        assert answer.status_code in (200, 302, 403), (model, answer.status_code)
        if answer.status_code == 302:
            added.add(model._meta.label)
            assert isinstance(door, Configuration), model
            event = AuditEvent.objects.latest("pk")
            assert (AuditEvent.objects.count(), event.actor) == (events + 1, sam)
            assert json.loads(event.body)["actor"]["via"] == "admin"
        else:
            assert AuditEvent.objects.count() == events, model
    after = everything()
    changed = {label for label in before if before[label] != after[label]}
    assert added == {"models_registry.Organisation"}  # which every administrator keeps
    assert changed == added | {"audit.AuditEvent"}
