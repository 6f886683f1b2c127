"""Every item of the difference report to the word: what stands on both sides, how it is classed, and by which rule."""

from dataclasses import replace
from typing import Any

import pytest

from handoff.rules.aspects import Declared, declared
from handoff.rules.differences import SEALED, Difference, Unnamed, broken, inside, report, undeclared
from handoff.rules.sides import Consumer, Owner, Side, Stream
from tests.handoff.test_differences_rules import CARGO, HELD, LAB, PLANT, by_key

OF_MODEL = ("locked", True, True, "none", "equal by digest", SEALED, "it_operations")
FREE, HELD_BY = "free to differ", "it_operations"


def holding(name: str, freedom: str, *allowed: str) -> dict[str, Declared]:
    """Return what holds as usual, with one aspect otherwise."""
    return HELD | {name: replace(HELD[name], freedom=freedom, allowed=allowed)}


def test_the_whole_report_of_two_sides() -> None:
    golden, a, b, d = ("c" * 64, "a" * 64, "b" * 64, "d" * 64)
    assert report(CARGO, LAB, PLANT, {}, HELD) == (
        Difference("requirements.version", "requirements.version", "requirements", "Model version", d, d, *OF_MODEL),
        Difference("data.input_schema", "data.input_schema", "data", "Input schema", a, a, *OF_MODEL),
        Difference("outputs.output_schema", "outputs.output_schema", "outputs", "Output schema", b, b, *OF_MODEL),
        Difference(
            "requirements.golden", "requirements.elements", "requirements", "Golden", golden, golden, *OF_MODEL
        ),
        Difference(
            "people.owner", "people.owner", "people", "Owner of the environment", "Dana", "Otto", "expected", False,
            True, "low", "new owner", FREE, HELD_BY, "", Unnamed("name:d", "name:o", "account 2"),
        ),
        Difference(
            "people.organisation", "people.organisation", "people", "Organisation that answers", "Lab", "IT",
            "expected", False, True, "medium", "organisation change: responsibility passes to another one", FREE,
            HELD_BY,
        ),
        Difference(
            "purpose.kind", "purpose.kind", "purpose", "Kind of environment", "creation", "production", "expected",
            False, True, "medium", "another kind of environment", FREE, HELD_BY,
        ),
        Difference(
            "purpose.purpose", "purpose.purpose", "purpose", "Purpose", "find", "run", "expected", False, True, "low",
            "another purpose", FREE, HELD_BY,
        ),
        Difference(
            "tools.python", "tools.python", "tools", "Python", "3.11.7", "3.11.9", "constrained", False, True, "low",
            "interpreter change: patch version change", "the version asks for >=3.11,<3.13", HELD_BY,
        ),
        Difference(
            "tools.hardware", "tools.hardware", "tools", "Hardware", "8 CPU", "4 CPU", "undeclared", False, True,
            "medium", "other hardware: speed and memory may differ",
            "nobody declared whether hardware matters to this model", HELD_BY,
        ),
        Difference(
            "packages.numpy", "packages.required", "packages", "numpy", "2.1.0", "2.1.3", "constrained", False, True,
            "low", "patch version change", "the version asks for numpy>=2,<3", HELD_BY,
        ),
        Difference(
            "packages.seaborn", "packages.others", "packages", "seaborn", "0.13.2", "not installed", "expected", False,
            True, "low", "only in the source", "the version does not ask for it", HELD_BY,
        ),
        Difference(
            "data.transport", "data.transport", "data", "How records arrive", "files of the builders", "http, json",
            "expected", False, True, "medium", "from a file to a service", FREE, HELD_BY,
        ),
        Difference(
            "outputs.transport", "outputs.transport", "outputs", "Where results go", "files and plots", "http, json",
            "expected", False, True, "medium", "from a file to a service", FREE, HELD_BY,
        ),
        Difference(
            "data.field.age", "data.fields", "data", "age", "int", "int", "constrained", True, True, "none", "equal",
            "the model reads age as int", HELD_BY,
        ),
        Difference(
            "data.field.dose", "data.fields", "data", "dose", "double", "double", "constrained", True, True, "none",
            "equal", "the model reads dose as double", HELD_BY,
        ),
    )  # fmt: skip


def test_where_no_policy_says_what_holds_the_usual_does() -> None:
    usual = declared({}, kind="production", tier="low")
    assert report(CARGO, LAB, PLANT, {}) == report(CARGO, LAB, PLANT, {}, usual)


