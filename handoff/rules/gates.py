"""Whether a gate is open, why not, and who can clear it: one pure function from recorded facts."""

from collections.abc import Sequence
from dataclasses import replace

from handoff.rules.answers import AnswerFact, choices_of, judge_item, short_of
from handoff.rules.automatic import Situation
from handoff.rules.break_glass import stepped
from handoff.rules.canaries import KIND as CANARY
from handoff.rules.canaries import asked_of
from handoff.rules.checklists import ChecklistItem, visible
from handoff.rules.consumer_signoffs import with_owners
from handoff.rules.gate_facts import (
    APPROVALS,
    Facts,
    FindingFact,
    GateResult,
    Requirement,
    SignOffFact,
    TestFact,
    WaiverFact,
)
from handoff.rules.policies import GATES, Gate, PolicyRules
from handoff.rules.seats import counts, people_in, seat_of, signatures, title_of
from handoff.rules.standard_signoffs import lightened
from handoff.rules.waivers import waived
from handoff.rules.windows import next_opening, open_at, told

__all__ = [
    "APPROVALS",
    "AnswerFact",
    "Facts",
    "FindingFact",
    "GateResult",
    "Requirement",
    "SignOffFact",
    "TestFact",
    "WaiverFact",
    "before_approval",
    "counts",
    "evaluate",
    "seat_of",
    "waits_for_its_time",
]
TIMED = ("window", "freeze")
BY_ITSELF = (*TIMED, CANARY)  # nobody has to do anything


def evaluate(name: str, rules: PolicyRules, facts: Facts) -> GateResult:
    """Judge one gate. It is open only if every needed requirement is met and no standing refusal is on record.

    Only the facts count: no silence, no rank. A sign-off counts if it approves, its signer is entitled now, has no
    conflict in the chain, and what it covers is byte for byte what is there now. Nobody fills two seats, no role fills
    two of a quorum, and one that comes after another counts only if it was given after it. A refusal blocks, also one
    of somebody whose sign-off is advisory; so does whoever asks for changes, until they answer again. Owners of
    consumers that the outputs change for sign beside those whom the policy names. A canary is confirmed only after its
    time, within its limits. Where the change is standard by the
    policy, only those are waited for whom it names for that. Only while a break-glass is among
    the facts, its time is not over and the policy knows of it, are missing signatures stepped over.
    """
    rules = with_owners(lightened(rules, facts), facts.consumers)
    gate = rules.gate(name)
    found = [
        *_earlier(name, rules, facts),
        *_moved(facts),
        *(_finding(one) for one in facts.findings if one.blocks),
        *(waived(_test(kind, rules, facts), facts.waivers) for kind in rules.tests if name != "review"),
        *_checklist(gate, rules, facts),
        *_acknowledgements(gate, facts),
    ]
    found += signatures(gate, facts)
    found += _timed(rules, facts) if name == "release" else []
    found += asked_of(rules.strategy, facts.canary) if name == "confirm" else []
    found = stepped(found, rules.break_glass, facts)
    refused = any(s.decision == "refuse" for s in facts.signoffs)
    against = refused or any(s.decision == "changes" and s.gate == name for s in facts.signoffs)
    somebody = name == "confirm" or any(r.kind == "signoff" and r.needed for r in found)
    met = somebody and not any(r.open for r in found)
    return GateResult(name, met and not against, refused, tuple(found))


def before_approval(result: GateResult, key: str) -> list[Requirement]:
    """Return what must be done before somebody can approve for a rule: the open questions, and those who sign first."""
    return [r for r in result.missing if r.kind not in ("signoff", *BY_ITSELF)] + [
        r for r in result.requirements if r.kind == "signoff" and r.key == key and not r.met and not r.turn
    ]


def waits_for_its_time(result: GateResult) -> bool:
    """Tell whether a gate is shut by a window, a freeze or a canary under way alone, so that it opens by itself."""
    return bool(result.missing) and not result.refused and all(r.kind in BY_ITSELF for r in result.missing)


def _timed(rules: PolicyRules, facts: Facts) -> list[Requirement]:
    """Ask that the windows are open and no freeze holds; where nobody knows the time, nothing is open."""
    now = facts.now
    when = ""
    if now is not None and not open_at(rules.windows, rules.freezes, now):
        zones = [one.zone for one in rules.windows] + [one.zone for one in rules.freezes]
        when = told(next_opening(rules.windows, rules.freezes, now), zones[0])
    found = []
    if rules.windows:
        met = now is not None and all(one.open_at(now) for one in rules.windows)
        found.append(_clock("window", "window", "The deployment window is open", "it is closed", when, met=met))
    for at, one in enumerate(rules.freezes):
        met = now is not None and not one.holds_at(now)
        found.append(_clock("freeze", f"freeze-{at}", f"No freeze: {one.name}", "it holds", when, met=met))
    return found


