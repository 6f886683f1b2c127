"""What differs between source and target, item by item: locked, constrained, expected or undeclared."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.version import InvalidVersion, Version

ABOUT = ("people", "purpose", "tools", "packages", "data", "outputs", "requirements")


@dataclass(frozen=True, slots=True)
class Side:
    """One environment, as far as a handoff can notice it."""

    name: str
    kind: str
    organisation: str
    owner: str
    purpose: str
    python: str
    packages: Mapping[str, str]
    hardware: str
    import_policy: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Cargo:
    """The sealed version: the digests of what must stay equal, and what it asks of a runtime."""

    digest: str
    input_schema: str
    output_schema: str
    python: str
    packages: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Difference:
    """One item. `kind` says how free it is, `holds` whether it is inside its rule, `equal` whether the sides agree."""

    key: str
    about: str
    name: str
    source: str
    target: str
    kind: str
    equal: bool
    holds: bool
    rule: str


def report(cargo: Cargo, source: Side, target: Side, bindings: Mapping[str, Any]) -> tuple[Difference, ...]:
    """Return every item in which the two sides can differ, the equal ones included.

    *locked*: must be equal, because the same bytes are handed over. *constrained*: free inside a rule that was sealed
    with the version or is set by the target's import policy. *expected*: declared free. *undeclared*: nobody has said
    whether it matters; somebody on the receiving side must acknowledge it.
    """
    return (
        *_locked(cargo),
        _expected("people.organisation", "Organisation that answers", source.organisation, target.organisation),
        _expected("people.owner", "Owner of the environment", source.owner, target.owner),
        _expected("purpose.kind", "Kind of environment", source.kind, target.kind),
        _expected("purpose.purpose", "Purpose", source.purpose, target.purpose),
        _python(cargo, source, target),
        _hardware(source, target),
        *(_package(name, spec, source, target) for name, spec in sorted(cargo.packages.items())),
        *_other_packages(cargo, source, target),
        _expected("data.transport", "How records arrive", "files of the builders", _transport(bindings, "input")),
        _expected("outputs.transport", "Where results go", "files and plots", _transport(bindings, "output")),
    )


def undeclared(items: tuple[Difference, ...]) -> tuple[str, ...]:
    """Return the keys of undeclared differences."""
    return tuple(item.key for item in items if item.kind == "undeclared" and not item.equal)


def broken(items: tuple[Difference, ...]) -> tuple[Difference, ...]:
    """Return the items outside their rule; with one of these nothing can be offered."""
    return tuple(item for item in items if not item.holds)


def as_content(items: tuple[Difference, ...]) -> dict[str, Any]:
    """Return plain data, to be kept with a handoff and signed."""
    return {"items": [asdict(item) for item in items], "undeclared": list(undeclared(items))}


def answer_for(policy: Mapping[str, Any], name: str, version: str) -> str:
    """Return what an import policy says to a library in a version: allow, warn or prohibit.

    A rule with a version range (PEP 440) speaks for versions inside it; outside it the library is prohibited.
    Without a default the unlisted are warned about; a policy that cannot be read prohibits.
    """
    rule = policy.get("rules", {}).get(name)
    if rule is None:
        return str(policy.get("default", "warn"))
    if not isinstance(rule, Mapping) or rule.get("answer") not in {"allow", "warn", "prohibit"}:
        return "prohibit"
    if rule.get("versions") and not inside(version, str(rule["versions"])):
        return "prohibit"
    return str(rule["answer"])


def inside(version: str, specifier: str) -> bool:
    """Tell whether a version lies in a PEP 440 range; what cannot be read does not."""
    try:
        return Version(version) in SpecifierSet(specifier, prereleases=True)
    except (InvalidVersion, InvalidSpecifier):
        return False


def _locked(cargo: Cargo) -> list[Difference]:
    rule = "the same bytes on both sides; the worker and the engine hash them again"
    rows = (
        ("requirements.version", "requirements", "Model version", cargo.digest),
        ("data.input_schema", "data", "Input schema", cargo.input_schema),
        ("outputs.output_schema", "outputs", "Output schema", cargo.output_schema),
    )
    return [Difference(key, about, name, d, d, "locked", True, True, rule) for key, about, name, d in rows]


def _expected(key: str, name: str, source: str, target: str) -> Difference:
    about = key.partition(".")[0]
    return Difference(key, about, name, source, target, "expected", source == target, True, "free to differ")


def _python(cargo: Cargo, source: Side, target: Side) -> Difference:
    return Difference(
        "tools.python",
        "tools",
        "Python",
        source.python,
        target.python,
        "constrained",
        source.python == target.python,
        inside(target.python, cargo.python),
        f"the version asks for {cargo.python}",
    )


def _hardware(source: Side, target: Side) -> Difference:
    equal = source.hardware == target.hardware
    rule = "nobody declared whether hardware matters to this model"
    return Difference(
        "tools.hardware", "tools", "Hardware", source.hardware, target.hardware, "undeclared", equal, True, rule
    )


def _package(name: str, specifier: str, source: Side, target: Side) -> Difference:
    here, there = source.packages.get(name, ""), target.packages.get(name, "")
    rule = f"the version asks for {name}{specifier}"
    answer = answer_for(target.import_policy, name, there) if there else "missing"
    holds = bool(there) and inside(there, specifier) and answer in {"allow", "warn"}
    if answer == "missing":
        rule += "; it is not installed in the target"
    elif answer == "prohibit":
        rule += "; the target's import policy prohibits it"
    elif answer == "warn":
        rule += "; the target's import policy warns about it"
    kind = "undeclared" if holds and answer == "warn" and here != there else "constrained"
    return Difference(
        f"packages.{name}", "packages", name, here or "not installed", there, kind, here == there, holds, rule
    )


def _other_packages(cargo: Cargo, source: Side, target: Side) -> list[Difference]:
    names = sorted((set(source.packages) | set(target.packages)) - set(cargo.packages))
    rule = "the version does not ask for it"
    return [
        Difference(f"packages.{n}", "packages", n, here, there, "expected", here == there, True, rule)
        for n in names
        for here, there in [(source.packages.get(n, "not installed"), target.packages.get(n, "not installed"))]
    ]


def _transport(bindings: Mapping[str, Any], side: str) -> str:
    stream = bindings.get(side, {})
    return f"{stream.get('transport', 'http')}, {stream.get('encoding', 'json')}"
