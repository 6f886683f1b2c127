"""What the browser tests of the handoff share: a site with people, and pages in which they are signed in."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings as django_settings
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page

from tests.handoff import walking
from tests.handoff.building import Place

Open = Callable[..., Page]


@pytest.fixture
def site(transactional_db: None, settings: Any, tmp_path: Path) -> Place:
    """Return a model with its people, its blobs in a folder of the test's own."""
    settings.STORE = str(tmp_path / "store")
    backend = {"BACKEND": "django.core.files.storage.FileSystemStorage", "OPTIONS": {"location": settings.STORE}}
    settings.STORAGES = {**settings.STORAGES, "default": backend}
    return walking.a_site()


@pytest.fixture
def visit(browser: Browser, live_server: Any, site: Place) -> Iterator[Open]:
    """Return a function that opens a path as somebody, and fails afterwards if the browser had to complain."""
    contexts: list[BrowserContext] = []
    complaints: list[str] = []

    def visit(name: str, path: str, *, width: int = 1280, theme: Any = "light", script: bool = True) -> Page:
        context = browser.new_context(
            base_url=live_server.url,
            viewport={"width": width, "height": 900},
            color_scheme=theme,
            java_script_enabled=script,
            reduced_motion="reduce",
        )
        contexts.append(context)
        session = walking.client_of(site.people[name]).cookies[django_settings.SESSION_COOKIE_NAME].value
        cookie = {"name": django_settings.SESSION_COOKIE_NAME, "value": session, "url": live_server.url}
        context.add_cookies([cookie])  # type: ignore[list-item]
        page = context.new_page()
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("console", lambda said: complaints.append(said.text) if _is_complaint(said) else None)
        page.goto(path)
        return page

    yield visit
    for context in contexts:
        context.close()
    assert not complaints, complaints


def _is_complaint(said: ConsoleMessage) -> bool:
    """Tell an error in the page from an answer that was refused on purpose, which the browser logs, too."""
    return "Content Security" in said.text or (said.type == "error" and "Failed to load resource" not in said.text)
