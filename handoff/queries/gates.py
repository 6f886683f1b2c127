"""The gates of a handoff as they stand now, and what somebody may do about them."""

from dataclasses import dataclass
from datetime import datetime

from audit.models import Account
from handoff.facts import Known, rules_of
from handoff.models import Handoff
from handoff.rules.duties import conflicts
from handoff.rules.gates import GateResult, evaluate
from handoff.rules.policies import GATES
from handoff.states import GATE_OF, UNDER_OFFER, State
from models_registry.roles import Role

HOMEWORK = frozenset({"answer", "fact", "score", "differences", "finding"})  # done before anybody signs
AFTER_RELEASE = (State.DEPLOYING, State.CONFIRMING, State.LIVE, State.SUPERSEDED, State.ROLLED_BACK)
PASSED: dict[str, tuple[State, ...]] = {
    "review": (State.TESTING, State.READY, *AFTER_RELEASE),
    "release": AFTER_RELEASE,
    "confirm": AFTER_RELEASE[2:],
}


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
    """Return what waits for an account in one handoff: to offer, answer, acknowledge, sign, or settle a finding."""
    owned = [
        Task("settle", one.id, one.title, handoff, due=datetime.fromisoformat(one.due))
        for one in known.facts.findings
        if one.owner == user.pk and handoff.state in (*UNDER_OFFER, State.LIVE)
    ]
    return owned + _tasks(user, handoff, known)


def _tasks(user: Account, handoff: Handoff, known: Known) -> list[Task]:
    mine = known.roles.get(user.pk, frozenset())
    if handoff.state == State.DRAFT:
        wanted = Role.DATA_SCIENTIST in mine
        return [Task("offer", "offer", "Complete and offer the draft", handoff)] if wanted else []
    if handoff.state == State.LIVE and known.facts.moved and Role.IT_OPERATIONS in mine:
        return [Task("clear", "findings", "Put right what drifted, or accept it", handoff)]
    gate = GATE_OF.get(State(handoff.state), "")
    if not gate or handoff.policy is None:
        return []
    result = evaluate(gate, rules_of(handoff), known.facts)
    homework = any(r.kind in HOMEWORK and not r.met for r in result.requirements)
    signed = any(s.person == user.pk and s.gate == gate for s in known.facts.signoffs)
    may_sign = user.is_person and not homework and not signed
    found = []
    for requirement in result.requirements:
        if requirement.met or not requirement.asks(mine):
            continue
        answer = known.facts.answers.get(requirement.key)
        said = answer is not None and not answer.reopened and any(user.pk == person for person, _, _ in answer.people)
        if requirement.kind == "answer" and not (said and requirement.by):
            found.append(Task("answer", requirement.key, requirement.title, handoff, gate))
        elif requirement.kind == "differences":
            found.append(Task("acknowledge", requirement.key, "Acknowledge undeclared differences", handoff, gate))
        elif requirement.kind == "signoff" and may_sign and requirement.turn:
            barred = all(conflicts(known.facts.chain, person=user.pk, role=role) for role in requirement.roles)
            found += [] if barred else [Task("sign", requirement.key, requirement.title, handoff, gate)]
    return found
