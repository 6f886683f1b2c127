"""Rules that a figure must meet, as people write them: `>= 0.8`, `< 200 and > 0`, `in 0, 0.5, 1`."""

import operator
import re
from collections.abc import Callable

COMPARISONS: dict[str, Callable[[float, float], bool]] = {
    ">=": operator.ge,
    "<=": operator.le,
    ">": operator.gt,
    "<": operator.lt,
    "=": operator.eq,
}
ONE = re.compile(r"\s*(>=|<=|>|<|=)\s*(-?\d{1,15}(?:\.\d{1,15})?)\s*")
LIST = re.compile(r"\s*in\s+(-?\d{1,15}(?:\.\d{1,15})?(?:\s*,\s*-?\d{1,15}(?:\.\d{1,15})?){0,19})\s*")
MOST = 4


def understood(rule: str) -> bool:
    """Tell whether a rule can be read: comparisons joined by 'and', or a list after 'in'."""
    parts = rule.split(" and ")
    return bool(LIST.fullmatch(rule)) or (len(parts) <= MOST and all(ONE.fullmatch(part) for part in parts))


def meets(rule: str, figure: float) -> bool:
    """Tell whether a figure meets a rule; what cannot be read is met by nothing."""
    if listed := LIST.fullmatch(rule):
        return figure in [float(one) for one in listed[1].split(",")]
    found = [ONE.fullmatch(part) for part in rule.split(" and ")]
    return all(one is not None and COMPARISONS[one[1]](figure, float(one[2])) for one in found)
