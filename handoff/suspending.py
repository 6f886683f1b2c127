"""Findings: raise, close, and keep the one about approvals in step with what stands."""

from collections.abc import Mapping
from datetime import datetime, timedelta

from django.db.models import QuerySet
from django.utils import timezone

from audit.actors import Actor
from audit.trail import record
from handoff.facts import Known, rules_of
from handoff.models import Finding, Handoff
from handoff.moves import chain_of
from handoff.raising import Wrong, reconcile
from handoff.raising import standing as raised
from handoff.rules.approvals import fallen, to_attest
from handoff.rules.lapses import AgainFact
from handoff.rules.policies import GATES
from handoff.states import OPEN, PASSED, State

ANSWERED_WITHIN = timedelta(days=7)


def passed_by(handoff: Handoff) -> list[str]:
    """Return the gates that are behind a handoff which goes on, is live, or may be live again by a rollback."""
    if handoff.state not in (*OPEN, State.LIVE, State.SUPERSEDED):
        return []
    return [gate for gate in GATES if handoff.state in PASSED[gate]]


def standing(handoff: Handoff) -> dict[str, str]:
    """Return what the open finding about approvals says."""
    return dict(_open(handoff).values_list("items", flat=True).first() or {})


def _open(handoff: Handoff) -> QuerySet[Finding]:
    return handoff.findings.filter(kind=Finding.Kind.APPROVAL, closed_at=None)


def fallen_of(handoff: Handoff, known: Known) -> dict[str, str]:
    """Return what came in the way of the approvals of a handoff that have had their effect."""
    return fallen(rules_of(handoff), known.facts, known.ended, passed_by(handoff))


def attestations_of(handoff: Handoff, known: Known) -> dict[str, Wrong]:
    """Return which approvals of a live handoff are asked for anew, under the subject of a finding each."""
    if handoff.state != State.LIVE:
        return {}
    asked = to_attest(rules_of(handoff), known.facts, passed_by(handoff))
    return {f"attest:{key}": _attestation(key, again) for key, again in asked.items()}


def _attestation(key: str, again: AgainFact) -> Wrong:
    sentence = f"The approval {key} is to be given anew, for {again.because}"
    due = datetime.fromisoformat(again.due)
    return Wrong(sentence, Finding.Severity.MEDIUM, None, suspends=False, due=due, told={"approval": key})


def settled(handoff: Handoff, known: Known) -> bool:
    """Tell whether the findings about the approvals of a handoff say what is so."""
    asks = rules_of(handoff).reattestation.asks
    if asks and attestations_of(handoff, known).keys() != raised(handoff, Finding.Kind.REATTESTATION).keys():
        return False
    return fallen_of(handoff, known) == standing(handoff)


def settle_approvals(handoff: Handoff, known: Known, *, actor: Actor) -> Finding | None:
    """Bring the findings about the approvals of a locked handoff in step with what stands; return one that is new.

    A condition that is overdue suspends whatever the policy says: the approval was given on its strength. Of what was
    superseded nothing is told: whoever would go back to it learns whether its approval stands.
    """
    if handoff.state == State.SUPERSEDED:
        return None
    if rules_of(handoff).reattestation.asks:
        reconcile(handoff, Finding.Kind.REATTESTATION, attestations_of(handoff, known), actor=actor)
    found, told = fallen_of(handoff, known), standing(handoff)
    if found == told:
        return None
    if told:
        _close(handoff, Finding.Closing.REPLACED if found else Finding.Closing.RESOLVED, actor=actor)
    return _raise(handoff, found, actor=actor) if found else None


def _raise(handoff: Handoff, items: Mapping[str, str], *, actor: Actor) -> Finding:
    overdue = any("condition" in sentence for sentence in items.values())
    suspends = overdue or rules_of(handoff).drift == "suspend"
    finding = Finding.objects.create(
        handoff=handoff,
        kind=Finding.Kind.APPROVAL,
        subject="approvals",
        items=dict(items),
        severity=Finding.Severity.HIGH,
        suspends=suspends,
        due_at=timezone.now() + ANSWERED_WITHIN,
    )
    record(
        "handoff.suspended" if suspends else "finding.raised",
        actor=actor,
        on=handoff,
        chain=chain_of(handoff),
        data={"finding": str(finding.pk), "severity": finding.severity, "approvals": dict(items)},
        reason="; ".join(items.values()),
    )
    return finding


def _close(handoff: Handoff, closing: Finding.Closing, *, actor: Actor) -> None:
    finding = _open(handoff).get()
    Finding.objects.filter(pk=finding.pk).update(closed_at=timezone.now(), closing=closing)
    record(
        "finding.closed",
        actor=actor,
        on=handoff,
        chain=chain_of(handoff),
        data={"finding": str(finding.pk), "closing": closing},
    )
