"""A backup is put back as docs/operations.md says, and what trail and engine know of later acts is not lost."""

import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from django.db import connection

from audit import anchors
from handoff.models import Handoff
from handoff.services import handoffs, jobs
from mdlc_site.local.installation import ROOT
from mdlc_site.local.programs import postgres_programs
from tests.handoff import walking
from tests.handoff.conftest import store

__all__ = ["store"]

Command = Callable[..., "subprocess.CompletedProcess[str]"]
NAME = f"restored_{os.getpid()}"


@pytest.fixture
def anchored(tmp_path: Path) -> Path:
    """Return where the anchors of this test lie."""
    return tmp_path / "anchors.jsonl"


@pytest.fixture
def handed(transactional_db: None, store: Path) -> tuple[walking.Place, Handoff]:
    """Return a site with a handoff whose tests are queued."""
    place = walking.a_site()
    return place, walking.under_test(place)


def given() -> dict[str, Any]:
    """Return how to reach the suite's own server."""
    return {key: connection.get_connection_params().get(key) for key in ("host", "port", "user", "dbname")}


def run(program: str, *arguments: str) -> None:
    """Run one of PostgreSQL's programs on the suite's own server."""
    to = {"PGHOST": given()["host"], "PGPORT": str(given()["port"] or os.environ.get("PGPORT", "5432"))}
    command = [str(postgres_programs() / program), *arguments]
    done = subprocess.run(command, env=os.environ | to, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.fixture
def restored(handed: tuple[walking.Place, Handoff], anchored: Path, tmp_path: Path) -> Iterator[int]:
    """Back the database up, let people and workers go on, and put the backup into an empty database.

    Gives the highest order that an engine may have seen.
    """
    place, handoff = handed
    anchors.write(anchored)
    run("pg_dump", "-Fc", "-f", str(tmp_path / "dump"), given()["dbname"])
    claimed = jobs.claim(handoff.jobs.all()[0].pk, "later", task="handoff.run_test")
    assert claimed is not None
    handoffs.withdraw(actor=walking.by(place.dana), handoff_id=str(handoff.pk), reason="after the backup")
    anchors.write(anchored)
    run("createdb", NAME)
    run("pg_restore", "--no-owner", "--exit-on-error", "-d", NAME, str(tmp_path / "dump"))
    yield claimed.fence
    run("dropdb", NAME)


@pytest.fixture
def manage(restored: int, anchored: Path) -> Command:
    """Return a function that runs a command of ours on the restored database."""
    address = f"postgres:///{given()['host']}/{NAME}"
    environment = os.environ | {"DATABASE_URL": address, "MDLC_ANCHORS": str(anchored)}

    def run_it(*arguments: str) -> "subprocess.CompletedProcess[str]":
        command = [sys.executable, "manage.py", *arguments]
        return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)

    return run_it


def test_a_backup_comes_back_and_what_is_missing_is_named(
    handed: tuple[walking.Place, Handoff], restored: int, manage: Command, anchored: Path
) -> None:
    assert manage("migrate", "--check").returncode == 0
    proof = manage("verify_audit")
    assert proof.returncode != 0
    named = re.findall(r"^(\S+) event \d+: .*\(cut\)$", proof.stderr, re.MULTILINE)
    assert named == [f"handoff:{handed[1].pk}"]
    anchored.rename(anchored.with_suffix(".old"))
    assert manage("anchor_audit", "--full").returncode == 0
    proof = manage("verify_audit")
    assert proof.returncode == 0, proof.stderr
    assert "The trail is whole." in proof.stdout


def test_a_restored_database_keeps_its_promises(handed: tuple[walking.Place, Handoff], restored: int) -> None:
    to = given() | {"dbname": NAME}
    with psycopg.connect(autocommit=True, **{key: value for key, value in to.items() if value}) as link:
        assert link.execute("SELECT state FROM handoff_handoff").fetchall() == [("testing",)]
        for attack in (
            "UPDATE audit_auditevent SET body = '{}'",
            "DELETE FROM audit_auditevent",
            "UPDATE handoff_handoff SET state = 'live'",
            "UPDATE models_registry_modelversion SET notes = 'other'",
            "DELETE FROM handoff_signoff",
        ):
            with pytest.raises(psycopg.Error, match="pgtrigger"):
                link.execute(attack)


def test_orders_after_a_restore_are_newer_than_those_the_engine_has_seen(restored: int) -> None:
    found = re.search(r"```sql\n\s*(SELECT setval\('handoff_fence'.*?;)\n", (ROOT / "docs/operations.md").read_text())
    assert found
    statement = found.group(1).replace("HIGHEST", str(restored + 5))
    to = given() | {"dbname": NAME}
    with psycopg.connect(autocommit=True, **{key: value for key, value in to.items() if value}) as link:
        stale = link.execute("SELECT last_value FROM handoff_fence").fetchone()
        assert stale is not None
        assert stale[0] < restored
        link.execute(statement.encode())
        assert link.execute("SELECT nextval('handoff_fence')").fetchone() == (restored + 6,)
        link.execute(statement.encode())  # once more does no harm
        assert link.execute("SELECT nextval('handoff_fence')").fetchone() == (restored + 7,)
