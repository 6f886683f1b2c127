"""Whether what a contract replay compared is still what is there."""

from collections.abc import Iterable

from handoff.models import Handoff, Replay
from models_registry.models import Stream


def moved_since(handoff: Handoff, replays: Iterable[Replay]) -> dict[int, list[str]]:
    """Return, by number of a replay, the sources that are not what was compared any more."""
    now = {
        (one.environment_id, one.slug): one.digest
        for one in Stream.objects.filter(environment__in=[handoff.source_id, handoff.target_id], retired_at=None)
    }
    found = {}
    for one in replays:
        sides = ((handoff.source_id, one.creation), (handoff.target_id, one.production))
        found[one.number] = [
            side["stream"] for place, side in sides if now.get((place, side["stream"])) != side["digest"]
        ]
    return found
