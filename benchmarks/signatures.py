"""Thousands of handoffs that wait for signatures, for `benchmarks.signing`.

One handoff is walked through the product's services until only its two signatures are missing: the light policy, four
answers with evidence, an acknowledged difference, its story in the trail. The others are copies of it by SQL, each with
a version of its own, so that every request signs something nobody has signed, and reads as much as a real one reads.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.db import connection, models, transaction

from audit.models import Account
from audit.signing import own_key, require_signing
from handoff.facts import known_of_many
from handoff.models import Acknowledgement, Answer, Handoff
from handoff.rules.scopes import digest, scope_for
from models_registry.models import (
    Element,
    EnvironmentUserGrant,
    ModelVersion,
    RegisteredModel,
    RegisteredModelUserGrant,
)

CLIENTS = 32
MODELS = 8
OPERATORS = 8
MEANINGS = {"validation": "review", "acceptance": "responsibility"}
PLACES = """
    CREATE TABLE bench_turn (
        batch int, client int, turn int, number int, model_id uuid, handoff_id uuid DEFAULT gen_random_uuid(),
        version_id uuid DEFAULT gen_random_uuid(), validation uuid DEFAULT gen_random_uuid(),
        acceptance uuid DEFAULT gen_random_uuid(), PRIMARY KEY (batch, client, turn))
"""
TURNS = """
    INSERT INTO bench_turn (batch, client, turn, number, model_id)
    SELECT %(batch)s, client, turn, %(batch)s * 100000 + client * 1000 + turn, (%(models)s::uuid[])[client %% 8 + 1]
      FROM generate_series(0, %(clients)s - 1) AS client, generate_series(0, %(turns)s - 1) AS turn
"""
EVIDENCE = """
    INSERT INTO handoff_evidence (answer_id, kind, label, blob_id, link, figure)
    SELECT copy.id, e.kind, e.label, e.blob_id, e.link, e.figure
      FROM handoff_evidence e JOIN handoff_answer a ON a.id = e.answer_id AND a.handoff_id = %(handoff)s
      JOIN handoff_answer copy ON copy.item = a.item
      JOIN bench_turn t ON t.handoff_id = copy.handoff_id WHERE t.batch = %(batch)s
"""
EVENTS = """
    INSERT INTO audit_auditevent (chain, seq, at, action, actor_kind, actor_id, actor_label, subject, body,
           previous, hash)
    SELECT 'handoff:' || t.handoff_id, 0, e.at, e.action, e.actor_kind, e.actor_id, e.actor_label,
           replace(e.subject, %(handoff)s::text, t.handoff_id::text),
           replace(e.body, %(handoff)s::text, t.handoff_id::text), '', ''
      FROM bench_turn t, audit_auditevent e
     WHERE t.batch = %(batch)s AND e.chain = 'handoff:' || %(handoff)s::text ORDER BY t.handoff_id, e.seq
"""
PROOFS = """
    INSERT INTO handoff_reauthentication (id, person_id, method, confirmed_at, expires_at, challenge)
    SELECT t.{key}, (%(people)s::bigint[])[t.client %% %(among)s + 1], 'password', now(), now() + interval '1 hour', ''
      FROM bench_turn t WHERE t.batch = %(batch)s
"""
SEAL = """
    UPDATE models_registry_modelversion v
       SET state = 'nominated', nominated_at = now(), nominated_by_id = created_by_id, manifest = %(manifest)s,
           digest = encode(sha256(v.id::text::bytea), 'hex')
      FROM bench_turn t WHERE t.version_id = v.id AND t.batch = %(batch)s
