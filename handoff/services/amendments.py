"""Propose, sign, refuse and withdraw amendments of what is live. The last signature writes the work beside it."""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID

from django.db.models import Max
from django.utils import timezone

from audit.actors import Actor, Person, ServiceAccount
from audit.acts import act
from audit.trail import record
from handoff import queue
from handoff.access import lock_handoff
from handoff.amended import checked, given, scope_now
from handoff.confirmations import Proof, use_up
from handoff.errors import (
    AlreadySigned,
    Forbidden,
    Hidden,
    Invalid,
    StaleView,
    WrongRole,
    WrongState,
)
from handoff.facts import Known, rules_of
from handoff.in_force import suspension_of
from handoff.models import Amendment, AmendmentSignOff, Deployment, Handoff
from handoff.moves import chain_of
from handoff.outcomes import end_amendment
from handoff.rules.amendments import as_plain, requirements, signed_already
from handoff.rules.scopes import digest
from handoff.rules.statements import OF_AMENDMENT
from handoff.statements import Answer, signed_columns, told_for
from handoff.states import AmendmentState, DeploymentState
from models_registry.roles import Role

Decision = AmendmentSignOff.Decision


@act
def propose(
    *,
    actor: Person | ServiceAccount,
    deployment_id: UUID | str,
    reason: str,
    source: str = "",
    sinks: Sequence[Mapping[str, Any]] | None = None,
    consumers: Sequence[Mapping[str, Any]] = (),
) -> Amendment:
    """Propose to connect a live deployment otherwise; whoever holds a role on its handoff may.

    `source` is another stream with the same schema, `sinks` all sinks with the fields that each gets, `consumers` what
    to add, change or retire, each with an `act`, the `stream` and `values`. What is left out stays as it is. Who must
    sign is copied from the handoff's policy. Raises Hidden, WrongRole, WrongState or Invalid with every odd place.
    """
    deployment, handoff, known = _lock(actor, deployment_id)
    if not known.roles.get(actor.user_id):
        raise WrongRole("Only who holds a role on this handoff may propose.", todo="Ask an administrator for a role.")
    if deployment.state != DeploymentState.LIVE:
        raise WrongState(
            f"A deployment that is {deployment.get_state_display()} is not amended.",
            code="not_live",
            todo="Bindings of a version that is not live are those of its handoff.",
        )
    _not_suspended(deployment)
    if not reason.strip():
        raise Invalid("Say why it is wanted.", fields={"reason": "is empty"})
    rules = rules_of(handoff)
    told = checked(handoff, source, sinks, consumers)
    amendment = Amendment.objects.create(
        deployment=deployment,
        number=(deployment.amendments.aggregate(last=Max("number"))["last"] or 0) + 1,
        reason=reason.strip(),
        before=told.before,
        bindings=told.after,
        consumers=told.consumers,
        changes=as_plain(told.changes),
        requirements=as_plain(requirements(told.changes, rules.amendments)),
        proposed_by=actor.user,
        expires_at=timezone.now() + timedelta(days=rules.expires_after_days),
    )
    _record("amendment.proposed", amendment, handoff, actor, reason, changes=amendment.changes)
    return amendment


@act
def sign(
    *,
    actor: Person,
    amendment_id: UUID | str,
    requirement: str,
    decision: str,
    meaning: str,
    seen: str,
    reauthentication: str,
    comment: str = "",
) -> AmendmentSignOff:
    """Record a person's decision on exactly the amendment they saw; the last signature that is missing orders the work.

    `seen` is the digest of what was shown; it covers the bindings in force, too. One refusal ends the amendment. Raises
    Hidden, WrongState, WrongRole, StaleView, AlreadySigned, Invalid, NotConfirmed, KeyMissing or
    KeyRetired; then nothing has changed.
    """
    if not isinstance(actor, Person) or not actor.user.is_person:
        raise Forbidden("Only a natural person signs.", code="person_required")
    amendment, handoff, known = _lock_amendment(actor, amendment_id)
    rule = next((one for one in amendment.requirements if one["key"] == requirement), None)
    if rule is None:
        raise Hidden("The amendment asks for no such signature.", code="requirement_unknown")
    _check_open(amendment)
    _not_suspended(amendment.deployment)
    if not known.holds(actor.user_id, rule["role"]):
        who = ", ".join(known.facts.holders.get(rule["role"], {}).values()) or "nobody yet"
        raise WrongRole(f"Only {Role(rule['role']).label} may sign this.", todo=f"Those who hold the role: {who}.")
    scope = scope_now(amendment, handoff)
    _check_seen(amendment, scope, seen)
    signed = given(amendment)
    if mine := signed_already(signed, known.facts.chain, rule["role"], actor.user_id):
        raise AlreadySigned(mine, todo="One person, their other accounts and their delegates sign once.")
    if any(one.requirement == requirement for one in signed):
        raise AlreadySigned("Somebody has signed in this role already.", todo="Nobody needs to sign in it again.")
    _check_decision(rule, decision, meaning, comment)
    proof = use_up(reauthentication, actor, by_key=True)
    answer = Answer(rule["key"], rule["role"], decision, rule["meaning"], comment)
    signoff = _write(amendment, handoff, known, answer, scope, actor, proof)
    _settle(amendment, handoff, signoff, actor)
    return signoff


