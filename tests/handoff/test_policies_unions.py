"""Several policies that apply to one handoff: their union counts, and none is a way around another."""

from itertools import product
from typing import Any

import pytest
import yaml
from django.conf import settings
from django.urls import reverse
from rest_framework.test import APIClient

from audit.models import AuditEvent
from handoff.errors import Conflicting, Invalid, NotReady, WrongState
from handoff.facts import rules_of
from handoff.models import Handoff, PolicyRevision
from handoff.queries.packs import policy_texts
from handoff.rules.policies import digest_of, load, parse
from handoff.rules.policy_changes import demands
from handoff.rules.reading import LONGEST_TEXT
from handoff.rules.subjects import Subject
from handoff.rules.unions import applied_in, union
from handoff.services import handoffs, policies
from models_registry.models import RegisteredModelUserGrant
from models_registry.services import roles
from tests.handoff import walking
from tests.handoff.building import Place
from tests.handoff.test_policies_rules import GOOD
from tests.handoff.walking import by, client_of

LIGHT = (settings.BASE_DIR / "handoff/policies/light.yaml").read_text()
LIGHTER = """
policy: another
title: Another
applies_to: {risk_tiers: [low, medium], target_kinds: [production]}
tests: [integrity]
gates:
  review: {signoffs: [{key: acceptance, role: it_operations, meaning: responsibility}]}
  release: {signoffs: [{key: release, role: it_operations, meaning: approval}]}
"""
FREEZE = LIGHTER + "freezes: [{name: Year end, zone: UTC, from: 2020-12-18, to: 2021-01-04}]\nexpires_after_days: 5\n"


def other(**changes: Any) -> dict[str, Any]:
    """Return a second policy that differs from the good one."""
    return GOOD | {"policy": "q", "title": "Q"} | changes


def united(one: dict[str, Any], two: dict[str, Any], tier: str = "high") -> dict[str, Any]:
    """Return the union of two policies."""
    return union([(one, 1), (two, 2)], Subject("production", tier))


def gates(**signoff: Any) -> dict[str, Any]:
    """Return gates whose release asks for one sign-off."""
    row = {"key": "release", "role": "it_operations", "meaning": "approval"} | signoff
    return {"review": GOOD["gates"]["review"], "release": {"signoffs": [row]}}


def test_the_union_names_its_policies_and_does_not_depend_on_their_order() -> None:
    found = united(GOOD, other())
    assert found == union([(other(), 2), (GOOD, 1)], Subject("production", "high"))
    assert [one["policy"] for one in found["union_of"]] == ["p", "q"]
    assert found["union_of"][0] == {"policy": "p", "revision": 1, "digest": digest_of(GOOD)}
    assert applied_in(found) == ("p", "q")
    assert parse(found).title == "P + Q"


def test_a_version_that_promises_less_or_nothing_is_lax() -> None:
    asked = {"metrics": {"rmse": 5}, "latency_p99_ms": 9, "peak_memory_mb": 90}
    demanded = parse(GOOD | {"thresholds": asked}).thresholds
    good = {"metrics": [{"name": "rmse", "maximum": 5}], "latency_p99_ms": 9, "peak_memory_mb": 90}
    assert demanded.lax_in(good) == {}
    assert set(demanded.lax_in({})) == {"thresholds.rmse", "thresholds.latency_p99_ms", "thresholds.peak_memory_mb"}
    assert set(demanded.lax_in(good | {"latency_p99_ms": 9.1})) == {"thresholds.latency_p99_ms"}
    assert set(demanded.words()) == {"rmse", "latency_p99_ms", "peak_memory_mb"}
    with pytest.raises(Invalid) as refusal:
        parse(GOOD | {"thresholds": {"metrics": {"speed": 5}}})
    assert list(refusal.value.fields) == ["thresholds.metrics.speed"]


