"""Publish policies. A published revision never changes; a handoff keeps the one it was offered under."""

from collections.abc import Mapping
from typing import Any

from audit.actors import Person
from audit.acts import act
from audit.trail import record
from handoff.errors import Forbidden, WrongState
from handoff.models import Policy, PolicyRevision
from handoff.rules.policies import PolicyRules, digest_of, load, parse


@act
def publish(*, actor: Person, source: str) -> PolicyRevision:
    """Publish a policy's YAML as its next revision. Raises Invalid with every mistake by its place.

    Two policies may not speak for the same kind of target and risk tier: with one of them lighter, the choice would
    be a way around the other.
    """
    if not actor.user.is_staff:
        raise Forbidden("Only an administrator may publish a policy.", code="administrator_required")
    content = load(source)
    rules = parse(content)
    policy, _ = Policy.objects.select_for_update().get_or_create(slug=rules.key, defaults={"title": rules.title})
    _refuse_overlap(policy, rules)
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


def _refuse_overlap(policy: Policy, rules: PolicyRules) -> None:
    others = PolicyRevision.objects.exclude(policy=policy).order_by("policy_id", "-number").distinct("policy_id")
    for other in others:
        applies: Mapping[str, Any] = other.content["applies_to"]
        if set(applies["risk_tiers"]) & set(rules.risk_tiers) and set(applies["target_kinds"]) & set(
            rules.target_kinds
        ):
            raise WrongState(
                f"The policy {other.policy.slug} already speaks for this risk tier and kind of target.",
                code="policy_overlaps",
                todo="Publish a revision of that policy, or narrow what this one applies to.",
            )