@act
def withdraw(*, actor: Person | ServiceAccount, amendment_id: UUID | str, reason: str) -> Amendment:
    """Withdraw one's own proposal before it is applied. Raises Hidden, Forbidden, WrongState or Invalid."""
    amendment, handoff, _ = _lock_amendment(actor, amendment_id)
    own = actor.user.is_person and actor.user.natural_person_id == amendment.proposed_by.natural_person_id
    if not own and amendment.proposed_by_id != actor.user_id:
        raise Forbidden("Only who proposed an amendment withdraws it.", code="not_the_proposer")
    _check_open(amendment)
    if not reason.strip():
        raise Invalid("Say why you withdraw it.", fields={"reason": "is empty"})
    end_amendment(amendment, handoff, AmendmentState.WITHDRAWN, reason.strip(), actor=actor)
    return amendment


@act
def expire(*, actor: Actor, amendment_id: UUID | str) -> Amendment | None:
    """End a proposal whose time ran out, or whose deployment is not live any more; None if that is not so."""
    found = Amendment.objects.select_related("deployment").get(pk=amendment_id)
    handoff = Handoff.objects.select_for_update(of=("self",)).get(pk=found.deployment.handoff_id)
    amendment = Amendment.objects.select_related("deployment").get(pk=amendment_id)
    late = amendment.expires_at <= timezone.now()
    live = amendment.deployment.state == DeploymentState.LIVE
    if amendment.state != AmendmentState.PROPOSED or (live and not late):
        return None
    because = "nobody finished it in time" if live else f"the deployment is {amendment.deployment.get_state_display()}"
    end_amendment(amendment, handoff, AmendmentState.EXPIRED, because, actor=actor)
    return amendment


def over() -> list[UUID]:
    """Return the proposals whose time ran out, or whose deployment is not live any more."""
    open_ = Amendment.objects.filter(state=AmendmentState.PROPOSED)
    late = open_.filter(expires_at__lte=timezone.now())
    ended = open_.exclude(deployment__state=DeploymentState.LIVE)
    return list((late | ended).values_list("pk", flat=True))


def _lock(actor: Actor, deployment_id: UUID | str) -> tuple[Deployment, Handoff, Known]:
    """Lock the handoff of a deployment that the actor may know of. Raises Hidden."""
    found = Deployment.objects.filter(pk=deployment_id).first()
    if found is None:
        raise Hidden("There is no such deployment.")
    try:
        handoff, known = lock_handoff(actor, found.handoff_id)
    except Hidden:
        raise Hidden("There is no such deployment.") from None
    return Deployment.objects.get(pk=found.pk), handoff, known


def _lock_amendment(actor: Actor, amendment_id: UUID | str) -> tuple[Amendment, Handoff, Known]:
    """Return an amendment that the actor may know of, behind the lock of its handoff. Raises Hidden."""
    found = Amendment.objects.select_related("deployment").filter(pk=amendment_id).first()
    if found is None:
        raise Hidden("There is no such amendment.")
    try:
        handoff, known = lock_handoff(actor, found.deployment.handoff_id)
    except Hidden:
        raise Hidden("There is no such amendment.") from None
    return Amendment.objects.select_related("deployment__version").get(pk=found.pk), handoff, known


