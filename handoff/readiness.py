"""What stands between a draft and its offer: the policy that applies, the difference report, and what is missing."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

import orjson

from audit.models import Account
from handoff.asked import Question, questions_of
from handoff.connections import changed_since, misfits, unreachable
from handoff.errors import Conflicting
from handoff.facts import Known, known_of, rules_of
from handoff.in_force import bindings_of
from handoff.in_force import report_of as signed_report_of
from handoff.models import Finding, Handoff, PolicyRevision
from handoff.rules.aspects import declared
from handoff.rules.consumers import role_of
from handoff.rules.differences import Difference, broken, report
from handoff.rules.duties import conflicts
from handoff.rules.gate_facts import Facts
from handoff.rules.policies import PolicyRules, digest_of, parse
from handoff.rules.reports import as_content, moved, read
from handoff.rules.scopes import digest
from handoff.rules.seats import most_seats
from handoff.rules.sides import Cargo
from handoff.rules.subjects import Subject
from handoff.rules.unions import union
from handoff.sides import fields_of, sides_of
from models_registry.access import administrators_of, inactive_holders
from models_registry.duties import acknowledged_by
from models_registry.models import Environment, ModelVersion
from models_registry.roles import Role

AS_AN_OWNER = "sign as the owner of a consumer"


@dataclass(frozen=True, slots=True)
class Offer:
    """What would be offered now: under all policies that apply, and their union.

    `missing` maps a place to a sentence that says what is missing and who supplies it, `questions` are what the owners
    of consumers would be asked.
    """

    revisions: tuple[PolicyRevision, ...]
    policy: dict[str, Any] | None
    report: dict[str, Any]
    report_digest: str
    missing: dict[str, str]
    questions: tuple[Question, ...] = ()


def offer_of(handoff: Handoff, known: Known) -> Offer:
    """Return what offering a draft would freeze, and everything that stands in its way."""
    subject = subject_of(handoff)
    revisions = policies_for(subject)
    policy, conflict = _union(revisions, subject)
    rules = parse(policy) if policy else None
    cargo = cargo_of(handoff.version)
    items = report_of(handoff, rules, cargo)
    content = as_content(items)
    missing = {
        item.key: f"{item.name}: {item.rule} ({item.target or 'nothing'} in the target)" for item in broken(items)
    }
    missing |= ownerless(handoff.target)
    missing |= misfits(handoff.bindings, handoff.target, handoff.version)
    questions = questions_of(handoff)
    missing |= _unasked(questions, known)
    if not subject.model_type and any("model_types" in one.content["applies_to"] for one in revisions):
        missing["model.model_type"] = (
            "Policies ask for other things by the type of the model, and nobody has said of which type it is; "
            "a data scientist of the model says so on its page"
        )
    elif conflict:
        missing["policy"] = conflict
    elif rules is None:
        missing["policy"] = f"No policy speaks for {subject.words}; an administrator must publish one"
    if rules is not None:
        missing |= {
            f"elements.{name}": f"The policy requires the element {name}; data science supplies it in a new version"
            for name in rules.elements
            if name not in cargo.elements
        }
        if rules.thresholds.words():
            missing |= rules.thresholds.lax_in(thresholds_of(handoff.version))
        answering = {item.role for item in items if item.asks and item.role}
        missing |= _uncovered(handoff, rules, _beside(questions, known), answering)
    return Offer(tuple(revisions), policy, content, digest(content), missing, tuple(questions))


@dataclass(frozen=True, slots=True)
class Adoptable:
    """What a handoff in review would adopt: the policies that are published now, the report under them, when it ends.

    `seen` is the digest of all of it; it comes back with the signature.
    """

    offer: Offer
    digest: str
    expires_at: datetime
    seen: str


def adoptable(handoff: Handoff, known: Known) -> Adoptable | None:
    """Return what a handoff would adopt; None where no policy applies, or nothing would be different."""
    offer = offer_of(handoff, known)
    if offer.policy is None or handoff.offered_at is None:
        return None
    to = digest_of(offer.policy)
    if to == handoff.policy_digest:
        return None
    ends = handoff.offered_at + timedelta(days=parse(offer.policy).expires_after_days)
    before, after = [handoff.policy_digest, handoff.report_digest], [to, offer.report_digest]
    seen = digest({"handoff": str(handoff.pk), "from": ":".join(before), "to": ":".join(after)})
    return Adoptable(offer, to, ends, seen)


def barred_from_adopting(user: Account, known: Known) -> tuple[str, ...]:
    """Return why an account may let no handoff adopt a policy, whatever roles it holds: it has a stake in the rules."""
    chain, roles = known.facts.chain, (Role.VALIDATOR, Role.RISK_COMPLIANCE)
    held = [role for role in roles if known.holds(user.pk, role)]
    found = list(dict.fromkeys(act for role in held for act in conflicts(chain, person=user.pk, role=role)))
    if known.holds(user.pk, Role.MODEL_OWNER):
        found.append("own the model")
    if user.is_staff:
        found.append("administer the policies")
    return tuple(found)


def _union(revisions: list[PolicyRevision], of: Subject) -> tuple[dict[str, Any] | None, str]:
    """Return the union of policies, or why they cannot hold together; neither where there is none."""
    try:
        return union([(one.content, one.number) for one in revisions], of) if revisions else None, ""
    except Conflicting as refusal:
        return None, f"{refusal.message} An administrator must change one of them"


def _unasked(questions: Sequence[Question], known: Known) -> dict[str, str]:
    """Name each consumer that the new outputs concern and whose owner cannot sign, and say why, and what to do."""
    found = {}
    for one in questions:
        owner, consumer = one.consumer.owner, one.consumer
        acts = conflicts(known.facts.chain, person=owner.pk, role=role_of(owner.pk))
        why = f"{' and '.join(acts)}, so cannot approve it" if acts else ""
        why = why if owner.is_active else "has an account that is closed"
        if why:
            found[f"consumers.{consumer.stream.slug}.{consumer.name}"] = (
                f"{consumer.name} is fed by outputs that change, and {owner.printed_name}, who answers for it, {why}; "
                "the integration owner names another owner by an amendment of what is live"
            )
    return found


def _beside(questions: Sequence[Question], known: Known) -> Known:
    """Return the facts in which those who sign as owners of consumers can sign for no role: one person has one."""
    acts = dict(known.facts.chain.acts)
    for one in questions:
        acts[one.consumer.owner_id] = (*acts.get(one.consumer.owner_id, ()), AS_AN_OWNER)
    return replace(known, facts=replace(known.facts, chain=replace(known.facts.chain, acts=acts)))


def report_of(
    handoff: Handoff,
    rules: PolicyRules | None,
    cargo: Cargo | None = None,
    bindings: Mapping[str, Any] | None = None,
) -> tuple[Difference, ...]:
    """Return the difference report as it is now, under the lock policy of some rules; without rules, the usual one.

    Under the bindings that are in force, or under others.
    """
    kind, tier = handoff.target.kind, handoff.model.risk_tier
    held = rules.held(kind, tier) if rules else declared({}, kind=kind, tier=tier)
    cargo = cargo or cargo_of(handoff.version)
    bindings = bindings_of(handoff) if bindings is None else bindings
    source, target = sides_of(handoff, bindings)
    return report(cargo, source, target, bindings, held)


def moved_since(handoff: Handoff) -> dict[str, str]:
    """Recompute the report of an offered handoff, and return what came in the way since it was signed, in words.

    That is what moved in the report, an owner of the target who has left, streams whose descriptor is not what was
    signed, and streams that do not answer.
    """
    now = Environment.objects.select_related("organisation", "owner").in_bulk([handoff.source_id, handoff.target_id])
    handoff.source, handoff.target = now[handoff.source_id], now[handoff.target_id]
    bindings = bindings_of(handoff)
    report = report_of(handoff, rules_of(handoff), bindings=bindings)
    frozen = read(signed_report_of(handoff))
    in_the_way = moved(frozen, report) | changed_since(handoff, bindings) | unreachable(handoff, bindings)
    return in_the_way | ownerless(handoff.target)


def unanswered(handoff: Handoff) -> dict[str, str]:
    """Return what came in the way since the report was signed, without what was accepted in these words."""
    accepted = {
        sentence
        for items in handoff.findings.filter(closing=Finding.Closing.ACCEPTED).values_list("items", flat=True)
        for sentence in items.values()
    }
    return {key: sentence for key, sentence in moved_since(handoff).items() if sentence not in accepted}


def ownerless(target: Environment) -> dict[str, str]:
    """Return that nobody answers for an environment, with who mends it; nothing where its owner is active."""
    if target.owner.is_active:
        return {}
    return {"people.owner.left": f"the owner of {target.name} has left; an administrator must name another owner"}


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


def thresholds_of(version: ModelVersion) -> dict[str, Any]:
    """Return a version's own thresholds; nothing where it has none."""
    return next((orjson.loads(e.text or "{}") for e in version.elements.all() if e.name == "thresholds"), {})


