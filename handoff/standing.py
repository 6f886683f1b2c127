"""The standing approval of a version that was live: what it rests on, as it is now."""

from dataclasses import replace
from datetime import datetime, timedelta

from django.db.models import Max
from django.utils import timezone

from handoff.facts import Known, known_of, rules_of
from handoff.models import Answer, Finding, Handoff
from handoff.rules.gate_facts import Facts
from handoff.rules.standing import Standing, judge_standing


def standing_of(handoff: Handoff, known: Known | None = None, *, signed_by: datetime | None = None) -> Standing:
    """Return whether the approval that brought a handoff live still stands; with signatures up to an instant only."""
    known = known or known_of(handoff)
    signoffs = known.facts.signoffs
    if signed_by is not None:
        signoffs = tuple(s for s in signoffs if datetime.fromisoformat(s.signed_at) <= signed_by)
    facts = _with_other_evidence(handoff, replace(known.facts, signoffs=signoffs))
    return judge_standing(rules_of(handoff), facts, known.ended, _ends(handoff))


def made_good(handoff: Handoff, answer: Answer, valid_days: int) -> bool:
    """Tell whether somebody attached other evidence when they closed the finding; that ages, too."""
    closed: datetime | None = (
        handoff.findings.filter(subject=f"answer:{answer.pk}", closing=Finding.Closing.FIXED)
        .order_by("closed_at")
        .values_list("closed_at", flat=True)
        .last()
    )
    return closed is not None and (not valid_days or closed + timedelta(days=valid_days) > timezone.now())


def _with_other_evidence(handoff: Handoff, facts: Facts) -> Facts:
    reopened = [key for key, one in facts.answers.items() if one.reopened]
    if not reopened:
        return facts
    days = _days(handoff)
    latest = {one.item: one for one in handoff.answers.filter(item__in=reopened).order_by("pk")}
    good = [key for key in reopened if made_good(handoff, latest[key], days.get(key, 0))]
    answers = dict(facts.answers) | {key: replace(facts.answers[key], reopened="") for key in good}
    return replace(facts, answers=answers)


def _ends(handoff: Handoff) -> dict[str, datetime]:
    """Return when the latest answer to each item that ages is too old."""
    days = _days(handoff)
    if not days:
        return {}
    rows = handoff.answers.filter(item__in=days).values("item").annotate(at=Max("answered_at"))
    return {row["item"]: row["at"] + timedelta(days=days[row["item"]]) for row in rows.order_by()}


def _days(handoff: Handoff) -> dict[str, int]:
    items = (item for gate in rules_of(handoff).gates.values() for item in gate.checklist)
    return {item.key: item.valid_days for item in items if item.valid_days}
