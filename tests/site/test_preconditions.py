"""ETag and If-Match, known parameters, and pages by cursor."""

from collections.abc import Callable

import pytest
from rest_framework.test import APIClient

from audit.models import Account
from models_registry.models import RegisteredModel
from tests.site.test_keys import model, register


@pytest.fixture
def client(client_of: Callable[[Account], APIClient], dana: Account) -> APIClient:
    """Return a client for somebody who has registered a model."""
    client = client_of(dana)
    register(client, "k", model())
    return client


@pytest.mark.parametrize(
    ("match", "status", "code"),
    [
        (None, 428, "version_required"),
        ("", 428, "version_required"),
        ("*", 428, "version_required"),
        ('"2"', 412, "stale_version"),
        ('W/"1"', 412, "stale_version"),
        ("1", 412, "stale_version"),
        ('"1"', 200, ""),
        ('"7", "1"', 200, ""),
    ],
)
def test_a_change_names_the_version_it_was_made_against(
    match: str | None, status: int, code: str, client: APIClient
) -> None:
    headers = {} if match is None else {"If-Match": match}
    answer = client.patch("/api/v1/models/churn/", {"name": "Other"}, format="json", headers=headers)
    assert (answer.status_code, answer.json().get("code", "")) == (status, code)
    found = RegisteredModel.objects.get()
    assert (found.name, found.revision) == (("Other", 2) if status == 200 else ("Churn", 1))
    if status == 200:
        assert answer["ETag"] == client.get("/api/v1/models/churn/")["ETag"] == '"2"'


def test_a_parameter_that_nobody_reads_is_refused(client: APIClient) -> None:
    answer = client.get("/api/v1/models/?riks_tier=low")
    assert (answer.status_code, answer.json()["code"]) == (400, "unknown_parameter")
    assert list(answer.json()["fields"]) == ["riks_tier"]
    assert "risk_tier" in answer.json()["todo"]


def test_a_null_character_in_a_parameter_is_refused(client: APIClient) -> None:
    answer = client.get("/api/v1/models/?text=%00")
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid")


def test_pages_follow_each_other_without_gap_or_repeat(client: APIClient) -> None:
    for number in range(7):
        register(client, f"k{number}", model(f"m-{number}"))
    names: list[str] = []
    address = "/api/v1/models/?page_size=3"
    while address:
        page = client.get(address).json()
        names += [found["slug"] for found in page["results"]]
        address = page["next"]
    assert sorted(names) == names
    assert len(names) == len(set(names)) == 8
