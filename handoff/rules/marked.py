"""Facts with marks in the place of names, so that what is kept of a decision can outlive the names."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TypeVar

from handoff.rules.duties import Chain
from handoff.rules.gate_facts import Facts

Mark = Callable[[int, str], str]
FOR = " for "  # between whoever signs and whom they stand in for, as it is printed
Name = TypeVar("Name", str, str | None)


def marked(facts: Facts, mark: Mark) -> Facts:
    """Return facts in which the mark that `mark` gives for an account and its printed name stands for each name.

    Judging them says the same of a gate, in the same words but for the names.
    """
    return replace(
        facts,
        findings=tuple(replace(one, name=_name(mark, one.owner, one.name)) for one in facts.findings),
        answers={
            item: replace(one, people=tuple((who, mark(who, name), said) for who, name, said in one.people))
            for item, one in facts.answers.items()
        },
        signoffs=tuple(
            replace(
                one,
                name=_signed(mark, one.person, one.behalf, one.name),
                conditions=tuple(replace(c, owner_name=mark(c.owner, c.owner_name)) for c in one.conditions),
            )
            for one in facts.signoffs
        ),
        holders={role: _people(mark, people) for role, people in facts.holders.items()},
        chain=_chain(mark, facts.chain),
        waivers={
            key: replace(one, approved_by=_name(mark, one.approver, one.approved_by))
            for key, one in facts.waivers.items()
        },
        owner=_name(mark, facts.owner_account, facts.owner),
        consumers=tuple(replace(one, owner_name=mark(one.owner, one.owner_name)) for one in facts.consumers),
        emergency=facts.emergency
        and replace(
            facts.emergency,
            asked_by=_name(mark, facts.emergency.asker, facts.emergency.asked_by),
            confirmed_by=_signed(mark, facts.emergency.confirmer, facts.emergency.behalf, facts.emergency.confirmed_by),
        ),
    )


def _name(mark: Mark, account: int | None, name: Name) -> Name:
    return mark(account, name) if account is not None and name else name


def _signed(mark: Mark, account: int | None, behalf: int | None, name: str) -> str:
    """Return a name as it is printed with a signature, which may be given for somebody else.

    The word between both may stand in a name, too, so they part where most of what is printed gives way to marks.
    """
    words = name.split(FOR)
    if behalf is None or len(words) == 1:
        return _name(mark, account, name)
    told = []
    for at in range(1, len(words)):
        own, other = FOR.join(words[:at]), FOR.join(words[at:])
        signer, stands_for = _name(mark, account, own), _name(mark, behalf, other)
        letters = len(own) * (signer != own) + len(other) * (stands_for != other)
        told.append((letters, f"{signer}{FOR}{stands_for}"))
    return max(told)[1]


def _people(mark: Mark, people: Mapping[int, str]) -> dict[int, str]:
    return {account: mark(account, name) for account, name in people.items()}


def _chain(mark: Mark, chain: Chain) -> Chain:
    stands_for = {
        role: {account: (who, _name(mark, who, name)) for account, (who, name) in delegates.items()}
        for role, delegates in chain.stands_for.items()
    }
    return replace(chain, stands_for=stands_for)
