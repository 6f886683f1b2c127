"""Sign in over the API: what is answered, counted, recorded, and what a token opens."""

from collections.abc import Callable
from datetime import timedelta
from io import StringIO
from typing import Any

import pytest
from allauth.mfa.recovery_codes.internal.auth import RecoveryCodes
from allauth.mfa.totp.internal import auth as totp
from django.conf import settings
from django.core.cache import cache
from django.core.management import CommandError, call_command
from django.utils import timezone
from knox.models import AuthToken
from rest_framework.test import APIClient

from audit.models import Account, AuditEvent
from tests.site.conftest import PASSWORD

TOKENS = "/api/v1/tokens/"


def sign_in(username: str = "dana", password: str = PASSWORD, **more: str) -> Any:
    """Ask for a token."""
    cache.clear()  # the throttle has its own test
    return APIClient().post(TOKENS, {"username": username, "password": password, **more}, format="json")


def test_the_right_password_gives_a_token_of_twelve_hours(dana: Account) -> None:
    answer = sign_in()
    assert answer.status_code == 201
    token = AuthToken.objects.get()
    assert timedelta(hours=11.9) < token.expiry - timezone.now() <= timedelta(hours=12)
    assert answer.json()["token"] not in str(token.__dict__)
    assert answer["Cache-Control"] == "no-store"
    client = APIClient(headers={"Authorization": f"Bearer {answer.json()['token']}"})
    me = client.get("/api/v1/me/").json()
    assert (me["username"], me["name"], me["kind"], me["second_factor"]) == ("dana", "Dana Novak", "person", False)
    actions = AuditEvent.objects.filter(chain=f"account:{dana.pk}").order_by("seq").values_list("action", flat=True)
    assert list(actions) == ["account.signed_in", "account.token_created"]
    dana.refresh_from_db()
    assert dana.last_login is not None


def test_a_revoked_token_opens_nothing(dana: Account) -> None:
    client = APIClient(headers={"Authorization": f"Bearer {sign_in().json()['token']}"})
    assert client.delete(f"{TOKENS}current/").status_code == 204
    assert client.get("/api/v1/me/").status_code == 401
    assert AuditEvent.objects.latest("pk").action == "account.token_revoked"


def test_a_session_has_no_token_to_revoke(dana: Account) -> None:
    client = APIClient()
    client.force_login(dana)
    answer = client.delete(f"{TOKENS}current/")
    assert (answer.status_code, answer.json()["code"]) == (409, "wrong_state")


def test_a_token_that_ran_out_opens_nothing(dana: Account) -> None:
    _, text = AuthToken.objects.create(user=dana, expiry=timedelta(seconds=-1))
    answer = APIClient(headers={"Authorization": f"Bearer {text}"}).get("/api/v1/me/")
    assert (answer.status_code, answer.json()["code"]) == (401, "not_signed_in")


def test_the_token_of_an_account_made_inactive_opens_nothing(dana: Account) -> None:
    _, text = AuthToken.objects.create(user=dana)
    Account.objects.update(is_active=False)
    assert APIClient(headers={"Authorization": f"Bearer {text}"}).get("/api/v1/me/").status_code == 401


@pytest.mark.parametrize(
    ("username", "password"),
    [("dana", "wrong"), ("nobody", PASSWORD), ("robot", PASSWORD), ("gone", PASSWORD), ("DANA ", "")],
)
def test_every_wrong_attempt_is_answered_alike(
    username: str, password: str, robot: Account, person: Callable[..., Account]
) -> None:
    person("gone", is_active=False)
    wanted = sign_in("dana", "also wrong")
    answer = sign_in(username, password or "x")
    assert (answer.status_code, answer.content) == (wanted.status_code, wanted.content)
    assert (answer.status_code, answer.json()["code"]) == (401, "credentials_wrong")
    assert not AuthToken.objects.exists()


def test_failures_are_recorded_without_what_was_typed(dana: Account) -> None:
    sign_in("dana", "wrong")
    sign_in(PASSWORD, "dana")
    events = list(AuditEvent.objects.order_by("pk"))
    assert [(event.action, event.subject) for event in events] == [
        ("account.sign_in_failed", f"account:{dana.pk}"),
        ("account.sign_in_failed", "account:unknown"),
    ]
    assert not any(PASSWORD in event.body or "wrong" in event.body for event in events)


@pytest.mark.parametrize("username", ["dana", "nobody"])
def test_five_failures_lock_the_door_known_or_not(username: str, dana: Account) -> None:
    statuses = [sign_in(username, "wrong").status_code for _ in range(7)]
    assert statuses == [401, 401, 401, 401, 429, 429, 429]
    answer = sign_in(username)
    assert (answer.status_code, answer.json()["code"]) == (429, "locked_out")
    assert AuditEvent.objects.filter(action="account.sign_in_failed").count() <= 5
    assert sign_in("other", "wrong").status_code == 401