def test_it_demands_all_that_any_of_them_demands() -> None:
    """Over pairs of many small policies: nothing that one demands is missing from the union, or is looser there."""
    variants = [
        {}, {"tests": ["latency"]}, {"elements": ["model"]}, {"expires_after_days": 3}, {"drift": "report"},
        {"thresholds": {"metrics": {"rmse": 5, "r2": 0.5}, "latency_p99_ms": 9}},
        {"thresholds": {"metrics": {"rmse": 4, "r2": 0.4}, "peak_memory_mb": 9}},
        {"windows": [{"zone": "UTC", "open": [{"from": "09:00", "to": "10:00"}]}]},
        {"freezes": [{"name": "f", "zone": "UTC", "from": "2026-01-01", "to": "2026-01-02"}]},
        {"gates": gates(key="other", role="validator")}, {"gates": gates(count=2)}, {"gates": gates(meaning="review")},
    ]  # fmt: skip
    for first, second in product(variants, repeat=2):
        one, two = GOOD | first, other(**second)
        found = parse(united(one, two))
        for rules in map(parse, (one, two)):
            assert set(rules.tests) <= set(found.tests)
            assert set(rules.elements) <= set(found.elements)
            assert found.expires_after_days <= rules.expires_after_days
            assert found.drift == "suspend" or rules.drift == "report"
            assert set(rules.windows) <= set(found.windows)
            assert set(rules.freezes) <= set(found.freezes)
            assert not lax(rules.thresholds, found.thresholds)
            for gate in rules.gates.values():
                for rule in gate.signoffs:
                    there = [
                        r for r in found.gate(gate.name).signoffs if (r.role, r.meaning) == (rule.role, rule.meaning)
                    ]
                    assert any(r.count >= rule.count for r in there), (first, second)


def lax(demanded: Any, given: Any) -> bool:
    """Tell whether thresholds demand less than others."""
    own = {
        "metrics": [{"name": name, "minimum": limit, "maximum": limit} for name, limit in given.metrics.items()],
        "latency_p99_ms": given.latency_p99_ms,
        "peak_memory_mb": given.peak_memory_mb,
    }
    return bool(demanded.lax_in(own))


@pytest.mark.parametrize(
    ("one", "two", "waited"),
    [
        ({}, {"advisory": True}, {"low", "medium", "high"}),
        ({"required_above": "low"}, {"advisory": True}, {"medium", "high"}),
        ({"required_above": "low"}, {"required_above": "medium"}, {"medium", "high"}),
        ({"required_above": "medium"}, {}, {"low", "medium", "high"}),
    ],
)
def test_the_one_that_is_waited_for_more_often_stands(one: Any, two: Any, waited: set[str]) -> None:
    always = {"key": "always", "role": "validator", "meaning": "approval"}

    def asking(more: Any) -> dict[str, Any]:
        found = gates(**more)
        found["release"]["signoffs"].append(always)
        return found

    for first, second in ((one, two), (two, one)):
        rules = parse(united(GOOD | {"gates": asking(first)}, other(gates=asking(second))))
        rule = rules.gate("release").signoff("release")
        assert rule is not None
        assert {tier for tier in ("low", "medium", "high") if rule.needed(tier)} == waited


def test_the_same_key_for_something_else_is_asked_twice() -> None:
    found = parse(united(GOOD, other(gates=gates(role="validator"))))
    assert [rule.key for rule in found.gate("release").signoffs] == ["release", "q-release"]
    before = {"key": "early", "role": "validator", "meaning": "review"}
    after = {"key": "release", "role": "risk_compliance", "meaning": "approval", "after": ["early"]}
    found = parse(united(GOOD, other(gates=gates() | {"release": {"signoffs": [before, after]}})))
    rule = found.gate("release").signoff("q-release")
    assert rule is not None
    assert rule.after == ("early",)


def test_items_accept_only_evidence_that_both_accept() -> None:
    def asking(evidence: list[str]) -> dict[str, Any]:
        item = {"key": "purpose", "question": "Written down?", "role": "data_scientist", "evidence": evidence}
        return {"review": GOOD["gates"]["review"] | {"checklist": [item]}, "release": GOOD["gates"]["release"]}

    for one, two, expected in (
        (["file", "link"], ["link"], [("link",)]),
        ([], ["file"], [("file",)]),
        (["file"], ["link"], [("file",), ("link",)]),
    ):
        found = parse(united(GOOD | {"gates": asking(one)}, other(gates=asking(two))))
        assert [item.evidence for item in found.gate("review").checklist] == expected


def test_aspects_are_as_free_as_the_least_free() -> None:
    def held(one: Any, two: Any) -> Any:
        content = united(GOOD | {"aspects": {"tools.hardware": one}}, other(aspects={"tools.hardware": two}))
        return parse(content).held("production", "high")["tools.hardware"]

    allowed = {"freedom": "constrained", "allowed": ["a", "b"]}
    assert held("free", "locked").freedom == "locked"
    assert held("free", allowed).allowed == ("a", "b")
    assert held(allowed, {"freedom": "constrained", "allowed": ["b", "c"]}).allowed == ("b",)
    assert held(allowed, {"freedom": "constrained", "allowed": ["c"]}).freedom == "locked"
    answered = held("free", {"freedom": "undeclared", "answered_by": "validator"})
    assert (answered.freedom, answered.answered_by) == ("undeclared", "validator")


