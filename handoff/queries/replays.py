"""Contract replays of handoffs."""

from uuid import UUID

from django.db.models import QuerySet

from audit.models import Account
from handoff.errors import Hidden
from handoff.models import Handoff, Replay
from handoff.queries.handoffs import fetch
from models_registry.models import Stream


def replays_of(user: Account, handoff_id: UUID | str) -> QuerySet[Replay]:
    """Return the replays of a handoff that an account may know of, the newest first. Raises Hidden."""
    return (
        Replay.objects.filter(handoff=fetch(user, handoff_id)).select_related("ordered_by", "job").order_by("-number")
    )


def replay_of(user: Account, handoff_id: UUID | str, number: int) -> Replay:
    """Return one replay. Raises Hidden."""
    found = replays_of(user, handoff_id).filter(number=number).first()
    if found is None:
        raise Hidden("There is no such replay.")
    return found


def sources_of(handoff: Handoff) -> dict[str, list[str]]:
    """Return the names of the sources that can be compared, of the creation and of the production environment."""
    kept = Stream.objects.filter(direction="source", retired_at=None).exclude(descriptor__transport="http")
    names = list(kept.filter(environment__in=[handoff.source_id, handoff.target_id]).values_list("environment", "slug"))
    places = {"creation": handoff.source_id, "production": handoff.target_id}
    return {side: sorted(slug for place, slug in names if place == where) for side, where in places.items()}
