"""Blobs in S3: a server of its own that speaks the real protocol over HTTP, though it keeps objects in its memory.

What it cannot show is how durable a bucket is, and how Amazon's own service spells its refusals.
"""

import sys
import urllib.request
from collections.abc import Callable, Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

import boto3
import pytest
from django.core.files.storage import default_storage
from django.test import Client
from rest_framework.test import APIClient

from audit.models import AuditEvent
from handoff.deploy_plans import damage_in
from mdlc_site.environment import storage
from models_registry import store as blobs
from models_registry.links import blob_url
from models_registry.models import Blob, Element, ModelVersion
from tests import processes
from tests.handoff import building
from tests.models_registry.conftest import files
from tests.processes import Process, eventually

URL = "/api/v1/models/tumours/versions/"
STORE = "s3://models/of/ours"
MB = 1 << 20


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Process, str]]:
    """Start the server."""
    port, folder = processes.free_port(), tmp_path_factory.mktemp("s3")
    args = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    process = Process("s3", args, folder / "s3.log", processes.environment()).start()
    url = f"http://127.0.0.1:{port}"
    try:
        eventually(lambda: processes.answers(f"{url}/moto-api/data.json"), "S3 answers", 60, process)
        yield process, url
    finally:
        process.kill()


@pytest.fixture
def bucket(server: tuple[Process, str], settings: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    """Keep blobs in a new bucket, as an installation does that is told MDLC_STORE=s3://models/of/ours."""
    known = {"ACCESS_KEY_ID": "ours", "SECRET_ACCESS_KEY": "ours", "DEFAULT_REGION": "us-east-1"}
    for name, value in {**known, "ENDPOINT_URL": server[1]}.items():
        monkeypatch.setenv(f"AWS_{name}", value)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    settings.STORE = STORE
    settings.STORAGES = {**settings.STORAGES, "default": storage("MDLC_STORE", STORE)}
    session = boto3.session.Session()
    found = session.resource("s3").Bucket("models")
    found.create()
    yield found
    found.objects.all().delete()
    found.delete()
    session.client("s3").close()
    default_storage.connection.meta.client.close()


@pytest.fixture
def dana(bucket: Any, db: None) -> APIClient:
    """Return a data scientist's client."""
    place = building.a_place()
    client = APIClient()
    client.force_authenticate(place.dana)
    return client


def keys(bucket: Any) -> set[str]:
    """Return the names of all objects."""
    return {one.key for one in bucket.objects.all()}


def test_a_version_is_kept_sealed_and_fetched(dana: APIClient, bucket: Any, elements: dict[str, bytes]) -> None:
    assert dana.post(URL, files(elements), format="multipart").status_code == 201
    answer = dana.post(f"{URL}1/nominate/")
    assert answer.status_code == 200, answer.json()
    names = set(Element.objects.values_list("blob_id", flat=True))
    assert keys(bucket) == {f"of/ours/{blobs.path_of(name)}" for name in names}
    assert all(blobs.verify(name) for name in names)
    assert damage_in(ModelVersion.objects.get()) == []
    path, question, token = blob_url(Element.objects.get(name="model").blob_id, seconds=60).partition("?")
    fetched = Client().get("/" + path.split("/", 3)[3] + question + token)
    assert fetched.status_code == 200
    assert b"".join(fetched.streaming_content) == elements["model"]


def test_altered_bytes_are_noticed_wherever_they_are_read(
    dana: APIClient, bucket: Any, elements: dict[str, bytes]
) -> None:
    assert dana.post(URL, files(elements), format="multipart").status_code == 201
    golden = Element.objects.get(name="golden").blob_id
    bucket.Object(f"of/ours/{blobs.path_of(golden)}").put(Body=b"other bytes")
    answer = dana.post(f"{URL}1/nominate/")
    assert (answer.status_code, answer.json()["code"]) == (422, "blob_damaged")
    assert ModelVersion.objects.get().state == "draft"
    with pytest.raises(FileNotFoundError, match="hash to"):
        blobs.local_path(golden)
    bucket.Object(f"of/ours/{blobs.path_of(golden)}").delete()
    assert not blobs.verify(golden)


def test_the_same_bytes_are_kept_once(dana: APIClient, bucket: Any) -> None:
    first = blobs.keep_bytes(b"some bytes")
    seen = {one.key: one.last_modified for one in bucket.objects.all()}
    assert blobs.keep_bytes(b"some bytes") == first
    assert {one.key: one.last_modified for one in bucket.objects.all()} == seen


def test_damaged_bytes_are_mended_by_the_same_bytes(dana: APIClient, bucket: Any) -> None:
    digest = blobs.keep_bytes(b"some bytes").pk
    bucket.Object(f"of/ours/{blobs.path_of(digest)}").put(Body=b"other bytes")
    assert not blobs.verify(digest)
    assert blobs.keep_bytes(b"some bytes").pk == digest
    assert blobs.verify(digest)


def test_what_is_refused_is_not_even_sent(dana: APIClient, bucket: Any) -> None:
    answer = dana.post(URL, files({"model": b"this is no model"}), format="multipart")
    assert (answer.status_code, answer.json()["code"]) == (422, "format_unknown")
    assert keys(bucket) == set()
    assert not Blob.objects.exists()


def test_a_store_that_does_not_answer_is_told_and_leaves_nothing(
    dana: APIClient, bucket: Any, settings: Any, elements: dict[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{processes.free_port()}")
    settings.STORAGES = {**settings.STORAGES, "default": storage("MDLC_STORE", STORE)}
    events = AuditEvent.objects.count()
    answer = dana.post(URL, files({"golden": elements["golden"]}), format="multipart")
    assert (answer.status_code, answer.json()["code"]) == (503, "store_unavailable")
    assert not ModelVersion.objects.exists()
    assert not Blob.objects.exists()
    assert AuditEvent.objects.count() == events


def memory_mb() -> float:
    """Return how much memory this process has now."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS:")) / 1024


def most_during(act: Callable[[], object]) -> float:
    """Return by how many MB the memory of this process rises at most while something is done."""
    Path("/proc/self/clear_refs").write_text("5")  # forget the highest mark so far
    before = memory_mb()
    act()
    lines = Path("/proc/self/status").read_text().splitlines()
    highest = next(int(line.split()[1]) for line in lines if line.startswith("VmHWM:")) / 1024
    return highest - before


def test_a_large_blob_is_never_whole_in_memory(dana: APIClient, bucket: Any) -> None:
    size, seen = 200, sha256()
    blobs.keep(b"x" * MB for _ in range(20))  # what the client allocates once

    def read() -> None:
        with blobs.open_blob(kept[0].pk) as stream:
            while chunk := stream.read(blobs.CHUNK):
                seen.update(chunk)

    kept: list[Blob] = []
    assert most_during(lambda: kept.append(blobs.keep(bytes([i]) * MB for i in range(size)))) < size * 0.6
    assert most_during(read) < size * 0.6
    assert seen.hexdigest() == kept[0].pk
    assert kept[0].size == size * MB


@pytest.mark.processes
@pytest.mark.django_db(transaction=True)
def test_the_processes_of_an_installation_use_it(
    bucket: Any, server: tuple[Process, str], tmp_path: Path, elements: dict[str, bytes]
) -> None:
    """A web process that knows the store from its environment alone answers with the bytes."""
    building.a_place()
    kept = blobs.keep_bytes(elements["model"])
    port = processes.free_port()
    env = processes.environment(MDLC_STORE=STORE, ALLOWED_HOSTS="127.0.0.1", SITE_URL=f"http://127.0.0.1:{port}")
    args = [sys.executable, "-m", "granian", "--interface", "wsgi", "--host", "127.0.0.1", "--port", str(port)]
    web = Process("web", [*args, "mdlc_site.wsgi:application"], tmp_path / "web.log", env).start()
    try:
        at = f"http://127.0.0.1:{port}"
        eventually(lambda: processes.answers(f"{at}/healthz/ready"), "the site answers, and reaches its store", 60, web)
        link = blob_url(kept.pk, seconds=60)
        with urllib.request.urlopen(at + "/" + link.split("/", 3)[3], timeout=30) as answer:
            assert sha256(answer.read()).hexdigest() == kept.pk
    finally:
        web.kill()
