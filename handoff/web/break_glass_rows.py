"""Break-glass as the page of a handoff shows it: what is on record, and the form to ask."""

from dataclasses import dataclass
from typing import Any

from audit.models import Account
from handoff.models import BreakGlass
from handoff.queries.handoffs import HandoffView
from handoff.queries.rollbacks import comes_back_only_by_break_glass
from handoff.rules.policies import PolicyRules
from handoff.rules.seats import title_of
from handoff.services.break_glass import ASKED_IN
from handoff.states import BreakGlassState, State
from handoff.web.doors import Form

TONES = {"regularised": "good", "withdrawn": "", "lapsed": "", "asked": "wait"}


@dataclass(frozen=True, slots=True)
class BreakGlassRow:
    """A break-glass, the tone of its badge, and whether the reader may take the request back."""

    glass: BreakGlass
    tone: str
    may_withdraw: bool


def break_glass_context(
    view: HandoffView, user: Account, rules: PolicyRules | None, form: Form | None
) -> dict[str, Any]:
    """Return what the page says of break-glass; nothing where there is none and the policy knows none."""
    handoff = view.handoff
    allowed = rules.break_glass if rules is not None and handoff.policy is not None else None
    rows = [_row(one, user) for one in view.break_glass]
    waiting = any(one.glass.ended_at is None for one in rows)
    may = allowed is not None and bool(allowed.roles) and handoff.state in ASKED_IN and not waiting
    if may and handoff.state == State.SUPERSEDED:
        may = comes_back_only_by_break_glass(handoff)
    return {
        "break_glass": rows,
        "broken": next((one.glass for one in rows if one.glass.confirmed_by_id), None),
        "may_break_glass": may and user.is_person,
        "break_glass_form": form if form and form.name == "glass" else None,
        "break_glass_roles": " or ".join(title_of(role) for role in allowed.roles) if allowed else "",
        "break_glass_rules": allowed,
    }


def _row(glass: BreakGlass, user: Account) -> BreakGlassRow:
    mine = glass.asked_by.natural_person_id == user.natural_person_id
    return BreakGlassRow(glass, TONES.get(glass.state, "bad"), mine and glass.state == BreakGlassState.ASKED)
