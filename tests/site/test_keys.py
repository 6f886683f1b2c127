"""Idempotency-Key: a creating request is carried out once, however often and however parallel it is sent."""

import http.client
import json
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import urlsplit

import pytest
from django.db import IntegrityError, connection
from django.test.utils import CaptureQueriesContext
from rest_framework.parsers import JSONParser
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.test import APIClient, APIRequestFactory

from audit.errors import Refused
from audit.http import once
from audit.models import Account, AuditEvent, RequestKey
from models_registry.models import RegisteredModel
from tests.site.conftest import bearer

KEYS = 25
AT_ONCE = 8


def model(slug: str = "churn") -> dict[str, str]:
    """Return what registers a model."""
    return {"slug": slug, "name": slug.title(), "purpose": "Tell who leaves.", "owner_team": "Marketing"}


def register(client: APIClient, key: str, body: Any) -> Any:
    """Post a model under a key."""
    return client.post("/api/v1/models/", body, format="json", headers={"Idempotency-Key": key})


def test_sent_again_the_first_answer_is_replayed(client_of: Callable[[Account], APIClient], dana: Account) -> None:
    client = client_of(dana)
    first, second = (register(client, "k-1", model()) for _ in range(2))
    assert (first.status_code, second.status_code) == (201, 201)
    assert second.content == first.content
    assert second["ETag"] == first["ETag"] == '"1"'
    assert (first.has_header("Idempotent-Replay"), second["Idempotent-Replay"]) == (False, "true")
    assert RegisteredModel.objects.count() == AuditEvent.objects.filter(action="model.registered").count() == 1


def test_the_order_of_keys_in_json_does_not_matter(client_of: Callable[[Account], APIClient], dana: Account) -> None:
    client = client_of(dana)
    register(client, "k-1", model())
    assert register(client, "k-1", dict(reversed(model().items()))).status_code == 201


def test_another_content_under_the_key_is_refused(client_of: Callable[[Account], APIClient], dana: Account) -> None:
    client = client_of(dana)
    register(client, "k-1", model())
    answer = register(client, "k-1", model("fraud"))
    assert (answer.status_code, answer.json()["code"]) == (422, "key_reused")
    assert RegisteredModel.objects.count() == 1


def test_another_address_under_the_key_is_refused(client_of: Callable[[Account], APIClient], dana: Account) -> None:
    client = client_of(dana)
    register(client, "k-1", model())
    answer = client.post("/api/v1/models/churn/versions/", model(), format="json", headers={"Idempotency-Key": "k-1"})
    assert (answer.status_code, answer.json()["code"]) == (422, "key_reused")


def test_everybody_has_keys_of_their_own(
    client_of: Callable[[Account], APIClient], dana: Account, person: Callable[..., Account]
) -> None:
    register(client_of(dana), "k-1", model())
    assert register(client_of(person("vera")), "k-1", model("fraud")).status_code == 201


def test_a_refusal_keeps_nothing(client_of: Callable[[Account], APIClient], dana: Account) -> None:
    client = client_of(dana)
    register(client, "k-0", model())
    refused = register(client, "k-1", model())
    assert (refused.status_code, refused.json()["code"]) == (409, "name_taken")
    assert not RequestKey.objects.filter(key="k-1").exists()
    assert register(client, "k-1", model("fraud")).status_code == 201


@pytest.mark.parametrize("key", ["x" * 101, "tab\there", "é"])
def test_an_odd_key_is_refused(key: str, client_of: Callable[[Account], APIClient], dana: Account) -> None:
    answer = client_of(dana).post("/api/v1/models/", model(), format="json", HTTP_IDEMPOTENCY_KEY=key)
    assert (answer.status_code, answer.json()["code"]) == (400, "key_invalid")
    assert not RegisteredModel.objects.exists()


def sent(account: Account, create: Callable[[], Response], key: str = "k-1") -> Response:
    """Send a request under a key to a view of its own."""
    request = Request(APIRequestFactory().post("/x/", {"a": 1}, format="json"), parsers=[JSONParser()])
    request.META["HTTP_IDEMPOTENCY_KEY"], request.user = key, account
    return once(request, create)


def test_an_answer_is_kept_with_its_status_its_order_and_what_it_is_about(dana: Account) -> None:
    headers = {"ETag": '"3"', "Location": "/x/1/", "X-Other": "x"}
    made = [Response({"b": 1, "a": [2]}, 202, headers=headers), Response({}, 201)]
    longest = "x" * 100
    assert sent(dana, lambda: made[0], longest) is made[0]
    with CaptureQueriesContext(connection) as asked:
        again = sent(dana, lambda: made[1], longest)
    assert (again.status_code, list(again.data.items())) == (202, [("b", 1), ("a", [2])])
    assert dict(again.headers) | {"Content-Type": ""} == {
        "ETag": '"3"', "Location": "/x/1/", "Idempotent-Replay": "true", "Content-Type": "",
    }  # fmt: skip
    assert len(asked) == 1, "nothing is tried to be written"
    assert sent(dana, lambda: made[1], "k-2") is made[1]
    assert "ETag" not in sent(dana, lambda: made[0], "k-2")
    assert RequestKey.objects.count() == 2


