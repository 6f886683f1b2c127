"""Regular expressions that cannot explode.

Python's `re` backtracks, so an innocent pattern such as (a+)+ takes time exponential in the text. Here the work of the
worst text is bounded before a pattern is accepted. Matching walks a tree of choices: each repetition chooses how often,
each alternative which way. `_cost` bounds, for texts of at most `LONGEST_MATCHED` characters, in how many ways a part
can match and how many steps it takes to try them all; parts in a row multiply their ways, and each is tried again for
every way of those before it. A repetition whose next character tells whether it goes on (`[0-9]+-`) has no choice.
What has more than `MOST_STEPS` is refused, and so are back-references, look-around and flags.
"""

import re
import warnings
from collections.abc import Sequence
from re import _parser as sre  # type: ignore[attr-defined]  # the only way to see a pattern's structure
from typing import Any

from engine.errors import SchemaError

LONGEST_PATTERN = 200
LONGEST_MATCHED = 1000
MOST_STEPS = 2 * (LONGEST_MATCHED + 1) ** 2
FEW_CHARACTERS = 512
REPEATS = {sre.MAX_REPEAT, sre.MIN_REPEAT}
ONE_CHARACTER = {sre.LITERAL, sre.NOT_LITERAL, sre.ANY, sre.IN}
CATEGORIES = {
    sre.CATEGORY_DIGIT: re.compile(r"\d"),
    sre.CATEGORY_NOT_DIGIT: re.compile(r"\D"),
    sre.CATEGORY_SPACE: re.compile(r"\s"),
    sre.CATEGORY_NOT_SPACE: re.compile(r"\S"),
    sre.CATEGORY_WORD: re.compile(r"\w"),
    sre.CATEGORY_NOT_WORD: re.compile(r"\W"),
}
Item = tuple[Any, Any]
END: Item = (None, None)


def compile_pattern(pattern: Any, field: str) -> re.Pattern[str]:
    """Return a pattern for whole texts. Raises SchemaError `pattern_invalid` or `pattern_unsafe`."""
    if not isinstance(pattern, str) or len(pattern) > LONGEST_PATTERN:
        raise SchemaError(
            "pattern_invalid", f"A pattern is a text of at most {LONGEST_PATTERN} characters.", field=field
        )
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # what will mean something else in a later Python is refused in this one
            tree = sre.parse(pattern)
            compiled = re.compile(pattern)
    except (re.error, RecursionError, OverflowError, ValueError, Warning) as error:
        raise SchemaError(
            "pattern_invalid", f"{pattern!r} is not a regular expression: {error}.", field=field
        ) from error
    try:
        if compiled.flags != re.UNICODE:
            raise ValueError("flags are not accepted; write [Aa] instead of (?i)a")
        _cost(tree, [END])
    except (ValueError, RecursionError) as why:
        raise SchemaError("pattern_unsafe", f"{pattern!r} could take for ever to match: {why}.", field=field) from why
    return compiled


def _cost(tree: Any, follow: list[Item | None]) -> tuple[int, int]:
    """Return in how many ways a sequence can match, and the steps to try all, if one of `follow` comes after it.

    Raises ValueError for what is too much.
    """
    ways, steps = 1, 0
    items = _flat(tree)
    for at, (operator, argument) in enumerate(items):
        after = _firsts(items[at + 1 :], follow)
        if operator in ONE_CHARACTER or operator is sre.AT:
            own, work = 1, 1
        elif operator is sre.BRANCH:
            own, work = _cost_of_branches(argument[1], after)
        elif operator in REPEATS:
            own, work = _cost_of_repeat(*argument, follow=after)
        else:
            raise ValueError("back-references, look-around and other special forms are not accepted")
        steps += ways * work
        ways *= own
        if max(ways, steps) > MOST_STEPS:
            raise ValueError("it has too many repetitions or alternatives that can match the same text")
    return ways, max(steps, 1)


