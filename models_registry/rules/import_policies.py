"""What an environment's import policy says to libraries: to installed ones, and to what a version asks for."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import orjson
from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

from engine.import_policy import ANSWERS, KEYS, RULE_KEYS, ImportPolicy, PolicyError, Verdict
from models_registry.errors import Invalid
from models_registry.rules import strict_yaml

LONGEST = 256 * 1024


@dataclass(frozen=True, slots=True)
class RuleRow:
    """One rule as it is shown. An empty range holds every version; `install` is what is put there on request."""

    library: str
    answer: str
    versions: str
    reason: str
    install: str


@dataclass(frozen=True, slots=True)
class AskedVerdict:
    """What a policy says to a range of versions that is asked for, and which version could be used.

    `excepted` is the version that an exception lets in until a day, or that somebody asks for.
    """

    library: str
    wanted: str
    installed: str
    answer: str
    reason: str
    nearest: str
    excepted: str = ""
    let_in_until: str = ""
    asked_for: bool = False

    @property
    def to_ask_for(self) -> str:
        """Return the version to ask an exception for: the one installed there, else the only one that is wanted."""
        try:
            inside = SpecifierSet(self.wanted, prereleases=True)
        except InvalidSpecifier:
            return ""
        if self.installed and inside.contains(self.installed):
            return self.installed
        only = [one.version for one in inside if one.operator == "==" and not one.version.endswith(".*")]
        return only[0] if len(only) == 1 else ""


def check(content: Any) -> None:
    """Let a policy pass that can be read. Raises Invalid with the engine's own code and the place in words."""
    try:
        ImportPolicy.parse(content)
        text = orjson.dumps(content)
    except PolicyError as error:
        raise Invalid(
            f"This is not an import policy: {error.message}",
            code=error.code,
            todo="Write default, rules, licences and install as docs/environments.md shows.",
            fields={"import_policy": error.message.rstrip(".")},
        ) from error
    except (TypeError, orjson.JSONEncodeError) as error:
        raise Invalid("An import policy is plain text.", fields={"import_policy": "is not plain text"}) from error
    if len(text) > LONGEST:
        raise Invalid("The import policy is too long.", fields={"import_policy": "is longer than 256 KiB"})


def verdict_on(policy: Mapping[str, Any], library: str, version: str, licence: str = "") -> Verdict:
    """Return what a policy says to one library in a version. A policy that cannot be read prohibits everything."""
    return judge_by(policy)(library, version, licence)


def judge_by(policy: Mapping[str, Any]) -> Callable[[str, str, str], Verdict]:
    """Read a policy once, and return what tells its verdict on a library, a version and a licence."""
    try:
        return _parsed(_key(policy)).check
    except PolicyError as error:
        words = f"The import policy cannot be read: {error.message}"
        return lambda library, version, licence: Verdict(library, version, "prohibit", words)


def verdicts_on(
    policy: Mapping[str, Any], packages: Mapping[str, str], licences: Mapping[str, str] | None = None
) -> list[Verdict]:
    """Return the verdicts on installed packages, the worst first."""
    judge = judge_by(policy)
    found = [judge(name, version, (licences or {}).get(name, "")) for name, version in packages.items()]
    return sorted(found, key=lambda one: (-ANSWERS.index(one.answer), canonicalize_name(one.library)))


