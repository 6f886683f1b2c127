"""How long before a retirement those who depend on a model are told."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from handoff.rules.reading import Reader

LONGEST_NOTICE = 730  # days


@dataclass(frozen=True, slots=True)
class RetirementRules:
    """What a policy says of retirement: how many days of notice consumers get."""

    notice_days: int = 0

    def first_day(self, today: date) -> date:
        """Return the first day on which something that is planned today may be retired."""
        return today + timedelta(days=self.notice_days)


def read_retirement_rules(reader: Reader, raw: Any) -> RetirementRules:
    """Read `retirement` of a policy; without it, no notice has to be given."""
    row = reader.mapping("retirement", raw)
    reader.unknown("retirement", row, {"notice_days"})
    days = reader.whole("retirement.notice_days", row.get("notice_days", 0), 0, LONGEST_NOTICE, of="of days ")
    return RetirementRules(days)


def notice_in(policy: Mapping[str, Any] | None) -> int:
    """Return the days of notice in what a handoff has frozen; none where it says nothing."""
    return int((policy or {}).get("retirement", {}).get("notice_days", 0))