def test_schemas_are_told_once_and_every_other_element_under_its_name() -> None:
    elements = dict.fromkeys(("validation", "output_schema", "input_schema", "model"), "e" * 64)
    keys = [one.key for one in report(replace(CARGO, elements=elements), LAB, PLANT, {}, HELD) if one.rule == SEALED]
    assert keys == [
        "requirements.version",
        "data.input_schema",
        "outputs.output_schema",
        "requirements.model",
        "requirements.validation",
    ]
    named = by_key(replace(CARGO, elements={"some_thing": "e" * 64}), LAB, PLANT, {}, HELD)["requirements.some_thing"]
    assert named.name == "Some thing"


@pytest.mark.parametrize(
    ("here", "there", "expected"),
    [
        ("", "", None),
        ("SAP", "", ("SAP", "", "other systems; the target says nothing")),
        ("", "SAP", ("", "SAP", "other systems; the source says nothing")),
        ("SAP", "SAP", ("SAP", "SAP", "equal")),
        ("SAP", "MES", ("SAP", "MES", "other systems")),
    ],
)
def test_what_an_environment_need_not_say_is_an_item_once_one_side_says_it(
    here: str, there: str, expected: tuple[str, str, str] | None
) -> None:
    """Unlike a purpose, of which it is told that nobody says it."""
    for key, field, other in (
        ("tools.systems", "systems", "other systems"),
        ("requirements.environment", "requirements", "other requirements"),
    ):
        items = by_key(CARGO, replace(LAB, **{field: here}), replace(PLANT, **{field: there}), {}, HELD)
        found = (items[key].source, items[key].target, items[key].reason) if key in items else None
        assert found == (expected and (*expected[:2], expected[2].replace("other systems", other)))
    silent = by_key(CARGO, replace(LAB, purpose=""), replace(PLANT, purpose=""), {}, HELD)["purpose.purpose"]
    assert (silent.source, silent.target, silent.equal) == ("", "", True)


# What is let be, locked, or held to a list


@pytest.mark.parametrize(
    ("freedom", "allowed", "target", "expected"),
    [
        ("free", (), "4 CPU", ("expected", True, "medium", "other hardware: speed and memory may differ", FREE)),
        ("free", (), "8 CPU", ("expected", True, "none", "equal", FREE)),
        ("free", ("2 CPU",), "8 CPU", ("expected", True, "none", "equal", FREE)),
        ("locked", (), "8 CPU", ("locked", True, "none", "equal", "locked: must be equal on both sides")),
        (
            "locked", (), "4 CPU",
            ("locked", False, "high", "other hardware: speed and memory may differ",
             "locked: must be equal on both sides"),
        ),
        (
            "undeclared", (), "8 CPU",
            ("undeclared", True, "none", "equal", "nobody declared whether hardware matters to this model"),
        ),
        (
            "constrained", ("4 CPU", "2 CPU"), "4 CPU",
            ("constrained", True, "medium", "other hardware: speed and memory may differ",
             "allowed are 4 CPU, 2 CPU"),
        ),
        (
            "constrained", ("2 CPU",), "4 CPU",
            ("constrained", False, "high", "other hardware: speed and memory may differ", "allowed are 2 CPU"),
        ),
        (
            "constrained", ("2 CPU",), "8 CPU",
            ("constrained", False, "high", "outside its rule", "allowed are 2 CPU"),
        ),
    ],
)  # fmt: skip
def test_each_freedom_has_its_class_and_its_rule(
    freedom: str, allowed: tuple[str, ...], target: str, expected: tuple[Any, ...]
) -> None:
    held = holding("tools.hardware", freedom, *allowed)
    item = by_key(CARGO, LAB, replace(PLANT, hardware=target), {}, held)["tools.hardware"]
    assert (item.classed, item.holds, item.severity, item.reason, item.rule) == expected


