"""Processes that tests of the background share: a broker, a relay, workers and an engine, each really running."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from handoff.models import Handoff, PolicyRevision
from models_registry.models import ModelVersion
from tests import processes
from tests.handoff import building
from tests.processes import Process


def pytest_addoption(parser: pytest.Parser) -> None:
    """Let `make machine` say how long."""
    parser.addoption("--steps", default=200, help="how many random acts are tried on one model")


@pytest.fixture
def store(settings: Any, tmp_path: Path) -> Path:
    """Keep blobs in a folder of the test's own."""
    folder = tmp_path / "store"
    settings.STORE = str(folder)
    backend = "django.core.files.storage.FileSystemStorage"
    settings.STORAGES = {**settings.STORAGES, "default": {"BACKEND": backend, "OPTIONS": {"location": str(folder)}}}
    return folder


@pytest.fixture
def place(transactional_db: None, store: Path) -> building.Place:
    """Return a model, its environments and its people."""
    return building.a_place()


@pytest.fixture
def started() -> Iterator[Callable[[Process], Process]]:
    """Remember processes, and end them after the test."""
    found: list[Process] = []

    def remember(process: Process) -> Process:
        found.append(process)
        return process

    yield remember
    for process in reversed(found):
        process.kill()


@pytest.fixture
def broker(tmp_path_factory: pytest.TempPathFactory, started: Callable[[Process], Process]) -> tuple[Process, str]:
    """Start a Valkey of the test's own; the path of its socket is short."""
    process, url = processes.broker(tmp_path_factory.mktemp("b"))
    started(process)
    return process, url


@pytest.fixture
def env(broker: tuple[Process, str], transactional_db: None, store: Path) -> dict[str, str]:
    """Return the environment of the product's processes in this test."""
    return processes.environment(REDIS_URL=broker[1])


@pytest.fixture
def under_test(place: building.Place) -> Callable[..., Handoff]:
    """Return a function that gives a handoff whose tests are queued."""

    def make(version: ModelVersion | None = None, policy: PolicyRevision | None = None) -> Handoff:
        version = version or building.a_version(place)
        policy = policy or building.a_policy(("integrity", "golden"))
        return building.open_review(place, building.offered(place, version, policy))

    return make


@pytest.fixture
def engine(
    live_server: Any, settings: Any, tmp_path: Path, started: Callable[[Process], Process], place: building.Place
) -> processes.Engine:
    """Start a real engine that fetches from this site, and tell the site where it is."""
    settings.SITE_URL = live_server.url
    settings.ENGINE_TOKEN = processes.TOKEN
    found = processes.Engine(tmp_path, live_server.url)
    settings.ENGINE_URLS = {"production": found.url}
    started(found.process)
    return found


@pytest.fixture
def released(place: building.Place) -> Callable[..., Handoff]:
    """Return a function that gives a handoff whose deployment is queued."""

    def make(number: int = 1, quality: str = "good", *, confirm: bool = False, **more: Any) -> Handoff:
        version = building.a_version(place, number, quality, **more)
        policy = building.a_policy(("integrity",), confirm=confirm)
        handoff = building.open_review(place, building.offered(place, version, policy))
        return building.open_release(place, building.tested(handoff))

    return make
