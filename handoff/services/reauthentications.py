"""Confirm who somebody is, right before they sign. One confirmation is good for one signature."""

from datetime import timedelta

from django.utils import timezone

from audit.actors import Person
from audit.acts import act
from audit.factors import factor_of, has_second_factor
from audit.models import AuditEvent
from audit.trail import record
from handoff.errors import NotConfirmed
from handoff.models import Reauthentication

GOOD_FOR = timedelta(minutes=5)
WINDOW = timedelta(minutes=15)
FAILURES = 5


def confirm(*, actor: Person, password: str, code: str = "") -> Reauthentication:
    """Return a confirmation after the right password, and the second factor where one is set up.

    Raises NotConfirmed; five failures within fifteen minutes lock signing (not reading) until they are over.
    """
    confirmed = _confirm(actor=actor, password=password, code=code)
    if confirmed is None:
        raise NotConfirmed(
            "The password or the code is not right; nothing was signed.",
            todo="Try again. After five failures signing is locked for fifteen minutes.",
            fields={"password": "is not right"},
        )
    return confirmed


@act
def _confirm(*, actor: Person, password: str, code: str) -> Reauthentication | None:
    """Keep what happened either way: a failure is an event too, so it must commit."""
    subject = f"account:{actor.user_id}"
    failures = AuditEvent.objects.filter(
        subject=subject, action="account.confirmation_failed", at__gt=timezone.now() - WINDOW
    ).count()
    if failures >= FAILURES:
        raise NotConfirmed(
            "Signing is locked after five failures; you can still read.",
            code="signing_locked",
            todo="Wait fifteen minutes, then try again.",
        )
    method = _method(actor, password, code)
    if not method:
        record("account.confirmation_failed", actor=actor, on=subject, chain=subject)
        return None
    return Reauthentication.objects.create(person=actor.user, method=method, expires_at=timezone.now() + GOOD_FOR)


def _method(actor: Person, password: str, code: str) -> str:
    """Return how the person was confirmed; empty when they were not."""
    if not actor.user.check_password(password):
        return ""
    if not has_second_factor(actor.user):
        return "password"
    factor = factor_of(actor.user, code)
    return f"password and {factor}" if factor else ""
