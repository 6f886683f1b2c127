"""Who may sign what in a handoff and why not, and who did what: for signers, and for auditors."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from uuid import UUID

from audit.models import Account
from handoff.access import handoffs_visible_to
from handoff.facts import Known, known_of, known_of_many, rules_of
from handoff.models import Handoff
from handoff.queries.handoffs import fetch
from handoff.rules.approvals import answered_anew
from handoff.rules.consumer_signoffs import with_owners
from handoff.rules.consumers import label_of, spoken
from handoff.rules.duties import conflicts
from handoff.rules.policies import GATES, SignOffRule
from handoff.states import GATE_OF, State

MOST = 2000
AT_ONCE = 200
DONE = {
    "approve": "signed",
    "conditional": "signed with conditions",
    "changes": "asked for changes",
    "refuse": "refused",
}


@dataclass(frozen=True, slots=True)
class Signer:
    """One holder of a role that signs. `why` lists what bars them; none: they may, when the gate is under way."""

    name: str
    mine: bool
    may: bool
    signed: bool
    why: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Seats:
    """One requirement that people sign for, with all who hold its role. `now` says that its gate is under way."""

    gate: str
    requirement: str
    roles: tuple[str, ...]
    title: str
    meaning: str
    count: int
    now: bool
    signers: tuple[Signer, ...]


@dataclass(frozen=True, slots=True)
class ActRow:
    """One act of one natural person in one handoff."""

    handoff: Handoff
    person: str
    act: str
    bars: bool


def signers_of(user: Account, handoff_id: UUID | str) -> tuple[Handoff, list[Seats], list[ActRow]]:
    """Return a handoff, who may sign what in it and why not, and its acts by person. Raises Hidden."""
    handoff = fetch(user, handoff_id)
    known = known_of(handoff)
    acts = list(_acts(handoff, known, _names([known])))
    if handoff.policy is None:
        return handoff, [], acts
    rules = with_owners(rules_of(handoff), known.facts.consumers)
    now = GATE_OF.get(State(handoff.state), "")
    seats = [_seats(gate, rule, gate == now, known, user) for gate in GATES for rule in rules.gate(gate).signoffs]
    return handoff, seats, acts


def _seats(gate: str, rule: SignOffRule, now: bool, known: Known, user: Account) -> Seats:
    signers = tuple(
        _signer(gate, rule, role, known, person, name, user)
        for role in rule.roles
        for person, name in sorted(known.facts.holders.get(role, {}).items())
    )
    title = " or ".join(label_of(role) for role in rule.roles)
    return Seats(gate, rule.key, rule.roles, title, rule.meaning, rule.count, now, signers)


def _signer(gate: str, rule: SignOffRule, role: str, known: Known, person: int, name: str, user: Account) -> Signer:
    chain = known.facts.chain
    why = list(conflicts(chain, person=person, role=role))
    people = chain.seat(role, person)
    given = [
        s
        for s in known.facts.signoffs
        if s.gate == gate
        and chain.people(s.person, s.behalf) & people
        and not answered_anew(s, rule, "approve", known.facts)
    ]
    signed = any(s.person == person and s.requirement == rule.key for s in given)
    if given and not signed:
        why.append(f"count as one person with {given[0].name}, who signed at this gate")
    return Signer(chain.printed_name(role, person, name), person == user.pk, not why and not signed, signed, tuple(why))


def acts_in_all(user: Account) -> Iterator[ActRow]:
    """Give every act in the newest handoffs that an account may read, for auditors, by a few queries a batch."""
    found = handoffs_visible_to(user).select_related("model", "version", "target").order_by("-drafted_at", "pk")
    rows = iter(found[:MOST])
    while batch := list(islice(rows, AT_ONCE)):
        told = known_of_many(batch)
        names = _names(told.values())
        for handoff in batch:
            yield from _acts(handoff, told[handoff.pk], names)


def _names(told: Iterable[Known]) -> dict[int, str]:
    wanted = {one for known in told for one in known.facts.chain.acts}
    return {account.pk: account.printed_name for account in Account.objects.filter(pk__in=wanted)}


def _acts(handoff: Handoff, known: Known, names: dict[int, str]) -> Iterator[ActRow]:
    for person, acts in sorted(known.facts.chain.acts.items()):
        for act in acts:
            yield ActRow(handoff, names.get(person, ""), act, bars=True)
    for signoff in known.facts.signoffs:
        done = DONE[signoff.decision]
        yield ActRow(handoff, signoff.name, f"{done} as {spoken(signoff.role)} ({signoff.gate})", bars=False)