def subject_of(handoff: Handoff) -> Subject:
    """Return what policies tell a handoff apart by."""
    return Subject(handoff.target.kind, handoff.model.risk_tier, handoff.model.model_type)


def policies_for(of: Subject) -> list[PolicyRevision]:
    """Return the newest revisions of all policies that speak for a handoff, by their names."""
    newest = PolicyRevision.objects.select_related("policy").order_by("policy_id", "-number").distinct("policy_id")
    return sorted(applying(newest, of), key=lambda revision: revision.policy.slug)


def applying(revisions: Iterable[PolicyRevision], of: Subject) -> list[PolicyRevision]:
    """Return those revisions that speak for a handoff."""
    return [revision for revision in revisions if of.meets(revision.content["applies_to"])]


def _uncovered(handoff: Handoff, rules: PolicyRules, known: Known, answering: Iterable[str]) -> dict[str, str]:
    """Name each role that must act and has too few holders who can: what each lacks, and who mends it."""
    facts = known.facts
    ready = _acknowledged(rules, facts)
    lacking: dict[str, tuple[tuple[str, ...], int, int]] = {}
    for role in dict.fromkeys((*rules.roles(facts.tier), *sorted(answering))):
        if not ready.holders.get(role):
            lacking[f"roles.{role}"] = (role,), 1, 0
    for gate in rules.gates.values():
        for rule in gate.signoffs:
            able, place = most_seats(rule, ready), f"roles.{rule.role or rule.key}"
            if rule.needed(facts.tier) and able < rule.count and place not in lacking:
                lacking[place] = rule.roles, rule.count, able
    if not lacking:
        return {}
    gone = inactive_holders(model=handoff.model, environment=handoff.target)
    mend = f"an administrator ({administrators_of(handoff.model, handoff.target)}) must grant it"
    return {place: _lack(*told, facts, ready, gone, mend) for place, told in lacking.items()}


