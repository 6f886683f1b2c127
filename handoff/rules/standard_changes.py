"""Standard changes: what a policy lets go live with fewer signatures, and whether a change is one. It is computed."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from engine.thresholds import LOWER_IS_BETTER, METRICS
from handoff.rules.aspects import USUAL
from handoff.rules.change_facts import FULL, ChangeFact, MeasuredFact
from handoff.rules.least_thresholds import MOST
from handoff.rules.reading import ROLES, Reader

STANDARD = "standard"
RETRAIN = "retrain"
KEYS = ("signers", "metrics", "elements", "aspects", "at_most", "within_days")
MOVES = ("worse_by", "worse_by_percent", "better_by", "better_by_percent")
BOUNDS = ("minimum", "maximum")
MAY_DIFFER = ("golden", "runtime")  # beside the model; schemas are the contract, the rest is what metrics hang on
MAY_DIFFER_RETRAINED = (*MAY_DIFFER, "validation")  # new data, where the policy says so
MEASURED_BY = "performance"
MOST_IN_A_ROW = 20
LONGEST_ROW = 365
USUAL_IN_A_ROW = 3
USUAL_ROW = 90


@dataclass(frozen=True, slots=True)
class MetricLimits:
    """How far a metric may move, in its own unit and in percent of what it was, and within which bounds it stays.

    What is not said is not limited. Which direction is worse follows from the metric.
    """

    worse_by: float | None = None
    worse_by_percent: float | None = None
    better_by: float | None = None
    better_by_percent: float | None = None
    minimum: float | None = None
    maximum: float | None = None


@dataclass(frozen=True, slots=True)
class StandardRules:
    """What a policy says of standard changes. Without `signers` it knows none.

    At each gate in `signers` only sign-offs of those roles are waited for; other gates stay as they are. The model may
    differ, and of the other elements and aspects those that are named. `at_most` in a row go live so, the last of them
    within `within_days` after the version that was fully reviewed.
    """

    signers: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    metrics: Mapping[str, MetricLimits] = field(default_factory=dict)
    elements: tuple[str, ...] = MAY_DIFFER[:1]
    aspects: tuple[str, ...] = ()
    at_most: int = USUAL_IN_A_ROW
    within_days: int = USUAL_ROW


@dataclass(frozen=True, slots=True)
class Judged:
    """Of which kind a change is, and why, in sentences. `open_` says that its metrics are still to be measured."""

    kind: str
    reasons: tuple[str, ...]
    open_: bool = False

    @property
    def lighter(self) -> bool:
        """Tell whether fewer people must sign."""
        return self.kind != FULL

    @property
    def title(self) -> str:
        """Return the kind as a heading says it."""
        if self.lighter:
            name = "Retrain" if self.kind == RETRAIN else "Standard change"
            return f"{name}{' so far' if self.open_ else ''}: fewer signatures"
        return "A full handoff: all sign"


def judge(kinds: Mapping[str, StandardRules], change: ChangeFact | None) -> Judged:
    """Return of which kind a change is by the rules of a policy for each kind, the first that fits, with the reasons.

    Before its tests have ended a candidate may be one so far: what opens on the strength of that are the tests.
    Whatever else is not known speaks against it.
    """
    if change is not None and change.recorded:
        return Judged(change.recorded, (RECORDED.get(change.recorded, "it went live with all signatures"),))
    if not kinds or change is None:
        return Judged(FULL, ("the policy knows no standard change",))
    if change.live is None or change.reviewed is None:
        return Judged(FULL, ("nothing is live in the target that it could be compared with",))
    found: dict[str, None] = {}
    for kind, rules in kinds.items():
        against = _against(kind, rules, change, change.live, change.reviewed)
        if not against:
            reasons = tuple(_reasons(kind, rules, change, change.live, change.reviewed))
            return Judged(kind, reasons, change.figures is None)
        found |= dict.fromkeys(f"as a retrain: {one}" if kind == RETRAIN and len(kinds) > 1 else one for one in against)
    return Judged(FULL, tuple(found))


def _against(
    kind: str, rules: StandardRules, change: ChangeFact, live: MeasuredFact, reviewed: MeasuredFact
) -> list[str]:
    """Return what speaks against a change being of a kind; nothing if it is."""
    against = [*_ground(rules, change), *_contract(rules, change)]
    if kind == RETRAIN:
        against += _origin(change, live, reviewed)
    if change.figures is not None:
        against += _metrics(rules, change.figures, live, reviewed)
    return against


def _origin(change: ChangeFact, live: MeasuredFact, reviewed: MeasuredFact) -> Iterator[str]:
    """Say why a version is no retrain of what is live here."""
    if not change.pipeline:
        yield "the version does not say by which pipeline it was trained"
    if not change.retrained_from:
        yield "the version does not say that it retrains another one"
    elif change.retrained_from not in (live.version, reviewed.version):
        yield f"it retrains version {change.retrained_from}, which is neither live here nor the last that was reviewed"


RECORDED = {STANDARD: "it went live as a standard change", RETRAIN: "it went live as a retrain"}


def scope_of(judged: Judged, change: ChangeFact | None) -> dict[str, dict[str, Any]]:
    """Return what signatures cover of the kind of a change: what fewer people sign for; nothing of a full one.

    So a signature that was given when all had to sign holds on, and one that was given among few does not where all
    must sign after all, or another version is live.
    """
    if not judged.lighter or change is None or change.live is None or change.reviewed is None:
        return {}
    told = {"kind": judged.kind, "live": change.live.deployment, "reviewed": change.reviewed.deployment}
    return {"change": told | {"number": change.number + 1}}


def _ground(rules: StandardRules, change: ChangeFact) -> Iterator[str]:
    """Say why the live version is no ground to stand on."""
    yield from change.against
    if not change.same_policy:
        yield "the live version was reviewed under another policy, or another revision of it"
    if change.number >= rules.at_most:
        yield f"{change.number} changes in a row went live with fewer signatures, and the policy allows {rules.at_most}"
    if change.days > rules.within_days:
        yield f"the last full review is {int(change.days)} days ago, and the policy allows {rules.within_days}"


def _contract(rules: StandardRules, change: ChangeFact) -> Iterator[str]:
    """Say what differs from the live version and may not."""
    may = {"model", *rules.elements}
    yield from (f"the {name.replace('_', ' ')} is not that of the live version" for name in _odd(change.elements, may))
    if change.other_pipeline:
        yield "the pipeline that trained it is not that of the live version"
    if not change.same_bindings:
        yield "the bindings are not those of the live version"
    for aspect, name in change.differs:
        if aspect not in rules.aspects:
            yield f"{name} differs from what was signed for the live version ({aspect})"


def _odd(found: Iterable[str], known: Collection[str]) -> list[str]:
    return [one for one in found if one not in known]


def _metrics(
    rules: StandardRules, figures: Mapping[str, float], live: MeasuredFact, reviewed: MeasuredFact
) -> Iterator[str]:
    """Say which metrics were not measured, or moved too far, against the live version and the reviewed one."""
    others = {f"the live version {live.version}": live}
    if reviewed.deployment != live.deployment:
        others[f"version {reviewed.version}, the last that was fully reviewed"] = reviewed
    for name, limits in rules.metrics.items():
        mine = figures.get(name)
        if mine is None:
            yield f"{name} was not measured"
            continue
        yield from _bounds(name, limits, mine)
        for whose, other in others.items():
            if name in other.figures:
                yield from _moved(name, limits, mine, other.figures[name], whose)
            else:
                yield f"{name} of {whose} is not on record"


def _bounds(name: str, limits: MetricLimits, mine: float) -> Iterator[str]:
    if limits.minimum is not None and mine < limits.minimum:
        yield f"{name} is {mine:.6g}, and must be at least {limits.minimum:g}"
    if limits.maximum is not None and mine > limits.maximum:
        yield f"{name} is {mine:.6g}, and may be at most {limits.maximum:g}"


def _moved(name: str, limits: MetricLimits, mine: float, theirs: float, whose: str) -> Iterator[str]:
    """Compare two figures as they are written down, so that 0.90 and 0.89 are 0.01 apart, and not a trifle more."""
    now, before = Decimal(repr(mine)), Decimal(repr(theirs))
    worse = now - before if name in LOWER_IS_BETTER else before - now
    for way, by in (("worse", worse), ("better", -worse)):
        most, percent = getattr(limits, f"{way}_by"), getattr(limits, f"{way}_by_percent")
        if most is not None and by > Decimal(repr(most)):
            yield f"{name} is {way} by {by:.6g} than that of {whose}, and may be by {most:g}"
        if percent is not None and by * 100 > Decimal(repr(percent)) * abs(before):
            yield f"{name} is {way} by {by:.6g} than {before:.6g} of {whose}, and may be by {percent:g} %"


def _reasons(
    kind: str, rules: StandardRules, change: ChangeFact, live: MeasuredFact, reviewed: MeasuredFact
) -> Iterator[str]:
    yield f"schemas and bindings are those of version {live.version}, which is live"
    if kind == RETRAIN:
        yield f"it retrains version {change.retrained_from} by the same pipeline, {change.pipeline[:12]}"
    others = ", ".join(name.replace("_", " ") for name in change.elements) or "nothing"
    yield f"of its elements, what differs is {others}"
    if change.figures is None:
        yield f"{', '.join(rules.metrics)} must stay within the policy's limits once measured, or all sign"
    else:
        for name in rules.metrics:
            was, is_ = live.figures[name], change.figures[name]
            since = f"; {reviewed.figures[name]:.6g} when it was last reviewed in full" if reviewed != live else ""
            yield f"{name} was {was:.6g} and is {is_:.6g}, within the policy's limits{since}"
    yield (
        f"it is change {change.number + 1} of at most {rules.at_most} since version {reviewed.version} was reviewed in "
        f"full, {int(change.days)} of at most {rules.within_days} days ago"
    )


def read_standard_change(
    reader: Reader, raw: Any, gates: Mapping[str, Any], tests: Collection[str], tiers: Sequence[str]
) -> StandardRules:
    """Read `standard_change` of a policy; without it there is none. The rest is the policy's, as it was read."""
    if raw is None:
        return StandardRules()
    return _read(reader, "standard_change", raw, gates, tests, tiers)


