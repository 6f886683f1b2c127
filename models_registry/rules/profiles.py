"""What a captured profile may hold, and what moved from one to the next."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any

import rfc8785
from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

from models_registry.errors import Invalid

KEYS = ("profile", "captured_at", "interpreter", "platform", "hardware", "packages", "licences", "files", "secrets")
ABOUT = ("interpreter", "platform", "hardware", "packages", "files", "secrets")
MOST_PACKAGES = 3000
MOST_FILES = 1000
MOST_SECRETS = 200
LONGEST = 300
CLOCKS_DIFFER = timedelta(minutes=5)
RECAPTURE = "Capture it anew with `mdlc capture`, and send what that prints."


class ProfileInvalid(Invalid):
    """A profile is not what a capture gives."""

    code = "profile_invalid"


class ProfileTooLarge(Invalid):
    """A profile lists more than is kept."""

    code = "profile_too_large"


class ProfileFromTheFuture(Invalid):
    """A profile says that it was captured later than now."""

    code = "profile_from_the_future"


@dataclass(frozen=True, slots=True)
class Profile:
    """A profile that was read: what the environment is set to, and the content as it is kept."""

    captured_at: datetime
    python: str
    packages: Mapping[str, str]
    licences: Mapping[str, str]
    hardware: str
    content: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Change:
    """One thing that is not what it was: `how` is added, removed or changed."""

    about: str
    name: str
    how: str
    before: str
    after: str


def read(content: Any, *, now: datetime) -> Profile:
    """Return a profile. Raises ProfileInvalid or ProfileTooLarge with every mistake by its place."""
    reader = _Reader()
    profile = reader.profile(content)
    if reader.mistakes:
        words = "; ".join(f"{place} {what}" for place, what in list(reader.mistakes.items())[:20])
        large = any(what.startswith("lists more") for what in reader.mistakes.values())
        kind = ProfileTooLarge if large else ProfileInvalid
        raise kind(f"The profile cannot be read: {words}.", todo=RECAPTURE, fields=reader.mistakes)
    assert profile is not None
    if profile.captured_at > now + CLOCKS_DIFFER:
        raise ProfileFromTheFuture(
            "The profile was captured in the future.",
            todo="Set the clock of the machine that captures it.",
            fields={"captured_at": "lies in the future"},
        )
    return profile


def moved(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[Change]:
    """Return what differs between two contents, by subject and name: Python, hardware, packages, files, secrets."""
    old, new = _flat(before), _flat(after)
    found = []
    for about, name in sorted({*old, *new}, key=lambda key: (ABOUT.index(key[0]), key[1])):
        was, now = old.get((about, name)), new.get((about, name))
        if was != now:
            how = "added" if was is None else "removed" if now is None else "changed"
            found.append(Change(about, name, how, was or "", now or ""))
    return found


def digest_of(content: Mapping[str, Any]) -> str:
    """Return the SHA-256 of a profile's canonical content, 64 hex digits."""
    return sha256(rfc8785.dumps(dict(content))).hexdigest()


def _flat(content: Mapping[str, Any]) -> dict[tuple[str, str], str]:
    """Return all that is compared, under its subject and name."""
    found: dict[tuple[str, str], str] = {}
    for about in ("interpreter", "platform", "hardware", "packages"):
        found |= {(about, name): str(value) for name, value in content.get(about, {}).items()}
    found |= {("files", one["name"]): one["sha256"][:12] for one in content.get("files", [])}
    secrets = content.get("secrets", {})
    return found | {("secrets", name): "there" if there else "missing" for name, there in secrets.items()}


