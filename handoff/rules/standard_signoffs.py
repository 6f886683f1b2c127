"""The sign-offs that are waited for where a change is standard; the others may be given still."""

from collections.abc import Collection
from dataclasses import replace

from handoff.rules.gate_facts import Facts
from handoff.rules.policy_terms import Gate, PolicyRules
from handoff.rules.standard_changes import Judged, StandardRules, judge, kept


def kind_of(rules: PolicyRules, facts: Facts) -> Judged:
    """Return of which kind the change of a handoff is, and why."""
    return judge(rules.lighter, facts.change)


def lightened(rules: PolicyRules, facts: Facts) -> PolicyRules:
    """Return the rules for judging gates, in which only those sign-offs are needed that a standard change needs.

    The others are advisory then: who has something to say against it is heard. The kind is judged once, for a gate and
    those before it.
    """
    kinds = rules.lighter
    if not kinds:
        return rules
    judged = kind_of(rules, facts)
    signers = kinds[judged.kind].signers if judged.kind in kinds else {}
    gates = {name: _lighter(one, signers[name]) if name in signers else one for name, one in rules.gates.items()}
    return replace(rules, gates=gates, standard_change=StandardRules(), retrain=StandardRules())


def _lighter(gate: Gate, roles: Collection[str]) -> Gate:
    needed = {rule.key for rule in gate.signoffs if kept(rule, roles)}
    return replace(
        gate,
        signoffs=tuple(
            replace(rule, after=tuple(key for key in rule.after if key in needed))
            if rule.key in needed
            else replace(rule, advisory=True, required_above="")
            for rule in gate.signoffs
        ),
    )
