"""Sign, refuse and withdraw. The last signature of a gate opens it, and writes the work in the same transaction."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from hashlib import sha256
from uuid import uuid4

from django.db import connection
from django.utils import timezone

from audit import signing
from audit.actors import Person
from audit.acts import act
from audit.trail import record
from handoff import queue
from handoff.access import lock_handoff
from handoff.decisions import keep
from handoff.errors import (
    AlreadySigned,
    Conflict,
    Forbidden,
    GateShut,
    Hidden,
    Invalid,
    NotConfirmed,
    StaleView,
    WrongRole,
    WrongState,
)
from handoff.facts import Known, rules_of
from handoff.models import Handoff, Return, SignOff
from handoff.moves import chain_of, move
from handoff.outcomes import release
from handoff.rules.duties import conflicts
from handoff.rules.gates import GateResult, SignOffFact, before_approval, evaluate, seat_of, waits_for_its_time
from handoff.rules.policies import SignOffRule
from handoff.rules.scopes import digest, scope_for
from handoff.rules.statements import KIND, stated
from handoff.states import GATE_OF, State
from handoff.voiding import void
from models_registry.roles import Role

# Whether the key may sign comes along: one statement less, and read as late as can be.
USE_UP = """
    UPDATE handoff_reauthentication SET used_at = clock_timestamp()
     WHERE id = %s AND person_id = %s AND used_at IS NULL AND expires_at > clock_timestamp()
 RETURNING used_at, method, (SELECT k.retired_at IS NULL FROM audit_signingkey k WHERE k.id = %s)
