"""Both releases at once on one database: the code of the release before and that of today take turns on one handoff.

The code of the release before is taken from the history, so a clone must have it.
"""

import os
import subprocess
import sys
import tarfile
from collections.abc import Callable, Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import psycopg
import pytest
from django.db import connection

from mdlc_site.local.installation import ROOT
from mdlc_site.local.programs import postgres_programs
from tests.handoff.conftest import store
from tests.migrations.test_online_rules import BASELINE

__all__ = ["store"]

Act = Callable[..., "subprocess.CompletedProcess[str]"]
NAME = f"rolling_{os.getpid()}"
# What a migration may add under the rules, on the tables that are written most.
EXPANSION = """
    ALTER TABLE handoff_handoff ADD COLUMN later_a integer, ADD COLUMN later_b integer NOT NULL DEFAULT 0;
    ALTER TABLE handoff_signoff ADD COLUMN later text NOT NULL DEFAULT '';
    ALTER TABLE audit_auditevent ADD COLUMN later text;
    ALTER TABLE handoff_job ADD CONSTRAINT later CHECK (attempts >= 0) NOT VALID;
    CREATE INDEX later ON handoff_job (queued_at);
    CREATE TABLE handoff_later (id bigint PRIMARY KEY, handoff_id uuid REFERENCES handoff_handoff);
"""


@pytest.fixture(scope="module")
def before(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the tree of the release before. Without its history there is nothing to compare with."""
    if not (ROOT / ".git").exists() or (ROOT / ".git/shallow").exists():
        pytest.skip("This is no whole clone, so the release before is not there; `git fetch --unshallow` brings it.")
    done = subprocess.run(["git", "archive", BASELINE["commit"]], cwd=ROOT, capture_output=True, check=False)
    assert done.returncode == 0, f"The clone has no {BASELINE['commit']}. {done.stderr!r}"
    folder = tmp_path_factory.mktemp("before")
    with tarfile.open(fileobj=BytesIO(done.stdout)) as tree:
        tree.extractall(folder, filter="data")
    return folder


@pytest.fixture
def database(transactional_db: None) -> Iterator[str]:
    """Return the address of a database of its own, with the schema of today."""
    given: dict[str, Any] = connection.get_connection_params()
    where = {"PGHOST": str(given["host"]), "PGPORT": str(given.get("port") or os.environ.get("PGPORT", "5432"))}
    tools, env = postgres_programs(), os.environ | where
    subprocess.run([tools / "createdb", NAME], env=env, check=True)
    try:
        dump = subprocess.run([tools / "pg_dump", "-Fc", given["dbname"]], env=env, check=True, capture_output=True)
        to = [tools / "pg_restore", "--no-owner", "--exit-on-error", "-d", NAME]
        subprocess.run(to, env=env, check=True, input=dump.stdout)
        yield f"postgres:///{given['host']}/{NAME}"
    finally:
        subprocess.run([tools / "dropdb", "--force", NAME], env=env, check=True)


@pytest.fixture
def act(database: str, store: Path) -> Act:
    """Return a function that lets one tree act on that database."""
    code = Path(__file__).with_name("acting.py").read_text()

    def one(tree: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
        env = os.environ | {"DATABASE_URL": database, "MDLC_STORE": str(store), "PYTHONPATH": str(tree)}
        command = [sys.executable, "-c", code, *arguments]
        return subprocess.run(command, cwd=tree, env=env, capture_output=True, text=True, check=False, timeout=120)

    return one


def said(done: "subprocess.CompletedProcess[str]") -> str:
    """Return the last line of what went well."""
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout.strip().splitlines()[-1]


def change(statements: str) -> None:
    """Change the schema."""
    given = connection.get_connection_params()
    to = {"host": given["host"], "port": given.get("port"), "user": given.get("user"), "dbname": NAME}
    with psycopg.connect(autocommit=True, **{key: value for key, value in to.items() if value}) as link:
        link.execute(statements.encode())


def test_both_releases_take_turns_on_one_handoff_until_a_rule_is_broken(before: Path, act: Act, database: str) -> None:
    handoff = said(act(before, "offer"))
    change(EXPANSION)
    assert said(act(ROOT, "review", handoff)) == "ready"
    assert said(act(before, "withdraw", handoff)) == "withdrawn"
    assert said(act(ROOT, "prove", handoff)) == "withdrawn"
    change("ALTER TABLE handoff_handoff ALTER COLUMN later_b DROP DEFAULT")
    refused = act(before, "draft", handoff)
    assert refused.returncode != 0
    assert 'null value in column "later_b"' in refused.stderr
