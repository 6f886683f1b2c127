"""The rungs of the ladder, from nothing to a machine of its own."""

from typing import Literal

Level = Literal["L0", "L1", "L2", "L3"]
LEVELS: tuple[Level, ...] = ("L0", "L1", "L2", "L3")
NONE, FILTERED, ENCLOSED, APART = LEVELS
MADE_OF: dict[Level, str] = {
    NONE: "limits and an empty environment; only formats that hold no code",
    FILTERED: "Landlock, a filter of system calls, limits and an empty environment",
    ENCLOSED: "bubblewrap around Landlock, a filter of system calls, limits and an empty environment",
    APART: "a host of its own, as its operator declares",
}


def known(word: str) -> Level:
    """Return a level by its name. Raises ValueError."""
    return LEVELS[LEVELS.index(word)]
