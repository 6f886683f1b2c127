"""What is different in an amendment, in words, and who signs for that."""

from typing import Any

from handoff.rules.amendments import (
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


def test_a_consumer_loses_what_it_uses_and_gets_no_more() -> None:
    assert lost(["b", "a"], ["a", "b", "c"], ["c"]) == ["a", "b"]
    assert lost([], ["a", "c"], ["c"]) == ["a"]
    assert lost(["a"], ["a"], ["a", "b"]) == []
