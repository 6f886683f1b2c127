"""A site to count the queries of."""

from pathlib import Path
from typing import Any

import pytest

from tests.queries.counting import Site, a_site


@pytest.fixture(autouse=True)
def kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep the number in the menu, and that somebody is there, for as long as the counting takes on a slow machine."""
    for name in ("handoff.web.context.KEPT", "mdlc_site.sessions.STEP"):
        monkeypatch.setattr(name, 3600)


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
