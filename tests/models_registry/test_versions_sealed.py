"""A sealed version never changes: refused by the service, by the database, and whatever the way."""

from collections.abc import Callable
from pathlib import Path
from threading import Barrier, Thread
from typing import Any

import pytest
from django.db import DatabaseError, connection, connections, transaction
from rest_framework.test import APIClient

from audit.actors import Person
from audit.errors import Refused
from models_registry.models import Blob, Element, ModelVersion
from models_registry.services import versions
from models_registry.store import keep_bytes, verify
from tests.handoff import artifacts, building
from tests.models_registry.conftest import files

URL = "/api/v1/models/tumours/versions/"
Api = Callable[[str], APIClient]


@pytest.fixture
def sealed(place: building.Place) -> ModelVersion:
    """Return a sealed version."""
    return building.a_version(place)


ATTACKS: dict[str, Callable[[ModelVersion], Any]] = {
    "update the digest": lambda v: ModelVersion.objects.filter(pk=v.pk).update(digest="0" * 64),
    "update the manifest": lambda v: ModelVersion.objects.filter(pk=v.pk).update(manifest="{}"),
    "update the notes": lambda v: ModelVersion.objects.filter(pk=v.pk).update(notes="other"),
    "go back to draft": lambda v: ModelVersion.objects.filter(pk=v.pk).update(state="draft"),
    "bulk update": lambda v: ModelVersion.objects.bulk_update([_changed(v)], ["format"]),
    "save": lambda v: _changed(v).save(),
    "delete": lambda v: ModelVersion.objects.filter(pk=v.pk)._raw_delete("default"),
    "raw update": lambda v: _raw("UPDATE models_registry_modelversion SET notes = 'x' WHERE id = %s", v.pk),
    "raw delete": lambda v: _raw("DELETE FROM models_registry_modelversion WHERE id = %s", v.pk),
    "change an element": lambda v: v.elements.filter(name="golden").update(filename="x"),
    "swap a blob": lambda v: v.elements.filter(name="golden").update(blob=keep_bytes(b"other")),
    "delete an element": lambda v: v.elements.filter(name="golden").delete(),
    "add an element": lambda v: Element.objects.create(
        version=v, name="golden", blob=keep_bytes(b"other"), filename="x", set_by=v.created_by
    ),
    "move an element out": lambda v: _raw(
        "UPDATE models_registry_element SET version_id = %s WHERE version_id = %s", _draft(v).pk, v.pk
    ),
    "rename a blob": lambda v: Blob.objects.update(size=1),
}


def _changed(version: ModelVersion) -> ModelVersion:
    version.format = "skops"
    return version


def _draft(version: ModelVersion) -> ModelVersion:
    return ModelVersion.objects.create(model=version.model, number=99, created_by=version.created_by)


def _raw(sql: str, *values: Any) -> None:
    with connection.cursor() as cursor:
        cursor.execute(sql, values)


@pytest.mark.parametrize("attack", ATTACKS)
def test_the_database_refuses(attack: str, sealed: ModelVersion) -> None:
    before = (sealed.digest, sorted(sealed.elements.values_list("name", "blob_id", "filename")))
    with pytest.raises(DatabaseError), transaction.atomic():
        ATTACKS[attack](ModelVersion.objects.get(pk=sealed.pk))
    sealed.refresh_from_db()
    assert (sealed.digest, sorted(sealed.elements.values_list("name", "blob_id", "filename"))) == before


@pytest.mark.parametrize(
    ("method", "path"),
    [("put", "elements/golden/"), ("delete", "elements/golden/"), ("post", "nominate/"), ("post", "discard/")],
)
def test_the_api_refuses(method: str, path: str, sealed: ModelVersion, api: Api) -> None:
    client = api("dana")
    upload = {"file": files({"golden": b"{}"})["golden"]} if method == "put" else None
    kind = {"format": "multipart"} if upload else {}
    answer = getattr(client, method)(f"{URL}1/{path}", upload, headers={"If-Match": '"1"'}, **kind)
    assert (answer.status_code, answer.json()["code"]) == (409, "version_sealed")


def test_small_texts_equal_their_blobs(place: building.Place) -> None:
    draft = ModelVersion.objects.create(model=place.model, number=5, created_by=place.dana)
    with pytest.raises(DatabaseError, match="element_text_is_its_blob"), transaction.atomic():
        Element.objects.create(
            version=draft, name="runtime", blob=keep_bytes(b"{}"), text="{ }", filename="x", set_by=place.dana
        )


def test_a_flipped_byte_in_the_store_is_noticed(sealed: ModelVersion, store: Path) -> None:
    digest = sealed.elements.get(name="model").blob_id
    assert verify(digest)
    path = store / digest[:2] / digest
    path.chmod(0o644)
    content = bytearray(path.read_bytes())
    content[10] ^= 1
    path.write_bytes(content)
    assert not verify(digest)


@pytest.mark.django_db(transaction=True)
def test_nominating_and_replacing_at_the_same_instant(store: Path) -> None:
    place = building.a_place()
    elements = artifacts.elements("good")
    elements["runtime"] = b'{"python": ">=3.11,<3.15", "packages": {"onnxruntime": ">=1.30,<2"}}'
    dana = Person(place.dana, "test")
    for number in range(1, 4):
        versions.draft(actor=dana, model="tumours")
        for name, content in elements.items():
            versions.set_element(actor=dana, model="tumours", number=number, name=name, chunks=[content])
        barrier, ended = Barrier(2), []

        def nominate(number: int = number, barrier: Barrier = barrier, ended: list[str] = ended) -> None:
            barrier.wait()
            versions.nominate(actor=dana, model="tumours", number=number)
            ended.append("nominated")
            connections.close_all()

        def replace(number: int = number, barrier: Barrier = barrier, ended: list[str] = ended) -> None:
            barrier.wait()
            limits = elements["thresholds"].replace(b"200", b"201")
            try:
                versions.set_element(actor=dana, model="tumours", number=number, name="thresholds", chunks=[limits])
                ended.append("replaced")
            except Refused as refusal:
                ended.append(refusal.code)
            finally:
                connections.close_all()

        threads = [Thread(target=nominate), Thread(target=replace)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        sealed = ModelVersion.objects.get(number=number)
        assert "nominated" in ended
        assert set(ended) <= {"nominated", "replaced", "version_sealed"}
        manifest = {e["name"]: e["sha256"] for e in __import__("json").loads(sealed.manifest)["elements"]}
        assert manifest == dict(sealed.elements.values_list("name", "blob_id"))
