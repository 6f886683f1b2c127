"""Accounts in the admin: every change is an event, and nobody changes their own rights."""

import pytest
from django.contrib.auth.models import Group
from django.test import Client
from django.urls import reverse

from audit import signing
from audit.models import Account, AuditEvent

BACKEND = "django.contrib.auth.backends.ModelBackend"
PERSON = {"username": "ada", "first_name": "Ada", "last_name": "Novak", "email": "", "title": "", "kind": "person"}


@pytest.fixture
def ada(db: None) -> Account:
    return Account.objects.create_superuser("ada", password="correct horse battery staple")


@pytest.fixture
def door(ada: Account) -> Client:
    client = Client()
    client.force_login(ada, backend=BACKEND)
    return client


def test_nobody_puts_themselves_into_a_group(door: Client, ada: Account) -> None:
    group = Group.objects.create(name="validators")
    page = reverse("admin:audit_account_change", args=[ada.pk])
    assert 'name="groups"' not in door.get(page).content.decode()
    assert door.post(page, {**PERSON, "groups": [group.pk]}).status_code == 302
    assert not ada.groups.exists()
    ada.refresh_from_db()
    assert ada.is_superuser
    assert ada.is_staff
    assert ada.is_active


def test_somebody_else_is_put_into_a_group_on_record(door: Client, ada: Account) -> None:
    group = Group.objects.create(name="validators")
    vera = Account.objects.create_user("vera", password="correct horse battery staple")
    page = reverse("admin:audit_account_change", args=[vera.pk])
    change = {**PERSON, "username": "vera", "is_active": "on", "groups": [group.pk]}
    assert door.post(page, change).status_code == 302
    assert [one.name for one in vera.groups.all()] == ["validators"]
    event = AuditEvent.objects.get(action="account.changed")
    assert event.actor_label == ada.printed_name


def test_groups_are_made_and_renamed_on_record_and_never_deleted(door: Client) -> None:
    assert door.post(reverse("admin:auth_group_add"), {"name": "night shift"}).status_code == 302
    group = Group.objects.get()
    assert door.post(reverse("admin:auth_group_change", args=[group.pk]), {"name": "day shift"}).status_code == 302
    assert door.post(reverse("admin:auth_group_delete", args=[group.pk]), {"post": "yes"}).status_code == 403
    assert Group.objects.get().name == "day shift"
    told = AuditEvent.objects.filter(action__startswith="group.").order_by("pk").values_list("action", flat=True)
    assert list(told) == ["group.created", "group.changed"]


def test_administrators_read_the_site_s_keys_and_others_nothing(door: Client, ada: Account) -> None:
    Account.objects.filter(pk=ada.pk).update(is_superuser=False)
    key = signing.sign("text/plain", b"")[1]
    page = reverse("admin:audit_signingkey_change", args=[key.pk])
    assert key.pk in door.get(page).content.decode()
    assert door.post(page, {"retired_because": "x"}).status_code == 403
    Account.objects.filter(pk=ada.pk).update(is_staff=False, is_superuser=True)
    assert door.get(page).status_code == 302
    key.refresh_from_db()
    assert key.retired_at is None
