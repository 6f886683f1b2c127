"""Whether a gate is open, why not, and who can clear it: one pure function from recorded facts."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from handoff.rules.checklists import ChecklistItem
from handoff.rules.duties import Chain, conflicts
from handoff.rules.policies import GATES, Gate, PolicyRules, SignOffRule
from handoff.rules.scopes import scope_for, touched


@dataclass(frozen=True, slots=True)
class AnswerFact:
    """The latest answer to an item. `evidence` names the kinds that were attached."""

    choice: str
    person: int
    evidence: tuple[str, ...] = ()
    entitled: bool = True


@dataclass(frozen=True, slots=True)
class SignOffFact:
    """One unvoided sign-off. `entitled` says whether the signer holds the role now and may log in."""

    id: str
    gate: str
    requirement: str
    role: str
    person: int
    name: str
    decision: str
    meaning: str
    scope: Mapping[str, str]
    entitled: bool


@dataclass(frozen=True, slots=True)
class TestFact:
    """The result of one promotion test, for one version digest."""

    __test__ = False

    verdict: str
    digest: str


@dataclass(frozen=True, slots=True)
class Facts:
    """All that a gate is judged on. `holders` maps a role to the people who hold it now, by key and name.

    `differences` are those that must be acknowledged, `answering` the roles that must do so; `moved` is what
    came in the way since the report was signed: what a finding says, or what a worker sees for itself.
    """

    version: str
    parts: Mapping[str, str]
    differences: tuple[str, ...] = ()
    answering: Mapping[str, str] = field(default_factory=dict)
    moved: Mapping[str, str] = field(default_factory=dict)
    answers: Mapping[str, AnswerFact] = field(default_factory=dict)
    acknowledged: Mapping[str, int] = field(default_factory=dict)
    signoffs: tuple[SignOffFact, ...] = ()
    tests: Mapping[str, TestFact] = field(default_factory=dict)
    holders: Mapping[str, Mapping[int, str]] = field(default_factory=dict)
    chain: Chain = field(default_factory=Chain)


@dataclass(frozen=True, slots=True)
class Requirement:
    """One thing a gate asks for, whether it is met, and if not why and who can clear it."""

    kind: str
    key: str
    title: str
    role: str
    met: bool
    why: str = ""
    who: tuple[str, ...] = ()
    by: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class GateResult:
    """A gate, judged."""

    gate: str
    open: bool
    refused: bool
    requirements: tuple[Requirement, ...]

    @property
    def missing(self) -> tuple[Requirement, ...]:
        """Return what is not met yet."""
        return tuple(r for r in self.requirements if not r.met)

    def as_dict(self) -> dict[str, Any]:
        """Return plain data, to be stored with a decision or sent to a client."""
        return asdict(self)


def evaluate(name: str, rules: PolicyRules, facts: Facts) -> GateResult:
    """Judge one gate. It is open only if every requirement is met and no standing refusal is on record.

    Only the facts count: no silence, no rank. A sign-off counts if it approves, its signer is entitled now, has no
    conflict in the chain, and what it covers is byte for byte what is there now. Nobody fills two seats.
    """
    gate = rules.gate(name)
    found = [
        *_earlier(name, rules, facts),
        *_moved(facts),
        *(_test(kind, facts) for kind in rules.tests if name != "review"),
        *(_answer(item, facts) for item in gate.checklist),
        *_acknowledgements(gate, facts),
    ]
    seats: set[int] = set()
    found += [_signoffs(name, rule, facts, seats) for rule in gate.signoffs]
    refused = any(s.decision == "refuse" for s in facts.signoffs)
    met = bool(gate.signoffs or name == "confirm") and all(r.met for r in found)
    return GateResult(name, met and not refused, refused, tuple(found))


def counts(signoff: SignOffFact, name: str, rule: SignOffRule, facts: Facts) -> bool:
    """Tell whether one sign-off counts for one requirement now."""
    return (
        signoff.gate == name
        and signoff.requirement == rule.key
        and signoff.role == rule.role
        and signoff.meaning == rule.meaning
        and signoff.decision == "approve"
        and signoff.entitled
        and not conflicts(facts.chain, person=signoff.person, role=rule.role)
        and not touched(scope_for(name, facts.parts), signoff.scope)
    )


def _earlier(name: str, rules: PolicyRules, facts: Facts) -> list[Requirement]:
    """Ask that the gates before this one still stand: a role taken away, or an answer changed, shuts them again."""
    before = GATES[: GATES.index(name)]
    results = [evaluate(gate, rules, replace(facts, moved={})) for gate in before]
    return [
        Requirement(
            "gate",
            result.gate,
            f"The {result.gate} gate still stands",
            "",
            result.open,
            "; ".join(f"{r.title}: {r.why}" for r in result.missing),
            tuple(dict.fromkeys(who for r in result.missing for who in r.who)),
        )
        for result in results[-1:]
    ]


def _people(role: str, facts: Facts, *, but: set[int] | frozenset[int] = frozenset()) -> dict[int, str]:
    return {person: name for person, name in facts.holders.get(role, {}).items() if person not in but}


def _title(role: str) -> str:
    return {"it_operations": "IT operations"}.get(role, role.replace("_", " ").capitalize())


def _test(kind: str, facts: Facts) -> Requirement:
    result = facts.tests.get(kind)
    met = result is not None and result.verdict == "passed" and result.digest == facts.version
    why = "" if met else ("has not run yet" if result is None else f"{result.verdict}")
    who = () if met else (("the workers",) if result is None else ("data science, with a new version",))
    return Requirement("test", kind, f"Promotion test: {kind}", "", met, why, who)


def _answer(item: ChecklistItem, facts: Facts) -> Requirement:
    answer = facts.answers.get(item.key)
    why = ""
    if answer is None:
        why = f"{_title(item.role)} has not answered"
    elif answer.choice == "no":
        why = "was answered no"
    elif answer.choice == "yes" and item.evidence and not set(answer.evidence) & set(item.evidence):
        why = f"needs evidence: {' or '.join(item.evidence)}"
    who = tuple(_people(item.role, facts).values()) or (f"nobody holds the role {_title(item.role)}",)
    return Requirement("answer", item.key, item.question, item.role, not why, why, () if not why else who)


def _moved(facts: Facts) -> list[Requirement]:
    """Ask that nothing came in the way since the report was signed; until it is put right the approval is suspended."""
    if not facts.moved:
        return []
    why = "; ".join(facts.moved.values())
    who = tuple(_people("it_operations", facts).values())
    return [Requirement("report", "report", "The difference report still holds", "it_operations", False, why, who)]


def _acknowledgements(gate: Gate, facts: Facts) -> list[Requirement]:
    """Ask each role that must answer for undeclared differences to acknowledge them."""
    if gate.name != "review" and not gate.acknowledge:
        return []
    asked = {key: facts.answering.get(key) or gate.acknowledge for key in facts.differences}
    roles = dict.fromkeys(role for role in (gate.acknowledge, *asked.values()) if role)
    return [_acknowledgement(role, gate, [key for key in asked if asked[key] == role], facts) for role in roles]


def _acknowledgement(role: str, gate: Gate, asked: Sequence[str], facts: Facts) -> Requirement:
    open_ = [key for key in asked if key not in facts.acknowledged]
    why = f"{len(open_)} of {len(asked)} undeclared differences are not acknowledged" if open_ else ""
    who = tuple(_people(role, facts).values()) if open_ else ()
    key, title = "differences", "Undeclared differences acknowledged"
    if role != gate.acknowledge:
        key, title = f"differences-{role}", f"{title} by {_title(role)}"
    return Requirement("differences", key, title, role, not open_, why, who)


def _signoffs(name: str, rule: SignOffRule, facts: Facts, seats: set[int]) -> Requirement:
    counting = [s for s in facts.signoffs if counts(s, name, rule, facts) and s.person not in seats]
    chosen = list({s.person: s for s in counting}.values())[: rule.count]
    seats.update(s.person for s in chosen)
    met = len(chosen) >= rule.count
    refusal = next((s for s in facts.signoffs if s.requirement == rule.key and s.decision == "refuse"), None)
    able = {
        person: who
        for person, who in _people(rule.role, facts, but={s.person for s in chosen}).items()
        if not conflicts(facts.chain, person=person, role=rule.role)
    }
    why = ""
    if not met:
        why = f"{len(chosen)} of {rule.count} signed" if rule.count > 1 else f"{_title(rule.role)} has not signed"
        if refusal is not None:
            why = f"{refusal.name} refused"
        elif len(able) < rule.count - len(chosen):
            why += "; nobody who holds the role is free of conflicts" if not able else "; too few can sign"
    return Requirement(
        "signoff",
        rule.key,
        f"{_title(rule.role)} signs: {rule.meaning}",
        rule.role,
        met,
        why,
        () if met else tuple(able.values()),
        tuple(s.name for s in chosen),
    )
