"""What a signature covers, and which signatures a change touches."""

from collections.abc import Iterable, Mapping
from hashlib import sha256
from typing import Any

import rfc8785

from handoff.rules.consumers import is_owner

REVIEW = ("handoff", "version", "source", "target", "bindings", "answers", "report", "policy")
COVERS: dict[str, tuple[str, ...]] = {
    "review": REVIEW,
    "release": (*REVIEW, "results", "release_answers"),
    "confirm": (*REVIEW, "results", "release_answers", "confirm_answers", "deployment"),
}
WORDS = {
    "handoff": "the handoff",
    "version": "the model version",
    "source": "the source environment",
    "target": "the target environment",
    "bindings": "the planned bindings",
    "answers": "the checklist answers and acknowledged differences",
    "report": "the difference report",
    "policy": "the policy revision",
    "results": "the promotion test results",
    "release_answers": "the checklist answers at release",
    "confirm_answers": "the checklist answers at confirmation",
    "deployment": "the deployment",
    "change": "the kind of the change, and what it is compared with",
    "break_glass": "the break-glass: why, for which incident, and what it steps over",
}


def digest(content: Any) -> str:
    """Return the SHA-256 of the canonical JSON (RFC 8785) of some content, 64 hex digits."""
    return sha256(rfc8785.dumps(content)).hexdigest()


def scope_for(gate: str, parts: Mapping[str, str], role: str = "") -> dict[str, str]:
    """Return the parts that a signature at this gate covers, each by its digest or key.

    Where fewer sign, that is a part. Where a part has the name of the role, it is what whoever signs in it answers for:
    their own consumers.
    """
    return {name: parts[name] for name in (*COVERS[gate], *(one for one in ("change", role) if one in parts))}


def holds(signed: Mapping[str, str], gate: str, parts: Mapping[str, str], role: str) -> bool:
    """Tell whether a signature covers all that is there now, byte for byte.

    One that was given when all had to sign holds where fewer must. Not the other way round.
    """
    now = scope_for(gate, parts, role)
    if "change" in signed:
        now.setdefault("change", "")
    else:
        now.pop("change", None)
    return not touched(now, signed)


def touched(signed: Mapping[str, str], now: Mapping[str, str]) -> tuple[str, ...]:
    """Return the names of what has changed since a signature was given; none means it still holds."""
    return tuple(name for name, value in signed.items() if now.get(name) != value)


def in_order(scope: Mapping[str, str]) -> list[str]:
    """Return the names of the parts in the order in which people read them, whatever the database made of it."""
    known = list(WORDS)
    return sorted(scope, key=lambda name: known.index(name) if name in known else len(known))


def in_words(names: Iterable[str]) -> str:
    """Return names of parts as people read them."""
    return ", ".join(word_of(name) for name in names)


def word_of(name: str) -> str:
    """Return the name of one part as people read it."""
    return "the consumers that the owner answers for" if is_owner(name) else WORDS.get(name, name)
