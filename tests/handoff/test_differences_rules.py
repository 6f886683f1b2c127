"""The difference report as a rule: what is compared, how free it is, how much it matters, and who answers."""

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from handoff.errors import Invalid
from handoff.rules.aspects import ANY, FACETS, FREEDOMS, USUAL, Aspect, Case, declared
from handoff.rules.differences import Difference, broken, report, undeclared
from handoff.rules.policies import load, parse
from handoff.rules.reports import CLASSES, Answered, as_content, moved, read, read_filters, state_of
from handoff.rules.severities import SEVERITIES, of_interpreters, of_transports, of_versions
from handoff.rules.sides import Cargo, Consumer, Owner, Side, Stream

ALLOW = {"default": "allow"}
LAB = Side(
    "Lab",
    "creation",
    "Lab",
    Owner("Dana", "name:d", 1),
    "find",
    "3.11.7",
    {"numpy": "2.1.0", "seaborn": "0.13.2"},
    "8 CPU",
    ALLOW,
)
PLANT = Side(
    "Plant", "production", "IT", Owner("Otto", "name:o", 2), "run", "3.11.9", {"numpy": "2.1.3"}, "4 CPU", ALLOW
)
CARGO = Cargo(
    "d" * 64,
    "a" * 64,
    "b" * 64,
    ">=3.11,<3.13",
    {"numpy": ">=2,<3"},
    {"golden": "c" * 64},
    {"age": "int", "dose": "double"},
)
HELD = declared({}, kind="production", tier="high", acknowledge="it_operations")


def by_key(*args: Any, **more: Any) -> dict[str, Difference]:
    return {item.key: item for item in report(*args, **more)}


def test_each_item_says_its_class_its_severity_with_the_reason_its_rule_and_who_answers() -> None:
    items = by_key(CARGO, LAB, PLANT, {}, HELD)
    assert {item.facet for item in items.values()} == set(FACETS)
    assert all(item.severity in SEVERITIES and item.reason and item.rule for item in items.values())
    assert all(item.classed in CLASSES and item.role == "it_operations" for item in items.values())
    told = {key: (one.classed, one.severity, one.reason) for key, one in items.items()}
    assert told["requirements.golden"] == ("locked", "none", "equal by digest")
    assert told["tools.python"] == ("constrained", "low", "interpreter change: patch version change")
    assert told["packages.numpy"] == ("constrained", "low", "patch version change")
    assert told["packages.seaborn"] == ("expected", "low", "only in the source")
    assert told["tools.hardware"] == ("undeclared", "medium", "other hardware: speed and memory may differ")
    assert told["people.organisation"][:2] == ("expected", "medium")
    assert told["data.transport"] == ("expected", "medium", "from a file to a service")
    assert told["data.field.age"] == ("constrained", "none", "equal")
    assert undeclared(tuple(items.values())) == ("tools.hardware",)
    assert items["people.organisation"].rule == "free to differ"
    assert {one.classed for one in items.values() if "nobody declared" in one.rule} == {"undeclared"}


@pytest.mark.parametrize(
    ("here", "there", "level", "word"),
    [
        ("1.4.2", "1.4.2", "none", "equal"),
        ("1.4.2", "1.4.3", "low", "patch"),
        ("1.4.2", "1.5.0", "medium", "minor"),
        ("1.4.2", "2.0.0", "high", "major"),
        ("2.0.0", "1.4.2", "high", "backwards"),
        ("1.4.2", "1!1.4.2", "high", "major"),
        ("1.4", "1.4.0", "low", "written differently"),
        ("1.4.2", "", "high", "not installed in the target"),
        ("", "1.4.2", "medium", "not installed in the source"),
        ("1.4.2", "nightly", "high", "cannot be compared"),
    ],
)
def test_versions_are_as_far_apart_as_their_first_number_that_differs(
    here: str, there: str, level: str, word: str
) -> None:
    found = of_versions(here, there)
    assert (found.level, word in found.reason) == (level, True)


def test_a_minor_version_of_python_breaks_compiled_packages() -> None:
    assert of_interpreters("3.11.7", "3.12.1") == ("medium", "interpreter change: minor version change")
    assert of_interpreters("", "3.12.1").level == "high"


