"""Move a handoff along the list of legal moves, and record it."""

from django.db.models import F
from django.db.models.functions import Now

from audit.actors import Actor
from audit.trail import record
from handoff.errors import WrongState
from handoff.models import Handoff
from handoff.states import MOVES, State


def chain_of(handoff: Handoff) -> str:
    """Return the name of the chain that tells a handoff's story."""
    return f"handoff:{handoff.pk}"


def move(handoff: Handoff, to: State, *, actor: Actor, because: str = "") -> None:
    """Change the state of a handoff that the caller has locked. Raises WrongState for a move that is not legal."""
    came_from = State(handoff.state)
    if to not in MOVES[came_from]:
        raise WrongState(f"A handoff that is {came_from.label} cannot become {to.label}.")
    handoff.state = to
    handoff.revision += 1
    Handoff.objects.filter(pk=handoff.pk, state=came_from).update(state=to, moved_at=Now(), revision=F("revision") + 1)
    record(
        "handoff.moved",
        actor=actor,
        on=handoff,
        chain=chain_of(handoff),
        data={"from": came_from, "to": to},
        reason=because,
    )
