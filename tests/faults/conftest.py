"""The stand on which trials are made: its processes are started once, its records are new for each test."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from django.db import connection

from tests import processes, stack
from tests.faults.stand import Stand
from tests.processes import TOKEN, Engine, Process


def pytest_addoption(parser: pytest.Parser) -> None:
    """Let `make faults` say how often."""
    parser.addoption("--trials", type=int, default=0, help="so many trials of every cell; otherwise a few by chance")
    parser.addoption("--stack", type=int, default=0, help="so many faults at random times on whole processes")
    parser.addoption("--draw", type=int, default=0, help="the number that the few are drawn by; by default any")
    parser.addoption("--cells", default="", help="only these cells, such as F1-M9,F3-M10; or whole rows, such as F6")


@pytest.fixture(scope="package")
def faults_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder whose path is short: sockets lie there."""
    return tmp_path_factory.mktemp("f")


@pytest.fixture(scope="package")
def plan(faults_folder: Path) -> Path:
    """Return the file that says where something fails."""
    return faults_folder / "plan"


@pytest.fixture(scope="package")
def faults_broker(faults_folder: Path) -> Iterator[tuple[Process, str]]:
    """Start a broker that may be killed."""
    process, url = processes.broker(faults_folder)
    yield process, url
    process.kill()


@pytest.fixture(scope="package")
def faults_engine(live_server: Any, faults_folder: Path, plan: Path) -> Iterator[Engine]:
    """Start an engine that may be killed."""
    engine = Engine(faults_folder, live_server.url, MDLC_FAULTS=str(plan))
    yield engine
    engine.kill()


@pytest.fixture(scope="package")
def zygote(
    django_db_setup: None,
    live_server: Any,
    faults_folder: Path,
    faults_broker: tuple[Process, str],
    faults_engine: Engine,
    plan: Path,
) -> Iterator[subprocess.Popen[bytes]]:
    """Start the process that all others are forked from."""
    env = processes.environment(
        REDIS_URL=faults_broker[1],
        MDLC_FAULTS=str(plan),
        SITE_URL=live_server.url,
        ENGINE_URLS=f"production={faults_engine.url}",
        LOG_LEVEL="WARNING",
    )
    with (faults_folder / "zygote.log").open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-W", "ignore", "-m", "tests.faults.zygote"],
            cwd=processes.ROOT,
            env=env,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
        )
    with process:
        yield process
        assert process.stdin is not None
        process.stdin.close()


@pytest.fixture
def stand(
    transactional_db: None,
    live_server: Any,
    settings: Any,
    faults_folder: Path,
    zygote: subprocess.Popen[bytes],
    faults_broker: tuple[Process, str],
    faults_engine: Engine,
    plan: Path,
) -> Iterator[Stand]:
    """Give an installation in which nothing has happened yet."""
    settings.SITE_URL = live_server.url
    settings.ENGINE_TOKEN = TOKEN
    settings.ENGINE_URLS = {"production": faults_engine.url}
    restart = (
        restarting(stack.servers) if stack.servers is not None and "PYTEST_XDIST_WORKER" not in os.environ else None
    )
    found = Stand(faults_folder, zygote, *faults_broker, faults_engine, plan, restart)
    found.renew()
    yield found
    found.disarm()
    found.end()


def restarting(servers: Any) -> Callable[[], None]:
    """Return how the suite's PostgreSQL is restarted as a crash would do it. What was committed must be on disk."""
    with connection.cursor() as cursor:
        cursor.execute(
            f"ALTER DATABASE {connection.ops.quote_name(connection.settings_dict['NAME'])} SET synchronous_commit = on"
        )

    def restart() -> None:
        postgres = servers._running.pop(0)
        postgres.send_signal(signal.SIGQUIT)
        postgres.wait(20)
        servers._start_postgres()
        servers._running.insert(0, servers._running.pop())
        servers._wait_until_ready()
        connection.close()

    return restart
