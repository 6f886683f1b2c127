"""Every list of the admin: what it costs, to whom it shows what, and that nothing is written by its pages."""

from typing import Any

import pytest
from django.contrib import admin
from django.contrib.admin.models import LogEntry
from django.db import connection
from django.forms.models import model_to_dict
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from audit.admin_doors import Configuration, Door
from audit.models import Account, AuditEvent
from models_registry.models import RegisteredModel
from tests.handoff import building
from tests.handoff.recording import one_of_each
from tests.handoff.walking import client_of

pytestmark = pytest.mark.django_db

DOORS = sorted(
    (model for model, door in admin.site._registry.items() if isinstance(door, Door)),
    key=lambda model: model._meta.label,
)
KEPT_BY_ALL = {model for model in DOORS if isinstance(admin.site._registry[model], Configuration)} - {RegisteredModel}
READ_BY_ALL = {
    *KEPT_BY_ALL,
    *(
        model
        for model in DOORS
        if model._meta.model_name
        in (
            *("policy", "environmentowner", "environmentprofile", "importexception", "delegation", "personalkey"),
            "leaver",
        )
    ),
}


@pytest.fixture
def ada(db: None, store: Any) -> Account:
    """Return an administrator of the site who holds no role yet."""
    return Account.objects.create(username="ada", first_name="Ada", is_staff=True)


def url(model: Any, act: str, *args: Any) -> str:
    return reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_{act}", args=args)


def rows_of(model: Any, account: Account) -> Any:
    return client_of(account).get(url(model, "changelist")).context["cl"].queryset


def costs(account: Account) -> dict[str, tuple[int, int]]:
    """Return how many rows each list shows, and how many queries that took."""
    client, found = client_of(account), {}
    for model in DOORS:
        with CaptureQueriesContext(connection) as counted:
            answer = client.get(url(model, "changelist"))
        found[model.__name__] = (len(answer.context["cl"].result_list), len(counted))
    return found


def test_a_list_of_twenty_takes_as_many_queries_as_a_list_of_one(ada: Account, monkeypatch: Any) -> None:
    for kept in ("handoff.web.context.KEPT", "mdlc_site.sessions.STEP"):
        monkeypatch.setattr(kept, 3600)  # the number in the menu, and that somebody is there, however long this takes
    one_of_each(ada, 0)
    costs(ada)  # what is read once a process is read now
    few = costs(ada)
    for number in range(1, 20):
        one_of_each(ada, number)
    many = costs(ada)
    assert {name for name, (rows, _) in few.items() if not rows} == set()
    assert {name for name, (rows, _) in many.items() if rows < 20} == set()
    grown = {name: (few[name][1], queries) for name, (_, queries) in many.items() if queries != few[name][1]}
    assert not grown
    assert max(queries for _, queries in many.values()) <= 16, sorted(many.items(), key=lambda item: item[1][1])[-4:]


def test_staff_without_a_role_see_no_record_and_no_model(ada: Account) -> None:
    sam = Account.objects.create(username="sam", is_staff=True, is_superuser=True)
    one_of_each(ada, 0)
    events = AuditEvent.objects.count()
    for model in DOORS:
        there = model._default_manager.first()
        assert there is not None
        page = url(model, "change", there.pk)
        if model in READ_BY_ALL:
            assert rows_of(model, sam).count(), model
            continue
        assert not rows_of(model, sam).exists(), model
        assert client_of(sam).get(page).status_code == 302, model
        assert client_of(sam).post(page, {}).status_code in (302, 403), model
        assert rows_of(model, ada).exists(), model
    assert AuditEvent.objects.count() == events


def test_a_service_account_or_somebody_who_left_sees_nothing(ada: Account) -> None:
    one_of_each(ada, 0)
    ada.is_active = False
    ada.save(update_fields=["is_active"])
    robot = Account.objects.create(username="robot", kind="service", responsible=ada)
    for account in (ada, robot):
        for model in DOORS:
            answer = client_of(account).get(url(model, "changelist"))
            assert answer.status_code in (302, 403)