"""


@act
def sign(
    *,
    actor: Person,
    handoff_id: str,
    requirement: str,
    decision: str,
    meaning: str,
    seen: str,
    reauthentication: str,
    comment: str = "",
    reasons: Sequence[str] = (),
    retests: Sequence[str] = (),
) -> SignOff:
    """Record a person's decision on exactly what they saw, and move the handoff on.

    `seen` is the digest of the scope that was shown; `reauthentication` the key of an unused confirmation of the
    signer. An approval that meets the gate's last requirement opens it. A refusal returns the handoff to data science
    with `reasons`. Raises Hidden, WrongState, WrongRole, Conflict, StaleView, AlreadySigned, Invalid, GateShut,
    NotConfirmed, or KeyMissing or KeyRetired where the site cannot sign; then nothing has changed, and the confirmation
    can be used again.
    """
    if not isinstance(actor, Person) or not actor.user.is_person:
        raise Forbidden("Only a natural person signs.", code="person_required")
    handoff, known = lock_handoff(actor, handoff_id, parts=())
    gate, rule = _requirement(handoff, requirement)
    role = _seat(actor, known, gate, rule)
    scope = scope_for(gate, known.facts.parts)
    if digest(scope) != seen:
        raise StaleView(
            "What you are about to sign changed after it was shown to you.",
            todo="Read it again, then sign what is there now.",
        )
    if any(s.person == actor.user_id and s.gate == gate for s in known.facts.signoffs):
        raise AlreadySigned("You have signed at this gate already.", todo="Withdraw your sign-off to sign anew.")
    _check_decision(rule, decision, meaning, comment, reasons)
    if decision == SignOff.Decision.APPROVE:
        _check_homework(gate, rule, handoff, known)
    proof = _use_up(reauthentication, actor)
    signoff = _write(handoff, known, gate, rule, role, scope, actor, decision, meaning, comment, proof)
    _settle(handoff, known, gate, signoff, actor, reasons, retests)
    return signoff


def _requirement(handoff: Handoff, key: str) -> tuple[str, SignOffRule]:
    gate = GATE_OF.get(State(handoff.state), "")
    if not gate:
        raise WrongState(f"A handoff that is {State(handoff.state).label} takes no signatures.")
    if gate != "confirm" and handoff.expires_at is not None and handoff.expires_at <= timezone.now():
        raise WrongState(
            "The time of this offer has run out.", code="offer_expired", todo="Draft a new handoff of the same version."
        )
    for rule in rules_of(handoff).gate(gate).signoffs:
        if rule.key == key:
            return gate, rule
    raise Hidden(f"The {gate} gate asks for no such signature.", code="requirement_unknown")


def _seat(actor: Person, known: Known, gate: str, rule: SignOffRule) -> str:
    """Return the role in which the actor signs. Raises WrongRole or Conflict."""
    held = [role for role in rule.roles if known.holds(actor.user_id, role)]
    if not held:
        words = " or ".join(str(Role(role).label) for role in rule.roles)
        names = [name for role in rule.roles for name in known.facts.holders.get(role, {}).values()]
        who = ", ".join(dict.fromkeys(names)) or "nobody yet"
        raise WrongRole(f"Only {words} may sign this.", todo=f"Those who hold the role: {who}.")
    seat = seat_of(gate, rule, known.facts, actor.user_id)
    if not seat:
        found = conflicts(known.facts.chain, person=actor.user_id, role=held[0])
        raise Conflict(
            "You may not approve here: you " + ", and ".join(found) + ".",
            todo="Somebody else who holds the role must sign. Rank makes no exception.",
        )
    return seat


def _check_decision(rule: SignOffRule, decision: str, meaning: str, comment: str, reasons: Sequence[str]) -> None:
    if decision not in SignOff.Decision.values:
        raise Invalid("Approve or refuse.", fields={"decision": "must be approve or refuse"})
    if meaning != rule.meaning:
        raise Invalid("Choose what your signature means.", fields={"meaning": f"must be {rule.meaning}"})
    if decision == SignOff.Decision.APPROVE:
        return
    if not comment.strip():
        raise Invalid("Say why you refuse.", fields={"comment": "is empty"})
    odd = [reason for reason in reasons if reason not in Return.Reason.values]
    if odd or not reasons:
        known = ", ".join(Return.Reason.values)
        raise Invalid("Name at least one reason for the return.", fields={"reasons": f"must be among {known}"})


def _check_homework(gate: str, rule: SignOffRule, handoff: Handoff, known: Known) -> None:
    """Let nobody sign over questions that are still open, for a later answer would void it; nor before their turn."""
    open_ = before_approval(evaluate(gate, rules_of(handoff), known.facts), rule.key)
    if not open_:
        return
    why = {r.key: r.why for r in open_}
    todo = "Those named can clear it: " + ", ".join(dict.fromkeys(who for r in open_ for who in r.who))
    if all(r.kind == "signoff" for r in open_):
        raise GateShut(f"It is not your turn: {open_[0].why}.", code="not_your_turn", todo=todo, fields=why)
    raise GateShut(
        "There is something to do before anybody can approve: " + "; ".join(f"{r.title}: {r.why}" for r in open_),
        code="answers_open",
        todo=todo,
        fields=why,
    )


@dataclass(frozen=True, slots=True)
class _Proof:
    """That the signer has just confirmed who they are, and the key by which the site says so."""

    reauthentication: str
    method: str
    at: datetime
    key: signing.OwnKey


def _use_up(reauthentication: str, actor: Person) -> _Proof:
    key = signing.own_key()
    with connection.cursor() as cursor:
        cursor.execute(USE_UP, [reauthentication, actor.user_id, key.id])
        row = cursor.fetchone()
    if row is None:
        raise NotConfirmed(
            "Confirm who you are again: the confirmation is used up, too old, or not yours.",
            todo="Give your password again; a confirmation is good for one signature within five minutes.",
        )
    at, method, signs = row
    signing.require_signing(key, signs)
    return _Proof(str(reauthentication), method, at, key)


def _write(
    handoff: Handoff,
    known: Known,
    gate: str,
    rule: SignOffRule,
    role: str,
    scope: dict[str, str],
    actor: Person,
    decision: str,
    meaning: str,
    comment: str,
    proof: _Proof,
) -> SignOff:
    """Write the signature with its statement, whose bytes hash to the digest that is shown everywhere."""
    key, scope_digest = uuid4(), digest(scope)
    body = stated(
        {
            "signoff": str(key),
            "handoff": str(handoff.pk),
            "gate": gate,
            "requirement": rule.key,
            "role": role,
            "scope": scope,
            "scope_digest": scope_digest,
            "person": {"account": actor.user_id, "username": actor.user.username, "printed_name": actor.label},
            "decision": decision,
            "meaning": meaning,
            "comment": comment,
            "confirmed": {"method": proof.method, "id": proof.reauthentication},
            "signed_at": proof.at.isoformat(),
            "previous_event": known.head,
        },
        version=known.facts.version,
    )
    signoff = SignOff.objects.create(
        pk=key,
        handoff=handoff,
        gate=gate,
        requirement=rule.key,
        role=role,
        signer=actor.user,
        printed_name=actor.label,
        decision=decision,
        meaning=meaning,
        comment=comment,
        scope=scope,
        scope_digest=scope_digest,
        statement=body.decode(),
        statement_digest=sha256(body).hexdigest(),
        key_id=proof.key.id,
        signature=proof.key.sign(KIND, body),
        reauthentication_id=proof.reauthentication,
        signed_at=proof.at,
    )
    record(
        "signoff.given" if decision == SignOff.Decision.APPROVE else "signoff.refused",
        actor=actor,
        on=signoff,
        chain=chain_of(handoff),
        data={
            "gate": gate,
            "requirement": rule.key,
            "role": role,
            "meaning": meaning,
            "scope": signoff.scope_digest,
            "statement": signoff.statement_digest,
            "key": signoff.key_id,
        },
        reason=comment,
    )
    return signoff


def _settle(
    handoff: Handoff,
    known: Known,
    gate: str,
    signoff: SignOff,
    actor: Person,
    reasons: Sequence[str],
    retests: Sequence[str],
) -> None:
    """Return the handoff after a refusal; open the gate if nothing is missing any more."""
    if signoff.decision == SignOff.Decision.REFUSE:
        _return(handoff, gate, actor, signoff.comment, reasons, retests)
        return
    fact = SignOffFact(
        str(signoff.pk),
        gate,
        signoff.requirement,
        signoff.role,
        actor.user_id,
        actor.label,
        signoff.decision,
        signoff.meaning,
        signoff.scope,
        entitled=True,
    )
    facts = replace(known.facts, signoffs=(*known.facts.signoffs, fact))
    result = evaluate(gate, rules_of(handoff), facts)
    if result.open or waits_for_its_time(result):
        keep(handoff, result, facts, actor=actor)
    if result.open:
        _open(handoff, result, actor)


def _open(handoff: Handoff, result: GateResult, actor: Person) -> None:
    """Move on, and write the work that follows beside the signature that caused it."""
    if result.gate == "release":
        release(handoff, result, actor=actor, because="the release gate opened")
        return
    record(
        "gate.decided",
        actor=actor,
        on=handoff,
        chain=chain_of(handoff),
        data={"gate": result.gate, "open": True, "requirements": [r.key for r in result.requirements]},
    )
    if result.gate == "review":
        kinds = rules_of(handoff).tests
        queue.enqueue(handoff, gate="review", task=queue.RUN_TEST, purposes=[f"test:{kind}" for kind in kinds])
        move(handoff, State.TESTING, actor=actor, because="the review gate opened")
    else:
        queue.enqueue(handoff, gate="confirm", task=queue.CONFIRM, purposes=["confirm"])


def _return(
    handoff: Handoff, gate: str, actor: Person, comment: str, reasons: Sequence[str], retests: Sequence[str]
) -> None:
    Return.objects.create(
        handoff=handoff,
        reasons=list(dict.fromkeys(reasons)),
        comment=comment,
        retests=list(retests),
        returned_by=actor.user,
    )
    record(
        "handoff.returned",
        actor=actor,
        on=handoff,
        chain=chain_of(handoff),
        data={"reasons": list(reasons), "retests": list(retests)},
        reason=comment,
    )
    if gate == "confirm":
        # The target still serves it: a worker swaps back first, and returns the handoff then.
        queue.enqueue(handoff, gate="confirm", task=queue.ROLL_BACK, purposes=["refused"])
        return
    handoff.jobs.filter(state__in=["queued", "running"]).update(state="cancelled", ended_at=timezone.now())
    move(handoff, State.RETURNED, actor=actor, because=comment)


@act
def withdraw(*, actor: Person, handoff_id: str, signoff_id: str, reason: str) -> SignOff:
    """Withdraw one's own sign-off while its gate is still shut. It never counts again; the person may sign anew."""
    handoff, known = lock_handoff(actor, handoff_id, parts=())
    fact = next((s for s in known.facts.signoffs if s.id == str(signoff_id)), None)
    if fact is None:
        raise Hidden("There is no such sign-off, or it does not count any more.")
    if fact.person != actor.user_id:
        raise Forbidden("Only the signer withdraws a sign-off.", code="not_the_signer")
    if GATE_OF.get(State(handoff.state), "") != fact.gate:
        raise WrongState("The gate has opened; what it set off is under way.", code="gate_open")
    if not reason.strip():
        raise Invalid("Say why you withdraw it.", fields={"reason": "is empty"})
    void(handoff, fact, f"withdrawn by the signer: {reason}", actor=actor, action="signoff.withdrawn")
    return SignOff.objects.get(pk=fact.id)
