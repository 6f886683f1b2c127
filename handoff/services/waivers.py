"""Ask for waivers, answer, withdraw and revoke them, and suspend what was live with one that ended."""

from datetime import date, timedelta
from typing import Any
from uuid import UUID

from django.db import IntegrityError, transaction
from django.db.models import QuerySet
from django.utils import timezone

from audit.actors import Actor, Person, ServiceAccount, Worker
from audit.acts import act
from audit.trail import record
from handoff.access import lock_handoff, require_role
from handoff.errors import Conflict, Forbidden, Hidden, Invalid, WrongRole, WrongState
from handoff.facts import Known, known_of, rules_of
from handoff.models import Finding, Handoff, Waiver
from handoff.moves import chain_of
from handoff.raising import Wrong, reconcile, standing
from handoff.rules.duties import conflicts
from handoff.rules.gates import Facts, evaluate
from handoff.rules.policies import GATES, PolicyRules
from handoff.rules.waivers import WaiverRules
from handoff.states import GATE_OF, State
from handoff.voiding import void_touched

Answer = Waiver.Answer
LONGEST_TEXT = 5000
TESTED_IN = (State.IN_REVIEW, State.TESTING)


@act
def ask(
    *,
    actor: Person | ServiceAccount,
    handoff_id: UUID | str,
    kind: str,
    requirement: str,
    reason: str,
    control: str,
    until: date,
) -> Waiver:
    """Ask to let a handoff go on without one checklist item of the gate under way, or one promotion test, until a day.

    `control` is what makes up for it meanwhile. On a live model only what was waived before can be asked for again.
    Raises Hidden, WrongState (also where the policy allows no waivers, or somebody asks already) or Invalid.
    """
    handoff, known = lock_handoff(actor, handoff_id)
    allowed = _allowed(handoff)
    _can_be_waived(handoff, known, kind, requirement)
    told = {"reason": reason.strip(), "control": control.strip()}
    for field, text in told.items():
        if not text or len(text) > LONGEST_TEXT:
            words = "is empty" if not text else f"has more than {LONGEST_TEXT} characters"
            raise Invalid("Say why, and what makes up for it meanwhile.", fields={field: words})
    today = timezone.localdate()
    if not today <= until <= today + timedelta(days=allowed.max_days):
        words = f"must be from today to {today + timedelta(days=allowed.max_days)}"
        raise Invalid(f"The policy allows waivers for {allowed.max_days} days.", fields={"until": words})
    try:
        with transaction.atomic():
            made = Waiver.objects.create(
                handoff=handoff, kind=kind, requirement=requirement, until=until, asked_by=actor.user, **told
            )
    except IntegrityError as error:
        raise WrongState("Somebody asks for this waiver already.", code="waiver_open") from error
    _record("waiver.asked", actor, made, {"until": until.isoformat(), "control": made.control}, made.reason)
    return made


@act
def answer(*, actor: Person, handoff_id: UUID | str, waiver_id: UUID | str, answer: str, comment: str = "") -> Waiver:
    """Approve an open request, or refuse it with a comment; once, in the role that the policy names.

    Nobody answers what they asked for, or what they have a conflict in. What was signed before is voided where the
    waiver changes it. Raises Hidden, Forbidden, Conflict, WrongState or Invalid.
    """
    handoff, known, found = _lock(actor, handoff_id, waiver_id)
    allowed = _must_approve(handoff, known, actor, "answer for waivers")
    _still_open(found)
    _no_conflict(actor, known, found, allowed)
    if answer not in (Answer.APPROVED, Answer.REFUSED):
        raise Invalid("A waiver is approved or refused.", fields={"answer": "must be approved or refused"})
    comment = comment.strip()
    if answer == Answer.REFUSED and not comment:
        raise Invalid("Say why it is refused.", fields={"comment": "is empty"})
    if answer == Answer.APPROVED:
        _can_be_waived(handoff, known, found.kind, found.requirement)
        if found.until < timezone.localdate():
            raise WrongState("Its last day has gone; ask anew.", code="waiver_over")
    _answered(found, actor, Answer(answer), comment)
    _record(f"waiver.{answer}", actor, found, {"until": found.until.isoformat()}, comment)
    if handoff.state != State.LIVE:
        void_touched(handoff, known_of(handoff), actor=actor)
    _look(handoff, actor=actor)
    return found


