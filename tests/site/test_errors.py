"""Every refusal has one form, and says what to do; JSON is read strictly; health is told."""

from collections.abc import Callable
from typing import Any

import pytest
from django.db import DataError, IntegrityError, OperationalError
from django.http import Http404
from django.test import Client, RequestFactory
from rest_framework.exceptions import ErrorDetail
from rest_framework.test import APIClient

from audit.errors import Refused
from audit.models import Account
from mdlc_site import errors, health

FORM = {"code", "message", "todo", "fields"}


@pytest.fixture
def api(client_of: Callable[[Account], APIClient], dana: Account) -> APIClient:
    """Return Dana's client."""
    return client_of(dana)


def test_without_a_token_one_is_asked_for(db: None) -> None:
    answer = APIClient().get("/api/v1/me/")
    assert (answer.status_code, answer.json()["code"]) == (401, "not_signed_in")
    assert answer["WWW-Authenticate"].startswith("Bearer")
    assert set(answer.json()) == FORM


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (b'{"slug": "a", "slug": "b"}', "twice"),
        (b'{"slug": NaN}', "NaN"),
        (b'{"slug": -Infinity}', "Infinity"),
        (b'{"slug": 1e999}', "too large"),
        (b'{"slug": 99999999999999999999}', "64 bits"),
        (b'{"slug": "a\\u0000"}', "null character"),
        (b'{"a\\u0000": "a"}', "null character"),
        (b'{"slug": "\\ud800"}', "surrogates"),
        (b"[" * 40 + b"]" * 40, "nested"),
        (b"[" * 100_000, "acceptable"),
        (b'{"slug": ' + b"9" * 5000 + b"}", "acceptable"),
        (b"\xff\xfe", "utf-8"),
        (b"{", "acceptable"),
    ],
)
def test_json_that_readers_take_differently_is_refused(body: bytes, why: str, api: APIClient) -> None:
    answer = api.generic("POST", "/api/v1/models/", body, content_type="application/json")
    assert (answer.status_code, answer.json()["code"]) == (400, "malformed")
    assert why in answer.json()["message"]


def test_a_huge_body_is_refused_before_it_is_parsed(api: APIClient) -> None:
    body = b'{"slug": "' + b"a" * (5 * 1024**2) + b'"}'
    answer = api.generic("POST", "/api/v1/models/", body, content_type="application/json")
    assert (answer.status_code, answer.json()["code"]) == (413, "request_too_large")


@pytest.mark.parametrize(
    ("method", "address", "status", "code"),
    [
        ("GET", "/api/v1/models/nowhere/", 404, "not_found"),
        ("GET", "/api/v1/nowhere/", 404, "not_found"),
        ("PUT", "/api/v1/models/", 405, "method_not_allowed"),
        ("POST", "/api/v1/models/", 422, "invalid"),
    ],
)
def test_refusals_have_one_form(method: str, address: str, status: int, code: str, api: APIClient) -> None:
    answer = api.generic(method, address, b"{}", content_type="application/json")
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert set(answer.json()) == FORM
    assert all(isinstance(told, list) for told in answer.json()["fields"].values())


def test_another_media_type_is_refused(api: APIClient) -> None:
    answer = api.generic("POST", "/api/v1/models/", b"<a/>", content_type="application/xml")
    assert (answer.status_code, answer.json()["code"]) == (415, "unsupported_media_type")


def test_what_is_wrong_is_named_by_dotted_field() -> None:
    wrong = ErrorDetail("is odd")
    detail = {"a": {"b": [wrong]}, "c": [{}, {"d": [wrong]}], "non_field_errors": [wrong, wrong], "e": wrong}
    assert errors.flat(detail) == {"a.b": ["is odd"], "c.1.d": ["is odd"], "": ["is odd", "is odd"], "e": ["is odd"]}


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (Refused("No.", fields={"a": "is odd"}), 400, "refused"),
        (Http404(), 404, "not_found"),
        (OperationalError("server closed the connection"), 503, "unavailable"),
        (IntegrityError("handoff_one_open"), 409, "conflict"),
        (DataError("numeric field overflow"), 422, "invalid"),
    ],
)
def test_what_is_raised_is_told(error: Exception, status: int, code: str) -> None:
    answer = errors.api_exception(error, {})
    assert answer is not None
    assert (answer.status_code, answer.data["code"]) == (status, code)
    assert "server closed" not in str(answer.data)
    assert "handoff_one_open" not in str(answer.data)


def test_our_own_mistakes_are_left_to_the_handler() -> None:
    assert errors.api_exception(LookupError(), {}) is None


@pytest.mark.parametrize("handler", [errors.unexpected, lambda request: errors.bad_request(request, ValueError())])
def test_a_mistake_is_told_without_session_or_database(handler: Callable[[Any], Any]) -> None:
    page = handler(RequestFactory().get("/handoffs/"))
    assert b"<h1>" in page.content
    assert not [one for one in (b"<style", b" style=") if one in page.content]
    told = handler(RequestFactory().get("/api/v1/handoffs/"))
    assert told["Content-Type"] == "application/json"
    assert told.status_code == page.status_code


def test_the_process_lives_and_is_ready(client: Client, db: None) -> None:
    assert client.get("/healthz/live").json() == {"live": True}
    answer = client.get("/healthz/ready")
    assert (answer.status_code, answer.json()) == (
        200, {"ready": True, "database": "ok", "storage": "ok", "broker": "ok"},
    )  # fmt: skip


def test_without_the_broker_it_is_ready(client: Client, db: None, settings: Any) -> None:
    settings.REDIS_URL = "unix:///nowhere/at/all"
    answer = client.get("/healthz/ready")
    assert (answer.status_code, answer.json()["broker"]) == (200, "fails: ConnectionError")


def test_without_the_database_or_the_store_it_is_not(client: Client, db: None, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails() -> None:
        raise OSError("/secret/path")

    for part in ("_database", "_storage"):
        with monkeypatch.context() as patch:
            patch.setattr(health, part, fails)
            answer = client.get("/healthz/ready")
        assert (answer.status_code, answer.json()["ready"]) == (503, False)
        assert "secret" not in answer.content.decode()


def test_who_to_write_to_about_a_weakness(client: Client) -> None:
    text = client.get("/.well-known/security.txt").content.decode()
    assert "Contact: mailto:" in text
    assert "Expires: 20" in text
