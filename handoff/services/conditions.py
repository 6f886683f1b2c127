"""Meet the conditions of an approval: show evidence, and have it accepted by the signer's side."""

from django.core.exceptions import ValidationError
from django.core.validators import URLValidator

from audit.actors import Person
from audit.acts import act
from audit.trail import record
from handoff.access import lock_handoff
from handoff.errors import Conflict, Hidden, Invalid, WrongRole, WrongState
from handoff.facts import Known, known_of
from handoff.models import Condition, ConditionStep, Handoff
from handoff.moves import chain_of
from handoff.opening import open_if_met
from handoff.rules.consumers import label_of
from handoff.rules.duties import conflicts
from handoff.suspending import settle_approvals

Kind = ConditionStep.Kind


@act
def report(*, actor: Person, handoff_id: str, condition_id: int, comment: str, link: str) -> ConditionStep:
    """Show that a condition is met, in words and with a link. Its owner may, and the signer's side.

    Raises Hidden, WrongRole, Conflict, WrongState or Invalid.
    """
    handoff, known, condition = _open(actor, handoff_id, condition_id)
    if actor.user_id != condition.owner_id:
        _require_side(actor, known, condition, "show that it is met")
    _require_words(comment, "what was done")
    if not _is_link(link):
        raise Invalid(
            "A condition is met by evidence.",
            code="evidence_missing",
            fields={"link": "must be a link that starts with http or https"},
        )
    return _take(handoff, ConditionStep(condition=condition, kind=Kind.REPORTED, link=link), comment, actor)


@act
def accept(*, actor: Person, handoff_id: str, condition_id: int, comment: str) -> ConditionStep:
    """Accept the evidence: the condition is met. The signer may, or somebody in their role; not who showed it.

    An approval that hung on it counts again, which may open the gate, and the finding about it is closed.
    """
    handoff, known, condition = _judged(actor, handoff_id, condition_id)
    _require_words(comment, "why it is met")
    step = _take(handoff, ConditionStep(condition=condition, kind=Kind.ACCEPTED), comment, actor)
    known = known_of(handoff)
    settle_approvals(handoff, known, actor=actor)
    open_if_met(handoff, known, actor=actor)
    return step


@act
def reject(*, actor: Person, handoff_id: str, condition_id: int, comment: str) -> ConditionStep:
    """Say why the evidence is not enough; the condition stays open. The signer may, or somebody in their role."""
    handoff, _, condition = _judged(actor, handoff_id, condition_id)
    _require_words(comment, "what is missing")
    return _take(handoff, ConditionStep(condition=condition, kind=Kind.REJECTED), comment, actor)


def _open(actor: Person, handoff_id: str, condition_id: int) -> tuple[Handoff, Known, Condition]:
    """Lock the handoff, and return a condition of a sign-off that stands and is not met yet."""
    handoff, known = lock_handoff(actor, handoff_id)
    found = Condition.objects.select_related("signoff").filter(pk=condition_id, signoff__handoff=handoff).first()
    if found is None:
        raise Hidden("There is no such condition.")
    if found.signoff.voided_at is not None or found.steps.filter(kind=Kind.ACCEPTED).exists():
        raise WrongState("The condition is met, or its approval does not stand any more.", code="condition_closed")
    return handoff, known, found


def _judged(actor: Person, handoff_id: str, condition_id: int) -> tuple[Handoff, Known, Condition]:
    handoff, known, condition = _open(actor, handoff_id, condition_id)
    _require_side(actor, known, condition, "judge the evidence")
    last = condition.steps.last()
    if last is None or last.kind != Kind.REPORTED:
        raise WrongState(
            "Nothing shows yet that the condition is met.",
            code="condition_open",
            todo="Its owner shows evidence first.",
        )
    chain = known.facts.chain
    mine = chain.seat(condition.signoff.role, actor.user_id)
    if chain.people(last.taken_by_id) & mine:
        raise Conflict(
            "You showed the evidence, or whom you stand in for did; somebody else judges it.", code="own_evidence"
        )
    return handoff, known, condition


def _require_side(actor: Person, known: Known, condition: Condition, act: str) -> None:
    role = condition.signoff.role
    if not known.holds(actor.user_id, role):
        who = ", ".join(known.facts.holders.get(role, {}).values()) or "nobody yet"
        raise WrongRole(f"Only {label_of(role)} may {act}.", todo=f"Those who hold the role: {who}.")
    found = conflicts(known.facts.chain, person=actor.user_id, role=role)
    if found:
        raise Conflict("You may not judge here: you " + ", and ".join(found) + ".")


def _require_words(comment: str, what: str) -> None:
    if not comment.strip():
        raise Invalid(f"Say {what}.", fields={"comment": "is empty"})


def _is_link(link: str) -> bool:
    try:
        URLValidator(schemes=["http", "https"])(link)
    except ValidationError:
        return False
    return len(link) <= 500


def _take(handoff: Handoff, step: ConditionStep, comment: str, actor: Person) -> ConditionStep:
    step.comment, step.taken_by = comment.strip(), actor.user
    step.save(force_insert=True)
    signoff = step.condition.signoff
    record(
        f"condition.{step.kind}",
        actor=actor,
        on=handoff,
        chain=chain_of(handoff),
        data={
            "signoff": str(signoff.pk),
            "condition": step.condition.number,
            "text": step.condition.text,
            "link": step.link,
        },
        reason=comment.strip(),
    )
    return step
