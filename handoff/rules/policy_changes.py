"""What a policy demands, in words, and what one demands more or less than another."""

from collections.abc import Mapping
from dataclasses import dataclass

from engine.sandbox.levels import NONE
from handoff.rules.amendments import USUAL as SIGNED_PARTS
from handoff.rules.break_glass import BreakGlassRules
from handoff.rules.checklists import ChecklistItem
from handoff.rules.policy_terms import Gate, PolicyRules, ReattestationRules, SignOffRule
from handoff.rules.reattestation import TRIGGERS
from handoff.rules.seats import title_of
from handoff.rules.standard_changes import BOUNDS, MOVES, MetricLimits, StandardRules
from handoff.rules.waivers import WaiverRules


@dataclass(frozen=True, slots=True)
class Changes:
    """What would be demanded anew, no more, or otherwise, each in words."""

    gained: tuple[str, ...] = ()
    lost: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        """Tell whether anything would be different."""
        return bool(self.gained or self.lost or self.changed)


def changes(before: Mapping[str, str], after: Mapping[str, str]) -> Changes:
    """Return how two sets of demands differ."""
    both = [key for key in after if key in before]
    return Changes(
        gained=tuple(told for key, told in after.items() if key not in before),
        lost=tuple(told for key, told in before.items() if key not in after),
        changed=tuple(f"{after[key]} (was: {before[key]})" for key in both if after[key] != before[key]),
    )


def demands(rules: PolicyRules, kind: str = "", tier: str = "") -> dict[str, str]:
    """Return all that a policy demands, by kind and key: in one kind of target at one risk tier, or everywhere."""
    found = {f"element {name}": f"the element {name}" for name in rules.elements}
    found |= {f"threshold {name}": f"thresholds: {told}" for name, told in rules.thresholds.words().items()}
    for name, gate in rules.gates.items():
        found |= {f"{name} {key}": f"{name}: {told}" for key, told in _of_gate(gate, tier).items()}
    found |= {f"test {kind}": f"the promotion test {kind}" for kind in rules.tests}
    found |= {f"window {at}": f"a deployment window: {one.words()}" for at, one in enumerate(rules.windows)}
    found |= {f"freeze {one.name}": f"a freeze: {one.words()}" for one in rules.freezes}
    found |= _of_aspects(rules, kind, tier)
    found["expiry"] = f"an end after {rules.expires_after_days} days"
    if rules.retirement.notice_days:
        found["retirement"] = f"{rules.retirement.notice_days} days of notice before a retirement"
    if rules.sandbox.least != NONE:
        found["sandbox"] = f"tests in sandbox {rules.sandbox.least} at least"
    found["retention"] = f"records kept for {rules.retention.years} years after the end"
    found["waivers"] = _waivers(rules.waivers)
    found["break-glass"] = _break_glass(rules.break_glass)
    found["standard-change"] = _standard_change(rules.standard_change, "change is standard")
    found["retrain"] = _standard_change(rules.retrain, "retrain is light")
    if rules.strategy.canary:
        found["strategy"] = rules.strategy.words()
    if rules.monitoring:
        found["monitoring"] = rules.monitoring.words()
    if rules.reattestation.asks:
        found["re-attestation"] = _reattestation(rules.reattestation)
    for part, roles in {**SIGNED_PARTS, **rules.amendments}.items():
        signers = " and ".join(title_of(role) for role in roles)
        found[f"amendment {part}"] = f"amendments of the {part} signed by {signers}"
    if rules.acknowledged_duties:
        found["duties"] = "holders who have acknowledged their duties"
    if rules.findings.another_closes:
        found["findings"] = "findings closed by somebody else than their owner"
    if rules.lapses == "stop":
        found["lapses"] = "what is live stopped once a waiver ends or a condition is overdue"
    found["drift"] = f"what drifts is a matter to {rules.drift}"
    if not tier:
        found["applies"] = f"it applies to {', '.join(rules.risk_tiers)} risk into {', '.join(rules.target_kinds)}"
        if rules.model_types:
            found["applies"] += f", for models of the type {' or '.join(rules.model_types)}".replace("_", " ")
    return found