"""


@dataclass
class Site:
    """The handoff that is copied, the models of the copies, and who signs: validators by client, operators in turn."""

    handoff: Handoff
    models: list[UUID]
    validators: list[Account]
    operators: list[Account]
    batches: int = 0

    def signers(self, requirement: str) -> list[Account]:
        """Return who signs for a requirement; client n is number n among them, counted round."""
        return self.validators if requirement == "validation" else self.operators


def make_site() -> Site:
    """Walk one handoff up to its signatures, and introduce models and people."""
    from tests.handoff import building, walking  # after Django is set up

    place = walking.a_site()
    handoff = walking.answered(place)
    kept = {"purpose": "A benchmark", "owner_team": "Lab", "created_by": place.dana}
    more = [RegisteredModel.objects.create(slug=f"model-{n}", name=f"Model {n}", **kept) for n in range(1, MODELS)]
    registered = [place.model, *more]
    validators = [_hired(f"validator-{n}") for n in range(CLIENTS)]
    operators = [_hired(f"operator-{n}") for n in range(OPERATORS)]
    for model in more:
        building._grant(RegisteredModelUserGrant, place.dana, "data_scientist", model)
    for number, person in enumerate(validators):
        building._grant(RegisteredModelUserGrant, person, "validator", registered[number % MODELS])
    for person in operators:
        building._grant(EnvironmentUserGrant, person, "it_operations", place.target)
    with transaction.atomic():
        require_signing(own_key(), signs=None)  # on record before plain SQL names it
    with connection.cursor() as cursor:
        cursor.execute(PLACES)
    return Site(handoff, [model.pk for model in registered], validators, operators)


def _hired(username: str) -> Account:
    first, _, last = username.partition("-")
    return Account.objects.create(username=username, first_name=first.capitalize(), last_name=f"Number {last}")


def copies(site: Site, turns: int, clients: int = CLIENTS) -> int:
    """Write one handoff for every client and turn, with two confirmations; return the number of the batch."""
    site.batches += 1
    of = {"batch": site.batches, "handoff": site.handoff.pk, "models": site.models, "clients": clients, "turns": turns}
    fresh = {"id": "t.version_id", "model_id": "t.model_id", "number": "t.number", "state": "'draft'"}
    unsealed = {"digest": "''", "manifest": "''", "nominated_by_id": "NULL", "nominated_at": "NULL"}
    offered = {"id": "t.handoff_id", "version_id": "t.version_id", "model_id": "t.model_id", "number": "t.number"}
    mine = {"handoff_id": "t.handoff_id"}
    with connection.cursor() as cursor:
        cursor.execute("SET statement_timeout = 0")
        cursor.execute(TURNS, of)
        _copy(cursor, ModelVersion, fresh | unsealed, "id", site.handoff.version_id, of)
        _copy(cursor, Element, {"version_id": "t.version_id"}, "version_id", site.handoff.version_id, of)
        cursor.execute(SEAL, of | {"manifest": site.handoff.version.manifest})
        _copy(cursor, Handoff, offered, "id", site.handoff.pk, of)
        for table in (Answer, Acknowledgement):
            _copy(cursor, table, mine, "handoff_id", site.handoff.pk, of)
        cursor.execute(EVIDENCE, of)
        cursor.execute(EVENTS, of)
        for key in MEANINGS:
            people = [person.pk for person in site.signers(key)]
            cursor.execute(PROOFS.format(key=key), of | {"people": people, "among": len(people)})
    return site.batches


def settle() -> None:
    """Let PostgreSQL count the rows anew, as it does by itself where they come more slowly."""
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")


def _copy(
    cursor: Any, table: type[models.Model], replaced: dict[str, str], column: str, key: UUID, of: dict[str, Any]
) -> None:
    """Copy the rows of a table that belong to the one handoff, once a turn, with some columns of the turn's own."""
    fields = table._meta.concrete_fields
    names = [f.column for f in fields if not isinstance(f, models.AutoField) and f.column]
    values = [replaced.get(name, f"o.{name}") for name in names]
    cursor.execute(
        f"INSERT INTO {table._meta.db_table} ({', '.join(names)}) SELECT {', '.join(values)} "
        f"FROM {table._meta.db_table} o, bench_turn t WHERE o.{column} = %(key)s AND t.batch = %(batch)s",
        of | {"key": key},
    )


def requests(batch: int, requirement: str, tokens: list[str]) -> list[list[str]]:
    """Return the HTTP requests by which each client signs its handoffs of a batch, one after the other."""
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT client, handoff_id, {requirement} FROM bench_turn WHERE batch = %s ORDER BY client, turn", [batch]
        )
        rows = cursor.fetchall()
    seen = _seen([handoff for _, handoff, _ in rows])
    found: list[list[str]] = [[] for _ in range(CLIENTS)]
    for client, handoff, proof in rows:
        body = {
            "requirement": requirement, "decision": "approve", "meaning": MEANINGS[requirement],
            "comment": "I have read it.", "seen": seen[handoff], "reauthentication": str(proof),
        }  # fmt: skip
        path = f"/api/v1/handoffs/{handoff}/signoffs/"
        found[client].append(http_post(path, tokens[client % len(tokens)], json.dumps(body)))
    return found


def _seen(handoffs: list[UUID]) -> dict[UUID, str]:
    """Return the digest of what is to be signed on each handoff."""
    found = {}
    for start in range(0, len(handoffs), 200):
        part = list(Handoff.objects.filter(pk__in=handoffs[start : start + 200]))
        for key, known in known_of_many(part).items():
            found[key] = digest(scope_for("review", known.facts.parts))
    return found


def http_post(path: str, token: str, body: str) -> str:
    """Return a request as the text of HTTP/1.1."""
    return (
        f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {token}\r\nAccept: application/json\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n{body}"
    )
