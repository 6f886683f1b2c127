"""SQL tables and queries, by SQLAlchemy: PostgreSQL and SQLite.

A source is read in the order of a column that never repeats, so that a run can go on behind the last value. A sink
writes each row once: its table has a unique column `record_key`, and a key that is there already is left as it is.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Sequence
from typing import Any
from urllib.parse import urlsplit

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from engine.errors import StreamError
from engine.schemas import Schema
from engine.streams.addresses import Reach
from engine.streams.descriptors import Stream, socket_folder
from engine.streams.rows import KEY, Rows
from engine.streams.transports import Batch

TIMEOUT = 10
INSERTS = {"postgresql": postgresql.insert, "sqlite": sqlite.insert}
DENIED = re.compile(r"(?i)password|authentication|permission denied|role .* does not exist")
MISSING = re.compile(r"(?i)no such table|does not exist|undefined ?table")
FULL = re.compile(r"(?i)no space left|disk is full|disk full")


class SqlSource:
    """Reads a table, or a query, page by page behind the last value of its ordering column."""

    endless = False

    def __init__(self, stream: Stream, schema: Schema, *, secret: str, reach: Reach, position: Any = None) -> None:
        """Connect. `position` is the last value that was read. Raises StreamError."""
        self._engine = connect(stream, secret=secret, reach=reach)
        self._names = list(schema.names)
        self._order = stream.location["order_by"]
        self._batch = stream.batch
        self._position = position
        self._loop = stream.loop
        table = stream.location.get("table")
        self._name = table or "query"
        inner: Any = sa.text(stream.location["query"].strip().rstrip(";")) if not table else _table(table)
        columns: list[Any] = [sa.column(name) for name in dict.fromkeys([*self._names, self._order])]
        self._from: Any = inner.columns(*columns).subquery("rows") if not table else inner
        self._columns = columns

    def read(self) -> Batch | None:
        """Return the next page, or None behind the last one."""
        order: Any = sa.column(self._order)
        query = sa.select(*self._columns).select_from(self._from).order_by(order).limit(self._batch.records)
        if self._position is not None:
            query = query.where(order > self._position)
        with told(), self._engine.connect() as connection:
            found = connection.execute(query).mappings().all()
        if not found:
            if not self._loop or self._position is None:
                return None
            self._position = None
            return self.read()
        self._position = found[-1][self._order]
        keys = [f"{self._name}/{row[self._order]}" for row in found]
        records = [{name: row[name] for name in self._names} for row in found]
        return Batch(keys, records, position=self._position)

    def acknowledge(self, batch: Batch) -> None:
        """Do nothing: whoever runs the source keeps its position."""

    def close(self) -> None:
        """Close the connections."""
        self._engine.dispose()


class SqlSink:
    """Inserts rows in one transaction a batch."""

    def __init__(self, stream: Stream, schema: Schema, *, secret: str, reach: Reach) -> None:
        """Connect, and look for the columns. Raises StreamError."""
        self._engine = connect(stream, secret=secret, reach=reach)
        try:
            self._table = self._find(stream, (KEY, *(stream.fields or schema.names)))
        except StreamError:
            self.close()
            raise

    def _find(self, stream: Stream, columns: Sequence[str]) -> sa.Table:
        """Return the table, which has these columns. Raises StreamError."""
        namespace, _, name = stream.location["table"].rpartition(".")
        with told():
            table = sa.Table(name, sa.MetaData(), schema=namespace or None, autoload_with=self._engine)
        for column in columns:
            if column not in table.columns:
                words = f"The table {name} has no column {column}; add it."
                raise StreamError("column_missing", words, field="location.table")
        return table

    def write(self, rows: Rows) -> None:
        """Insert all rows, or none. A key that is there already changes nothing."""
        values = [{KEY: key, **record} for key, record in zip(rows.keys, rows.records, strict=True)]
        if not values:
            return
        insert: Any = INSERTS[self._engine.dialect.name](self._table)
        with told(), self._engine.begin() as connection:
            connection.execute(insert.on_conflict_do_nothing(index_elements=[KEY]), values)

    def close(self) -> None:
        """Close the connections."""
        self._engine.dispose()


def ask(stream: Stream, *, secret: str, reach: Reach) -> None:
    """Ask the database for a table, or only for an answer. Raises StreamError."""
    engine = connect(stream, secret=secret, reach=reach)
    namespace, _, name = str(stream.location.get("table") or "").rpartition(".")
    try:
        with told(), engine.connect() as connection:
            found = not name or sa.inspect(connection).has_table(name, namespace or None)
    finally:
        engine.dispose()
    if not found:
        raise StreamError("target_missing", f"There is no table {name}.", field="location.table")


def connect(stream: Stream, *, secret: str, reach: Reach) -> sa.Engine:
    """Return a pool of connections to the one address that was checked. Raises StreamError."""
    parts = urlsplit(stream.location["url"])
    if parts.scheme == "sqlite":
        url = sa.URL.create("sqlite", database=reach.path(parts.path))
        return sa.create_engine(url, connect_args={"timeout": TIMEOUT})
    host, port = parts.hostname or "", parts.port or 5432
    checked: dict[str, Any] = {"connect_timeout": TIMEOUT}
    if host:
        checked["hostaddr"] = reach.address(host, port)
    else:
        host = reach.path(socket_folder(parts.query))
    url = sa.URL.create(
        "postgresql+psycopg", parts.username, secret or None, host, port, database=parts.path.lstrip("/")
    )
    return sa.create_engine(url, connect_args=checked, pool_pre_ping=True)


def _table(name: str) -> Any:
    namespace, _, plain = name.rpartition(".")
    return sa.table(plain, schema=namespace or None)


@contextlib.contextmanager
def told() -> Any:
    """Tell what a database says in our words."""
    try:
        yield
    except sa.exc.NoSuchTableError as error:
        raise StreamError("target_missing", f"There is no table {error}.", field="location.table") from error
    except sa.exc.SQLAlchemyError as error:
        words = str(getattr(error, "orig", None) or error).splitlines()[0][:300]
        if DENIED.search(words):
            raise StreamError("access_denied", f"The database refuses access: {words}.", field="secret") from error
        if MISSING.search(words):
            raise StreamError("target_missing", f"The database misses something: {words}.", field="location") from error
        if FULL.search(words):
            raise StreamError("target_full", f"The database is full: {words}.", field="location.url") from error
        if isinstance(error, sa.exc.OperationalError | sa.exc.TimeoutError):
            raise StreamError("unreachable", f"The database does not answer: {words}.", field="location.url") from error
        raise StreamError("target_refuses", f"The database refuses: {words}.", field="location") from error
