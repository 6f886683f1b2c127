"""Keep what a check of the invariants found, and raise findings on the handoffs that it is about."""

from collections.abc import Sequence
from uuid import UUID

from audit.actors import Actor
from audit.acts import act
from audit.trail import record
from handoff.models import Finding, Handoff, InvariantCheck
from handoff.queries.invariants import Checked, Violation
from handoff.raising import Wrong, reconcile

KIND = Finding.Kind.INVARIANT


def keep(*, actor: Actor, checked: Checked) -> InvariantCheck:
    """Keep a check of all invariants; raise a finding for what is new, and resolve what is gone.

    A violation that is about no handoff is told by the check itself, and so by the health of the site.
    """
    kept = _write(actor=actor, checked=checked)
    about: dict[str, list[Violation]] = {}
    for one in checked.violations:
        about.setdefault(one.handoff, []).append(one)
    open_ = Finding.objects.filter(kind=KIND, closed_at=None).values_list("handoff_id", flat=True)
    for handoff_id in sorted({key for key in about if key} | {str(key) for key in open_}):
        _settle(actor=actor, handoff_id=handoff_id, violations=about.get(handoff_id, []))
    return kept


@act
def _write(*, actor: Actor, checked: Checked) -> InvariantCheck:
    before = InvariantCheck.objects.first()
    kept = InvariantCheck.objects.create(
        began_at=checked.began_at,
        seconds=checked.seconds,
        invariants=list(checked.invariants),
        violations=[one._asdict() for one in checked.violations],
    )
    if kept.violations != (before.violations if before else []):
        broken = sorted({one.invariant for one in checked.violations})
        data = {"violations": len(checked.violations), "broken": broken}
        record("invariants.broken" if broken else "invariants.hold", actor=actor, on=kept, chain="site", data=data)
    return kept


@act
def _settle(*, actor: Actor, handoff_id: UUID | str, violations: Sequence[Violation]) -> list[Finding]:
    handoff = Handoff.objects.select_for_update(of=("self",)).select_related("target__owner").get(pk=handoff_id)
    owner = handoff.target.owner if handoff.target.owner.is_active else None
    wrong = {
        f"{one.invariant}:{one.subject}"[:60]: Wrong(
            f"{one.subject} breaks what always holds ({one.invariant}): {one.words}.",
            Finding.Severity.HIGH,
            owner,
            False,
            {"invariant": one.invariant},
        )
        for one in violations
    }
    return reconcile(handoff, KIND, wrong, actor=actor)