def test_a_success_clears_the_count(dana: Account) -> None:
    for _ in range(2):
        for _ in range(4):
            assert sign_in(password="wrong").status_code == 401
        assert sign_in().status_code == 201


def test_attempts_are_throttled(dana: Account) -> None:
    client = APIClient()
    limit = int(settings.REST_FRAMEWORK["DEFAULT_THROTTLE_RATES"]["login"].removesuffix("/min"))  # type: ignore[index]
    body = {"username": "dana", "password": PASSWORD}
    answers = [client.post(TOKENS, body, format="json") for _ in range(limit + 1)]
    assert [answer.status_code for answer in answers] == [201] * limit + [429]
    assert answers[-1].json()["code"] == "too_many_requests"
    assert int(answers[-1]["Retry-After"]) > 0


@pytest.mark.parametrize(("proxies", "written"), [(0, "10.0.0.{}"), (1, "10.0.0.{}, 192.0.2.1")])
def test_an_address_that_the_client_writes_does_not_count(
    dana: Account, settings: Any, proxies: int, written: str
) -> None:
    settings.REST_FRAMEWORK = {**settings.REST_FRAMEWORK, "NUM_PROXIES": proxies}
    client, body = APIClient(), {"username": "dana", "password": PASSWORD}
    codes = [
        client.post(TOKENS, body, format="json", headers={"X-Forwarded-For": written.format(at)}).status_code
        for at in range(31)
    ]
    assert codes == [201] * 30 + [429]


@pytest.fixture
def secret(dana: Account) -> str:
    """Set up a second factor for Dana."""
    secret = totp.generate_totp_secret()
    totp.TOTP.activate(dana, secret)
    return secret


def code_of(secret: str) -> str:
    """Return the code that counts now."""
    counter = next(iter(totp.yield_hotp_counters_from_time()))
    return totp.format_hotp_value(totp.hotp_value(secret, counter))


def test_with_a_second_factor_a_code_is_needed_and_counts_once(secret: str) -> None:
    code = code_of(secret)
    assert sign_in().json()["code"] == "credentials_wrong"
    assert sign_in(code="000000").json()["code"] == "credentials_wrong"
    client = APIClient()
    body = {"username": "dana", "password": PASSWORD, "code": code}
    assert [client.post(TOKENS, body, format="json").status_code for _ in range(2)] == [201, 401]
    assert '"method":"password and code"' in AuditEvent.objects.filter(action="account.signed_in").latest("pk").body


def test_wrong_codes_lock_the_door_too(secret: str) -> None:
    assert [sign_in(code="000000").status_code for _ in range(6)] == [401, 401, 401, 401, 429, 429]


def test_a_recovery_code_counts_once(secret: str, dana: Account) -> None:
    code = RecoveryCodes.activate(dana).get_unused_codes()[0]
    assert sign_in(code=code).status_code == 201
    assert sign_in(code=code).status_code == 401


def test_old_tokens_make_room(dana: Account) -> None:
    for _ in range(22):
        AuthToken.objects.create(user=dana)
    AuthToken.objects.create(user=dana, expiry=timedelta(days=-1))
    assert sign_in().status_code == 201
    assert AuthToken.objects.count() == 20


def issue(name: str, **options: int) -> str:
    """Run the command, and return what it prints."""
    out = StringIO()
    call_command("issue_token", name, stdout=out, stderr=StringIO(), **options)
    return out.getvalue().strip()


def test_a_service_account_is_issued_a_token(robot: Account) -> None:
    text = issue("robot", days=90)
    me = APIClient(headers={"Authorization": f"Bearer {text}"}).get("/api/v1/me/").json()
    assert (me["username"], me["kind"], me["responsible"]) == ("robot", "service", "Dana Novak")
    event = AuditEvent.objects.latest("pk")
    assert (event.action, event.actor_label, event.subject) == (
        "account.token_created", "issue_token", f"account:{robot.pk}",
    )  # fmt: skip
    assert text not in event.body


@pytest.mark.parametrize(
    ("name", "days", "words"),
    [("robot", 91, "90"), ("robot", 0, "90"), ("dana", 5, "person"), ("nobody", 5, "no account")],
)
def test_no_other_token_is_issued(name: str, days: int, words: str, robot: Account) -> None:
    with pytest.raises(CommandError, match=words):
        issue(name, days=days)
    assert not AuthToken.objects.exists()