@pytest.mark.parametrize(
    ("here", "there", "level", "reason"),
    [
        ("file, csv", "valkey, json", "medium", "from a file to a stream"),
        ("file, csv", "sql", "medium", "from a file to a table"),
        ("http, json", "http, binary", "low", "another encoding of a service"),
        ("kafka, avro", "kafka, avro", "none", "equal"),
        ("pigeon", "http, json", "medium", "from pigeon to a service"),
    ],
)
def test_another_transport_matters_by_what_it_is(here: str, there: str, level: str, reason: str) -> None:
    assert of_transports(here, there) == (level, reason)


def test_streams_and_consumers_are_itemised_under_their_slots() -> None:
    target = replace(
        PLANT,
        streams={
            "input": Stream("valkey", "json", fields={"age": "int"}),
            "alerts": Stream("http", "json"),
        },
        consumers={"dashboard": Consumer(Owner("Iris", "name:s", 4), "watch doses")},
    )
    source = replace(LAB, streams={"input": Stream("file", "csv")})
    items = by_key(CARGO, source, target, {"consumers": ["report"]}, HELD)
    assert items["data.transport"].reason == "from a file to a stream"
    assert items["outputs.transport.alerts"].target == "http, json"
    assert items["outputs.consumer.dashboard"].target == "watch doses, Iris"
    assert items["outputs.consumer.report"].reason == "new consumer"
    missing = items["data.field.dose"]
    assert (missing.holds, missing.severity) == (False, "high")
    assert missing.reason.startswith("missing field")
    assert [item.key for item in broken(tuple(items.values()))] == ["data.field.dose"]


def test_a_field_of_another_type_breaks_its_rule() -> None:
    target = replace(PLANT, streams={"input": Stream("sql", fields={"age": "string", "dose": "double"})})
    item = by_key(CARGO, LAB, target, {}, HELD)["data.field.age"]
    assert (item.holds, item.source, item.target, item.reason) == (False, "int", "string", "another type")


@pytest.mark.parametrize(
    ("packages", "policy", "reason"),
    [
        ({}, ALLOW, "not installed in the target"),
        ({"numpy": "3.0.0"}, ALLOW, "major version jump"),
        ({"numpy": "2.1.0"}, {"default": "prohibit"}, "prohibited by the target's import policy"),
    ],
)
def test_a_package_outside_its_rule_is_high_and_breaks_it(
    packages: dict[str, str], policy: dict[str, Any], reason: str
) -> None:
    items = report(CARGO, LAB, replace(PLANT, packages=packages, import_policy=policy), {}, HELD)
    [item] = broken(items)
    assert (item.key, item.severity, item.reason) == ("packages.numpy", "high", reason)


def test_an_exception_lets_a_prohibited_package_in_until_its_day() -> None:
    target = replace(PLANT, packages={"numpy": "2.1.0"}, import_policy={"default": "prohibit"})
    waived = replace(target, exceptions={"numpy": "2026-12-01"})
    items = report(CARGO, LAB, waived, {}, HELD)
    item = next(one for one in items if one.key == "packages.numpy")
    assert (item.equal, item.holds, item.waived_until, item.severity) == (True, True, "2026-12-01", "high")
    assert "until 2026-12-01" in item.rule
    assert state_of(item, None, now=item, today="2026-12-01") == "waived"
    assert state_of(item, None, now=item, today="2026-12-02") == "detected"
    over = moved(items, report(CARGO, LAB, target, {}, HELD))
    assert list(over) == ["packages.numpy"], "an exception that ran out stops the worker"
    outside = replace(waived, packages={"numpy": "3.0"})
    assert broken(report(CARGO, LAB, outside, {}, HELD)), "an exception is from the policy, not from the version"


# The lock policy


