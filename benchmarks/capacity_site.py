"""A site of 100,000 models and 1,000,000 events, and the people and automation who work there, for `capacity.py`.

Models, people and roles are rows that were copied from those of one walk through the services, with every constraint
and trigger in force. Every model has a chain of its own, appended through the trigger that numbers and hashes events,
so the trail is whole and can be proven; its events are told as a worker's, and differ in their notes only. The handoffs
that people work on are copies of one that was walked up to its signatures (`signatures.py`).
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import connection
from django.test import Client
from knox.models import AuthToken

from audit import anchors
from audit.models import Account
from benchmarks import signatures
from handoff.models import Acknowledgement, Answer, Handoff
from handoff.rules import scopes
from models_registry.models import Element, ModelVersion

# Models are shared out by number among so many accounts of each kind; keys tell the kinds apart.
SHARED = {"data_scientist": ("builder", 5_000), "validator": ("validator", 1_000), "risk_compliance": ("auditor", 500)}
KEYS = {"builder": 100_000, "validator": 200_000, "auditor": 300_000, "operator": 400_000, "automation": 500_000}
WORK = {"validator": 0.5, "builder": 0.3, "operator": 0.1, "auditor": 0.1}  # of the people who work at once
FIRST = {"builder": 500}  # no builder who works answers what a validator who works signs
TURNS = 12  # handoffs of each who signs, or answers
CSRF = "c" * 32
REPORTED = {
    name: f"(SELECT r.{name} FROM bench_report r WHERE r.handoff_id = t.handoff_id)"
    for name in ("report", "report_digest")
}
COPY = """
    INSERT INTO {table} SELECT p.* FROM generate_series(1, %(count)s) n
     CROSS JOIN LATERAL jsonb_populate_record(NULL::{table}, %(row)s::jsonb || {told}) p
"""
ACCOUNT = """jsonb_build_object('id', %(key)s + n, 'username', %(kind)s || '-' || n, 'first_name', initcap(%(kind)s),
    'last_name', 'Number ' || n, 'is_staff', false, 'name_salt', md5(%(kind)s || n) || md5(n || 'salt'),
    'kind', %(account)s::text, 'responsible_id', %(responsible)s::bigint)"""
MODEL = """jsonb_build_object('id', md5('model' || n)::uuid, 'slug', 'model-' || n, 'name', 'Model ' || n)"""
GRANT = """jsonb_build_object('id', nextval(pg_get_serial_sequence('{table}', 'id')), 'user_id', {person},
    'content_object_id', {thing}, 'starts_at', transaction_timestamp())"""
TOLD = """'{"action":"' || action || '","actor":{"id":null,"kind":"worker","label":"load","via":"worker"},'
    || '"chain":"model:' || id || '","data":{"name":"Model ' || n || '","note":"' || md5(n || 'turn' || turn)
    || ', one of the many events that a model gathers in the years of its life"},"reason":"","subject":"'
    || 'registeredmodel:' || id || '"}'"""
EVENTS = f"""
    INSERT INTO audit_auditevent (chain, seq, at, action, actor_kind, actor_label, subject, body, previous, hash)
    SELECT 'model:' || id, 0, now(), action, 'worker', 'load', 'registeredmodel:' || id, {TOLD}, '', ''
      FROM (SELECT n, turn, md5('model' || n)::uuid AS id,
                   CASE turn WHEN 1 THEN 'model.registered' ELSE 'model.changed' END AS action
              FROM generate_series(%(first)s, %(last)s) n CROSS JOIN generate_series(1, %(each)s) turn) t
     ORDER BY turn, n
"""
A_STATEMENT = 2_000  # chains; each is locked until the statement is over
OFFERED = """
    INSERT INTO bench_turn (batch, client, turn, number, model_id)
    SELECT 1, %(key)s + person, turn, 1, md5('model' || (person + %(among)s * (turn - 1)))::uuid
      FROM unnest(%(people)s::int[]) AS person, generate_series(1, %(turns)s) AS turn