def test_what_cannot_hold_together_is_refused() -> None:
    one = GOOD | {"gates": {**GOOD["gates"], "review": GOOD["gates"]["review"] | {"acknowledge": "it_operations"}}}
    two = other(gates={**GOOD["gates"], "review": GOOD["gates"]["review"] | {"acknowledge": "validator"}})
    with pytest.raises(Conflicting, match="it_operations and by validator"):
        united(one, two)
    rows = {row["key"]: row for row in GOOD["gates"]["review"]["signoffs"]}
    turned = [{**rows["validation"], "after": ["risk"]}, {**rows["risk"], "after": []}]
    with pytest.raises(Conflicting, match="in a circle"):
        united(GOOD, other(gates={**GOOD["gates"], "review": {"signoffs": turned}}))


def test_only_waivers_that_both_allow_are_allowed() -> None:
    """Attack: publish a policy that allows waivers beside one that allows none."""
    allowing = {"waivers": {"approver": "risk_compliance", "max_days": 60}}
    for none in ({}, {"waivers": None}):
        assert not parse(united(GOOD | none, other(**allowing))).waivers.approver
        assert not parse(united(GOOD | allowing, other(**none))).waivers.approver
    shorter = {"waivers": {"approver": "risk_compliance", "max_days": 70, "warn_days": 30}}
    found = parse(united(GOOD | allowing, other(**shorter))).waivers
    assert (found.approver, found.max_days, found.warn_days) == ("risk_compliance", 60, 30)
    with pytest.raises(Conflicting, match=r"waivers\.approver"):
        united(GOOD | allowing, other(waivers={"approver": "validator"}))


def test_amendments_are_signed_by_all_whom_either_names() -> None:
    """Attack: publish a policy that lets one role sign for outputs beside the usual one."""
    narrow = {"amendments": {"outputs": ["data_scientist"]}}
    for one, two in ((GOOD, other(**narrow)), (GOOD | narrow, other())):
        assert parse(united(one, two)).amendments == {"outputs": ("data_scientist", "integration_owner")}
    found = parse(united(GOOD | narrow, other(amendments={"outputs": ["validator"]}))).amendments
    assert found == {"outputs": ("data_scientist", "validator")}
    assert not parse(united(GOOD, other())).amendments


def test_a_union_speaks_for_what_is_handed_over_alone() -> None:
    named = {**GOOD["applies_to"], "model_types": ["ranking", "other"]}
    subject = Subject("production", "low", "ranking")
    found = union([(GOOD, 1), (other(applies_to=named), 2)], subject)
    assert found["applies_to"] == {"risk_tiers": ["low"], "target_kinds": ["production"], "model_types": ["ranking"]}
    assert "model_types" not in union([(GOOD, 1), (other(), 2)], subject)["applies_to"]
    assert "model_types" not in united(GOOD, other(applies_to=named))["applies_to"]  # nobody knows of which type it is
    assert len(united(GOOD | {"title": "x" * LONGEST_TEXT}, other())["title"]) == LONGEST_TEXT


def test_an_approval_that_runs_out_does_so_after_the_fewer_days() -> None:
    def days(one: Any, two: Any) -> int:
        found = parse(united(GOOD | {"gates": gates(**one)}, other(gates=gates(**two))))
        return found.gate("release").signoffs[0].valid_days

    assert days({"valid_days": 9}, {"valid_days": 5}) == days({"valid_days": 5}, {}) == days({}, {"valid_days": 5}) == 5
    assert days({}, {}) == 0


def test_a_quorum_asks_for_as_many_as_the_larger_one() -> None:
    def asking(count: int, of: list[str]) -> dict[str, Any]:
        row = {"key": "release", "quorum": {"count": count, "of": of}, "meaning": "approval"}
        return {"review": GOOD["gates"]["review"], "release": {"signoffs": [row]}}

    three = ["it_operations", "validator", "model_owner"]
    found = parse(united(GOOD | {"gates": asking(1, three)}, other(gates=asking(2, three))))
    assert [(rule.key, rule.count) for rule in found.gate("release").signoffs] == [("release", 2)]
    found = parse(united(GOOD | {"gates": asking(2, three[:2])}, other(gates=asking(1, three))))
    assert [(rule.key, rule.count) for rule in found.gate("release").signoffs] == [("release", 2), ("q-release", 1)]


