"""What a person is shown before a handoff adopts the policies that are published now."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from audit.models import Account
from handoff.facts import known_of, rules_of
from handoff.models import Handoff, PolicyRevision
from handoff.queries.handoffs import fetch
from handoff.readiness import adoptable, barred_from_adopting
from handoff.rules.gates import SignOffFact
from handoff.rules.policies import parse
from handoff.rules.policy_changes import Changes, changes, demands
from handoff.states import State
from models_registry.roles import Role


@dataclass(frozen=True, slots=True)
class AdoptionSheet:
    """What would be asked otherwise, what is missing, what is voided, and why the reader may not sign.

    `idle` says why there is nothing to adopt; then all else is empty. `signs_as` is the reader's printed name.
    """

    handoff: Handoff
    revisions: tuple[PolicyRevision, ...]
    changes: Changes
    missing: dict[str, str]
    voids: tuple[SignOffFact, ...]
    expires_at: datetime | None
    barred: tuple[str, ...]
    seen: str
    idle: str = ""
    signs_as: str = ""


def adoption_sheet(user: Account, handoff_id: UUID | str) -> AdoptionSheet:
    """Return what a handoff in review would adopt, or that there is nothing to adopt. Raises Hidden."""
    handoff = fetch(user, handoff_id)
    known = known_of(handoff)
    found = adoptable(handoff, known) if handoff.state == State.IN_REVIEW else None
    if found is None or found.offer.policy is None:
        idle = "It has the policies that are published now."
        if handoff.state != State.IN_REVIEW:
            idle = f"A handoff that is {State(handoff.state).label} adopts no policy."
        return AdoptionSheet(handoff, (), Changes(), {}, (), handoff.expires_at, (), "", idle)
    kind, tier = handoff.target.kind, handoff.model.risk_tier
    barred = list(barred_from_adopting(user, known))
    if not any(known.holds(user.pk, role) for role in (Role.VALIDATOR, Role.RISK_COMPLIANCE)):
        barred.insert(0, "hold neither the validator's role nor that of risk and compliance")
    return AdoptionSheet(
        handoff=handoff,
        revisions=found.offer.revisions,
        changes=changes(demands(rules_of(handoff), kind, tier), demands(parse(found.offer.policy), kind, tier)),
        missing=found.offer.missing,
        voids=known.facts.signoffs,
        expires_at=found.expires_at,
        barred=tuple(barred),
        seen=found.seen,
        signs_as=user.printed_name,
    )