class _Reader:
    """Read a profile strictly, and remember every mistake by its place."""

    def __init__(self) -> None:
        self.mistakes: dict[str, str] = {}

    def profile(self, content: Any) -> Profile | None:
        """Return the profile, or None beside at least one mistake."""
        if not isinstance(content, Mapping):
            self.mistakes["profile"] = "is not a mapping"
            return None
        self._keys(content, KEYS, "")
        if content.get("profile") != 1:
            self.mistakes["profile"] = "is not of version 1"
        interpreter = self._words(content, "interpreter", ("implementation", "version"))
        platform = self._words(content, "platform", ("system", "release", "machine"))
        python = interpreter.get("version", "")
        if not _is_version(python) or len(python) > 20:
            self.mistakes.setdefault("interpreter.version", "is not a version")
        cpus, memory = self._hardware(content.get("hardware"))
        packages = self._packages(content.get("packages"))
        licences = self._named(content.get("licences", {}), "licences", MOST_PACKAGES)
        files, secrets = self._files(content.get("files", [])), self._secrets(content.get("secrets", {}))
        captured_at = self._moment(content.get("captured_at"))
        if self.mistakes or captured_at is None:
            return None
        licences = {canonicalize_name(name): words for name, words in licences.items()}
        kept = {
            "profile": 1,
            "captured_at": captured_at.isoformat(),
            "interpreter": interpreter,
            "platform": platform,
            "hardware": {"cpus": cpus, "memory_mb": memory},
            "packages": packages,
            "licences": licences,
            "files": files,
            "secrets": secrets,
        }
        told = f"{cpus} CPU, {round(memory / 1000)} GB, {platform['machine']}"
        return Profile(captured_at, python, packages, licences, told[:200], kept)

    def _keys(self, content: Mapping[str, Any], known: tuple[str, ...], place: str) -> None:
        for key in content:
            if key not in known:
                self.mistakes[f"{place}{key}"[:LONGEST]] = "is not known here"

    def _words(self, content: Mapping[str, Any], place: str, keys: tuple[str, ...]) -> dict[str, str]:
        given = content.get(place)
        if not isinstance(given, Mapping):
            self.mistakes[place] = "is not a mapping"
            return {}
        self._keys(given, keys, f"{place}.")
        for key in keys:
            if not _is_text(given.get(key)):
                self.mistakes[f"{place}.{key}"] = "is not a short text"
        return {key: str(given.get(key)) for key in keys}

    def _hardware(self, given: Any) -> tuple[int, int]:
        if not isinstance(given, Mapping):
            self.mistakes["hardware"] = "is not a mapping"
            return 0, 0
        self._keys(given, ("cpus", "memory_mb"), "hardware.")
        for key in ("cpus", "memory_mb"):
            value = given.get(key)
            if type(value) is not int or not 0 < value < 10**9:
                self.mistakes[f"hardware.{key}"] = "is not a positive whole number"
                return 0, 0
        return given["cpus"], given["memory_mb"]

    def _named(self, given: Any, place: str, most: int) -> dict[str, str]:
        """Return a mapping from short texts to short texts."""
        if not isinstance(given, Mapping):
            self.mistakes[place] = "is not a mapping"
            return {}
        if len(given) > most:
            self.mistakes[place] = f"lists more than {most}"
            return {}
        for name, value in given.items():
            if not _is_text(name) or not _is_text(value):
                self.mistakes[f"{place}.{str(name)[:80]}"] = "is not a short text"
        return dict(given)

    def _packages(self, given: Any) -> dict[str, str]:
        found: dict[str, str] = {}
        for name, version in self._named(given, "packages", MOST_PACKAGES).items():
            canonical = canonicalize_name(str(name))
            if not _is_version(version):
                self.mistakes[f"packages.{str(name)[:80]}"] = "is not a version"
            if canonical in found:
                self.mistakes[f"packages.{str(name)[:80]}"] = "stands twice"
            found[canonical] = version
        return found

    def _files(self, given: Any) -> list[dict[str, Any]]:
        if not isinstance(given, list) or len(given) > MOST_FILES:
            short = isinstance(given, list)
            self.mistakes["files"] = f"lists more than {MOST_FILES}" if short else "is not a list"
            return []
        for at, one in enumerate(given):
            if not isinstance(one, Mapping) or set(one) != {"name", "size", "sha256"}:
                self.mistakes[f"files[{at}]"] = "has not a name, a size and a sha256"
            elif not _is_text(one["name"]) or type(one["size"]) is not int or not 0 <= one["size"] < 2**53:
                self.mistakes[f"files[{at}]"] = "has an odd name or size"
            elif not _is_digest(one["sha256"]):
                self.mistakes[f"files[{at}].sha256"] = "is not a SHA-256 in hexadecimal"
        return [dict(one) for one in given if isinstance(one, Mapping)]

    def _secrets(self, given: Any) -> dict[str, bool]:
        """Return which secrets are there. A value instead of yes or no is refused, and not repeated."""
        if not isinstance(given, Mapping) or len(given) > MOST_SECRETS:
            many = isinstance(given, Mapping)
            self.mistakes["secrets"] = f"lists more than {MOST_SECRETS}" if many else "is not a mapping"
            return {}
        for name, there in given.items():
            if not _is_text(name) or type(there) is not bool:
                self.mistakes[f"secrets.{str(name)[:80]}"] = "is not true or false; a secret's value is never sent"
        return dict(given)

    def _moment(self, given: Any) -> datetime | None:
        try:
            moment = datetime.fromisoformat(given)
        except (TypeError, ValueError):
            moment = None
        if moment is None or moment.tzinfo is None:
            self.mistakes["captured_at"] = "is not a moment with a zone"
            return None
        return moment


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and 0 < len(value) <= LONGEST and value.isprintable()


def _is_digest(value: Any) -> bool:
    return isinstance(value, str) and len(value) == 64 and not set(value) - set("0123456789abcdef")


def _is_version(value: Any) -> bool:
    try:
        Version(value)
    except (InvalidVersion, TypeError):
        return False
    return len(value) <= LONGEST
