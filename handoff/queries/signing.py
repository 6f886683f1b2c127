"""Exactly what a person is asked to sign."""

from dataclasses import dataclass
from uuid import UUID

from django.db.models import Q

from audit.models import Account
from handoff.errors import Hidden
from handoff.facts import Known, known_of, rules_of
from handoff.models import Handoff, SignOff
from handoff.queries.consumers import AskedRow, asked_of
from handoff.queries.handoffs import fetch
from handoff.queries.signed_changes import Change, changes_since
from handoff.rules.approvals import taken_now
from handoff.rules.consumers import is_owner
from handoff.rules.duties import conflicts
from handoff.rules.gates import GateResult, evaluate, seat_of
from handoff.rules.policies import SignOffRule
from handoff.rules.scopes import digest, scope_for, touched, word_of
from handoff.rules.standard_changes import Judged
from handoff.rules.standard_signoffs import kind_of
from handoff.states import GATE_OF, State
from handoff.suspending import passed_by


@dataclass(frozen=True, slots=True)
class Sheet:
    """What is put before a signer: the parts with their digests, and the digest over all that must come back.

    `role` is the one in which they would sign; `barred` says why this person may not sign; `changed` what has
    changed since they last signed here, and `changes` that before and after; `signs_as` the name as it is printed.
    `consumers` are those that they answer for and that the outputs change for.
    """

    handoff: Handoff
    known: Known
    gate: str
    rule: SignOffRule
    role: str
    parts: tuple[tuple[str, str, str], ...]
    seen: str
    result: GateResult
    barred: tuple[str, ...]
    changed: tuple[str, ...]
    changes: tuple[Change, ...]
    signs_as: str
    consumers: tuple[AskedRow, ...] = ()

    @property
    def change(self) -> Judged | None:
        """Return of which kind the change is; nothing where the policy knows but one."""
        facts = self.known.facts
        return kind_of(rules_of(self.handoff), facts) if facts.change else None


def sheet_for(user: Account, handoff_id: UUID | str, requirement: str) -> Sheet:
    """Return the sheet to sign for one requirement that takes signatures now. Raises Hidden."""
    handoff = fetch(user, handoff_id)
    known = known_of(handoff)
    current = GATE_OF.get(State(handoff.state), "")
    taken = taken_now(rules_of(handoff), known.facts, current, passed_by(handoff)) if handoff.policy else {}
    if requirement not in taken:
        raise Hidden("Nothing is to be signed here now.", code="nothing_to_sign", todo="Go back to the handoff.")
    gate, rule = taken[requirement]
    role = _seat(user, known, gate, rule)
    scope = scope_for(gate, known.facts.parts, role)
    barred = [f"you {act}" for act in conflicts(known.facts.chain, person=user.pk, role=role)]
    if not known.holds(user.pk, role):
        barred.insert(0, "you do not hold the role that signs here")
    before = (
        SignOff.objects.filter(handoff=handoff, signer=user, gate=gate)
        .filter(Q(voided_at__isnull=False) | Q(decision=SignOff.Decision.CHANGES))
        .order_by("-signed_at")
        .first()
    )
    changed = touched(before.scope, known.facts.parts) if before else ()
    return Sheet(
        handoff=handoff,
        known=known,
        gate=gate,
        rule=rule,
        role=role,
        parts=tuple((name, word_of(name), covered) for name, covered in scope.items()),
        seen=digest(scope),
        result=evaluate(gate, rules_of(handoff), known.facts),
        barred=tuple(barred),
        changed=changed,
        consumers=tuple(one for one in asked_of(handoff, known) if one.role == role) if is_owner(role) else (),
        changes=changes_since(handoff, before, changed, known.facts.parts) if before else (),
        signs_as=known.facts.chain.printed_name(role, user.pk, user.printed_name),
    )


def owners_of(known: Known) -> list[tuple[str, str]]:
    """Return who may see to a condition, by user name and name: people with a role here, by name."""
    people = Account.objects.filter(pk__in=known.roles, kind=Account.Kind.PERSON)
    return sorted(((one.username, one.printed_name) for one in people), key=lambda pair: pair[1])


def _seat(user: Account, known: Known, gate: str, rule: SignOffRule) -> str:
    """Return the role in which somebody would sign: one that they may sign in, else one that they hold, else any."""
    held = [role for role in rule.roles if known.holds(user.pk, role)]
    return seat_of(gate, rule, known.facts, user.pk) or (held or list(rule.roles))[0]
