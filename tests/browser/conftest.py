"""One real Chromium for each test process. Playwright's sync interface allows one instance a process: keep it here."""

import fcntl
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Playwright, sync_playwright

from tests.browser.chromium import FLAGS, NoChromium, chromium

# Playwright's sync interface keeps an event loop running in this thread, in which Django would refuse its ORM.
os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "true"


def pytest_addoption(parser: pytest.Parser) -> None:
    """Let `make screenshots` say where to keep them."""
    parser.addoption("--screenshots", default="", help="folder to keep the screenshots in")


@pytest.fixture(scope="session")
def playwright() -> Iterator[Playwright]:
    """Return the one Playwright of this process."""
    with sync_playwright() as one:
        yield one


@pytest.fixture(scope="session")
def browser(playwright: Playwright) -> Iterator[Browser]:
    """Return a headless Chromium; without one, fail with the sentence that says what to install."""
    lock = Path(os.environ.get("MDLC_TEST_HOME", tempfile.gettempdir())) / "chromium.lock"
    with lock.open("w") as alone:
        fcntl.flock(alone, fcntl.LOCK_EX)  # of two test processes, one installs
        try:
            program = chromium(playwright.chromium.executable_path)
        except NoChromium as missing:
            pytest.fail(str(missing), pytrace=False)
    one = playwright.chromium.launch(executable_path=program, args=FLAGS)
    yield one
    one.close()
