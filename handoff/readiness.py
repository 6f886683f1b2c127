"""What stands between a draft and its offer: the policy that applies, the difference report, and what is missing."""

from dataclasses import dataclass
from typing import Any

import orjson

from handoff.facts import Known
from handoff.models import Handoff, PolicyRevision
from handoff.rules.differences import Cargo, Side, as_content, broken, report
from handoff.rules.duties import conflicts
from handoff.rules.policies import PolicyRules, parse
from handoff.rules.scopes import digest
from models_registry.models import Environment
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
    elements = {e.name: e for e in handoff.version.elements.all()}
    runtime = orjson.loads(elements["runtime"].text or "{}") if "runtime" in elements else {}
    cargo = Cargo(
        digest=handoff.version.digest,
        input_schema=elements["input_schema"].blob_id if "input_schema" in elements else "",
        output_schema=elements["output_schema"].blob_id if "output_schema" in elements else "",
        python=runtime.get("python", ""),
        packages=runtime.get("packages", {}),
    )
    items = report(cargo, side_of(handoff.source), side_of(handoff.target), handoff.bindings)
    content = as_content(items)
    missing = {
        item.key: f"{item.name}: {item.rule} ({item.target or 'nothing'} in the target)" for item in broken(items)
    }
    revision = policy_for(handoff)
    if revision is None:
        missing["policy"] = (
            f"No policy speaks for {handoff.target.kind} environments at {handoff.model.risk_tier} risk; "
            "an administrator must publish one"
        )
    else:
        rules = parse(revision.content)
        missing |= {
            f"elements.{name}": f"The policy requires the element {name}; data science supplies it in a new version"
            for name in rules.elements
            if name not in elements
        }
        missing |= _empty_roles(rules, known)
    return Offer(revision, content, digest(content), missing)


def policy_for(handoff: Handoff) -> PolicyRevision | None:
    """Return the newest revision of the one policy that speaks for a handoff's target and risk tier."""
    newest = PolicyRevision.objects.select_related("policy").order_by("policy_id", "-number").distinct("policy_id")
    for revision in newest:
        applies = revision.content["applies_to"]
        if handoff.model.risk_tier in applies["risk_tiers"] and handoff.target.kind in applies["target_kinds"]:
            return revision
    return None


def side_of(environment: Environment) -> Side:
    """Return an environment as the difference report sees it."""
    return Side(
        name=environment.name,
        kind=environment.kind,
        organisation=environment.organisation.name,
        owner=environment.owner.printed_name,
        purpose=environment.purpose,
        python=environment.python,
        packages=environment.packages,
        hardware=environment.hardware,
        import_policy=environment.import_policy,
    )


def _empty_roles(rules: PolicyRules, known: Known) -> dict[str, str]:
    """Name each role that must act and has too few active holders who are free of conflicts."""
    found = {}
    for role in rules.roles():
        if not known.facts.holders.get(role):
            found[f"roles.{role}"] = f"Nobody holds the role {Role(role).label}; an administrator must grant it"
    for gate in rules.gates.values():
        for rule in gate.signoffs:
            able = [
                person
                for person in known.facts.holders.get(rule.role, {})
                if not conflicts(known.facts.chain, person=person, role=rule.role)
            ]
            if len(able) < rule.count and f"roles.{rule.role}" not in found:
                found[f"roles.{rule.role}"] = (
                    f"{rule.count} must sign as {Role(rule.role).label}, and only {len(able)} can without a conflict "
                    "of duties; an administrator must grant the role to somebody else"
                )
    return found