def _flat(tree: Any) -> list[Item]:
    """Return the items of a sequence with groups dissolved, which changes nothing without back-references."""
    found: list[Item] = []
    for operator, argument in tree:
        if operator is sre.SUBPATTERN:
            _, add_flags, del_flags, body = argument
            if add_flags or del_flags:
                raise ValueError("flags are not accepted")
            found += _flat(body)
        else:
            found.append((operator, argument))
    return found


def _cost_of_branches(branches: Sequence[Any], follow: list[Item | None]) -> tuple[int, int]:
    """Alternatives add up, unless the first character tells which of them it is."""
    costs = [_cost(branch, follow) for branch in branches]
    firsts = [next(iter(_flat(branch)), (None, None)) for branch in branches]
    distinct = all(operator is sre.LITERAL for operator, _ in firsts) and len(set(firsts)) == len(firsts)
    ways = [own for own, _ in costs]
    return (max(ways) if distinct else sum(ways)), sum(work for _, work in costs)


def _cost_of_repeat(least: int, most: int, body: Any, *, follow: list[Item | None]) -> tuple[int, int]:
    """A repetition can be left after each round, unless the next character tells; in a round all ways are open."""
    if most > 1 and body.getwidth()[0] == 0:
        raise ValueError("what is repeated may be empty")
    firsts = _firsts(_flat(body), [None])
    own, work = _cost(body, firsts + follow if most > 1 else follow)
    least, most = (min(int(times), LONGEST_MATCHED) for times in (least, most))
    if own == 1:
        forced = all(_disjoint(one, other) for one in firsts for other in follow)
        return (1 if forced else most - least + 1), max(most, 1) * work
    ways = total = 0
    rounds = 1
    for times in range(most + 1):
        total += rounds
        ways += rounds if times >= least else 0
        if total > MOST_STEPS:
            raise ValueError("a repetition or an alternative stands inside a repetition")
        rounds *= own
    return ways, total * work


def _firsts(items: Sequence[Item], follow: list[Item | None]) -> list[Item | None]:
    """Return the kinds of characters that may come first in a sequence, or after it if it may be empty."""
    found: list[Item | None] = []
    for operator, argument in items:
        if operator in REPEATS:
            found += _firsts(_flat(argument[2]), [None])
            if argument[0] > 0:
                return found
        else:
            return [*found, (operator, argument) if operator in ONE_CHARACTER else None]
    return found + follow


def _disjoint(one: Item | None, other: Item | None) -> bool:
    """Tell whether two kinds of characters surely have none in common; one of them has to be a short list."""
    if one is None or other is None:
        return False
    if END in (one, other):
        return True
    for listed, asked in ((one, other), (other, one)):
        characters = _characters(listed)
        if characters is not None:
            return not any(_holds(asked, character) for character in characters)
    return False


def _characters(item: Item) -> list[int] | None:
    """Return the code points of a short list of characters; None for anything else."""
    operator, argument = item
    if operator is sre.LITERAL:
        return [argument]
    if operator is not sre.IN:
        return None
    found: list[int] = []
    for kind, value in argument:
        if kind is sre.LITERAL:
            found.append(value)
        elif kind is sre.RANGE and value[1] - value[0] < FEW_CHARACTERS:
            found += range(value[0], value[1] + 1)
        else:
            return None
    return found if len(found) <= FEW_CHARACTERS else None


def _holds(item: Item, character: int) -> bool:
    """Tell whether a kind of characters has a code point; when in doubt, yes."""
    operator, argument = item
    if operator is sre.LITERAL:
        return bool(argument == character)
    if operator is sre.NOT_LITERAL:
        return bool(argument != character)
    if operator is sre.ANY:
        return True
    negated = argument[0][0] is sre.NEGATE
    return any(_one_holds(kind, value, character) for kind, value in argument[negated:]) != negated


def _one_holds(kind: Any, value: Any, character: int) -> bool:
    if kind is sre.LITERAL:
        return bool(value == character)
    if kind is sre.RANGE:
        return bool(value[0] <= character <= value[1])
    return CATEGORIES[value].fullmatch(chr(character)) is not None
