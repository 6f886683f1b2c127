"""Chains to prove and to tamper with."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from hashlib import sha256
from struct import pack
from typing import Any

from django.db import connection, transaction

from audit.actors import Actor, Worker
from audit.models import AuditEvent
from audit.trail import record

CLERK = Worker("clerk")


def write_chain(name: str, events: int, actor: Actor = CLERK) -> None:
    """Append events to a chain."""
    with transaction.atomic():
        for number in range(events):
            record("answer.given", actor=actor, on=name, chain=name, data={"number": number}, reason="because")


def as_owner(statement: str, values: Sequence[Any] = ()) -> None:
    """Run a statement as the trail's owner can: with the triggers switched off."""
    as_owner_of("audit_auditevent", statement, values)


def as_owner_of(table: str, statement: str, values: Sequence[Any] = ()) -> None:
    """Run a statement as a table's owner can: with the triggers switched off."""
    with owned(table) as cursor:
        cursor.execute(statement, values)


@contextmanager
def owned(table: str) -> Iterator[Any]:
    """Give a cursor that finds a table's triggers switched off."""
    with connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        cursor.execute(f"ALTER TABLE {table} DISABLE TRIGGER USER")
        try:
            yield cursor
        finally:
            cursor.execute(f"ALTER TABLE {table} ENABLE TRIGGER USER")


def hash_of(previous: bytes, seq: int, micros: int, body: str) -> bytes:
    """Return an event's hash, computed apart from the code under test."""
    return sha256(previous + pack(">qq", seq, micros) + body.encode()).digest()


def rewrite_from(chain: str, seq: int) -> None:
    """Give every event of a chain from a place on a hash that fits, as a careful forger would."""
    previous = AuditEvent.objects.filter(chain=chain, seq=seq - 1).values_list("hash", flat=True).first()
    previous = bytes(previous) if previous else sha256(chain.encode()).digest()
    with owned("audit_auditevent") as cursor:
        for event in AuditEvent.objects.filter(chain=chain, seq__gte=seq).order_by("seq"):
            micros = int(event.at.timestamp()) * 1_000_000 + event.at.microsecond
            digest = hash_of(previous, event.seq, micros, event.body)
            values = [previous, digest, event.pk]
            cursor.execute("UPDATE audit_auditevent SET previous = %s, hash = %s WHERE id = %s", values)
            previous = digest
