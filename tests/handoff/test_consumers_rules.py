"""Owners of consumers as a rule: as what they sign, what their signatures cover, and how the review asks them."""

from dataclasses import replace
from typing import Any

import pytest

from handoff.rules.consumer_signoffs import OwnerRule, with_owners
from handoff.rules.consumers import ConsumerFact, by_owner, is_owner, label_of, parts_of, role_of, spoken
from handoff.rules.policies import Gate, PolicyRules, SignOffRule
from tests.handoff.test_gates_rules import IRIS, RELEASE, REVIEW, RITA, RULES


def consumer(key: str, name: str, owner: int, *changes: str, active: bool = True) -> ConsumerFact:
    """Return a consumer; something changes for it only where that is said."""
    return ConsumerFact(key, name, "table", owner, "", active, (key, "digest", list(changes)))


WARD, BILLS = consumer("w", "Ward", IRIS, "label"), consumer("b", "Billing", RITA, "label", "p")
LAKE = consumer("a", "Lake", IRIS, "p")


def test_whoever_owns_consumers_signs_as_their_owner_and_in_no_role() -> None:
    assert role_of(7) == "consumer-7"
    assert [is_owner(one) for one in (role_of(7), "validator", "the-consumer-7")] == [True, False, False]
    assert [label_of(one) for one in (role_of(7), "it_operations")] == ["Owner of a consumer", "IT operations"]
    assert [spoken(one) for one in (role_of(7), "it_operations")] == ["owner of a consumer", "it operations"]


def test_each_owner_answers_for_their_own_consumers_for_which_something_changes() -> None:
    still = consumer("s", "Still", RITA)
    assert (WARD.concerned, still.concerned) == (True, False)
    assert by_owner([WARD, BILLS, still, LAKE]) == {"consumer-3": [WARD, LAKE], "consumer-5": [BILLS, still]}
    assert parts_of([WARD, BILLS, still, LAKE]) == {
        "consumer-3": [["a", "digest", ["p"]], ["w", "digest", ["label"]]],
        "consumer-5": [["b", "digest", ["label", "p"]]],
    }
    assert parts_of([still]) == {}


def asked(names: str, owner: int, cannot: str = "may not sign here", **more: Any) -> OwnerRule:
    """Return the rule for an owner of some consumers."""
    told: dict[str, Any] = {
        "key": f"consumer-{owner}",
        "role": f"consumer-{owner}",
        "meaning": "approval",
        "help": f"I answer for {names}, and can live with what changes in the outputs that feed it.",
        "signer": f"The owner of {names} signs",
        "lacking": f"the owner {cannot}; name another owner of {names} by an amendment of what is live, "
        "who is asked then",
    }
    return OwnerRule(**told | more)


def reviewed_by(*rules: SignOffRule) -> PolicyRules:
    """Return the rules with these sign-offs at the review."""
    return replace(RULES, gates={"review": replace(REVIEW, signoffs=rules), "release": RELEASE})


@pytest.mark.parametrize(
    ("consumers", "owners"),
    [
        ([WARD], [asked("Ward", IRIS)]),
        ([WARD, BILLS, LAKE], [asked("Ward, Lake", IRIS), asked("Billing", RITA)]),
        ([replace(BILLS, active=False)], [asked("Billing", RITA, "has an account that is closed")]),
    ],
)
def test_the_review_asks_each_owner_beside_those_whom_the_policy_names(
    consumers: list[ConsumerFact], owners: list[OwnerRule]
) -> None:
    found = with_owners(RULES, consumers)
    assert found == reviewed_by(*REVIEW.signoffs, *owners)
    assert with_owners(found, consumers) is found, "they are asked once"


def test_without_consumers_nobody_more_is_asked() -> None:
    assert with_owners(RULES, []) is RULES


def test_a_policy_that_names_no_review_asks_the_owners_there_all_the_same() -> None:
    alone = replace(RULES, gates={"release": RELEASE})
    expected = {"release": RELEASE, "review": Gate("review", signoffs=(asked("Ward", IRIS),))}
    assert with_owners(alone, [WARD]).gates == expected


def test_a_sign_off_of_the_policy_keeps_its_key() -> None:
    taken = (SignOffRule("consumer-3", "validator", "review"), SignOffRule("consumer-3-owner", "validator", "review"))
    found = with_owners(reviewed_by(*taken), [WARD])
    assert found == reviewed_by(*taken, asked("Ward", IRIS, key="consumer-3-owner-owner"))
