"""Measures the page of the inbox among 1,000,000 handoffs and 100,000 people: `python -m benchmarks.inbox`.

One offered handoff is walked through the services and copied by SQL into 20,000 models with 50 handoffs each: the
newest is in review, live, or was sent back, the others are over. Each model has three people of its own, each of 200
environments one who operates it. The page is asked for through every middleware, by people drawn by a fixed seed.
"""

from __future__ import annotations

import random
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.stack import servers
from benchmarks.table import Row, printed

PEOPLE, MODELS, EACH, PLACES = 100_000, 20_000, 50, 200
ROUNDS = 200
GOAL = 50.0  # ms, p95
OF_A_MODEL = ("data_scientist", "validator", "risk_compliance")
NUMBERED = {
    "audit_account": (PEOPLE, "jsonb_build_object('id', 1000 + n, 'username', 'person-' || n, 'last_name', n::text)"),
    "models_registry_environment": (
        PLACES,
        "jsonb_build_object('id', md5('place' || n)::uuid, 'slug', 'place-' || n, 'name', 'Place ' || n)",
    ),
    "models_registry_registeredmodel": (
        MODELS,
        "jsonb_build_object('id', md5('model' || n)::uuid, 'slug', 'model-' || n, 'name', 'Model ' || n)",
    ),
    "models_registry_modelversion": (
        MODELS,
        "jsonb_build_object('id', md5('version' || n)::uuid, 'model_id', md5('model' || n)::uuid,"
        " 'digest', encode(sha256(n::text::bytea), 'hex'))",
    ),
}
COPY = """
    INSERT INTO {table} SELECT p.* FROM generate_series(1, %s) n
     CROSS JOIN LATERAL jsonb_populate_record(NULL::{table}, %s::jsonb || {told}) p
"""
HANDOFFS = """
    INSERT INTO handoff_handoff SELECT p.*
      FROM generate_series(1, %s) n CROSS JOIN generate_series(1, %s) k
      CROSS JOIN LATERAL jsonb_populate_record(NULL::handoff_handoff,
           (CASE WHEN k = %s THEN %s::jsonb ELSE %s::jsonb || '{"policy": {}, "report": {}}' END) || jsonb_build_object(
               'id', md5(n || 'handoff' || k)::uuid, 'number', k, 'model_id', md5('model' || n)::uuid,
               'version_id', md5('version' || n)::uuid, 'target_id', md5('place' || n %% %s + 1)::uuid,
               'state', CASE WHEN k < %s THEN (ARRAY['superseded', 'returned', 'withdrawn'])[k %% 3 + 1]
                             ELSE (ARRAY['in_review', 'live', 'live', 'returned'])[n %% 4 + 1] END)) p
"""
GRANTS = """
    INSERT INTO {table} SELECT p.* FROM generate_series(1, %s) n
     CROSS JOIN LATERAL jsonb_populate_record(NULL::{table}, %s::jsonb || jsonb_build_object(
           'id', nextval(pg_get_serial_sequence('{table}', 'id')), 'user_id', {person},
           'content_object_id', md5('{thing}' || n)::uuid)) p
"""


def fill() -> None:
    """Write the people, models, environments, roles and handoffs, all alike but for their names and states."""
    from django.db import connection

    from tests.handoff import walking  # after Django is set up

    place = walking.a_site()
    handoff = walking.offered(place)
    first = {
        "audit_account": place.vera.pk,
        "models_registry_environment": place.target.pk,
        "models_registry_registeredmodel": place.model.pk,
        "models_registry_modelversion": handoff.version_id,
    }
    with connection.cursor() as cursor:
        cursor.execute("SET statement_timeout = 0")
        cursor.execute("SET session_replication_role = replica")
        for table, (count, told) in NUMBERED.items():
            cursor.execute(COPY.format(table=table, told=told), [count, _row(cursor, table, first[table])])
        whole = _row(cursor, "handoff_handoff", handoff.pk)
        cursor.execute(HANDOFFS, [MODELS, EACH, EACH, whole, whole, PLACES, EACH])
        for at, role in enumerate(OF_A_MODEL):
            _grant(cursor, "models_registry_registeredmodelusergrant", role, MODELS, "model", f"1000 + n * 3 + {at}")
        _grant(cursor, "models_registry_environmentusergrant", "it_operations", PLACES, "place", "1000 + 90000 + n")
        cursor.execute("SET session_replication_role = origin")
        cursor.execute("VACUUM ANALYZE")


def _row(cursor: Any, table: str, key: Any) -> str:
    cursor.execute(f"SELECT to_jsonb(t)::text FROM {table} t WHERE id = %s", [key])
    return str(cursor.fetchone()[0])


def _grant(cursor: Any, table: str, role: str, count: int, thing: str, person: str) -> None:
    """Give one role on each of so many things to a person each, like one that the walk has given."""
    cursor.execute(
        f"SELECT to_jsonb(g)::text FROM {table} g JOIN auth_permission p ON p.id = g.permission_id"
        " WHERE p.codename LIKE %s LIMIT 1",
        [f"%{role}"],
    )
    cursor.execute(GRANTS.format(table=table, thing=thing, person=person), [count, str(cursor.fetchone()[0])])


def milliseconds(keys: list[int]) -> tuple[list[float], list[int]]:
    """Return how long the page took each person, sorted, and how many bundles it showed."""
    from django.test import Client

    from audit.models import Account

    took, shown = [], []
    for key in keys:
        client = Client()
        client.force_login(Account.objects.get(pk=key))
        client.get("/")  # the session's first page warms what every page after it has
        began = time.perf_counter()
        answer = client.get("/")
        took.append((time.perf_counter() - began) * 1000)
        if answer.status_code != 200:
            raise RuntimeError(f"the inbox answered {answer.status_code}")
        shown.append(len(answer.context["bundles"]))
    return sorted(took), shown


def rows() -> list[Row]:
    """Return the figures of the page, for people of models and for those who operate an environment."""
    with tempfile.TemporaryDirectory() as name, servers(Path(name)):
        from django.test.utils import setup_test_environment

        setup_test_environment()  # so that an answer tells its context
        fill()
        drawn = random.Random(7)
        kinds = {
            "people of one model": [1000 + drawn.randrange(3, MODELS * 3) for _ in range(ROUNDS)],
            "those who operate an environment": [1000 + 90000 + drawn.randrange(1, PLACES) for _ in range(40)],
        }
        found = {kind: milliseconds(keys) for kind, keys in kinds.items()}
    return [_told(kind, *figures) for kind, figures in found.items()]


def _told(kind: str, took: list[float], shown: list[int]) -> Row:
    p50, p95 = statistics.median(took), took[int(len(took) * 0.95)]
    words = f"p50 {p50:,.0f} ms, p95 {p95:,.0f} ms, {statistics.mean(shown):.1f} handoffs shown"
    return Row(
        f"inbox of {kind}", words, f"{MODELS * EACH:,} handoffs", p95 / GOAL, f"p95 ≤ {GOAL:.0f} ms", p95 <= GOAL
    )


if __name__ == "__main__":
    print(printed(rows(), f"The inbox among {MODELS * EACH:,} handoffs and {PEOPLE:,} people"))
