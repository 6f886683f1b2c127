"""Prove the tree: every leaf is the event it was sealed from, and every head is the root of what lies under it.

In full from the first leaf, or on from a head that was proven before. Whoever owns the database can rewrite leaves,
nodes and heads together with the events, but cannot sign: then the newest head does not hold, and the ones before tell
between which two it happened.
"""

import time
from bisect import bisect_left
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice

import orjson
import psycopg
from django.db import connection, transaction

from audit.envelopes import EnvelopeBroken, open_envelope
from audit.merkle import EMPTY, Frontier, whole
from audit.models import TreeHead, TreeLeaf
from audit.models.tree import STRIDE
from audit.sealing import KIND, LATE
from audit.signing import public_keys
from audit.verification import ROOM, Broken

TREE = "the tree"
TILE = 1 << STRIDE
ROWS = 5000  # that are fetched or compared at a time
# Of what was written anew so many chains are named, among those of so many leaves.
NAMED, NAMED_AMONG = 5, 100
PACKED = """
    SELECT min(leaf.place), max(leaf.place), string_agg(leaf.hash, ''::bytea ORDER BY leaf.place),
        count(*) - count(event.id)
    FROM audit_treeleaf AS leaf LEFT JOIN audit_auditevent AS event ON event.id = leaf.event_id
        AND event.hash = leaf.hash AND event.chain = leaf.chain AND event.seq = leaf.seq
    WHERE leaf.place >= %s AND leaf.place < %s GROUP BY leaf.place / 256 ORDER BY leaf.place / 256
"""
DIFFERING = """
    SELECT leaf.place, leaf.chain, leaf.seq, event.id IS NULL
    FROM audit_treeleaf AS leaf LEFT JOIN audit_auditevent AS event ON event.id = leaf.event_id
    WHERE leaf.place >= %s AND leaf.place < %s
    AND (event.hash, event.chain, event.seq) IS DISTINCT FROM (leaf.hash, leaf.chain, leaf.seq)
    ORDER BY leaf.place LIMIT 1
"""
NODES = """
    SELECT told.level, told.place FROM unnest(%s::int[], %s::bigint[], %s::bytea[]) AS told (level, place, hash)
    LEFT JOIN audit_treenode AS node ON node.level = told.level AND node.place = told.place
    WHERE node.hash IS DISTINCT FROM told.hash ORDER BY told.place LIMIT 1
"""
BESIDE = """
    SELECT (SELECT count(*) FROM audit_treeleaf WHERE place >= (SELECT coalesce(max(size), 0) FROM audit_treehead)),
        count(*), min(at)
    FROM audit_auditevent AS event
    WHERE at < clock_timestamp() - interval '1 minute'
    AND id > coalesce((SELECT event_id FROM audit_treeleaf WHERE place = %s - 1), 0) - %s
    AND NOT EXISTS (SELECT FROM audit_treeleaf AS leaf WHERE leaf.event_id = event.id)
"""


@dataclass(frozen=True, slots=True)
class Proven:
    """A head that was proven, and what going on from it needs. Keep it where the database's owner cannot write."""

    size: int = 0
    root: str = EMPTY.hex()
    peaks: tuple[str, ...] = ()
    at: str = ""


@dataclass(slots=True)
class TreeVerification:
    """What a proof of the tree found."""

    leaves: int = 0
    heads: int = 0
    seconds: float = 0.0
    broken: list[Broken] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    proven: Proven = field(default_factory=Proven)


@dataclass(slots=True)
class _Head:
    size: int
    told: bytes
    root: bytes = b""


def verify_tree(since: Proven | None = None, *, signatures: bool = False) -> TreeVerification:
    """Prove the tree from its first leaf, or on from a head that was proven, while others go on writing.

    The newest signature is always proven, for it covers all that lies under it; with `signatures` each one is.
    """
    began = time.perf_counter()
    proof = _Proof(since or Proven())
    proof.run(signatures=signatures)
    proof.found.seconds = time.perf_counter() - began
    return proof.found


