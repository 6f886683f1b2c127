"""Waivers as the page of a handoff shows them, each with the forms of what the reader may do about it."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.utils import timezone

from audit.models import Account
from handoff.facts import Known
from handoff.models import Handoff, Waiver
from handoff.rules.duties import conflicts
from handoff.rules.gates import GateResult
from handoff.rules.policies import PolicyRules
from handoff.states import GATE_OF, State
from handoff.web.doors import Choice, Form
from models_registry.roles import Role


@dataclass(frozen=True, slots=True)
class WaiverRow:
    """A waiver. `may` names what the reader may do: answer, withdraw or revoke."""

    waiver: Waiver
    title: str
    state: str
    may: tuple[str, ...]
    form: Form | None


def waivers_context(
    handoff: Handoff,
    user: Account,
    known: Known,
    rules: PolicyRules | None,
    results: Iterable[GateResult],
    form: Form | None,
) -> dict[str, Any]:
    """Return what the page says of waivers; nothing where the policy allows none."""
    if rules is None or not rules.waivers.approver or handoff.state == State.DRAFT:
        return {"waivers": [], "waivable": [], "may_ask": False}
    found = handoff.waivers.select_related("asked_by__responsible", "answered_by", "revoked_by")
    titles = {r.key: r.title for result in results for r in result.requirements}
    typed = form.typed if form and form.name == "ask" else {}
    waivable = _waivable(handoff, rules, known, results, str(typed.get("requirement", "")))
    today = timezone.localdate()
    return {
        "waivers": [_row(one, user, known, rules, titles, form) for one in found],
        "waivable": waivable,
        "may_ask": bool(waivable),
        "waiver_role": str(Role(rules.waivers.approver).label),
        "waiver_first": today.isoformat(),
        "waiver_last": (today + timedelta(days=rules.waivers.max_days)).isoformat(),
    }


def _row(
    waiver: Waiver, user: Account, known: Known, rules: PolicyRules, titles: dict[str, str], form: Form | None
) -> WaiverRow:
    approves = known.holds(user.pk, rules.waivers.approver) and user.is_person
    chain, asker = known.facts.chain, waiver.asked_by.natural_person_id
    mine = asker == user.natural_person_id
    barred = conflicts(chain, person=user.pk, role=rules.waivers.approver) or asker in chain.people(
        chain.delegator(rules.waivers.approver, user.pk)
    )
    may: list[str] = []
    if waiver.state == "open":
        may += ["withdraw"] if mine else ["answer"] if approves and not barred else []
    elif waiver.state == "approved" and approves:
        may.append("revoke")
    refused = form if form and form.name == "waiver" and form.about == str(waiver.pk) else None
    title = titles.get(waiver.requirement, f"Promotion test: {waiver.requirement}")
    return WaiverRow(waiver, title, waiver.state, tuple(may), refused)


def _waivable(
    handoff: Handoff, rules: PolicyRules, known: Known, results: Iterable[GateResult], chosen: str
) -> list[Choice]:
    """Return what can be waived now: open items of the gate under way, tests before they have ended, what ended."""
    gate = GATE_OF.get(State(handoff.state), "")
    open_ = {f"{one.kind}:{one.requirement}" for one in handoff.waivers.filter(answer="")}
    keys = {
        f"item:{r.key}": r.title
        for result in results
        if result.gate == gate
        for r in result.missing
        if r.kind in ("answer", "fact")
    }
    if handoff.state in (State.IN_REVIEW, State.TESTING):
        keys |= {f"test:{kind}": f"Promotion test: {kind}" for kind in rules.tests}
    if handoff.state == State.LIVE:
        titles = {r.key: r.title for result in results for r in result.requirements}
        keys = {key: titles.get(key.partition(":")[2], key) for key in known.facts.waivers}
    rows = [(key, title) for key, title in keys.items() if key not in open_ and not _in_force(known, key)]
    return [Choice(key, title, key == chosen) for key, title in rows]


def _in_force(known: Known, key: str) -> bool:
    waiver = known.facts.waivers.get(key)
    return waiver is not None and waiver.counts
