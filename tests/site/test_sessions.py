"""A session ends when nobody has done anything for a while, and nobody keeps what its pages showed."""

import json
from typing import Any

import pytest
from django.conf import settings
from django.test import Client
from knox.models import AuthToken

from audit.models import Account, AuditEvent
from mdlc_site.sessions import ACTIVE
from tests.site.test_settings import read

pytestmark = pytest.mark.django_db
POLL = {"HX-Request": "true"}


@pytest.fixture
def browser(client: Client, dana: Account) -> Client:
    """Return a browser in which dana is signed in and has just done something."""
    client.force_login(dana)
    client.get("/")
    return client


def wait(browser: Client, seconds: int) -> None:
    """Let so much time go by for the session."""
    session = browser.session
    session[ACTIVE] -= seconds
    session.save()


def test_who_does_nothing_for_an_hour_is_signed_out_and_told_why(browser: Client, dana: Account) -> None:
    wait(browser, settings.SESSION_IDLE_SECONDS + 1)
    answer = browser.get("/handoffs/", follow=True)
    assert answer.redirect_chain == [("/account/login/?next=/handoffs/", 302)]
    assert b"You were signed out because nothing was done for 60 minutes." in answer.content
    assert AuditEvent.objects.get(action="account.signed_out").actor == dana
    assert browser.get("/").status_code == 302  # and stays so


def test_nothing_is_done_by_a_session_that_was_left(browser: Client) -> None:
    wait(browser, settings.SESSION_IDLE_SECONDS + 1)
    answer = browser.post("/api/v1/delegations/", {}, content_type="application/json")
    assert answer.status_code == 401
    assert list(AuditEvent.objects.values_list("action", flat=True)) == ["account.signed_out"]


def test_who_goes_on_stays_signed_in(browser: Client) -> None:
    for _ in range(3):
        wait(browser, settings.SESSION_IDLE_SECONDS - 60)
        assert browser.get("/").status_code == 200


def test_a_page_that_asks_by_itself_keeps_no_session_open(browser: Client) -> None:
    for _ in range(2):
        wait(browser, settings.SESSION_IDLE_SECONDS // 2 + 30)
        answer = browser.get("/", headers=POLL)
    assert answer.status_code == 403
    assert b"You are signed out" in answer.content


def test_how_long_is_the_installations_to_say(browser: Client, settings: Any) -> None:
    settings.SESSION_IDLE_SECONDS = 300
    wait(browser, 301)
    assert browser.get("/").status_code == 302
    assert json.loads(read("settings.SESSION_IDLE_SECONDS", MDLC_IDLE_MINUTES="15").stdout) == 900
    assert "MDLC_IDLE_MINUTES" in read("1", MDLC_IDLE_MINUTES="0").stderr


def test_no_cache_keeps_what_somebody_was_shown(browser: Client, dana: Account) -> None:
    for address in ("/", "/handoffs/", "/api/v1/handoffs/"):
        assert browser.get(address)["Cache-Control"] == "no-store, private"
    token = {"Authorization": f"Bearer {AuthToken.objects.create(user=dana)[1]}"}
    answer = Client().get("/api/v1/handoffs/", headers=token)
    assert (answer.status_code, answer["Cache-Control"]) == (200, "no-store, private")


def test_the_session_of_an_account_that_was_made_inactive_opens_nothing(browser: Client, dana: Account) -> None:
    Account.objects.filter(pk=dana.pk).update(is_active=False)
    assert browser.get("/").status_code == 302
    assert browser.get("/api/v1/handoffs/").status_code == 401


def test_the_admin_is_opened_by_no_session_of_an_administrator_who_left_and_kept_by_no_cache(
    client: Client, dana: Account
) -> None:
    Account.objects.filter(pk=dana.pk).update(is_staff=True)
    client.force_login(dana)
    answer = client.get("/admin/")
    assert answer.status_code == 200
    assert "no-store" in answer["Cache-Control"]
    Account.objects.filter(pk=dana.pk).update(is_active=False)
    assert client.get("/admin/").status_code == 302


def test_a_new_password_ends_every_other_session(browser: Client, dana: Account) -> None:
    dana.set_password("another long password of hers")
    dana.save(update_fields=["password"])
    assert browser.get("/").status_code == 302


def test_over_tls_every_cookie_is_for_this_host_alone() -> None:
    names = "[settings.SESSION_COOKIE_NAME, settings.CSRF_COOKIE_NAME, settings.MESSAGES_COOKIE]"
    told = read(names, SITE_URL="https://handoff.example.org")
    assert all(name.startswith("__Host-mdlc-") for name in json.loads(told.stdout))


def test_no_script_reads_a_cookie(browser: Client) -> None:
    answer = browser.get("/account/login/")
    browser.get("/")
    cookies = [*browser.cookies.values(), *answer.cookies.values()]
    assert {cookie.key for cookie in cookies} >= {settings.SESSION_COOKIE_NAME}
    assert all(cookie["httponly"] and cookie["samesite"] == "Lax" for cookie in cookies)
