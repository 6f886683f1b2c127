"""Import policies: what an environment's owner says to each library, by version range and licence.

A policy is plain data: {"default": answer, "rules": {name: rule or list of rules}, "licences": [name],
"install": {name: version}}. A rule is {"answer", "versions", "reason"}; of several the first whose range holds the
version speaks; where a library has rules and none holds it, it is prohibited. Ranges are those of PEP 440, names are
compared as PEP 503 says.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any, Literal

from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

from engine.errors import EngineError

Answer = Literal["allow", "warn", "prohibit"]
ANSWERS: tuple[Answer, ...] = ("allow", "warn", "prohibit")
KEYS = ("default", "rules", "licences", "install")
RULE_KEYS = ("answer", "versions", "reason")


class PolicyError(EngineError):
    """An import policy is not one."""


@dataclass(frozen=True, slots=True)
class Rule:
    """What is said to the versions in a range; an empty range holds them all."""

    answer: Answer
    versions: SpecifierSet
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a policy says to one library, why, and the nearest version that it allows, where one is known."""

    library: str
    version: str
    answer: Answer
    reason: str
    nearest: str = ""


class ImportPolicy:
    """The rules of one environment for libraries."""

    def __init__(
        self,
        rules: Mapping[str, Sequence[Rule]],
        default: Answer = "warn",
        licences: Iterable[str] = (),
        install: Mapping[str, str] | None = None,
    ) -> None:
        """Take rules by canonical name; without licences every licence is fine."""
        self.rules, self.default = dict(rules), default
        self.licences = frozenset(one.casefold() for one in licences)
        self.install = dict(install or {})

    @classmethod
    def parse(cls, content: Any) -> "ImportPolicy":
        """Return the policy in plain data. Raises PolicyError `policy_malformed` or `policy_unknown_key`."""
        if not isinstance(content, Mapping):
            raise PolicyError("policy_malformed", "An import policy is a mapping with default, rules and so on.")
        _known(content, KEYS, "")
        default = content.get("default", "warn")
        if default not in ANSWERS:
            raise _malformed("default", "is one of " + ", ".join(ANSWERS))
        licences = content.get("licences", [])
        if not isinstance(licences, list) or not all(isinstance(one, str) for one in licences):
            raise _malformed("licences", "is a list of licence names")
        rules = content.get("rules", {})
        if not isinstance(rules, Mapping):
            raise _malformed("rules", "maps names of libraries to rules")
        parsed: dict[str, Sequence[Rule]]
        parsed = {canonicalize_name(str(name)): _rules(str(name), given) for name, given in rules.items()}
        if len(parsed) != len(rules):
            raise _malformed("rules", "names a library twice; - and _ are the same in a name")
        return cls(parsed, default, licences, _install(content.get("install", {}), parsed))

    def check(self, library: str, version: str, licence: str = "") -> Verdict:
        """Return what the policy says to one library. A version that cannot be read is prohibited."""
        name = canonicalize_name(library)
        try:
            parsed = Version(version)
        except InvalidVersion:
            return Verdict(library, version, "prohibit", f"{version!r} is not a version that can be compared.")
        rules = self.rules.get(name)
        nearest = self.install.get(name, "")
        if self.licences and licence and licence.casefold() not in self.licences:
            return Verdict(library, version, "prohibit", f"Its licence, {licence}, is not on the list.", nearest)
        if rules is None:
            words = "It is not listed here." if self.default != "allow" else "What is not listed is allowed."
            return Verdict(library, version, self.default, words, nearest if self.default != "allow" else "")
        for rule in rules:
            if rule.versions.contains(parsed, prereleases=True):
                words = rule.reason or f"{rule.answer} {rule.versions or 'in every version'}".strip() + "."
                return Verdict(library, version, rule.answer, words, "" if rule.answer == "allow" else nearest)
        ranges = " or ".join(str(rule.versions) for rule in rules if rule.answer != "prohibit")
        return Verdict(library, version, "prohibit", f"Only {ranges or 'no version'} is let in.", nearest)

    def check_all(self, packages: Mapping[str, str], licences: Mapping[str, str] | None = None) -> list[Verdict]:
        """Return the verdicts on packages, by name and version, the worst first."""
        found = [self.check(name, version, (licences or {}).get(name, "")) for name, version in packages.items()]
        return sorted(found, key=lambda one: (-ANSWERS.index(one.answer), canonicalize_name(one.library)))

    def nearest_allowed(self, library: str, version: str, known: Iterable[str]) -> str:
        """Return the allowed one of known versions nearest to `version`: the newest below, else the oldest above."""
        wanted = Version(version)
        allowed = sorted(Version(one) for one in known if self.check(library, one).answer == "allow")
        below = [one for one in allowed if one <= wanted]
        above = [one for one in allowed if one > wanted]
        return str(below[-1] if below else above[0]) if allowed else self.install.get(canonicalize_name(library), "")


def _rules(name: str, given: Any) -> tuple[Rule, ...]:
    place = f"rules.{name}"
    listed = given if isinstance(given, list) else [given]
    if not listed:
        raise _malformed(place, "has no rule")
    found = []
    for at, one in enumerate(listed):
        where = f"{place}[{at}]" if isinstance(given, list) else place
        if not isinstance(one, Mapping):
            raise _malformed(where, "has an answer, and perhaps versions and a reason")
        _known(one, RULE_KEYS, f"{where}.")
        if one.get("answer") not in ANSWERS:
            raise _malformed(f"{where}.answer", "is one of " + ", ".join(ANSWERS))
        try:
            versions = SpecifierSet(one.get("versions", ""))
        except (InvalidSpecifier, AttributeError, TypeError) as error:
            raise _malformed(f"{where}.versions", "is a range such as >=2,<3") from error
        found.append(Rule(one["answer"], versions, str(one.get("reason", ""))[:500]))
    return tuple(found)


def _install(given: Any, rules: Mapping[str, Sequence[Rule]]) -> dict[str, str]:
    """Return the versions that are installed on request. Each must be one that the rules let in."""
    if not isinstance(given, Mapping):
        raise _malformed("install", "maps names of libraries to versions")
    found: dict[str, str] = {}
    for name, version in given.items():
        canonical = canonicalize_name(str(name))
        try:
            pinned = str(Version(version))
        except (InvalidVersion, TypeError) as error:
            raise _malformed(f"install.{name}", "is a version such as 2.4.6") from error
        if ImportPolicy(rules, "warn").check(canonical, pinned).answer == "prohibit":
            raise _malformed(f"install.{name}", "is a version that the rules prohibit")
        found[canonical] = pinned
    return found


def _known(content: Mapping[Any, Any], keys: Sequence[str], where: str) -> None:
    for key in content:
        if key not in keys:
            near = get_close_matches(str(key), keys, n=1)
            hint = f"did you mean {near[0]}?" if near else "use " + ", ".join(keys) + "."
            raise PolicyError("policy_unknown_key", f"{where}{key} is not known here; {hint}", field=f"{where}{key}")


def _malformed(where: str, words: str) -> PolicyError:
    return PolicyError("policy_malformed", f"{where} {words}.", field=where)
