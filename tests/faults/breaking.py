"""What is done to the installation while one of its processes stands still at a fault point."""

import os
import signal
import time
from collections.abc import Callable
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import connection

from models_registry.store import path_of
from tests.faults.flows import Flow
from tests.faults.stand import Child, Stand
from tests.faults.zygote import LEASE

FROZEN_SECONDS = 2.0
Break = Callable[[Stand, Flow, Child], None]


def go_on(child: Child) -> None:
    """Let a process that stands still go on, if it is still there."""
    with suppress(ProcessLookupError):
        os.kill(child.pid, signal.SIGCONT)


def kill_what_it_started(stand: Stand, flow: Flow, child: Child) -> None:
    """Kill the child in which a model runs."""
    for path in Path("/proc").glob("[0-9]*/stat"):
        with suppress(FileNotFoundError, ProcessLookupError):
            if int(path.read_text().rpartition(")")[2].split()[1]) == child.pid:
                os.kill(int(path.parent.name), signal.SIGKILL)
    go_on(child)


def pause(stand: Stand, flow: Flow, child: Child) -> None:
    """Let a process sleep until its lease has run out and, where others can, its work was done by another."""
    end = time.monotonic() + 3 * LEASE
    while time.monotonic() < end and (time.monotonic() < end - 1.5 * LEASE or flow.busy()):
        stand.pump()
        time.sleep(0.05)
    go_on(child)


def empty_broker(stand: Stand, flow: Flow, child: Child) -> None:
    """Kill the broker; it comes back with nothing."""
    stand.broker.kill()
    stand.broker.start()
    go_on(child)


def freeze_broker(stand: Stand, flow: Flow, child: Child) -> None:
    """Let the broker take connections and answer nothing for a while."""
    stand.broker.signal(signal.SIGSTOP)
    go_on(child)
    time.sleep(FROZEN_SECONDS)
    stand.broker.signal(signal.SIGCONT)


def restart_database(stand: Stand, flow: Flow, child: Child) -> None:
    """Restart PostgreSQL as a crash would."""
    assert stand.restart_database is not None
    stand.restart_database()
    go_on(child)


def end_connections(stand: Stand, flow: Flow, child: Child) -> None:
    """End the database's sessions of the process that stands still."""
    name = f"fault-{child.result.stem.removeprefix('fault-')}"
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = %s", [name])
        assert cursor.rowcount > 0, "nothing was connected"
    go_on(child)


def deliver_again(stand: Stand, flow: Flow, child: Child) -> None:
    """Give another worker the same job, and let it do what it can."""
    second = [stand.run("work", job.task, str(job.pk)) for job in flow.jobs()]
    assert second, "there is no job to be given twice"
    end = time.monotonic() + 2 * LEASE
    while time.monotonic() < end and any(one.state for one in second):
        time.sleep(0.02)
    go_on(child)


def hang(stand: Stand, flow: Flow, child: Child) -> None:
    """Let the target stand still until nobody waits for its answer any more; then it does what it was told."""
    engine = Child("engine", _pid_of(stand), child.result)
    if child.act != "engine":
        os.kill(engine.pid, signal.SIGSTOP)
        go_on(child)
    time.sleep(4.0)
    go_on(engine)


def change_content(stand: Stand, flow: Flow, child: Child) -> None:
    """Flip a byte of what is stored."""
    for digest in flow.blobs():
        flip(digest)
    go_on(child)


def let_go(stand: Stand, flow: Flow, child: Child) -> None:
    """Do no more: the point itself was the fault."""


def flip(digest: str) -> None:
    """Change the last byte of a blob; a second time, and it is what it was."""
    path = Path(str(settings.STORE)) / path_of(digest)
    path.chmod(0o644)
    raw = path.read_bytes()
    path.write_bytes(raw[:-1] + bytes([raw[-1] ^ 1]))
    path.chmod(0o444)


def _pid_of(stand: Stand) -> int:
    popen = stand.engine.process.popen
    assert popen is not None
    return popen.pid


BREAKS: dict[str, Break] = {
    "F1": let_go,
    "F2": kill_what_it_started,
    "F3": pause,
    "F4": empty_broker,
    "F5": freeze_broker,
    "F6": restart_database,
    "F7": end_connections,
    "F8": deliver_again,
    "F9": let_go,
    "F10": hang,
    "F11": let_go,
    "F12": change_content,
}


@contextmanager
def another_hour(stand: Stand, wanted: bool, number: int) -> Any:
    """Let every process of the trial start with a clock that is an hour off, before or behind."""
    stand.clock = (3600, -3600)[number % 2] if wanted else 0
    if wanted and stand.relay is not None:
        os.killpg(stand.relay.pid, signal.SIGKILL)  # it starts anew, by that clock
        while stand.relay.state:
            time.sleep(0.01)
    try:
        yield
    finally:
        stand.clock = 0
