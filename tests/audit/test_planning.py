"""Statements that are planned once: the session keeps them, and what else is asked stays as it was."""

import pytest
from django.db import connection

from audit.models import Account
from audit.planning import planned_once, rows_of

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
    for count in range(4):
        keys = [one.pk for one in people[:count]]
        assert rows_of(Account.objects.all(), [10**12, *reversed(keys)]) == people[:count][::-1]
    assert rows_of(Account.objects.all(), []) == []
    assert prepared("= ANY(") == 1