def test_filters_name_only_what_the_asker_may_see(ada: Account) -> None:
    sam = Account.objects.create(username="sam", is_staff=True)
    for number in range(3):
        one_of_each(ada, number)
    one_of_each(sam, 7)
    for model in DOORS:
        if model not in READ_BY_ALL:
            html = client_of(ada).get(url(model, "changelist")).content.decode()
            assert "odel-7" not in html, model
            assert "lace 7" not in html, model


@pytest.mark.parametrize("model", DOORS, ids=lambda model: model.__name__)
def test_what_is_only_read_has_no_button_and_takes_no_form(model: Any, ada: Account) -> None:
    one_of_each(ada, 0)
    ada.is_superuser = True
    ada.save(update_fields=["is_superuser"])
    record = rows_of(model, ada).first()
    door, client = admin.site._registry[model], client_of(ada)
    page = url(model, "change", record.pk)
    shown = client.get(page)
    assert shown.status_code == 200
    before, events = model_to_dict(record), AuditEvent.objects.count()
    changeable = door.has_change_permission(shown.wsgi_request, record)
    assert ('name="_save"' in shown.content.decode()) == changeable
    if not changeable:
        assert client.post(page, {**dict.fromkeys(before, "x"), "_save": "Save"}).status_code == 403
    assert client.post(url(model, "delete", record.pk), {"post": "yes"}).status_code == 403
    bulk = {"action": "delete_selected", "_selected_action": [str(record.pk)], "post": "yes"}
    assert client.post(url(model, "changelist"), bulk).status_code in (200, 302, 403)
    assert model_to_dict(model._default_manager.get(pk=record.pk)) == before
    assert (AuditEvent.objects.count(), LogEntry.objects.count()) == (events, 0)


@pytest.mark.parametrize("model", DOORS, ids=lambda model: model.__name__)
def test_adding_opens_where_a_service_makes_one_and_nowhere_else(model: Any, ada: Account) -> None:
    one_of_each(ada, 0)
    there = model._default_manager.count()
    client, page = client_of(ada), url(model, "add")
    if model in KEPT_BY_ALL:
        assert client.get(page).status_code == 200
        refused = client.post(page, {})
        assert (refused.status_code, bool(refused.context["errors"])) == (200, True)
    else:
        assert client.get(page).status_code == 403
        assert client.post(page, {}).status_code == 403
    assert model._default_manager.count() == there


def test_every_page_of_the_admin_opens_for_a_superuser(ada: Account) -> None:
    one_of_each(ada, 0)
    ada.is_superuser = True
    ada.save(update_fields=["is_superuser"])
    client = client_of(ada)
    assert client.get(reverse("admin:index")).status_code == 200
    for model in admin.site._registry:
        assert client.get(url(model, "changelist")).status_code == 200, model
        assert client.get(url(model, "add")).status_code in (200, 403), model
        assert client.get(reverse("admin:app_list", args=[model._meta.app_label])).status_code == 200


def test_the_story_of_a_record_is_in_the_trail(ada: Account) -> None:
    handoff = one_of_each(ada, 0)
    for record, chain in ((handoff, f"handoff:{handoff.pk}"), (handoff.model, f"model:{handoff.model_id}")):
        answer = client_of(ada).get(url(type(record), "history", record.pk))
        assert answer["Location"] == f"{reverse('audit')}?chain={chain.replace(':', '%3A')}"
    sam = Account.objects.create(username="sam", is_staff=True)
    hidden = client_of(sam).get(url(type(handoff), "history", handoff.pk))
    assert hidden["Location"] == reverse("admin:index")


def test_searching_finds_and_odd_searches_do_no_harm(ada: Account) -> None:
    one_of_each(ada, 0)
    one_of_each(ada, 1)
    client = client_of(ada)
    for model in DOORS:
        if not admin.site._registry[model].search_fields:
            continue
        for text in ("%_'\"\\" * 500, "\x00"):
            assert client.get(url(model, "changelist"), {"q": text}).status_code == 200, (model, text)
    handoffs = client.get(url(building.Handoff, "changelist"), {"q": "model-1"})
    assert [row.model.slug for row in handoffs.context["cl"].queryset] == ["model-1"]
