"""Bad input through every door that takes files: the same refusal at each, and nothing left behind."""

import json
from collections.abc import Callable
from threading import Barrier, Thread
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connections
from django.test import Client
from rest_framework.test import APIClient

from audit.actors import Person
from audit.models import Account, AuditEvent
from models_registry.models import ModelVersion
from models_registry.services import versions
from tests.handoff import artifacts, building
from tests.models_registry.conftest import counts
from tests.models_registry.test_versions_register import BAD_MODELS

API = "/api/v1/models/tumours/versions/"
PAGE = "/models/tumours/versions/"
EXPLODES = b'{"type":"record","name":"r","fields":[{"name":"a","type":"string","pattern":"(a+)+b"}]}'
SCHEMA = b'{"type":"record","name":"r","fields":[{"name":"a","type":"double"}]}'


def clients() -> tuple[APIClient, Client]:
    """Return Dana's API client and her browser."""
    dana = Account.objects.get(username="dana")
    api, browser = APIClient(), Client()
    api.force_authenticate(dana)
    browser.force_login(dana, backend="django.contrib.auth.backends.ModelBackend")
    return api, browser


def upload(content: bytes) -> SimpleUploadedFile:
    """Return a file as a browser or a client sends it."""
    return SimpleUploadedFile("sent.bin", content)


def by_new_version(name: str, content: bytes) -> Any:
    """Send the element with a new version over the API."""
    return clients()[0].post(API, {name: upload(content)}, format="multipart")


def by_element(name: str, content: bytes) -> Any:
    """Put the element into a draft over the API."""
    tag = {"HTTP_IF_MATCH": clients()[0].get(f"{API}1/")["ETag"]}
    return clients()[0].put(f"{API}1/elements/{name}/", {"file": upload(content)}, format="multipart", **tag)


def by_new_page(name: str, content: bytes) -> Any:
    """Send the element with a new version in the browser."""
    return clients()[1].post(f"{PAGE}new/", {"notes": "", name: upload(content)})


def by_element_page(name: str, content: bytes) -> Any:
    """Put the element into a draft in the browser."""
    return clients()[1].post(f"{PAGE}1/elements/{name}/", {"file": upload(content)})


DOORS = pytest.mark.parametrize("door", [by_new_version, by_element, by_new_page, by_element_page])
BAD = {
    "truncated": ("model", BAD_MODELS["truncated"][0], "model_not_loadable", 422, "upload it again"),
    "a pickle": ("model", BAD_MODELS["pickle"][0], "format_unsafe", 422, "can run code when loaded"),
    "a path that leaves": ("model", BAD_MODELS["a path that leaves"][0], "archive_path", 422, "leaves the archive"),
    "a link": ("model", BAD_MODELS["a link"][0], "archive_link", 422, "link"),
    "two of one name": ("model", BAD_MODELS["two of one name"][0], "archive_twins", 422, "the same name"),
    "a pattern that explodes": ("input_schema", lambda _: EXPLODES, "pattern_unsafe", 422, "could take for ever"),
    "no Avro": ("input_schema", lambda _: b'{"type": "object"}', "schema_not_avro", 422, "record"),
    "NaN": ("golden", lambda _: b'{"input": {"a": NaN}, "output": {}}\n', "records_malformed", 422, "NaN"),
    "infinity": ("golden", lambda _: b'{"input": {"a": -Infinity}, "output": {}}\n', "records_malformed", 422, "Inf"),
    "a number too large": (
        "validation",
        lambda _: b'{"input": {"a": 1}, "label": 1e999}\n',
        "records_malformed",
        422,
        "no finite number",
    ),
    "too large": ("validation", lambda _: b"x" * 2_000_000, "file_too_large", 413, "larger than 1000000 bytes"),
}


@pytest.fixture
def draft(place: building.Place, settings: Any) -> ModelVersion:
    """Return a draft that already has a schema; files may have a megabyte."""
    settings.UPLOAD_LIMIT = 1_000_000
    dana = Person(place.dana, "test")
    made = versions.draft(actor=dana, model="tumours")
    versions.set_element(actor=dana, model="tumours", number=1, name="output_schema", chunks=[SCHEMA])
    return made


