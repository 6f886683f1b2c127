"""Keep what engines have counted of deployments, look by look. No act, and nothing for the trail."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from django.conf import settings
from django.db import transaction
from django.db.models import QuerySet

from handoff.executors.counting import Told
from handoff.models import Deployment, Watch
from handoff.plans import Counted
from handoff.rules.watches import came_since, counts_of, marked, read_counts, read_mark
from handoff.states import DeploymentState

WRITTEN = (
    *("began_at", "asked_at", "seen_at", "last_at", "error", "scored", "failed", "refused", "records", "buckets"),
    *("streamed", "told", "marks"),
)
SERVES = (DeploymentState.CONFIRMING, DeploymentState.LIVE)


def watched() -> QuerySet[Deployment]:
    """Return what serves: the canaries, and what is live."""
    found = Deployment.objects.filter(state__in=SERVES)
    return found.select_related("model", "version", "environment").order_by("pk")


def engines() -> dict[str, str]:
    """Return the addresses of the engines in which something serves, by name; an empty one where nobody knows it."""
    names = watched().order_by().values_list("environment__engine", flat=True).distinct()
    return {name: str(settings.ENGINE_URLS.get(name, "")) for name in names}


def keep(deployment: Deployment, told: Told, *, asked_at: datetime) -> None:
    """Add what an engine told to the watch of a deployment, or keep why it told nothing. A later look stays."""
    counted = told.versions.get((deployment.model.slug, str(deployment.version.number)))
    error = told.error or ("" if counted else f"The engine counts nothing of version {deployment.version.number}.")
    with transaction.atomic():
        first = {"began_at": asked_at, "asked_at": asked_at, "error": "not asked yet"}
        watch, new = Watch.objects.select_for_update().get_or_create(deployment=deployment, defaults=first)
        if not new and watch.asked_at >= asked_at:
            return
        watch.asked_at = asked_at
        if counted is None:
            watch.error = error[:500]
            watch.save(update_fields=["asked_at", "error"])
        else:
            _add(watch, counted, _streamed(deployment.run), asked_at)


def _add(watch: Watch, counted: Counted, streamed: int, at: datetime) -> None:
    before, now = read_counts(watch.counts()), counts_of(counted)
    last = read_counts(watch.told["counts"]) if watch.told else None
    more = came_since(last, watch.told.get("began", 0.0), now, counted.began)
    total = before + more
    if watch.seen_at is None:
        watch.began_at = at
    if more.requests or more.refused or (streamed != watch.streamed and last is not None):
        watch.last_at = at
    watch.scored, watch.failed, watch.refused, watch.records, watch.buckets = total.as_list()
    watch.seen_at, watch.error, watch.streamed = at, "", streamed
    watch.told = {"began": counted.began, "counts": now.as_list()}
    watch.marks = [mark.as_list() for mark in marked([read_mark(one) for one in watch.marks], at, total)]
    watch.save(update_fields=WRITTEN)


def _streamed(run: Mapping[str, Any]) -> int:
    """Return how many records the run of a deployment has read, as its engine told last."""
    return int((run.get("counts") or {}).get("read", 0))
