"""Prove the trail: every chain from its first event, each hash computed anew from the bytes that were stored.

The database packs up to a thousand events of a chain into one value, so a row costs no round of its own; what a value
means is decided here alone. A chain proves that nothing inside it was edited, removed, put in or moved. A tail that was
cut off, and a chain that was written anew from some place on, are found by comparing with anchors (`audit.anchors`).
"""

import struct
import time
from collections.abc import Callable, Generator
from contextlib import closing
from dataclasses import dataclass, field
from hashlib import sha256
from struct import Struct

import orjson
import psycopg
from django.db import connection, transaction

# Microseconds between PostgreSQL's epoch (2000) and ours (1970).
EPOCH = 946_684_800_000_000
# The binary form of a row (seq, at, previous, hash, columns, body): for each field its type, its length, its bytes.
HEAD = Struct(">4x 4xiq 4xiq 4xi32s 4xi32s 4xi")
LENGTH = Struct(">4xi")
NUMBERS = Struct(">qq")
PACKED = """
    SELECT chain, string_agg(record_send(ROW(seq, at, previous, hash,
        concat_ws(chr(31), action, actor_kind, coalesce(actor_id::text, 'null'), subject, actor_label), body)),
        ''::bytea ORDER BY seq)
    FROM audit_auditevent WHERE {which}
    GROUP BY chain, (seq - 1) / 1000 ORDER BY chain, (seq - 1) / 1000
"""
ALL = PACKED.format(which="%s::text IS NULL OR chain = %s::text")
# What was sealed from a leaf on; and where the chains of it stood before.
NEW = PACKED.format(which="id IN (SELECT event_id FROM audit_treeleaf WHERE place >= %s AND place < %s)")
BEFORE = """
    SELECT one.chain, one.first - 1, event.hash FROM (
        SELECT chain, min(seq) AS first FROM audit_treeleaf
        WHERE place >= %s AND place < %s GROUP BY chain) AS one
    LEFT JOIN audit_auditevent AS event ON event.chain = one.chain AND event.seq = one.first - 1
"""
# Long statements may run long; the index gives the order sooner than a sort of all bodies, in parallel or not; and
# compiling the statement takes longer than it saves.
ROOM = """
    SET LOCAL statement_timeout = 0; SET LOCAL idle_in_transaction_session_timeout = 0;
    SET LOCAL work_mem = '128MB'; SET LOCAL random_page_cost = 1.1; SET LOCAL jit = off;
    SET LOCAL max_parallel_workers_per_gather = 0
"""
Batches = Generator[tuple[str, bytes], None, None]  # each with the chain that it belongs to


@dataclass(frozen=True, slots=True)
class Broken:
    """A place where the trail does not hold: in which chain, at which event, and how."""

    chain: str
    seq: int
    rule: str
    message: str

    def __str__(self) -> str:
        return f"{self.chain} event {self.seq}: {self.message} ({self.rule})"


@dataclass(slots=True)
class Verification:
    """What a proof found; `broken` names the first broken event of each chain that has one, in order of chains."""

    events: int = 0
    chains: int = 0
    seconds: float = 0.0
    broken: list[Broken] = field(default_factory=list)

    @property
    def whole(self) -> bool:
        """Tell whether nothing is broken."""
        return not self.broken


@dataclass(frozen=True, slots=True)
class Event:
    """One event as it was stored."""

    seq: int
    at: int
    previous: bytes
    hash: bytes
    columns: bytes
    body: bytes