def _check_open(amendment: Amendment) -> None:
    """Refuse what takes no signature any more. Raises WrongState."""
    if amendment.state != AmendmentState.PROPOSED:
        raise WrongState(f"The amendment is {amendment.get_state_display()}.", code="amendment_over")
    if amendment.deployment.state != DeploymentState.LIVE:
        state = amendment.deployment.get_state_display()
        raise WrongState(f"The deployment is {state} now, and not amended any more.", code="not_live")
    if amendment.expires_at <= timezone.now():
        raise WrongState("The time of this proposal has run out.", code="offer_expired", todo="Propose it anew.")
    if amendment.deployment.amendments.filter(state=AmendmentState.APPLYING).exists():
        raise WrongState(
            "Another amendment of this deployment is being applied.",
            code="under_way",
            todo="Wait for the worker to end, then look at what is in force.",
        )


def _not_suspended(deployment: Deployment) -> None:
    """Refuse to change how a version is connected while it is suspended. Raises WrongState."""
    suspension = suspension_of(deployment)
    if suspension is not None:
        raise WrongState(
            f"The deployment is suspended by {suspension.by}: {suspension.reason}",
            code="suspended",
            todo="IT operations lifts the suspension first; then it may be amended.",
        )


def _check_seen(amendment: Amendment, scope: Mapping[str, str], seen: str) -> None:
    """Refuse a signature over something that is not what is there now. Raises StaleView or WrongState."""
    if digest(scope) != seen:
        raise StaleView(
            "What you are about to sign changed after it was shown to you.",
            todo="Read it again, then sign what is there now.",
        )
    if scope["before"] != digest(amendment.before):
        raise WrongState(
            "Another amendment was applied since this one was proposed.",
            code="amendment_outdated",
            todo="Propose it anew, from the bindings that are in force now.",
        )


def _check_decision(rule: Mapping[str, str], decision: str, meaning: str, comment: str) -> None:
    if decision not in Decision.values:
        raise Invalid("Approve or refuse.", fields={"decision": "must be approve or refuse"})
    if meaning != rule["meaning"]:
        raise Invalid("Choose what your signature means.", fields={"meaning": f"must be {rule['meaning']}"})
    if decision == Decision.REFUSE and not comment.strip():
        raise Invalid("Say why you refuse.", fields={"comment": "is empty"})


def _write(
    amendment: Amendment,
    handoff: Handoff,
    known: Known,
    answer: Answer,
    scope: dict[str, str],
    actor: Person,
    proof: Proof,
) -> AmendmentSignOff:
    """Write the signature, and put it on the trail."""
    about = {"handoff": str(handoff.pk), "amendment": str(amendment.pk)}
    version = amendment.deployment.digest
    columns = signed_columns(
        about, answer, scope, actor=actor, known=known, proof=proof, version=version, kind=OF_AMENDMENT
    )
    signoff = AmendmentSignOff.objects.create(amendment=amendment, **columns)
    signoff.printed_name = known.facts.chain.printed_name(answer.role, actor.user_id, actor.label)  # as it is read
    told = {"role": answer.role, "meaning": answer.meaning, "decision": answer.decision, "key": signoff.key_id}
    told |= {"scope": signoff.scope_digest, "statement": signoff.statement_digest}
    told |= told_for(signoff.statement)
    _record("amendment.signed", amendment, handoff, actor, answer.comment, **told)
    return signoff


def _settle(amendment: Amendment, handoff: Handoff, signoff: AmendmentSignOff, actor: Person) -> None:
    """End the amendment after a refusal; order the work when nobody is missing any more."""
    if signoff.decision == Decision.REFUSE:
        end_amendment(amendment, handoff, AmendmentState.REFUSED, signoff.comment, actor=actor)
        return
    signed = set(amendment.signoffs.filter(decision=Decision.APPROVE).values_list("requirement", flat=True))
    if {one["key"] for one in amendment.requirements} - signed:
        return
    purpose = f"amend:{amendment.deployment.order}:{amendment.number}"
    amendment.job = queue.enqueue(handoff, gate="live", task=queue.AMEND, purposes=[purpose])[0]
    amendment.state = AmendmentState.APPLYING
    amendment.save(update_fields=["job", "state"])
    record("job.queued", actor=actor, on=amendment.job, chain=chain_of(handoff), data={"purpose": purpose})


def _record(action: str, about: Amendment, handoff: Handoff, actor: Actor, reason: str, **data: Any) -> None:
    told = {"number": about.number, **data}
    record(action, actor=actor, on=about, chain=chain_of(handoff), data=told, reason=reason)
