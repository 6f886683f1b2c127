"""The sign-off that each owner of a consumer must give, beside those that the policy names."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from handoff.rules.consumers import GATE, ConsumerFact, by_owner
from handoff.rules.policy_terms import Gate, PolicyRules, SignOffRule

MEANING = "approval"


@dataclass(frozen=True, slots=True)
class OwnerRule(SignOffRule):
    """The sign-off of one owner. `signer` says who signs for what, `lacking` what to do where they cannot."""

    signer: str = ""
    lacking: str = ""


def with_owners(rules: PolicyRules, consumers: Sequence[ConsumerFact]) -> PolicyRules:
    """Return rules whose review gate asks each owner of a consumer that is concerned, too; others stay as they are.

    Rules that ask them already are returned as they are.
    """
    gate = rules.gate(GATE)
    if not consumers or any(isinstance(one, OwnerRule) for one in gate.signoffs):
        return rules
    taken = {rule.key for rule in gate.signoffs}
    asked = tuple(_rule(role, told, taken) for role, told in by_owner(consumers).items())
    gates: Mapping[str, Gate] = {**rules.gates, GATE: replace(gate, signoffs=(*gate.signoffs, *asked))}
    return replace(rules, gates=gates)


def _rule(role: str, told: Sequence[ConsumerFact], taken: Iterable[str]) -> OwnerRule:
    """Return the rule for one owner; a policy might have a sign-off of the same key."""
    key = role
    while key in taken:
        key += "-owner"
    names = ", ".join(one.name for one in told)
    cannot = "may not sign here" if told[0].active else "has an account that is closed"
    return OwnerRule(
        key=key,
        role=role,
        meaning=MEANING,
        help=f"I answer for {names}, and can live with what changes in the outputs that feed it.",
        signer=f"The owner of {names} signs",
        lacking=f"the owner {cannot}; name another owner of {names} by an amendment of what is live, who is asked then",
    )
