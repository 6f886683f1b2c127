"""Read a policy: strict, with every mistake named; what is not understood is refused."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from hashlib import sha256
from typing import Any

import rfc8785
import yaml

from handoff.errors import Invalid
from handoff.rules.aspects import FREEDOMS, USUAL, Aspect, Case, Declared, declared, mistakes_in
from handoff.rules.checklists import ChecklistItem, read_item
from handoff.rules.reading import ROLES, Reader
from models_registry.rules.strict_yaml import StrictLoader

GATES = ("review", "release", "confirm")
KEYS = {"policy", "title", "applies_to", "elements", "tests", "gates", "expires_after_days", "aspects", "drift"}
DRIFTS = ("suspend", "report")
MEANINGS = ("authorship", "review", "approval", "responsibility")
TIERS = ("low", "medium", "high")
KINDS = ("test", "staging", "production")
TESTS = ("integrity", "safety", "schema", "golden", "performance", "robustness", "latency")
ELEMENTS = ("model", "input_schema", "output_schema", "runtime", "golden", "validation", "thresholds")
LIMIT = 256 * 1024


@dataclass(frozen=True, slots=True)
class SignOffRule:
    """How many holders of a role must sign, and with which meaning."""

    key: str
    role: str
    meaning: str
    count: int = 1
    help: str = ""


@dataclass(frozen=True, slots=True)
class Gate:
    """A point that opens when its checklist is answered, differences are acknowledged, and all have signed."""

    name: str
    checklist: tuple[ChecklistItem, ...] = ()
    acknowledge: str = ""
    signoffs: tuple[SignOffRule, ...] = ()


@dataclass(frozen=True, slots=True)
class PolicyRules:
    """One policy, read."""

    key: str
    title: str
    risk_tiers: tuple[str, ...]
    target_kinds: tuple[str, ...]
    elements: tuple[str, ...]
    tests: tuple[str, ...]
    gates: Mapping[str, Gate]
    expires_after_days: int = 30
    aspects: Mapping[str, Aspect] = field(default_factory=dict)
    drift: str = "suspend"

    def held(self, kind: str, tier: str) -> dict[str, Declared]:
        """Return what is locked, constrained or free in a kind of target at a risk tier, and who answers for it."""
        return declared(self.aspects, kind=kind, tier=tier, acknowledge=self.gate("review").acknowledge)

    def gate(self, name: str) -> Gate:
        """Return a gate; one that the policy does not name has no requirements."""
        return self.gates.get(name, Gate(name))

    def roles(self) -> tuple[str, ...]:
        """Return every role that must act, in the order of the gates."""
        found: dict[str, None] = {}
        for gate in self.gates.values():
            for item in gate.checklist:
                found[item.role] = None
            if gate.acknowledge:
                found[gate.acknowledge] = None
            for rule in gate.signoffs:
                found[rule.role] = None
        return tuple(found)


def digest_of(content: Mapping[str, Any]) -> str:
    """Return the SHA-256 of a policy's canonical content, 64 hex digits."""
    return sha256(rfc8785.dumps(dict(content))).hexdigest()


def load(source: str) -> dict[str, Any]:
    """Return the content of a policy's YAML. Raises Invalid with the line that is wrong."""
    if len(source) > LIMIT:
        raise Invalid("The policy is longer than 256 KiB.", code="policy_too_long")
    try:
        content = yaml.load(source, Loader=StrictLoader)  # noqa: S506 - a safe loader, made stricter
    except (yaml.YAMLError, RecursionError, TypeError) as error:
        raise Invalid(f"The policy is not YAML that we accept: {error}", code="policy_not_yaml") from error
    if not isinstance(content, dict):
        raise Invalid("A policy is a mapping that starts with 'policy: <short name>'.", code="policy_not_yaml")
    return content


def parse(content: Mapping[str, Any]) -> PolicyRules:
    """Return the rules in a policy's content. Raises Invalid that lists every mistake by its place."""
    reader = _Reader()
    rules = reader.policy(content)
    if reader.mistakes:
        raise Invalid(
            "The policy cannot be published: " + "; ".join(f"{k}: {v}" for k, v in reader.mistakes.items()),
            code="policy_invalid",
            todo="Correct what is named, then validate it again.",
            fields=reader.mistakes,
        )
    return rules


