"""No migration after the release before stops that release's code, or locks a table for long."""

import tomllib
from pathlib import Path
from typing import Any

import pytest
from django.contrib.postgres.operations import AddConstraintNotValid, AddIndexConcurrently
from django.db import migrations, models
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.state import ModelState, ProjectState
from django.db.models import Index, Q

from tests.migrations.online import broken

BASELINE: dict[str, Any] = tomllib.loads(Path(__file__).with_name("baseline.toml").read_text())
NAMES = models.UniqueConstraint(fields=["name"], name="one_name")
LONG = models.CheckConstraint(condition=Q(size__gt=0), name="has_size")


def before() -> ProjectState:
    """Return a schema with one table."""
    fields = [
        ("id", models.BigAutoField(primary_key=True)),
        ("name", models.CharField(max_length=10, null=True)),
        ("size", models.IntegerField()),
    ]
    state = ProjectState()
    state.add_model(ModelState("handoff", "Thing", fields))
    return state


def judged(*operations: Any, **more: Any) -> list[str]:
    """Judge a migration of these operations."""
    body = {"operations": list(operations), **more}
    return broken(type("Migration", (migrations.Migration,), body)("0099_next", "handoff"), before())


def added(field: Any) -> Any:
    return migrations.AddField("thing", "more", field)


def altered(name: str, field: Any) -> Any:
    return migrations.AlterField("thing", name, field)


@pytest.mark.parametrize(
    ("operation", "words"),
    [
        (migrations.RemoveField("thing", "size"), "takes away"),
        (migrations.RenameField("thing", "size", "length"), "takes away"),
        (migrations.RenameModel("thing", "item"), "takes away"),
        (migrations.AlterModelTable("thing", "things"), "takes away"),
        (migrations.DeleteModel("thing"), "takes away"),
        (added(models.IntegerField(default=0)), "db_default"),
        (added(models.CharField(max_length=3)), "db_default"),
        (altered("name", models.CharField(max_length=10)), "may leave it empty"),
        (altered("name", models.CharField(max_length=9, null=True)), "another type"),
        (altered("size", models.BigIntegerField()), "another type"),
        (altered("size", models.TextField()), "another type"),
        (migrations.AddIndex("thing", Index(fields=["size"], name="by_size")), "AddIndexConcurrently"),
        (migrations.AddConstraint("thing", LONG), "AddConstraintNotValid"),
        (migrations.AddConstraint("thing", NAMES), "unique index"),
        (migrations.AlterUniqueTogether("thing", {("name", "size")}), "locks out writers"),
        (migrations.RunSQL("UPDATE handoff_thing SET size = 1"), "may do anything"),
        (migrations.RunPython(migrations.RunPython.noop), "may do anything"),
        (migrations.SeparateDatabaseAndState([migrations.RemoveField("thing", "size")]), "takes away"),
    ],
)
def test_what_stops_the_release_before_is_refused_unless_it_says_why(operation: Any, words: str) -> None:
    found = judged(operation)
    assert len(found) == 1
    assert found[0].startswith("handoff.0099_next: ")
    assert words in found[0]
    assert judged(operation, online="short")
    assert judged(operation, online="Nothing has read this column since 1.1.0.") == []


@pytest.mark.parametrize(
    "operation",
    [
        added(models.IntegerField(null=True)),
        added(models.IntegerField(db_default=0)),
        altered("name", models.CharField(max_length=20, null=True)),
        altered("name", models.TextField(null=True)),
        altered("size", models.IntegerField(null=True)),
        altered("size", models.IntegerField(help_text="How large.")),
        AddIndexConcurrently("thing", Index(fields=["size"], name="by_size")),
        AddConstraintNotValid("thing", LONG),
    ],
)
def test_what_only_adds_is_allowed(operation: Any) -> None:
    assert judged(operation) == []


def test_a_table_that_is_new_is_nobodys_yet() -> None:
    new = migrations.CreateModel(
        "Other", [("id", models.BigAutoField(primary_key=True)), ("size", models.IntegerField())]
    )
    assert judged(new, migrations.AddConstraint("other", LONG)) == []


def test_no_migration_since_the_release_before_stops_it() -> None:
    loader = MigrationLoader(None)
    heads = list(BASELINE["heads"].items())
    assert {label for label, _ in loader.graph.leaf_nodes()} >= BASELINE["heads"].keys()
    known = {key for head in heads for key in loader.graph.forwards_plan(head)}
    found = []
    for key in loader.graph._generate_plan(loader.graph.leaf_nodes(), at_end=True):
        if key[0] in BASELINE["heads"] and key not in known:
            found += broken(loader.get_migration(*key), loader.project_state(key, at_end=False))
    assert found == []