@DOORS
@pytest.mark.parametrize("case", BAD)
def test_what_is_refused_is_refused_at_every_door_and_leaves_nothing(
    case: str, door: Callable[[str, bytes], Any], draft: ModelVersion, elements: dict[str, bytes], store: Any
) -> None:
    name, make, code, status, words = BAD[case]
    before = (counts(store), AuditEvent.objects.count(), ModelVersion.objects.get().revision)
    answer = door(name, make(elements["model"]))
    if door in (by_new_version, by_element):
        assert (answer.status_code, answer.json()["code"]) == (status, code), answer.json()
        assert words in str(answer.json())
    else:
        assert answer.status_code == status
        assert words in answer.content.decode()
    assert (counts(store), AuditEvent.objects.count(), ModelVersion.objects.get().revision) == before


def nominate_over_the_api() -> tuple[int, str]:
    answer = clients()[0].post(f"{API}1/nominate/")
    return answer.status_code, str(answer.json())


def nominate_in_the_browser() -> tuple[int, str]:
    answer = clients()[1].post(f"{PAGE}1/nominate/")
    return answer.status_code, answer.content.decode()


@pytest.mark.parametrize("door", [nominate_over_the_api, nominate_in_the_browser])
def test_an_incomplete_draft_is_nominated_at_no_door(
    door: Callable[[], tuple[int, str]], draft: ModelVersion, store: Any
) -> None:
    before = (counts(store), AuditEvent.objects.count())
    status, told = door()
    assert status == 422
    assert "The version is not complete: model, input_schema, runtime, golden, validation, thresholds missing." in told
    draft.refresh_from_db()
    assert (draft.state, draft.digest, draft.manifest) == ("draft", "", "")
    assert (counts(store), AuditEvent.objects.count()) == before


def test_a_change_names_the_draft_it_was_made_against(draft: ModelVersion, store: Any) -> None:
    api = clients()[0]
    old = api.get(f"{API}1/")["ETag"]
    assert api.put(f"{API}1/elements/input_schema/", json.loads(SCHEMA), HTTP_IF_MATCH=old).status_code == 200
    before = (counts(store), AuditEvent.objects.count())
    address = f"{API}1/elements/input_schema/"
    for method, tag, code in (
        ("put", {}, "version_required"),
        ("put", {"HTTP_IF_MATCH": old}, "stale_version"),
        ("delete", {}, "version_required"),
        ("delete", {"HTTP_IF_MATCH": old}, "stale_version"),
    ):
        answer = getattr(api, method)(address, json.loads(SCHEMA), **tag)
        assert answer.json()["code"] == code
    assert (counts(store), AuditEvent.objects.count()) == before
    assert api.delete(address, HTTP_IF_MATCH=api.get(f"{API}1/")["ETag"]).status_code == 204


@pytest.mark.django_db(transaction=True)
def test_of_two_changes_made_against_the_same_draft_one_is_kept(store: Any) -> None:
    """Both have read the same version and pass the first look; the second look is under the lock."""
    place = building.a_place()
    dana = Person(place.dana, "test")
    versions.draft(actor=dana, model="tumours")
    for _ in range(5):
        tag = clients()[0].get(f"{API}1/")["ETag"]
        events, barrier, answers = AuditEvent.objects.count(), Barrier(2), []

        def put(limit: int, tag: str = tag, barrier: Barrier = barrier, answers: list[int] = answers) -> None:
            api, content = clients()[0], json.loads(artifacts.elements()["thresholds"]) | {"latency_p99_ms": limit}
            barrier.wait()
            answers.append(api.put(f"{API}1/elements/thresholds/", content, HTTP_IF_MATCH=tag).status_code)
            connections.close_all()

        threads = [Thread(target=put, args=[limit]) for limit in (5, 6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(answers) in ([200, 409], [200, 412])
        assert AuditEvent.objects.count() == events + 1