@pytest.mark.parametrize(
    ("classed", "equal", "holds", "asks", "blocks"),
    [
        ("undeclared", False, True, True, True),
        ("undeclared", True, True, False, False),
        ("undeclared", True, False, False, True),
        ("expected", False, True, False, False),
        ("locked", False, False, False, True),
    ],
)
def test_what_nobody_declared_and_what_is_outside_its_rule_stand_in_the_way(
    classed: str, equal: bool, holds: bool, asks: bool, blocks: bool
) -> None:
    item = replace(by_key(CARGO, LAB, PLANT, {}, HELD)["tools.hardware"], classed=classed, equal=equal, holds=holds)
    assert (item.asks, item.blocks) == (asks, blocks)
    assert undeclared((item,)) == (("tools.hardware",) if asks else ())
    assert broken((item,)) == (() if holds else (item,))


@pytest.mark.parametrize(
    ("version", "specifier", "expected"),
    [
        ("2.0", ">=2,<3", True),
        ("3.0", ">=2,<3", False),
        ("2.1rc1", ">=2,<3", True),
        ("2.0", "", True),
        ("", "", False),
        ("nightly", ">=2", False),
        ("2.0", "about 2", False),
    ],
)
def test_a_version_lies_in_a_range_if_both_can_be_read(version: str, specifier: str, expected: bool) -> None:
    assert inside(version, specifier) is expected


def test_an_interpreter_outside_what_the_version_asks_for_breaks_its_rule() -> None:
    for python, held, rule in (
        ("3.13.1", HELD, "the version asks for >=3.11,<3.13"),
        (
            "3.11.9",
            holding("tools.python", "locked"),
            "the version asks for >=3.11,<3.13; locked: must be equal on both sides",
        ),
    ):
        item = by_key(CARGO, LAB, replace(PLANT, python=python), {}, held)["tools.python"]
        assert (item.holds, item.severity, item.rule) == (False, "high", rule)


# Packages

ASKS = "the version asks for numpy>=2,<3"
LEAKS = {
    "default": "allow",
    "rules": {
        "numpy": [{"answer": "allow", "versions": "<2.2"}, {"answer": "prohibit", "reason": "It leaks."}],
        "seaborn": {"answer": "prohibit"},
    },
}
PINNED = LEAKS | {"install": {"numpy": "2.1.0"}}
WARNS = {"default": "warn"}
PROHIBITED = "prohibited by the target's import policy"


@pytest.mark.parametrize(
    ("here", "there", "policy", "until", "expected"),
    [
        ("2.1.0", "2.1.0", {"default": "allow"}, "", ("2.1.0", "2.1.0", "constrained", True, "none", "equal", ASKS)),
        (
            "2.1.0", "2.1.0", {"default": "allow"}, "2026-12-01",
            ("2.1.0", "2.1.0", "constrained", True, "none", "equal", ASKS),
        ),
        (
            "", "2.1.0", {"default": "allow"}, "",
            ("not installed", "2.1.0", "constrained", True, "medium",
             "not installed in the source: nobody built the model with it", ASKS),
        ),
        (
            "2.1.0", "", {"default": "allow"}, "2026-12-01",
            ("2.1.0", "", "constrained", False, "high", "not installed in the target",
             f"{ASKS}; it is not installed in the target"),
        ),
        (
            "", "", WARNS, "",
            ("not installed", "", "constrained", False, "high", "not installed in the target",
             f"{ASKS}; it is not installed in the target"),
        ),
        (
            "2.1.0", "3.0.0", {"default": "allow"}, "",
            ("2.1.0", "3.0.0", "constrained", False, "high", "major version jump", ASKS),
        ),
        (
            "2.1.0", "2.1.0", WARNS, "",
            ("2.1.0", "2.1.0", "constrained", True, "none", "equal",
             f"{ASKS}; the target's import policy warns about it"),
        ),
        (
            "2.1.0", "2.1.1", WARNS, "",
            ("2.1.0", "2.1.1", "undeclared", True, "low", "patch version change",
             f"{ASKS}; the target's import policy warns about it"),
        ),
        (
            "2.1.0", "3.0.0", WARNS, "",
            ("2.1.0", "3.0.0", "constrained", False, "high", "major version jump",
             f"{ASKS}; the target's import policy warns about it"),
        ),
        (
            "2.1.0", "2.2.0", LEAKS, "",
            ("2.1.0", "2.2.0", "constrained", False, "high", PROHIBITED,
             f"{ASKS}; the target's import policy prohibits it: It leaks"),
        ),
        (
            "2.1.0", "2.2.0", PINNED, "",
            ("2.1.0", "2.2.0", "constrained", False, "high", PROHIBITED,
             f"{ASKS}; the target's import policy prohibits it: It leaks; the nearest allowed version is 2.1.0"),
        ),
        (
            "2.2.0", "2.2.0", PINNED, "2026-12-01",
            ("2.2.0", "2.2.0", "constrained", True, "high", PROHIBITED,
             f"{ASKS}; the target's import policy prohibits it: It leaks; the nearest allowed version is 2.1.0; "
             "an exception lets it in until 2026-12-01"),
        ),
        (
            "3.0.0", "3.0.0", LEAKS, "2026-12-01",
            ("3.0.0", "3.0.0", "constrained", False, "high", PROHIBITED,
             f"{ASKS}; the target's import policy prohibits it: It leaks; an exception lets it in until 2026-12-01"),
        ),
    ],
)  # fmt: skip
def test_a_package_that_the_version_asks_for(
    here: str, there: str, policy: dict[str, Any], until: str, expected: tuple[Any, ...]
) -> None:
    """It is there, inside the range, and let in by the policy, or by an exception, which is told where it counts."""
    source, target = (
        replace(side, packages={"numpy": version} if version else {}) for side, version in ((LAB, here), (PLANT, there))
    )
    target = replace(target, import_policy=policy, exceptions={"numpy": until} if until else {})
    item = by_key(CARGO, source, target, {}, HELD)["packages.numpy"]
    told = (item.source, item.target, item.classed, item.holds, item.severity, item.reason, item.rule)
    assert told == expected
    assert item.waived_until == (until if "an exception lets it in" in item.rule else "")
    assert item.role == "it_operations"


