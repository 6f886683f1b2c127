"""Seal what was written: once a second new events become leaves of one tree, and the site signs its head.

The relay does it, so it goes on without a broker. Sealing is not in the way of any act: an act writes its event, and
is done. A head signs what is there then; whoever rewrites a sealed event has to rewrite the tree, and cannot sign it.
"""

from datetime import datetime
from typing import Any

import orjson
import rfc8785
from django.conf import settings
from django.db import connection

from audit.acts import act
from audit.envelopes import EnvelopeBroken
from audit.merkle import Frontier
from audit.models import TreeHead, TreeLeaf, TreeNode
from audit.models.tree import STRIDE
from audit.signing import open_signed, sign

KIND = "application/vnd.mdlc.tree-head+json"
# An event's number is drawn before its transaction commits: look back over those that may have come in late.
LATE = 1_000
VERY_LATE = 100_000
BATCH = 10_000
LOCK = 4_801_150_926
# Leaves are narrowed as events are: nobody can tell the planner that the last leaf is near the last event, and it would
# walk through all leaves there are, each second.
NEW = """
    WITH late AS (SELECT coalesce(max(event_id), 0) - %s AS low FROM audit_treeleaf)
    SELECT event.id, event.chain, event.seq, event.hash FROM audit_auditevent AS event
    WHERE event.id > (SELECT low FROM late)
    AND NOT EXISTS (SELECT FROM audit_treeleaf AS leaf
                     WHERE leaf.event_id = event.id AND leaf.event_id > (SELECT low FROM late))
    ORDER BY event.id LIMIT %s
"""


class TreeBroken(Exception):
    """The last head is not what the site has signed, so it is not grown."""


@act
def seal(*, back: int | None = LATE) -> TreeHead | None:
    """Make leaves of new events, ten thousand at most, and sign the head over them; None when there was nothing to do.

    `back` is how many numbers of events to look back for late ones, None all. Another sealer at work is left to it.
    Raises TreeBroken when the last head is not what was signed, and KeyRetired; then nothing is sealed.
    """
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_xact_lock(%s)", [LOCK])
        if not cursor.fetchone()[0]:
            return None
        last = TreeHead.objects.order_by("-size").first()
        cursor.execute(NEW, [2**62 if back is None else back, BATCH])
        found = cursor.fetchall()
        if not found:
            return None
        cursor.execute("SELECT clock_timestamp()")
        (now,) = cursor.fetchone()
    frontier = frontier_of(last)
    _grow(frontier, found)
    return _signed(frontier, now)


def seal_all() -> TreeHead | None:
    """Seal until nothing is left, and return the last head there is."""
    for back in (LATE, None):  # looking at every event each time would cost the square of their number
        while seal(back=back):
            pass
    return TreeHead.objects.order_by("-size").first()


def frontier_of(head: TreeHead | None) -> Frontier:
    """Return the right edge of the tree under a head. Raises TreeBroken when it is not what the site has signed."""
    if head is None:
        return Frontier()
    try:
        frontier = Frontier(head.size, peaks_in(bytes(head.peaks)))
        told = orjson.loads(open_signed(KIND, head.envelope).payload)
    except (ValueError, EnvelopeBroken) as error:
        raise TreeBroken(f"The tree's head of {head.size} leaves does not hold: {error}.") from error
    if (told["size"], told["root"]) != (frontier.size, frontier.root.hex()):
        raise TreeBroken(f"The tree's head of {head.size} leaves is not what was signed.")
    return frontier


def peaks_in(joined: bytes) -> list[bytes]:
    """Return the single hashes of a column that holds several."""
    return [joined[place : place + 32] for place in range(0, len(joined), 32)]


def _grow(frontier: Frontier, found: list[tuple[Any, ...]]) -> None:
    """Append a leaf for each event, and keep the subtrees that became whole on every eighth level."""
    leaves, nodes = [], []
    for event_id, chain, seq, digest in found:
        entry = bytes(digest)
        leaves.append(TreeLeaf(place=frontier.size, event_id=event_id, chain=chain, seq=seq, hash=entry))
        nodes += [
            TreeNode(level=level, place=place, hash=whole)
            for level, place, whole in frontier.append(entry)
            if level and level % STRIDE == 0
        ]
    TreeLeaf.objects.bulk_create(leaves, batch_size=2000)
    TreeNode.objects.bulk_create(nodes)


def _signed(frontier: Frontier, now: datetime) -> TreeHead:
    payload: dict[str, Any] = {
        "head": 1,
        "site": settings.SITE_URL,
        "size": frontier.size,
        "root": frontier.root.hex(),
        "at": now.isoformat(),
    }
    envelope, key = sign(KIND, rfc8785.dumps(payload))
    return TreeHead.objects.create(
        size=frontier.size, root=frontier.root, at=now, peaks=b"".join(frontier.peaks), key=key, envelope=envelope
    )
