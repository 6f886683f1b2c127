"""The gates of a handoff as they stand now, and what somebody may do about them."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta

from django.utils import timezone

from audit.models import Account
from handoff.facts import Known, rules_of
from handoff.models import Handoff
from handoff.rules.approvals import changed_in, taken_now, to_attest
from handoff.rules.break_glass import role_for, same_people
from handoff.rules.duties import conflicts
from handoff.rules.gates import APPROVALS, GateResult, evaluate
from handoff.rules.lapses import asked_again
from handoff.rules.policies import GATES
from handoff.rules.waivers import ends_soon
from handoff.states import GATE_OF, PASSED, UNDER_OFFER, BreakGlassState, State
from handoff.suspending import passed_by
from models_registry.roles import Role

ESCALATED = timedelta(days=14)  # before a condition is due that stops what is live
HOMEWORK = frozenset({"answer", "fact", "score", "differences", "finding"})  # done before anybody signs


@dataclass(frozen=True, slots=True)
class GateView:
    """A gate as it is shown: passed, under way or ahead, and its requirements."""

    name: str
    status: str
    result: GateResult


@dataclass(frozen=True, slots=True)
class Task:
    """Something that waits for one person in one handoff."""

    kind: str
    key: str
    title: str
    handoff: Handoff
    gate: str = ""
    due: datetime | None = None
    note: str = ""


def gates_of(handoff: Handoff, known: Known) -> list[GateView]:
    """Return the gates that the policy names, in order; none for a draft."""
    if handoff.policy is None:
        return []
    rules = rules_of(handoff)
    now = GATE_OF.get(State(handoff.state), "")
    views = []
    for name in GATES:
        if name in rules.gates:
            status = "passed" if handoff.state in PASSED[name] else ("now" if name == now else "ahead")
            judged = rules.timeless() if status == "passed" else rules  # a window that closed afterwards is no matter
            views.append(GateView(name, status, evaluate(name, judged, known.facts)))
    return views


def tasks_for(user: Account, handoff: Handoff, known: Known) -> list[Task]:
    """Return what waits for an account in one handoff: to offer, answer, acknowledge, sign or settle."""
    owned = [
        Task("settle", one.id, one.title, handoff, due=datetime.fromisoformat(one.due))
        for one in known.facts.findings
        if one.owner == user.pk and handoff.state in (*UNDER_OFFER, State.LIVE)
    ]
    return (
        owned + _of_waivers(user, handoff, known) + _of_break_glass(user, handoff, known) + _tasks(user, handoff, known)
    )


def _of_waivers(user: Account, handoff: Handoff, known: Known) -> list[Task]:
    """Return the waivers that wait for an account's answer, and those that end soon, for who asked and who approves."""
    if (
        handoff.policy is None
        or not rules_of(handoff).waivers.approver
        or handoff.state not in (*UNDER_OFFER, State.LIVE)
    ):
        return []
    rules, facts = rules_of(handoff).waivers, known.facts
    approves = known.holds(user.pk, rules.approver) and user.is_person
    asked = facts.waivers_asked if approves and not conflicts(facts.chain, person=user.pk, role=rules.approver) else {}
    people = facts.chain.seat(rules.approver, user.pk)
    found = [
        Task("waiver", pk, "Approve a waiver, or refuse it", handoff) for pk, who in asked.items() if who not in people
    ]
    today = timezone.localdate()
    for waiver in facts.waivers.values():
        if ends_soon(waiver, today, rules.warn_days) and (approves or waiver.asked_by == user.pk):
            due = timezone.make_aware(datetime.combine(date.fromisoformat(waiver.until), time(23, 59, 59)))
            found.append(Task("renew", waiver.id, "A waiver ends: meet the requirement, or ask anew", handoff, due=due))
    return found


def _of_break_glass(user: Account, handoff: Handoff, known: Known) -> list[Task]:
    """Return the break-glass that somebody may confirm, or leave."""
    asked = [one for one in known.glass if one.state == BreakGlassState.ASKED]
    if not asked or handoff.state not in (*GATE_OF, State.SUPERSEDED) or not user.is_person:
        return []
    rules = rules_of(handoff).break_glass
    if not role_for(known.facts, rules, user.pk):
        return []
    return [
        Task("glass", one.id, f"Confirm break-glass, or leave it: {one.incident}", handoff, due=due)
        for one in asked
        if not same_people(known.facts, rules.roles, one.asker, user.pk)
        and (due := datetime.fromisoformat(one.confirm_by)) > timezone.now()
    ]


def _tasks(user: Account, handoff: Handoff, known: Known) -> list[Task]:
    mine = known.roles.get(user.pk, frozenset())
    if handoff.state == State.DRAFT:
        wanted = Role.DATA_SCIENTIST in mine
        return [Task("offer", "offer", "Complete and offer the draft", handoff)] if wanted else []
    if handoff.policy is None:
        return []
    found = _at_the_gate(user, handoff, known, mine)
    found += _missing_again(user, handoff, known, mine)
    if handoff.state == State.LIVE:
        found += _of_live(user, handoff, known, mine)
    return found + _conditions(user, handoff, known, mine)


