"""Beyond what it can do the site turns away, before anything is done; who came first is served first."""

import threading
import time
from collections.abc import Callable
from contextlib import closing
from typing import Any

import pytest
from django.db.utils import OperationalError
from django.http import HttpRequest, HttpResponse
from django.test import Client, RequestFactory
from rest_framework.test import APIClient

from audit.models import Account, AuditEvent, RequestKey
from mdlc_site import sessions
from mdlc_site.admission import AdmissionMiddleware, Places
from models_registry.models import RegisteredModel

MODEL = {"slug": "tumours", "name": "Tumours", "purpose": "Triage", "owner_team": "Lab"}


@pytest.fixture
def full(settings: Any) -> None:
    """Have no place at all."""
    settings.REQUESTS_AT_ONCE = settings.REQUESTS_WAITING = 0


def nothing_was_done() -> bool:
    """Tell whether there is neither model, nor event, nor key."""
    return not (RegisteredModel.objects.exists() or AuditEvent.objects.exists() or RequestKey.objects.exists())


def test_the_api_turns_away_with_a_code_and_a_time_and_the_same_key_works_later(
    client_of: Callable[[Account], APIClient], dana: Account, full: None, settings: Any
) -> None:
    headers = {"HTTP_IDEMPOTENCY_KEY": "one"}
    answer = client_of(dana).post("/api/v1/models/", MODEL, **headers)
    assert (answer.status_code, answer["Retry-After"], answer["Cache-Control"]) == (503, "5", "no-store")
    assert answer.json()["code"] == "overloaded"
    assert set(answer.json()) == {"code", "message", "todo", "fields"}
    assert nothing_was_done()
    settings.REQUESTS_AT_ONCE = 1
    assert [client_of(dana).post("/api/v1/models/", MODEL, **headers).status_code for _ in range(2)] == [201, 201]
    assert RegisteredModel.objects.count() == 1


def test_a_page_turns_away_in_words_and_asks_nothing_of_the_database(
    client: Client, dana: Account, full: None, django_assert_num_queries: Any
) -> None:
    client.force_login(dana, "django.contrib.auth.backends.ModelBackend")
    with django_assert_num_queries(0):
        answer = client.post("/models/new/", MODEL)
    assert (answer.status_code, answer["Retry-After"]) == (503, "5")
    assert "Wait a few seconds" in answer.content.decode()
    assert "Content-Security-Policy" in answer
    assert not RegisteredModel.objects.exists()


def test_health_is_told_and_files_are_sent_when_nobody_else_is_served(client: Client, db: None, full: None) -> None:
    assert [client.get(path).status_code for path in ("/healthz/live", "/healthz/ready", "/")] == [200, 200, 503]
    with closing(client.get("/static/mdlc/mdlc.js")) as sent:
        assert sent.status_code == 200


def test_who_waits_longest_is_next_and_who_comes_too_many_is_turned_away_at_once() -> None:
    places, served = Places(1, 2, 10), []
    assert places.enter()

    def wait(name: str) -> None:
        assert places.enter()
        served.append(name)
        places.leave()

    waiting = [threading.Thread(target=wait, args=(name,)) for name in ("first", "second")]
    for number, one in enumerate(waiting, 1):
        one.start()
        while len(places._queue) < number:
            time.sleep(0.001)
    assert not places.enter(), "two wait, and there is no room for a third"
    places.leave()
    for one in waiting:
        one.join()
    assert served == ["first", "second"]
    assert places.enter(), "the place is free again"
    assert not Places(0, 1, 0.01).enter(), "one that is not free in time is given up"


def test_a_place_is_given_back_when_a_request_fails(settings: Any) -> None:
    settings.REQUESTS_AT_ONCE, settings.REQUESTS_WAITING = 1, 0

    def fails(request: HttpRequest) -> HttpResponse:
        raise LookupError

    door = AdmissionMiddleware(fails)
    for _ in range(2):
        with pytest.raises(LookupError):
            door(RequestFactory().get("/"))


def test_a_pool_without_a_connection_is_told_as_unavailable_wherever_it_is_met(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    client.raise_request_exception = False

    def exhausted(request: HttpRequest) -> None:
        raise OperationalError("couldn't get a connection after 10.00 sec")

    monkeypatch.setattr(sessions.PrivacyMiddleware, "__call__", lambda self, request: exhausted(request))
    page, told = client.get("/handoffs/"), client.get("/api/v1/models/")
    assert (page.status_code, page["Retry-After"]) == (503, "5")
    assert (told.status_code, told["Retry-After"], told.json()["code"]) == (503, "5", "unavailable")