def test_what_is_renamed_is_named_so_wherever_it_is_meant() -> None:
    """An item under a key that asks for something else is asked beside it, and what hangs on it hangs on it still."""
    item = {"key": "purpose", "question": "Something else?", "role": "validator"}
    then = {"key": "then", "question": "And then?", "role": "validator", "visible_if": {"purpose": "yes"}}
    first = {"key": "validation", "role": "model_owner", "meaning": "review"}
    after = {"key": "late", "role": "validator", "meaning": "approval", "after": ["validation"]}
    review = {"checklist": [item, then], "signoffs": [first, after]}
    two = other(policy="q" * 48, gates={"review": review, "release": GOOD["gates"]["release"]})
    found = parse(united(GOOD, two)).gate("review")
    renamed = f"{'q' * 48}-p"
    assert [one.key for one in found.checklist] == ["purpose", renamed, "then"]
    assert found.checklist[2].visible_if == ((renamed, ("yes",)),)
    assert [(one.key, one.after) for one in found.signoffs] == [
        ("validation", ()), ("risk", ("validation",)), (f"{'q' * 48}-v", ()), ("late", (f"{'q' * 48}-v",)),
    ]  # fmt: skip
    assert [one.key for one in parse(united(GOOD, other())).gate("review").checklist] == ["purpose"]


def test_who_changes_an_aspect_is_whom_one_of_them_names() -> None:
    def held(one: Any, two: Any) -> Any:
        content = united(GOOD | {"aspects": {"tools.hardware": one}}, other(aspects={"tools.hardware": two}))
        return parse(content).held("production", "high")["tools.hardware"]

    named = {"freedom": "free", "changed_by": "validator"}
    usual = held("free", "free").changed_by
    assert usual != "validator"
    assert held(named, "free").changed_by == held("free", named).changed_by == "validator"
    both = held({"freedom": "constrained", "allowed": ["a"]}, {"freedom": "free", "allowed": []})
    assert (both.freedom, both.allowed) == ("constrained", ("a",))
    only_one = union(
        [(GOOD | {"aspects": {"tools.hardware": "locked"}}, 1), (other(), 2)], Subject("production", "high")
    )
    assert list(only_one["aspects"]) == ["tools.hardware"]


# At the doors


@pytest.fixture
def site(db: None, store: Any) -> Place:
    return walking.a_site()


@pytest.mark.django_db
def test_a_second_weaker_policy_takes_nothing_away(site: Place) -> None:
    """Attack: publish a lighter policy beside the first, and offer again."""
    before = walking.offered(site)
    handoffs.withdraw(actor=by(site.dana), handoff_id=str(before.pk), reason="Under a lighter one.")
    policies.publish(actor=by(site.ada), source=LIGHTER)
    again = handoffs.draft(
        actor=by(site.dana), model=site.model.slug, version=1, source="workbench", target="production"
    )
    handoff = handoffs.offer(actor=by(site.dana), handoff_id=str(again.pk))
    was, now = demands(rules_of(before), "production", "medium"), demands(rules_of(handoff), "production", "medium")
    assert was.items() <= now.items()
    assert [one["policy"] for one in handoff.policies] == ["another", "light"]
    event = AuditEvent.objects.get(chain=f"handoff:{handoff.pk}", action="handoff.offered")
    assert "another r1 + light r1" in event.body
    texts = policy_texts(handoff)  # in the evidence pack
    assert [one["policy"] for one in yaml.safe_load_all(texts)] == ["another", "light"]
    assert policy_texts(before) == LIGHT
    period = {"since": "2020-01-01T00:00:00Z", "until": "2100-01-01T00:00:00Z"}
    table: Any = client_of(site.dana).get("/api/v1/changes/", period)
    assert b"another r1 + light r1" in b"".join(table.streaming_content)
    assert "another r1 + light r1" in client_of(site.dana).get(reverse("handoffs"), {"view": "list"}).content.decode()
    html = client_of(site.dana).get(reverse("handoff", args=[handoff.pk])).content.decode()
    assert reverse("policy-revision", args=["another", 1]) in html
    assert reverse("policy-revision", args=["light", 1]) in html


@pytest.mark.django_db
def test_two_policies_walk_a_handoff_together(site: Place) -> None:
    policies.publish(actor=by(site.ada), source=FREEZE)
    handoff = walking.ready(site)
    rules = rules_of(handoff)
    assert (rules.expires_after_days, [one.name for one in rules.freezes]) == (5, ["Year end"])
    walking.sign(handoff, site.otto, "release")
    assert handoff.state == "deploying"


