"""Whether a version that was live still stands approved, so that one may go back to it; until when, or why not."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

from handoff.rules.approvals import fallen
from handoff.rules.consumer_signoffs import with_owners
from handoff.rules.gate_facts import APPROVALS, Facts, Requirement, SignOffFact
from handoff.rules.gates import evaluate
from handoff.rules.lapses import EndedFact, lapse, runs_out
from handoff.rules.policies import GATES, PolicyRules, SignOffRule
from handoff.rules.seats import people_in, title_of

TAKEN_BACK = ("revoked", "merged")
OF_CONTENT = ("answer", "score")
WAIVED = {"test": "test", "answer": "item", "fact": "item"}


@dataclass(frozen=True, slots=True)
class Lack:
    """One thing that an approval rested on and that is not in force any more, why, and who could renew it.

    `taken_back`: it did not run out, but its signer took it back or was barred; no break-glass steps over that.
    """

    gate: str
    kind: str
    key: str
    title: str
    why: str
    who: tuple[str, ...] = ()
    taken_back: bool = False

    def told(self) -> dict[str, str]:
        """Return what a break-glass that steps over it keeps on record."""
        return {"gate": self.gate, "kind": self.kind, "key": self.key, "title": f"{self.title}: {self.why}"}


@dataclass(frozen=True, slots=True)
class Standing:
    """What an approval lacks by now; and where it lacks nothing, when it ends, and what of it ends first."""

    lacks: tuple[Lack, ...] = ()
    until: datetime | None = None
    ends_first: str = ""

    @property
    def stands(self) -> bool:
        """Tell whether nothing that it rested on has run out or was taken back."""
        return not self.lacks

    @property
    def renewable(self) -> tuple[Lack, ...]:
        """Return the signatures that it lacks, where signatures are all that it lacks: each can be given again."""
        return self.lacks if all(one.kind == "signoff" for one in self.lacks) else ()

    @property
    def why(self) -> str:
        """Return what it lacks, in words."""
        return "; ".join(f"{one.title}: {one.why}" for one in self.lacks)

    def as_dict(self) -> dict[str, Any]:
        """Return plain data for a client."""
        lacks = [one.told() | {"why": one.why, "title": one.title, "who": list(one.who)} for one in self.lacks]
        return {"stands": self.stands, "until": self.until, "ends_first": self.ends_first, "missing": lacks}


def judge_standing(
    rules: PolicyRules, facts: Facts, ended: Sequence[EndedFact], ends: Mapping[str, datetime]
) -> Standing:
    """Judge the approval that once brought a version live, as it is now. `ends` says when answers grow too old.

    It stands while all its required sign-offs hold, its conditions are met or not yet due, and its answers and waivers
    are in date. What has no limit stands for ever. Nothing that only describes the environment of today counts, nor a
    role that a signer has lost since: neither makes an approval undone.
    """
    rules = with_owners(rules.timeless(), facts.consumers)
    facts = replace(facts, moved={}, findings=(), emergency=None)
    lacks: dict[tuple[str, str], Lack] = {}
    limits: list[tuple[datetime, str]] = []
    for gate in GATES:
        gone = fallen(rules, facts, ended, [gate])
        for rule in rules.gate(gate).signoffs:
            if rule.needed(facts.tier):
                _signatures(gate, rule, facts, ended, gone, lacks, limits)
        for found in evaluate(gate, rules, facts).requirements:
            _content(gate, found, facts, ends, lacks, limits)
    if lacks:
        return Standing(tuple(lacks.values()))
    until, what = min(limits, default=(None, ""))
    return Standing((), until, what)


def _signatures(
    gate: str,
    rule: SignOffRule,
    facts: Facts,
    ended: Sequence[EndedFact],
    gone: Mapping[str, str],
    lacks: dict[tuple[str, str], Lack],
    limits: list[tuple[datetime, str]],
) -> None:
    """Add what a sign-off rule lacks; else when the approvals that hold become too few for it."""
    given = [s for s in facts.signoffs if s.requirement == rule.key and s.decision in APPROVALS]
    words = [gone[f"signoff.{one.id}"] for one in given if f"signoff.{one.id}" in gone]
    taken = [one for one in ended if one.requirement == rule.key and f"signoff.{one.id}" in gone]
    words += [gone[f"signoff.{one.id}"] for one in taken]
    if words:
        who = tuple(dict.fromkeys(name for role in rule.roles for name in people_in(role, facts).values()))
        title = " or ".join(title_of(role) for role in rule.roles)
        back = any(one.ending in TAKEN_BACK for one in taken)
        lacks["signoff", rule.key] = Lack(gate, "signoff", rule.key, title, " ".join(words), who, back)
        return
    hold = [s for s in given if not lapse(s, rule.valid_days, facts.now)]
    last = sorted((_end(one, rule), one.name) for one in hold)
    if len(last) >= rule.count and (found := last[len(last) - rule.count])[0] < datetime.max.replace(tzinfo=UTC):
        limits.append((found[0], f"the approval of {found[1]} at the {gate} gate"))


def _end(signoff: SignOffFact, rule: SignOffRule) -> datetime:
    """Return when an approval runs out, or its first open condition is due; the end of time where there is no limit."""
    ends = runs_out(signoff, rule.valid_days)
    due = [datetime.fromisoformat(one.due) for one in signoff.conditions]
    return min([*due, *([ends] if ends else [])], default=datetime.max.replace(tzinfo=UTC))


def _content(
    gate: str,
    found: Requirement,
    facts: Facts,
    ends: Mapping[str, datetime],
    lacks: dict[tuple[str, str], Lack],
    limits: list[tuple[datetime, str]],
) -> None:
    """Add an answer that does not count any more, or a waiver that has ended; else when it does."""
    waiver = facts.waivers.get(f"{WAIVED.get(found.kind, '')}:{found.key}")
    if found.open and (found.kind in OF_CONTENT or waiver is not None):
        why = f"its waiver ended on {waiver.until}" if waiver is not None else found.why
        lacks.setdefault((found.kind, found.key), Lack(gate, found.kind, found.key, found.title, why, found.who))
    elif found.waived and waiver is not None:
        after = date.fromisoformat(waiver.until) + timedelta(days=1)
        limits.append((datetime.combine(after, time(), tzinfo=UTC), f"the waiver for {found.title}"))
    elif found.kind == "answer" and found.key in ends:
        limits.append((ends[found.key], f"the answer to {found.title}"))