def with_aspects(**aspects: Any) -> dict[str, Any]:
    """Return the content of a policy with a lock policy; dots in names are written as __."""
    return {
        "policy": "x",
        "title": "X",
        "applies_to": {"risk_tiers": ["low", "high"], "target_kinds": ["staging", "production"]},
        "tests": ["golden"],
        "gates": {
            "review": {"signoffs": [{"key": "a", "role": "validator", "meaning": "review"}]},
            "release": {"signoffs": [{"key": "b", "role": "it_operations", "meaning": "approval"}]},
        },
        "aspects": {name.replace("__", "."): value for name, value in aspects.items()},
    }


def test_a_policy_without_aspects_means_the_usual() -> None:
    content = with_aspects()
    del content["aspects"]
    held = parse(content).held("production", "high")
    assert {name: one.freedom for name, one in held.items()} == {name: one.freedom for name, one in USUAL.items()}


def test_the_first_case_that_applies_speaks() -> None:
    content = with_aspects(
        tools__hardware={
            "freedom": "free",
            "answered_by": "analytic_engineer",
            "cases": [
                {"risk_tiers": ["high"], "target_kinds": ["production"], "freedom": "locked"},
                {"risk_tiers": ["high"], "freedom": "undeclared"},
            ],
        }
    )
    rules = parse(content)
    freedoms = {
        (kind, tier): rules.held(kind, tier)["tools.hardware"].freedom
        for kind in ("staging", "production")
        for tier in ("low", "high")
    }
    assert freedoms == {
        ("staging", "low"): "free",
        ("staging", "high"): "undeclared",
        ("production", "low"): "free",
        ("production", "high"): "locked",
    }
    locked = by_key(CARGO, LAB, PLANT, {}, rules.held("production", "high"))["tools.hardware"]
    assert (locked.classed, locked.holds, locked.severity) == ("locked", False, "high")
    assert locked.role == "analytic_engineer"
    free = by_key(CARGO, LAB, PLANT, {}, rules.held("production", "low"))["tools.hardware"]
    assert (free.classed, free.holds, free.asks) == ("expected", True, False)


def test_allowed_values_are_a_rule() -> None:
    held = parse(with_aspects(tools__hardware={"freedom": "constrained", "allowed": ["2 CPU", "4 CPU"]})).held(
        "production", "low"
    )
    item = by_key(CARGO, LAB, PLANT, {}, held)["tools.hardware"]
    assert (item.holds, item.rule) == (True, "allowed are 2 CPU, 4 CPU")
    item = by_key(CARGO, LAB, replace(PLANT, hardware="8 CPU"), {}, held)["tools.hardware"]
    assert (item.equal, item.holds, item.severity) == (True, False, "high")


def test_locked_packages_must_be_equal_and_inside_their_range() -> None:
    held = parse(with_aspects(packages__required="locked")).held("production", "low")
    assert not by_key(CARGO, LAB, PLANT, {}, held)["packages.numpy"].holds
    same = replace(PLANT, packages={"numpy": "2.1.0"})
    assert by_key(CARGO, LAB, same, {}, held)["packages.numpy"].holds
    assert not by_key(replace(CARGO, packages={"numpy": ">=3"}), LAB, same, {}, held)["packages.numpy"].holds


@pytest.mark.parametrize(
    ("aspects", "place", "words"),
    [
        ({"tools__colour": "free"}, "aspects.tools.colour", "is not known"),
        ({"data__input_schema": "free"}, "aspects.data.input_schema", "cannot be free"),
        ({"tools__python": "undeclared"}, "aspects.tools.python", "cannot be undeclared"),
        ({"tools__hardware": "loose"}, "aspects.tools.hardware.freedom", "must be one of"),
        ({"tools__hardware": "constrained"}, "aspects.tools.hardware", "no rule"),
        ({"tools__hardware": "undeclared"}, "aspects.tools.hardware", "nobody answers"),
        ({"tools__hardware": {"freedom": "free", "allowed": ["x"]}}, "aspects.tools.hardware", "no list"),
        ({"tools__hardware": {"freedom": "free", "allowed": "x"}}, "aspects.tools.hardware.allowed", "list"),
        ({"tools__hardware": {"answered_by": "boss"}}, "aspects.tools.hardware.answered_by", "must be one of"),
        ({"people__owner": {"cases": [{"freedom": "loose"}]}}, "aspects.people.owner.cases[0].freedom", "one of"),
        ({"people__owner": {"cases": [{"freedom": "free", "who": 1}]}}, "aspects.people.owner.cases[0].who", "known"),
        ({"people__owner": ["free"]}, "aspects.people.owner", "mapping"),
    ],
)
def test_a_lock_policy_that_is_not_one_is_refused_with_its_place(
    aspects: dict[str, Any], place: str, words: str
) -> None:
    with pytest.raises(Invalid) as refusal:
        parse(with_aspects(**aspects))
    assert words in refusal.value.fields[place]


