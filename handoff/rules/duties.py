"""Separation of duties, judged on natural persons over the whole chain."""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Chain:
    """Who did what in one handoff: natural persons by key, each with the acts that bar them from approving.

    `acts` maps a person to sentences such as 'offered this handoff'. Service accounts appear as the person who
    answers for them. `signed` maps a person to the role they signed for, whichever gate.
    """

    acts: Mapping[int, tuple[str, ...]] = field(default_factory=dict)
    signed: Mapping[int, str] = field(default_factory=dict)


def conflicts(chain: Chain, *, person: int, role: str) -> tuple[str, ...]:
    """Return the reasons why a person may not approve in a role; none means they may.

    Nobody who created, nominated, offered, answered or tested in a chain approves in it (product rule 3); one person
    counts for one role. Administrators are no exception: nothing here asks what else a person may do.
    """
    found = list(chain.acts.get(person, ()))
    other = chain.signed.get(person)
    if other is not None and other != role:
        found.append(f"signed as {other.replace('_', ' ')} already, and one person counts for one role")
    return tuple(found)