def test_a_warning_leaves_open_only_what_may_differ() -> None:
    target = replace(PLANT, import_policy=WARNS)
    item = by_key(CARGO, LAB, target, {}, holding("packages.required", "locked"))["packages.numpy"]
    assert (item.classed, item.holds, item.asks) == ("locked", False, False)
    assert item.rule == f"{ASKS}; the target's import policy warns about it; locked: must be equal on both sides"


UNASKED = "the version does not ask for it"
BY_POLICY = f"{UNASKED}; the target's import policy must not prohibit it"


@pytest.mark.parametrize(
    ("freedom", "here", "there", "until", "expected"),
    [
        ("free", "", "0.13", "", ("not installed", "0.13", "expected", True, "low", "only in the target", UNASKED)),
        (
            "free", "0.12", "0.13", "2026-12-01",
            ("0.12", "0.13", "expected", True, "low", "minor version change", UNASKED),
        ),
        ("free", "0.13", "0.13", "", ("0.13", "0.13", "expected", True, "none", "equal", UNASKED)),
        (
            "undeclared", "0.13", "", "",
            ("0.13", "not installed", "undeclared", True, "low", "only in the source", UNASKED),
        ),
        (
            "locked", "0.13", "", "",
            ("0.13", "not installed", "locked", False, "high", "only in the source",
             "locked: must be equal on both sides"),
        ),
        (
            "locked", "0.13", "0.13", "",
            ("0.13", "0.13", "locked", True, "none", "equal", "locked: must be equal on both sides"),
        ),
        (
            "constrained", "0.13", "", "2026-12-01",
            ("0.13", "not installed", "constrained", True, "low", "only in the source", BY_POLICY),
        ),
        (
            "constrained", "0.13", "0.13", "",
            ("0.13", "0.13", "constrained", False, "high", "outside its rule", BY_POLICY),
        ),
        (
            "constrained", "", "0.13", "",
            ("not installed", "0.13", "constrained", False, "high", "only in the target", BY_POLICY),
        ),
        (
            "constrained", "", "0.13", "2026-12-01",
            ("not installed", "0.13", "constrained", True, "low", "only in the target",
             f"{BY_POLICY}; an exception lets it in until 2026-12-01"),
        ),
    ],
)  # fmt: skip
def test_a_package_that_the_version_does_not_ask_for(
    freedom: str, here: str, there: str, until: str, expected: tuple[Any, ...]
) -> None:
    """The target's import policy prohibits it, which counts only where the policy of the handoff says so."""
    source, target = (
        replace(side, packages={"seaborn": version} if version else {})
        for side, version in ((LAB, here), (PLANT, there))
    )
    target = replace(target, import_policy=LEAKS, exceptions={"seaborn": until} if until else {})
    item = by_key(CARGO, source, target, {}, holding("packages.others", freedom))["packages.seaborn"]
    told = (item.source, item.target, item.classed, item.holds, item.severity, item.reason, item.rule)
    assert told == expected
    assert item.waived_until == (until if "an exception lets it in" in item.rule else "")