def _clock(kind: str, key: str, title: str, why: str, when: str, *, met: bool) -> Requirement:
    told_ = f"{why}; the next opening is {when}" if when else "nobody knows the time"
    return Requirement(kind, key, title, "", met, "" if met else told_, () if met else ("the clock",))


def _earlier(name: str, rules: PolicyRules, facts: Facts) -> list[Requirement]:
    """Ask that the gates before this one still stand: a role taken away, or an answer changed, shuts them again.

    The clock does not: what was released inside its window goes on after it.
    """
    before = GATES[: GATES.index(name)]
    timeless = rules.timeless()
    results = [evaluate(gate, timeless, replace(facts, moved={}, findings=())) for gate in before]
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


def _test(kind: str, rules: PolicyRules, facts: Facts) -> Requirement:
    result = facts.tests.get(kind)
    met = result is not None and result.verdict == "passed" and result.digest == facts.version
    why = "" if met else ("has not run yet" if result is None else f"{result.verdict}")
    who = () if met else (("the workers",) if result is None else ("data science, with a new version",))
    if met and result is not None and (short := rules.sandbox.short(result.sandbox)):
        met, why, who = False, short, ("whoever offers the version again, once a worker has that sandbox",)
    return Requirement("test", kind, f"Promotion test: {kind}", "", met, why, who)


def _checklist(gate: Gate, rules: PolicyRules, facts: Facts) -> list[Requirement]:
    """Ask for the items of a gate that the answers so far make visible, and for the scores of its templates."""
    asked = visible([item for one in rules.gates.values() for item in one.checklist], choices_of(facts.answers))
    items = [item for item in gate.checklist if item.key in asked]
    now = _situation(rules, facts)
    found = [waived(_answer(item, now, facts), facts.waivers) for item in items]
    for one in gate.included:
        short = short_of(one, items, facts.answers)
        if one.least:
            found.append(Requirement("score", one.template, f"Score of {one.title}", "", not short, short))
    return found


def _answer(item: ChecklistItem, now: Situation, facts: Facts) -> Requirement:
    judged = judge_item(item, facts.answers.get(item.key), now, title_of(item.role))
    who = tuple(people_in(judged.role, facts).values()) or (f"nobody holds the role {title_of(judged.role)}",)
    kind, why = "fact" if item.fact else "answer", judged.why
    return Requirement(kind, item.key, item.question, judged.role, not why, why, who if why else (), judged.by)


def _situation(rules: PolicyRules, facts: Facts) -> Situation:
    """Return what computed items are judged on."""
    tests = {kind: facts.tests.get(kind) for kind in rules.tests}
    return Situation(
        tests={
            k: t.verdict if t is not None and t.digest == facts.version and not rules.sandbox.short(t.sandbox) else ""
            for k, t in tests.items()
        },
        undeclared=facts.differences,
        unacknowledged=tuple(key for key in facts.differences if key not in facts.acknowledged),
        exceptions=facts.exceptions,
        moved=tuple(facts.moved.values()),
        findings=tuple(one.title for one in facts.findings),
        replays=facts.replays,
        owner=facts.owner,
        owner_operates=facts.owner_operates,
        owner_duties=facts.owner_duties,
    )


def _finding(finding: FindingFact) -> Requirement:
    """Ask that a finding which blocks is closed."""
    who = (finding.name,) if finding.name else ()
    return Requirement("finding", finding.id, finding.title, "", False, f"a {finding.severity} finding is open", who)


def _moved(facts: Facts) -> list[Requirement]:
    """Ask that nothing came in the way since the report was signed; until it is put right the approval is suspended."""
    if not facts.moved:
        return []
    why = "; ".join(facts.moved.values())
    who = tuple(people_in("it_operations", facts).values())
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
    who = tuple(people_in(role, facts).values()) if open_ else ()
    key, title = "differences", "Undeclared differences acknowledged"
    if role != gate.acknowledge:
        key, title = f"differences-{role}", f"{title} by {title_of(role)}"
    return Requirement("differences", key, title, role, not open_, why, who)
