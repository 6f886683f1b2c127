"""A pytest plug-in: PostgreSQL and Valkey of the suite's own, up before Django reads its settings.

Django's plug-in reads the settings before any conftest.py, so this one is loaded by `-p`. The first process starts the
servers, xdist's workers inherit the addresses, and all is gone when the suite ends.
"""

import os
import shutil
import tempfile
from pathlib import Path

import pytest

from mdlc_site.local.servers import Servers

OWNER = "MDLC_TEST_HOME"
servers: Servers | None = None

if OWNER not in os.environ:
    home = Path(tempfile.mkdtemp(prefix="mdlc-tests-"))
    os.environ[OWNER] = str(home)
    servers = Servers(home, fast=True)
    os.environ |= servers.start() | {
        "SECRET_KEY": "only-for-tests-only-for-tests-only-for-tests",
        "DEBUG": "false",
        "ALLOWED_HOSTS": "127.0.0.1,localhost,testserver",
        "SITE_URL": "http://127.0.0.1:8000",
        "ENGINE_URLS": "production=http://127.0.0.1:9",
        "MDLC_ENGINE_TOKEN": "only-for-tests",
        "MDLC_STORE": str(home / "store"),
        "MDLC_ANCHORS": str(home / "anchors.jsonl"),
        "LOG_LEVEL": "WARNING",
    }

# Each xdist worker keeps blobs and keys of its own beside its own database.
if "PYTEST_XDIST_WORKER" in os.environ:
    worker = os.environ["PYTEST_XDIST_WORKER"]
    os.environ["MDLC_STORE"] = f"{os.environ[OWNER]}/store-{worker}"
    os.environ["REDIS_URL"] = os.environ["REDIS_URL"].split("?")[0] + f"?db={int(worker.removeprefix('gw') or 0) + 1}"


def pytest_unconfigure(config: pytest.Config) -> None:
    """Stop what this process has started."""
    global servers
    if servers is not None:
        servers.stop()
        shutil.rmtree(os.environ.pop(OWNER), ignore_errors=True)
        servers = None
