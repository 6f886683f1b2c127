"""Marks: what stands for a person's printed name in bytes that are hashed or signed, so that the name can go.

A mark is a commitment, a SHA-256 over a secret salt and the name. Whoever has both can prove that this name was meant
and no other; whoever lacks the salt learns nothing. Where it is shown, the name stands in its place.
"""

import re
from collections.abc import Mapping
from hashlib import sha256
from secrets import token_hex
from typing import Any

PREFIX = "name:"
MARK = re.compile(PREFIX + r"[0-9a-f]{64}")
LEFT = re.compile(r"Person [0-9a-f]{8} \(left\)")


def new_salt() -> str:
    """Return 256 random bits, so that no list of names can be tried."""
    return token_hex(32)


def mark_of(salt: str, name: str) -> str:
    """Return the mark of a name under a salt."""
    return PREFIX + sha256((salt + name).encode()).hexdigest()


def marks_in(*texts: str) -> set[str]:
    """Return the marks that stand in some texts."""
    return {found for text in texts for found in MARK.findall(text)}


def spoken(text: str, names: Mapping[str, str]) -> str:
    """Return a text with the names that its marks stand for; one that is not known stays."""
    return MARK.sub(lambda found: names.get(found[0], found[0]), text)


def told(content: Any, names: Mapping[str, str]) -> Any:
    """Return plain JSON with the names that the marks in it stand for."""
    if isinstance(content, str):
        return spoken(content, names)
    if isinstance(content, list):
        return [told(one, names) for one in content]
    if isinstance(content, dict):
        return {key: told(value, names) for key, value in content.items()}
    return content


def shows(shown: str, signed: str, names: Mapping[str, str]) -> bool:
    """Tell whether a text shows the names that were signed; a pseudonym may stand where somebody has left.

    What was signed has marks, or, from before there were any, the names themselves.
    """
    if MARK.search(signed):
        return spoken(signed, names) == shown
    here, there = shown.split(" for "), signed.split(" for ")
    return len(here) == len(there) and all(
        one == other or LEFT.fullmatch(one) for one, other in zip(here, there, strict=True)
    )
