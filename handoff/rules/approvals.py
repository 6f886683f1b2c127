"""Which approvals behind a gate that has opened do not stand any more, and which signatures are taken now."""

from collections.abc import Iterable, Sequence

from handoff.rules.consumer_signoffs import with_owners
from handoff.rules.consumers import label_of
from handoff.rules.gates import APPROVALS, Facts, SignOffFact, evaluate
from handoff.rules.lapses import AgainFact, EndedFact, asked_again, lapse, ran_out
from handoff.rules.policies import PolicyRules, SignOffRule
from handoff.rules.scopes import touched
from handoff.rules.seats import anew

# What ends an approval after its effect, and how the sentence about it goes on.
ENDINGS = {"expired": "", "revoked": "", "merged": "was voided: "}


def fallen(rules: PolicyRules, facts: Facts, ended: Sequence[EndedFact], passed: Iterable[str]) -> dict[str, str]:
    """Return what came in the way of approvals of gates that have opened, by key, each with a sentence.

    An approval falls when it runs out, when a condition of it is overdue, or when its signer revokes it or turns out to
    be barred, and too few others stand for the same requirement. A role that is taken away later makes nothing undone.
    """
    found = {}
    rules = with_owners(rules, facts.consumers)
    for gate in passed:
        for rule in rules.gate(gate).signoffs:
            given = [s for s in facts.signoffs if s.requirement == rule.key and s.decision in APPROVALS]
            lapsed = [(s, lapse(s, rule.valid_days, facts.now)) for s in given]
            if len({facts.chain.people(s.person, s.behalf) for s, why in lapsed if not why}) >= rule.count:
                continue
            for signoff, why in lapsed:
                if why:
                    found[f"signoff.{signoff.id}"] = _told(signoff.role, gate, why)
            for one in ended:
                if one.requirement == rule.key and one.ending in ENDINGS:
                    why = ENDINGS[one.ending] + one.because
                    found[f"signoff.{one.id}"] = _told(one.role, gate, why)
    return found


def _told(role: str, gate: str, why: str) -> str:
    """Return what came in the way, without a name, for findings and events keep it."""
    return f"The approval as {label_of(role)} at the {gate} gate {why.rstrip('.')}."


def answered_anew(signoff: SignOffFact, rule: SignOffRule, decision: str, facts: Facts) -> bool:
    """Tell whether a decision for a rule may take the place of an earlier one of the same person at the gate.

    It may for the same rule, unless both approve and the earlier approval still holds, is over what is there now, and
    is not asked for anew.
    """
    both_approve = signoff.decision in APPROVALS and decision in APPROVALS
    holds = not lapse(signoff, rule.valid_days, facts.now) and not asked_again(signoff, facts.now)
    return signoff.requirement == rule.key and not (both_approve and holds and not changed_in(signoff, facts))


def changed_in(signoff: SignOffFact, facts: Facts) -> tuple[str, ...]:
    """Return the parts that an approval covers and that are others now; such a one does not count any more."""
    return touched(signoff.scope, facts.parts) if signoff.decision in APPROVALS else ()


def expired(rules: PolicyRules, facts: Facts) -> list[tuple[SignOffFact, str]]:
    """Return the approvals whose time has run out, with the words for it."""
    days = {rule.key: rule.valid_days for gate in rules.gates.values() for rule in gate.signoffs}
    told = [(s, ran_out(s, days.get(s.requirement, 0), facts.now)) for s in facts.signoffs]
    return [(signoff, why) for signoff, why in told if why and signoff.decision in APPROVALS]


def taken_now(
    rules: PolicyRules, facts: Facts, current: str, passed: Iterable[str]
) -> dict[str, tuple[str, SignOffRule]]:
    """Return which signatures are taken now, by key.

    Those of the gate under way, and of gates that have opened those that are missing again or asked for anew.
    """
    rules = with_owners(rules, facts.consumers)
    found = {rule.key: (current, rule) for rule in rules.gate(current).signoffs} if current else {}
    for gate in passed:
        asked = evaluate(gate, rules.timeless(), facts).requirements
        missing = {r.key for r in asked if r.kind == "signoff" and (r.open or r.again)}
        found |= {rule.key: (gate, rule) for rule in rules.gate(gate).signoffs if rule.key in missing}
    return found


def to_attest(rules: PolicyRules, facts: Facts, passed: Iterable[str]) -> dict[str, AgainFact]:
    """Return which approvals of opened gates hold and are asked for anew: the soonest due of each rule."""
    asked = {rule.key: anew(rule, gate, facts) for gate in passed for rule in rules.gate(gate).signoffs}
    return {key: min((again for _, again in found), key=lambda one: one.due) for key, found in asked.items() if found}
