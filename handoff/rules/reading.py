"""Read content that people wrote: strictly, and with every mistake by its place instead of only the first."""

import re
from collections.abc import Iterable, Mapping, Sequence
from difflib import get_close_matches
from typing import Any

ROLES = (
    "data_scientist",
    "model_owner",
    "validator",
    "analytic_engineer",
    "it_operations",
    "integration_owner",
    "risk_compliance",
)
SLUG = re.compile(r"(?=.*[A-Za-z0-9])[A-Za-z0-9_-]{1,50}")
LONGEST_LIST = 200
LONGEST_TEXT = 1000


def likeness(word: str, known: Iterable[str]) -> str:
    """Return ' (did you mean …?)' where a known word is like the given one, else nothing."""
    found = get_close_matches(word, known)
    return f" (did you mean {found[0]}?)" if found else ""


class Reader:
    """Read parts of a document, and collect what is wrong with each. `keys` are those that were seen so far."""

    def __init__(self) -> None:
        """Start without a mistake, and without a key."""
        self.mistakes: dict[str, str | list[str]] = {}
        self.keys: set[str] = set()

    def wrong(self, place: str, told: str) -> None:
        """Keep what is wrong in a place; the first word on it stays."""
        self.mistakes.setdefault(place, told)

    def unknown(self, place: str, row: Mapping[str, Any], known: Iterable[str]) -> None:
        """Refuse keys that nobody knows."""
        names = sorted(known)
        for key in row:
            if key not in names:
                told = f"is not known{likeness(str(key), names)}; known are " + ", ".join(names)
                self.wrong(f"{place}.{key}".lstrip("."), told)

    def mapping(self, place: str, raw: Any) -> Mapping[str, Any]:
        """Read a mapping."""
        if isinstance(raw, Mapping):
            return raw
        self.wrong(place, "must be a mapping")
        return {}

    def rows(self, place: str, raw: Any) -> list[Mapping[str, Any]]:
        """Read a list of mappings."""
        if isinstance(raw, list) and all(isinstance(row, Mapping) for row in raw) and len(raw) <= LONGEST_LIST:
            return raw
        self.wrong(place, f"must be a list of at most {LONGEST_LIST} mappings")
        return []

    def text(self, place: str, raw: Any) -> str:
        """Read a text that is there."""
        if not isinstance(raw, str) or not raw.strip() or len(raw) > LONGEST_TEXT:
            self.wrong(place, f"must be a text of at most {LONGEST_TEXT} characters")
        return str(raw)

    def texts(self, place: str, raw: Any) -> tuple[str, ...]:
        """Read a list of short texts."""
        if (
            isinstance(raw, list)
            and len(raw) <= 100
            and all(isinstance(one, str) and 0 < len(one) <= 200 for one in raw)
        ):
            return tuple(raw)
        self.wrong(place, "must be a list of at most 100 short texts")
        return ()

    def slug(self, place: str, raw: Any) -> str:
        """Read a short name."""
        text = str(raw)
        if not (isinstance(raw, str) and SLUG.fullmatch(text)):
            self.wrong(place, "must be a short name of letters, digits, - and _, at most 50")
        return text

    def key(self, place: str, raw: Any) -> str:
        """Read a key, which stands once in the whole document."""
        found = self.slug(f"{place}.key", raw)
        if found in self.keys:
            self.wrong(f"{place}.key", f"{found} stands twice in the policy")
        self.keys.add(found)
        return found

    def whole(self, place: str, raw: Any, least: int, most: int, *, of: str = "") -> int:
        """Read a whole number between two, of a unit."""
        if isinstance(raw, int) and not isinstance(raw, bool) and least <= raw <= most:
            return raw
        self.wrong(place, f"must be a whole number {of}from {least} to {most}")
        return least

    def number(self, place: str, raw: Any, least: float, most: float) -> float:
        """Read a number between two."""
        if isinstance(raw, int | float) and not isinstance(raw, bool) and least <= raw <= most:
            return raw
        self.wrong(place, f"must be a number from {least:g} to {most:g}")
        return least

    def flag(self, place: str, raw: Any) -> bool:
        """Read true or false."""
        if not isinstance(raw, bool):
            self.wrong(place, "must be true or false")
        return raw is True

    def one_of(self, place: str, raw: Any, known: Sequence[str]) -> str:
        """Read one of several words."""
        if raw not in known:
            self.wrong(place, "must be one of " + ", ".join(known) + likeness(str(raw), known))
        return str(raw)

    def subset(self, place: str, raw: Any, known: Sequence[str], *, empty: bool = False) -> tuple[str, ...]:
        """Read some of several words, in the order in which they are known."""
        given = raw if isinstance(raw, list) else []
        odd = [str(value) for value in given if value not in known]
        if not isinstance(raw, list) or odd or not (raw or empty):
            told = "must be a list of " if empty else "must be a list, not empty, of "
            self.wrong(place, told + ", ".join(known) + likeness(odd[0] if odd else "", known))
            return ()
        return tuple(value for value in known if value in raw)
