"""The role that an installation's processes run as: what the paper grants it, and what it can never do."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pgtrigger
import pytest
from django.apps import apps
from django.conf import settings
from django.db import DatabaseError, connection, transaction

from audit.models import AuditEvent
from audit.verification import verify
from handoff.models import Handoff, SignOff
from models_registry.models import ModelVersion
from tests.audit.building import write_chain
from tests.handoff import building, walking

PAPER = Path(settings.BASE_DIR / "docs/operations.md").read_text()
EVERYTHING = pgtrigger.Update | pgtrigger.Delete


def statements() -> str:
    """Return the SQL of the paper."""
    found = re.search(r"<!-- tested: .*? -->\n```sql\n(.*?)```", PAPER, re.DOTALL)
    assert found
    return found.group(1)


def become() -> None:
    """Make the role as the paper says, and go on as this role until the transaction ends."""
    with connection.cursor() as cursor:
        cursor.execute(statements())
        cursor.execute("SET LOCAL ROLE mdlc_app")


@pytest.fixture
def as_the_application(db: None) -> Iterator[None]:
    """Become the role of the application; the transaction undoes it."""
    become()
    yield
    with connection.cursor() as cursor:
        cursor.execute("RESET ROLE")


def told_to_stand_aside(*models: Any) -> None:
    """Tell the triggers of some tables to stand aside, as their library lets any session do."""
    names = [
        name
        for model in models
        for trigger in model._meta.triggers
        for name in (f"{model._meta.db_table}:{trigger.get_pgid(model)}", trigger.get_pgid(model))
    ]
    with connection.cursor() as cursor:
        cursor.execute("SELECT set_config('pgtrigger.ignore', %s, true)", ["{" + ",".join(names) + "}"])


FORGED = """
    INSERT INTO audit_auditevent (chain, seq, at, action, actor_kind, actor_label, subject, body, previous, hash)
    VALUES ('site', 7, '2020-01-01', 'signoff.given', 'worker', 'Vera', 'site', '{}', '\\x00', '\\x00')
"""


def test_no_append_only_table_is_forgotten() -> None:
    revoked = re.search(r"REVOKE UPDATE, DELETE ON (.*?) FROM", statements(), re.DOTALL)
    assert revoked
    found = {
        model._meta.db_table
        for model in apps.get_models()
        for trigger in getattr(model._meta, "triggers", [])
        if isinstance(trigger, pgtrigger.Protect)
        and str(trigger.operation) == str(EVERYTHING)
        and not trigger.condition
    }
    assert "audit_auditevent" in found
    assert set(re.split(r",\s*", revoked.group(1))) == found


def test_no_event_is_forged_by_telling_the_triggers_to_stand_aside(as_the_application: None) -> None:
    write_chain("site", 1)
    told_to_stand_aside(AuditEvent)
    with connection.cursor() as cursor:
        cursor.execute(FORGED)
    event = AuditEvent.objects.latest("pk")
    assert (event.seq, event.at.year) != (7, 2020), "the database numbers and dates it all the same"
    assert event.seq == 2
    assert [(broken.seq, broken.rule) for broken in verify().broken] == [(2, "columns")], "and the proof tells the rest"


@pytest.mark.parametrize(
    ("model", "change"),
    [
        (ModelVersion, {"digest": "0" * 64}),
        (Handoff, {"state": "live"}),
        (Handoff, {"policy": {}}),
        (SignOff, {"meaning": "approval"}),
        (SignOff, {"printed_name": "Rita"}),
    ],
)
def test_what_is_sealed_stays_so_though_triggers_are_told_to_stand_aside(
    model: Any, change: dict[str, Any], db: None, store: Any
) -> None:
    site = walking.a_site()
    handoff = walking.answered(site)
    walking.sign(handoff, site.vera, "validation")
    become()
    told_to_stand_aside(model)
    with pytest.raises(DatabaseError, match=r"(?i)cannot|invalid"), transaction.atomic():
        model.objects.update(**change)
    with pytest.raises(DatabaseError, match=r"(?i)cannot|permission denied|violates"), transaction.atomic():
        connection.cursor().execute(f"DELETE FROM {model._meta.db_table}")
    with connection.cursor() as cursor:
        cursor.execute("RESET ROLE")


def test_no_trigger_is_shown_another_table(as_the_application: None) -> None:
    for name in ("audit_auditevent", "models_registry_modelversion"):
        with pytest.raises(DatabaseError, match="permission denied"), transaction.atomic():
            connection.cursor().execute(f"CREATE TEMPORARY TABLE {name} (id bigint)")
        with pytest.raises(DatabaseError, match="permission denied"), transaction.atomic():
            connection.cursor().execute(f"CREATE TABLE public.{name}_2 (id bigint)")


def test_the_work_goes_on_to_the_end(as_the_application: None, store: Any) -> None:
    handoff = walking.ready(walking.a_site())
    assert handoff.state == "ready"
    otto = building.person("otto")
    walking.sign(handoff, otto, "release")
    assert handoff.state == "deploying"
    with connection.cursor() as cursor:
        cursor.execute("SELECT current_user")
        assert cursor.fetchone() == ("mdlc_app",)


@pytest.fixture
def store(settings: Any, tmp_path: Path) -> Path:
    """Keep blobs in a folder of the test's own."""
    folder = tmp_path / "store"
    settings.STORE = str(folder)
    backend = "django.core.files.storage.FileSystemStorage"
    settings.STORAGES = {**settings.STORAGES, "default": {"BACKEND": backend, "OPTIONS": {"location": str(folder)}}}
    return folder
