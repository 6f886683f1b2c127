"""Measures the proof of the trail beside reading the same bytes without proving anything: `python -m benchmarks.audit`.

Needs DATABASE_URL of a database that may be filled; the events it writes stay (the trail has no eraser), so give it a
database of its own.
"""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Callable

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "mdlc_site.settings")
django.setup()  # before anything that needs models

from django.db import connection  # noqa: E402

from audit.models import AuditEvent  # noqa: E402
from audit.verification import packed_events, verify  # noqa: E402
from benchmarks.table import Row, printed  # noqa: E402

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
    """Write events through the trigger unless enough are there; return how many a second were written."""
    missing = events - AuditEvent.objects.count()
    if missing <= 0:
        return 0.0
    began = time.perf_counter()
    with connection.cursor() as cursor:
        cursor.execute("SET statement_timeout = 0")
        cursor.execute(FILL, [A_CHAIN, missing])
        seconds = time.perf_counter() - began
        cursor.execute("VACUUM ANALYZE audit_auditevent")
    return missing / seconds


def rate(work: Callable[[], object]) -> float:
    """Return how many events a second the work goes through: the median of several rounds."""
    events = AuditEvent.objects.count()
    seconds = []
    for _ in range(ROUNDS):
        began = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - began)
    return events / statistics.median(seconds)


def rows() -> list[Row]:
    """Return the figures of writing and of proving."""
    written = fill()
    read = rate(lambda: [len(packed) for _, packed in packed_events(None)])
    proven = rate(verify)
    if not verify().whole:
        raise RuntimeError("the trail is broken: its figures mean nothing")
    found = [
        Row(
            "prove the trail",
            f"{proven:,.0f} events/s",
            f"reading it {read:,.0f} events/s",
            proven / read,
            f"{GOAL:,} events/s",
            proven >= GOAL,
        )
    ]
    if written:
        found.append(Row("append in one statement", f"{written:,.0f} events/s", "", None))
    return found


if __name__ == "__main__":
    print(printed(rows(), f"The audit trail, {EVENTS:,} events in chains of {A_CHAIN}"))
