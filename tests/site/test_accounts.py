"""Sign in by the browser, and change accounts in the admin."""

from collections.abc import Callable

import pytest
from django.test import Client
from django.urls import reverse

from audit.models import Account, AuditEvent
from tests.audit.building import write_chain
from tests.site.conftest import PASSWORD

LOGIN = "/account/login/"


def actions() -> list[str]:
    """Return what was recorded."""
    return list(AuditEvent.objects.order_by("pk").values_list("action", flat=True))


def test_a_sign_in_is_recorded(client: Client, dana: Account) -> None:
    answer = client.post(LOGIN, {"login": "dana", "password": PASSWORD})
    assert answer.status_code == 302
    assert actions() == ["account.signed_in"]
    assert AuditEvent.objects.get().actor == dana


def test_a_failed_sign_in_is_recorded(client: Client, dana: Account) -> None:
    assert client.post(LOGIN, {"login": "dana", "password": "wrong"}).status_code == 200
    assert actions() == ["account.sign_in_failed"]


def test_a_service_account_does_not_come_in_by_the_browser(client: Client, robot: Account) -> None:
    assert client.post(LOGIN, {"login": "robot", "password": PASSWORD}).status_code == 200
    assert "_auth_user_id" not in client.session
    assert actions() == ["account.sign_in_failed"]


def test_nobody_signs_up(client: Client, db: None) -> None:
    client.post("/account/signup/", {"username": "mallory", "password1": PASSWORD})
    assert not Account.objects.exists()


def test_the_admin_has_no_door_of_its_own(client: Client, dana: Account) -> None:
    answer = client.get("/admin/login/?next=/admin/")
    assert answer.status_code == 302
    assert answer["Location"].startswith(LOGIN)


@pytest.fixture
def ada(client: Client, person: Callable[..., Account]) -> Account:
    """Sign an administrator in."""
    ada = person("ada", is_staff=True, is_superuser=True)
    client.force_login(ada)
    return ada


def test_an_account_is_made_and_changed_on_the_record(client: Client, ada: Account) -> None:
    new = {
        "username": "vera",
        "password1": PASSWORD,
        "password2": PASSWORD,
        "usable_password": "true",
        "kind": "person",
    }
    assert client.post("/admin/audit/account/add/", new).status_code == 302
    vera = Account.objects.get(username="vera")
    changed = {"username": "vera", "title": "Validator", "kind": "person", "is_active": "on"}
    assert client.post(f"/admin/audit/account/{vera.pk}/change/", changed).status_code == 302
    password = {"password1": PASSWORD + "!", "password2": PASSWORD + "!", "usable_password": "true"}
    assert client.post(f"/admin/audit/account/{vera.pk}/password/", password).status_code == 302
    vera.refresh_from_db()
    assert vera.title == "Validator"
    assert vera.check_password(PASSWORD + "!")
    assert actions() == ["account.created", "account.changed", "account.changed"]
    events = AuditEvent.objects.all()
    assert {event.actor for event in events} == {ada}
    assert {event.chain for event in events} == {f"account:{vera.pk}"}
    assert not any(PASSWORD in event.body for event in events)


def test_an_account_is_never_deleted(client: Client, ada: Account, dana: Account) -> None:
    assert client.post(f"/admin/audit/account/{dana.pk}/delete/", {"post": "yes"}).status_code == 403
    client.post("/admin/audit/account/", {"action": "delete_selected", "_selected_action": [dana.pk], "post": "yes"})
    assert Account.objects.filter(pk=dana.pk).exists()


@pytest.mark.parametrize("address", ["add/", "{pk}/change/", "{pk}/delete/"])
def test_events_are_only_read(address: str, client: Client, ada: Account) -> None:
    write_chain("handoff:a", 1)
    event = AuditEvent.objects.get()
    answer = client.post("/admin/audit/auditevent/" + address.format(pk=event.pk), {"body": "{}", "post": "yes"})
    assert answer.status_code in {302, 403}
    assert AuditEvent.objects.get().body == event.body


def test_a_superuser_sees_no_chain_by_that_alone(client: Client, ada: Account) -> None:
    write_chain("handoff:a", 1)
    answer = client.get("/admin/audit/auditevent/")
    assert answer.status_code == 200
    assert b"handoff:a" not in answer.content


@pytest.mark.parametrize("address", ["knox/authtoken/", "mfa/authenticator/"])
def test_what_opens_doors_is_not_in_the_admin(address: str, client: Client, ada: Account) -> None:
    assert client.get(f"/admin/{address}").status_code == 404


def test_nothing_that_would_be_mailed_is_offered(client: Client) -> None:
    page = client.get(reverse("account_login")).content.decode()
    assert "Forgot" not in page
    for closed in ("email/", "confirm-email/", "password/reset/"):
        answer = client.get(f"/account/{closed}")
        assert (answer.status_code, answer["Location"]) == (302, reverse("account_login"))