def _of_gate(gate: Gate, tier: str) -> dict[str, str]:
    found = {}
    for item in gate.checklist:
        found[f"answer {item.key}"] = _item(item)
    for one in gate.included:
        found[f"template {one.template}"] = f"the checklist {one.title}, with a score of at least {one.least:g}"
    if gate.acknowledge:
        found["differences"] = f"differences acknowledged by {title_of(gate.acknowledge)}"
    for rule in gate.signoffs:
        if not tier or rule.needed(tier):
            found[f"sign-off {rule.key}"] = signoff_in_words(rule, tier)
    return found


def _item(item: ChecklistItem) -> str:
    """Return a question, who answers it, and what else it asks."""
    how = [f"answered by {title_of(item.role)}" if item.role else f"computed from {item.fact}"]
    how += [f"with {' or '.join(item.evidence)}"] if item.evidence else []
    how += [f"the figure {item.figure}"] if item.figure else []
    how += ["by two people"] if item.two_people else []
    how += [f"for {item.valid_days} days"] if item.valid_days else []
    how += [f"where {key} is {' or '.join(said)}" for key, said in item.visible_if]
    return f"“{item.question}” " + ", ".join(how)


def signoff_in_words(rule: SignOffRule, tier: str = "") -> str:
    """Return who signs, how, and whether it is waited for; at a known tier without the last."""
    roles = ", ".join(title_of(role) for role in rule.roles)
    who = f"{rule.count} of {roles}" if rule.quorum else f"{roles}{f' ({rule.count} people)' if rule.count > 1 else ''}"
    after = f", after {' and '.join(rule.after)}" if rule.after else ""
    waited = ""
    if not tier and rule.required_above:
        waited = f", waited for above {rule.required_above} risk"
    elif not tier and rule.advisory:
        waited = ", advisory"
    valid = f", for {rule.valid_days} days" if rule.valid_days else ""
    return f"the sign-off {rule.key} by {who}: {rule.meaning}{after}{valid}{waited}"


def _waivers(rules: WaiverRules) -> str:
    if not rules.approver:
        return "no requirement is waived"
    return f"requirements are waived for at most {rules.max_days} days by {title_of(rules.approver)}"


def _break_glass(rules: BreakGlassRules) -> str:
    if not rules.roles:
        return "nobody deploys by break-glass"
    roles = " or ".join(title_of(role) for role in rules.roles)
    when = ", outside windows and in freezes, too" if rules.any_time else ""
    within = f"confirmed by {roles} within {rules.confirm_minutes} minutes"
    return f"break-glass for {rules.lasts_hours} hours, {within}{when}"


def _reattestation(rules: ReattestationRules) -> str:
    when = [f"every {rules.every_days} days"] if rules.every_days else []
    when += [f"when {TRIGGERS[word]}" for word in rules.triggers]
    gates = " and ".join(rules.gates)
    return f"approvals at {gates} given anew within {rules.within_days} days: {', '.join(when)}"


def _standard_change(rules: StandardRules, what: str) -> str:
    if not rules.signers:
        return f"no {what}, so that all sign for each"
    signers = "; ".join(f"{gate} by {' and '.join(map(title_of, roles))}" for gate, roles in rules.signers.items())
    limits = "; ".join(f"{name} {_limits(one)}" for name, one in rules.metrics.items())
    may = ", ".join(("model", *rules.elements, *rules.aspects))
    row = f"at most {rules.at_most} in a row, within {rules.within_days} days of a full review"
    return f"a {what} if signed at {signers}, where only {may} differ; {limits}; {row}"


def _limits(limits: MetricLimits) -> str:
    told = {name: getattr(limits, name) for name in (*MOVES, *BOUNDS)}
    return ", ".join(f"{name.replace('_', ' ')} {value:g}" for name, value in told.items() if value is not None)


def _of_aspects(rules: PolicyRules, kind: str, tier: str) -> dict[str, str]:
    if tier:
        held = rules.held(kind, tier)
        return {
            f"aspect {name}": _aspect(name, one.freedom, one.allowed, one.answered_by) for name, one in held.items()
        }
    return {
        f"aspect {name}": _aspect(name, one.freedom, one.allowed, one.answered_by)
        + "".join(f"; {case.freedom} for {', '.join((*case.target_kinds, *case.risk_tiers))}" for case in one.cases)
        for name, one in rules.aspects.items()
    }


def _aspect(name: str, freedom: str, allowed: tuple[str, ...], answered_by: str) -> str:
    only = f" to {', '.join(allowed)}" if allowed else ""
    answers = f", {title_of(answered_by)} answers" if answered_by and freedom == "undeclared" else ""
    return f"{name} is {freedom}{only}{answers}"
