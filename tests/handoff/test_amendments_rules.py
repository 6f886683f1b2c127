"""What is different in an amendment, in words, and who signs for that."""

from dataclasses import replace
from typing import Any

import pytest

from handoff.rules.amendments import (
    COVERED,
    Change,
    Given,
    Proposed,
    Requirement,
    as_plain,
    changes,
    lost,
    parts_of,
    proposed,
    requirements,
    scope_of,
    signed_already,
    signed_twice,
)
from handoff.rules.duties import Chain

BEFORE: dict[str, Any] = {
    "mode": "stream",
    "input": {"stream": "patients", "digest": "1"},
    "outputs": [{"stream": "scores", "fields": ["label"], "digest": "2"}, {"stream": "lake", "digest": "3"}],
}
WARD = {
    "name": "Ward",
    "kind": "report",
    "owner": "iris",
    "fields": ["label"],
    "criticality": "high",
    "purpose": "Triage",
    "effect": "Someone waits",
}


def test_what_is_not_named_stays_with_what_was_signed() -> None:
    assert proposed(BEFORE) == BEFORE
    assert proposed(BEFORE, "patients") == BEFORE
    assert proposed(BEFORE, "others")["input"] == {"stream": "others"}
    found = proposed(BEFORE, sinks=[{"stream": "lake", "fields": ["label"]}, {"stream": "new"}])
    assert found["outputs"] == [{"stream": "lake", "digest": "3", "fields": ["label"]}, {"stream": "new"}]
    assert found["input"] == BEFORE["input"]


def test_each_side_of_a_change_is_told() -> None:
    assert changes(BEFORE, BEFORE) == ()
    after = BEFORE | {
        "input": {"stream": "others"},
        "outputs": [{"stream": "new"}, {"stream": "scores", "fields": ["label", "p"]}],
    }
    assert changes(BEFORE, after) == (
        Change("source_changed", "source", "others", "patients", "others"),
        Change("sink_added", "outputs", "new", "nothing", "all fields"),
        Change("sink_fields_changed", "outputs", "scores", "label", "label, p"),
        Change("sink_removed", "outputs", "lake", "all fields", "nothing"),
    )


def test_consumers_that_come_change_and_go_are_told() -> None:
    told = "Ward; report of iris; uses label; criticality high; Triage; Someone waits"
    rows = [
        {"act": "add", "stream": "scores", "values": WARD},
        {"act": "change", "stream": "scores", "before": WARD, "values": {"fields": [], "criticality": "low"}},
        {"act": "retire", "stream": "scores", "before": WARD, "values": {}},
    ]
    other = "Ward; report of iris; uses all fields; criticality low; Triage; Someone waits"
    assert changes(BEFORE, BEFORE, rows) == (
        Change("consumer_added", "outputs", "scores: Ward", "not fed", told),
        Change("consumer_changed", "outputs", "scores: Ward", told, other),
        Change("consumer_retired", "outputs", "scores: Ward", told, "fed no more"),
    )


def test_a_consumer_is_told_by_the_name_that_it_gets() -> None:
    """What is not said of it stays as it was; one that names no fields uses all."""
    row = {"act": "change", "stream": "lake", "before": WARD, "values": {"name": "Unit"}}
    told = "report of iris; uses label; criticality high; Triage; Someone waits"
    assert changes(BEFORE, BEFORE, [row]) == (
        Change("consumer_changed", "outputs", "lake: Unit", f"Ward; {told}", f"Unit; {told}"),
    )
    plain = {key: value for key, value in WARD.items() if key != "fields"}
    (found,) = changes(BEFORE, BEFORE, [{"act": "add", "stream": "lake", "values": plain}])
    assert found.after == f"Ward; {told}".replace("uses label", "uses all fields")


def test_a_sink_without_chosen_fields_gets_all() -> None:
    """Whether it says so with an empty list or not at all, which is no difference."""
    after = BEFORE | {"outputs": [{"stream": "lake", "fields": []}, {"stream": "scores", "fields": ["label"]}]}
    assert changes(BEFORE, after) == changes(after, BEFORE) == ()


def test_each_role_signs_once_for_all_parts() -> None:
    outputs = Change("sink_added", "outputs", "new", "nothing", "all fields")
    source = Change("source_changed", "source", "others", "patients", "others")
    assert requirements([outputs, outputs]) == (Requirement("integration-owner", "integration_owner"),)
    assert [one.role for one in requirements([outputs, source])] == [
        "integration_owner",
        "analytic_engineer",
        "it_operations",
    ]
    table = {"outputs": ("it_operations", "validator")}
    assert [one.role for one in requirements([source, outputs], table)] == [
        "analytic_engineer",
        "it_operations",
        "validator",
    ]
    assert as_plain(requirements([outputs])) == [
        {"key": "integration-owner", "role": "integration_owner", "meaning": "approval"}
    ]
    assert parts_of([{"part": "outputs"}]) == {"outputs.transport", "outputs.consumers"}
    assert parts_of([{"part": "source"}, {"part": "outputs"}]) > {"data.transport", "data.fields"}


