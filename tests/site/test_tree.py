"""Heads and proofs through their doors: who sees them, and that what they say can be computed by hand."""

from collections.abc import Callable
from hashlib import sha256

import orjson
import pytest
from guardian.shortcuts import assign_perm
from rest_framework.test import APIClient

from audit.merkle import consistent
from audit.models import Account, TreeHead
from audit.sealing import seal_all
from models_registry.models import RegisteredModel
from tests.audit.building import write_chain

HEADS, INCLUSION, CONSISTENCY = (f"/api/v1/audit/{one}/" for one in ("heads", "proofs/inclusion", "proofs/consistency"))


@pytest.fixture
def chain(dana: Account) -> str:
    """Seal the chain of a model that dana audits."""
    told = {"name": "Churn", "purpose": "p", "owner_team": "t"}
    model = RegisteredModel.objects.create(slug="churn", created_by=dana, **told)
    assign_perm("hold_risk_compliance", dana, model)
    write_chain(f"model:{model.pk}", 5)
    seal_all()
    write_chain(f"model:{model.pk}", 40)
    seal_all()
    return f"model:{model.pk}"


@pytest.fixture
def client(dana: Account) -> APIClient:
    """Return dana's client."""
    client = APIClient()
    client.force_login(dana)
    return client


def test_an_event_is_proven_by_hand(chain: str, client: APIClient) -> None:
    told = client.get(INCLUSION, {"chain": chain, "seq": 7}).json()
    place, last, found = told["leaf"], told["head"]["size"] - 1, sha256(b"\x00" + bytes.fromhex(told["hash"])).digest()
    for other in map(bytes.fromhex, told["path"]):
        if place & 1 or place == last:
            found = sha256(b"\x01" + other + found).digest()
            while not place & 1 and place:
                place, last = place >> 1, last >> 1
        else:
            found = sha256(b"\x01" + found + other).digest()
        place, last = place >> 1, last >> 1
    assert found.hex() == told["head"]["root"]
    envelope = orjson.loads(told["head"]["envelope"])
    assert envelope["payloadType"] == "application/vnd.mdlc.tree-head+json"
    page = client.get("/audit/proof/", {"chain": chain, "seq": 7})
    assert all(one in page.content.decode() for one in (told["hash"], told["head"]["root"], *told["path"]))


def test_heads_are_listed_and_consistent(chain: str, client: APIClient) -> None:
    heads = client.get(HEADS).json()["results"]
    assert [head["size"] for head in heads] == list(TreeHead.objects.order_by("-size").values_list("size", flat=True))
    new, old = heads[0], heads[-1]
    told = client.get(CONSISTENCY, {"old": old["size"], "size": new["size"]}).json()
    path = [bytes.fromhex(one) for one in told["path"]]
    assert consistent(old["size"], bytes.fromhex(old["root"]), new["size"], bytes.fromhex(new["root"]), path)
    assert new["root"] in client.get("/audit/heads/").content.decode()


@pytest.mark.parametrize(
    ("address", "asked", "status", "code"),
    [
        (INCLUSION, {"chain": "site", "seq": "1"}, 404, "not_found"),
        (INCLUSION, {"seq": "1"}, 404, "not_found"),
        (INCLUSION, {"chain": "CHAIN", "seq": "one"}, 422, "invalid"),
        (INCLUSION, {"chain": "CHAIN", "seq": "1", "size": "3"}, 404, "not_found"),
        (INCLUSION, {"chain": "CHAIN", "seq": "46"}, 404, "not_found"),
        (INCLUSION, {"chain": "CHAIN", "seq": "45", "size": "5"}, 422, "not_sealed"),
        (INCLUSION, {"chain": "CHAIN", "number": "1"}, 400, "unknown_parameter"),
        (CONSISTENCY, {}, 422, "invalid"),
        (CONSISTENCY, {"old": "9" * 30}, 422, "invalid"),
        (CONSISTENCY, {"old": "46", "size": "5"}, 422, "invalid"),
    ],
)
def test_what_cannot_be_proven_is_refused_with_a_code(
    address: str, asked: dict[str, str], status: int, code: str, chain: str, client: APIClient
) -> None:
    answer = client.get(address, {name: chain if value == "CHAIN" else value for name, value in asked.items()})
    assert (answer.status_code, answer.json()["code"]) == (status, code), answer.content


def test_who_audits_nothing_learns_nothing(chain: str, person: Callable[..., Account]) -> None:
    stranger = APIClient()
    stranger.force_login(person("mallory"))
    assert stranger.get(HEADS).json()["results"] == []
    assert stranger.get(CONSISTENCY, {"old": 5}).status_code == 404
    assert stranger.get(INCLUSION, {"chain": chain, "seq": 1}).status_code == 404
    assert stranger.get("/audit/proof/", {"chain": chain, "seq": 1}).status_code == 404
    root = bytes(TreeHead.objects.latest("size").root).hex()
    assert root not in stranger.get("/audit/heads/").content.decode()
