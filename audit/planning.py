"""Statements whose words never change: put together once a process, and planned once a session of the database.

Both take longer than running them.
"""

from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from copy import copy
from functools import cached_property
from typing import Any, Generic, TypeVar

from django.db import DEFAULT_DB_ALIAS, NotSupportedError, connection, connections
from django.db.backends.postgresql.base import ServerBindingCursor
from django.db.models import BooleanField, Expression, F, Func, QuerySet, Value
from django.db.models.sql.compiler import SQLCompiler


@contextmanager
def planned_once() -> Iterator[None]:
    """Let what is asked inside be planned once a session: its values go beside the statement, and not into it.

    For statements whose words are always the same, and that join much or read a view. Where a migration has widened a
    column meanwhile, PostgreSQL refuses the plan (NotSupportedError): the session forgets its plans, and makes others.
    """
    connection.ensure_connection()
    session = connection.connection
    before, session.cursor_factory = session.cursor_factory, ServerBindingCursor
    try:
        yield
    except NotSupportedError:
        if not connection.in_atomic_block:  # else the end of the transaction does it
            session.execute("DEALLOCATE ALL")
        raise
    finally:
        session.cursor_factory = before


class Each(Func):
    """The rows of an array, to look into: the words are the same however many there are.

    Nor can the planner guess at what an array of constants would find.
    """

    template = "(SELECT unnest(%(expressions)s))"

    def __init__(self, values: Collection[Any] | Expression, kind: str, **extra: Any) -> None:
        """Take the values, or the place of an array, and their kind as PostgreSQL names it."""
        array = values if isinstance(values, Expression) else Value(list(values))
        super().__init__(Func(array, template=f"%(expressions)s::{kind}[]"), **extra)


class Given(Expression):
    """The place of a value in a prepared query, and its kind as PostgreSQL names it."""

    def __init__(self, place: int, kind: str) -> None:
        """Take which of the values it is."""
        super().__init__()
        self.place, self.kind = place, kind

    def as_sql(self, compiler: SQLCompiler, connection: Any) -> tuple[str, Any]:
        """Return a placeholder of its kind, and itself as what is to be replaced."""
        return f"%s::{self.kind}", (self,)


Row = TypeVar("Row")


class Prepared(Generic[Row]):
    """A query whose words never change; only its values do.

    `asked` gets the place of each value and returns the query. It runs once a process, so whatever it reads besides, as
    the time or a setting, stays as it was then. What Django does to put a statement together, two fifths of a page's
    time, is done once. What belongs to the rows is joined, or fetched by the caller: words for however many there are
    change.
    """

    def __init__(self, asked: Callable[..., QuerySet[Any, Row]], *kinds: str) -> None:
        """Take the query, and the kinds of its values as PostgreSQL names them, as `uuid` or `bigint[]`."""
        self.asked, self.kinds = asked, kinds

    @cached_property
    def _made(self) -> tuple[QuerySet[Any, Row], SQLCompiler, str, tuple[Any, ...]]:
        found = self.asked(*(Given(place, kind) for place, kind in enumerate(self.kinds)))
        compiler = found.query.get_compiler(found.db)
        words, parameters = compiler.as_sql()
        converters = compiler.get_converters([column for column, *_ in compiler.select[: compiler.col_count]])
        vars(compiler).update(get_converters=lambda _: converters, connection=None)
        return found, compiler, words, parameters

    def __call__(self, *values: Any) -> list[Row]:
        """Return the rows for some values."""
        try:
            return self._rows(values)
        except NotSupportedError:
            if connection.in_atomic_block:
                raise
            return self._rows(values)

    def _rows(self, values: Sequence[Any]) -> list[Row]:
        found, made, words, parameters = self._made
        told = words, tuple(values[one.place] if isinstance(one, Given) else one for one in parameters)
        compiler, rows = copy(made), found.all()
        vars(compiler).update(connection=connections[DEFAULT_DB_ALIAS], as_sql=lambda *_, **__: told)
        vars(rows.query).update(get_compiler=lambda *_, **__: compiler)
        with planned_once():
            return list(rows)

    def first(self, *values: Any) -> Row | None:
        """Return the first row for some values, or nothing."""
        return next(iter(self(*values)), None)


class RowsByKey(Prepared[Any]):
    """Rows of a table by their keys, with all that is shown of them."""

    def __init__(self, shown: Callable[[], QuerySet[Any]], kind: str) -> None:
        """Take the rows as they are shown, and the kind of their keys."""
        # The keys narrow the table itself: joined as rows they would come last, after all rows had been put together.
        among = {"arg_joiner": " = ANY(", "template": "%(expressions)s)", "output_field": BooleanField()}
        super().__init__(lambda keys: shown().filter(Func(F("pk"), keys, **among)), f"{kind}[]")

    def __call__(self, keys: Collection[Any]) -> list[Any]:
        """Return the rows in the order of their keys, without those that are not there."""
        if not keys:
            return []
        by_key = {row.pk: row for row in super().__call__(list(keys))}
        return [by_key[key] for key in keys if key in by_key]