def verdict_on_range(policy: Mapping[str, Any], library: str, wanted: str, installed: str = "") -> AskedVerdict:
    """Return the best that a policy says to any version in the range that a model version asks for.

    The installed version speaks first where it lies in the range, then the one that is installed on request; otherwise
    the ends of the ranges are tried, which is enough to find a version that lies in both.
    """
    try:
        rules = _parsed(_key(policy))
        inside = SpecifierSet(wanted, prereleases=True)
    except PolicyError as error:
        return AskedVerdict(library, wanted, installed, "prohibit", f"The policy cannot be read: {error.message}", "")
    except InvalidSpecifier:
        return AskedVerdict(library, wanted, installed, "prohibit", f"{wanted!r} is not a range of versions.", "")
    name = canonicalize_name(library)
    pinned = rules.install.get(name, "")
    known = [one for one in (installed, pinned) if one and inside.contains(one, prereleases=True)]
    ends = _ends([inside, *(rule.versions for rule in rules.rules.get(name, ()))])
    tried = [rules.check(name, one) for one in (*known, *(end for end in ends if inside.contains(end)))]
    if not tried:
        said = rules.check(name, installed or pinned or "0")
        reason = f"No version in {wanted} is known to be let in."
        return AskedVerdict(library, wanted, installed, "prohibit", reason, said.nearest or pinned)
    best = min(tried, key=lambda one: ANSWERS.index(one.answer))  # of equals the first: what is installed
    usable = best.version if best.version in known and best.answer != "prohibit" else pinned
    return AskedVerdict(library, wanted, installed, best.answer, best.reason, usable)


def verdicts_on_ranges(
    policy: Mapping[str, Any], wanted: Mapping[str, str], installed: Mapping[str, str]
) -> list[AskedVerdict]:
    """Return what a policy says to all that a model version asks for, the worst first."""
    here = {canonicalize_name(name): version for name, version in installed.items()}
    found = [
        verdict_on_range(policy, name, spec, here.get(canonicalize_name(name), "")) for name, spec in wanted.items()
    ]
    return sorted(found, key=lambda one: (-ANSWERS.index(one.answer), one.library))


def rows_of(policy: Mapping[str, Any]) -> list[RuleRow]:
    """Return a policy's rules as rows to show, by library; none for one that cannot be read."""
    try:
        parsed = ImportPolicy.parse(policy)
    except PolicyError:
        return []
    rows = []
    for name in sorted({*parsed.rules, *parsed.install}):
        install = parsed.install.get(name, "")
        rows += [
            RuleRow(name, rule.answer, _range(rule.versions), rule.reason, install)
            for rule in parsed.rules.get(name, ())
        ] or [RuleRow(name, parsed.default, "", "", install)]
    return rows


def text_of(policy: Mapping[str, Any]) -> str:
    """Return a policy as YAML, its keys in the order in which one reads them; the database keeps another."""
    return strict_yaml.text_of(_ordered(policy))


def _ordered(value: Any) -> Any:
    if isinstance(value, list):
        return [_ordered(one) for one in value]
    if not isinstance(value, Mapping):
        return value
    known = [key for key in (*KEYS, *RULE_KEYS) if key in value]
    return {key: _ordered(value[key]) for key in (*known, *sorted(set(value) - set(known)))}


def _range(versions: SpecifierSet) -> str:
    """Return a range with its lower end first, as people write it."""
    return ",".join(sorted((str(one) for one in versions), key=lambda one: (one[0] == "<", one)))


def _key(policy: Mapping[str, Any]) -> bytes:
    """Return a policy as bytes, under which its parsed form is kept."""
    return orjson.dumps(policy, option=orjson.OPT_NON_STR_KEYS, default=str)


@lru_cache(maxsize=256)
def _parsed(content: bytes) -> ImportPolicy:
    return ImportPolicy.parse(orjson.loads(content))


def _ends(ranges: Iterable[SpecifierSet]) -> list[str]:
    """Return the versions at which ranges begin or end, with what comes right after each, and the lowest of all."""
    found = {Version("0")}
    for one in (spec for each in ranges for spec in each):
        try:
            end = Version(one.version.removesuffix(".*"))
        except InvalidVersion:
            continue  # an arbitrary equality (===) holds no version that we could compare
        padded = ".".join(str(part) for part in (*end.release, *(0,) * (3 - len(end.release)), 1))
        found |= {end, Version(padded)}
    return [str(one) for one in sorted(found)]
