"""A model with its people and the API's clients, and everything that a real version is made of."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from rest_framework.test import APIClient

from audit.models import Account
from models_registry.models import Blob, Element, ModelVersion
from tests.handoff import artifacts, building


@pytest.fixture
def store(settings: Any, tmp_path: Path) -> Path:
    """Keep blobs in a folder of the test's own."""
    folder = tmp_path / "store"
    settings.STORE = str(folder)
    backend = "django.core.files.storage.FileSystemStorage"
    settings.STORAGES = {**settings.STORAGES, "default": {"BACKEND": backend, "OPTIONS": {"location": str(folder)}}}
    return folder


@pytest.fixture
def place(db: None, store: Path) -> building.Place:
    """Return a model, its environments and its people."""
    return building.a_place()


@pytest.fixture
def api(place: building.Place) -> Callable[[str], APIClient]:
    """Return a function that gives somebody's API client."""

    def of(who: str) -> APIClient:
        client = APIClient()
        client.force_authenticate(Account.objects.get(username=who))
        return client

    return of


@pytest.fixture
def elements() -> dict[str, bytes]:
    """Return everything that a good version is made of."""
    found = artifacts.elements("good")
    found["runtime"] = b'{"python": ">=3.11,<3.15", "packages": {"onnxruntime": ">=1.30,<2"}}'
    return found


def files(elements: dict[str, bytes]) -> dict[str, SimpleUploadedFile]:
    """Return elements as uploads."""
    return {name: SimpleUploadedFile(f"{name}.bin", content) for name, content in elements.items()}


def counts(store: Path) -> tuple[int, ...]:
    """Return how much there is of everything that registering writes, on disk too."""
    kept = sum(1 for path in store.rglob("*") if path.is_file()) if store.exists() else 0
    return (ModelVersion.objects.count(), Element.objects.count(), Blob.objects.count(), kept)
