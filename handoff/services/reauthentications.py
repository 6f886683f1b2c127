"""Confirm who somebody is, right before they sign. One confirmation is good for one signature."""

from collections.abc import Mapping
from datetime import timedelta
from uuid import UUID

from django.utils import timezone

from audit import personal_keys
from audit.actors import Person
from audit.acts import act
from audit.assertions import AssertionBroken
from audit.factors import factor_of, has_second_factor
from audit.models import AuditEvent
from audit.trail import record
from handoff.errors import NotConfirmed
from handoff.models import Reauthentication
from handoff.queries.signing_by_key import asked_in
from handoff.rules.statements import PERSONAL

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


def confirm_by_key(*, actor: Person, origin: str, token: str, answer: Mapping[str, str]) -> Reauthentication:
    """Return a confirmation after a personal key has signed what it was asked about; it is good for just that.

    `token` came with the question (queries/signing_by_key.py); `answer` is what the authenticator said: see
    audit.personal_keys.use. Raises NotConfirmed as `confirm` does, and for a question that is too old or was answered
    before; Invalid on a site that has no name.
    """
    confirmed = _confirm_by_key(actor=actor, origin=origin, token=token, answer=answer)
    if isinstance(confirmed, str):
        raise NotConfirmed(
            f"Your personal key did not confirm it: {confirmed}. Nothing was signed.",
            code="key_not_confirmed",
            todo="Try again, or give your password. After five failures signing is locked for fifteen minutes.",
        )
    return confirmed


@act
def _confirm(*, actor: Person, password: str, code: str) -> Reauthentication | None:
    """Keep what happened either way: a failure is an event too, so it must commit."""
    _require_unlocked(actor)
    method = _method(actor, password, code)
    if not method:
        _failed(actor)
        return None
    return Reauthentication.objects.create(person=actor.user, method=method, expires_at=timezone.now() + GOOD_FOR)


@act
def _confirm_by_key(*, actor: Person, origin: str, token: str, answer: Mapping[str, str]) -> Reauthentication | str:
    """Return the confirmation, or what is wrong, which is kept as a failure."""
    _require_unlocked(actor)
    confirmation, challenge = asked_in(token, actor.user)
    if Reauthentication.objects.filter(pk=confirmation).exists():
        raise NotConfirmed("The key has answered this before.", code="key_answered", todo="Ask it anew.")
    try:
        assertion = personal_keys.use(actor.user, answer, origin, challenge)
    except AssertionBroken as broken:
        _failed(actor)
        return str(broken)
    return Reauthentication.objects.create(
        pk=UUID(confirmation),
        person=actor.user,
        method=PERSONAL,
        challenge=challenge.hex(),
        assertion=assertion.told(),
        expires_at=timezone.now() + GOOD_FOR,
    )


def _require_unlocked(actor: Person) -> None:
    failures = AuditEvent.objects.filter(
        subject=f"account:{actor.user_id}",
        action="account.confirmation_failed",
        at__gt=timezone.now() - WINDOW,
    ).count()
    if failures >= FAILURES:
        raise NotConfirmed(
            "Signing is locked after five failures; you can still read.",
            code="signing_locked",
            todo="Wait fifteen minutes, then try again.",
        )


def _failed(actor: Person) -> None:
    subject = f"account:{actor.user_id}"
    record("account.confirmation_failed", actor=actor, on=subject, chain=subject)


def _method(actor: Person, password: str, code: str) -> str:
    """Return how the person was confirmed; empty when they were not."""
    if not actor.user.check_password(password):
        return ""
    if not has_second_factor(actor.user):
        return "password"
    factor = factor_of(actor.user, code)
    return f"password and {factor}" if factor else ""
