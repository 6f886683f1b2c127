"""The second factor: sealed in the database, asked of whom the site says, and the list of one's own sessions."""

import base64
import importlib
from typing import Any

import pytest
from allauth.mfa.models import Authenticator
from allauth.mfa.recovery_codes.internal.auth import RecoveryCodes
from allauth.mfa.totp.internal import auth as totp
from allauth.usersessions.models import UserSession
from cryptography.fernet import Fernet
from django.apps import apps
from django.core.exceptions import ImproperlyConfigured
from django.db import connection
from django.test import Client
from django.urls import reverse
from knox.models import AuthToken
from rest_framework.test import APIClient

from audit.factors import factor_of
from audit.models import Account, AuditEvent
from mdlc_site import factors
from mdlc_site.environment import fernet_keys, one_of
from tests.site.test_tokens import code_of

pytestmark = pytest.mark.django_db
PASSWORD = "correct horse battery staple"


@pytest.fixture(autouse=True)
def fresh(settings: Any) -> Any:
    """Let each test have the keys that it sets."""
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
    factors.sealer.cache_clear()
    yield
    factors.sealer.cache_clear()


@pytest.fixture
def dana() -> Account:
    """Return Dana, who has a password."""
    return Account.objects.create_user("dana", password=PASSWORD)


@pytest.fixture
def secret(dana: Account) -> str:
    """Set up a second factor for Dana."""
    secret = totp.generate_totp_secret()
    totp.TOTP.activate(dana, secret)
    return secret


# Sealed


def test_no_seed_stands_in_the_database_as_it_is(secret: str, dana: Account) -> None:
    codes = RecoveryCodes.activate(dana).get_unused_codes()
    stored = str(list(Authenticator.objects.values_list("data", flat=True)))
    assert secret not in stored
    assert not any(code in stored for code in codes)
    assert stored.count("gAAAA") == 2
    assert factor_of(dana, code_of(secret)) == "code"
    assert factor_of(dana, codes[0]) == "recovery code"


def test_a_newer_key_opens_what_an_older_one_sealed_and_no_other_does(settings: Any, dana: Account) -> None:
    old, new, other = (Fernet.generate_key().decode() for _ in range(3))
    settings.FACTOR_KEYS = [old]
    secret = totp.generate_totp_secret()
    totp.TOTP.activate(dana, secret)
    for keys, told in (([other], ""), ([], ""), ([new, old], "code")):
        settings.FACTOR_KEYS = keys
        factors.sealer.cache_clear()
        assert factor_of(dana, code_of(secret)) == told


def test_a_seed_that_somebody_wrote_into_the_database_lets_nobody_in(secret: str, dana: Account) -> None:
    planted = totp.generate_totp_secret()
    for forged in (planted, "", "gAAAAforged"):
        Authenticator.objects.filter(user=dana).update(data={"secret": forged})
        assert factor_of(dana, code_of(planted)) == ""
        assert factor_of(dana, code_of("")) == ""


def test_the_migration_seals_what_stood_there_and_twice_changes_nothing(dana: Account) -> None:
    secret, seed = totp.generate_totp_secret(), RecoveryCodes.generate_seed()
    Authenticator.objects.create(user=dana, type="totp", data={"secret": secret})
    Authenticator.objects.create(user=dana, type="recovery_codes", data={"seed": seed, "used_mask": 0})
    seal = importlib.import_module("mdlc_site.migrations.0002_seal_factors").seal
    seal(apps, connection.schema_editor())
    first = list(Authenticator.objects.order_by("pk").values_list("data", flat=True))
    assert secret not in str(first)
    assert seed not in str(first)
    assert factor_of(dana, code_of(secret)) == "code"
    seal(apps, connection.schema_editor())
    assert list(Authenticator.objects.order_by("pk").values_list("data", flat=True)) == first