"""


@dataclass(frozen=True, slots=True)
class Size:
    """How much there is, and who works at once."""

    models: int
    events: int
    people: int
    clients: int

    def numbers(self, kind: str) -> range:
        """Return the numbers of the accounts of a kind that work."""
        first = FIRST.get(kind, 1)
        return range(first, first + (self.clients if kind == "automation" else max(1, round(self.people * WORK[kind]))))


def fill(size: Size) -> list[dict[str, Any]]:
    """Write everything down, and return what the crowd is told of each who works."""
    from tests.handoff import walking  # after Django is set up

    place = walking.a_site()
    handoff = walking.answered(place)
    with connection.cursor() as cursor:
        cursor.execute("SET statement_timeout = 0")
        cursor.execute(signatures.PLACES)
        _accounts(cursor, place)
        model = _row(cursor, "models_registry_registeredmodel", place.model.pk)
        cursor.execute(
            COPY.format(table="models_registry_registeredmodel", told=MODEL), {"count": size.models, "row": model}
        )
        _roles(cursor, place, size)
        _handoffs(cursor, handoff, size)
        for first in range(1, size.models + 1, A_STATEMENT):
            last = min(first + A_STATEMENT - 1, size.models)
            cursor.execute(EVENTS, {"first": first, "last": last, "each": max(1, size.events // size.models)})
            anchors.write(Path(settings.ANCHORS))  # as the worker would have, every few minutes of all those years
        cursor.execute("VACUUM ANALYZE")
        offered = _offered(cursor)
    return [_told(kind, number, offered, size) for kind in KEYS for number in size.numbers(kind)]


def _row(cursor: Any, table: str, key: Any) -> str:
    cursor.execute(f"SELECT to_jsonb(t)::text FROM {table} t WHERE id = %s", [key])
    return str(cursor.fetchone()[0])


def _accounts(cursor: Any, place: Any) -> None:
    """Hire everybody, all with one password, and the service accounts of one of them."""
    row = _row(cursor, "audit_account", place.vera.pk)
    counts = dict(SHARED.values()) | {"operator": 100, "automation": 100}
    for kind, count in counts.items():
        service = kind == "automation"
        told = {"account": "service" if service else "person", "responsible": place.dana.pk if service else None}
        told |= {"key": KEYS[kind], "kind": kind, "count": count, "row": row}
        cursor.execute(COPY.format(table="audit_account", told=ACCOUNT), told)


def _roles(cursor: Any, place: Any, size: Size) -> None:
    """Share the models out; who operates does so in the target, and automation builds one model in five hundred."""
    table = "models_registry_registeredmodelusergrant"
    shared = [(role, KEYS[kind], among) for role, (kind, among) in SHARED.items()]
    for role, key, among in [*shared, ("data_scientist", KEYS["automation"], 500)]:
        person = f"{key} + (n - 1) %% {among} + 1"
        told = GRANT.format(table=table, person=person, thing="md5('model' || n)::uuid")
        some = "" if among != 500 or role != "data_scientist" else f" WHERE (n - 1) %% {among} < {size.clients}"
        row = _grant(cursor, table, role)
        cursor.execute(COPY.format(table=table, told=told) + some, {"count": size.models, "row": row})
    table = "models_registry_environmentusergrant"
    told = GRANT.format(table=table, person=f"{KEYS['operator']} + n", thing="%(place)s::uuid")
    of = {
        "count": len(size.numbers("operator")),
        "row": _grant(cursor, table, "it_operations"),
        "place": place.target.pk,
    }
    cursor.execute(COPY.format(table=table, told=told), of)


def _grant(cursor: Any, table: str, role: str) -> str:
    cursor.execute(
        f"SELECT to_jsonb(g)::text FROM {table} g JOIN auth_permission p ON p.id = g.permission_id"
        " WHERE p.codename = %s LIMIT 1",
        [f"hold_{role}"],
    )
    return str(cursor.fetchone()[0])


def _handoffs(cursor: Any, handoff: Handoff, size: Size) -> None:
    """Offer handoffs of their own models to those who sign, and others to those who answer."""
    for kind in ("validator", "builder"):
        among = dict(SHARED.values())[kind]
        turns = min(TURNS, size.models // among)
        people = {"key": KEYS[kind], "among": among, "people": list(size.numbers(kind)), "turns": turns}
        cursor.execute(OFFERED, people)
    of = {"batch": 1, "handoff": handoff.pk}
    fresh = {"id": "t.version_id", "model_id": "t.model_id", "number": "t.number", "state": "'draft'"}
    unsealed = {"digest": "''", "manifest": "''", "nominated_by_id": "NULL", "nominated_at": "NULL"}
    offered = {"id": "t.handoff_id", "version_id": "t.version_id", "model_id": "t.model_id", "number": "t.number"}
    signatures._copy(cursor, ModelVersion, fresh | unsealed, "id", handoff.version_id, of)
    signatures._copy(cursor, Element, {"version_id": "t.version_id"}, "version_id", handoff.version_id, of)
    cursor.execute(signatures.SEAL, of | {"manifest": handoff.version.manifest})
    _reports(cursor, handoff)
    signatures._copy(cursor, Handoff, offered | REPORTED, "id", handoff.pk, of)
    for table in (Answer, Acknowledgement):
        signatures._copy(cursor, table, {"handoff_id": "t.handoff_id"}, "handoff_id", handoff.pk, of)
    cursor.execute(signatures.EVIDENCE, of)
    cursor.execute(signatures.EVENTS, of)


def _reports(cursor: Any, handoff: Handoff) -> None:
    """Write down the report of each copy: the one that was walked up to, with the digest of the copy's own version.

    Otherwise what was offered and what is there would differ, which drift is looked for and stops the signing.
    """
    cursor.execute("CREATE TABLE bench_report (handoff_id uuid PRIMARY KEY, report jsonb, report_digest text)")
    cursor.execute(
        "SELECT t.handoff_id, v.digest FROM bench_turn t JOIN models_registry_modelversion v ON v.id = t.version_id"
    )
    kept = json.dumps(handoff.report)
    reports = [(key, kept.replace(handoff.version.digest, digest)) for key, digest in cursor.fetchall()]
    cursor.executemany(
        "INSERT INTO bench_report VALUES (%s, %s, %s)",
        [(key, report, scopes.digest(json.loads(report))) for key, report in reports],
    )


def _offered(cursor: Any) -> dict[int, list[str]]:
    """Return the handoffs of each who signs or answers, by the key of their account."""
    cursor.execute("SELECT client, handoff_id::text FROM bench_turn ORDER BY client, turn")
    found: dict[int, list[str]] = {}
    for key, handoff in cursor.fetchall():
        found.setdefault(key, []).append(handoff)
    return found


def _told(kind: str, number: int, offered: dict[int, list[str]], size: Size) -> dict[str, Any]:
    """Return who somebody is, how they are known, and what they may look at, answer and sign."""
    key = KEYS[kind] + number
    among = dict(SHARED.values()).get(kind, 500)
    own = offered.get(key, [])
    seen = own or sorted(one for key, found in offered.items() if key > KEYS["validator"] for one in found)
    if kind in ("automation", "auditor"):  # they know the handoffs of their own models alone
        seen = offered.get(KEYS["validator"] + number, [])
    return {
        "name": f"{kind}-{number}",
        "kind": kind,
        "cookie": "" if kind == "automation" else _cookie(key),
        "token": AuthToken.objects.create(user=Account.objects.get(pk=key))[1] if kind == "automation" else "",
        "csrf": CSRF,
        "handoffs": seen,
        "sign": list(own) if kind == "validator" else [],
        "answer": own if kind == "builder" else [],
        "models": [f"model-{n}" for n in range(number, size.models + 1, among)][:50],
    }


def _cookie(key: int) -> str:
    """Sign somebody in, and return the cookies of their browser."""
    client = Client()
    client.force_login(Account.objects.get(pk=key), "django.contrib.auth.backends.ModelBackend")
    session = client.cookies[settings.SESSION_COOKIE_NAME].value
    return f"{settings.SESSION_COOKIE_NAME}={session}; {settings.CSRF_COOKIE_NAME}={CSRF}"