@act
def withdraw(*, actor: Person, handoff_id: UUID | str, waiver_id: UUID | str, reason: str = "") -> Waiver:
    """Take an open request back. Only the person who asked may, or who answers for the service account that did."""
    _, _, found = _lock(actor, handoff_id, waiver_id)
    if actor.user.natural_person_id != found.asked_by.natural_person_id:
        raise Forbidden("Only who asked takes a request back.", code="not_the_asker")
    _still_open(found)
    _answered(found, actor, Answer.WITHDRAWN, reason.strip()[:LONGEST_TEXT])
    _record("waiver.withdrawn", actor, found, {}, reason.strip())
    return found


@act
def revoke(*, actor: Person, handoff_id: UUID | str, waiver_id: UUID | str, reason: str) -> Waiver:
    """End an approved waiver before its day. Its gate shuts again; a live approval that needs it is suspended."""
    handoff, known, found = _lock(actor, handoff_id, waiver_id)
    _must_approve(handoff, known, actor, "revoke a waiver")
    if found.state != Answer.APPROVED:
        raise WrongState(f"A waiver that is {found.state} cannot be revoked.", code="waiver_over")
    if not reason.strip():
        raise Invalid("Say why it is revoked.", fields={"reason": "is empty"})
    found.revoked_by, found.revoked_at = actor.user, timezone.now()
    found.revocation = reason.strip()[:LONGEST_TEXT]
    found.save(update_fields=["revoked_by", "revoked_at", "revocation"])
    _record("waiver.revoked", actor, found, {}, found.revocation)
    _look(handoff, actor=actor)
    return found


def watched() -> QuerySet[Handoff]:
    """Return the live handoffs that had a waiver."""
    return Handoff.objects.filter(state=State.LIVE, waivers__answer=Answer.APPROVED).distinct().order_by("pk")


def look(*, actor: Worker, handoff_id: UUID | str) -> None:
    """Suspend a live approval whose waiver ended and whose requirement is not met; end that when it is renewed."""
    handoff = watched().filter(pk=handoff_id).first()
    if handoff is not None and _lapsed(handoff).keys() != standing(handoff, Finding.Kind.WAIVER).keys():
        _look_locked(actor=actor, handoff_id=handoff_id)


@act
def _look_locked(*, actor: Worker, handoff_id: UUID | str) -> None:
    _look(Handoff.objects.select_for_update().get(pk=handoff_id), actor=actor)


def _look(handoff: Handoff, *, actor: Actor) -> None:
    """Compare the findings of a locked handoff with the waivers that it lacks."""
    reconcile(handoff, Finding.Kind.WAIVER, _lapsed(handoff), actor=actor)


def _lapsed(handoff: Handoff) -> dict[str, Wrong]:
    """Return the requirements of a live handoff that were waived, are not any more, and are still not met."""
    if handoff.state != State.LIVE:
        return {}
    facts, rules = known_of(handoff).facts, rules_of(handoff)
    over = {key for key, waiver in facts.waivers.items() if not waiver.counts}
    if not over:
        return {}
    unmet = {f"{_kind(r.kind)}:{r.key}": r for name in GATES for r in evaluate(name, rules.timeless(), facts).missing}
    asked = {f"{one.kind}:{one.requirement}": one.asked_by for one in handoff.waivers.select_related("asked_by")}
    found = {}
    for key in sorted(over & unmet.keys()):
        who = asked[key]
        sentence = f"The waiver of '{unmet[key].title}' has ended, and the requirement is not met: {unmet[key].why}."
        owner = who if who.is_person else who.responsible
        found[f"waiver:{key}"] = Wrong(sentence, Finding.Severity.HIGH, owner, suspends=True)
    return found


def _kind(requirement: str) -> str:
    return "test" if requirement == "test" else "item"


