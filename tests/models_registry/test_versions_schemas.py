"""Schemas of versions: taken in every language, given in others, and held against those of the version before."""

import io
import json
from collections.abc import Callable
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from rest_framework.test import APIClient

from audit.actors import Person
from audit.models import AuditEvent
from models_registry.models import Element
from models_registry.services import versions
from tests.handoff import building
from tests.models_registry.conftest import counts

API = "/api/v1/models/tumours/versions/"
PAGE = "/models/tumours/versions/"
TABLE = pa.table({"age": pa.array([41, 52], pa.int64()), "dose": pa.array([0.5, None], pa.float64())})
SIGNATURE = {
    "inputs": '[{"type": "long", "name": "age", "required": true},'
    ' {"type": "double", "name": "dose", "required": false}]',
    "outputs": '[{"type": "double", "name": "score", "required": true}]',
}
JSON_SCHEMA = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "type": "object",
    "properties": {"age": {"type": "integer"}, "dose": {"type": ["number", "null"]}},
    "required": ["age", "dose"],
}


def parquet() -> bytes:
    sink = io.BytesIO()
    pq.write_table(TABLE, sink)
    return sink.getvalue()


def arrow() -> bytes:
    sink = io.BytesIO()
    with pa.ipc.new_file(sink, TABLE.schema) as file:
        file.write_table(TABLE)
    return sink.getvalue()


BROUGHT: dict[str, tuple[str, Callable[[], bytes]]] = {
    "Avro": (
        "input.avsc",
        lambda: json.dumps(
            {
                "type": "record",
                "name": "r",
                "fields": [{"name": "age", "type": "long"}, {"name": "dose", "type": ["null", "double"]}],
            }
        ).encode(),
    ),
    "JSON Schema": ("input.json", lambda: json.dumps(JSON_SCHEMA).encode()),
    "MLflow signature": ("signature.json", lambda: json.dumps(SIGNATURE).encode()),
    "Parquet": ("train.parquet", parquet),
    "Arrow": ("train.arrow", arrow),
    "CSV": ("train.csv", lambda: b"age,dose\n41,0.5\n52,\n"),
    "JSON lines": ("train.jsonl", lambda: b'{"age": 41, "dose": 0.5}\n{"age": 52, "dose": null}\n'),
}


@pytest.fixture
def dana(place: building.Place) -> Person:
    """Return Dana, who has an empty draft."""
    dana = Person(place.dana, "test")
    versions.draft(actor=dana, model="tumours")
    return dana


def client(person: Any) -> APIClient:
    api = APIClient()
    api.force_authenticate(person)
    return api


def browser(person: Any) -> Client:
    found = Client()
    found.force_login(person, backend="django.contrib.auth.backends.ModelBackend")
    return found


@pytest.mark.parametrize("language", BROUGHT)
def test_a_schema_comes_in_any_language_and_is_kept_as_avro(dana: Person, language: str) -> None:
    filename, make = BROUGHT[language]
    element, notes = versions.set_element(
        actor=dana, model="tumours", number=1, name="input_schema", chunks=[make()], filename=filename
    )
    fields = {field["name"]: field["type"] for field in json.loads(element.text or "")["fields"]}
    assert fields["age"] in ("long", ["null", "long"])
    assert fields["dose"] == ["null", "double"]
    assert element.filename == (filename if filename.endswith((".avsc", ".json")) else "input_schema.avsc")
    event = AuditEvent.objects.filter(action="version.element_set").latest("seq")
    assert json.loads(event.body)["data"].get("notes", []) == notes


@pytest.mark.parametrize("door", ["api", "page"])
def test_what_is_said_differently_is_told_at_every_door(dana: Person, door: str) -> None:
    sent = SimpleUploadedFile("signature.json", json.dumps(SIGNATURE).encode())
    told = "dose: it may be left out there; here it has to come, and may be null."
    if door == "api":
        tag = client(dana.user).get(f"{API}1/")["ETag"]
        answer: Any = client(dana.user).put(
            f"{API}1/elements/input_schema/", {"file": sent}, format="multipart", HTTP_IF_MATCH=tag
        )
        assert answer.json()["notes"] == [told]
    else:
        page: Any = browser(dana.user).post(f"{PAGE}1/elements/input_schema/", {"file": sent}, follow=True)
        assert told in page.content.decode()


def test_a_whole_draft_tells_its_notes(dana: Person) -> None:
    sent = SimpleUploadedFile("signature.json", json.dumps(SIGNATURE).encode())
    answer: Any = client(dana.user).post(API, {"input_schema": sent}, format="multipart")
    assert answer.status_code == 201
    assert answer.json()["schema_notes"] == ["dose: it may be left out there; here it has to come, and may be null."]


