"""Read the content of a policy into its terms."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from handoff.rules.amendments import USUAL as SIGNED_PARTS
from handoff.rules.aspects import FREEDOMS, USUAL, Aspect, Case, mistakes_in
from handoff.rules.break_glass import read_break_glass
from handoff.rules.canaries import read_strategy
from handoff.rules.checklists import check_checklists, read_checklist
from handoff.rules.findings import read_finding_rules
from handoff.rules.least_thresholds import read_thresholds
from handoff.rules.monitoring import read_monitoring
from handoff.rules.policy_terms import (
    DRIFTS,
    ELEMENTS,
    GATES,
    KINDS,
    LAPSES,
    MEANINGS,
    MODEL_TYPES,
    MOST_SIGNERS,
    TESTS,
    TIERS,
    USUAL_ELEMENTS,
    Gate,
    PolicyRules,
    SignOffRule,
)
from handoff.rules.policy_windows import read_freezes, read_windows
from handoff.rules.reading import ROLES, Reader, likeness
from handoff.rules.reattestation import read_reattestation
from handoff.rules.retention import read_retention_rules
from handoff.rules.retirement import read_retirement_rules
from handoff.rules.sandboxes import read_sandbox_rules
from handoff.rules.standard_changes import read_retrain, read_standard_change
from handoff.rules.waivers import read_waiver_rules

KEYS = (
    "policy",
    "title",
    "applies_to",
    "elements",
    "tests",
    "gates",
    "expires_after_days",
    "aspects",
    "drift",
    "lapses",
    "thresholds",
    "reminders_before_days",
    "windows",
    "freezes",
    "findings",
    "acknowledged_duties",
    "waivers",
    "amendments",
    "retention",
    "retirement",
    "break_glass",
    "standard_change",
    "retrain",
    "strategy",
    "monitoring",
    "sandbox",
    "reattestation",
)
APPLIES_KEYS = ("risk_tiers", "target_kinds", "model_types")
GATE_KEYS = ("checklist", "acknowledge", "signoffs")
SIGNOFF_KEYS = (
    "key",
    "role",
    "quorum",
    "meaning",
    "count",
    "after",
    "advisory",
    "required_above",
    "help",
    "valid_days",
)
QUORUM_KEYS = ("of", "count")
ASPECT_KEYS = ("freedom", "answered_by", "changed_by", "allowed", "cases")
MOST_REMINDERS = 20
CASE_KEYS = ("freedom", "target_kinds", "risk_tiers", "allowed")


class PolicyReader(Reader):
    """Walk the content of a policy."""

    def policy(self, content: Mapping[str, Any]) -> PolicyRules:
        """Read the whole."""
        self.unknown("", content, KEYS)
        applies = self.mapping("applies_to", content.get("applies_to", {}))
        self.unknown("applies_to", applies, APPLIES_KEYS)
        tiers = self.subset("applies_to.risk_tiers", applies.get("risk_tiers"), TIERS)
        gates = self.gates(content.get("gates", {}), tiers)
        tests = self.subset("tests", content.get("tests"), TESTS)
        return PolicyRules(
            key=self.slug("policy", content.get("policy")),
            title=self.text("title", content.get("title")),
            risk_tiers=tiers,
            target_kinds=self.subset("applies_to.target_kinds", applies.get("target_kinds"), KINDS),
            elements=self.subset("elements", content.get("elements", list(USUAL_ELEMENTS)), ELEMENTS),
            tests=tests,
            gates=gates,
            expires_after_days=self.whole(
                "expires_after_days", content.get("expires_after_days", 30), 1, 3650, of="of days "
            ),
            aspects=self.aspects(content.get("aspects", {}), gates.get("review", Gate("review")).acknowledge),
            drift=self.one_of("drift", content.get("drift", DRIFTS[0]), DRIFTS),
            lapses=self.one_of("lapses", content.get("lapses", LAPSES[-1]), LAPSES),
            thresholds=read_thresholds(self, content.get("thresholds", {})),
            reminders_before_days=self.reminders(content.get("reminders_before_days", [])),
            windows=read_windows(self, content.get("windows", [])),
            freezes=read_freezes(self, content.get("freezes", [])),
            findings=read_finding_rules(self, content.get("findings", {})),
            acknowledged_duties=self.flag("acknowledged_duties", content.get("acknowledged_duties", False)),
            waivers=read_waiver_rules(self, content.get("waivers")),
            amendments=self.amendments(content.get("amendments", {})),
            retention=read_retention_rules(self, content.get("retention", {})),
            retirement=read_retirement_rules(self, content.get("retirement", {})),
            break_glass=read_break_glass(self, content.get("break_glass")),
            standard_change=read_standard_change(self, content.get("standard_change"), gates, tests, tiers),
            retrain=read_retrain(self, content.get("retrain"), gates, tests, tiers),
            strategy=read_strategy(self, content.get("strategy"), gates),
            monitoring=read_monitoring(self, content.get("monitoring")),
            sandbox=read_sandbox_rules(self, content.get("sandbox", {})),
            model_types=self.subset("applies_to.model_types", applies["model_types"], MODEL_TYPES)
            if "model_types" in applies
            else (),
            reattestation=read_reattestation(self, content.get("reattestation")),
        )

    def amendments(self, raw: Any) -> dict[str, tuple[str, ...]]:
        """Read who signs for which part of an amendment; what is left out is as usual."""
        raw = self.mapping("amendments", raw)
        self.unknown("amendments", raw, SIGNED_PARTS)
        return {part: self.subset(f"amendments.{part}", raw[part], ROLES) for part in SIGNED_PARTS if part in raw}

    def reminders(self, raw: Any) -> tuple[int, ...]:
        """Read how many days before an offer ends people are reminded of it."""
        place = "reminders_before_days"
        if not isinstance(raw, list) or len(raw) > MOST_REMINDERS:
            self.wrong(place, f"must be a list of at most {MOST_REMINDERS} whole numbers of days")
            return ()
        return tuple(self.whole(f"{place}[{at}]", days, 1, 365, of="of days ") for at, days in enumerate(raw))

    def gates(self, raw: Any, tiers: Sequence[str]) -> dict[str, Gate]:
        """Read the gates; at each risk tier somebody must sign at the review and at the release."""
        raw = self.mapping("gates", raw)
        self.unknown("gates", raw, GATES)
        read = {name: self.gate(name, raw[name]) for name in GATES if name in raw}
        check_checklists(self, {name: gate.checklist for name, gate in read.items()})
        for name in ("review", "release"):
            rules = read.get(name, Gate(name)).signoffs
            for tier in tiers or TIERS[-1:]:
                if not any(rule.needed(tier) for rule in rules):
                    where = f" at {tier} risk" if rules else ""
                    self.wrong(f"gates.{name}.signoffs", f"nobody must sign{where}; a gate never opens by silence")
        return read

    def gate(self, name: str, raw: Any) -> Gate:
        """Read one gate."""
        place = f"gates.{name}"
        raw = self.mapping(place, raw)
        self.unknown(place, raw, GATE_KEYS)
        rows = self.rows(f"{place}.signoffs", raw.get("signoffs", []))
        acknowledge = raw.get("acknowledge", "")
        if acknowledge not in ("", None):
            acknowledge = self.one_of(f"{place}.acknowledge", acknowledge, ROLES)
        rules = tuple(self.rule(f"{place}.signoffs[{i}]", row) for i, row in enumerate(rows))
        self.orders(f"{place}.signoffs", rules)
        checklist, included = read_checklist(self, f"{place}.checklist", raw.get("checklist", []))
        return Gate(
            name=name,
            checklist=checklist,
            included=included,
            acknowledge=acknowledge or "",
            signoffs=rules,
        )

    def rule(self, place: str, row: Mapping[str, Any]) -> SignOffRule:
        """Read a sign-off: of one role, or of a quorum of roles."""
        self.unknown(place, row, SIGNOFF_KEYS)
        role, quorum = "", tuple[str, ...]()
        if "quorum" in row:
            quorum, count = self.quorum(f"{place}.quorum", row["quorum"])
            for key in {"role", "count"} & row.keys():
                self.wrong(f"{place}.{key}", "does not go with a quorum, which names its roles and its count itself")
        else:
            role = self.one_of(f"{place}.role", row.get("role"), ROLES)
            count = self.whole(f"{place}.count", row.get("count", 1), 1, MOST_SIGNERS)
        return SignOffRule(
            key=self.key(place, row.get("key")),
            role=role,
            meaning=self.one_of(f"{place}.meaning", row.get("meaning"), MEANINGS),
            count=count,
            help=str(row.get("help", "")),
            quorum=quorum,
            after=self.texts(f"{place}.after", row.get("after", [])),
            advisory=self.flag(f"{place}.advisory", row.get("advisory", False)),
            required_above=self.above(place, row),
            valid_days=self.whole(f"{place}.valid_days", row.get("valid_days", 0), 0, 3650, of="of days "),
        )

    def quorum(self, place: str, raw: Any) -> tuple[tuple[str, ...], int]:
        """Read of which roles how many must sign; each role counts once."""
        raw = self.mapping(place, raw)
        self.unknown(place, raw, QUORUM_KEYS)
        roles = self.subset(f"{place}.of", raw.get("of"), ROLES)
        count = self.whole(f"{place}.count", raw.get("count"), 1, MOST_SIGNERS)
        if roles and count > len(roles):
            self.wrong(f"{place}.count", f"can never be met: {count} must sign, and only {len(roles)} roles are named")
        return roles, count

    def above(self, place: str, row: Mapping[str, Any]) -> str:
        """Read the risk tier above which a sign-off is waited for."""
        if "required_above" not in row:
            return ""
        tier = self.one_of(f"{place}.required_above", row["required_above"], TIERS)
        if tier == TIERS[-1]:
            self.wrong(f"{place}.required_above", f"nothing is above {tier}; say advisory: true")
        if "advisory" in row:
            self.wrong(f"{place}.advisory", "does not go with required_above, which says where it is advisory")
        return tier if tier in TIERS else ""

    def orders(self, place: str, rules: Sequence[SignOffRule]) -> None:
        """Refuse an order that names what the gate does not ask for, or that goes in a circle."""
        known = {rule.key: rule for rule in rules}
        for at, rule in enumerate(rules):
            odd = [key for key in rule.after if key not in known]
            if odd:
                told = f"the gate asks for no sign-off {odd[0]}{likeness(odd[0], known)}; it asks for "
                self.wrong(f"{place}[{at}].after", told + ", ".join(known))
            elif circle := circle_from(rule.key, known):
                self.wrong(f"{place}[{at}].after", "goes in a circle: " + " after ".join(circle))
            elif looser := [key for key in rule.after if not _needed_wherever(rule, known[key])]:
                self.wrong(f"{place}[{at}].after", f"is required where {looser[0]} is advisory, and would wait for it")

    def aspects(self, raw: Any, acknowledge: str) -> dict[str, Aspect]:
        """Read the lock policy: what each aspect is, by default and in cases; those not named are as usual."""
        raw = self.mapping("aspects", raw)
        self.unknown("aspects", raw, USUAL)
        found = {}
        for name in USUAL:
            if name in raw:
                found[name] = self.aspect(f"aspects.{name}", USUAL[name], raw[name])
                for told in mistakes_in(name, found[name], acknowledge):
                    self.wrong(f"aspects.{name}", told)
        return found

    def aspect(self, place: str, usual: Aspect, raw: Any) -> Aspect:
        """Read one aspect: a freedom alone, or a mapping with roles, allowed values and cases."""
        row = {"freedom": raw} if isinstance(raw, str) else self.mapping(place, raw)
        self.unknown(place, row, ASPECT_KEYS)
        cases = self.rows(f"{place}.cases", row.get("cases", []))
        return replace(
            usual,
            freedom=self.one_of(f"{place}.freedom", row.get("freedom", usual.freedom), FREEDOMS),
            allowed=self.texts(f"{place}.allowed", row.get("allowed", [])),
            cases=tuple(self.case(f"{place}.cases[{i}]", case) for i, case in enumerate(cases)),
            answered_by=self.role(place, row, "answered_by", usual.answered_by),
            changed_by=self.role(place, row, "changed_by", usual.changed_by),
        )

    def role(self, place: str, row: Mapping[str, Any], name: str, usual: str) -> str:
        """Read a role that may be left out."""
        return self.one_of(f"{place}.{name}", row[name], ROLES) if name in row else usual

    def case(self, place: str, row: Mapping[str, Any]) -> Case:
        """Read what an aspect is for some kinds of target and some risk tiers."""
        self.unknown(place, row, CASE_KEYS)
        return Case(
            freedom=self.one_of(f"{place}.freedom", row.get("freedom"), FREEDOMS),
            target_kinds=self.subset(f"{place}.target_kinds", row.get("target_kinds", []), KINDS, empty=True),
            risk_tiers=self.subset(f"{place}.risk_tiers", row.get("risk_tiers", []), TIERS, empty=True),
            allowed=self.texts(f"{place}.allowed", row.get("allowed", [])),
        )


def circle_from(start: str, rules: Mapping[str, SignOffRule]) -> tuple[str, ...]:
    """Return a way along `after` that comes back to where it started; nothing if there is none."""
    ways: list[tuple[str, ...]] = [(start,)]
    seen: set[str] = set()
    while ways:
        way = ways.pop()
        for key in rules[way[-1]].after if way[-1] in rules else ():
            if key == start:
                return (*way, key)
            if key not in seen:
                seen.add(key)
                ways.append((*way, key))
    return ()


def _needed_wherever(rule: SignOffRule, before: SignOffRule) -> bool:
    """Tell whether what comes before is waited for at every tier at which the rule is."""
    return all(before.needed(tier) for tier in TIERS if rule.needed(tier))
