"""Read content that people wrote: strictly, and with every mistake by its place instead of only the first."""

from collections.abc import Mapping
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


class Reader:
    """Read parts of a document, and collect what is wrong with each. `keys` are those that were seen so far."""

    def __init__(self) -> None:
        self.mistakes: dict[str, str | list[str]] = {}
        self.keys: set[str] = set()

    def texts(self, place: str, raw: Any) -> tuple[str, ...]:
        """Read a list of short texts."""
        if (
            isinstance(raw, list)
            and len(raw) <= 100
            and all(isinstance(one, str) and 0 < len(one) <= 200 for one in raw)
        ):
            return tuple(raw)
        self.mistakes[place] = "must be a list of at most 100 short texts"
        return ()

    def unknown(self, place: str, row: Mapping[str, Any], known: set[str]) -> None:
        for key in row:
            if key not in known:
                self.mistakes[f"{place}.{key}".lstrip(".")] = "is not known; known are " + ", ".join(sorted(known))

    def mapping(self, place: str, raw: Any) -> Mapping[str, Any]:
        if isinstance(raw, Mapping):
            return raw
        self.mistakes[place] = "must be a mapping"
        return {}

    def rows(self, place: str, raw: Any) -> list[Mapping[str, Any]]:
        if isinstance(raw, list) and all(isinstance(row, Mapping) for row in raw) and len(raw) <= 200:
            return raw
        self.mistakes[place] = "must be a list of at most 200 mappings"
        return []

    def text(self, place: str, raw: Any) -> str:
        if not isinstance(raw, str) or not raw.strip() or len(raw) > 1000:
            self.mistakes[place] = "must be a text of at most 1000 characters"
        return str(raw)

    def slug(self, place: str, raw: Any) -> str:
        text = str(raw)
        if not (isinstance(raw, str) and 1 <= len(text) <= 50 and text.replace("-", "").replace("_", "").isalnum()):
            self.mistakes[place] = "must be a short name of letters, digits, - and _"
        return text

    def key(self, place: str, raw: Any) -> str:
        found = self.slug(f"{place}.key", raw)
        if found in self.keys:
            self.mistakes[f"{place}.key"] = f"{found} stands twice in the policy"
        self.keys.add(found)
        return found

    def one_of(self, place: str, raw: Any, known: tuple[str, ...]) -> str:
        if raw not in known:
            self.mistakes[place] = "must be one of " + ", ".join(known)
        return str(raw)

    def subset(self, place: str, raw: Any, known: tuple[str, ...], *, empty: bool = False) -> tuple[str, ...]:
        if not isinstance(raw, list) or any(value not in known for value in raw) or not (raw or empty):
            self.mistakes[place] = ("must be a list of " if empty else "must be a list, not empty, of ") + ", ".join(
                known
            )
            return ()
        return tuple(value for value in known if value in raw)
