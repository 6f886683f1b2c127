"""Close what somebody has settled: a finding of a handoff or of an environment, with what shows it."""

from collections.abc import Mapping
from typing import Any

from django.utils import timezone

from audit.actors import Actor, Person
from audit.trail import record, subject_of
from handoff.errors import Conflict, Forbidden, Invalid, WrongState
from handoff.models import Answer, Finding
from handoff.receipts import must_be_link, must_have_sent
from handoff.rules.findings import barred_from_closing


def must_be_open(finding: Finding) -> None:
    """Let a finding pass that is open. Raises WrongState."""
    if finding.closed_at is not None:
        raise WrongState("The finding is closed already.", code="finding_closed")


def must_be_person(actor: Person, act: str) -> None:
    """Let a natural person pass. Raises Forbidden."""
    if not actor.user.is_person:
        raise Forbidden(f"Only a natural person may {act}.", code="person_required")


def may_close(actor: Person, roles: frozenset[str], finding: Finding) -> None:
    """Let somebody with some roles close a finding. Raises Conflict where the policy wants another, or Forbidden."""
    person = actor.user_id
    why = barred_from_closing(
        person,
        roles,
        owner=finding.owner_id,
        raised_by=finding.raised_by_id,
        another_closes=finding.another_closes,
    )
    if not why:
        return
    if person == finding.owner_id:
        raise Conflict(f"You own this finding, and {why}.", todo="Ask who raised it, or validation, to close it.")
    raise Forbidden(f"You may not close this: {why}.", code="finding_of_others")


def proof_of(actor: Person, finding: Finding, given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the columns that hold what settles a finding. Raises Invalid that names the field."""
    kind, label = given.get("kind"), str(given.get("label") or "").strip()[:200]
    if kind == Finding.Proof.FILE:
        file = must_have_sent(actor, str(given.get("receipt", "")), "evidence.receipt")
        return {"proof_kind": kind, "proof_label": label or file.name, "proof_blob_id": file.sha256}
    if kind == Finding.Proof.LINK:
        link = must_be_link(str(given.get("link", "")), "evidence.link")
        return {"proof_kind": kind, "proof_label": label or link[:200], "proof_link": link}
    if kind == Finding.Proof.ANSWER:
        answers = Answer.objects.filter(handoff=finding.handoff_id, item=str(given.get("item", "")))
        answer = answers.order_by("pk").last()
        if answer is None or answer.choice != Answer.Choice.YES or answer.answered_at <= finding.raised_at:
            raise Invalid(
                "An answer settles a finding if it is a yes that was given after the finding was raised.",
                fields={"evidence.item": "has no such answer"},
            )
        return {"proof_kind": kind, "proof_label": label or answer.item, "proof_answer": answer}
    raise Invalid(
        "A finding is closed only with evidence: a file, a link or an answer.",
        code="evidence_missing",
        fields={"evidence.kind": "must be file, link or answer"},
    )


def close_finding(
    finding: Finding,
    closing: Finding.Closing,
    *,
    actor: Actor,
    comment: str = "",
    proof: Mapping[str, Any] | None = None,
) -> Finding:
    """Close an open finding of a handoff or an environment that is locked, and tell its chain."""
    by_person = closing in (Finding.Closing.ACCEPTED, Finding.Closing.FIXED)
    Finding.objects.filter(pk=finding.pk).update(
        closed_at=timezone.now(),
        closing=closing,
        closed_by=actor.user if by_person else None,
        comment=comment,
        **(proof or {}),
    )
    about = finding.place
    finding.refresh_from_db()
    told = {"evidence": [finding.proof_kind, finding.proof_label]} if proof else {}
    record(
        "finding.closed",
        actor=actor,
        on=about,
        chain=subject_of(about),
        data={"finding": str(finding.pk), "closing": closing, **told},
        reason=comment,
    )
    return finding
