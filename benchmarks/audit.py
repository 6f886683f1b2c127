"""Measures the proof of the trail beside reading the same bytes without proving anything: `python -m benchmarks.audit`.

The events are written through the trigger that numbers and hashes them, into a database of the benchmark's own.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from benchmarks.stack import servers
from benchmarks.table import Row, printed

EVENTS = 200_000
A_CHAIN = 40
ROUNDS = 5
GOAL = 400_000
FILL = """
    INSERT INTO audit_auditevent (chain, seq, at, action, actor_kind, actor_label, subject, body, previous, hash)
    SELECT chain, 0, now(), 'answer.given', 'worker', 'bench', chain,
        '{"action":"answer.given","actor":{"id":null,"kind":"worker","label":"bench","via":"worker"},"chain":"' || chain
        || '","data":{"answer":"yes","item":"' || md5(number::text)
        || '","note":"the figures were read and compared with those of the version before"},"reason":"","subject":"'
        || chain || '"}', '', ''
    FROM (SELECT number, 'handoff:' || md5((number / %s)::text)::uuid AS chain FROM generate_series(1, %s) AS number) t
"""


def fill(events: int = EVENTS) -> float:
    """Write events through the trigger; return how many a second were written."""
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute("SET statement_timeout = 0")
        began = time.perf_counter()
        cursor.execute(FILL, [A_CHAIN, events])
        seconds = time.perf_counter() - began
        cursor.execute("VACUUM ANALYZE audit_auditevent")
    return events / seconds


def rate(work: Callable[[], object]) -> float:
    """Return how many events a second the work goes through: the median of several rounds."""
    seconds = []
    for _ in range(ROUNDS):
        began = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - began)
    return EVENTS / statistics.median(seconds)


def rows() -> list[Row]:
    """Return the figures of writing and of proving."""
    with tempfile.TemporaryDirectory() as name, servers(Path(name)):
        from audit.sealing import seal_all
        from audit.tree_verification import verify_tree
        from audit.verification import packed_events, verify, verify_between

        written = fill()
        began = time.perf_counter()
        seal_all()
        sealed = EVENTS / (time.perf_counter() - began)
        tree = rate(verify_tree)
        read = rate(lambda: [len(packed) for _, packed in packed_events(None)])
        proven = rate(verify)
        if not verify().whole:
            raise RuntimeError("the trail is broken: its figures mean nothing")
        since = verify_tree().proven
        fill(A_CHAIN)
        seal_all()
        began = time.perf_counter()
        newest = verify_tree(since).proven
        proven_anew = verify_between(since.size, newest.size).events
        again = time.perf_counter() - began
    return [
        Row(
            "prove the trail",
            f"{proven:,.0f} events/s",
            f"reading it {read:,.0f} events/s",
            proven / read,
            f"{GOAL:,} events/s",
            proven >= GOAL,
        ),
        Row("prove the tree over it, its heads and leaves", f"{tree:,.0f} events/s", "", None),
        Row(f"prove the {proven_anew} events that are new", f"{again * 1000:,.1f} ms", "", None),
        Row("seal events under heads, ten thousand each", f"{sealed:,.0f} events/s", "", None),
        Row("append to the trail, in one statement", f"{written:,.0f} events/s", "", None),
    ]


if __name__ == "__main__":
    print(printed(rows(), f"The audit trail, {EVENTS:,} events in chains of {A_CHAIN}"))
