"""Findings that people raise: when they are due, who closes them, and what a policy says about both."""

from dataclasses import dataclass
from typing import Any

from handoff.rules.reading import Reader

SEVERITIES = ("low", "medium", "high")
DUE_DAYS = {"low": 90, "medium": 30, "high": 7}
CLOSERS = ("validator", "risk_compliance", "it_operations")


@dataclass(frozen=True, slots=True)
class FindingRules:
    """What a policy says of findings. `another_closes`: never their owner alone."""

    another_closes: bool = False


def read_finding_rules(reader: Reader, raw: Any) -> FindingRules:
    """Read `findings` of a policy; without it, an owner may close what they own."""
    row = reader.mapping("findings", raw)
    reader.unknown("findings", row, {"another_closes"})
    return FindingRules(another_closes=reader.flag("findings.another_closes", row.get("another_closes", False)))


def barred_from_closing(
    person: int, roles: frozenset[str], *, owner: int | None, raised_by: int | None, another_closes: bool
) -> str:
    """Return why a person may not close a finding; nothing if they may.

    Its owner and who raised it close it, and those who watch over handoffs: validation, risk and IT operations. Where
    the policy says so its owner does not, whatever roles they hold.
    """
    if another_closes and person == owner:
        return "the policy asks that somebody else than its owner closes a finding"
    if person in (owner, raised_by) or roles & set(CLOSERS):
        return ""
    return "only its owner, who raised it, validation, risk and compliance, and IT operations close a finding"


def due_within(severity: str) -> int:
    """Return in how many days a finding is to be closed, if nobody says otherwise."""
    return DUE_DAYS[severity]
