"""Read policies and their revisions; compare a draft with what is published, and try it on what is past."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import orjson
from django.db.models import TextField
from django.db.models.functions import Cast

from audit.models import Account
from handoff.access import handoffs_visible_to
from handoff.errors import Hidden
from handoff.facts import rules_of
from handoff.models import Decision, Handoff, Policy, PolicyRevision
from handoff.readiness import applying, subject_of
from handoff.rules.policies import PolicyRules, parse
from handoff.rules.policy_changes import Changes, changes, demands
from handoff.rules.simulations import Passed, Simulation, simulate
from handoff.rules.subjects import Subject
from handoff.rules.unions import applied_in, union
from handoff.states import UNDER_OFFER

NAMED = 100
NEWEST = 10_000


@dataclass(frozen=True, slots=True)
class Asked:
    """An open handoff that would be asked otherwise, and how."""

    handoff: Handoff
    changes: Changes


@dataclass(frozen=True, slots=True)
class Difference:
    """How a draft differs from the newest revision of its policy, and the open handoffs that would be asked otherwise.

    `hidden` counts those that the asker may not know by name.
    """

    against: str
    changes: Changes
    open: tuple[Asked, ...]
    hidden: int = 0


@dataclass(frozen=True, slots=True)
class Simulated:
    """What a simulation found, and the handoffs it would have stopped that the asker may know by name."""

    found: Simulation
    named: tuple[Handoff, ...]

    @property
    def lacked(self) -> list[tuple[str, int]]:
        """Return what was missing, and how often, the most frequent first."""
        return self.found.missing.most_common()

    @property
    def rows(self) -> list[tuple[Handoff, str, tuple[str, ...]]]:
        """Return the gates that would have been shut, by handoff, each with what it lacked."""
        stopped = self.found.stopped
        return [(one, gate, lacking) for one in self.named for gate, lacking in stopped[str(one.pk)].items()]


def difference_of(content: Mapping[str, Any], rules: PolicyRules, user: Account | None = None) -> Difference:
    """Return what is different in a draft, for an account, or for whoever runs the site.

    Open handoffs keep what they have; they would be asked what is told here if they adopted it.
    """
    newest = PolicyRevision.objects.filter(policy__slug=rules.key).order_by("-number").first()
    before = demands(parse(newest.content)) if newest else {}
    against = f"{rules.key} r{newest.number}" if newest else ""
    asked = list(_asked_otherwise(content, rules))
    shown = _named(user, (one.handoff for one in asked))
    known = tuple(one for one in asked if one.handoff.pk in shown)
    return Difference(against, changes(before, demands(rules)), known, len(asked) - len(known))


def _named(user: Account | None, handoffs: Iterable[Handoff]) -> set[UUID]:
    """Return the keys of those handoffs that an account may know of; without one, of all."""
    keys = {handoff.pk for handoff in handoffs}
    return keys if user is None else set(handoffs_visible_to(user).filter(pk__in=keys).values_list("pk", flat=True))


def _asked_otherwise(content: Mapping[str, Any], rules: PolicyRules) -> Iterator[Asked]:
    """Give the open handoffs that would be asked otherwise if they were offered now, under this draft and others."""
    unions: dict[Subject, dict[str, str]] = {}
    newest = PolicyRevision.objects.order_by("policy_id", "-number").distinct("policy_id")
    others = list(newest.exclude(policy__slug=rules.key))
    for handoff in Handoff.objects.filter(state__in=UNDER_OFFER).select_related("model", "target").order_by("pk"):
        subject = subject_of(handoff)
        applies = subject.meets(content["applies_to"])
        if not applies and rules.key not in applied_in(handoff.policy):
            continue
        kind, tier = subject.kind, subject.tier
        if subject not in unions:
            beside = [(one.content, one.number) for one in applying(others, subject)]
            whole = [(content, 0), *beside] if applies else beside
            unions[subject] = demands(parse(union(whole, subject)), kind, tier) if whole else {}
        found = changes(demands(rules_of(handoff), kind, tier), unions[subject])
        if found:
            yield Asked(handoff, found)


def simulated(rules: PolicyRules, user: Account | None = None) -> Simulated:
    """Judge the newest ten thousand handoffs to which a draft applies anew, as they were when their gates opened."""
    spoken_for = Handoff.objects.filter(
        target__kind__in=rules.target_kinds, model__risk_tier__in=rules.risk_tiers, offered_at__isnull=False
    )
    if rules.model_types:
        spoken_for = spoken_for.filter(model__model_type__in=["", *rules.model_types])
    newest = spoken_for.order_by("-offered_at")[:NEWEST]
    opened = (
        Decision.objects.filter(opened=True, handoff__in=newest.values("pk"))
        .order_by("handoff_id", "gate", "-pk")
        .distinct("handoff_id", "gate")
        .annotate(kept=Cast("facts", TextField()))
        .values_list("handoff_id", "gate", "decided_at", "handoff__model__risk_tier", "kept")
    )
    found = simulate(
        rules,
        (
            Passed(str(handoff), gate, at, tier, orjson.loads(kept))
            for handoff, gate, at, tier, kept in opened.iterator(chunk_size=500)
        ),
    )
    known = Handoff.objects.all() if user is None else handoffs_visible_to(user)
    stopped = known.filter(pk__in=list(found.stopped)).select_related("model").order_by("-offered_at", "pk")
    return Simulated(found, tuple(stopped.defer("policy", "report", "bindings")[:NAMED]))


def all_revisions() -> list[tuple[Policy, list[PolicyRevision]]]:
    """Return every policy with its revisions, the newest first."""
    found: dict[int, tuple[Policy, list[PolicyRevision]]] = {}
    rows = PolicyRevision.objects.select_related("policy", "published_by").order_by("policy__title", "-number")
    for revision in rows:
        found.setdefault(revision.policy_id, (revision.policy, []))[1].append(revision)
    return list(found.values())


def revision_of(slug: str, number: int) -> PolicyRevision:
    """Return one revision. Raises Hidden."""
    found = (
        PolicyRevision.objects.select_related("policy", "published_by").filter(policy__slug=slug, number=number).first()
    )
    if found is None:
        raise Hidden("There is no such policy revision.")
    return found


def newest_source(slug: str) -> str:
    """Return the YAML of a policy's newest revision, or nothing."""
    found = PolicyRevision.objects.filter(policy__slug=slug).order_by("-number").first()
    return found.source if found else ""