def _at_the_gate(user: Account, handoff: Handoff, known: Known, mine: Collection[str]) -> list[Task]:
    """Return what the gate under way asks of somebody."""
    gate = GATE_OF.get(State(handoff.state), "")
    if not gate:
        return []
    result = evaluate(gate, rules_of(handoff), known.facts)
    homework = any(r.kind in HOMEWORK and not r.met for r in result.requirements)
    found, told = [], False
    for requirement in result.requirements:
        if requirement.met or not requirement.asks(mine):
            continue
        answer = known.facts.answers.get(requirement.key)
        said = answer is not None and not answer.reopened and any(user.pk == person for person, _, _ in answer.people)
        if requirement.kind == "answer" and not (said and requirement.by):
            found.append(Task("answer", requirement.key, requirement.title, handoff, gate))
        elif requirement.kind == "differences":
            found.append(Task("acknowledge", requirement.key, "Acknowledge undeclared differences", handoff, gate))
        elif requirement.kind == "signoff" and not homework and requirement.turn:
            if not _may_sign(user, known, gate, requirement.roles):
                continue
            note, told = _voided(user, known, gate), True
            found.append(Task("sign", requirement.key, requirement.title, handoff, gate, note=note))
    note = "" if told or _signed(known, gate, known.facts.chain.people(user.pk)) else _voided(user, known, gate)
    if note:
        found.append(Task("voided", "signoffs", "Read why your sign-off was voided", handoff, gate, note=note))
    return found


def _missing_again(user: Account, handoff: Handoff, known: Known, mine: Collection[str]) -> list[Task]:
    """Return the sign-offs of gates that have opened which are missing again, and that somebody may give.

    None of a version that goes back already: they would come too late.
    """
    if any(one.state == BreakGlassState.OVERDUE for one in known.glass):
        return []
    taken = taken_now(rules_of(handoff), known.facts, "", passed_by(handoff))
    attested = to_attest(rules_of(handoff), known.facts, passed_by(handoff))
    emergency = known.emergency
    found = []
    for key, (gate, rule) in taken.items():
        if not any(role in mine for role in rule.roles) or not _may_sign(user, known, gate, rule.roles):
            continue
        word, due, note = "Sign again", None, _voided(user, known, gate)
        if emergency:
            word, due = "Sign", datetime.fromisoformat(emergency.until)
            note = f"Deployed by break-glass for {emergency.incident}; without it, it is rolled back."
        elif again := attested.get(key):
            due, note = datetime.fromisoformat(again.due), f"It is to be approved anew, for {again.because}."
        found.append(Task("sign", key, f"{word}: {rule.meaning}", handoff, gate, due, note))
    return found


def _may_sign(user: Account, known: Known, gate: str, roles: Sequence[str]) -> bool:
    chain = known.facts.chain
    free = any(
        not conflicts(chain, person=user.pk, role=role) and not _signed(known, gate, chain.seat(role, user.pk))
        for role in roles
    )
    return user.is_person and free


def _signed(known: Known, gate: str, mine: frozenset[int]) -> bool:
    """Tell whether an approval of one of some persons stands at a gate, over what is there now, and is not due anew."""
    chain = known.facts.chain
    return any(
        s.gate == gate
        and s.decision in APPROVALS
        and chain.people(s.person, s.behalf) & mine
        and not changed_in(s, known.facts)
        and not asked_again(s, known.facts.now)
        for s in known.facts.signoffs
    )


def _voided(user: Account, known: Known, gate: str) -> str:
    """Return why the last sign-off of somebody at a gate does not count any more, if it was not their wish."""
    mine = [one for one in known.ended if one.person == user.pk and one.gate == gate and one.ending != "revoked"]
    return f"Your sign-off was voided because {mine[-1].because}." if mine else ""


def _conditions(user: Account, handoff: Handoff, known: Known, mine: Collection[str]) -> list[Task]:
    """Return the conditions that somebody has to meet, or whose evidence they may judge."""
    found = []
    for signoff in known.facts.signoffs:
        judges = signoff.role in mine and not conflicts(known.facts.chain, person=user.pk, role=signoff.role)
        for one in signoff.conditions:
            if one.reported and judges and one.owner != user.pk:
                kind, title = "judge", f"Accept that a condition is met: {one.text}"
            elif not one.reported and one.owner == user.pk:
                kind, title = "condition", f"Show that a condition is met: {one.text}"
            else:
                continue
            due = datetime.fromisoformat(one.due)
            note = f"Of the approval of {signoff.name}."
            found.append(Task(kind, one.id, title, handoff, signoff.gate, due, note))
    return found


def _of_live(user: Account, handoff: Handoff, known: Known, mine: frozenset[str]) -> list[Task]:
    """Return what waits for an account in what is live: what drifted, and amendments to sign."""
    found = []
    if known.facts.moved and Role.IT_OPERATIONS in mine:
        found.append(Task("clear", "findings", "Put right what drifted, or accept it", handoff))
    if Role.IT_OPERATIONS in mine and rules_of(handoff).lapses == "stop":
        found += _about_to_stop(handoff, known)
    open_ = [one for one in known.amendments if user.is_person and one.waits_for(user.pk, mine, known.facts.chain)]
    found += [Task("amend", one.key, f"Sign amendment {one.number}: {one.reason[:200]}", handoff) for one in open_]
    return found


def _about_to_stop(handoff: Handoff, known: Known) -> list[Task]:
    """Return what ends soon, and then stops what is live, for those who run it: whoever else is asked already."""
    rules, now = rules_of(handoff).waivers, timezone.now()
    ends = {
        one.id: ("A waiver", datetime.combine(date.fromisoformat(one.until), time(23, 59, 59), now.tzinfo))
        for one in known.facts.waivers.values()
        if rules.approver and ends_soon(one, timezone.localdate(), rules.warn_days)
    }
    ends |= {
        one.id: (f"The condition “{one.text[:120]}”", due)
        for signoff in known.facts.signoffs
        for one in signoff.conditions
        if (due := datetime.fromisoformat(one.due)) - now <= ESCALATED
    }
    title = "{} runs out, and then the version is stopped"
    return [Task("stops", key, title.format(what), handoff, due=due) for key, (what, due) in ends.items()]
