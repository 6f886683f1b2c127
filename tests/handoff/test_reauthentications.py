"""Who somebody is, confirmed right before they sign: by the password, and after five failures not for a while."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone

from audit.errors import Refused
from audit.models import AuditEvent
from handoff.models import Reauthentication
from handoff.services import reauthentications
from tests.handoff import walking
from tests.handoff.building import Place
from tests.handoff.walking import PASSWORD, by

pytestmark = pytest.mark.django_db


@pytest.fixture
def site(db: None, store: Path, settings: Any) -> Place:
    """Return a place whose people have passwords that are quickly hashed."""
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
    return walking.a_site()


def refused(site: Place, password: str, who: str = "vera") -> tuple[str, str, dict[str, Any]]:
    """Return the code of a refusal, what to do, and the fields."""
    with pytest.raises(Refused) as refusal:
        reauthentications.confirm(actor=by(site.people[who]), password=password)
    return refusal.value.code, refusal.value.todo, refusal.value.fields


def failures(site: Place, who: str = "vera") -> int:
    subject = f"account:{site.people[who].pk}"
    return AuditEvent.objects.filter(action="account.confirmation_failed", chain=subject, subject=subject).count()


def test_the_right_password_is_good_for_five_minutes(site: Place) -> None:
    found = reauthentications.confirm(actor=by(site.vera), password=PASSWORD)
    assert (found, found.person, found.method) == (Reauthentication.objects.get(), site.vera, "password")
    assert timedelta(seconds=290) < found.expires_at - timezone.now() <= timedelta(minutes=5)
    assert failures(site) == 0


def test_a_failure_is_an_event_and_five_lock_who_failed_and_nobody_else(site: Place) -> None:
    again = ("not_confirmed", "Try again. After five failures signing is locked for fifteen minutes.")
    for number in range(1, 6):
        assert refused(site, "wrong") == (*again, {"password": "is not right"})
        assert failures(site) == number
    for password in (PASSWORD, "wrong"):
        assert refused(site, password) == ("signing_locked", "Wait fifteen minutes, then try again.", {})
    assert failures(site) == 5, "while it is locked nothing is tried"
    assert not Reauthentication.objects.exists()
    assert reauthentications.confirm(actor=by(site.otto), password=PASSWORD).person == site.otto


def test_four_failures_or_a_quarter_of_an_hour_lock_nobody(site: Place) -> None:
    for _ in range(4):
        refused(site, "wrong")
    assert reauthentications.confirm(actor=by(site.vera), password=PASSWORD).person == site.vera
    refused(site, "wrong")
    with connection.cursor() as cursor:  # stands in for the clock, which no test can turn
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        cursor.execute("ALTER TABLE audit_auditevent DISABLE TRIGGER USER")
        move = "UPDATE audit_auditevent SET at = at - interval '15 minutes' WHERE chain = %s AND seq = 1"
        cursor.execute(move, [f"account:{site.vera.pk}"])
        cursor.execute("ALTER TABLE audit_auditevent ENABLE TRIGGER USER")
    assert reauthentications.confirm(actor=by(site.vera), password=PASSWORD).person == site.vera