def test_one_person_counts_for_one_role() -> None:
    chain = Chain()
    given = [Given("integration-owner", 1, None, "Iris")]
    assert signed_already(given, chain, "it_operations", 1).startswith("You have signed")
    assert signed_already(given, chain, "it_operations", 2) == ""
    assert signed_twice(given, chain) == signed_twice([*given, Given("it", 2, None, "Otto")], chain) == ""
    assert signed_twice([*given, Given("it", 1, None, "Iris")], chain)
    stood_in = [Given("integration-owner", 1, 2, "Iris for Otto")]
    assert signed_already(stood_in, chain, "it_operations", 2).startswith("Iris for Otto has signed")
    waiting = Proposed(
        "key", 1, "Why", {"a": "integration_owner", "b": "it_operations"}, (Given("a", 1, None, "Iris"),)
    )
    assert waiting.waits_for(2, frozenset({"it_operations"}), chain)
    assert not waiting.waits_for(2, frozenset({"integration_owner"}), chain)
    assert not waiting.waits_for(1, frozenset({"it_operations"}), chain)
    assert not waiting.waits_for(2, frozenset(), chain)


STANDS_IN = Chain(stands_for={"it_operations": {2: (1, "Iris")}})
BY_IRIS = (Given("a", 1, None, "Iris"),)
MINE = "You have signed this amendment already, and one person counts for one role."
THEIRS = "Iris has signed this amendment, and that is one person's signature with yours."


@pytest.mark.parametrize(
    ("given", "chain", "role", "account", "why"),
    [
        ((), Chain(), "it_operations", 1, ""),
        (BY_IRIS, Chain(), "it_operations", 1, MINE),
        (BY_IRIS, Chain(), "it_operations", 2, ""),
        (BY_IRIS, Chain(persons={2: 1}), "it_operations", 2, THEIRS),
        (BY_IRIS, STANDS_IN, "it_operations", 2, THEIRS),
        (BY_IRIS, STANDS_IN, "validator", 2, ""),  # there they stand in for nobody
        ((replace(BY_IRIS[0], signer=3, behalf=1),), Chain(persons={2: 1}), "it_operations", 2, THEIRS),
        ((Given("a", 5, None, "Rita"), *BY_IRIS), Chain(), "it_operations", 1, MINE),
    ],
)
def test_who_has_signed_already_is_told_so(
    given: tuple[Given, ...], chain: Chain, role: str, account: int, why: str
) -> None:
    assert signed_already(given, chain, role, account) == why


def test_two_signatures_of_one_person_are_told_wherever_they_stand() -> None:
    """By two accounts, or of a delegate and whom they stand in for."""
    twice = "two of its signatures are one person's, who signs for one role"
    rita, otto = Given("b", 5, None, "Rita"), Given("c", 2, None, "Otto")
    assert signed_twice([*BY_IRIS, rita, otto], Chain()) == ""
    assert signed_twice([*BY_IRIS, rita, otto], Chain(persons={2: 1})) == twice
    assert signed_twice([rita, *BY_IRIS, replace(otto, behalf=1)], Chain()) == twice
    assert signed_twice([rita, replace(otto, behalf=1), *BY_IRIS], Chain()) == twice
    assert signed_twice([], Chain()) == ""


def test_an_amendment_waits_for_whoever_can_sign_in_one_of_their_roles() -> None:
    """Though they may not in another one, where they stand in for somebody who has signed."""
    roles = {"a": "integration_owner", "b": "it_operations", "c": "validator"}
    waiting = Proposed("key", 1, "Why", roles, BY_IRIS)
    both = frozenset({"it_operations", "validator"})
    assert waiting.waits_for(2, both, STANDS_IN)
    assert not waiting.waits_for(2, both - {"validator"}, STANDS_IN)
    assert waiting.waits_for(2, both - {"validator"}, Chain())


SCOPE: dict[str, Any] = {
    "deployment": "d",
    "version": "v",
    "in_force": BEFORE,
    "bindings": BEFORE | {"input": {"stream": "others"}},
    "consumers": [{"act": "add"}],
    "found": [{"kind": "source_changed"}],
    "required": [{"key": "validator"}],
    "reason": "Why",
}


def test_a_signature_covers_each_part_of_an_amendment_by_itself() -> None:
    """Whatever one of them becomes, that part is another, and no other one is."""
    names = {"in_force": "before", "found": "changes", "required": "requirements"}
    before = scope_of(**SCOPE)
    assert list(before) == list(COVERED)
    assert (before["deployment"], before["version"]) == ("d", "v")
    assert len(set(before.values())) == len(before)
    for name, value in SCOPE.items():
        after = scope_of(**SCOPE | {name: "other" if isinstance(value, str) else type(value)()})
        assert [part for part in before if after[part] != before[part]] == [names.get(name, name)]


def test_a_consumer_loses_what_it_uses_and_gets_no_more() -> None:
    assert lost(["b", "a"], ["a", "b", "c"], ["c"]) == ["a", "b"]
    assert lost([], ["a", "c"], ["c"]) == ["a"]
    assert lost(["a"], ["a"], ["a", "b"]) == []
    assert lost(["a"], ["a", "b"], ["a"]) == []  # b it never used
