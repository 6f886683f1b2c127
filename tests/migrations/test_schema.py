"""Code that is newer than the database takes no requests and no work."""

import logging

import pytest
from django.db import connection
from django.db.migrations.recorder import MigrationRecorder
from django.test import Client

from mdlc_site import schema

pytestmark = pytest.mark.django_db


def test_a_schema_that_is_older_than_the_code_is_not_ready(client: Client) -> None:
    assert schema.pending() == []
    assert client.get("/healthz/ready").json()["database"] == "ok"
    MigrationRecorder(connection).record_unapplied("handoff", "0035_reattestation_and_checklists")
    assert schema.pending() == ["handoff.0035_reattestation_and_checklists"]
    answer = client.get("/healthz/ready")
    assert (answer.status_code, answer.json()["database"]) == (503, "fails: SchemaOlder")


def test_a_schema_that_is_newer_is_good(client: Client) -> None:
    MigrationRecorder(connection).record_applied("handoff", "0999_of_the_next_release")
    assert client.get("/healthz/ready").json()["database"] == "ok"


def test_a_worker_waits_for_the_schema_and_says_for_what(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    recorder, slept = MigrationRecorder(connection), []
    recorder.record_unapplied("audit", "0011_name_holds")

    def migrate(seconds: float) -> None:
        slept.append(seconds)
        if len(slept) == 2:
            recorder.record_applied("audit", "0011_name_holds")

    monkeypatch.setattr(connection, "close", lambda: None)  # the test's transaction is in it
    with caplog.at_level(logging.WARNING):
        schema.wait(migrate)
    assert len(slept) == 2
    assert "audit.0011_name_holds has not run" in caplog.text
