"""Regular expressions that cannot explode.

Python's `re` backtracks, so an innocent pattern such as (a+)+ takes time exponential in the text. A pattern is
accepted if no repetition holds a repetition or an alternative, if it has at most two repetitions of open length, and
neither back-references nor look-around. Then matching takes at most time quadratic in the text, and texts that are
matched have at most a thousand characters.
"""

import re
from re import _parser as sre  # type: ignore[attr-defined]  # the only way to see a pattern's structure
from typing import Any

from engine.errors import SchemaError

LONGEST_PATTERN = 200
LONGEST_MATCHED = 1000
MOST_OPEN = 2
REPEATS = {sre.MAX_REPEAT, sre.MIN_REPEAT}
PLAIN = {sre.LITERAL, sre.NOT_LITERAL, sre.ANY, sre.IN, sre.RANGE, sre.CATEGORY, sre.AT}


def compile_pattern(pattern: Any, field: str) -> re.Pattern[str]:
    """Return a pattern for whole texts. Raises SchemaError `pattern_invalid` or `pattern_unsafe`."""
    if not isinstance(pattern, str) or len(pattern) > LONGEST_PATTERN:
        raise SchemaError(
            "pattern_invalid", f"A pattern is a text of at most {LONGEST_PATTERN} characters.", field=field
        )
    try:
        tree = sre.parse(pattern)
        compiled = re.compile(pattern)
    except (re.error, RecursionError, OverflowError) as error:
        raise SchemaError(
            "pattern_invalid", f"{pattern!r} is not a regular expression: {error}.", field=field
        ) from error
    try:
        if _open_repeats(tree, inside=False) > MOST_OPEN:
            raise ValueError(f"it has more than {MOST_OPEN} repetitions of open length")
    except ValueError as why:
        raise SchemaError("pattern_unsafe", f"{pattern!r} could take for ever to match: {why}.", field=field) from why
    return compiled


def _open_repeats(tree: Any, *, inside: bool) -> int:
    """Return the number of repetitions of open length. Raises ValueError for a form that is not accepted."""
    count = 0
    for operator, argument in tree:
        if operator in REPEATS:
            least, most, body = argument
            if inside and most > 1:
                raise ValueError("a repetition stands inside a repetition")
            count += (most != least) + _open_repeats(body, inside=inside or most > 1)
        elif operator is sre.SUBPATTERN:
            count += _open_repeats(argument[-1], inside=inside)
        elif operator is sre.BRANCH:
            if inside:
                raise ValueError("an alternative stands inside a repetition")
            count += max(_open_repeats(branch, inside=inside) for branch in argument[1])
        elif operator not in PLAIN:
            raise ValueError("back-references, look-around and other special forms are not accepted")
    return count
