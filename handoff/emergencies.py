"""Break-glass beside the gates: what it steps over, and how it ends once all have signed or nothing is served."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from django.db.models import Exists, OuterRef, QuerySet
from django.utils import timezone

from audit.actors import Actor
from audit.trail import record
from handoff.facts import Known, rules_of
from handoff.leases import Clock
from handoff.models import BreakGlass, Finding, Handoff
from handoff.models.break_glass import WAITING
from handoff.moves import chain_of
from handoff.raising import Wrong, reconcile
from handoff.rules.break_glass import ROLLBACK, given_by, kinds_of
from handoff.rules.gates import evaluate
from handoff.rules.policies import GATES
from handoff.standing import standing_of
from handoff.states import PASSED, BreakGlassState, State

SERVES = (State.CONFIRMING, State.LIVE)


def stepped_over(handoff: Handoff, known: Known) -> list[dict[str, str]]:
    """Return what a break-glass steps over now at all gates: the missing signatures, and the clock where it may.

    Of a version that was superseded that is all that its approval lacks by now.
    """
    if handoff.state == State.SUPERSEDED:
        return [one.told() for one in standing_of(handoff, known).lacks]
    rules = rules_of(handoff)
    kinds = kinds_of(rules.break_glass)
    return [
        {"gate": gate, "kind": one.kind, "key": one.key, "title": one.title}
        for gate in GATES
        for one in evaluate(gate, rules, known.facts).missing
        if one.kind in kinds
    ]


def unsigned(row: BreakGlass, handoff: Handoff, known: Known, *, signed_by: datetime | None = None) -> list[str]:
    """Return the signatures that are missing at the gates which a break-glass has opened, in words.

    Of a rollback by break-glass that is what the approval lacks. With signatures up to an instant only.
    """
    if row.gate == ROLLBACK:
        return [f"{one.title}: {one.why}" for one in standing_of(handoff, known, signed_by=signed_by).lacks]
    facts = known.facts if signed_by is None else given_by(known.facts, signed_by)
    rules = rules_of(handoff).timeless()
    gates = GATES if handoff.state in PASSED["confirm"] else GATES[:2]
    found = [one for gate in gates for one in evaluate(gate, rules, facts).missing if one.kind == "signoff"]
    return [one.title for one in found]


def in_force(handoff: Handoff) -> BreakGlass | None:
    """Return the break-glass of a locked handoff that was confirmed and whose signatures are still awaited."""
    return handoff.break_glass.filter(state=BreakGlassState.CONFIRMED).first()


def for_rollback(handoff: Handoff) -> BreakGlass | None:
    """Return the break-glass by which one may go back to the version of a handoff now, whatever its approval lacks."""
    rows = handoff.break_glass.filter(state=BreakGlassState.CONFIRMED, gate=ROLLBACK, until__gt=timezone.now())
    return rows.first()


def regularise(handoff: Handoff, known: Known, *, actor: Actor) -> bool:
    """End the break-glass of a locked handoff well if it serves and all signed by the deadline; tell whether it did."""
    row = in_force(handoff) if known.emergency and handoff.state in SERVES else None
    if row is None or row.until is None or unsigned(row, handoff, known, signed_by=row.until):
        return False
    end_break_glass(row, handoff, BreakGlassState.REGULARISED, "all have signed", actor=actor)
    return True


def after_rollback(handoff: Handoff, because: str, *, actor: Actor) -> None:
    """End the break-glass of a locked handoff that serves nothing any more: as rolled back once its time was over."""
    row = handoff.break_glass.filter(state__in=WAITING).first()
    if row is None or row.state == BreakGlassState.ASKED:
        return
    overdue = row.state == BreakGlassState.OVERDUE
    to = BreakGlassState.ROLLED_BACK if overdue else BreakGlassState.ENDED
    end_break_glass(row, handoff, to, because, actor=actor)


def end_break_glass(row: BreakGlass, handoff: Handoff, to: BreakGlassState, because: str, *, actor: Actor) -> None:
    """End a break-glass of a locked handoff in a state that it does not leave any more, and its finding with it."""
    BreakGlass.objects.filter(pk=row.pk).update(state=to, ended_at=Clock(), because=because[:5000])
    row.state = to
    record_break_glass(row, handoff, to.value, actor=actor, reason=because)
    reconcile(handoff, Finding.Kind.BREAK_GLASS, {}, actor=actor)


def record_break_glass(
    row: BreakGlass, handoff: Handoff, what: str, *, actor: Actor, reason: str, data: dict[str, Any] | None = None
) -> None:
    """Record what became of a break-glass in the chain of its handoff."""
    about = {"break_glass": str(row.pk), "incident": row.incident}
    told = about | (data or {})
    record(f"break_glass.{what}", actor=actor, on=handoff, chain=chain_of(handoff), data=told, reason=reason)


def raise_break_glass(row: BreakGlass, handoff: Handoff, missing: Iterable[str], *, actor: Actor) -> None:
    """Raise the finding that signatures are missing, due at the deadline, for whoever asked."""
    words = "; ".join(missing) or "nothing but the deployment window"
    until = f"{row.until:%-d %B %Y, %H:%M} UTC" if row.until else ""
    wrong = Wrong(
        f"Deployed by break-glass for {row.incident}: missing until {until} is {words}.",
        Finding.Severity.HIGH,
        row.asked_by,
        suspends=False,
        told={"break_glass": str(row.pk)},
        due=row.until,
    )
    reconcile(handoff, Finding.Kind.BREAK_GLASS, {f"glass:{row.pk}": wrong}, actor=actor)


def with_mark(found: QuerySet[Any], handoff: str = "pk") -> QuerySet[Any]:
    """Return handoffs, or rows of handoffs, with `by_break_glass`: whether one was ever confirmed there."""
    confirmed = BreakGlass.objects.filter(handoff=OuterRef(handoff), confirmed_by__isnull=False)
    return found.annotate(by_break_glass=Exists(confirmed))