@pytest.mark.parametrize(
    ("filename", "content", "code"),
    [
        ("a.json", b'{"signature": {"inputs": null, "outputs": "[]"}}', "signature_invalid"),
        ("a.json", json.dumps({"outputs": SIGNATURE["outputs"]}).encode(), "signature_invalid"),
        ("a.json", b'{"$ref": "#"}', "ref_cyclic"),
        ("a.json", b'{"$ref": "https://example.org/schema.json"}', "ref_remote"),
        ("a.parquet", b"PAR1 and nothing more", "parquet_unreadable"),
        ("a.arrow", b"ARROW1\0\0 and nothing more", "arrow_unreadable"),
        ("a.csv", b"price\n1,5\n", "records_malformed"),
        ("a.jsonl", b"", "records_empty"),
        ("a.json", b"[]", "schema_not_avro"),
    ],
)
def test_what_cannot_be_read_is_refused_with_its_reason(
    dana: Person, store: Any, filename: str, content: bytes, code: str
) -> None:
    before = counts(store)
    tag = client(dana.user).get(f"{API}1/")["ETag"]
    sent = SimpleUploadedFile(filename, content)
    answer: Any = client(dana.user).put(
        f"{API}1/elements/input_schema/", {"file": sent}, format="multipart", HTTP_IF_MATCH=tag
    )
    assert (answer.status_code, answer.json()["code"]) == (422, code), answer.json()
    assert counts(store) == before


def test_schemas_are_given_in_other_languages(dana: Person) -> None:
    for name in ("input_schema", "output_schema"):
        content = json.dumps(SIGNATURE).encode()
        versions.set_element(actor=dana, model="tumours", number=1, name=name, chunks=[content], filename="s.json")
    api = client(dana.user)
    avro = api.get(f"{API}1/schemas/avro/").json()
    assert [field["name"] for field in avro["inputs"]["fields"]] == ["age", "dose"]
    found = api.get(f"{API}1/schemas/json_schema/").json()
    assert found["inputs"]["properties"]["dose"]["type"] == ["number", "null"]
    assert found["notes"] == ["inputs: Readers of JSON Schema take 1.0 for a whole number; here it is none."]
    signature = api.get(f"{API}1/schemas/mlflow/").json()
    assert json.loads(signature["outputs"]) == [{"type": "double", "name": "score", "required": True}]
    page = browser(dana.user).get(f"{PAGE}1/schemas/mlflow/")
    assert page["Content-Disposition"] == 'attachment; filename="tumours-v1-schemas.mlflow.json"'
    assert json.loads(page.content) == signature
    assert api.get(f"{API}1/schemas/cobol/").json()["todo"] == "Ask for one of avro, json_schema, mlflow."
    assert 'schemas/json_schema/" download' in browser(dana.user).get(f"{PAGE}1/").content.decode()


def test_strangers_get_no_schema(dana: Person, place: building.Place) -> None:
    for path in (f"{API}1/schemas/avro/", f"{API}1/compatibility/"):
        assert client(place.mallory).get(path).status_code == 404
    assert browser(place.mallory).get(f"{PAGE}1/schemas/avro/").status_code == 404


def test_a_version_is_held_against_the_one_before(place: building.Place, store: Any) -> None:
    first, dana = building.a_version(place), Person(place.dana, "test")
    second = versions.draft(actor=dana, model="tumours")
    content = json.loads(Element.objects.get(version=first, name="input_schema").text or "")
    gone = content["fields"].pop()["name"]
    for name, given in (("input_schema", content), ("output_schema", None)):
        text = json.dumps(given).encode() if given else (first.elements.get(name=name).text or "").encode()
        versions.set_element(actor=dana, model="tumours", number=second.number, name=name, chunks=[text])
    api = client(place.dana)
    found = api.get(f"{API}2/compatibility/").json()
    assert (found["version"], found["outputs"]) == (1, {"kind": "identical", "changes": []})
    assert found["inputs"]["kind"] == "breaking"
    assert gone in [change["field"] for change in found["inputs"]["changes"]]
    assert api.get(f"{API}2/compatibility/?with=1").json() == found
    page = " ".join(browser(place.dana).get(f"{PAGE}2/").content.decode().split())
    assert "Schemas since v1" in page
    assert f"<code>{gone}</code> breaking:" in page
    assert "Schemas since" not in browser(place.dana).get(f"{PAGE}1/").content.decode()
    assert api.get(f"{API}1/compatibility/").json()["todo"] == "Name another one: ?with=NUMBER."
    for asked, status in (("9", 404), ("x", 422), ("-1", 422)):
        assert api.get(f"{API}2/compatibility/?with={asked}").status_code == status