def _acknowledged(rules: PolicyRules, facts: Facts) -> Facts:
    """Return the facts with those holders only who have acknowledged their duties, where the policy asks for it."""
    if not rules.acknowledged_duties:
        return facts
    told = acknowledged_by({one for people in facts.holders.values() for one in people}, facts.holders)
    holders = {
        role: {one: name for one, name in people.items() if (one, role) in told}
        for role, people in facts.holders.items()
    }
    return replace(facts, holders=holders)


def _lack(
    roles: Sequence[str],
    count: int,
    able: int,
    facts: Facts,
    ready: Facts,
    gone: Mapping[str, Sequence[str]],
    mend: str,
) -> str:
    """Say why too few can act in a role, or in some, cause by cause, and who mends each."""
    label = " or ".join(str(Role(role).label) for role in roles)
    people = {one: name for role in roles for one, name in facts.holders.get(role, {}).items()}
    if not people:
        left = ", ".join(dict.fromkeys(name for role in roles for name in gone.get(role, ())))
        return f"Nobody holds the role {label}{f' who is active; {left} held it and left' if left else ''}; {mend}"
    free = [
        one
        for one in people
        if any(
            one in facts.holders.get(role, {}) and not conflicts(facts.chain, person=one, role=role) for role in roles
        )
    ]
    unread = [one for one in free if not any(one in ready.holders.get(role, {}) for role in roles)]
    causes = [f"{count} must act as {label}, and only {able} can"]
    if barred := ", ".join(_barred(one, name, facts) for one, name in people.items() if one not in free):
        causes.append(f"a conflict of duties bars {barred}, so {mend} to somebody else")
    if unread:
        names = ", ".join(people[one] for one in unread)
        causes.append(f"{names} must acknowledge the duties of the role first, on the page Duties")
    if len(people) < count:
        causes.append(f"{len(people)} hold it, so {mend} to more people")
    return "; ".join(causes)


def _barred(person: int, name: str, facts: Facts) -> str:
    """Return a name, with the cause where that is not what somebody has done before."""
    return f"{name} (who must {AS_AN_OWNER})" if AS_AN_OWNER in facts.chain.acts.get(person, ()) else name
