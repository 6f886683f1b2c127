"""Who reads which part of the trail, and how it is narrowed."""

from collections.abc import Callable
from uuid import uuid4

import pytest
from rest_framework.test import APIClient

from audit import queries
from audit.models import Account
from audit.queries import timeline
from models_registry.models import (
    Environment,
    EnvironmentUserGrant,
    Organisation,
    RegisteredModel,
    RegisteredModelUserGrant,
)
from tests.audit.building import write_chain
from tests.handoff import building

EVENTS = "/api/v1/events/"


@pytest.fixture
def world(dana: Account) -> dict[str, str]:
    """Make two models and an environment, with a chain each; return their chains by name."""
    organisation = Organisation.objects.create(slug="it", name="IT")
    things = {
        "churn": RegisteredModel.objects.create(
            slug="churn", name="Churn", purpose="p", owner_team="t", created_by=dana
        ),
        "fraud": RegisteredModel.objects.create(
            slug="fraud", name="Fraud", purpose="p", owner_team="t", created_by=dana
        ),
        "production": Environment.objects.create(
            slug="production", name="P", kind="production", organisation=organisation, python="3.11", owner=dana
        ),
    }
    chains = {
        name: f"{'environment' if name == 'production' else 'model'}:{thing.pk}" for name, thing in things.items()
    }
    for chain in [*chains.values(), "site", f"handoff:{uuid4()}"]:
        write_chain(chain, 2)
    return chains


def seen_by(client: APIClient, **filters: str) -> set[str]:
    """Return the chains whose events somebody reads."""
    answer = client.get(EVENTS, filters)
    assert answer.status_code == 200, answer.content
    return {event["chain"] for event in answer.json()["results"]}


@pytest.mark.parametrize(
    ("role", "on", "sees"),
    [
        (None, None, set()),
        ("risk_compliance", "churn", {"churn"}),
        ("data_scientist", "churn", set()),
        ("model_owner", "churn", set()),
        ("administrator", "production", {"production", "site"}),
        ("it_operations", "production", set()),
    ],
)
def test_auditors_read_what_they_audit_and_nobody_else_anything(
    role: str | None,
    on: str | None,
    sees: set[str],
    world: dict[str, str],
    client_of: Callable[[Account], APIClient],
    person: Callable[..., Account],
) -> None:
    reader = person("rita", is_superuser=True, is_staff=True)
    if role and on:
        kind = Environment if on == "production" else RegisteredModel
        table = EnvironmentUserGrant if on == "production" else RegisteredModelUserGrant
        building._grant(table, reader, role, kind.objects.get(slug=on))
    assert seen_by(client_of(reader)) == {world.get(name, name) for name in sees}


@pytest.fixture
def rita(world: dict[str, str], person: Callable[..., Account], client_of: Callable[[Account], APIClient]) -> APIClient:
    """Return the client of somebody who audits one model."""
    reader = person("rita")
    model = RegisteredModel.objects.get(slug="churn")
    building._grant(RegisteredModelUserGrant, reader, "risk_compliance", model)
    return client_of(reader)


def test_an_event_tells_all_that_a_proof_needs(rita: APIClient) -> None:
    event = rita.get(EVENTS).json()["results"][0]
    assert (event["seq"], event["action"], event["sentence"]) == (2, "answer.given", "answered a checklist item")
    assert event["actor"] == {"kind": "worker", "id": None, "label": "clerk"}
    assert (event["reason"], event["data"]) == ("because", {"number": 1})
    assert len(event["hash"]) == len(event["previous"]) == 64


@pytest.mark.parametrize(
    ("filters", "count"),
    [
        ({"chain": "model:"}, 2),
        ({"chain": "handoff:"}, 0),
        ({"action": "answer.given"}, 2),
        ({"action": "answer."}, 2),
        ({"action": "signoff."}, 0),
        ({"actor": "clerk"}, 2),
        ({"actor": "dana"}, 0),
        ({"since": "2020-01-01"}, 2),
        ({"until": "2020-01-01"}, 0),
        ({"since": "2999-01-01T00:00:00+00:00"}, 0),
    ],
)
def test_the_list_is_narrowed(filters: dict[str, str], count: int, rita: APIClient) -> None:
    assert len(rita.get(EVENTS, filters).json()["results"]) == count


@pytest.mark.parametrize("few", [0, 10_000])
def test_the_newest_come_first_whether_few_or_many(
    few: int,
    world: dict[str, str],
    person: Callable[..., Account],
    client_of: Callable[[Account], APIClient],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(queries, "FEW", few)
    reader = person("rita")
    for slug in ("churn", "fraud"):
        building._grant(RegisteredModelUserGrant, reader, "risk_compliance", RegisteredModel.objects.get(slug=slug))
    for chain in (world["churn"], world["production"], world["fraud"]):
        write_chain(chain, 1)
    client, there, found = client_of(reader), f"{EVENTS}?page_size=2", []
    while there:
        page = client.get(there).json()
        found += [(event["chain"], event["seq"]) for event in page["results"]]
        there = page["next"]
    churn, fraud = world["churn"], world["fraud"]
    assert found == [(fraud, 3), (churn, 3), (fraud, 2), (fraud, 1), (churn, 2), (churn, 1)]
    assert [one["seq"] for one in client.get(EVENTS, {"chain": churn}).json()["results"]] == [3, 2, 1]
    assert client.get(EVENTS, {"chain": world["production"]}).json()["results"] == []
    assert client_of(person("otto")).get(EVENTS).json()["results"] == []


def test_another_ones_chain_looks_like_none(rita: APIClient, world: dict[str, str]) -> None:
    assert seen_by(rita, chain=world["fraud"]) == seen_by(rita, chain="model:none") == set()


@pytest.mark.parametrize(
    ("filters", "status", "code"),
    [
        ({"action": "nothing"}, 422, "invalid"),
        ({"action": "x."}, 422, "invalid"),
        ({"since": "yesterday"}, 422, "invalid"),
        ({"since": "2026-02-31"}, 422, "invalid"),
        ({"colour": "red"}, 400, "unknown_parameter"),
    ],
)
def test_a_filter_that_means_nothing_is_refused(
    filters: dict[str, str], status: int, code: str, rita: APIClient
) -> None:
    answer = rita.get(EVENTS, filters)
    assert (answer.status_code, answer.json()["code"]) == (status, code)


def test_the_list_costs_a_fixed_number_of_queries(
    rita: APIClient, world: dict[str, str], django_assert_num_queries: Callable[[int], object]
) -> None:
    rita.get(EVENTS)
    with django_assert_num_queries(5):
        rita.get(EVENTS)
    write_chain(world["churn"], 30)
    with django_assert_num_queries(5):
        rita.get(EVENTS)


def test_a_timeline_is_one_chain_newest_first(world: dict[str, str]) -> None:
    assert [event.seq for event in timeline(world["churn"])] == [2, 1]
