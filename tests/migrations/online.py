"""Judge operations of migrations: whether the release before can go on while and after they run."""

from collections.abc import Iterator
from typing import Any

from django.contrib.postgres.operations import AddConstraintNotValid, AddIndexConcurrently
from django.db import connection
from django.db.migrations import Migration, RunPython, RunSQL
from django.db.migrations.operations import (
    AddConstraint,
    AddField,
    AddIndex,
    AlterField,
    AlterIndexTogether,
    AlterModelTable,
    AlterUniqueTogether,
    CreateModel,
    DeleteModel,
    RemoveField,
    RenameField,
    RenameModel,
    SeparateDatabaseAndState,
)
from django.db.migrations.operations.base import Operation
from django.db.migrations.state import ProjectState
from django.db.models import Field, ManyToManyField
from django.db.models.constraints import BaseConstraint, CheckConstraint
from django.db.models.fields import NOT_PROVIDED

GOES = "takes away what the release before still reads or writes; stop using it first, and take it away a release later"
ENOUGH = 20  # letters of a reason


def broken(migration: Migration, state: ProjectState) -> list[str]:
    """Say what of a migration stops the release before, or locks a table for long. The state is that before it.

    A migration that has to may say why it harms nobody: `online = "…"` in its class.
    """
    if len(str(getattr(migration, "online", ""))) >= ENOUGH:
        return []
    found, new, state = [], set(), state.clone()
    for operation in _flat(migration.operations):
        if isinstance(operation, CreateModel):
            new.add(operation.name_lower)
        words = _harm(operation, migration.app_label, state)
        if words and getattr(operation, "model_name", "").lower() not in new:
            found.append(f"{migration.app_label}.{migration.name}: {operation.describe()}: {words}.")
        operation.state_forwards(migration.app_label, state)
    return found


def _flat(operations: list[Operation]) -> Iterator[Operation]:
    for one in operations:
        if isinstance(one, SeparateDatabaseAndState):
            yield from _flat(one.database_operations)
        else:
            yield one


def _harm(operation: Operation, app: str, state: ProjectState) -> str:
    """Say what an operation does to others; nothing where it does no harm. The most special kinds come first."""
    match operation:
        case AddIndexConcurrently() | AddConstraintNotValid():
            return ""
        case RemoveField() | DeleteModel() | RenameField() | RenameModel() | AlterModelTable():
            return GOES
        case AddField():
            return _of_added(operation.field)
        case AlterField():
            before = state.models[app, operation.model_name_lower].fields[operation.name]
            return _of_altered(before, operation.field)
        case AddIndex():
            return "locks out writers while it builds; use AddIndexConcurrently"
        case AddConstraint():
            return _of_constraint(operation.constraint)
        case AlterUniqueTogether() | AlterIndexTogether():
            return "locks out writers while it builds; build the index concurrently"
        case RunPython() | RunSQL():
            return "may do anything; say in `online` why it harms nobody"
    return ""


def _of_added(field: "Field[Any, Any]") -> str:
    if isinstance(field, ManyToManyField) or field.null or field.db_default is not NOT_PROVIDED:
        return ""
    return "the release before does not write it; give it null=True or a db_default (a default is not enough)"


def _of_altered(before: "Field[Any, Any]", after: "Field[Any, Any]") -> str:
    if before.null and not after.null:
        return "the release before may leave it empty; add a check that is not valid first"
    if _column(before) != _column(after) and not _wider(before, after):
        return "another type is written anew under a lock, and the release before writes the old one"
    return ""


def _column(field: "Field[Any, Any]") -> str | None:
    copy = field.clone()
    copy.set_attributes_from_name("column")
    return None if field.is_relation else copy.db_type(connection)


def _wider(before: "Field[Any, Any]", after: "Field[Any, Any]") -> bool:
    """Tell whether only the length of a text grew, which PostgreSQL notes down without reading the table."""
    lengths = [getattr(field, "max_length", None) for field in (before, after)]
    kinds = {field.get_internal_type() for field in (before, after)}
    if kinds == {"CharField"}:
        return lengths[0] is not None and (lengths[1] is None or lengths[1] >= lengths[0])
    return before.get_internal_type() == "CharField" and after.get_internal_type() == "TextField"


def _of_constraint(constraint: BaseConstraint) -> str:
    if isinstance(constraint, CheckConstraint):
        return (
            "reads the whole table under a lock; use AddConstraintNotValid, and ValidateConstraint in another migration"
        )
    return "locks out writers while it builds; build a unique index concurrently, then say in `online` that it is there"
