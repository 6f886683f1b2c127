"""Break-glass: what was on record, the sheet of what is to be confirmed, and the mark that stays in lists."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from django.db.models import QuerySet

from audit.models import Account
from handoff.emergencies import stepped_over, unsigned
from handoff.errors import Hidden
from handoff.facts import Known, known_of, rules_of
from handoff.models import BreakGlass, Handoff
from handoff.queries.handoffs import fetch
from handoff.rules.break_glass import BreakGlassRules, role_for, same_people, scope_of
from handoff.rules.duties import conflicts
from handoff.rules.scopes import digest, in_order, word_of
from handoff.states import GATE_OF, BreakGlassState, State


@dataclass(frozen=True, slots=True)
class BreakGlassSheet:
    """One break-glass with what is missing now; while it is asked for, with all that a confirmation covers.

    `barred` is why the reader may not confirm; `seen` the digest to send back with the confirmation.
    """

    handoff: Handoff
    row: BreakGlass
    rules: BreakGlassRules
    role: str
    parts: tuple[tuple[str, str, str], ...]
    seen: str
    missing: tuple[str, ...]
    barred: tuple[str, ...]
    signs_as: str


def listed(user: Account, handoff_id: UUID | str) -> QuerySet[BreakGlass]:
    """Return the break-glass of a handoff that an account may know of. Raises Hidden."""
    found = BreakGlass.objects.filter(handoff=fetch(user, handoff_id))
    return found.select_related("asked_by", "confirmed_by")


def sheet_for(user: Account, handoff_id: UUID | str, break_glass_id: UUID | str) -> BreakGlassSheet:
    """Return one break-glass as an account sees it. Raises Hidden."""
    handoff = fetch(user, handoff_id)
    row = handoff.break_glass.select_related("asked_by", "confirmed_by").filter(pk=break_glass_id).first()
    if row is None:
        raise Hidden("There is no such break-glass.")
    known, rules = known_of(handoff), rules_of(handoff).break_glass
    asked = row.state == BreakGlassState.ASKED
    told = stepped_over(handoff, known) if asked else row.missing
    gate = GATE_OF.get(State(handoff.state), row.gate)
    scope = scope_of(gate, known.facts.parts, row.asked(), told, rules) if asked else row.scope
    role = role_for(known.facts, rules, user.pk) or (rules.roles or ("",))[0]
    missing = [one["title"] for one in told] if asked else unsigned(row, handoff, known)
    return BreakGlassSheet(
        handoff=handoff,
        row=row,
        rules=rules,
        role=role,
        parts=tuple((name, word_of(name), scope[name]) for name in in_order(scope)),
        seen=digest(scope),
        missing=tuple(missing),
        barred=_barred(user, known, rules, row) if asked else (),
        signs_as=known.facts.chain.printed_name(role, user.pk, user.printed_name),
    )


def _barred(user: Account, known: Known, rules: BreakGlassRules, row: BreakGlass) -> tuple[str, ...]:
    held: Sequence[str] = [role for role in rules.roles if known.holds(user.pk, role)]
    if not held or not user.is_person:
        return ("you do not hold a role that confirms here",)
    if same_people(known.facts, rules.roles, row.asked_by_id, user.pk):
        return ("you asked for it, or one of you stands in for the other",)
    if role_for(known.facts, rules, user.pk):
        return ()
    return tuple(f"you {act}" for act in conflicts(known.facts.chain, person=user.pk, role=held[0]))
