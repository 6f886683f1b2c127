"""Waivers as a policy allows them: who approves, for how long, and how long before the end somebody is told."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date, timedelta
from typing import Any

from handoff.rules.gate_facts import Requirement, WaiverFact
from handoff.rules.reading import ROLES, Reader

LONGEST_DAYS = 366
LONGEST_WARNING = 90


@dataclass(frozen=True, slots=True)
class WaiverRules:
    """What a policy says of waivers. Without an `approver` it allows none."""

    approver: str = ""
    max_days: int = 90
    warn_days: int = 14


def read_waiver_rules(reader: Reader, raw: Any) -> WaiverRules:
    """Read `waivers` of a policy; without it there are none."""
    if raw is None:
        return WaiverRules()
    row = reader.mapping("waivers", raw)
    reader.unknown("waivers", row, {"approver", "max_days", "warn_days"})
    return WaiverRules(
        approver=reader.one_of("waivers.approver", row.get("approver"), ROLES),
        max_days=reader.whole("waivers.max_days", row.get("max_days", 90), 1, LONGEST_DAYS, of="of days "),
        warn_days=reader.whole("waivers.warn_days", row.get("warn_days", 14), 1, LONGEST_WARNING, of="of days "),
    )


def waived(found: Requirement, waivers: Mapping[str, WaiverFact]) -> Requirement:
    """Return a requirement as met if it is not, and a waiver that counts stands for it; the waiver is told with it."""
    kind = "test" if found.kind == "test" else "item"
    waiver = waivers.get(f"{kind}:{found.key}")
    if found.met or waiver is None or not waiver.counts:
        return found
    told = f"waived until {waiver.until}, approved by {waiver.approved_by}: {waiver.control.rstrip('.')}"
    return replace(found, met=True, who=(), waived=told)


def ends_soon(waiver: WaiverFact, today: date, warn_days: int) -> bool:
    """Tell whether a waiver that counts ends within so many days."""
    return waiver.counts and date.fromisoformat(waiver.until) <= today + timedelta(days=warn_days)