PAPER = (Path(__file__).parents[2] / "docs" / "differences.md").read_text()


def test_the_paper_tells_the_usual_and_its_example_can_be_published() -> None:
    told = re.findall(r"^\| `(\w+\.\w+)` \| (\w+) \| ([\w, ]+) \| (\w+) \|$", PAPER, re.MULTILINE)
    assert told == [
        (name, one.freedom, "any" if one.can == ANY else ", ".join(one.can), one.changed_by)
        for name, one in USUAL.items()
    ]
    example = re.search(r"```yaml\n(.*?)```", PAPER, re.DOTALL)
    assert example
    content = with_aspects()
    content["gates"]["review"]["acknowledge"] = "it_operations"
    rules = parse(content | load(example.group(1)))
    assert rules.held("production", "high")["tools.hardware"].freedom == "locked"
    assert rules.held("staging", "high")["tools.hardware"].allowed == ("4 CPU", "8 CPU")


def test_the_strict_policy_that_comes_with_the_product_constrains_production() -> None:
    rules = parse(load((Path(__file__).parents[2] / "handoff" / "policies" / "strict.yaml").read_text()))
    aspects = {kind: rules.held(kind, "high")["packages.others"] for kind in ("staging", "production")}
    assert {kind: one.freedom for kind, one in aspects.items()} == {"staging": "free", "production": "constrained"}
    policy = {"default": "prohibit", "rules": {"numpy": {"answer": "allow"}}}
    target = replace(PLANT, packages={"numpy": "2.1.3", "polars": "2.0"}, import_policy=policy)
    items = report(CARGO, LAB, target, {}, rules.held("production", "high"))
    assert [item.key for item in broken(items)] == ["packages.polars"]
    assert next(item for item in items if item.key == "tools.hardware").role == "analytic_engineer"


# Kept, read again, compared, and put into states


LOCKED = {"people.owner": "locked", "outputs.consumers": "undeclared"}


def unnamed(items: tuple[Difference, ...]) -> tuple[Difference, ...]:
    """Return items with marks in the place of names."""
    return tuple(
        replace(one, source=one.unnamed.source, target=one.unnamed.target, unnamed=None) if one.unnamed else one
        for one in items
    )


def test_a_report_is_kept_and_told_of_in_sentences_without_a_name() -> None:
    fed = {"dashboard": Consumer(Owner("Iris", "name:s", 4), "watch doses")}
    locks = {name: replace(USUAL[name], freedom=freedom) for name, freedom in LOCKED.items()}
    held = declared(locks, kind="production", tier="low")
    here, there = replace(LAB, owner=PLANT.owner, consumers=fed), replace(PLANT, consumers=fed)
    before = report(CARGO, here, there, {}, held)
    assert not [name for name in ("Otto", "Iris") if name in str(as_content(before))]
    other = replace(there, owner=Owner("Ivan", "name:i", 3), consumers={"dashboard": Consumer(LAB.owner, "watch")})
    told = moved(before, report(CARGO, here, other, {}, held))
    assert told == moved(read(as_content(before)), report(CARGO, here, other, {}, held))
    assert told == {
        "people.owner": "Owner of the environment breaks its rule: account 3 in the target, was another when it was "
        "offered; locked: must be equal on both sides",
        "outputs.consumer.dashboard": "dashboard differs, and nobody has answered for it: watch, account 1 in the "
        "target, was another when it was offered",
    }
    assert moved(read(as_content(before)), before) == {} == moved(before, before), "by marks, and by names as it was"


