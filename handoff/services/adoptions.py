"""Let a handoff in review adopt the policies that are published now: an explicit act, signed by somebody who may."""

from hashlib import sha256
from uuid import UUID, uuid4

from audit.actors import Person
from audit.acts import act
from audit.trail import record
from handoff.access import lock_handoff
from handoff.confirmations import Proof, use_up
from handoff.errors import Conflict, Forbidden, Invalid, NotReady, StaleView, WrongRole, WrongState
from handoff.facts import Known, known_of
from handoff.models import Adoption, Handoff
from handoff.moves import chain_of
from handoff.readiness import Adoptable, adoptable, barred_from_adopting
from handoff.rules.statements import KIND, OF_ADOPTION, stated
from handoff.statements import signer_of
from handoff.states import State
from handoff.voiding import void_touched
from models_registry.roles import Role


@act
def adopt(*, actor: Person, handoff_id: UUID | str, seen: str, reason: str, reauthentication: str) -> Adoption:
    """Freeze the policies that apply now into a handoff in review, in place of those of its offer.

    `seen` is the digest of what was shown; `reauthentication` the key of an unused confirmation. A validator or risk
    and compliance may, if they have no conflict, do not own the model and administer nothing. It voids exactly the
    sign-offs that cover what changes: the policy, and the difference report under it. Raises Hidden, WrongRole,
    Conflict, WrongState, NotReady, StaleView, Invalid or NotConfirmed; then nothing has changed.
    """
    if not isinstance(actor, Person) or not actor.user.is_person:
        raise Forbidden("Only a natural person signs.", code="person_required")
    handoff, known = lock_handoff(actor, handoff_id)
    role = _role(actor, known)
    if handoff.state != State.IN_REVIEW:
        raise WrongState(
            f"A handoff that is {State(handoff.state).label} adopts no policy.",
            code="not_in_review",
            todo="Withdraw it, and offer the version again.",
        )
    found = adoptable(handoff, known)
    if found is None:
        raise WrongState("It has the policies that are published now.", code="already_adopted")
    if found.offer.missing:
        raise NotReady(
            "The handoff lacks what these policies ask of an offer: " + "; ".join(found.offer.missing.values()),
            todo="Supply what is listed, or withdraw the handoff and offer a new version.",
            fields=found.offer.missing,
        )
    if found.seen != seen:
        raise StaleView("What would be adopted changed after it was shown to you.", todo="Read it again.")
    if not reason.strip():
        raise Invalid("Say why it adopts them.", fields={"reason": "is empty"})
    proof = use_up(reauthentication, actor)
    adoption = _write(handoff, known, found, role, actor, reason.strip(), proof)
    _freeze(handoff, found)
    void_touched(handoff, known_of(handoff), actor=actor)
    return adoption


def _role(actor: Person, known: Known) -> str:
    held = [role for role in (Role.VALIDATOR, Role.RISK_COMPLIANCE) if known.holds(actor.user_id, role)]
    if not held:
        names = {**known.facts.holders.get("validator", {}), **known.facts.holders.get("risk_compliance", {})}
        raise WrongRole(
            "Only a validator, or risk and compliance, lets a handoff adopt a policy.",
            todo=f"Those who hold the roles: {', '.join(names.values()) or 'nobody yet'}.",
        )
    barred = barred_from_adopting(actor.user, known)
    if barred:
        raise Conflict(
            "You may not let it adopt a policy: you " + ", and ".join(barred) + ".",
            todo="Somebody else who holds the role must do it. Rank makes no exception.",
        )
    return str(held[0])


def _write(
    handoff: Handoff, known: Known, found: Adoptable, role: str, actor: Person, reason: str, proof: Proof
) -> Adoption:
    """Write who adopted what, with the statement that the site signs."""
    key, signer = uuid4(), signer_of(actor, role, known)
    predicate = {
        "adoption": str(key),
        "handoff": str(handoff.pk),
        "from": {"policy": handoff.policy_digest, "report": handoff.report_digest},
        "to": {"policy": found.digest, "report": found.offer.report_digest},
        "role": role,
        "person": signer.person,
        "reason": reason,
        "confirmed": {"method": proof.method, "id": proof.reauthentication},
        "signed_at": proof.at.isoformat(),
        "previous_event": known.head,
    }
    body = stated(predicate, version=known.facts.version, kind=OF_ADOPTION)
    adoption = Adoption.objects.create(
        pk=key,
        handoff=handoff,
        before={"policy": handoff.policy, "report": handoff.report},
        from_digest=handoff.policy_digest,
        to_digest=found.digest,
        role=role,
        adopted_by=actor.user,
        printed_name=signer.person["printed_name"],
        reason=reason,
        statement=body.decode(),
        statement_digest=sha256(body).hexdigest(),
        key_id=proof.key.id,
        signature=proof.key.sign(KIND, body),
        reauthentication_id=proof.reauthentication,
    )
    adoption.printed_name = signer.printed_name  # as it is read
    record(
        "policy.adopted",
        actor=actor,
        on=adoption,
        chain=chain_of(handoff),
        data={
            "policy": " + ".join(f"{one.policy.slug} r{one.number}" for one in found.offer.revisions),
            "from": handoff.policy_digest,
            "to": found.digest,
            "statement": adoption.statement_digest,
            "key": adoption.key_id,
        },
        reason=reason,
    )
    return adoption


def _freeze(handoff: Handoff, found: Adoptable) -> None:
    """Take over what was adopted, in one statement, so that no reader sees half of it."""
    handoff.policy_revision = found.offer.revisions[0]
    handoff.policy, handoff.policy_digest = found.offer.policy, found.digest
    handoff.report, handoff.report_digest = found.offer.report, found.offer.report_digest
    handoff.expires_at = found.expires_at
    handoff.save(update_fields=["policy_revision", "policy", "policy_digest", "report", "report_digest", "expires_at"])