def test_a_package_that_the_policy_allows_may_be_there_where_others_are_constrained() -> None:
    """And an exception that nobody needs lets nothing in."""
    target = replace(PLANT, packages={"numpy": "2.1.3", "polars": "2.0"}, import_policy=LEAKS)
    target = replace(target, exceptions={"polars": "2026-12-01"})
    item = by_key(CARGO, LAB, target, {}, holding("packages.others", "constrained"))["packages.polars"]
    assert (item.holds, item.severity, item.rule, item.waived_until) == (True, "low", BY_POLICY, "")


# Streams


def transports(source: dict[str, Stream], target: dict[str, Stream], **bindings: Any) -> list[tuple[str, ...]]:
    """Return the items about transports: key, name, source and target."""
    items = report(CARGO, replace(LAB, streams=source), replace(PLANT, streams=target), bindings, HELD)
    return [(one.key, one.name, one.source, one.target) for one in items if ".transport" in one.key]


ARRIVES, GOES = ("data.transport", "How records arrive"), ("outputs.transport", "Where results go")
FILES = ("files of the builders", "files and plots")
KAFKA = {"transport": "kafka", "encoding": "avro", "stream": "doses"}


@pytest.mark.parametrize(
    ("bindings", "arrives", "goes"),
    [
        ({}, "http, json", "http, json"),
        ({"input": {"transport": "file"}, "output": {"encoding": "csv"}}, "file, json", "http, csv"),
        ({"input": KAFKA, "output": {"stream": "s"}}, "kafka, avro, doses", "s"),
        (
            {"input": {"transport": "sql"}, "outputs": [KAFKA, {"transport": "http"}]},
            "sql, json",
            "kafka, avro, doses; http",
        ),
        ({"outputs": []}, "http, json", ""),
    ],
)
def test_where_the_target_names_no_stream_the_bindings_say_where_records_come_from_and_go(
    bindings: dict[str, Any], arrives: str, goes: str
) -> None:
    assert transports({}, {}, **bindings) == [(*ARRIVES, FILES[0], arrives), (*GOES, FILES[1], goes)]


def test_streams_that_an_environment_names_stand_for_what_is_bound_and_each_slot_is_an_item() -> None:
    source = {"input": Stream("file", "csv"), "kept": Stream("sql")}
    target = {"output": Stream("kafka", "avro"), "input": Stream("valkey"), "alerts": Stream("http", "json")}
    assert transports(source, target, input=KAFKA, outputs=[KAFKA]) == [
        (*ARRIVES, "file, csv", "valkey"),
        (*GOES, FILES[1], "kafka, avro"),
        ("outputs.transport.alerts", "Where results go: alerts", "", "http, json"),
        ("outputs.transport.kept", "Where results go: kept", "sql", ""),
    ]


@pytest.mark.parametrize(
    ("here", "there", "severity", "reason"),
    [
        (Stream("sql"), Stream("sql"), "none", "equal"),
        (Stream("sql"), Stream("http"), "medium", "from a table to a service"),
        (None, Stream("http"), "medium", "a stream on one side alone; the source says nothing"),
        (Stream("sql"), None, "medium", "a stream on one side alone; the target says nothing"),
    ],
)
def test_a_stream_that_only_one_side_has_is_told_so(
    here: Stream | None, there: Stream | None, severity: str, reason: str
) -> None:
    source, target = (
        replace(side, streams={"alerts": stream} if stream else {}) for side, stream in ((LAB, here), (PLANT, there))
    )
    item = by_key(CARGO, source, target, {}, HELD)["outputs.transport.alerts"]
    assert (item.severity, item.reason) == (severity, reason)


# Fields

AGE = "the model reads age as int"