def test_a_report_is_read_as_it_was_kept() -> None:
    items = report(CARGO, LAB, PLANT, {}, HELD)
    content = as_content(items)
    assert read(content) == unnamed(items)
    assert content["asked"] == {"tools.hardware": "it_operations"}


def test_a_report_of_the_first_release_is_still_read() -> None:
    old = {
        "key": "tools.hardware", "about": "tools", "name": "Hardware", "source": "8 CPU", "target": "4 CPU",
        "kind": "undeclared", "equal": False, "holds": True, "rule": "nobody said",
    }  # fmt: skip
    [item] = read({"items": [old], "undeclared": ["tools.hardware"]})
    assert (item.facet, item.classed, item.severity, item.asks) == ("tools", "undeclared", "low", True)


def test_an_offer_of_the_first_release_that_is_under_way_goes_on() -> None:
    kept = ("key", "name", "source", "target", "equal", "holds", "rule")
    new = {"requirements.golden", "data.field.age", "data.field.dose"}
    old = [
        {name: getattr(item, name) for name in kept} | {"about": item.facet, "kind": item.classed}
        for item in FROZEN
        if item.key not in new
    ]
    assert moved(read({"items": old}), FROZEN) == {}
    assert moved(read({"items": old}), report(CARGO, LAB, replace(PLANT, python="3.9.1"), {}, HELD)).keys() == {
        "tools.python"
    }


FROZEN = report(CARGO, LAB, PLANT, {}, HELD)
MOVES: list[tuple[str, Side, Cargo, list[str]]] = [
    ("nothing", PLANT, CARGO, []),
    ("a patch inside the range", replace(PLANT, packages={"numpy": "2.1.4"}), CARGO, []),
    ("another owner, declared free", replace(PLANT, owner=Owner("Ivan", "name:i", 3)), CARGO, []),
    ("a package outside its range", replace(PLANT, packages={"numpy": "3.0"}), CARGO, ["packages.numpy"]),
    ("a package gone", replace(PLANT, packages={}), CARGO, ["packages.numpy"]),
    ("Python outside its range", replace(PLANT, python="3.13.0"), CARGO, ["tools.python"]),
    ("other hardware than was acknowledged", replace(PLANT, hardware="2 CPU"), CARGO, ["tools.hardware"]),
    ("the hardware of the source after all", replace(PLANT, hardware="8 CPU"), CARGO, []),
    (
        "a policy that warns now",
        replace(PLANT, import_policy={"default": "warn"}),
        CARGO,
        ["packages.numpy"],
    ),
    ("a policy that prohibits now", replace(PLANT, import_policy={"default": "prohibit"}), CARGO, ["packages.numpy"]),
    ("other golden records", PLANT, replace(CARGO, elements={"golden": "e" * 64}), ["requirements.golden"]),
    ("no golden records any more", PLANT, replace(CARGO, elements={}), ["requirements.golden"]),
]


@pytest.mark.parametrize(("_case", "target", "cargo", "keys"), MOVES)
def test_only_what_came_in_the_way_stops_a_worker(_case: str, target: Side, cargo: Cargo, keys: list[str]) -> None:
    found = moved(FROZEN, report(cargo, LAB, target, {}, HELD))
    assert list(found) == keys
    assert all(found.values())


def test_what_was_broken_when_it_was_offered_is_no_news() -> None:
    items = report(CARGO, LAB, replace(PLANT, packages={}), {}, HELD)
    assert moved(items, items) == {}


HARDWARE = next(item for item in FROZEN if item.key == "tools.hardware")
EQUAL = replace(HARDWARE, target=HARDWARE.source, equal=True)
WAIVED = replace(HARDWARE, waived_until="2026-12-01")


@pytest.mark.parametrize(
    ("item", "answered", "now", "state"),
    [
        (HARDWARE, None, None, "detected"),
        (HARDWARE, None, HARDWARE, "detected"),
        (HARDWARE, Answered("Otto"), HARDWARE, "acknowledged"),
        (HARDWARE, Answered("Otto", "fine", "more memory"), HARDWARE, "mitigated"),
        (HARDWARE, Answered("Otto"), EQUAL, "resolved"),
        (WAIVED, None, None, "waived"),
        (replace(WAIVED, waived_until="2026-11-22"), None, None, "detected"),
        (EQUAL, None, EQUAL, ""),
    ],
)
def test_states_are_computed_from_facts(
    item: Difference, answered: Answered | None, now: Difference | None, state: str
) -> None:
    assert state_of(item, answered, now=now, today="2026-11-23") == state