class _Reader(Reader):
    """Walk a policy."""

    def policy(self, content: Mapping[str, Any]) -> PolicyRules:
        self.unknown("", content, KEYS)
        applies = self.mapping("applies_to", content.get("applies_to", {}))
        self.unknown("applies_to", applies, {"risk_tiers", "target_kinds"})
        gates = self.mapping("gates", content.get("gates", {}))
        self.unknown("gates", gates, set(GATES))
        read = {name: self.gate(name, gates[name]) for name in GATES if name in gates}
        for name in ("review", "release"):
            if not read.get(name, Gate(name)).signoffs:
                self.mistakes[f"gates.{name}.signoffs"] = "nobody signs; a gate never opens by silence"
        days = content.get("expires_after_days", 30)
        if not isinstance(days, int) or isinstance(days, bool) or not 1 <= days <= 3650:
            self.mistakes["expires_after_days"] = "must be a whole number of days from 1 to 3650"
            days = 30
        aspects = self.aspects(content.get("aspects", {}), read.get("review", Gate("review")).acknowledge)
        return PolicyRules(
            key=self.slug("policy", content.get("policy")),
            title=self.text("title", content.get("title")),
            risk_tiers=self.subset("applies_to.risk_tiers", applies.get("risk_tiers"), TIERS),
            target_kinds=self.subset("applies_to.target_kinds", applies.get("target_kinds"), KINDS),
            elements=self.subset("elements", content.get("elements", list(ELEMENTS)), ELEMENTS),
            tests=self.subset("tests", content.get("tests"), TESTS),
            gates=read,
            expires_after_days=days,
            aspects=aspects,
            drift=self.one_of("drift", content.get("drift", DRIFTS[0]), DRIFTS),
        )

    def aspects(self, raw: Any, acknowledge: str) -> dict[str, Aspect]:
        """Read the lock policy: what each aspect is, by default and in cases; those not named are as usual."""
        raw = self.mapping("aspects", raw)
        self.unknown("aspects", raw, set(USUAL))
        found = {}
        for name in USUAL:
            if name in raw:
                found[name] = self.aspect(f"aspects.{name}", USUAL[name], raw[name])
                for told in mistakes_in(name, found[name], acknowledge):
                    self.mistakes.setdefault(f"aspects.{name}", told)
        return found

    def aspect(self, place: str, usual: Aspect, raw: Any) -> Aspect:
        """Read one aspect: a freedom alone, or a mapping with roles, allowed values and cases."""
        row = {"freedom": raw} if isinstance(raw, str) else self.mapping(place, raw)
        self.unknown(place, row, {"freedom", "answered_by", "changed_by", "allowed", "cases"})
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
        self.unknown(place, row, {"freedom", "target_kinds", "risk_tiers", "allowed"})
        return Case(
            freedom=self.one_of(f"{place}.freedom", row.get("freedom"), FREEDOMS),
            target_kinds=self.subset(f"{place}.target_kinds", row.get("target_kinds", []), KINDS, empty=True),
            risk_tiers=self.subset(f"{place}.risk_tiers", row.get("risk_tiers", []), TIERS, empty=True),
            allowed=self.texts(f"{place}.allowed", row.get("allowed", [])),
        )

    def gate(self, name: str, raw: Any) -> Gate:
        place = f"gates.{name}"
        raw = self.mapping(place, raw)
        self.unknown(place, raw, {"checklist", "acknowledge", "signoffs"})
        items = self.rows(f"{place}.checklist", raw.get("checklist", []))
        rules = self.rows(f"{place}.signoffs", raw.get("signoffs", []))
        acknowledge = raw.get("acknowledge", "")
        if acknowledge:
            acknowledge = self.one_of(f"{place}.acknowledge", acknowledge, ROLES)
        return Gate(
            name=name,
            checklist=tuple(read_item(self, f"{place}.checklist[{i}]", row) for i, row in enumerate(items)),
            acknowledge=acknowledge,
            signoffs=tuple(self.rule(f"{place}.signoffs[{i}]", row) for i, row in enumerate(rules)),
        )

    def rule(self, place: str, row: Mapping[str, Any]) -> SignOffRule:
        self.unknown(place, row, {"key", "role", "meaning", "count", "help"})
        count = row.get("count", 1)
        if not isinstance(count, int) or isinstance(count, bool) or not 1 <= count <= 20:
            self.mistakes[f"{place}.count"] = "must be a whole number from 1 to 20"
            count = 1
        return SignOffRule(
            key=self.key(place, row.get("key")),
            role=self.one_of(f"{place}.role", row.get("role"), ROLES),
            meaning=self.one_of(f"{place}.meaning", row.get("meaning"), MEANINGS),
            count=count,
            help=str(row.get("help", "")),
        )
