"""Who may not approve: merged accounts, delegates and delegators, over every case of a small scope."""

from itertools import product

import pytest

from handoff.rules.duties import Chain, conflicts

VERA, VERA_AGAIN, OTTO, RITA = 1, 2, 3, 4
MERGED = {VERA_AGAIN: VERA}
FOR_VERA = {"validator": {OTTO: (VERA, "Vera"), VERA_AGAIN: (VERA, "Vera")}}
PERSON = {VERA: VERA, VERA_AGAIN: VERA, OTTO: OTTO, RITA: RITA}


def own(acts: dict[int, tuple[str, ...]], signed: dict[int, str], person: int, role: str) -> list[str]:
    """Return in plain words what bars a person by themselves."""
    other = signed.get(person, role)
    twice = [] if other == role else [f"signed as {other} already, and one person counts for one role"]
    return [*acts.get(person, ()), *twice]


def test_every_case_of_two_people_and_a_delegation() -> None:
    """Who acted, who signed as what, who stands in, and whether a signature was given for somebody else."""
    cases = product(
        ({}, {VERA: ("offered it",)}, {OTTO: ("built it", "answered")}),
        ({}, {VERA: "validator"}, {VERA: "risk"}, {OTTO: "risk"}),
        ({}, FOR_VERA),
        PERSON,
        (None, VERA, RITA),
    )
    for acts, signed, stands_for, account, behalf in cases:
        chain = Chain(acts, signed, MERGED, stands_for)
        expected = own(acts, signed, PERSON[account], "validator")
        delegates = account in stands_for.get("validator", {})
        whom = behalf or (VERA if delegates else None)
        if whom is not None:
            expected += ["stand in for another account of your own"] if PERSON[account] == whom else []
            expected += [f"stand in for somebody who {why}" for why in own(acts, signed, whom, "validator")]
        case = (acts, signed, bool(stands_for), account, behalf)
        assert conflicts(chain, person=account, role="validator", behalf=behalf) == tuple(expected), case
        assert conflicts(chain, person=RITA, role="it_operations") == (), case


@pytest.mark.parametrize(
    ("account", "role", "delegator", "seat", "printed"),
    [
        (OTTO, "validator", VERA, {OTTO, VERA}, "O for Vera"),
        (OTTO, "risk", None, {OTTO}, "O"),
        (RITA, "validator", None, {RITA}, "O"),
        (VERA_AGAIN, "risk", None, {VERA}, "O"),
    ],
)
def test_whose_seat_an_account_takes(
    account: int, role: str, delegator: int | None, seat: set[int], printed: str
) -> None:
    """A delegate takes the delegator's seat beside their own, in that role alone, and is printed with them."""
    chain = Chain(persons=MERGED, stands_for=FOR_VERA)
    assert chain.delegator(role, account) == delegator
    assert chain.seat(role, account) == seat
    assert chain.printed_name(role, account, "O") == printed


def test_who_may_take_a_signature_back() -> None:
    """The signer under any of their accounts, and whom they signed for; nobody else."""
    chain = Chain(persons=MERGED)
    for account, signer, behalf in product(PERSON, PERSON, (None, *PERSON)):
        allowed = PERSON[account] == PERSON[signer] or (behalf is not None and PERSON[account] == PERSON[behalf])
        assert chain.takes_back(account, signer, behalf) == allowed