class _Proof:
    """One run over leaves and heads, side by side."""

    def __init__(self, since: Proven) -> None:
        self.found = TreeVerification(proven=since)
        self.since = since
        self.keys = public_keys()
        self.frontier = Frontier(since.size, [bytes.fromhex(peak) for peak in since.peaks])
        self.heads: list[_Head] = []
        self.nodes: list[tuple[int, int, bytes]] = []
        self.differing: tuple[int, int] | None = None

    def run(self, *, signatures: bool) -> None:
        """Prove all there is; stop where going on would only tell the same again."""
        if self.frontier.root.hex() != self.since.root:
            self._break(0, "proven", "what was kept of the last proof does not fit together")
            return
        rows = TreeHead.objects.filter(size__gte=self.since.size).order_by("size").values_list("size", "root")
        self.heads = [_Head(size, bytes(root)) for size, root in rows.iterator(ROWS)]
        if self.since.size and (not self.heads or self.heads[0].size != self.since.size):
            self._break(self.since.size, "cut", "the head that was proven last is not there any more")
        if not self.heads:
            self._beside()
            return
        self._leaves()
        if self.frontier.size == self.heads[-1].size:
            self._judge(signatures=signatures)
            self._compare_nodes()
        self._beside()

    def _leaves(self) -> None:
        """Read the leaves, and compute the root under each head from them."""
        heads = deque(self.heads)
        if heads[0].size == self.frontier.size:
            heads.popleft().root = self.frontier.root
        for first, last, joined, differing in _packed(self.frontier.size, self.heads[-1].size):
            entries = [joined[place : place + 32] for place in range(0, len(joined), 32)]
            if first != self.frontier.size or last - first + 1 != len(entries):
                break
            if differing and self.differing is None:
                self.differing = first, last + 1
            done = 0
            while heads and heads[0].size <= last + 1:
                head = heads.popleft()
                self._grow(entries[done : head.size - first])
                done, head.root = head.size - first, self.frontier.root
            self._grow(entries[done:])
            self.found.leaves += len(entries)
        if self.differing:
            self._tell_of(*self.differing)
        if heads:
            self._break(
                self.frontier.size, "leaf_missing", "from here on a leaf is missing, over which a head was signed"
            )

    def _grow(self, entries: Sequence[bytes]) -> None:
        if len(entries) == TILE:  # leaves come tile by tile, so this is a whole one
            self.nodes += [one for one in self.frontier.add(STRIDE, whole(entries)) if one[0] % STRIDE == 0]
            return
        for entry in entries:
            self.nodes += [one for one in self.frontier.append(entry) if one[0] and one[0] % STRIDE == 0]

    def _tell_of(self, low: int, high: int) -> None:
        """Name the first event that is not what was sealed."""
        with connection.cursor() as cursor:
            cursor.execute(DIFFERING, [low, high])
            row = cursor.fetchone()
        if row:
            place, chain, seq, gone = row
            how = "is not there any more" if gone else "is another one now"
            self.found.broken.append(Broken(chain, seq, "sealed", f"this event was sealed, and {how}, {around(place)}"))

    def _judge(self, *, signatures: bool) -> None:
        """Compare the roots with what was signed, and find the first head from which on they differ."""
        self.found.heads = len(self.heads)
        for head in self.heads:
            if head.told != head.root or (signatures and self._signed(head) is None):
                self._break(head.size, "head", f"the head of {head.size:,} leaves is not the root of its leaves")
                break
        newest = self.heads[-1]
        at = self._signed(newest)
        if at is not None:
            peaks = tuple(peak.hex() for peak in self.frontier.peaks)
            self.found.proven = Proven(newest.size, newest.root.hex(), peaks, at)
            return
        first = bisect_left(self.heads, True, key=lambda head: self._signed(head) is None)
        place = self.heads[first - 1].size if first else self.since.size
        chains = TreeLeaf.objects.filter(place__gte=place, place__lt=self.heads[first].size).values_list(
            "chain", flat=True
        )
        names = ", ".join(list(dict.fromkeys(islice(chains.order_by("place"), NAMED_AMONG)))[:NAMED])
        self._break(place, "root", f"from here on the tree is not what was signed, {around(place)}, in {names}")

    def _signed(self, head: _Head) -> str | None:
        """Return when a head was signed, if it was signed over the root that was computed; otherwise None."""
        envelope = TreeHead.objects.values_list("envelope", flat=True).get(size=head.size)
        try:
            told = orjson.loads(open_envelope(envelope, KIND, self.keys).payload)
        except EnvelopeBroken:
            return None
        return str(told["at"]) if (told["size"], told["root"]) == (head.size, head.root.hex()) else None

    def _compare_nodes(self) -> None:
        nodes = iter(self.nodes)
        with connection.cursor() as cursor:
            while some := list(islice(nodes, ROWS)):
                cursor.execute(NODES, [list(column) for column in zip(*some, strict=True)])
                if row := cursor.fetchone():
                    self._break(row[1] << row[0], "node", "a node over these leaves is not what they make")

    def _beside(self) -> None:
        """Tell of leaves that no head covers, and of events that nobody has sealed."""
        with connection.cursor() as cursor:
            cursor.execute(BESIDE, [self.since.size, LATE])
            loose, unsealed, oldest = cursor.fetchone()
        if loose:
            self._break(self.frontier.size, "loose", f"no head was signed over the {loose:,} leaves from here on")
        if unsealed:
            self.found.notes.append(f"{unsealed:,} events are not sealed, the oldest of {oldest:%Y-%m-%d %H:%M:%S} UTC")

    def _break(self, place: int, rule: str, message: str) -> None:
        self.found.broken.append(Broken(TREE, place, rule, message))


def around(place: int) -> str:
    """Return between which heads a leaf was sealed, in words."""
    before = TreeHead.objects.filter(size__lte=place).order_by("-size").first()
    after = TreeHead.objects.filter(size__gt=place).order_by("size").first()
    start = f"the head of {before.size:,} leaves ({before.at:%Y-%m-%d %H:%M:%S} UTC)" if before else "the beginning"
    end = f"that of {after.size:,} ({after.at:%Y-%m-%d %H:%M:%S} UTC)" if after else "now"
    return f"between {start} and {end}"


def _packed(low: int, high: int) -> Iterator[tuple[int, int, bytes, int]]:
    """Stream the leaves in batches of 256, each with how many of them are not their event's."""
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute(ROOM)
        with psycopg.Cursor(connection.connection) as stream:
            yield from stream.stream(PACKED, (low, high), binary=True)
