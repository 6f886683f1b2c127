"""How long records are kept: the policy's years after a handoff has ended.

Ten years is what Article 18 of Regulation (EU) 2024/1689 asks of providers of high-risk AI systems.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from handoff.rules.reading import Reader

LONGEST_YEARS = 100


@dataclass(frozen=True, slots=True)
class RetentionRules:
    """What a policy says of retention: for how many years records are kept once their handoff has ended."""

    years: int = 10


def read_retention_rules(reader: Reader, raw: Any) -> RetentionRules:
    """Read `retention` of a policy; without it, ten years."""
    row = reader.mapping("retention", raw)
    reader.unknown("retention", row, {"years"})
    return RetentionRules(reader.whole("retention.years", row.get("years", 10), 1, LONGEST_YEARS, of="of years "))


def years_in(policy: Mapping[str, Any] | None) -> int:
    """Return the years in what a handoff has frozen; ten where it says nothing, or nothing is frozen yet."""
    return int((policy or {}).get("retention", {}).get("years", RetentionRules().years))


def kept_until(ended: datetime, years: int) -> date:
    """Return the last day of that many years after an instant; what ended on 29 February, on the last of February."""
    day = ended.date()
    try:
        return day.replace(year=day.year + years)
    except ValueError:
        return day.replace(year=day.year + years, day=28)
