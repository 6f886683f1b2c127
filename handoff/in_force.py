"""The bindings that are in force for a handoff: the one place where they are read by whoever runs what is live."""

from typing import Any

from handoff.models import Handoff


def bindings_of(handoff: Handoff) -> dict[str, Any]:
    """Return the bindings of a handoff that are in force now."""
    return dict(handoff.bindings)
