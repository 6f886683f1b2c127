"""How long records are kept: by the policy that a handoff was offered under, and not a day less."""

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
import yaml
from django.db import DatabaseError, transaction
from django.utils import timezone
from knox.models import AuthToken
from rest_framework.test import APIClient

from handoff.errors import Invalid
from handoff.models import Handoff, PolicyRevision, SignOff
from handoff.rules.policies import parse
from handoff.rules.retention import kept_until, years_in
from handoff.rules.subjects import Subject
from handoff.rules.unions import union
from handoff.services import handoffs
from tests.handoff import walking
from tests.handoff.building import Place
from tests.handoff.walking import by, client_of

LIGHT: dict[str, Any] = yaml.safe_load(
    """
policy: light
title: Light
applies_to: {risk_tiers: [low], target_kinds: [production]}
tests: [integrity]
gates:
  review: {signoffs: [{key: validation, role: validator, meaning: review}]}
  release: {signoffs: [{key: release, role: it_operations, meaning: approval}]}
"""
)


@pytest.mark.parametrize(
    ("ended", "years", "until"),
    [
        (datetime(2026, 11, 28, 23, 59, tzinfo=UTC), 10, date(2036, 11, 28)),
        (datetime(2024, 2, 29, tzinfo=UTC), 1, date(2025, 2, 28)),
        (datetime(2024, 2, 29, tzinfo=UTC), 4, date(2028, 2, 29)),
    ],
)
def test_years_are_counted_by_the_calendar(ended: datetime, years: int, until: date) -> None:
    assert kept_until(ended, years) == until


def test_ten_years_hold_where_a_policy_says_nothing() -> None:
    assert parse(LIGHT).retention.years == years_in(LIGHT) == years_in(None) == 10
    assert parse(LIGHT | {"retention": {"years": 25}}).retention.years == 25


@pytest.mark.parametrize(
    "odd", [{"years": 0}, {"years": 101}, {"years": "ten"}, {"years": True}, {"months": 3}, 10, {"years": None}]
)
def test_odd_years_are_refused_by_their_place(odd: Any) -> None:
    with pytest.raises(Invalid) as refusal:
        parse(LIGHT | {"retention": odd})
    assert all(place.startswith("retention") for place in refusal.value.fields)


def test_of_policies_that_apply_together_the_longer_holds() -> None:
    other = LIGHT | {"policy": "other", "retention": {"years": 7}}
    assert union([(LIGHT, 1), (other, 1)], Subject("production", "low"))["retention"] == {"years": 10}
    longer = LIGHT | {"policy": "other", "retention": {"years": 30}}
    assert union([(longer, 1), (LIGHT, 1)], Subject("production", "low"))["retention"] == {"years": 30}
    assert "retention" not in union([(LIGHT, 1), (LIGHT | {"policy": "b"}, 1)], Subject("production", "low"))


@pytest.fixture
def site(place: Place) -> Place:
    """Return a place with the light policy."""
    return walking.a_site(place)


def told(site: Place, handoff: Handoff) -> tuple[int, str | None]:
    """Return what the API says of it."""
    client = APIClient(headers={"Authorization": f"Bearer {AuthToken.objects.create(user=site.dana)[1]}"})
    found = client.get(f"/api/v1/handoffs/{handoff.pk}/").json()
    return found["kept_years"], found["kept_until"]


@pytest.mark.django_db
def test_a_handoff_tells_how_long_it_is_kept(site: Place) -> None:
    handoff = walking.offered(site)
    assert told(site, handoff) == (10, None)
    page = client_of(site.dana).get(f"/handoffs/{handoff.pk}/").content.decode()
    assert "for 10 years after its end" in " ".join(page.split())
    handoffs.withdraw(actor=by(site.dana), handoff_id=str(handoff.pk), reason="It was a mistake.")
    until = kept_until(timezone.now(), 10)
    assert told(site, handoff) == (10, until.isoformat())
    page = client_of(site.dana).get(f"/handoffs/{handoff.pk}/").content.decode()
    assert f"until {until.day} {until:%b %Y}" in page


@pytest.mark.django_db
def test_a_policy_that_is_published_later_shortens_nothing(site: Place) -> None:
    handoff = walking.offered(site)
    revision = PolicyRevision.objects.latest("pk")
    shorter = yaml.safe_load(revision.source) | {"retention": {"years": 1}}
    walking.policies.publish(actor=by(site.ada), source=yaml.safe_dump(shorter))
    assert told(site, handoff)[0] == 10
    with pytest.raises(DatabaseError), transaction.atomic():
        Handoff.objects.filter(pk=handoff.pk).update(policy=handoff.policy | {"retention": {"years": 1}})
    assert told(site, handoff)[0] == 10


@pytest.mark.django_db
def test_records_are_not_deleted_once_their_years_are_over_either(site: Place) -> None:
    handoff = walking.under_test(site)
    Handoff.objects.filter(pk=handoff.pk).update(moved_at=timezone.now() - timedelta(days=40 * 366))
    for rows in (handoff.signoffs.all(), handoff.answers.all(), Handoff.objects.filter(pk=handoff.pk)):
        with pytest.raises(DatabaseError), transaction.atomic():
            rows._raw_delete(rows.db)
    assert SignOff.objects.filter(handoff=handoff).count() == 2
