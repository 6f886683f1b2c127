"""Separation of duties, judged on natural persons over the whole chain."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from handoff.rules.consumers import spoken


@dataclass(frozen=True, slots=True)
class Chain:
    """Who did what in one handoff: natural persons by key, each with the acts that bar them from approving.

    `acts` maps a person to sentences such as 'offered this handoff'. Service accounts appear as the person who
    answers for them. `signed` maps a person to the role they signed for, whichever gate. `persons` maps an account that
    was merged to the main account of its person; `stands_for` a role, and an account in it, to the delegator and their
    name.
    """

    acts: Mapping[int, tuple[str, ...]] = field(default_factory=dict)
    signed: Mapping[int, str] = field(default_factory=dict)
    persons: Mapping[int, int] = field(default_factory=dict)
    stands_for: Mapping[str, Mapping[int, tuple[int, str]]] = field(default_factory=dict)

    def people(self, *accounts: int | None) -> frozenset[int]:
        """Return the natural persons behind some accounts; None is nobody."""
        return frozenset(self.persons.get(one, one) for one in accounts if one is not None)

    def seat(self, role: str, account: int) -> frozenset[int]:
        """Return the natural persons whose seat an account takes in a role: its own, and of whom it stands in for."""
        return self.people(account, self.delegator(role, account))

    def printed_name(self, role: str, account: int, name: str) -> str:
        """Return a name as it is printed with a signature: with that of whom the account stands in for."""
        found = self.stands_for.get(role, {}).get(account)
        return f"{name} for {found[1]}" if found else name

    def takes_back(self, account: int, signer: int, behalf: int | None) -> bool:
        """Tell whether a sign-off is an account's own: its person signed, or it was given for them."""
        return self.people(account) <= self.people(signer, behalf)

    def delegator(self, role: str, account: int) -> int | None:
        """Return for whom an account holds a role; None: for itself."""
        found = self.stands_for.get(role, {}).get(account)
        return found[0] if found else None


def conflicts(chain: Chain, *, person: int, role: str, behalf: int | None = None) -> tuple[str, ...]:
    """Return the reasons why a person may not approve in a role; none means they may.

    Nobody who created, nominated, offered, answered or tested in a chain approves in it (product rule 3); one person
    counts for one role. Administrators are no exception: nothing here asks what else a person may do. A delegate is
    judged as themselves and as the delegator: who may not approve cannot have it done. `behalf` names for whom a
    signature was given; without it, whom the person stands in for now. No reason names anybody: they are kept.
    """
    found = list(_reasons(chain, person, role))
    behalf = behalf if behalf is not None else chain.delegator(role, person)
    if behalf is not None:
        if chain.people(behalf) == chain.people(person):
            found.append("stand in for another account of your own")
        found += [f"stand in for somebody who {reason}" for reason in _reasons(chain, behalf, role)]
    return tuple(found)


def _reasons(chain: Chain, account: int, role: str) -> list[str]:
    (person,) = chain.people(account)
    found = list(chain.acts.get(person, ()))
    other = chain.signed.get(person)
    if other is not None and other != role:
        found.append(f"signed as {spoken(other)} already, and one person counts for one role")
    return found
