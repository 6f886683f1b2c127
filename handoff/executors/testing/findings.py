"""What a test found, in plain numbers and words that the database takes and a person understands."""

import math
from dataclasses import dataclass, field
from typing import Any

LONGEST_LOG = 64 * 1024
LONGEST_TEXT = 2000


@dataclass(frozen=True, slots=True)
class Finding:
    """The outcome of one test: whether it passed, a sentence with numbers, and the numbers."""

    passed: bool
    summary: str
    figures: dict[str, Any]
    thresholds: dict[str, Any] = field(default_factory=dict)


class Log:
    """Lines that a person reads afterwards; what is too long is cut in the middle of the story, and says so."""

    def __init__(self) -> None:
        self._lines: list[str] = []
        self._left = LONGEST_LOG

    def line(self, text: str) -> None:
        """Add a line."""
        clean = text_of(text)
        if self._left > 0:
            self._lines.append(clean)
        self._left -= len(clean) + 1

    def text(self) -> str:
        """Return all of it."""
        end = ["… and more than fits here."] if self._left <= 0 else []
        return "\n".join([*self._lines, *end])


def text_of(value: object) -> str:
    """Return text that PostgreSQL stores: no NUL, no lone surrogates, not endless."""
    text = str(value).replace("\0", "\ufffd").encode("utf-8", "replace").decode()
    return text if len(text) <= LONGEST_TEXT else text[:LONGEST_TEXT] + " …"


def plain(value: Any) -> Any:
    """Return figures as JSON takes them: finite numbers, texts, lists and objects of those."""
    if isinstance(value, bool | None):
        return value
    if isinstance(value, int) and abs(value) < 2**53:
        return value
    if isinstance(value, float) and math.isfinite(value):
        return value
    if isinstance(value, dict):
        return {text_of(key): plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [plain(one) for one in value]
    return text_of(value)


def counted(number: int, one: str, many: str = "") -> str:
    """Return '1 record' or '3 records'."""
    return f"{number} {one if number == 1 else many or one + 's'}"
