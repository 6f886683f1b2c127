"""Sign, ask for changes, refuse, withdraw and revoke. The last signature of a gate opens it in the same transaction."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from django.utils import timezone

from audit.actors import Person
from audit.acts import act
from audit.trail import record
from engine.fault_points import fault_point
from handoff.access import lock_handoff
from handoff.confirmations import Proof, use_up
from handoff.errors import (
    AlreadySigned,
    Conflict,
    Forbidden,
    GateShut,
    Hidden,
    Invalid,
    StaleView,
    WrongRole,
    WrongState,
)
from handoff.facts import Known, known_of, rules_of
from handoff.models import Condition, Handoff, Return, SignOff
from handoff.moves import chain_of
from handoff.opening import settle
from handoff.promises import Promised, promises
from handoff.rules.approvals import answered_anew, changed_in, taken_now
from handoff.rules.consumers import label_of
from handoff.rules.duties import conflicts
from handoff.rules.gates import APPROVALS, SignOffFact, before_approval, evaluate, seat_of
from handoff.rules.lapses import asked_again, lapse
from handoff.rules.policies import SignOffRule
from handoff.rules.scopes import digest, in_words, scope_for
from handoff.statements import Answer, signed_columns, told_for
from handoff.states import GATE_OF, State
from handoff.suspending import passed_by, settle_approvals
from handoff.voiding import void

EXPIRES = (State.IN_REVIEW, State.TESTING, State.READY)
TOLD_AS = {"changes": "signoff.changes_requested", "refuse": "signoff.refused"}


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
    conditions: Sequence[Mapping[str, Any]] = (),
) -> SignOff:
    """Record a person's decision on exactly what they saw, and move the handoff on.

    `seen` is the digest of the scope that was shown; `reauthentication` the key of an unused confirmation of the
    signer. An approval that meets the gate's last requirement opens it; a conditional one counts until one of its
    `conditions` ({"text", "due", "owner"}) is overdue. Asking for changes keeps the gate shut until the same person
    answers again. A refusal returns the handoff to data science with `reasons`. Behind a gate that has opened an
    approval is taken where one is missing again. Raises Hidden, WrongState, WrongRole, Conflict, StaleView,
    AlreadySigned, Invalid, GateShut, NotConfirmed, or KeyMissing or KeyRetired where the site cannot sign; then nothing
    has changed, and the confirmation can be used again.
    """
    if not isinstance(actor, Person) or not actor.user.is_person:
        raise Forbidden("Only a natural person signs.", code="person_required")
    handoff, known = lock_handoff(actor, handoff_id, parts=())
    gate, rule = _requirement(handoff, known, requirement)
    role = _seat(actor, known, gate, rule)
    scope = scope_for(gate, known.facts.parts, role)
    if digest(scope) != seen:
        raise StaleView(
            "What you are about to sign changed after it was shown to you.",
            todo="Read it again, then sign what is there now.",
        )
    _check_decision(rule, decision, meaning, comment, reasons)
    _check_gate(gate, handoff, known, decision, rule)
    promised = promises(actor, known, decision, conditions)
    known = _answering_anew(handoff, known, gate, rule, role, decision, actor)
    proof = use_up(reauthentication, actor, by_key=True)
    answer = Answer(rule.key, role, decision, meaning, comment)
    signoff = _write(handoff, known, gate, answer, scope, actor, proof, promised)
    settle(handoff, known, signoff, reasons, retests, actor=actor)
    fault_point("signoff.written")
    return signoff


def _requirement(handoff: Handoff, known: Known, key: str) -> tuple[str, SignOffRule]:
    state, passed = State(handoff.state), passed_by(handoff)
    gate = GATE_OF.get(state, "")
    if state in EXPIRES and handoff.expires_at is not None and handoff.expires_at <= timezone.now():
        raise WrongState(
            "The time of this offer has run out.", code="offer_expired", todo="Draft a new handoff of the same version."
        )
    taken = taken_now(rules_of(handoff), known.facts, gate, passed) if gate or passed else {}
    if key in taken:
        return taken[key]
    if not gate:
        raise WrongState(f"A handoff that is {state.label} takes no such signature now.")
    raise Hidden(f"The {gate} gate asks for no such signature.", code="requirement_unknown")


def _answering_anew(
    handoff: Handoff, known: Known, gate: str, rule: SignOffRule, role: str, decision: str, actor: Person
) -> Known:
    """End earlier answers of the same natural persons at this gate: only their last one counts. Raises AlreadySigned.

    A delegate answers in the place of the delegator, and the delegator in that of the delegate, also once that has
    ended. The same approval is given once, unless it has run out, hangs on a condition that is overdue, or covers what
    has changed since.
    """
    chain, now = known.facts.chain, known.facts.now
    mine = chain.seat(role, actor.user_id)
    earlier = [s for s in known.facts.signoffs if s.gate == gate and chain.people(s.person, s.behalf) & mine]
    for signoff in earlier:
        if not answered_anew(signoff, rule, decision, known.facts):
            raise _already_signed(signoff, actor)
    for signoff in earlier:
        lapsed = lapse(signoff, rule.valid_days, now)
        ending = SignOff.Ending.EXPIRED if lapsed.startswith("ran out") else SignOff.Ending.ANSWERED_ANEW
        who = "the signer" if signoff.person == actor.user_id else "another in the same seat"
        again = asked_again(signoff, now)
        because = lapsed or f"answered anew by {who}" + (f", for {again.because}" if again else "")
        if changed := changed_in(signoff, known.facts):
            ending, because = SignOff.Ending.CHANGED, f"{in_words(changed)} changed after it was given"
        void(handoff, signoff, because, ending, actor=actor)
    others = tuple(s for s in known.facts.signoffs if s not in earlier)
    return replace(known, facts=replace(known.facts, signoffs=others))


def _already_signed(signoff: SignOffFact, actor: Person) -> AlreadySigned:
    if signoff.person == actor.user_id:
        return AlreadySigned("You have signed at this gate already.", todo="Withdraw your sign-off to sign anew.")
    return AlreadySigned(
        f"{signoff.name} has signed at this gate, and that is one person's signature with yours.",
        todo="One person, their other accounts and their delegates sign once at a gate.",
    )


def _seat(actor: Person, known: Known, gate: str, rule: SignOffRule) -> str:
    """Return the role in which the actor signs. Raises WrongRole or Conflict."""
    held = [role for role in rule.roles if known.holds(actor.user_id, role)]
    if not held:
        words = " or ".join(label_of(role) for role in rule.roles)
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
        words = "must be " + ", ".join(SignOff.Decision.values)
        raise Invalid("Approve or refuse.", fields={"decision": words})
    if meaning != rule.meaning:
        raise Invalid("Choose what your signature means.", fields={"meaning": f"must be {rule.meaning}"})
    if decision in APPROVALS:
        return
    if not comment.strip():
        verb = "refuse" if decision == SignOff.Decision.REFUSE else "ask for changes"
        raise Invalid(f"Say why you {verb}.", fields={"comment": "is empty"})
    odd = [reason for reason in reasons if reason not in Return.Reason.values]
    if decision == SignOff.Decision.REFUSE and (odd or not reasons):
        known = ", ".join(Return.Reason.values)
        raise Invalid("Name at least one reason for the return.", fields={"reasons": f"must be among {known}"})


def _check_gate(gate: str, handoff: Handoff, known: Known, decision: str, rule: SignOffRule) -> None:
    """Let nobody sign over questions that are still open, for a later answer would void it; nor before their turn."""
    if decision not in APPROVALS:
        if GATE_OF.get(State(handoff.state)) != gate:
            raise WrongState(
                f"The {gate} gate has opened; it can only be approved anew.",
                code="gate_open",
                todo="Revoke what you signed, or ask IT operations to roll back.",
            )
        return
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


def _write(
    handoff: Handoff,
    known: Known,
    gate: str,
    answer: Answer,
    scope: dict[str, str],
    actor: Person,
    proof: Proof,
    promised: Sequence[Promised],
) -> SignOff:
    """Write the signature with its conditions, and put it on the trail."""
    conditions = {"conditions": [one.told() for one in promised]} if promised else {}
    about = {"handoff": str(handoff.pk), "gate": gate, **conditions}
    columns = signed_columns(about, answer, scope, actor=actor, known=known, proof=proof, version=known.facts.version)
    signoff = SignOff.objects.create(handoff=handoff, gate=gate, **columns)
    signoff.printed_name = known.facts.chain.printed_name(answer.role, actor.user_id, actor.label)  # as it is read
    if promised:
        Condition.objects.bulk_create([one.of(signoff, number) for number, one in enumerate(promised, 1)])
    record(
        TOLD_AS.get(answer.decision, "signoff.given"),
        actor=actor,
        on=signoff,
        chain=chain_of(handoff),
        data={
            "gate": gate,
            "requirement": answer.requirement,
            "role": answer.role,
            "meaning": answer.meaning,
            "scope": signoff.scope_digest,
            "statement": signoff.statement_digest,
            "key": signoff.key_id,
            **conditions,
            **told_for(signoff.statement),
        },
        reason=answer.comment,
    )
    return signoff


@act
def withdraw(*, actor: Person, handoff_id: str, signoff_id: str, reason: str) -> SignOff:
    """Withdraw one's own sign-off while its gate is still shut. It never counts again; the person may sign anew.

    Who delegated the role may withdraw what their delegate signed for them; not the other way round.
    """
    handoff, fact = _own(actor, handoff_id, signoff_id)
    if GATE_OF.get(State(handoff.state), "") != fact.gate:
        raise WrongState(
            "The gate has opened; what it set off is under way.", code="gate_open", todo="Revoke it, if you must."
        )
    if not reason.strip():
        raise Invalid("Say why you withdraw it.", fields={"reason": "is empty"})
    who = "the signer" if fact.person == actor.user_id else "whom it was given for"
    void(handoff, fact, f"withdrawn by {who}: {reason.strip()}", SignOff.Ending.WITHDRAWN, actor=actor)
    return SignOff.objects.get(pk=fact.id)


@act
def revoke(*, actor: Person, handoff_id: str, signoff_id: str, reason: str) -> SignOff:
    """Take back one's own approval after its gate has opened, or what a delegate gave for one, for a reason.

    Nothing is undone by that. No later gate opens, and a finding is raised, which suspends the approval where the
    policy says so, until somebody who may sign has approved anew. Raises Hidden, Forbidden, WrongState or Invalid.
    """
    handoff, fact = _own(actor, handoff_id, signoff_id)
    if fact.gate not in passed_by(handoff):
        raise WrongState(
            "There is nothing to revoke: the gate has not opened, or the handoff has ended.",
            code="nothing_to_revoke",
            todo="While the gate is shut, withdraw your sign-off instead.",
        )
    if not reason.strip():
        raise Invalid("Say why you revoke it.", fields={"reason": "is empty"})
    void(handoff, fact, f"was revoked: {reason.strip()}", SignOff.Ending.REVOKED, actor=actor)
    settle_approvals(handoff, known_of(handoff), actor=actor)
    return SignOff.objects.get(pk=fact.id)


def _own(actor: Person, handoff_id: str, signoff_id: str) -> tuple[Handoff, SignOffFact]:
    handoff, known = lock_handoff(actor, handoff_id, parts=())
    fact = next((s for s in known.facts.signoffs if s.id == str(signoff_id)), None)
    if fact is None:
        raise Hidden("There is no such sign-off, or it does not count any more.")
    if not known.facts.chain.takes_back(actor.user_id, fact.person, fact.behalf):
        raise Forbidden(
            "Only the signer takes a sign-off back, or whom they signed for.",
            code="not_the_signer",
        )
    return handoff, fact
