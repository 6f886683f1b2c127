"""What stands between a draft and its offer: the policy that applies, the difference report, and what is missing."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

import orjson

from handoff.connections import changed_since, misfits, unreachable
from handoff.facts import Known, known_of, rules_of
from handoff.models import Handoff, PolicyRevision
from handoff.rules.aspects import declared
from handoff.rules.differences import Cargo, Difference, broken, report
from handoff.rules.policies import PolicyRules, parse
from handoff.rules.reports import as_content, moved, read
from handoff.rules.scopes import digest
from handoff.rules.seats import most_seats
from handoff.sides import fields_of, sides_of
from models_registry.models import Environment, ModelVersion
from models_registry.roles import Role


@dataclass(frozen=True, slots=True)
class Offer:
    """What would be offered now. `missing` maps a place to a sentence that says what is missing and who supplies it."""

    revision: PolicyRevision | None
    report: dict[str, Any]
    report_digest: str
    missing: dict[str, str]


def offer_of(handoff: Handoff, known: Known) -> Offer:
    """Return what offering a draft would freeze, and everything that stands in its way."""
    revision = policy_for(handoff)
    rules = parse(revision.content) if revision else None
    cargo = cargo_of(handoff.version)
    items = report_of(handoff, rules, cargo)
    content = as_content(items)
    missing = {
        item.key: f"{item.name}: {item.rule} ({item.target or 'nothing'} in the target)" for item in broken(items)
    }
    missing |= misfits(handoff.bindings, handoff.target, handoff.version)
    if rules is None:
        missing["policy"] = (
            f"No policy speaks for {handoff.target.kind} environments at {handoff.model.risk_tier} risk; "
            "an administrator must publish one"
        )
    else:
        missing |= {
            f"elements.{name}": f"The policy requires the element {name}; data science supplies it in a new version"
            for name in rules.elements
            if name not in cargo.elements
        }
        missing |= _empty_roles(rules, known, {item.role for item in items if item.asks and item.role})
    return Offer(revision, content, digest(content), missing)


def report_of(handoff: Handoff, rules: PolicyRules | None, cargo: Cargo | None = None) -> tuple[Difference, ...]:
    """Return the difference report as it is now, under the lock policy of some rules; without rules, the usual one."""
    kind, tier = handoff.target.kind, handoff.model.risk_tier
    held = rules.held(kind, tier) if rules else declared({}, kind=kind, tier=tier)
    cargo = cargo or cargo_of(handoff.version)
    source, target = sides_of(handoff)
    return report(cargo, source, target, handoff.bindings, held)


def moved_since(handoff: Handoff) -> dict[str, str]:
    """Recompute the report of an offered handoff, and return what came in the way since it was signed, in words.

    That is what moved in the report, streams whose descriptor is not what was signed, and streams that do not answer.
    """
    now = Environment.objects.select_related("organisation", "owner").in_bulk([handoff.source_id, handoff.target_id])
    handoff.source, handoff.target = now[handoff.source_id], now[handoff.target_id]
    report = report_of(handoff, rules_of(handoff))
    return moved(read(handoff.report), report) | changed_since(handoff) | unreachable(handoff)


def looked_again(handoff: Handoff, known: Known | None = None) -> Known:
    """Return the facts of a handoff with its difference report recomputed from the environments as they are now."""
    known = known or known_of(handoff)
    return replace(known, facts=replace(known.facts, moved=moved_since(handoff)))


def cargo_of(version: ModelVersion) -> Cargo:
    """Return a sealed version as the difference report sees it."""
    elements = {element.name: element for element in version.elements.all()}
    runtime = orjson.loads(elements["runtime"].text or "{}") if "runtime" in elements else {}
    digests = {name: element.blob_id for name, element in elements.items()}
    return Cargo(
        digest=version.digest,
        input_schema=digests.get("input_schema", ""),
        output_schema=digests.get("output_schema", ""),
        python=runtime.get("python", ""),
        packages=runtime.get("packages", {}),
        elements=digests,
        fields=fields_of(elements["input_schema"].text or "{}") if "input_schema" in elements else {},
    )


def policy_for(handoff: Handoff) -> PolicyRevision | None:
    """Return the newest revision of the one policy that speaks for a handoff's target and risk tier."""
    newest = PolicyRevision.objects.select_related("policy").order_by("policy_id", "-number").distinct("policy_id")
    for revision in newest:
        applies = revision.content["applies_to"]
        if handoff.model.risk_tier in applies["risk_tiers"] and handoff.target.kind in applies["target_kinds"]:
            return revision
    return None


def _empty_roles(rules: PolicyRules, known: Known, answering: Iterable[str]) -> dict[str, str]:
    """Name each role that must act and has too few active holders who are free of conflicts."""
    found = {}
    for role in dict.fromkeys((*rules.roles(known.facts.tier), *sorted(answering))):
        if not known.facts.holders.get(role):
            found[f"roles.{role}"] = f"Nobody holds the role {Role(role).label}; an administrator must grant it"
    for gate in rules.gates.values():
        for rule in gate.signoffs:
            able, place = most_seats(rule, known.facts), f"roles.{rule.role or rule.key}"
            if rule.needed(known.facts.tier) and able < rule.count and place not in found:
                named = " or ".join(str(Role(role).label) for role in rule.roles)
                found[place] = (
                    f"{rule.count} must sign as {named}, and only {able} can without a conflict "
                    "of duties; an administrator must grant the role to somebody else"
                )
    return found