def _allowed(handoff: Handoff) -> WaiverRules:
    rules = rules_of(handoff).waivers if handoff.policy else WaiverRules()
    if not rules.approver:
        raise WrongState(
            "The policy of this handoff allows no waivers.",
            code="waivers_not_allowed",
            todo="Meet the requirement, or withdraw and offer again under a policy that allows them.",
        )
    return rules


def _must_approve(handoff: Handoff, known: Known, actor: Person, act: str) -> WaiverRules:
    """Let a holder of the approver's role pass; where the policy names none, nobody does."""
    rules = rules_of(handoff).waivers if handoff.policy else WaiverRules()
    if not rules.approver:
        raise WrongRole("The policy of this handoff names no role that answers for waivers.")
    require_role(actor, known, rules.approver, act)
    return rules


def _can_be_waived(handoff: Handoff, known: Known, kind: str, requirement: str) -> None:
    """Refuse what is no item of the gate under way, and no promotion test that is still to decide."""
    rules, state = rules_of(handoff), State(handoff.state)
    if kind not in Waiver.Kind.values:
        raise Invalid("Name an item or a test.", fields={"kind": "must be item or test"})
    if state == State.LIVE:
        if f"{kind}:{requirement}" not in known.facts.waivers:
            raise WrongState("On a live model only what was waived before can be waived again.", code="waiver_too_late")
        return
    if kind == Waiver.Kind.TEST and state in TESTED_IN:
        known_keys: tuple[str, ...] = rules.tests
    elif kind == Waiver.Kind.ITEM and state in GATE_OF:
        known_keys = _items(rules, GATE_OF[state], known.facts)
    else:
        raise WrongState(f"A handoff that is {state.label} takes no waivers of that kind.", code="waiver_too_late")
    if requirement not in known_keys:
        words = "must be one of " + ", ".join(known_keys)
        raise Invalid("There is no such requirement now.", fields={"requirement": words})


def _items(rules: PolicyRules, gate: str, facts: Facts) -> tuple[str, ...]:
    found = evaluate(gate, rules, facts).requirements
    return tuple(one.key for one in found if one.kind in ("answer", "fact"))


def _lock(actor: Person, handoff_id: UUID | str, waiver_id: UUID | str) -> tuple[Handoff, Known, Waiver]:
    if not actor.user.is_person:
        raise Forbidden("Only a natural person answers for a waiver.", code="person_required")
    handoff, known = lock_handoff(actor, handoff_id)
    rows = Waiver.objects.select_for_update(of=("self",)).select_related("asked_by__responsible")
    found = rows.filter(handoff=handoff, pk=waiver_id).first()
    if found is None:
        raise Hidden("There is no such waiver.")
    found.handoff = handoff
    return handoff, known, found


def _still_open(found: Waiver) -> None:
    if found.answer:
        raise WrongState(
            f"The request was {found.get_answer_display()} already.",
            code="waiver_over",
            todo="An answer is given once; ask anew for another one.",
        )


def _no_conflict(actor: Person, known: Known, found: Waiver, allowed: WaiverRules) -> None:
    chain = known.facts.chain
    if found.asked_by.natural_person_id in chain.seat(allowed.approver, actor.user_id):
        raise Conflict(
            "You asked for this waiver yourself, or a service account of yours did, or whom you stand in for.",
            todo="Another answers.",
        )
    barred = conflicts(known.facts.chain, person=actor.user.pk, role=allowed.approver)
    if barred:
        raise Conflict(
            "You may not answer here: you " + ", and ".join(barred) + ".",
            todo="Somebody else who holds the role must. Rank makes no exception.",
        )


def _answered(found: Waiver, actor: Person, given: Waiver.Answer, comment: str) -> None:
    found.answer, found.comment = given, comment
    found.answered_by, found.answered_at = actor.user, timezone.now()
    found.save(update_fields=["answer", "comment", "answered_by", "answered_at"])


def _record(action: str, actor: Actor, waiver: Waiver, told: dict[str, Any], reason: str) -> None:
    about = {"waiver": str(waiver.pk), "kind": waiver.kind, "requirement": waiver.requirement}
    record(action, actor=actor, on=waiver.handoff, chain=chain_of(waiver.handoff), data=about | told, reason=reason)
