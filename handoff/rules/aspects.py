"""The lock policy: which aspect of a handoff is locked, constrained or free, where, and who answers for it.

One function, `declared`, reads it for a kind of target and a risk tier; offers, workers, pages and the API all ask it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

FACETS = ("people", "purpose", "tools", "packages", "data", "outputs", "requirements")
FREEDOMS = ("locked", "constrained", "free", "undeclared")
MEANS = {
    "locked": "must be equal on both sides",
    "constrained": "free inside a rule",
    "free": "declared free to differ",
    "undeclared": "nobody has said whether it matters",
}
ANY = ("locked", "constrained", "free", "undeclared")
SEALED = ("locked",)


@dataclass(frozen=True, slots=True)
class Case:
    """What else holds for some kinds of target and some risk tiers; an empty list means all of them."""

    freedom: str
    target_kinds: tuple[str, ...] = ()
    risk_tiers: tuple[str, ...] = ()
    allowed: tuple[str, ...] = ()

    def applies(self, kind: str, tier: str) -> bool:
        """Tell whether the case is about this kind and tier."""
        return kind in (self.target_kinds or (kind,)) and tier in (self.risk_tiers or (tier,))


@dataclass(frozen=True, slots=True)
class Aspect:
    """One aspect as a policy declares it. `can` lists the freedoms that it may be given.

    `answered_by` is the role that must answer for a difference; empty: the role that the review gate names.
    `changed_by` is the role that may change the aspect; `by_version` says that this takes a new version.
    """

    name: str
    title: str
    freedom: str
    changed_by: str
    answered_by: str = ""
    allowed: tuple[str, ...] = ()
    cases: tuple[Case, ...] = ()
    can: tuple[str, ...] = ANY
    by_version: bool = False

    @property
    def facet(self) -> str:
        """Return the facet that the aspect belongs to: the first word of its name."""
        return self.name.partition(".")[0]


@dataclass(frozen=True, slots=True)
class Declared:
    """What a policy says about one aspect in one place."""

    name: str
    freedom: str
    answered_by: str
    changed_by: str
    allowed: tuple[str, ...] = ()

    @property
    def facet(self) -> str:
        """Return the facet that the aspect belongs to."""
        return self.name.partition(".")[0]


_sealed = partial(Aspect, freedom="locked", changed_by="data_scientist", can=SEALED, by_version=True)

USUAL: dict[str, Aspect] = {
    aspect.name: aspect
    for aspect in (
        Aspect("people.organisation", "Organisation that answers", "free", "model_owner"),
        Aspect("people.owner", "Owner of the environment", "free", "it_operations"),
        Aspect("purpose.kind", "Kind of environment", "free", "model_owner"),
        Aspect("purpose.purpose", "Purpose", "free", "model_owner"),
        Aspect("tools.python", "Python", "constrained", "it_operations", can=("locked", "constrained")),
        Aspect("tools.hardware", "Hardware", "undeclared", "it_operations"),
        Aspect("tools.systems", "Systems", "free", "it_operations"),
        Aspect(
            "packages.required",
            "Packages that the version asks for",
            "constrained",
            "it_operations",
            can=("locked", "constrained"),
        ),
        Aspect("packages.others", "Other packages", "free", "it_operations"),
        _sealed("data.input_schema", "Input schema"),
        Aspect(
            "data.fields",
            "Fields of the records",
            "constrained",
            "analytic_engineer",
            can=("locked", "constrained"),
        ),
        Aspect("data.transport", "How records arrive", "free", "analytic_engineer"),
        _sealed("outputs.output_schema", "Output schema"),
        Aspect("outputs.transport", "Where results go", "free", "integration_owner"),
        Aspect("outputs.consumers", "Who uses the results", "free", "integration_owner"),
        Aspect("requirements.environment", "What the environment asks for", "free", "it_operations"),
        _sealed("requirements.version", "Model version"),
        _sealed("requirements.elements", "Elements of the version"),
    )
}


def declared(aspects: Mapping[str, Aspect], *, kind: str, tier: str, acknowledge: str = "") -> dict[str, Declared]:
    """Return what holds for each aspect in a kind of target at a risk tier; the first case that applies speaks.

    Whoever answers for an aspect whose policy names nobody is the role that acknowledges differences at the review.
    """
    found = {}
    for name, aspect in (USUAL | dict(aspects)).items():
        case = next((case for case in aspect.cases if case.applies(kind, tier)), None)
        freedom = case.freedom if case else aspect.freedom
        answered_by = aspect.answered_by or acknowledge
        allowed = case.allowed if case else aspect.allowed
        found[name] = Declared(name, freedom, answered_by, aspect.changed_by, allowed)
    return found


def mistakes_in(name: str, aspect: Aspect, acknowledge: str) -> list[str]:
    """Return what is wrong with an aspect that a policy declares, in sentences that follow its place."""
    usual = USUAL[name]
    found = []
    given = [(aspect.freedom, aspect.allowed), *((case.freedom, case.allowed) for case in aspect.cases)]
    for freedom, allowed in given:
        if freedom not in usual.can:
            found.append(f"cannot be {freedom}; it can be {' or '.join(usual.can)}")
        elif freedom == "constrained" and not allowed and name not in RULED:
            found.append("is constrained by no rule; say which values are allowed")
        elif allowed and (freedom != "constrained" or name in RULED):
            found.append("takes no list of allowed values here")
    if "undeclared" in {freedom for freedom, _ in given} and not (aspect.answered_by or acknowledge):
        found.append("is undeclared and nobody answers for it; name answered_by, or acknowledge at the review gate")
    return list(dict.fromkeys(found))


# Aspects that have a rule of their own when they are constrained; the others take a list of allowed values.
RULED = ("tools.python", "packages.required", "packages.others", "data.fields")


def as_plain(held: Mapping[str, Declared]) -> dict[str, dict[str, Any]]:
    """Return plain data for clients: freedom, roles and allowed values by aspect."""
    return {
        name: {
            "freedom": one.freedom,
            "answered_by": one.answered_by,
            "changed_by": one.changed_by,
            "allowed": list(one.allowed),
        }
        for name, one in held.items()
    }
