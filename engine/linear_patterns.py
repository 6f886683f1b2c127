"""Write a pattern of ours in the language of RE2, which Arrow uses for whole columns.

The two languages look alike and differ in details (what `\\d` and `$` mean, how `{` is read), so nothing is passed on
as text: the pattern's structure, as Python reads it, is written anew with every character by its number. For matching
whole texts only the set of texts matters, which is the same in both then.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from re import _parser as sre  # type: ignore[attr-defined]  # the only way to see a pattern's structure
from typing import Any

from engine.patterns import CATEGORIES, REPEATS

ASCII = range(128)


@dataclass(frozen=True, slots=True)
class LinearPattern:
    """A pattern for whole texts in RE2's language; `ascii_only` says that it is right for texts in ASCII alone."""

    text: str
    ascii_only: bool


def to_linear(pattern: str) -> LinearPattern | None:
    """Return a pattern, which `compile_pattern` has accepted, for RE2; None if it has no equal there."""
    writer = _Writer()
    try:
        return LinearPattern(rf"\A(?:{writer.sequence(items_of(pattern))})\z", writer.ascii_only)
    except ValueError:
        return None


def items_of(pattern: str) -> list[tuple[Any, Any]]:
    """Return the parts of a pattern for whole texts, without marks of a beginning and an end, which change nothing."""
    items = list(sre.parse(pattern))
    if items and items[0][0] is sre.AT and items[0][1] in (sre.AT_BEGINNING, sre.AT_BEGINNING_STRING):
        items = items[1:]
    if items and items[-1][0] is sre.AT and items[-1][1] in (sre.AT_END, sre.AT_END_STRING):
        items = items[:-1]
    return items


class _Writer:
    """Write the parts of a pattern, and remember whether one of them was written for ASCII alone."""

    def __init__(self) -> None:
        self.ascii_only = False

    def sequence(self, items: Any) -> str:
        return "".join(self._item(operator, argument) for operator, argument in items)

    def _item(self, operator: Any, argument: Any) -> str:
        if operator is sre.LITERAL:
            return _point(argument)
        if operator is sre.NOT_LITERAL:
            return f"[^{_point(argument)}]"
        if operator is sre.ANY:
            return r"[^\n]"
        if operator is sre.IN:
            return self._kinds(argument)
        if operator is sre.SUBPATTERN:
            return f"(?:{self.sequence(argument[3])})"
        if operator is sre.BRANCH:
            return f"(?:{'|'.join(self.sequence(branch) for branch in argument[1])})"
        if operator in REPEATS:
            least, most, body = argument
            times = f"{{{least},{'' if most is sre.MAXREPEAT else most}}}"
            return f"(?:{self.sequence(body)}){times}"
        raise ValueError("it has no equal")

    def _kinds(self, kinds: Sequence[Any]) -> str:
        negated = kinds[0][0] is sre.NEGATE
        found = "".join(self._kind(kind, value) for kind, value in kinds[negated:])
        return f"[{'^' if negated else ''}{found}]"

    def _kind(self, kind: Any, value: Any) -> str:
        if kind is sre.LITERAL:
            return _point(value)
        if kind is sre.RANGE:
            return f"{_point(value[0])}-{_point(value[1])}"
        self.ascii_only = True
        return "".join(_point(code) for code in ASCII if CATEGORIES[value].fullmatch(chr(code)))


def _point(code: int) -> str:
    if 0xD800 <= code <= 0xDFFF:
        raise ValueError("half a surrogate pair is no character")
    return f"\\x{{{code:x}}}"
