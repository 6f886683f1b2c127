"""Judge past gates anew under other rules: from the facts that were kept with each decision, and nothing else."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from handoff.rules.change_facts import ChangeFact, MeasuredFact
from handoff.rules.consumers import ConsumerFact
from handoff.rules.duties import Chain
from handoff.rules.gate_facts import AnswerFact, EmergencyFact, Facts, FindingFact, SignOffFact, TestFact, WaiverFact
from handoff.rules.gates import evaluate
from handoff.rules.lapses import AgainFact, ConditionFact
from handoff.rules.policies import PolicyRules
from handoff.rules.watches import CanaryFact


@dataclass(frozen=True, slots=True)
class Passed:
    """One gate that opened: of which handoff, when, at which risk tier, and the facts that were kept."""

    handoff: str
    gate: str
    at: datetime
    tier: str
    facts: Mapping[str, Any]


@dataclass(slots=True)
class Simulation:
    """What became of the gates that had opened. `missing` counts what each would have lacked, by its words."""

    handoffs: set[str] = field(default_factory=set)
    gates: int = 0
    stopped: dict[str, dict[str, tuple[str, ...]]] = field(default_factory=dict)
    missing: Counter[str] = field(default_factory=Counter)


def simulate(rules: PolicyRules, passed: Iterable[Passed]) -> Simulation:
    """Return which gates would have been shut under the rules when they opened, and what was missing.

    A waiver of the time stands only where the rules allow waivers. The differences that had to be acknowledged are
    those of the time; the rules do not make another report. A canary is judged by what was counted then; of decisions
    from before there were counts, nothing is said.
    """
    found = Simulation()
    for one in passed:
        found.handoffs.add(one.handoff)
        found.gates += 1
        lacking = lacking_in(rules, one)
        if lacking:
            found.stopped.setdefault(one.handoff, {})[one.gate] = lacking
            found.missing.update(f"{one.gate}: {title}" for title in lacking)
    return found


def lacking_in(rules: PolicyRules, passed: Passed) -> tuple[str, ...]:
    """Return what a gate that opened would have lacked; what an earlier gate lacked is told there."""
    facts = facts_of(passed.facts)
    facts = replace(facts, now=facts.now or passed.at, tier=facts.tier or passed.tier)
    if not rules.waivers.approver:
        facts = replace(facts, waivers={})
    result = evaluate(passed.gate, rules, facts)
    return tuple(requirement.title for requirement in result.missing if requirement.kind != "gate")


def facts_of(plain: Mapping[str, Any]) -> Facts:
    """Return the facts that were kept as plain data. What older ones do not have is not there."""
    return Facts(
        version=plain["version"],
        parts=plain["parts"],
        differences=tuple(plain["differences"]),
        answering=plain.get("answering", {}),
        moved=plain.get("moved", {}),
        findings=tuple(FindingFact(**_known(FindingFact, one)) for one in plain.get("findings", ())),
        answers={key: answer_of(one) for key, one in plain["answers"].items()},
        acknowledged=plain["acknowledged"],
        signoffs=tuple(signoff_of(one) for one in plain["signoffs"]),
        tests={kind: TestFact(**_known(TestFact, one)) for kind, one in plain["tests"].items()},
        holders={role: {int(key): name for key, name in who.items()} for role, who in plain["holders"].items()},
        chain=chain_of(plain["chain"]),
        tier=plain.get("tier", ""),
        now=datetime.fromisoformat(plain["now"]) if plain.get("now") else None,
        waivers={key: WaiverFact(**_known(WaiverFact, one)) for key, one in plain.get("waivers", {}).items()},
        waivers_asked=plain.get("waivers_asked", {}),
        exceptions=tuple(plain.get("exceptions", ())),
        replays=plain.get("replays", 0),
        owner=plain.get("owner", ""),
        owner_account=plain.get("owner_account"),
        owner_duties=plain.get("owner_duties", {}),
        owner_operates=plain.get("owner_operates", False),
        consumers=tuple(ConsumerFact(**_known(ConsumerFact, one)) for one in plain.get("consumers", ())),
        emergency=EmergencyFact(**_known(EmergencyFact, plain["emergency"])) if plain.get("emergency") else None,
        change=change_of(plain["change"]) if plain.get("change") else None,
        canary=CanaryFact(**_known(CanaryFact, plain["canary"])) if plain.get("canary") else None,
    )


def change_of(plain: Mapping[str, Any]) -> ChangeFact:
    """Return what was known of a change, as it was kept as plain data."""
    found = _known(ChangeFact, plain, "elements", "against")
    measured = {key: MeasuredFact(**_known(MeasuredFact, plain[key])) for key in ("live", "reviewed") if plain.get(key)}
    return ChangeFact(**found | measured | {"differs": tuple((aspect, name) for aspect, name in plain["differs"])})


def chain_of(plain: Mapping[str, Any]) -> Chain:
    """Return who did what, as it was kept as plain data: with the persons behind accounts, and delegates."""
    return Chain(
        acts={int(key): tuple(told) for key, told in plain["acts"].items()},
        signed={int(key): role for key, role in plain["signed"].items()},
        persons={int(key): person for key, person in plain.get("persons", {}).items()},
        stands_for={
            role: {int(key): (who, name) for key, (who, name) in delegates.items()}
            for role, delegates in plain.get("stands_for", {}).items()
        },
    )


def answer_of(plain: Mapping[str, Any]) -> AnswerFact:
    """Return an answer that was kept as plain data."""
    found = _known(AnswerFact, plain, "evidence", "figures")
    return AnswerFact(**found | {"people": tuple((key, name, said) for key, name, said in found.get("people", ()))})


def signoff_of(plain: Mapping[str, Any]) -> SignOffFact:
    """Return a sign-off that was kept as plain data."""
    conditions = tuple(ConditionFact(**_known(ConditionFact, one)) for one in plain.get("conditions", ()))
    again = AgainFact(**_known(AgainFact, plain["again"])) if plain.get("again") else None
    return SignOffFact(**_known(SignOffFact, plain) | {"conditions": conditions, "again": again})


def _known(kind: Any, plain: Mapping[str, Any], *lists: str) -> dict[str, Any]:
    """Return the fields that a fact has, those that are lists as tuples."""
    return {key: tuple(plain[key]) if key in lists else plain[key] for key in kind.__slots__ if key in plain}
