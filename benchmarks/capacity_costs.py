"""What a row and an act cost in the database after the loads of `capacity.py`: bytes with indexes, bytes of WAL."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

from django.db import connection

from audit.models import Account
from benchmarks.table import Row
from handoff.models import Handoff
from handoff.services import checklists
from models_registry.services import registered_models
from tests.handoff import walking

ACTS = 20
REST = 2.5  # seconds in which the relay seals what was written
TABLES = (
    "audit_auditevent", "audit_treeleaf", "audit_treenode", "models_registry_registeredmodel",
    "models_registry_registeredmodelusergrant", "models_registry_modelversion", "models_registry_element",
    "handoff_handoff", "handoff_answer", "handoff_evidence", "handoff_signoff", "audit_requestkey", "django_session",
)  # fmt: skip
SIZES = """
    SELECT c.relname, s.n_live_tup, pg_table_size(c.oid), pg_indexes_size(c.oid), s.n_dead_tup, s.autovacuum_count
      FROM pg_class c JOIN pg_stat_user_tables s ON s.relid = c.oid WHERE c.relname = ANY(%s) AND s.n_live_tup > 0
     ORDER BY pg_total_relation_size(c.oid) DESC
"""
INDEXES = """
    SELECT i.indexrelname, pg_relation_size(i.indexrelid) FROM pg_stat_user_indexes i
     WHERE i.relname = 'audit_auditevent' ORDER BY 2 DESC
"""
WRITTEN = "SELECT pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '0/0')::bigint"


def rows(who: list[dict[str, Any]]) -> Iterator[Row]:
    """Return what each kind of row takes, what the indexes of events take, and what acts write ahead."""
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")
        cursor.execute(SIZES, [list(TABLES)])
        for name, count, table, indexes, dead, vacuumed in cursor.fetchall():
            told = f"{table / count:,.0f} bytes and {indexes / count:,.0f} of indexes"
            more = f"{count:,} rows, {dead:,} dead, vacuumed {vacuumed} times"
            yield Row(f"  a row of {name}", told, more, None)
        cursor.execute("SELECT count(*) FROM audit_auditevent")
        (events,) = cursor.fetchone()
        cursor.execute(INDEXES)
        for name, size in cursor.fetchall():
            yield Row(f"  an event in {name}", f"{size / events:,.0f} bytes", "", None)
    for name, act in _acts(who).items():
        yield Row(f"  WAL of an act: {name}, sealed", f"{written(act):,.0f} bytes", "", None)


def written(act: Callable[[int], object]) -> float:
    """Return the bytes of WAL that an act writes, its sealing included, and what is written anyway taken off."""
    idle = _during(lambda: None)
    return (_during(lambda: [act(number) for number in range(ACTS)]) - idle) / ACTS


def _during(work: Callable[[], object]) -> int:
    with connection.cursor() as cursor:
        cursor.execute(WRITTEN)
        (before,) = cursor.fetchone()
    work()
    time.sleep(REST)
    with connection.cursor() as cursor:
        cursor.execute(WRITTEN)
        return int(cursor.fetchone()[0]) - int(before)


def _acts(who: list[dict[str, Any]]) -> dict[str, Callable[[int], object]]:
    """Return three acts; the number says which time it is done."""
    builder = next(one for one in who if one["kind"] == "builder")
    waiting = [(one["name"], handoff) for one in who if one["kind"] == "validator" for handoff in one["sign"]]
    described = {"purpose": "A load", "owner_team": "Lab", "name": "Weighed"}

    def person(name: str) -> Account:
        return Account.objects.get(username=name)

    def register(number: int) -> object:
        return registered_models.register(
            actor=walking.by(person(builder["name"])), slug=f"weighed-{number}", **described
        )

    def answer(number: int) -> object:
        at = builder["answer"][number % len(builder["answer"])]
        told = {"item": "purpose", "choice": "yes", "evidence": [walking.LINK]}
        return checklists.answer(actor=walking.by(person(builder["name"])), handoff_id=at, **told)

    def sign(number: int) -> object:
        name, handoff = waiting[number]
        return walking.sign(Handoff.objects.get(pk=handoff), person(name), "validation")

    found = {"register a model": register, "answer an item": answer}
    return found | ({"confirm and sign": sign} if len(waiting) >= ACTS else {})
