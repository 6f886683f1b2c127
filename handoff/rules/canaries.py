"""How a version goes live: at once, or as a canary that stays within limits before it may be confirmed."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from handoff.rules.gate_facts import Requirement
from handoff.rules.reading import Reader
from handoff.rules.watches import MOST_MS, MOST_PERCENT, CanaryFact, told_failed, too_many

STRATEGIES = ("direct", "canary")
KEYS = ("kind", "least_minutes", "least_requests", "most_failed_percent", "most_p99_ms")
LONGEST_MINUTES = 10_080  # a week
MOST_REQUESTS = 10_000_000
USUAL_MINUTES = 60
USUAL_REQUESTS = 1000
USUAL_PERCENT = 1.0
UNSEEN_MINUTES = 5  # then nobody knows whether it is within the limits
KIND = "canary"  # of its requirements


@dataclass(frozen=True, slots=True)
class StrategyRules:
    """What a policy says of how a version goes live. A canary is confirmed only after so long, within these limits."""

    kind: str = "direct"
    least_minutes: int = USUAL_MINUTES
    least_requests: int = USUAL_REQUESTS
    most_failed_percent: float = USUAL_PERCENT
    most_p99_ms: int | None = None

    @property
    def canary(self) -> bool:
        """Tell whether there are limits."""
        return self.kind == "canary"

    def words(self) -> str:
        """Return it in words."""
        p99 = f", and a 99th percentile of at most {self.most_p99_ms} ms" if self.most_p99_ms else ""
        return (
            f"a canary of at least {self.least_minutes} minutes and {self.least_requests} requests, "
            f"with at most {self.most_failed_percent:g} % failed{p99}"
        )


def read_strategy(reader: Reader, raw: Any, gates: Collection[str]) -> StrategyRules:
    """Read `strategy` of a policy; without it a version goes live at once, or when somebody confirms."""
    if raw is None:
        return StrategyRules()
    place = "strategy"
    row = reader.mapping(place, raw)
    reader.unknown(place, row, KEYS)
    kind = reader.one_of(f"{place}.kind", row.get("kind"), STRATEGIES)
    if kind == "direct":
        for key in row.keys() & set(KEYS[1:]):
            reader.wrong(f"{place}.{key}", "goes with a canary only; say kind: canary")
        return StrategyRules()
    if "confirm" not in gates:
        reader.wrong(f"{place}.kind", "is a canary, which ends at the confirm gate; name that under gates, too")
    return StrategyRules(
        kind,
        reader.whole(
            f"{place}.least_minutes", row.get("least_minutes", USUAL_MINUTES), 1, LONGEST_MINUTES, of="of minutes "
        ),
        reader.whole(
            f"{place}.least_requests", row.get("least_requests", USUAL_REQUESTS), 0, MOST_REQUESTS, of="of requests "
        ),
        reader.number(f"{place}.most_failed_percent", row.get("most_failed_percent", USUAL_PERCENT), 0, MOST_PERCENT),
        reader.whole(f"{place}.most_p99_ms", row["most_p99_ms"], 1, MOST_MS, of="of milliseconds ")
        if "most_p99_ms" in row
        else None,
    )


def united(one: Mapping[str, Any] | None, other: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return the stricter of two strategies: a canary where one is, the longer, with the smaller limits of both."""
    both = [part for part in (one, other) if part and part["kind"] == "canary"]
    if not both:
        return {"kind": "direct"}
    p99 = [part["most_p99_ms"] for part in both if "most_p99_ms" in part]
    return {
        "kind": "canary",
        "least_minutes": max(part.get("least_minutes", USUAL_MINUTES) for part in both),
        "least_requests": max(part.get("least_requests", USUAL_REQUESTS) for part in both),
        "most_failed_percent": min(part.get("most_failed_percent", USUAL_PERCENT) for part in both),
    } | ({"most_p99_ms": min(p99)} if p99 else {})


def asked_of(rules: StrategyRules, fact: CanaryFact | None) -> list[Requirement]:
    """Return what the confirm gate asks of a canary; nothing of what is no canary any more.

    Whoever signs may do so meanwhile. Break-glass steps over none of it.
    """
    if not rules.canary or fact is None:
        return []
    unseen = fact.unseen_minutes is None or fact.unseen_minutes > UNSEEN_MINUTES
    told = "no worker has asked yet" if fact.unseen_minutes is None else f"last {fact.unseen_minutes:.0f} minutes ago"
    minutes, requests = rules.least_minutes, rules.least_requests
    short = f"{int(fact.minutes)} of {minutes} minutes so far" if fact.minutes < minutes else ""
    few = f"{fact.requests} of {requests} requests so far" if fact.requests < requests else ""
    failed = told_failed(fact.failed, fact.requests) if _fails(rules, fact) else ""
    found = [
        _asked("seen", "What the engine has counted is known", told if unseen else "", "the workers"),
        _asked("minutes", f"The canary has run for {minutes} minutes", short, "the clock"),
        _asked("requests", f"It has answered {requests} requests", few, "whoever sends requests"),
        _asked("failed", f"At most {rules.most_failed_percent:g} % of its requests failed", failed, "the workers"),
    ]
    if rules.most_p99_ms is not None:
        slow = f"it is {fact.p99_ms:g} ms" if _slow(rules, fact) else ""
        found.append(_asked("p99", f"The 99th percentile is at most {rules.most_p99_ms} ms", slow, "the workers"))
    return found


def _asked(key: str, title: str, why: str, who: str) -> Requirement:
    return Requirement(KIND, f"canary-{key}", title, "", not why, why, (who,) if why else ())


def breach_of(rules: StrategyRules, fact: CanaryFact | None) -> str:
    """Return which limits a canary breaks, with the figures; nothing while it is within them."""
    if not rules.canary or fact is None:
        return ""
    found = []
    if _fails(rules, fact):
        found.append(f"{told_failed(fact.failed, fact.requests)}; at most {rules.most_failed_percent:g} % may")
    if _slow(rules, fact):
        found.append(f"the 99th percentile of the latency is {fact.p99_ms:g} ms; {rules.most_p99_ms} ms are allowed")
    return "; ".join(found)


def _fails(rules: StrategyRules, fact: CanaryFact) -> bool:
    return too_many(fact.failed, fact.requests, rules.most_failed_percent)


def _slow(rules: StrategyRules, fact: CanaryFact) -> bool:
    return rules.most_p99_ms is not None and fact.p99_ms is not None and fact.p99_ms > rules.most_p99_ms
