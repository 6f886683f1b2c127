"""Where the sample's records come from and go to: a file in creation; a stream and three sinks in production."""

import os
import secrets
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql

from audit.actors import Person
from audit.models import Account
from mdlc_site.sample.clinic import ARRIVALS, KEY_FILE, PATIENTS
from models_registry.models import Stream
from models_registry.services import consumers, streams

DATABASE, ROLE, TABLE = "clinic", "clinic_scores", "scores"
BINDINGS: dict[str, Any] = {
    "mode": "stream",
    "input": {"stream": "patients"},
    "outputs": [{"stream": "scores"}, {"stream": "archive"}, {"stream": "alerts", "fields": ["label"]}],
}
FED = {
    "scores": ("Ward list", "application", "otto", ["label"], "high", "A sample is looked at late."),
    "archive": ("Yearly review", "report", "rita", ["probabilities"], "low", "The review is repeated."),
    "alerts": ("Pager of pathology", "dashboard", "vera", ["label"], "medium", "Somebody is paged in vain."),
}
PURPOSES = {
    "Ward list": "Which samples to look at first.",
    "Yearly review": "How sure the model was, over a year.",
    "Pager of pathology": "Say at once when a sample looks malignant.",
}


def load(home: Path, port: int) -> None:
    """Make the clinic's table and key, and declare streams and consumers that are not there yet."""
    _table(home)
    key = home / KEY_FILE
    if not key.exists():
        key.parent.mkdir(mode=0o700, exist_ok=True)
        half = key.with_suffix(".new")
        half.unlink(missing_ok=True)
        with os.fdopen(os.open(half, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as stream:
            stream.write(secrets.token_urlsafe(32))
        half.rename(key)
    for environment, keeper, slug, direction, purpose, descriptor in _declared(home, port):
        if not Stream.objects.filter(environment__slug=environment, slug=slug).exists():
            streams.declare(
                actor=_person(keeper), environment=environment, slug=slug, direction=direction,
                descriptor=descriptor, owner=keeper, purpose=purpose,
            )  # fmt: skip
    for slug, (name, kind, owner, fields, criticality, effect) in FED.items():
        if not Stream.objects.get(environment__slug="clinic", slug=slug).consumers.filter(name=name).exists():
            consumers.add(
                actor=_person("iris"), environment="clinic", stream=slug, name=name, kind=kind, owner=owner,
                purpose=PURPOSES[name], criticality=criticality, effect=effect, fields=fields,
            )  # fmt: skip


def in_table(home: Path) -> int:
    """Return how many scores the clinic's table holds."""
    with _connect(home, DATABASE) as connection:
        row = connection.execute(f"SELECT count(*) FROM {TABLE}").fetchone()  # noqa: S608 - a constant
    return int(row[0]) if row else 0


def _declared(home: Path, port: int) -> list[tuple[str, str, str, str, str, dict[str, Any]]]:
    servers, files = home / "servers", home / "sample"
    patients = {"url": f"unix://{servers}/valkey?db={ARRIVALS}", "stream": PATIENTS, "group": "tumour-screening"}
    table = {"url": f"postgresql://{ROLE}@/{DATABASE}?host={servers}", "table": TABLE}
    hook = {"url": f"http://127.0.0.1:{port}/alerts"}
    few = {"records": 500, "seconds": 0.5}
    return [
        ("lab", "otto", "measurements", "source", "What the model was trained on.",
         {"transport": "file", "encoding": "csv", "location": {"url": f"file://{files}/screening-1/measurements.csv"}}),
        ("clinic", "otto", "patients", "source", "Every sample, as the laboratory measures it.",
         {"transport": "valkey", "encoding": "json", "location": patients, "batch": few}),
        ("clinic", "iris", "scores", "sink", "The table that the ward list reads.",
         {"transport": "sql", "location": table}),
        ("clinic", "iris", "archive", "sink", "Kept for the yearly review.",
         {"transport": "file", "encoding": "parquet", "location": {"url": f"file://{files}/archive"}}),
        ("clinic", "iris", "alerts", "sink", "The pager's webhook, signed.",
         {"transport": "http", "encoding": "json", "location": hook, "secret": Path(KEY_FILE).name}),
    ]  # fmt: skip


def _table(home: Path) -> None:
    """Make the clinic's own database, with a role that may add scores and nothing else."""
    with _connect(home, "postgres") as server:
        if not server.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", [ROLE]).fetchone():
            server.execute(sql.SQL("CREATE ROLE {} LOGIN").format(sql.Identifier(ROLE)))
        if not server.execute("SELECT 1 FROM pg_database WHERE datname = %s", [DATABASE]).fetchone():
            server.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(DATABASE)))
    with _connect(home, DATABASE) as clinic:
        clinic.execute(
            f"CREATE TABLE IF NOT EXISTS {TABLE} (record_key text PRIMARY KEY, label bigint,"
            " probabilities double precision[], scored_at timestamptz NOT NULL DEFAULT now())"
        )
        clinic.execute(f"GRANT SELECT, INSERT ON {TABLE} TO {ROLE}")


def _connect(home: Path, database: str) -> psycopg.Connection[Any]:
    """Return a connection of the server's owner."""
    folder = str((home / "servers").resolve())
    return psycopg.connect(host=folder, port=5432, user="mdlc", dbname=database, autocommit=True)


def _person(username: str) -> Person:
    return Person(Account.objects.get(username=username), "command")
