"""How much a difference matters, and why, in words: none, low, medium or high."""

from functools import lru_cache
from typing import NamedTuple

from packaging.version import InvalidVersion, Version

SEVERITIES = ("none", "low", "medium", "high")
FILES, SERVICE, STREAM, TABLE = "a file", "a service", "a stream", "a table"
MEDIUM_OF = {
    "inline": FILES,
    "file": FILES,
    "object": FILES,
    "http": SERVICE,
    "webhook": SERVICE,
    "kafka": STREAM,
    "valkey": STREAM,
    "redis": STREAM,
    "sql": TABLE,
}


class Severity(NamedTuple):
    """A level, and the reason for it."""

    level: str
    reason: str


EQUAL = Severity("none", "equal")


@lru_cache(maxsize=8192)
def version_of(text: str) -> Version | None:
    """Return a version that can be compared, or nothing."""
    try:
        return Version(text)
    except InvalidVersion:
        return None


def of_versions(here: str, there: str) -> Severity:
    """Return how far apart two versions of one library are."""
    if here == there:
        return EQUAL
    if not there:
        return Severity("high", "not installed in the target")
    if not here:
        return Severity("medium", "not installed in the source: nobody built the model with it")
    old, new = version_of(here), version_of(there)
    if old is None or new is None:
        return Severity("high", "a version that cannot be compared")
    if old == new:
        return Severity("low", "the same version, written differently")
    way = "" if new > old else ", backwards"
    if (old.epoch, old.major) != (new.epoch, new.major):
        return Severity("high", f"major version jump{way}")
    if old.minor != new.minor:
        return Severity("medium", f"minor version change{way}")
    return Severity("low", f"patch version change{way}")


def of_interpreters(here: str, there: str) -> Severity:
    """Return how far apart two versions of Python are: its minor versions are what breaks compiled packages."""
    found = of_versions(here, there)
    if found.level == "none":
        return found
    if not here or not there:
        return Severity("high", "the interpreter is not known on both sides")
    return Severity(found.level, f"interpreter change: {found.reason}")


def of_unasked(found: Severity) -> Severity:
    """Return the severity of a library that the version does not ask for: never more than low."""
    if found.level == "none":
        return found
    reason = {"not installed in the target": "only in the source"}.get(found.reason, found.reason)
    if reason.startswith("not installed in the source"):
        reason = "only in the target"
    return Severity("low", reason)


def of_words(level: str, reason: str, here: str, there: str) -> Severity:
    """Return a severity for two texts that should mean the same, or none where they are equal."""
    if here == there:
        return EQUAL
    if not here or not there:
        return Severity(level, f"{reason}; the {'source' if not here else 'target'} says nothing")
    return Severity(level, reason)


def of_transports(here: str, there: str) -> Severity:
    """Return how much another transport matters; from files to what runs live is the usual, and never small."""
    if here == there:
        return EQUAL
    old, new = _medium(here), _medium(there)
    if old == new:
        return Severity("low", f"another encoding of {new}" if old else "another transport")
    return Severity("medium", f"from {old or here} to {new or there}")


def _medium(text: str) -> str:
    first = text.partition(",")[0].strip()
    return FILES if first.startswith("file") else MEDIUM_OF.get(first, "")


def at_least(level: str, found: Severity) -> Severity:
    """Return a severity that is not below a level."""
    return Severity(max(level, found.level, key=SEVERITIES.index), found.reason)
