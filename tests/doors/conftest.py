"""Ask every door as everybody, once for all tests of a file; each test then looks at one side of what was told."""

import gc
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from django.db import connection, transaction
from django.test import override_settings

from tests.doors.asking import Asking
from tests.doors.standing import standing

FEW, SEED = 4, 2026


def pytest_addoption(parser: pytest.Parser) -> None:
    """Let `make doors` write the tables anew, and `make fuzz` send more than a few requests."""
    parser.addoption("--write-doors", action="store_true", help="write what is told into the tables")
    parser.addoption("--examples", type=int, default=FEW, help="requests to each operation of the API")
    parser.addoption("--seed", type=int, default=SEED, help="what they are drawn from")


@pytest.fixture(scope="session")
def writing(request: pytest.FixtureRequest) -> bool:
    """Tell whether the tables are written instead of compared."""
    return bool(request.config.getoption("--write-doors", False))


@pytest.fixture(scope="module")
def asking(django_db_setup: None, django_db_blocker: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Asking]:
    """Give the site with all its people, in a transaction that is taken back after the last test of a file."""
    with for_a_file(django_db_blocker, tmp_path_factory.mktemp("doors")):
        site = standing()
        settle()
        yield Asking(site)


def settle() -> None:
    """Let tests look for long at what stands now: a claim on the way has let the transaction end when it idles."""
    gc.collect(), gc.freeze()  # what stands outlives every request; it need not be looked through after each
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL idle_in_transaction_session_timeout = 0")


@contextmanager
def for_a_file(blocker: Any, folder: Path) -> Iterator[None]:
    """Let what is written stand for all tests of a file, in one transaction that is taken back at its end."""
    undone = transaction.atomic()
    undone._from_testcase = True  # as pytest-django's own: acts insist on a transaction that they end
    refusals = logging.getLogger("django.request")
    level = refusals.level
    refusals.setLevel("CRITICAL")  # thousands are refused on purpose
    with blocker.unblock(), override_settings(**_quick(folder)), undone:
        yield
        gc.unfreeze()
        transaction.set_rollback(True)
    refusals.setLevel(level)


def _quick(folder: Path) -> dict[str, Any]:
    """Return settings that keep blobs in a folder of the test's own, and hash passwords quickly."""
    backend = "django.core.files.storage.FileSystemStorage"
    files = {"BACKEND": backend, "OPTIONS": {"location": str(folder)}}
    static = {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"}
    hashers = ["django.contrib.auth.hashers.MD5PasswordHasher"]
    return {"STORE": str(folder), "STORAGES": {"default": files, "staticfiles": static}, "PASSWORD_HASHERS": hashers}
