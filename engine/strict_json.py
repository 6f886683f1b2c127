"""Read JSON without the things that two readers could understand differently."""

import json
from typing import Any


def _no_twins(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key stands twice in one object")
    return found


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON; leave the value out or send null")


def loads(text: str | bytes) -> Any:
    """Return the value of a JSON text.

    Raises ValueError for duplicate keys, NaN, infinity, half a surrogate pair, nesting too deep, and bytes that are not
    UTF-8: what RFC 8259 leaves to each reader (sections 4, 6, 8.1 and 8.2) is refused here.
    """
    text = text.decode() if isinstance(text, bytes) else text
    try:
        value = json.loads(text, object_pairs_hook=_no_twins, parse_constant=_no_constant)
        if "\\u" in text:
            json.dumps(value, ensure_ascii=False).encode()
    except RecursionError as error:
        raise ValueError("the nesting is too deep") from error
    return value
