"""Statements that are put together and planned once, and what else is asked, which stays as it was."""

import sys
from collections.abc import Iterator
from datetime import timedelta
from threading import Thread
from typing import Any

import pytest
from django.db import DataError, NotSupportedError, connection, transaction
from django.db.models import Q, Value
from django.utils import timezone

from audit.models import Account
from audit.planning import Each, Prepared, RowsByKey, planned_once
from mdlc_site import urls  # with it, everything that is asked anywhere

pytestmark = pytest.mark.django_db

PREPARED = "SELECT count(*) FROM pg_prepared_statements WHERE statement LIKE '%%' || %s || '%%'"


def prepared(words: str) -> int:
    """Return how many statements with some words the session has planned and kept."""
    with connection.cursor() as cursor:
        cursor.execute(PREPARED, [words])
        return int(cursor.fetchone()[0])


def test_a_statement_is_planned_for_every_value_at_once() -> None:
    for name in ("dana", "vera", "otto"):
        Account.objects.create_user(name)
    found = []
    for name in ("dana", "vera", "otto", "mallory"):
        with planned_once():
            found.append(Account.objects.filter(username=name).values_list("username", flat=True).first())
    assert found == ["dana", "vera", "otto", None]
    assert prepared('"audit_account"."username" = $1') == 1


def test_what_is_asked_outside_is_planned_anew() -> None:
    with planned_once():
        pass
    for name in ("dana", "vera", "otto"):
        Account.objects.filter(first_name=name).first()
    assert prepared('"audit_account"."first_name"') == 0


def test_an_error_inside_leaves_the_session_as_it_was() -> None:
    before = connection.connection.cursor_factory
    with pytest.raises(Account.DoesNotExist), planned_once():
        Account.objects.get(username="mallory")
    assert connection.connection.cursor_factory is before


def test_rows_are_found_by_however_many_keys_in_one_statement() -> None:
    people = [Account.objects.create_user(name) for name in ("dana", "vera", "otto")]
    rows = RowsByKey(Account.objects.all, "bigint")
    for count in range(4):
        keys = [one.pk for one in people[:count]]
        assert rows([10**12, *reversed(keys)]) == people[:count][::-1]
    assert rows([]) == []
    assert prepared("= ANY(") == 1


def by_name() -> tuple[Prepared[Account], list[int]]:
    """Return a query for accounts by their name, and a list that grows by one each time it is put together."""
    made: list[int] = []

    def asked(name: Any) -> Any:
        made.append(1)
        found = Account.objects.filter(username=name).select_related("responsible")
        return found.annotate(told=Value("told")).order_by("pk")

    return Prepared(asked, "text"), made


def test_a_query_is_put_together_once_and_asked_for_every_value() -> None:
    dana = Account.objects.create_user("dana")
    robot = Account.objects.create_user("robot", kind="service", responsible=dana)
    query, made = by_name()
    for _ in range(3):
        assert query("robot") == [robot]
        assert query.first("dana") == dana
        assert query("mallory") == []
        assert query.first("mallory") is None
    (found,) = query("robot")
    assert (found.told, found.responsible) == ("told", dana)
    assert len(made) == 1
    assert prepared("'told' AS") + prepared('$1 AS "told"') == 1


def test_rows_are_read_anew_each_time() -> None:
    dana = Account.objects.create_user("dana")
    query, _ = by_name()
    before = query.first("dana")
    Account.objects.filter(pk=dana.pk).update(first_name="Dana")
    after = query.first("dana")
    assert before is not None
    assert after is not None
    assert (before.first_name, after.first_name) == ("", "Dana")


def test_values_columns_arrays_and_unions_are_rows_too() -> None:
    people = [Account.objects.create_user(name) for name in ("dana", "vera", "otto")]
    names = Prepared(
        lambda some, other: (
            Account.objects.filter(pk__in=Each(some, "bigint"))
            .values_list("username", flat=True)
            .union(Account.objects.filter(Q(username=other)).values_list("username", flat=True))
        ),
        *("bigint[]", "text"),
    )
    assert sorted(names([people[0].pk, people[2].pk], "vera")) == ["dana", "otto", "vera"]
    assert names([], "vera") == ["vera"]
    assert names([], None) == []


def test_a_value_of_another_kind_is_refused_and_the_query_goes_on() -> None:
    query = Prepared(lambda key: Account.objects.filter(pk=key), "bigint")
    with pytest.raises(DataError), transaction.atomic():
        query("dana")
    assert query(10**12) == []


def test_every_thread_asks_by_its_own_connection() -> None:
    query, _ = by_name()
    assert query("dana") == []  # put together here
    told: list[Any] = []

    def ask() -> None:
        told.append(query("dana"))
        told.append(connection.connection)
        connection.close()

    thread = Thread(target=ask)
    thread.start()
    thread.join()
    assert told[0] == []
    assert told[1] is not connection.connection


@pytest.mark.django_db(transaction=True)
def test_a_column_that_a_migration_widens_meanwhile_stops_nobody() -> None:
    dana = Account.objects.create_user("dana")
    query, _ = by_name()
    before = Account._meta.get_field("title").max_length or 0
    try:
        assert [query("dana") for _ in range(3)] == [[dana]] * 3
        widened(before + 1)
        assert [query("dana") for _ in range(3)] == [[dana]] * 3
        widened(before + 2)
        with pytest.raises(NotSupportedError), transaction.atomic():
            query("dana")
        assert query("dana") == [dana]
    finally:
        widened(before)


def widened(length: int) -> None:
    """Give the title of an account so much room, as another process would."""
    other = connection.copy()
    with other.cursor() as cursor:
        cursor.execute(f"ALTER TABLE audit_account ALTER COLUMN title TYPE varchar({length})")
    other.close()


def everything_prepared() -> Iterator[Prepared[Any]]:
    """Give every query that a module of ours prepares."""
    ours = ("audit.", "handoff.", "models_registry.", "mdlc_site.")
    for name, module in sorted(sys.modules.items()):
        if name.startswith(ours):
            yield from (one for one in vars(module).values() if isinstance(one, Prepared))


def test_nothing_that_a_query_is_made_of_changes(monkeypatch: pytest.MonkeyPatch) -> None:
    assert urls.urlpatterns
    found = {id(one): one for one in everything_prepared()}.values()
    assert len(found) > 15
    before = [one._made[2:] for one in found]
    later = timezone.now() + timedelta(days=400)
    monkeypatch.setattr(timezone, "now", lambda: later)
    assert [Prepared(one.asked, *one.kinds)._made[2:] for one in found] == before