def read_retrain(
    reader: Reader, raw: Any, gates: Mapping[str, Any], tests: Collection[str], tiers: Sequence[str]
) -> StandardRules:
    """Read `retrain` of a policy, which is like `standard_change`, with bounds on each metric."""
    return StandardRules() if raw is None else _read(reader, "retrain", raw, gates, tests, tiers)


def _read(
    reader: Reader, place: str, raw: Any, gates: Mapping[str, Any], tests: Collection[str], tiers: Sequence[str]
) -> StandardRules:
    known = MAY_DIFFER_RETRAINED if place == RETRAIN else MAY_DIFFER
    row = reader.mapping(place, raw)
    reader.unknown(place, row, KEYS)
    if MEASURED_BY not in tests:
        reader.wrong(place, f"needs the promotion test {MEASURED_BY}, which measures the metrics")
    return StandardRules(
        signers=_signers(reader, f"{place}.signers", row.get("signers"), gates, tiers),
        metrics=_limits(reader, f"{place}.metrics", row.get("metrics"), bounded=place == RETRAIN),
        elements=reader.subset(f"{place}.elements", row.get("elements", ["golden"]), known, empty=True),
        aspects=reader.subset(f"{place}.aspects", row.get("aspects", []), tuple(USUAL), empty=True),
        at_most=reader.whole(f"{place}.at_most", row.get("at_most", USUAL_IN_A_ROW), 1, MOST_IN_A_ROW),
        within_days=reader.whole(
            f"{place}.within_days", row.get("within_days", USUAL_ROW), 1, LONGEST_ROW, of="of days "
        ),
    )


