"""Which libraries are let in against an import policy, in exactly which version and until when."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import date

from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.utils import canonicalize_name, canonicalize_version

from models_registry.rules.import_policies import AskedVerdict

Exactly = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Exceptions:
    """What holds in one environment on one day: the granted ones with their last days, and the open requests.

    Keys are a library and a version as `exactly` returns them; the values of `asked` are the version as it was written.
    """

    granted: Mapping[Exactly, tuple[str, date]] = field(default_factory=dict)
    asked: Mapping[Exactly, str] = field(default_factory=dict)

    def until(self, library: str, version: str) -> str:
        """Return the last day on which a version is let in, such as 2026-12-31; nothing where it is not."""
        _, day = self.granted.get(exactly(library, version), ("", None))
        return day.isoformat() if day else ""

    def is_asked(self, library: str, version: str) -> bool:
        """Tell whether somebody asks for a version, and nobody has answered."""
        return exactly(library, version) in self.asked

    def let_in(self, packages: Mapping[str, str]) -> dict[str, str]:
        """Return those of installed packages that are let in, under their names, each with its last day."""
        if not self.granted:
            return {}
        found = {name: self.until(name, version) for name, version in packages.items()}
        return {name: until for name, until in found.items() if until}


NONE = Exceptions()


def exactly(library: str, version: str) -> Exactly:
    """Return a library and one version of it as they are compared: 1.0 and 1.0.0 are the same one."""
    return canonicalize_name(library), canonicalize_version(version)


def exceptions_of(rows: Iterable[tuple[str, str, date | None]]) -> Exceptions:
    """Read rows of library, version and last day; an open request has none. Of two for one version the later counts."""
    granted: dict[Exactly, tuple[str, date]] = {}
    asked: dict[Exactly, str] = {}
    for library, version, until in rows:
        key = exactly(library, version)
        if until is None:
            asked[key] = version
        elif key not in granted or granted[key][1] < until:
            granted[key] = (version, until)
    return Exceptions(granted, asked)


def with_exceptions(verdicts: Iterable[AskedVerdict], exceptions: Exceptions) -> list[AskedVerdict]:
    """Return verdicts on ranges with the exception that lets a version of each in, or with the open request."""
    return [_excepted(one, exceptions) if one.answer == "prohibit" else one for one in verdicts]


def _excepted(verdict: AskedVerdict, exceptions: Exceptions) -> AskedVerdict:
    name = canonicalize_name(verdict.library)
    try:
        inside = SpecifierSet(verdict.wanted, prereleases=True)
    except InvalidSpecifier:
        return verdict
    here = exactly(name, verdict.installed)
    granted = [(key == here, day, version) for key, (version, day) in exceptions.granted.items() if key[0] == name]
    granted = [one for one in granted if inside.contains(one[2])]
    if granted:
        _, day, version = max(granted)  # what is installed first, then what lasts longest
        return replace(verdict, excepted=version, let_in_until=day.isoformat())
    asked = [(key == here, version) for key, version in exceptions.asked.items() if key[0] == name]
    asked = [one for one in asked if inside.contains(one[1])]
    return replace(verdict, excepted=max(asked)[1], asked_for=True) if asked else verdict