@pytest.mark.parametrize("value", ["short", "é" * 44, base64.urlsafe_b64encode(b"x" * 31).decode()])
def test_a_key_that_is_none_stops_the_start(value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MDLC_FACTOR_KEYS", value)
    with pytest.raises(ImproperlyConfigured, match="MDLC_FACTOR_KEYS"):
        fernet_keys("MDLC_FACTOR_KEYS")
    monkeypatch.setenv("MDLC_SECOND_FACTOR_FOR", "some")
    with pytest.raises(ImproperlyConfigured, match="nobody, staff, everybody"):
        one_of("MDLC_SECOND_FACTOR_FOR", "nobody", ("nobody", "staff", "everybody"))


# Asked for


@pytest.mark.parametrize(
    ("asked", "staff", "stopped"),
    [("everybody", False, True), ("staff", False, False), ("staff", True, True), ("nobody", True, False)],
)
def test_who_lacks_one_is_led_to_set_it_up_and_does_nothing_else(
    asked: str, staff: bool, stopped: bool, settings: Any, dana: Account, client: Client
) -> None:
    settings.SECOND_FACTOR_FOR = asked
    Account.objects.update(is_staff=staff)
    client.force_login(dana)
    page, act = client.get("/models/"), client.post("/models/new/", {"name": "x"})
    over_api = client.get("/api/v1/models/")
    if stopped:
        assert (page.status_code, page.headers["Location"]) == (302, reverse("mfa_activate_totp"))
        assert (act.status_code, over_api.status_code) == (403, 403)
        assert over_api.json()["code"] == "second_factor_required"
        assert client.get(reverse("mfa_activate_totp")).status_code in (200, 302)
    else:
        assert (page.status_code, act.status_code, over_api.status_code) == (200, 422, 200)


def test_with_one_everything_goes_on_and_service_accounts_have_none(
    settings: Any, dana: Account, secret: str, client: Client
) -> None:
    settings.SECOND_FACTOR_FOR = "everybody"
    client.force_login(dana)
    assert client.get("/models/").status_code == 200
    robot = Account.objects.create(username="robot", kind="service", responsible=dana)
    text = AuthToken.objects.create(user=robot)[1]
    assert APIClient(headers={"Authorization": f"Bearer {text}"}).get("/api/v1/models/").status_code == 200


def test_no_token_is_a_way_around_it(settings: Any, dana: Account) -> None:
    text = AuthToken.objects.create(user=dana)[1]
    settings.SECOND_FACTOR_FOR = "everybody"
    body = {"username": "dana", "password": PASSWORD}
    events, tokens = AuditEvent.objects.count(), AuthToken.objects.count()
    for answer in (
        APIClient().post("/api/v1/tokens/", body, format="json"),
        APIClient(headers={"Authorization": f"Bearer {text}"}).get("/api/v1/models/"),
    ):
        assert (answer.status_code, answer.json()["code"]) == (403, "second_factor_required")
    assert (AuditEvent.objects.count(), AuthToken.objects.count()) == (events, tokens)


# Sessions


def sign_in() -> Client:
    client = Client(headers={"User-Agent": "A browser"})
    assert client.post(reverse("account_login"), {"login": "dana", "password": PASSWORD}).status_code == 302
    return client


def test_one_sees_ones_sessions_and_ends_the_others(dana: Account) -> None:
    mine, other = sign_in(), sign_in()
    mine.post(reverse("account_reauthenticate"), {"password": PASSWORD})
    stranger = Account.objects.create_user("mallory", password=PASSWORD)
    UserSession.objects.create(user=stranger, ip="192.0.2.7", session_key="x" * 32, user_agent="Theirs")
    page = mine.get(reverse("usersessions_list")).content.decode()
    assert page.count("A browser") == 2
    assert "This session" in page
    assert "192.0.2.7" not in page
    assert mine.post(reverse("usersessions_list")).status_code == 302
    assert mine.get("/models/").status_code == 200
    assert other.get("/models/").status_code == 302
    assert UserSession.objects.filter(user=stranger).count() == 1
    told = AuditEvent.objects.get(action="account.sessions_ended").told
    assert told["data"] == {"sessions": 1}
    assert "End all other sessions" not in mine.get(reverse("usersessions_list")).content.decode()


def test_nobody_ends_sessions_who_has_not_just_proved_who_they_are(dana: Account, client: Client) -> None:
    sign_in()
    client.force_login(dana)
    before = UserSession.objects.count()
    for answer in (client.get(reverse("usersessions_list")), client.post(reverse("usersessions_list"))):
        assert answer.headers["Location"].startswith(reverse("account_reauthenticate"))
    assert UserSession.objects.count() == before