def _signers(
    reader: Reader, place: str, raw: Any, gates: Mapping[str, Any], tiers: Sequence[str]
) -> dict[str, tuple[str, ...]]:
    """Read the roles whose sign-offs are waited for still; of each gate that is named, at least one that it asks."""
    raw = reader.mapping(place, raw)
    reader.unknown(place, raw, gates)
    if not raw:
        reader.wrong(place, "names no gate, so that no signature would be fewer")
    found = {}
    for name in (name for name in gates if name in raw):
        found[name] = reader.subset(f"{place}.{name}", raw[name], ROLES)
        known = dict.fromkeys(role for rule in gates[name].signoffs for role in rule.roles)
        silent = [tier for tier in tiers if not _somebody(gates[name].signoffs, found[name], tier)]
        if odd := _odd(found[name], known):
            reader.wrong(f"{place}.{name}", f"{odd[0]} signs nothing at that gate; these do: {', '.join(known)}")
        elif silent:
            told = f"nobody would have to sign at {silent[0]} risk; a gate never opens by silence"
            reader.wrong(f"{place}.{name}", told)
    return found


def _somebody(signoffs: Iterable[Any], roles: Collection[str], tier: str) -> bool:
    return any(rule.needed(tier) and kept(rule, roles) for rule in signoffs)


