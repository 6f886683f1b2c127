"""The terms in which a policy is written: the words that it may use, and what each of its parts is once it is read."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from handoff.rules.aspects import Aspect, Declared, declared
from handoff.rules.break_glass import BreakGlassRules
from handoff.rules.canaries import StrategyRules
from handoff.rules.checklists import ChecklistItem, Included
from handoff.rules.findings import FindingRules
from handoff.rules.least_thresholds import LeastThresholds
from handoff.rules.monitoring import MonitoringRules
from handoff.rules.retention import RetentionRules
from handoff.rules.retirement import RetirementRules
from handoff.rules.sandboxes import SandboxRules
from handoff.rules.standard_changes import RETRAIN, STANDARD, StandardRules
from handoff.rules.waivers import WaiverRules
from handoff.rules.windows import Freeze, Window

GATES = ("review", "release", "confirm")
DRIFTS = ("suspend", "report")
LAPSES = ("stop", "suspend")  # the stricter first
MEANINGS = ("authorship", "review", "approval", "responsibility")
TIERS = ("low", "medium", "high")
KINDS = ("test", "staging", "production")
MODEL_TYPES = ("classification", "regression", "forecasting", "ranking", "clustering", "anomaly_detection", "other")
TESTS = ("integrity", "safety", "schema", "golden", "performance", "robustness", "latency")
USUAL_ELEMENTS = ("model", "input_schema", "output_schema", "runtime", "golden", "validation", "thresholds")
ELEMENTS = (*USUAL_ELEMENTS, "training")
MOST_SIGNERS = 20


@dataclass(frozen=True, slots=True)
class SignOffRule:
    """Who must sign, with which meaning, how many of them, after whom, and whether the gate waits for it.

    Either `count` holders of `role` sign, or `count` of the roles in `quorum`, each by another person. `after` names
    the sign-offs of the same gate that come first. An `advisory` one is asked for and not waited for; one with
    `required_above` is waited for where the risk tier is above that, and advisory elsewhere. An approval runs out after
    `valid_days`; 0 is for ever.
    """

    key: str
    role: str
    meaning: str
    count: int = 1
    help: str = ""
    quorum: tuple[str, ...] = ()
    after: tuple[str, ...] = ()
    advisory: bool = False
    required_above: str = ""
    valid_days: int = 0

    @property
    def roles(self) -> tuple[str, ...]:
        """Return the roles that may sign."""
        return self.quorum or (self.role,)

    def needed(self, tier: str) -> bool:
        """Tell whether the gate waits for it at a risk tier; at one that nobody knows it does."""
        if self.required_above and tier in TIERS:
            return TIERS.index(tier) > TIERS.index(self.required_above)
        return not self.advisory


@dataclass(frozen=True, slots=True)
class Gate:
    """A point that opens when its checklist is answered, differences are acknowledged, and all have signed."""

    name: str
    checklist: tuple[ChecklistItem, ...] = ()
    acknowledge: str = ""
    signoffs: tuple[SignOffRule, ...] = ()
    included: tuple[Included, ...] = ()

    def signoff(self, key: str) -> SignOffRule | None:
        """Return the rule of a sign-off, if the gate asks for it."""
        return next((rule for rule in self.signoffs if rule.key == key), None)


@dataclass(frozen=True, slots=True)
class ReattestationRules:
    """When approvals of what is live are given anew: at an interval, on what happens, at which gates, how soon.

    `every_days` 0 is no interval. `within_days` is how long an approval holds on once it is asked for anew.
    """

    every_days: int = 0
    triggers: tuple[str, ...] = ()
    gates: tuple[str, ...] = ("release",)
    within_days: int = 30

    @property
    def asks(self) -> bool:
        """Tell whether anything is approved anew."""
        return bool(self.every_days or self.triggers)


@dataclass(frozen=True, slots=True)
class PolicyRules:
    """One policy, read. One that names no `model_types` speaks for all."""

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
    windows: tuple[Window, ...] = ()
    freezes: tuple[Freeze, ...] = ()
    findings: FindingRules = field(default_factory=FindingRules)
    acknowledged_duties: bool = False
    waivers: WaiverRules = field(default_factory=WaiverRules)
    amendments: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    thresholds: LeastThresholds = field(default_factory=LeastThresholds)
    reminders_before_days: tuple[int, ...] = ()
    lapses: str = "suspend"
    retention: RetentionRules = field(default_factory=RetentionRules)
    retirement: RetirementRules = field(default_factory=RetirementRules)
    break_glass: BreakGlassRules = field(default_factory=BreakGlassRules)
    standard_change: StandardRules = field(default_factory=StandardRules)
    retrain: StandardRules = field(default_factory=StandardRules)
    strategy: StrategyRules = field(default_factory=StrategyRules)
    monitoring: MonitoringRules = field(default_factory=MonitoringRules)
    sandbox: SandboxRules = field(default_factory=SandboxRules)
    model_types: tuple[str, ...] = ()
    reattestation: ReattestationRules = field(default_factory=ReattestationRules)

    def held(self, kind: str, tier: str) -> dict[str, Declared]:
        """Return what is locked, constrained or free in a kind of target at a risk tier, and who answers for it."""
        return declared(self.aspects, kind=kind, tier=tier, acknowledge=self.gate("review").acknowledge)

    def gate(self, name: str) -> Gate:
        """Return a gate; one that the policy does not name has no requirements."""
        return self.gates.get(name, Gate(name))

    @property
    def lighter(self) -> dict[str, StandardRules]:
        """Return the kinds of changes for which fewer sign, with what the policy says of each; retrains first."""
        both = {RETRAIN: self.retrain, STANDARD: self.standard_change}
        return {kind: rules for kind, rules in both.items() if rules.signers}

    def timeless(self) -> "PolicyRules":
        """Return the same rules without windows and freezes, which only bear on the instant of a release."""
        return replace(self, windows=(), freezes=()) if self.windows or self.freezes else self

    def roles(self, tier: str = "") -> tuple[str, ...]:
        """Return every role that must act at a risk tier, in the order of the gates; a quorum needs no one role."""
        found: dict[str, None] = {}
        for gate in self.gates.values():
            for item in gate.checklist:
                found |= {item.role: None} if item.role else {}
            if gate.acknowledge:
                found[gate.acknowledge] = None
            for rule in gate.signoffs:
                if rule.role and rule.needed(tier):
                    found[rule.role] = None
        return tuple(found)
