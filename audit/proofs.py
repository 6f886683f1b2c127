"""Proofs out of the tree's tables: two queries, however large the tree is and however many proofs are asked for."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from django.db import connection

from audit import merkle
from audit.errors import Hidden, Invalid
from audit.merkle import NodeAt, Place
from audit.models import AuditEvent, TreeHead, TreeLeaf
from audit.models.tree import STRIDE

LEAVES = """
    SELECT leaf.place, leaf.hash FROM unnest(%s::bigint[], %s::bigint[]) AS span (low, high)
    JOIN audit_treeleaf AS leaf ON leaf.place >= span.low AND leaf.place < span.high
"""
NODES = """
    SELECT node.level, node.place, node.hash FROM
        unnest(%s::int[], %s::bigint[], %s::bigint[]) AS span (level, low, high)
    JOIN audit_treenode AS node ON node.level = span.level AND node.place >= span.low AND node.place < span.high
"""


@dataclass(frozen=True, slots=True)
class Inclusion:
    """What shows that an event is in the tree under a head."""

    leaf: TreeLeaf
    head: TreeHead
    path: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class Consistency:
    """What shows that the tree under one head is the beginning of the tree under a later one."""

    old: TreeHead
    head: TreeHead
    path: tuple[bytes, ...]


def inclusion(event: AuditEvent, size: int | None = None) -> Inclusion:
    """Return the proof that an event is in the tree under the newest head, or under the one of a size.

    Raises Invalid for an event that is not sealed yet, or not under that head, and Hidden for a head that is not there.
    """
    head = head_of(size)
    leaf = TreeLeaf.objects.filter(event=event).first()
    if leaf is None or leaf.place >= head.size:
        raise Invalid(
            "The event is not in the tree under this head.",
            code="not_sealed",
            todo="Events are sealed once a second: ask again in a moment, or leave the size out.",
        )
    (path,) = paths([leaf.place], head.size)
    return Inclusion(leaf, head, path)


def consistency(old: int, size: int | None = None) -> Consistency:
    """Return the proof that the tree of `old` leaves is the beginning of a later one. Raises Hidden or Invalid."""
    before, after = head_of(old), head_of(size)
    if before.size > after.size:
        raise Invalid("The first head is the later one.", fields={"old": "is larger than size"})
    places = merkle.consistency_places(before.size, after.size)
    return Consistency(before, after, tuple(merkle.proof(places, reader(places))))


def paths(leaves: Sequence[int], size: int) -> list[tuple[bytes, ...]]:
    """Return the hashes that prove each of some leaves to be in the tree of a size."""
    places = [merkle.inclusion_places(leaf, size) for leaf in leaves]
    node = reader([one for some in places for one in some])
    return [tuple(merkle.proof(some, node)) for some in places]


def head_of(size: int | None) -> TreeHead:
    """Return the head of a size, or the newest. Raises Hidden when there is none."""
    heads = TreeHead.objects.order_by("-size")
    found = (heads if size is None else heads.filter(size=size)).first()
    if found is None:
        raise Hidden("There is no such tree head.", todo="The sizes that were signed are listed at audit/heads/.")
    return found


def reader(places: Iterable[Sequence[Place]]) -> NodeAt:
    """Return a function that gives the hash of each whole subtree that is named, read all at once."""
    spans = sorted({_span(place) for some in places for place in some})
    known: dict[Place, bytes] = {}
    with connection.cursor() as cursor:
        leaves = [(low, high) for level, low, high in spans if level == 0]
        cursor.execute(LEAVES, [[low for low, _ in leaves], [high for _, high in leaves]])
        for place, entry in cursor:
            known[0, place] = merkle.leaf_hash(bytes(entry))
        nodes = [span for span in spans if span[0]]
        cursor.execute(NODES, [[span[part] for span in nodes] for part in range(3)])
        for level, place, digest in cursor:
            known[level, place] = bytes(digest)

    def node(place: Place) -> bytes:
        if place not in known:
            level, index = place
            if level % STRIDE == 0:
                raise Hidden("The tree lacks what the proof needs; verify_audit says more.", code="tree_incomplete")
            left, right = node((level - 1, 2 * index)), node((level - 1, 2 * index + 1))
            known[place] = merkle.node_hash(left, right)
        return known[place]

    return node


def _span(place: Place) -> tuple[int, int, int]:
    """Return the level that is kept below a place, and which of its nodes lie under it."""
    level, index = place
    kept = level // STRIDE * STRIDE
    width = 1 << (level - kept)
    return kept, index * width, (index + 1) * width
