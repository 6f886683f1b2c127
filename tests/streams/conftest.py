"""Fixtures of the stream tests: a broker and an S3 server for the session, a receiver a test, a sealed version."""

import hashlib
import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from engine.manifests import Element, Manifest
from tests import processes
from tests.engine.conftest import CLASSES, NAMES, Trained, input_schema
from tests.engine.conftest import classifier as classifier
from tests.processes import Process, eventually
from tests.streams.clusters import EACH, FILES, SUFFIXES, write_file
from tests.streams.places import Kafka, Receiver


@pytest.fixture(scope="session")
def kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kafka]:
    broker = Kafka(tmp_path_factory.mktemp("kafka"))
    yield broker
    broker.stop()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    found = Receiver()
    yield found
    found.stop()


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Start the server."""
    port, folder = processes.free_port(), tmp_path_factory.mktemp("s3")
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    process = Process("s3", command, folder / "s3.log", processes.environment()).start()
    url = f"http://127.0.0.1:{port}"
    try:
        eventually(lambda: processes.answers(f"{url}/moto-api/data.json"), "S3 answers", 60, process)
        yield url
    finally:
        process.kill()


@pytest.fixture
def blobs(tmp_path: Path, classifier: Trained) -> tuple[Path, str]:
    """Return a folder with a version's elements, and the version's digest."""
    folder = tmp_path / "blobs"
    folder.mkdir()
    contents = {
        "model": classifier.onnx.read_bytes(),
        "input_schema": json.dumps(input_schema(minimum=0.0)).encode(),
        "output_schema": json.dumps(CLASSES).encode(),
    }
    elements = []
    for name, content in sorted(contents.items()):
        sha = hashlib.sha256(content).hexdigest()
        (folder / sha).write_bytes(content)
        elements.append(Element(name, sha, len(content), f"{name}.bin"))
    manifest = Manifest("tumours", 1, "onnx", tuple(elements))
    (folder / manifest.digest).write_bytes(manifest.canonical())
    return folder, manifest.digest


@pytest.fixture
def write_source(tmp_path: Path, classifier: Trained) -> Callable[[str], list[str]]:
    """Return what writes the source's files, and returns the keys of their records."""

    def write(encoding: str) -> list[str]:
        (tmp_path / "in").mkdir()
        values = np.resize(classifier.x, (FILES, EACH, len(NAMES)))
        names = [f"day-{number}.{SUFFIXES[encoding]}" for number in range(FILES)]
        for name, rows in zip(names, values.tolist(), strict=True):
            write_file(tmp_path / "in" / name, encoding, rows)
        return sorted(f"{name}/{row}" for name in names for row in range(EACH))

    return write
