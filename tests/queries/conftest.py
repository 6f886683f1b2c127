"""A site to count the queries of."""

from pathlib import Path
from typing import Any

import pytest
from django.conf import settings as django_settings

from tests.queries.counting import Site, a_site


@pytest.fixture(scope="session", autouse=True)
def static_root() -> None:
    """Make the folder that the server of static files looks for."""
    Path(django_settings.STATIC_ROOT).mkdir(parents=True, exist_ok=True)


@pytest.fixture
def store(settings: Any, tmp_path: Path) -> Path:
    """Keep blobs in a folder of the test's own."""
    folder = tmp_path / "store"
    settings.STORE = str(folder)
    backend = "django.core.files.storage.FileSystemStorage"
    settings.STORAGES = {**settings.STORAGES, "default": {"BACKEND": backend, "OPTIONS": {"location": str(folder)}}}
    return folder


@pytest.fixture
def site(db: None, store: Path) -> Site:
    """Return the site."""
    return a_site()