def kept(rule: Any, roles: Collection[str]) -> bool:
    """Tell whether a sign-off is waited for still where only some roles must sign."""
    return any(role in roles for role in rule.roles)


def bound_of(metric: str) -> str:
    """Return which bound holds a metric where it is worse."""
    return "maximum" if metric in LOWER_IS_BETTER else "minimum"


def _limits(reader: Reader, place: str, raw: Any, *, bounded: bool) -> dict[str, MetricLimits]:
    raw = reader.mapping(place, raw)
    reader.unknown(place, raw, METRICS)
    if not raw:
        reader.wrong(place, "names no metric, so that nothing would hold a change small")
    found = {}
    for name in (name for name in METRICS if name in raw):
        at, row = f"{place}.{name}", reader.mapping(f"{place}.{name}", raw[name])
        reader.unknown(at, row, (*MOVES, *BOUNDS))
        given = {key: reader.number(f"{at}.{key}", row[key], 0, MOST) for key in MOVES if key in row}
        given |= {key: reader.number(f"{at}.{key}", row[key], -MOST, MOST) for key in BOUNDS if key in row}
        if not {"worse_by", "worse_by_percent"} & row.keys():
            reader.wrong(at, "must say how much worse it may be: worse_by, or worse_by_percent")
        if bounded and bound_of(name) not in row:
            reader.wrong(
                f"{at}.{bound_of(name)}", "is missing; a retrain stays inside of a bound, however small each step"
            )
        found[name] = MetricLimits(**given)
    return found


def united(one: Mapping[str, Any] | None, other: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """Return which standard changes two policies both allow: signed by all whom one of them names, and as small.

    A gate that only one of them lightens keeps all signatures. None where one of them allows none, or nothing is left.
    """
    if not one or not other:
        return None
    gates = [name for name in one["signers"] if name in other["signers"]]
    if not gates:
        return None
    return {
        "signers": {name: _in_order(ROLES, one["signers"][name], other["signers"][name]) for name in gates},
        "metrics": {
            name: _stricter(one["metrics"].get(name, {}), other["metrics"].get(name, {}))
            for name in METRICS
            if name in one["metrics"] or name in other["metrics"]
        },
        "elements": [
            name
            for name in MAY_DIFFER_RETRAINED
            if all(name in part.get("elements", ["golden"]) for part in (one, other))
        ],
        "aspects": [name for name in USUAL if all(name in part.get("aspects", ()) for part in (one, other))],
        "at_most": min(part.get("at_most", USUAL_IN_A_ROW) for part in (one, other)),
        "within_days": min(part.get("within_days", USUAL_ROW) for part in (one, other)),
    }


def _in_order(words: Iterable[str], *some: Collection[str]) -> list[str]:
    return [word for word in words if any(word in part for part in some)]


def _stricter(one: Mapping[str, float], other: Mapping[str, float]) -> dict[str, float]:
    strict = dict.fromkeys((*MOVES, "maximum"), min) | {"minimum": max}
    return {
        key: choose(part[key] for part in (one, other) if key in part)
        for key, choose in strict.items()
        if key in one or key in other
    }