@pytest.mark.parametrize(("constraint", "raised"), [("model_slug_once", IntegrityError), ("request_key_once", Refused)])
def test_a_row_that_is_there_before_is_no_twin_unless_it_is_the_key(
    constraint: str, raised: type[Exception], dana: Account
) -> None:
    """The twin's key was there, and is gone when its answer is looked for: whoever asks sends it again."""

    def create() -> Response:
        raise IntegrityError(f'duplicate key value violates unique constraint "{constraint}"')

    with pytest.raises(raised) as error:
        sent(dana, create)
    if isinstance(error.value, Refused):
        assert error.value.as_dict() == {
            "code": "key_retry", "message": "The first request under this key left no answer.",
            "todo": "Send it again.", "fields": {},
        }  # fmt: skip
    assert not RequestKey.objects.exists()


def test_a_twin_waits_for_the_first_one_and_gets_its_answer(transactional_db: None, dana: Account) -> None:
    begun, further = threading.Event(), threading.Event()

    def first() -> Response:
        begun.set()
        further.wait(20)
        return Response({"by": "the first"}, 201)

    def run() -> None:
        sent(dana, first)
        connection.close()

    thread = threading.Thread(target=run)
    thread.start()
    begun.wait(20)
    threading.Timer(0.3, further.set).start()
    answer = sent(dana, lambda: Response({"by": "the twin"}, 201))
    thread.join()
    assert (answer.data, answer.headers["Idempotent-Replay"]) == ({"by": "the first"}, "true")
    assert RequestKey.objects.count() == 1


def post(url: str, header: str, key: str, body: dict[str, str], start: threading.Barrier) -> tuple[int, bool, bytes]:
    """Post a model as soon as all who do the same are ready."""
    address = urlsplit(url)
    assert address.hostname
    connection = http.client.HTTPConnection(address.hostname, address.port, timeout=60)
    connection.connect()
    start.wait(60)
    headers = {"Authorization": header, "Idempotency-Key": key, "Content-Type": "application/json"}
    connection.request("POST", "/api/v1/models/", json.dumps(body), headers)
    answer = connection.getresponse()
    content = answer.read()
    connection.close()
    return answer.status, answer.getheader("Idempotent-Replay") == "true", content


def test_parallel_requests_make_one_thing(live_server: Any, dana: Account) -> None:
    """Eight requests at once under each of many keys, over HTTP, with real commits."""
    header = bearer(dana)
    with ThreadPoolExecutor(AT_ONCE) as pool:
        for number in range(KEYS):
            start = threading.Barrier(AT_ONCE)
            sent = [(live_server.url, header, f"key-{number}", model(f"model-{number}"), start)] * AT_ONCE
            answers = list(pool.map(lambda args: post(*args), sent))
            assert {status for status, _, _ in answers} == {201}
            assert len({content for _, _, content in answers}) == 1
            assert sorted(replayed for _, replayed, _ in answers) == [False] + [True] * (AT_ONCE - 1)
    assert RegisteredModel.objects.count() == RequestKey.objects.count() == KEYS
    assert AuditEvent.objects.filter(action="model.registered").count() == KEYS


def test_parallel_requests_of_other_content_get_one_through(live_server: Any, dana: Account) -> None:
    header = bearer(dana)
    with ThreadPoolExecutor(AT_ONCE) as pool:
        for number in range(5):
            start = threading.Barrier(AT_ONCE)
            sent = [(live_server.url, header, f"key-{number}", model(f"m-{number}-{n}"), start) for n in range(AT_ONCE)]
            answers = list(pool.map(lambda args: post(*args), sent))
            assert sorted(status for status, _, _ in answers) == [201] + [422] * (AT_ONCE - 1)
    assert RegisteredModel.objects.count() == 5


def test_when_the_first_one_fails_the_next_one_does_it(live_server: Any, dana: Account) -> None:
    """All eight are refused for the same reason, and none of them leaves a key behind."""
    header = bearer(dana)
    with ThreadPoolExecutor(AT_ONCE) as pool:
        start = threading.Barrier(AT_ONCE)
        sent = [(live_server.url, header, "key", {**model(), "risk_tier": "odd"}, start)] * AT_ONCE
        answers = list(pool.map(lambda args: post(*args), sent))
    assert {status for status, _, _ in answers} == {422}
    assert not RequestKey.objects.exists()
