"""Statements that a session of the database plans once and keeps, for planning takes longer than running them."""

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from typing import Any

from django.db import connection
from django.db.backends.postgresql.base import ServerBindingCursor
from django.db.models import BooleanField, F, Func, QuerySet, Value


@contextmanager
def planned_once() -> Iterator[None]:
    """Let what is asked inside be planned once a session: its values go beside the statement, and not into it.

    For statements whose words are always the same, and that join much or read a view.
    """
    connection.ensure_connection()
    session = connection.connection
    before, session.cursor_factory = session.cursor_factory, ServerBindingCursor
    try:
        yield
    finally:
        session.cursor_factory = before


class Each(Func):
    """The rows of an array, to look into: the words are the same however many there are.

    Nor can the planner guess at what an array of constants would find.
    """

    template = "(SELECT unnest(%(expressions)s))"

    def __init__(self, values: Collection[Any], kind: str, **extra: Any) -> None:
        """Take the values, and their kind as PostgreSQL names it."""
        super().__init__(Func(Value(list(values)), template=f"%(expressions)s::{kind}[]"), **extra)


def rows_of(found: QuerySet[Any], keys: Collection[Any]) -> list[Any]:
    """Return rows in the order of their keys, without those that are not there, by a statement that is planned once.

    The keys narrow the table itself: joined as rows they would come last, after all rows had been put together.
    """
    if not keys:
        return []
    kind = found.model._meta.pk.db_type(connection)
    among = {"arg_joiner": " = ANY(", "template": f"%(expressions)s::{kind}[])", "output_field": BooleanField()}
    with planned_once():
        by_key = {row.pk: row for row in found.filter(Func(F("pk"), Value(list(keys)), **among))}
    return [by_key[key] for key in keys if key in by_key]