def test_a_filter_that_nothing_can_match_is_refused() -> None:
    assert read_filters({"facet": "tools", "severity": ""}) == {"facet": "tools"}
    with pytest.raises(Invalid) as refusal:
        read_filters({"facet": "colour", "severity": "high"})
    assert list(refusal.value.fields) == ["facet"]


# Properties

VERSIONS = st.sampled_from(["1.0", "1.0.1", "1.1", "2.0", "2.0rc1", "0.9", "1!1.0", "nonsense"])
PACKAGES = st.dictionaries(st.sampled_from(["numpy", "scipy", "pandas", "polars", "lightgbm"]), VERSIONS)
WORDS = st.sampled_from(["", "one", "two", "three"])
POLICIES = st.sampled_from([{}, ALLOW, {"default": "warn"}, {"default": "prohibit"}])
PEOPLE = st.builds(lambda name: Owner(name, f"mark of {name}", len(name)), WORDS)
STREAMS = st.builds(
    Stream,
    transport=st.sampled_from(["file", "http", "valkey", "kafka", "sql"]),
    encoding=WORDS,
    fields=st.none() | st.dictionaries(st.sampled_from(["age", "dose", "site"]), st.sampled_from(["int", "double"])),
)
SIDES = st.builds(
    Side,
    name=WORDS,
    kind=st.sampled_from(["creation", "staging", "production"]),
    organisation=WORDS,
    owner=PEOPLE,
    purpose=WORDS,
    python=st.sampled_from(["3.11.7", "3.12.1", "3.9", ""]),
    packages=PACKAGES,
    hardware=WORDS,
    import_policy=POLICIES,
    streams=st.dictionaries(st.sampled_from(["input", "output", "alerts"]), STREAMS),
    consumers=st.dictionaries(WORDS.filter(bool), st.builds(Consumer, owner=PEOPLE, purpose=WORDS)),
    exceptions=st.dictionaries(st.sampled_from(["numpy", "scipy"]), st.just("2026-12-31")),
    systems=WORDS,
    requirements=WORDS,
)
CARGOES = st.builds(
    Cargo,
    digest=st.just("d" * 64),
    input_schema=st.just("a" * 64),
    output_schema=st.just("b" * 64),
    python=st.sampled_from([">=3.11", ">=3.9", "", "nonsense"]),
    packages=st.dictionaries(st.sampled_from(["numpy", "scipy", "pandas"]), st.sampled_from([">=1", "<2", ""])),
    elements=st.dictionaries(st.sampled_from(["golden", "model", "runtime"]), st.just("c" * 64)),
    fields=st.dictionaries(st.sampled_from(["age", "dose"]), st.sampled_from(["int", "double"])),
)


def an_aspect(usual: Aspect) -> st.SearchStrategy[Aspect]:
    """Draw what a policy may say of an aspect: a freedom that it can have, and a case."""
    freedoms = st.sampled_from(usual.can)
    cases = st.lists(st.builds(Case, freedom=freedoms, risk_tiers=st.sampled_from([(), ("high",)])), max_size=1)
    return st.builds(lambda freedom, found: replace(usual, freedom=freedom, cases=tuple(found)), freedoms, cases)


LOCKS = st.fixed_dictionaries({}, optional={name: an_aspect(usual) for name, usual in USUAL.items()})
BINDINGS = st.fixed_dictionaries({}, optional={"consumers": st.lists(WORDS.filter(bool), unique=True)})