@pytest.mark.django_db
def test_a_policy_that_cannot_hold_beside_another_is_not_published(site: Place) -> None:
    clashing = LIGHTER.replace("review: {signoffs", "review: {acknowledge: validator, signoffs")
    revisions = PolicyRevision.objects.count()
    with pytest.raises(Conflicting) as refusal:
        policies.publish(actor=by(site.ada), source=clashing)
    assert refusal.value.code == "policies_conflict"
    assert PolicyRevision.objects.count() == revisions
    elsewhere = clashing.replace("[low, medium]", "[high]")
    policies.publish(actor=by(site.ada), source=elsewhere)


@pytest.mark.django_db
def test_policies_that_came_to_clash_stand_in_the_way_of_an_offer(site: Place) -> None:
    light = PolicyRevision.objects.get()
    clashing = load(LIGHTER.replace("review: {signoffs", "review: {acknowledge: validator, signoffs"))
    policy = type(light.policy).objects.create(slug="another", title="Another")
    policy.revisions.create(number=1, source="", content=clashing, digest=digest_of(clashing))
    draft = walking.drafted(site)
    with pytest.raises(NotReady, match="differences are acknowledged by"):
        handoffs.offer(actor=by(site.dana), handoff_id=str(draft.pk))
    assert Handoff.objects.get(pk=draft.pk).state == "draft"


@pytest.mark.django_db
def test_a_union_is_nothing_that_anybody_publishes(site: Place) -> None:
    client = client_of(site.ada)
    answer = client.post(reverse("policy-publish"), {"source": LIGHT + "union_of: []\n"})
    assert answer.status_code == 422
    assert "union_of" in answer.context["form"].problem.fields


def take_away(door: str, site: Place) -> None:
    """Take the validator's role from the one who holds it."""
    model, held = site.model.slug, {"role": "validator", "holder": "vera"}
    if door == "service":
        roles.revoke(actor=by(site.ada), model=model, **held)
    elif door == "API":
        client = APIClient()
        client.force_authenticate(site.ada)
        assert client.delete(reverse("api:model-roles", args=[model]), held, format="json").status_code in (200, 204)
    else:
        grant = RegisteredModelUserGrant.objects.get(user=site.vera)
        address = reverse("admin:models_registry_registeredmodelusergrant_changelist")
        asked = {"action": "take_away", "_selected_action": str(grant.pk), "confirmed": "yes"}
        assert client_of(site.ada).post(address, asked).status_code == 302


@pytest.mark.django_db
@pytest.mark.parametrize("door", ["service", "API", "admin"])
def test_a_role_that_was_taken_away_empties_no_requirement(door: str, site: Place) -> None:
    """Attack: take a required role from all its holders; the requirement stays, and nothing opens."""
    handoff = walking.answered(site)
    asked = demands(rules_of(handoff), "production", "medium")
    take_away(door, site)
    handoff.refresh_from_db()
    assert demands(rules_of(handoff), "production", "medium") == asked
    walking.sign(handoff, site.otto, "acceptance")
    assert handoff.state == "in_review"


@pytest.mark.django_db
def test_revisions_are_counted_for_each_policy_and_only_the_newest_of_others_clash(site: Place) -> None:
    ada, clash = by(site.ada), ("acknowledge: it_operations", "acknowledge: validator")
    for number, text in enumerate((LIGHT + "lapses: stop\n", LIGHT), 2):
        revision = policies.publish(actor=ada, source=text)
        assert (revision.policy.slug, revision.number, revision.published_by) == ("light", number, site.ada)
        assert revision.source == text
    lighter = LIGHTER.replace("review: {signoffs", "review: {acknowledge: it_operations, signoffs")
    first = policies.publish(actor=ada, source=lighter)
    event = AuditEvent.objects.filter(action="policy.published").latest("pk")
    data = {"policy": "another", "revision": 1, "digest": first.digest}
    assert (event.chain, event.told["data"], first.policy.title) == ("site", data, "Another")
    with pytest.raises(WrongState) as refusal:
        policies.publish(actor=ada, source=lighter)
    assert refusal.value.code == "policy_unchanged"
    with pytest.raises(Conflicting):
        policies.publish(actor=ada, source=LIGHT.replace(*clash))
    with pytest.raises(Conflicting):
        policies.publish(actor=ada, source=lighter.replace(*clash))
    elsewhere = policies.publish(actor=ada, source=lighter.replace(*clash).replace("[low, medium]", "[high]"))
    assert elsewhere.number == 2
    moved = LIGHT.replace("acknowledge: it_operations", "acknowledge: risk_compliance")
    assert policies.publish(actor=ada, source=moved).number == 4, "what the other said before applies no more"
