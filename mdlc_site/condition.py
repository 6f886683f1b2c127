"""In what condition the installation is: each part asked once, told in words, with the figures behind them."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import redis
from django.conf import settings
from django.db import DatabaseError, connection
from django.db.migrations.executor import MigrationExecutor
from django.utils import timezone
from django_celery_beat.models import PeriodicTask

from audit.models import AuditEvent, HeadAnchor, Keeping, SigningKey, TreeHead
from handoff.models import Damage, InvariantCheck, Job, Reconciliation
from handoff.queries.leavers import overdue, rules
from models_registry.models import Environment

GOOD, LATE, BAD = "good", "late", "bad"
WAITS_TOO_LONG = timedelta(minutes=1)
BEAT_SLACK = timedelta(minutes=5)  # beat writes down every three minutes when it last rang
SEALED_WITHIN = timedelta(seconds=30)
RECONCILED_WITHIN = timedelta(minutes=5)
PROVEN_WITHIN = timedelta(days=2)
ANCHORED_WITHIN = timedelta(minutes=20)  # a line is written every five minutes
CHECKED_WITHIN = timedelta(hours=3)
ROTATED_AFTER = timedelta(days=365)
CLOCKS_APART = 2.0
QUEUES = """
    SELECT queue, count(*) FILTER (WHERE state = 'queued'), min(queued_at) FILTER (WHERE state = 'queued'),
           count(*) FILTER (WHERE state = 'running'),
           count(*) FILTER (WHERE state = 'running' AND lease_until < clock_timestamp()),
           count(*) FILTER (WHERE state = 'dead' AND ended_at > clock_timestamp() - interval '1 day')
      FROM handoff_job WHERE state IN ('queued', 'running', 'dead') GROUP BY queue
"""
RELAYS = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND query = 'LISTEN job'"


@dataclass(frozen=True, slots=True)
class Part:
    """One part: whether it is as it should be, in words, and figures by name."""

    name: str
    verdict: str
    words: str
    figures: dict[str, Any] = field(default_factory=dict)


def parts() -> list[Part]:
    """Return the condition of every part. One that cannot be asked is bad, and keeps no other from being asked."""
    return [part for ask in ASKED for part in _asked(ask)]


def worst(found: list[Part]) -> str:
    """Return the worst verdict of all."""
    verdicts = {part.verdict for part in found}
    return next((one for one in (BAD, LATE) if one in verdicts), GOOD)


def _asked(ask: Callable[[], Iterator[Part]]) -> list[Part]:
    try:
        return list(ask())
    except (DatabaseError, redis.RedisError, OSError) as error:  # their own words may hold addresses
        return [Part(ask.__name__.removeprefix("_"), BAD, f"cannot be asked: {type(error).__name__}")]


def _database() -> Iterator[Part]:
    """Ask the database for its clock, and compare it with this machine's halfway through the exchange."""
    before = time.time()
    with connection.cursor() as cursor:
        cursor.execute("SELECT extract(epoch FROM clock_timestamp())::float8")
        there = float(cursor.fetchone()[0])
    after = time.time()
    apart = round(there - (before + after) / 2, 3)
    yield Part("database", GOOD, "answers", {"milliseconds": round((after - before) * 1000, 1)})
    words = f"the database's clock is {abs(apart):g} s {'ahead of' if apart > 0 else 'behind'} this machine's"
    yield Part("clocks", LATE if abs(apart) > CLOCKS_APART else GOOD, words, {"seconds": apart})


def _migrations() -> Iterator[Part]:
    executor = MigrationExecutor(connection)
    pending = [f"{one.app_label}.{one.name}" for one, _ in executor.migration_plan(executor.loader.graph.leaf_nodes())]
    words = f"{len(pending)} are pending: run manage.py migrate" if pending else "none is pending"
    yield Part("migrations", BAD if pending else GOOD, words, {"pending": pending})


def _broker() -> Iterator[Part]:
    with redis.Redis.from_url(settings.REDIS_URL, socket_connect_timeout=0.5, socket_timeout=0.5) as broker:
        broker.ping()
    yield Part("broker", GOOD, "answers")


def _relay() -> Iterator[Part]:
    with connection.cursor() as cursor:
        cursor.execute(RELAYS)
        count = int(cursor.fetchone()[0])
    words = f"{count} listening" if count else "nobody listens for new jobs"
    yield Part("relay", GOOD if count else BAD, words, {"listening": count})


def _queues() -> Iterator[Part]:
    """Give one part a queue; in one where nothing is, nothing waits."""
    with connection.cursor() as cursor:
        cursor.execute(QUEUES)
        rows = {row[0]: row[1:] for row in cursor.fetchall()}
    for queue in Job.Queue.values:
        waiting, oldest, running, out, dead = rows.get(queue, (0, None, 0, 0, 0))
        late = oldest is not None and timezone.now() - oldest > WAITS_TOO_LONG
        words = f"{waiting} waiting, {running} running, {out} without a lease, {dead} died within a day"
        figures = {"waiting": waiting, "oldest": _when(oldest), "running": running, "leases_out": out, "dead": dead}
        yield Part(f"queue {queue}", LATE if late or out or dead else GOOD, words, figures)


