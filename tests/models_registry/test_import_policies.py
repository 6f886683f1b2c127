"""What import policies say to libraries: to installed ones, and to ranges that a version asks for."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from packaging.specifiers import SpecifierSet
from rest_framework.test import APIClient

from audit.models import AuditEvent
from engine.import_policy import ANSWERS
from models_registry.models import Environment
from models_registry.rules.import_policies import rows_of, verdict_on, verdict_on_range, verdicts_on
from models_registry.rules.strict_yaml import plain_from, text_of
from tests.handoff.building import Place


@pytest.mark.parametrize(
    ("policy", "version", "answer"),
    [
        ({}, "1.0", "warn"),
        ({"default": "prohibit"}, "1.0", "prohibit"),
        ({"rules": {"x": {"answer": "allow", "versions": ">=1,<2"}}}, "1.5", "allow"),
        ({"rules": {"x": {"answer": "allow", "versions": ">=1,<2"}}}, "2.0", "prohibit"),
        ({"rules": {"x": {"answer": "maybe"}}}, "1.0", "prohibit"),
        ({"rules": {"x": {"answer": "allow", "versions": "nonsense"}}}, "1.0", "prohibit"),
        ({"rules": [], "default": "allow"}, "1.0", "prohibit"),
        ({"rulez": {}, "default": "allow"}, "1.0", "prohibit"),
    ],
)
def test_a_policy_answers_and_fails_closed(policy: dict[str, Any], version: str, answer: str) -> None:
    assert verdict_on(policy, "x", version).answer == answer


def test_the_worst_comes_first() -> None:
    policy = {"default": "allow", "rules": {"b": {"answer": "prohibit"}, "c": {"answer": "warn"}}, "licences": ["MIT"]}
    found = verdicts_on(policy, {"a": "1", "b": "1", "c": "1", "d": "1"}, {"d": "GPL-3.0"})
    assert [(one.library, one.answer) for one in found] == [
        ("b", "prohibit"), ("d", "prohibit"), ("c", "warn"), ("a", "allow"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("wanted", "installed", "rule", "install", "answer", "nearest"),
    [
        (">=1.30,<2", "1.32.0", ">=1.30,<2", "", "allow", "1.32.0"),
        (">=1.30,<2", "", ">=1.30,<2", "1.31.0", "allow", "1.31.0"),
        (">=1.30,<2", "", ">=1.30,<2", "", "allow", ""),
        (">1.0", "", ">=0.9,<2", "", "allow", ""),  # what lies in both has no end that either names
        ("<2", "", "<3", "", "allow", ""),
        ("", "", "==1.4.*", "", "allow", ""),
        (">=3", "", ">=1,<2", "1.5", "prohibit", "1.5"),
        (">=1,<2", "2.5", ">=2,<3", "", "prohibit", ""),
        ("nonsense", "1", ">=1", "", "prohibit", ""),
    ],
)
def test_what_a_version_asks_for_is_answered_before_anything_is_installed(
    wanted: str, installed: str, rule: str, install: str, answer: str, nearest: str
) -> None:
    policy: dict[str, Any] = {"rules": {"x": {"answer": "allow", "versions": rule}}}
    policy |= {"install": {"x": install}} if install else {}
    found = verdict_on_range(policy, "X", wanted, installed)
    assert (found.answer, found.nearest) == (answer, nearest)


BOUND = st.tuples(st.sampled_from([">=", ">", "<", "<=", "=="]), st.integers(0, 4), st.integers(0, 2))
RANGE = st.lists(BOUND, min_size=1, max_size=2).map(lambda ends: ",".join(f"{op}{a}.{b}" for op, a, b in ends))
GRID = [f"{a}.{b}{more}" for a in range(6) for b in range(4) for more in ("", ".5")]


@given(wanted=RANGE, rule=RANGE)
def test_a_range_is_let_in_whenever_some_version_lies_in_both(wanted: str, rule: str) -> None:
    """A grid of versions is the judge: whatever it finds in both, the rule must find, too."""
    said = verdict_on_range({"rules": {"x": {"answer": "allow", "versions": rule}}}, "x", wanted).answer
    if any(one in SpecifierSet(wanted) and one in SpecifierSet(rule) for one in GRID):
        assert said == "allow"
    elif said == "allow":  # then between two points of the grid
        both = SpecifierSet(f"{wanted},{rule}")
        assert any(f"{a}.{b}.{c}" in both for a in range(6) for b in range(4) for c in range(6))


def test_rows_show_every_rule_and_what_is_only_installed() -> None:
    rules = {"b": [{"answer": "warn", "versions": "<2"}, {"answer": "allow", "reason": "New."}]}
    rows = rows_of({"default": "allow", "rules": rules, "install": {"a": "1.0", "B": "2.1"}})
    assert [(r.library, r.answer, r.versions, r.reason, r.install) for r in rows] == [
        ("a", "allow", "", "", "1.0"), ("b", "warn", "<2", "", "2.1"), ("b", "allow", "", "New.", "2.1"),
    ]  # fmt: skip
    assert rows_of({"rules": 3}) == []


@given(
    st.dictionaries(
        st.sampled_from(["numpy", "torch", "dill"]),
        st.fixed_dictionaries({"answer": st.sampled_from(ANSWERS), "reason": st.text("abc: #'\"é-", max_size=20)}),
    )
)
def test_a_policy_survives_being_shown_and_typed_again(rules: dict[str, Any]) -> None:
    policy = {"default": "allow", "rules": rules}
    assert plain_from(text_of(policy)) == policy


@pytest.mark.parametrize(
    ("policy", "code"),
    [
        ({"default": "maybe"}, "policy_malformed"),
        ({"rulez": {}}, "policy_unknown_key"),
        ({"rules": {"numpy": {"answer": "allow", "versions": "newest"}}}, "policy_malformed"),
        ({"rules": {"a-b": {"answer": "allow"}, "a_b": {"answer": "warn"}}}, "policy_malformed"),
        ({"rules": {"x": {"answer": "prohibit"}}, "install": {"x": "1"}}, "policy_malformed"),
        ({"rules": {"x": {"answer": "allow", "reason": "long" * 70000}}}, "invalid"),
    ],
)
def test_an_odd_policy_is_refused_over_the_api(policy: Any, code: str, place: Place, api: Any) -> None:
    place.dana.is_staff = True
    place.dana.save(update_fields=["is_staff"])
    client: APIClient = api("dana")
    events = AuditEvent.objects.count()
    answer = client.patch(
        "/api/v1/environments/production/", {"import_policy": policy}, format="json", HTTP_IF_MATCH='"1"'
    )
    assert (answer.status_code, answer.json()["code"]) == (422, code)
    assert answer.json()["fields"]["import_policy"]
    environment = Environment.objects.get(slug="production")
    assert (environment.import_policy, environment.revision, AuditEvent.objects.count()) == ({}, 1, events)
