"""To which version one would go back from what is live, and whether it stands approved."""

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from audit.models import Account
from handoff.emergencies import for_rollback
from handoff.facts import rules_of
from handoff.going_live import previous_of, serves_instead
from handoff.models import BreakGlass, Deployment, Handoff
from handoff.queries.deployments import fetch
from handoff.rules.standing import Standing
from handoff.standing import standing_of
from handoff.states import DeploymentState

NOTHING = ("deployment", "handoff", "version", "until", "break_glass_until")
NOWHERE = {"stands": False, "ends_first": "", "missing": [], "break_glass_allowed": False}


@dataclass(frozen=True, slots=True)
class WayBack:
    """The version before, whether it stands approved, and the break-glass that is in force for going back to it."""

    previous: Deployment
    standing: Standing
    glass: BreakGlass | None
    breakable: bool

    @property
    def open(self) -> bool:
        """Tell whether one may go back."""
        return self.standing.stands or self.glass is not None

    def as_dict(self) -> dict[str, Any]:
        """Return plain data for a client."""
        return {
            "deployment": self.previous.pk,
            "handoff": self.previous.handoff_id,
            "version": self.previous.version.number,
            **self.standing.as_dict(),
            "break_glass_until": self.glass.until if self.glass else None,
            "break_glass_allowed": self.breakable,
        }


def way_back(deployment: Deployment) -> WayBack | None:
    """Return to which version one would go back from a live deployment; None where there is none."""
    previous = previous_of(deployment) if deployment.state == DeploymentState.LIVE else None
    if previous is None:
        return None
    standing = standing_of(previous.handoff)
    breakable = bool(rules_of(previous.handoff).break_glass.roles)
    return WayBack(previous, standing, None if standing.stands else for_rollback(previous.handoff), breakable)


def fetched(user: Account, deployment_id: UUID | str) -> dict[str, Any]:
    """Return the way back from a deployment that an account may know of; empty where there is none. Raises Hidden."""
    found = way_back(fetch(user, deployment_id))
    return found.as_dict() if found else dict.fromkeys(NOTHING) | NOWHERE


def comes_back_only_by_break_glass(handoff: Handoff) -> bool:
    """Tell whether one would go back to the version of a handoff, and its approval has run out."""
    return serves_instead(handoff) is not None and not standing_of(handoff).stands