class Chain:
    """One chain while it is read: the place and the hash that the next event must join on."""

    def __init__(self, name: str, seq: int = 0, after: bytes = b"") -> None:
        """Begin at a chain's beginning, or behind an event whose number and hash are known."""
        self.name = name
        self.seq = seq
        self.hash = after or sha256(name.encode()).digest()
        self.broken: Broken | None = None
        self._middle = b'"},"chain":' + orjson.dumps(name) + b',"data":{'
        self._alike: dict[bytes, tuple[tuple[bytes, ...], bytes]] = {}

    def add(self, packed: bytes) -> int:
        """Check a batch of events in order, up to the first broken one; return how many there were."""
        place, count = (0, 0) if self.broken else self._joined(packed)
        while place < len(packed):
            event, place = event_at(packed, place)
            self.broken = self.broken or self._broken(event)
            count += 1
        return count

    def _joined(self, packed: bytes) -> tuple[int, int]:
        """Join events up to the first that does not hold or cannot be read; return its place, and how many joined.

        A proof spends its time here. So it is one loop, and what it needs has short names of its own.
        """
        seq, last, alike = self.seq, self.hash, self._alike
        place = count = 0
        while True:
            try:
                eight, number, eight_too, at, wide, previous, wide_too, stored, length = HEAD.unpack_from(packed, place)
                end = place + HEAD.size + length
                (size,) = LENGTH.unpack_from(packed, end)
            except struct.error:  # the end, or a hash of another length
                break
            start = end + LENGTH.size
            after = start + size
            body = packed[start:after]
            if (
                number != seq + 1
                or previous != last
                or sha256(previous + NUMBERS.pack(number, at + EPOCH) + body).digest() != stored
                or not (wide == wide_too == 32 and eight == eight_too == 8)
            ):
                break
            columns = packed[end - length : end]
            known = alike.get(columns)
            if not (known and body.startswith(known[0]) and body.endswith(known[1])) and not self._same(columns, body):
                break
            seq, last, place, count = number, stored, after, count + 1
        self.seq, self.hash = seq, last
        return place, count

    def _same(self, columns: bytes, body: bytes) -> bool:
        """Tell whether the columns say what the body says; remember how such a body begins and ends.

        A body was recorded in canonical form, so its keys are in order, and only data and reason are not in columns.
        """
        first, final = _ends_of(columns)
        begins = body[: body.find(b'"', len(first))] + self._middle
        if not (begins.startswith(first) and body.startswith(begins) and body.endswith(final)):
            return False
        known, _ = self._alike.get(columns, ((), final))
        self._alike[columns] = (*known, begins), final
        return True

    def _broken(self, event: Event) -> Broken:
        if event.seq != self.seq + 1:
            return self._break(self.seq + 1, "missing", f"the next event that is there has number {event.seq}")
        if event.previous != self.hash:
            return self._break(event.seq, "link", "it does not join on the event before it")
        if sha256(event.previous + NUMBERS.pack(event.seq, event.at) + event.body).digest() != event.hash:
            return self._break(event.seq, "hash", "its content, time or number is not what was hashed")
        return self._break(event.seq, "columns", "its columns tell something else than what was hashed")

    def _break(self, seq: int, rule: str, message: str) -> Broken:
        return Broken(self.name, seq, rule, message)


def verify(chain: str | None = None) -> Verification:
    """Prove every chain, or the one that is named, as of one instant, while others go on writing."""
    return _proven(packed_events(chain), Chain)


def verify_between(low: int, high: int) -> Verification:
    """Prove what was sealed from leaf `low` up to `high`, each chain going on from the event before."""
    with connection.cursor() as cursor:
        cursor.execute(BEFORE, [low, high])
        before = {chain: (seq, bytes(digest or b"?")) for chain, seq, digest in cursor}
    return _proven(
        _streamed(NEW, (low, high)), lambda name: Chain(name, *before[name]) if before[name][0] else Chain(name)
    )


def _proven(batches: Batches, begin: Callable[[str], Chain]) -> Verification:
    """Read and check chain after chain."""
    found = Verification()
    began = time.perf_counter()
    current: Chain | None = None
    with closing(batches):  # whatever is raised leaves no stream open, which would keep the connection for itself
        for name, packed in batches:
            if current is None or current.name != name:
                current = begin(name)
                found.chains += 1
            events, held = current.add(packed), current.broken
            found.events += events
            if held is not None and (not found.broken or found.broken[-1] is not held):
                found.broken.append(held)
    found.seconds = time.perf_counter() - began
    return found


def packed_events(name: str | None) -> Batches:
    """Stream batches of a chain's events, chain after chain: one statement, so one instant; one batch in memory."""
    return _streamed(ALL, (name, name))


def _streamed(statement: str, values: tuple[object, ...]) -> Batches:
    """Give the rows as the server makes them, not by FETCH: it packs the next batch while this one is checked."""
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute(ROOM)
        with psycopg.Cursor(connection.connection) as stream:
            yield from stream.stream(statement, values, binary=True)


def event_at(packed: bytes, place: int) -> tuple[Event, int]:
    """Return the event at a place of a batch, whatever its fields hold, and the place behind it."""
    values: list[bytes] = []
    place += 4
    for _ in range(6):
        (length,) = LENGTH.unpack_from(packed, place)
        place += LENGTH.size
        values.append(packed[place : place + max(length, 0)])
        place += max(length, 0)
    seq, at = (int.from_bytes(value, "big", signed=True) for value in values[:2])
    return Event(seq, at + EPOCH, *values[2:]), place


def _ends_of(columns: bytes) -> tuple[bytes, bytes]:
    """Return how the body of an event with these columns starts and ends."""
    action, kind, actor, subject, label = (_text(part) for part in columns.split(b"\x1f", 4))
    who = b'{"id":' + actor[1:-1] + b',"kind":' + kind + b',"label":' + label + b',"via":"'
    return b'{"action":' + action + b',"actor":' + who, b',"subject":' + subject + b"}"


def _text(part: bytes) -> bytes:
    return orjson.dumps(part.decode())