@given(CARGOES, SIDES, SIDES, LOCKS, BINDINGS)
@settings(suppress_health_check=[HealthCheck.too_slow])  # a busy machine takes a second for the first of so many
def test_no_item_is_lost_and_each_has_one_key(
    cargo: Cargo, source: Side, target: Side, locks: dict[str, Aspect], bindings: dict[str, Any]
) -> None:
    held = declared(locks, kind=target.kind, tier="high", acknowledge="it_operations")
    items = report(cargo, source, target, bindings, held)
    keys = [item.key for item in items]
    assert len(keys) == len(set(keys))
    wanted = {f"packages.{name}" for name in {*source.packages, *target.packages, *cargo.packages}}
    wanted |= {f"data.field.{name}" for name in cargo.fields} | {f"requirements.{name}" for name in cargo.elements}
    wanted |= {
        f"outputs.consumer.{name}" for name in {*source.consumers, *target.consumers, *bindings.get("consumers", [])}
    }
    wanted |= {"people.organisation", "people.owner", "purpose.kind", "purpose.purpose", "tools.python"}
    wanted |= {"tools.hardware", "data.transport", "outputs.transport", "requirements.version"}
    wanted |= {"tools.systems"} if source.systems or target.systems else set()
    wanted |= {"requirements.environment"} if source.requirements or target.requirements else set()
    assert wanted <= set(keys)
    assert {"tools.systems", "requirements.environment"} & set(keys) <= wanted  # what nobody says is no line
    assert read(as_content(items)) == unnamed(items)


@given(CARGOES, SIDES, SIDES, LOCKS)
def test_every_item_agrees_with_itself(cargo: Cargo, source: Side, target: Side, locks: dict[str, Aspect]) -> None:
    held = declared(locks, kind=target.kind, tier="high", acknowledge="it_operations")
    for item in report(cargo, source, target, {}, held):
        assert item.equal == (item.source == item.target)
        assert (item.severity == "none") == (item.equal and item.holds and not item.waived_until)
        assert item.severity == "high" or item.holds
        if item.classed == "locked":
            assert item.holds <= item.equal
        if item.classed == "expected":
            assert item.holds
        assert held[item.aspect].freedom in FREEDOMS


@given(CARGOES, SIDES, LOCKS)
def test_equal_sides_do_not_differ(cargo: Cargo, side: Side, locks: dict[str, Aspect]) -> None:
    streams = {"input": Stream("http", "json"), "output": Stream("http", "json"), **side.streams}
    side = replace(side, streams=streams, packages=dict.fromkeys(cargo.packages, "1.0") | dict(side.packages))
    items = report(cargo, side, side, {}, declared(locks, kind=side.kind, tier="low"))
    assert [item.key for item in items if not item.equal] == []
    assert undeclared(items) == ()


@given(CARGOES, SIDES, SIDES)
def test_what_differs_one_way_differs_the_other_way(cargo: Cargo, one: Side, other: Side) -> None:
    """The roles of the sides are not alike: rules are those of the target. Whether two values agree is."""
    usual = {"input": Stream("http"), "output": Stream("http")}
    one, other = (replace(side, streams=usual | dict(side.streams)) for side in (one, other))
    there, back = by_key(cargo, one, other, {}, HELD), by_key(cargo, other, one, {}, HELD)
    assert there.keys() == back.keys()
    for key, item in there.items():
        if key.startswith("packages.") and "not installed" in (item.source, back[key].source):
            continue  # a missing package that is asked for is told by its absence on one side only
        assert (item.source, item.target) == (back[key].target, back[key].source)
        assert item.equal == back[key].equal


@given(CARGOES, SIDES, SIDES)
def test_a_report_that_did_not_change_stops_nobody(cargo: Cargo, source: Side, target: Side) -> None:
    items = report(cargo, source, target, {}, HELD)
    assert moved(items, items) == {}
    assert moved(read(as_content(items)), items) == {}


@given(CARGOES, SIDES, SIDES, SIDES)
def test_what_is_new_in_the_way_is_told_and_nothing_else(cargo: Cargo, source: Side, old: Side, new: Side) -> None:
    before, now = report(cargo, source, old, {}, HELD), report(cargo, source, new, {}, HELD)
    stood = {(i.key, i.target, i.classed, i.holds) for i in before}
    fresh = {i.key for i in now if i.blocks and (i.key, i.target, i.classed, i.holds) not in stood}
    assert set(moved(before, now)) == fresh
