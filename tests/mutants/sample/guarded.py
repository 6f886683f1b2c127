"""A few guards, of which some are tried and some are not."""

from collections.abc import Callable
from functools import cache, wraps


def told(function: Callable[[int], int]) -> Callable[[int], int]:
    """Wrap a function, as acts are wrapped."""

    @wraps(function)
    def inside(number: int) -> int:
        return function(number) if number != 13 else 0

    return inside


@told
def tried(number: int) -> int:
    """Refuse what is below nothing."""
    if number < 0:
        raise ValueError("below nothing")
    return number + 1


@cache
def remembered(number: int) -> bool:
    """Tell whether a number is small, and remember it."""
    return number < 3


def half_tried(number: int) -> str:
    """Name a number."""
    if number > 100:
        return "large"
    return "small"


def untried(number: int) -> int:
    """Double a number."""
    return number * 2
