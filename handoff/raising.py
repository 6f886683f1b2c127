"""Keep what workers found about a handoff or an environment and its open findings alike: raise, and resolve."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from django.utils import timezone

from audit.actors import Actor
from audit.models import Account
from audit.trail import record, subject_of
from handoff.models import Finding, Handoff
from models_registry.models import Environment

SETTLED_WITHIN = timedelta(days=7)
Place = Handoff | Environment


@dataclass(frozen=True, slots=True)
class Wrong:
    """Something that is wrong now, who sees to it until when (mostly a week), and whether it suspends the approval."""

    sentence: str
    severity: str
    owner: Account | None
    suspends: bool
    told: Mapping[str, Any] = field(default_factory=dict)
    due: datetime | None = None


def standing(on: Place, kind: Finding.Kind) -> dict[str, Finding]:
    """Return the open findings of a kind by what they are about."""
    return {one.subject: one for one in on.findings.filter(kind=kind, closed_at=None)}


def reconcile(on: Place, kind: Finding.Kind, wrong: Mapping[str, Wrong], *, actor: Actor) -> list[Finding]:
    """Raise a finding for each new subject on what is locked, resolve those that are gone; return those raised."""
    open_ = standing(on, kind)
    for subject in sorted(open_.keys() - wrong.keys()):
        _resolve(open_[subject], on, actor=actor)
    return [_raise(on, kind, one, wrong[one], actor=actor) for one in sorted(wrong.keys() - open_.keys())]


def _raise(on: Place, kind: Finding.Kind, subject: str, wrong: Wrong, *, actor: Actor) -> Finding:
    finding = Finding.objects.create(
        handoff=on if isinstance(on, Handoff) else None,
        environment=on if isinstance(on, Environment) else None,
        kind=kind,
        subject=subject,
        items={subject: wrong.sentence},
        severity=wrong.severity,
        suspends=wrong.suspends,
        owner=wrong.owner,
        due_at=wrong.due or timezone.now() + SETTLED_WITHIN,
    )
    record(
        "handoff.suspended" if wrong.suspends else "finding.raised",
        actor=actor,
        on=on,
        chain=subject_of(on),
        data={"finding": str(finding.pk), "severity": wrong.severity, **wrong.told},
        reason=wrong.sentence,
    )
    return finding


def _resolve(finding: Finding, on: Place, *, actor: Actor) -> None:
    Finding.objects.filter(pk=finding.pk).update(closed_at=timezone.now(), closing=Finding.Closing.RESOLVED)
    record(
        "finding.closed",
        actor=actor,
        on=on,
        chain=subject_of(on),
        data={"finding": str(finding.pk), "closing": Finding.Closing.RESOLVED},
    )