def _beat() -> Iterator[Part]:
    found = list(PeriodicTask.objects.filter(enabled=True).order_by("name"))
    if not found:
        yield Part("beat", BAD, "it has never run")
    for task in found:
        at = task.last_run_at
        late = None if at is None else -task.schedule.remaining_estimate(at)
        overdue = late is None or late > BEAT_SLACK
        words = "never asked for" if at is None else ("overdue" if overdue else "asked for in time")
        yield Part(f"beat: {task.name}", LATE if overdue else GOOD, words, {"last": _when(at), "task": task.task})


def _engines() -> Iterator[Part]:
    kept = {one.environment_id: one for one in Reconciliation.objects.all()}
    for place in Environment.objects.exclude(engine="").order_by("slug"):
        one = kept.get(place.pk)
        if one is None:
            yield Part(f"engine of {place.slug}", LATE, "was never asked what it serves")
            continue
        figures = {
            "asked": _when(one.asked_at),
            "answered": _when(one.answered_at),
            "differences": len(one.differences),
        }
        if one.silent_since is not None:
            yield Part(f"engine of {place.slug}", BAD, f"does not answer since {_when(one.silent_since)}", figures)
        elif one.differences:
            yield Part(f"engine of {place.slug}", BAD, "does not serve what is approved", figures)
        else:
            late = timezone.now() - one.asked_at > RECONCILED_WITHIN
            yield Part(f"engine of {place.slug}", LATE if late else GOOD, "serves what is approved", figures)


def _sealing() -> Iterator[Part]:
    """Tell how far the tree is behind the trail: events that came in since shortly before its head, and are no leaf."""
    head = TreeHead.objects.order_by("-size").first()
    recent = AuditEvent.objects.filter(leaf=None)
    recent = recent.filter(at__gt=head.at - timedelta(minutes=10)) if head else recent
    oldest = recent.order_by("at").values_list("at", flat=True).first()
    lag = timezone.now() - oldest if oldest else timedelta()
    words = f"the oldest unsealed event is {lag.total_seconds():.0f} s old" if oldest else "every event is sealed"
    figures = {"size": head.size if head else 0, "head": _when(head.at if head else None)}
    yield Part("sealing", BAD if lag > SEALED_WITHIN else GOOD, words, figures)


def _anchors() -> Iterator[Part]:
    for place in (*settings.ANCHOR_WEBHOOKS, *settings.TIME_STAMPS):
        last = HeadAnchor.objects.filter(place=place).order_by("-at").first()
        behind = last is None or timezone.now() - last.at > timedelta(days=1)
        words = "has never taken a head" if last is None else f"took the head of {last.head_id:,} events"
        yield Part(f"anchor {place}", LATE if behind else GOOD, words, {"at": _when(last.at if last else None)})


def _keeping() -> Iterator[Part]:
    kept = {one.kind: one for one in Keeping.objects.all()}
    for kind in Keeping.Kind:
        one = kept.get(kind)
        if one is None:
            yield Part(str(kind.label), LATE, "was never done")
            continue
        late = timezone.now() - one.at > (ANCHORED_WITHIN if kind == Keeping.Kind.ANCHORS else PROVEN_WITHIN)
        words = "all is whole" if one.whole else one.words or "something is not whole"
        if late and one.whole:
            words = f"was last done on {one.at:%-d %B %Y, %H:%M} UTC, which is too long ago"
        yield Part(
            str(kind.label), LATE if late and one.whole else GOOD if one.whole else BAD, words, {"at": _when(one.at)}
        )
    damaged = Damage.objects.filter(mended_at=None).count()
    yield Part("stored evidence", BAD if damaged else GOOD, f"{damaged} files are damaged", {"damaged": damaged})


def _invariants() -> Iterator[Part]:
    last = InvariantCheck.objects.first()
    if last is None:
        yield Part("invariants", LATE, "were never checked")
        return
    late = timezone.now() - last.began_at > CHECKED_WITHIN
    broken = sorted({row["invariant"] for row in last.violations})
    words = (
        f"{', '.join(broken)} broken, {len(last.violations)} times" if broken else f"all {len(last.invariants)} hold"
    )
    figures = {"at": _when(last.began_at), "seconds": round(last.seconds, 2), "violations": len(last.violations)}
    yield Part("invariants", BAD if broken else LATE if late else GOOD, words, figures)


def _names() -> Iterator[Part]:
    """Tell of names that should have gone; where names only go by hand there is nothing to tell."""
    if rules().by_themselves:
        count = overdue()
        words = f"{count} should have gone: see what they answer for" if count else "none is overdue"
        yield Part("names of leavers", LATE if count else GOOD, words, {"overdue": count})


def _signing_key() -> Iterator[Part]:
    key = SigningKey.objects.filter(retired_at=None).order_by("-registered_at").first()
    if key is None:
        yield Part("signing key", LATE, "none has signed yet")
        return
    due = key.registered_at + ROTATED_AFTER
    words = f"{(timezone.now() - key.registered_at).days} days old, to be rotated on {due:%Y-%m-%d}"
    yield Part("signing key", LATE if due < timezone.now() else GOOD, words, {"key": str(key), "due": _when(due)})


def _when(at: datetime | None) -> str | None:
    return at.isoformat(timespec="seconds") if at else None


ASKED: tuple[Callable[[], Iterator[Part]], ...] = (
    _database, _migrations, _broker, _relay, _queues, _beat, _engines, _sealing, _anchors, _keeping,
    _invariants, _names, _signing_key,
)  # fmt: skip