@pytest.mark.parametrize(
    ("here", "there", "expected"),
    [
        (None, {"age": "int"}, ("int", "int", True, "none", "equal")),
        ({"age": "int"}, None, ("int", "int", True, "none", "equal")),
        ({"age": "int"}, {}, ("int", "", False, "high", "missing field: the target does not deliver it")),
        ({}, {}, ("", "", False, "high", "missing field: the target does not deliver it")),
        ({}, None, ("", "int", True, "medium", "a field that the source does not deliver")),
        ({}, {"age": "string"}, ("", "string", False, "high", "a field that the source does not deliver")),
        ({"age": "long"}, {"age": "int"}, ("long", "int", True, "high", "another type")),
        ({"age": "int"}, {"age": "long"}, ("int", "long", False, "high", "another type")),
        ({"age": "long"}, {"age": "long"}, ("long", "long", False, "high", "outside its rule")),
    ],
)
def test_a_field_is_held_to_what_the_model_reads(
    here: dict[str, str] | None, there: dict[str, str] | None, expected: tuple[Any, ...]
) -> None:
    """A stream that does not say its fields has those of the model."""
    cargo = replace(CARGO, fields={"age": "int"})
    source, target = (
        replace(side, streams={"input": Stream("sql", fields=fields)}) for side, fields in ((LAB, here), (PLANT, there))
    )
    item = by_key(cargo, source, target, {}, HELD)["data.field.age"]
    assert (item.source, item.target, item.holds, item.severity, item.reason) == expected
    assert item.rule == AGE
    if here is None:
        assert by_key(cargo, LAB, target, {}, HELD)["data.field.age"] == item, "nor does one that is not named"


# Consumers

IRIS = Owner("Iris", "name:i", 4)
WATCH = Consumer(IRIS, "watch doses")


@pytest.mark.parametrize(
    ("here", "there", "expected", "unnamed"),
    [
        (
            WATCH, WATCH, ("watch doses, Iris", "watch doses, Iris", "none", "equal"),
            Unnamed("watch doses, name:i", "watch doses, name:i", "watch doses, account 4"),
        ),
        (
            None, WATCH, ("not fed", "watch doses, Iris", "medium", "new consumer"),
            Unnamed("not fed", "watch doses, name:i", "watch doses, account 4"),
        ),
        (
            WATCH, None, ("watch doses, Iris", "not fed", "high", "consumer dropped"),
            Unnamed("watch doses, name:i", "not fed", "not fed"),
        ),
        (
            WATCH, Consumer(IRIS), ("watch doses, Iris", "Iris", "medium", "another owner or purpose"),
            Unnamed("watch doses, name:i", "name:i", "account 4"),
        ),
        (
            Consumer(None, "watch"), Consumer(None), ("watch", "fed", "medium", "another owner or purpose"),
            Unnamed("watch", "fed", "fed"),
        ),
    ],
)  # fmt: skip
def test_a_consumer_is_told_by_what_it_is_for_and_who_owns_it(
    here: Consumer | None, there: Consumer | None, expected: tuple[str, ...], unnamed: Unnamed
) -> None:
    def fed(side: Side, consumer: Consumer | None) -> Side:
        return replace(side, consumers={"board": consumer} if consumer else {})

    item = by_key(CARGO, fed(LAB, here), fed(PLANT, there), {}, HELD)["outputs.consumer.board"]
    assert (item.source, item.target, item.severity, item.reason) == expected
    assert (item.name, item.aspect, item.unnamed) == ("board", "outputs.consumers", unnamed)


def test_a_consumer_that_is_planned_is_fed_and_one_that_is_registered_is_told_as_it_is() -> None:
    target = replace(PLANT, consumers={"board": WATCH})
    items = by_key(CARGO, LAB, target, {"consumers": ["board", "mail"]}, HELD)
    assert {key: (one.source, one.target) for key, one in items.items() if "consumer" in key} == {
        "outputs.consumer.board": ("not fed", "watch doses, Iris"),
        "outputs.consumer.mail": ("not fed", "fed"),
    }


def test_a_consumer_that_is_the_same_on_both_sides_may_be_outside_its_rule_still() -> None:
    held = holding("outputs.consumers", "constrained", "not fed")
    sides = (replace(side, consumers={"board": WATCH}) for side in (LAB, PLANT))
    item = by_key(CARGO, *sides, {}, held)["outputs.consumer.board"]
    assert (item.holds, item.severity, item.reason) == (False, "high", "outside its rule")


def test_who_owns_both_environments_is_no_difference() -> None:
    item = by_key(CARGO, replace(LAB, owner=PLANT.owner), PLANT, {}, HELD)["people.owner"]
    assert (item.equal, item.severity, item.unnamed) == (True, "none", Unnamed("name:o", "name:o", "account 2"))
