"""Publish policies. A published revision never changes; a handoff keeps the one it was offered under."""

from collections.abc import Mapping
from itertools import product, starmap
from typing import Any

from audit.actors import Person
from audit.acts import act
from audit.trail import record
from handoff.access import require_administrator
from handoff.errors import WrongState
from handoff.models import Policy, PolicyRevision
from handoff.queries.checklist_templates import policy_in
from handoff.readiness import applying
from handoff.rules.policies import PolicyRules, digest_of
from handoff.rules.policy_terms import MODEL_TYPES
from handoff.rules.subjects import Subject
from handoff.rules.unions import union


@act
def publish(*, actor: Person, source: str) -> PolicyRevision:
    """Publish a policy's YAML as its next revision. Raises Invalid with every mistake by its place.

    Several policies may apply to one handoff; then their union counts, so that none is a way around another. Raises
    Conflicting for one that could not hold together with those that apply beside it.
    """
    require_administrator(actor.user, "publish a policy")
    content, rules = policy_in(source)
    policy, _ = Policy.objects.select_for_update().get_or_create(slug=rules.key, defaults={"title": rules.title})
    _refuse_conflict(content, rules)
    latest = policy.revisions.order_by("-number").first()
    digest = digest_of(content)
    if latest is not None and latest.digest == digest:
        raise WrongState("This text is the published revision already.", code="policy_unchanged")
    revision = PolicyRevision.objects.create(
        policy=policy,
        number=latest.number + 1 if latest else 1,
        source=source,
        content=content,
        digest=digest,
        published_by=actor.user,
    )
    record(
        "policy.published",
        actor=actor,
        on=revision,
        chain="site",
        data={"policy": policy.slug, "revision": revision.number, "digest": digest},
    )
    return revision


def _refuse_conflict(content: Mapping[str, Any], rules: PolicyRules) -> None:
    """Refuse a policy that could not hold together with others wherever they apply together. Raises Conflicting."""
    newest = PolicyRevision.objects.exclude(policy__slug=rules.key).order_by("policy_id", "-number")
    others = list(newest.distinct("policy_id"))
    types = rules.model_types or MODEL_TYPES
    for subject in starmap(Subject, product(rules.target_kinds, rules.risk_tiers, types)):
        beside = [(one.content, one.number) for one in applying(others, subject)]
        if beside:
            union([(content, 0), *beside], subject)
