"""Re-attestation: what is live is approved anew at intervals, and when something happens that nobody approved for.

An approval that must be given anew holds on until it is due; it is asked for before that, and runs out after it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from handoff.rules.gate_facts import APPROVALS, SignOffFact
from handoff.rules.lapses import AgainFact
from handoff.rules.policy_terms import GATES, ReattestationRules
from handoff.rules.reading import Reader

# What may happen to a version that is live, and how the sentence goes on that tells it.
TRIGGERS = {
    "amendment": "it was amended",
    "drift": "its target drifted from what was signed",
    "finding": "a finding was raised",
    "owner": "another person answers for its target",
    "policy": "another revision of its policy was published",
    "risk": "the model's risk tier was changed",
    "suspension": "it was suspended",
}
KEYS = ("every_days", "triggers", "gates", "within_days")
LONGEST_DAYS = 3650


@dataclass(frozen=True, slots=True)
class TriggerFact:
    """Something that happened since the version went live: its word in a policy, and the instant in ISO 8601."""

    kind: str
    at: str


def read_reattestation(reader: Reader, raw: Any) -> ReattestationRules:
    """Read `reattestation` of a policy; without it nothing is approved anew but what runs out by itself."""
    if raw is None:
        return ReattestationRules()
    row = reader.mapping("reattestation", raw)
    reader.unknown("reattestation", row, KEYS)
    every = reader.whole("reattestation.every_days", row.get("every_days", 0), 0, LONGEST_DAYS, of="of days ")
    within = reader.whole("reattestation.within_days", row.get("within_days", 30), 1, LONGEST_DAYS, of="of days ")
    place = "reattestation.triggers"
    triggers = reader.subset(place, row["triggers"], tuple(TRIGGERS)) if "triggers" in row else ()
    if not every and "triggers" not in row:
        reader.wrong("reattestation", "must say every_days, triggers, or both")
    if every and every <= within:
        reader.wrong("reattestation.within_days", f"must be less than the {every} days of the interval")
    gates = reader.subset("reattestation.gates", row.get("gates", ["release"]), GATES)
    return ReattestationRules(every, triggers, gates, within)


def united(one: Mapping[str, Any] | None, other: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """Return what two policies ask for together: the shorter interval and notice, all triggers, all gates."""
    both = [row for row in (one, other) if row]
    if not both:
        return None
    found: dict[str, Any] = {}
    if days := [row["every_days"] for row in both if row.get("every_days")]:
        found["every_days"] = min(days)
    if triggers := {word for row in both for word in row.get("triggers", ())}:
        found["triggers"] = sorted(triggers)
    asked = {gate for row in both for gate in row.get("gates", ("release",))}
    notices = [row.get("within_days", 30) for row in both] + [every - 1 for every in days]
    return found | {"gates": [gate for gate in GATES if gate in asked], "within_days": min(notices)}


def asked_anew(
    rules: ReattestationRules, signoffs: Sequence[SignOffFact], happened: Sequence[TriggerFact]
) -> tuple[SignOffFact, ...]:
    """Return sign-offs, each approval with when and why it is asked for anew, if ever. `happened` since it is live."""
    if not rules.asks:
        return tuple(signoffs)
    return tuple(replace(one, again=_again(rules, one, happened)) for one in signoffs)


def _again(rules: ReattestationRules, signoff: SignOffFact, happened: Sequence[TriggerFact]) -> AgainFact | None:
    """Return what asks for an approval anew first."""
    if signoff.gate not in rules.gates or signoff.decision not in APPROVALS:
        return None
    signed = datetime.fromisoformat(signoff.signed_at)
    within = timedelta(days=rules.within_days)
    found = [
        (at, f"{TRIGGERS[one.kind]} on {at:%-d %B %Y}")
        for one in happened
        if one.kind in rules.triggers and (at := datetime.fromisoformat(one.at)) > signed
    ]
    if rules.every_days:
        due = signed + timedelta(days=rules.every_days)
        found.append((due - within, f"it is asked for every {rules.every_days} days"))
    if not found:
        return None
    at, because = min(found)
    return AgainFact(because, at.isoformat(), (at + within).isoformat())
