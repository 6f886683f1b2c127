"""A pytest plug-in: PostgreSQL and Valkey of the suite's own, up before Django reads its settings.

Django's plug-in reads the settings before any conftest.py, so this one is loaded by `-p`. The first process starts the
servers, xdist's workers inherit the addresses, and all is gone when that process ends, however it ends.
"""

import atexit
import os
import shutil
import sys
import tempfile
from pathlib import Path

import pytest

from mdlc_site.local.servers import Servers
from mdlc_site.local.trouble import Trouble

OWNER = "MDLC_TEST_HOME"


def _start(home: Path) -> Servers:
    """Start servers that trade safety for speed, and lead Django to them."""
    servers = Servers(home, fast=True)
    (home / "static").mkdir()  # whoever serves files asks for it when it starts
    try:
        os.environ |= servers.start() | {
            "DJANGO_SETTINGS_MODULE": "mdlc_site.settings",
            "SECRET_KEY": "only-for-tests-only-for-tests-only-for-tests",
            "DEBUG": "false",
            "ALLOWED_HOSTS": "127.0.0.1,localhost,testserver",
            "SITE_URL": "http://127.0.0.1:8000",
            "ENGINE_URLS": "production=http://127.0.0.1:9",
            "MDLC_ENGINE_TOKEN": "only-for-tests",
            "STATIC_ROOT": str(home / "static"),
            "MDLC_STORE": str(home / "store"),
            "MDLC_ANCHORS": str(home / "anchors.jsonl"),
            "MDLC_SIGNING_KEY": "5e" * 32,
            "LOG_LEVEL": "WARNING",
        }
    except Trouble as trouble:
        sys.exit(f"The suite's own servers do not start. {trouble}")
    return servers


def _stop() -> None:
    """Stop what this process has started; a second call finds nothing to do."""
    global servers
    if servers is not None:
        servers.stop()
        shutil.rmtree(servers.home, ignore_errors=True)
        servers = None


def _use_own_share(worker: str) -> None:
    """Give an xdist worker blobs and keys of its own, beside the database that pytest-django gives it."""
    os.environ["MDLC_STORE"] = f"{os.environ[OWNER]}/store-{worker}"
    os.environ["REDIS_URL"] = os.environ["REDIS_URL"].split("?")[0] + f"?db={int(worker.removeprefix('gw')) + 1}"


servers: Servers | None = None
if OWNER not in os.environ:
    os.environ[OWNER] = tempfile.mkdtemp(prefix="mdlc-tests-")
    servers = _start(Path(os.environ[OWNER]))
    atexit.register(_stop)
if "PYTEST_XDIST_WORKER" in os.environ:
    _use_own_share(os.environ["PYTEST_XDIST_WORKER"])


def pytest_unconfigure(config: pytest.Config) -> None:
    """Stop the servers with the suite."""
    _stop()
