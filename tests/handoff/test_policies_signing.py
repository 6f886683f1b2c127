"""Quorums, orders and advice, through every door that signs."""

from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from audit.actors import Person
from handoff.models import Handoff, Policy, PolicyRevision, SignOff
from handoff.readiness import offer_of
from handoff.rules.policies import digest_of
from handoff.services import handoffs
from handoff.states import State
from models_registry.models import EnvironmentUserGrant, RegisteredModelUserGrant
from tests.handoff import building, walking
from tests.handoff.test_signoffs_doors import DOORS, by_service, counts, place, seen_of

__all__ = ["place"]
pytestmark = pytest.mark.django_db
FIRST = {"key": "validation", "role": "validator", "meaning": "review"}
QUORUM = {
    "key": "two", "quorum": {"of": ["validator", "risk_compliance", "it_operations"], "count": 2}, "meaning": "review",
}  # fmt: skip


def a_policy(*signoffs: dict[str, Any]) -> PolicyRevision:
    """Return a published policy whose review asks for these."""
    content = building.a_policy(("integrity",)).content
    content = content | {"gates": content["gates"] | {"review": {"signoffs": list(signoffs)}}}
    policy = Policy.objects.get(slug="short")
    return PolicyRevision.objects.create(
        policy=policy, number=policy.revisions.count() + 1, source="{}", content=content, digest=digest_of(content)
    )


def approves(key: str) -> dict[str, str]:
    """Return the body of an approval."""
    return {"requirement": key, "decision": "approve", "meaning": "review", "comment": ""}


@DOORS
def test_nobody_signs_before_their_turn(door: Callable[..., int], place: building.Place) -> None:
    after = {"key": "risk", "role": "risk_compliance", "meaning": "review", "after": ["validation"]}
    handoff = building.offered(place, building.a_version(place), a_policy(after, FIRST))
    assert [entry.task.key for entry in walking.inbox(place.rita)] == []
    before = counts()
    assert door(handoff, place.rita, seen=seen_of(handoff), **approves("risk")) == 409
    assert counts() == before
    assert door(handoff, place.vera, seen=seen_of(handoff), **approves("validation")) == 200
    assert [entry.task.key for entry in walking.inbox(place.rita)] == ["risk"]
    assert door(handoff, place.rita, seen=seen_of(handoff), **approves("risk")) == 200
    handoff.refresh_from_db()
    assert handoff.state == State.TESTING


def test_the_page_says_whose_turn_it_is(place: building.Place) -> None:
    after = {"key": "risk", "role": "risk_compliance", "meaning": "review", "after": ["validation"]}
    handoff = building.offered(place, building.a_version(place), a_policy(after, FIRST))
    client = Client()
    client.force_login(place.rita, backend="django.contrib.auth.backends.ModelBackend")
    html = client.get(reverse("handoff", args=[handoff.pk])).content.decode()
    assert "It is the turn of <b>Vera</b>" in " ".join(html.split())
    sheet = client.get(reverse("handoff-sign", args=[handoff.pk, "risk"])).content.decode()
    assert "comes after another sign-off" in sheet


@DOORS
def test_two_roles_of_three_open_the_gate_each_in_its_own_role(door: Callable[..., int], place: building.Place) -> None:
    building._grant(RegisteredModelUserGrant, place.rita, "validator", place.model)  # rita holds two of the roles
    handoff = building.offered(place, building.a_version(place), a_policy(QUORUM))
    assert door(handoff, place.vera, seen=seen_of(handoff), **approves("two")) == 200
    handoff.refresh_from_db()
    assert handoff.state == State.IN_REVIEW
    assert door(handoff, place.iris, seen=seen_of(handoff), **approves("two")) == 403
    assert door(handoff, place.dana, seen=seen_of(handoff), **approves("two")) == 403
    assert door(handoff, place.rita, seen=seen_of(handoff), **approves("two")) == 200
    handoff.refresh_from_db()
    assert handoff.state == State.TESTING
    assert set(SignOff.objects.values_list("signer__username", "role")) == {
        ("vera", "validator"),
        ("rita", "risk_compliance"),
    }


def test_two_holders_of_one_role_are_no_quorum(place: building.Place) -> None:
    building._grant(RegisteredModelUserGrant, place.iris, "validator", place.model)
    handoff = building.offered(place, building.a_version(place), a_policy(QUORUM))
    for who in (place.vera, place.iris):
        assert by_service(handoff, who, seen=seen_of(handoff), **approves("two")) == 200
    handoff.refresh_from_db()
    assert handoff.state == State.IN_REVIEW


def test_an_offer_is_refused_whose_quorum_nobody_can_fill(place: building.Place) -> None:
    """Attack: take the roles away until the quorum is empty; nothing opens by it."""
    a_policy(QUORUM)
    building.a_version(place)
    draft = handoffs.draft(
        actor=Person(place.dana, "test"),
        model=place.model.slug,
        version=1,
        source="workbench",
        target="production",
    )
    building.ended(RegisteredModelUserGrant, user__in=[place.vera, place.rita])
    building._grant(EnvironmentUserGrant, place.iris, "it_operations", place.target)
    missing = offer_of(draft, building.known_of(draft)).missing
    assert "2 must act as Validator or IT operations or Risk and compliance, and only 1 can" in missing["roles.two"]
    assert Handoff.objects.get(pk=draft.pk).state == State.DRAFT


def test_advice_is_given_or_not_and_nobody_waits(place: building.Place) -> None:
    advice = {"key": "risk", "role": "risk_compliance", "meaning": "review", "advisory": True}
    handoff = building.offered(place, building.a_version(place), a_policy(FIRST, advice))
    assert [entry.task.key for entry in walking.inbox(place.rita)] == ["risk"]
    assert by_service(handoff, place.vera, seen=seen_of(handoff), **approves("validation")) == 200
    handoff.refresh_from_db()
    assert handoff.state == State.TESTING


def test_a_role_is_waited_for_above_a_tier_and_a_raised_tier_asks_for_it(place: building.Place) -> None:
    above = {"key": "risk", "role": "risk_compliance", "meaning": "review", "required_above": "medium"}
    handoff = building.offered(place, building.a_version(place), a_policy(FIRST, above))
    place.model.risk_tier = "high"
    place.model.save(update_fields=["risk_tier"])
    assert by_service(handoff, place.vera, seen=seen_of(handoff), **approves("validation")) == 200
    handoff.refresh_from_db()
    assert handoff.state == State.IN_REVIEW
    assert by_service(handoff, place.rita, seen=seen_of(handoff), **approves("risk")) == 200
    handoff.refresh_from_db()
    assert handoff.state == State.TESTING
