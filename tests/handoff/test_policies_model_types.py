"""Policies that speak for some types of models: which apply, what is asked where nobody has said, and no way around."""

from typing import Any

import pytest

from audit.actors import Person
from audit.errors import Refused
from audit.models import Account, AuditEvent
from handoff.models import Handoff, Policy, PolicyRevision
from handoff.queries.policies import difference_of, simulated
from handoff.rules.policies import digest_of, parse, understood
from handoff.rules.subjects import Subject
from handoff.rules.unions import applied_in, union
from handoff.services import handoffs, policies
from models_registry.models import ModelVersion, RegisteredModel
from tests.handoff import building
from tests.handoff.test_handoffs_offer import draft, place, version

__all__ = ["place", "version"]
TYPED = """
policy: {key}
title: {key}
applies_to: {{risk_tiers: [low, medium], target_kinds: [production], model_types: [{types}]}}
tests: [integrity]
gates:
  review:
    signoffs: [{{key: {key}, role: {role}, meaning: review}}]
  release: {{signoffs: [{{key: go, role: it_operations, meaning: approval}}]}}
"""


def published(key: str, types: str, role: str = "risk_compliance") -> dict[str, Any]:
    content, _ = understood(TYPED.format(key=key, types=types, role=role))
    policy = Policy.objects.create(slug=key, title=key)
    PolicyRevision.objects.create(policy=policy, number=1, source="{}", content=content, digest=digest_of(content))
    return content


def test_a_policy_speaks_for_the_types_that_it_names_and_else_for_all() -> None:
    applies = parse(understood(TYPED.format(key="x", types="ranking, other", role="validator"))[0])
    assert applies.model_types == ("ranking", "other")
    told = {"risk_tiers": ["low"], "target_kinds": ["test"], "model_types": ["ranking"]}
    for model_type, met in (("ranking", True), ("regression", False), ("", True)):
        assert Subject("test", "low", model_type).meets(told) is met
    assert not Subject("test", "high", "ranking").meets(told)
    assert Subject("test", "low", "regression").meets({"risk_tiers": ["low"], "target_kinds": ["test"]})


@pytest.mark.parametrize(
    ("types", "told"),
    [("regresion", "did you mean regression"), ("", "must")],
)
def test_types_that_are_not_known_are_refused_with_their_place(types: str, told: str) -> None:
    with pytest.raises(Refused) as refusal:
        understood(TYPED.format(key="x", types=types, role="validator"))
    assert told in str(refusal.value.fields["applies_to.model_types"])


def test_the_union_names_the_type_only_where_policies_tell_types_apart() -> None:
    typed, _ = understood(TYPED.format(key="x", types="ranking", role="validator"))
    plain = typed | {"policy": "y", "applies_to": {"risk_tiers": ["low"], "target_kinds": ["production"]}}
    both = union([(typed, 1), (plain, 1)], Subject("production", "low", "ranking"))
    assert both["applies_to"]["model_types"] == ["ranking"]
    alike = union([(plain | {"policy": "z"}, 1), (plain, 1)], Subject("production", "low", "ranking"))
    assert "model_types" not in alike["applies_to"]


def test_an_offer_freezes_the_policies_of_its_type(place: building.Place, version: ModelVersion) -> None:
    published("numbers", "regression, forecasting")
    published("labels", "classification, ranking")
    handoff = draft(place)
    events = AuditEvent.objects.count()
    with pytest.raises(Refused) as refusal:
        handoffs.offer(actor=Person(place.dana, "test"), handoff_id=str(handoff.pk))
    assert refusal.value.code == "not_ready"
    assert "says so on its page" in str(refusal.value.fields["model.model_type"])
    assert AuditEvent.objects.count() == events
    RegisteredModel.objects.update(model_type="classification")
    handoffs.offer(actor=Person(place.dana, "test"), handoff_id=str(handoff.pk))
    frozen = Handoff.objects.get().policy
    assert applied_in(frozen) == ("labels", "short")
    assert {one["key"] for one in frozen["gates"]["review"]["signoffs"]} == {"labels", "validation"}


def test_a_type_that_no_policy_speaks_for_is_not_handed_over(place: building.Place, version: ModelVersion) -> None:
    typed = TYPED.format(key="short", types="regression", role="validator")
    policies.publish(actor=Person(Account.objects.create(username="ada", is_staff=True), "test"), source=typed)
    RegisteredModel.objects.update(model_type="ranking")
    with pytest.raises(Refused) as refusal:
        handoffs.offer(actor=Person(place.dana, "test"), handoff_id=str(draft(place).pk))
    told = "No policy speaks for production environments at medium risk, for models of the type ranking"
    assert told in refusal.value.fields["policy"]
    assert Handoff.objects.get().state == "draft"


def test_policies_of_other_types_need_not_hold_together(place: building.Place) -> None:
    ada = Person(Account.objects.create(username="ada", is_staff=True), "test")
    for key, types, by, code in (
        ("one", "regression", "risk_compliance", ""),
        ("two", "ranking", "validator", ""),
        ("three", "regression, other", "validator", "policies_conflict"),
    ):
        source = TYPED.format(key=key, types=types, role="risk_compliance")
        source = source.replace("  review:\n", f"  review:\n    acknowledge: {by}\n")
        before = PolicyRevision.objects.count()
        if code:
            with pytest.raises(Refused) as refusal:
                policies.publish(actor=ada, source=source)
            assert (refusal.value.code, PolicyRevision.objects.count()) == (code, before)
        else:
            policies.publish(actor=ada, source=source)


def test_a_draft_for_a_type_is_compared_and_simulated_with_models_of_that_type(
    place: building.Place, version: ModelVersion
) -> None:
    building.open_review(place, building.offered(place, version, building.a_policy(("integrity",))))
    content, rules = understood(TYPED.format(key="x", types="regression", role="risk_compliance"))
    RegisteredModel.objects.update(model_type="classification")
    assert difference_of(content, rules).open == ()
    assert simulated(rules).found.gates == 0
    content, rules = understood(TYPED.format(key="x", types="classification", role="risk_compliance"))
    (asked,) = difference_of(content, rules).open
    assert any("sign-off x" in told for told in asked.changes.gained)
    assert simulated(rules).found.gates == 1
