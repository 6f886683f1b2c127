"""The sign-offs of a gate: which of them count, whose turn it is, and who could sign."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from handoff.rules.consumer_signoffs import OwnerRule
from handoff.rules.consumers import label_of
from handoff.rules.duties import conflicts
from handoff.rules.gate_facts import APPROVALS, Facts, Requirement, SignOffFact
from handoff.rules.lapses import AgainFact, asked_again, lapse
from handoff.rules.policies import Gate, SignOffRule
from handoff.rules.scopes import holds


def counts(signoff: SignOffFact, name: str, rule: SignOffRule, facts: Facts) -> bool:
    """Tell whether one sign-off counts for one requirement now."""
    return (
        signoff.gate == name
        and signoff.requirement == rule.key
        and signoff.role in rule.roles
        and signoff.meaning == rule.meaning
        and signoff.decision in APPROVALS
        and signoff.entitled
        and not lapse(signoff, rule.valid_days, facts.now)
        and not conflicts(facts.chain, person=signoff.person, role=signoff.role, behalf=signoff.behalf)
        and holds(signoff.scope, name, facts.parts, signoff.role)
    )


def anew(rule: SignOffRule, gate: str, facts: Facts) -> list[tuple[SignOffFact, AgainFact]]:
    """Return the approvals of a rule that count and are asked for anew, as long as too few others stand beside them."""
    asked = [(s, again) for s in facts.signoffs if (again := asked_again(s, facts.now))]
    if not asked:  # as nearly always; to see what counts costs more
        return []
    asked = [(s, again) for s, again in asked if counts(s, gate, rule, facts)]
    fresh = [s for s in facts.signoffs if counts(s, gate, rule, facts) and not asked_again(s, facts.now)]
    seats = {s.role for s in fresh} if rule.quorum else facts.chain.people(*(s.person for s in fresh))
    return asked if len(seats) < rule.count else []


def people_in(role: str, facts: Facts, *, but: Collection[int] = ()) -> dict[int, str]:
    """Return who holds a role now, by key and name, without some."""
    return {person: name for person, name in facts.holders.get(role, {}).items() if person not in but}


def title_of(role: str) -> str:
    """Return a role as a sentence begins with it."""
    return {"it_operations": "IT operations"}.get(role, role.replace("_", " ").capitalize())


@dataclass(frozen=True, slots=True)
class _Seats:
    """Who sits for one rule: the sign-offs that count, and the place of the last one in the order of signing."""

    chosen: tuple[SignOffFact, ...]
    last: int
    early: bool

    def filled(self, rule: SignOffRule) -> bool:
        """Tell whether as many have signed as must."""
        return len(self.chosen) >= rule.count


def seat_of(name: str, rule: SignOffRule, facts: Facts, person: int) -> str:
    """Return the role in which a person may sign for a rule now, one that has not signed yet first; '' if in none."""
    taken = {s.role for s in facts.signoffs if counts(s, name, rule, facts)}
    able = [
        role
        for role in rule.roles
        if person in facts.holders.get(role, {}) and not conflicts(facts.chain, person=person, role=role)
    ]
    return next((role for role in able if role not in taken), able[0] if able else "")


def most_seats(rule: SignOffRule, facts: Facts) -> int:
    """Return how many could sit for a rule at most, nobody twice; in a quorum each in another role."""
    able = {role: _persons(role, _able(replace(rule, quorum=(), role=role), (), facts), facts) for role in rule.roles}
    if not rule.quorum:
        return len(able[rule.role])
    sits: dict[int, str] = {}

    def seated(role: str, asked: set[int]) -> bool:
        """Seat somebody for a role, moving those who can sit elsewhere (Kuhn's augmenting paths)."""
        for person in able[role]:
            if person not in asked:
                asked.add(person)
                if person not in sits or seated(sits[person], asked):
                    sits[person] = role
                    return True
        return False

    return sum(seated(role, set()) for role in rule.quorum)


def _persons(role: str, accounts: Collection[int], facts: Facts) -> frozenset[int]:
    """Return the natural persons that some accounts stand for in a role; a delegate adds nobody to the delegator."""
    return facts.chain.people(*(facts.chain.delegator(role, one) or one for one in accounts))


def _people(signoff: SignOffFact, facts: Facts) -> frozenset[int]:
    """Return the natural persons whose seat a sign-off takes: the signer's, and that of whom they signed for."""
    return facts.chain.people(signoff.person, signoff.behalf)


def signatures(gate: Gate, facts: Facts) -> list[Requirement]:
    """Ask for the sign-offs, each in its turn."""
    given: dict[str, list[tuple[int, SignOffFact]]] = {}
    for at, signoff in enumerate(facts.signoffs):
        given.setdefault(signoff.requirement, []).append((at, signoff))
    seats: dict[str, _Seats] = {}
    taken: set[int] = set()
    for rule in in_turn(gate.signoffs):
        seats[rule.key] = _seats(gate, rule, facts, given.get(rule.key, ()), seats, taken)
        taken.update(*(_people(s, facts) for s in seats[rule.key].chosen))
    found: dict[str, Requirement] = {}
    for rule in in_turn(gate.signoffs):
        before = [gate.signoff(key) for key in rule.after]
        waits = next((b for b in before if b is not None and not seats[b.key].filled(b)), None)
        found[rule.key] = _signature(rule, gate, seats[rule.key], facts, found[waits.key] if waits else None)
    return [found[rule.key] for rule in gate.signoffs]


def in_turn(rules: Sequence[SignOffRule]) -> list[SignOffRule]:
    """Return rules so that each stands behind those that come first; the reader has refused circles."""
    known = {rule.key: rule for rule in rules}
    found: dict[str, SignOffRule] = {}

    def add(rule: SignOffRule) -> None:
        for key in rule.after:
            if key in known and key not in found:
                add(known[key])
        found.setdefault(rule.key, rule)

    for rule in rules:
        add(rule)
    return list(found.values())


def _seats(
    gate: Gate,
    rule: SignOffRule,
    facts: Facts,
    given: Sequence[tuple[int, SignOffFact]],
    seats: Mapping[str, _Seats],
    taken: Collection[int],
) -> _Seats:
    """Return who sits: other people each, in a quorum in other roles each, and after those who come first."""
    before = [(gate.signoff(key), seats.get(key)) for key in rule.after]
    waits = any(b is None or s is None or not s.filled(b) for b, s in before)
    first = max((s.last for _, s in before if s is not None), default=-1)
    chosen: list[SignOffFact] = []
    last, early = -1, False
    for at, signoff in given:
        if not _people(signoff, facts).isdisjoint(taken) or not counts(signoff, gate.name, rule, facts):
            continue
        if waits or at < first:
            early = True
        elif len(chosen) < rule.count and not _sits(signoff, rule, chosen, facts):
            chosen.append(signoff)
            last = at
    return _Seats(tuple(chosen), last, early)


def _sits(signoff: SignOffFact, rule: SignOffRule, chosen: Sequence[SignOffFact], facts: Facts) -> bool:
    people = _people(signoff, facts)
    return any(people & _people(s, facts) or (rule.quorum and s.role == signoff.role) for s in chosen)


def _signature(rule: SignOffRule, gate: Gate, seats: _Seats, facts: Facts, before: Requirement | None) -> Requirement:
    chosen = seats.chosen
    against = next((s for s in facts.signoffs if s.requirement == rule.key and s.decision not in APPROVALS), None)
    met = seats.filled(rule) and against is None
    able = {} if met else _able(rule, chosen, facts)
    why, who = ("", ()) if met else (_unsigned(rule, seats, able, facts), tuple(able.values()))
    if against is not None:
        why = f"{label_of(against.role)} {'refused' if against.decision == 'refuse' else 'asks for changes'}"
        who = (against.name,)
    elif before is not None:
        why, who = f"comes after another sign-off: {before.title}", before.who
    return Requirement(
        kind="signoff",
        key=rule.key,
        title=f"{_signers(rule)}: {rule.meaning}",
        role=rule.role,
        met=met,
        why=why,
        who=who,
        by=tuple(s.name for s in chosen),
        needed=rule.needed(facts.tier),
        turn=before is None,
        roles=rule.roles,
        again=_told_anew(rule, gate, facts) if met else "",
    )


def _told_anew(rule: SignOffRule, gate: Gate, facts: Facts) -> str:
    """Return which signatures that fill a rule are asked for anew, until when and why."""
    told = [(one.name, again, datetime.fromisoformat(again.due)) for one, again in anew(rule, gate.name, facts)]
    return "; ".join(f"{name} signs anew by {due:%-d %B %Y}, for {again.because}" for name, again, due in told)


def _signers(rule: SignOffRule) -> str:
    if rule.quorum:
        return f"{rule.count} of {', '.join(title_of(role) for role in rule.quorum)} sign"
    if isinstance(rule, OwnerRule):
        return rule.signer
    return f"{title_of(rule.role)} signs"


def _able(rule: SignOffRule, chosen: Sequence[SignOffFact], facts: Facts) -> dict[int, str]:
    """Return who could sign now: holders who do not sit yet, in a role that does not, without a conflict."""
    sits = facts.chain.people(*(one for s in chosen for one in (s.person, s.behalf)))
    roles = [role for role in rule.roles if not rule.quorum or role not in {s.role for s in chosen}]
    return {
        person: name
        for role in roles
        for person, name in people_in(role, facts).items()
        if not facts.chain.seat(role, person) & sits and not conflicts(facts.chain, person=person, role=role)
    }


def _unsigned(rule: SignOffRule, seats: _Seats, able: Mapping[int, str], facts: Facts) -> str:
    chosen = len(seats.chosen)
    several = rule.count > 1 or rule.quorum
    if isinstance(rule, OwnerRule):
        return "; ".join(["has not signed", *([] if able else [rule.lacking]), *_lapsed(rule, facts)])
    why = f"{chosen} of {rule.count} signed" if several else f"{title_of(rule.role)} has not signed"
    if seats.early:
        return why + "; somebody signed before it was their turn, and must withdraw and sign anew"
    if len(able) < rule.count - chosen:
        why += "; nobody who holds the role is free of conflicts" if not able else "; too few can sign"
    return "; ".join([why, *_lapsed(rule, facts)])


def _lapsed(rule: SignOffRule, facts: Facts) -> list[str]:
    """Return why approvals that were given do not hold any more; who has something against it is told before."""
    given = [s for s in facts.signoffs if s.requirement == rule.key]
    told = [(s.role, lapse(s, rule.valid_days, facts.now)) for s in given]
    return [f"the approval as {label_of(role)} {why}" for role, why in told if why]
