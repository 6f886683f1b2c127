"""Access tokens: sign in over the API, and issue tokens for service accounts."""

from datetime import timedelta

from django.conf import settings
from django.contrib.auth import authenticate
from django.contrib.auth.signals import user_logged_in, user_login_failed
from django.db.models import F
from django.http import HttpRequest
from django.utils import timezone
from knox.models import AuthToken
from rest_framework.request import Request

from audit import sign_ins
from audit.actors import Actor, Person
from audit.errors import Invalid, Refused
from audit.factors import factor_missing, factor_of, has_second_factor, lacks_factor
from audit.models import Account

LASTS: timedelta = settings.REST_KNOX["TOKEN_TTL"]  # type: ignore[assignment]
TOKENS: int = settings.REST_KNOX["TOKEN_LIMIT_PER_USER"]  # type: ignore[assignment]
LONGEST = timedelta(days=90)


class CredentialsWrong(Refused):
    """The name, the password or the code is not right, or there is no such account: all answered alike."""

    status = 401
    code = "credentials_wrong"


def sign_in(request: Request, *, username: str, password: str, code: str = "") -> tuple[AuthToken, str]:
    """Return a new token and its text for a person. Raises CredentialsWrong; failures count towards the lock."""
    raw: HttpRequest = request._request
    user = authenticate(raw, username=username, password=password)
    if not isinstance(user, Account) or not user.is_person:
        raise _failed(raw, username, tell_axes=user is not None)
    method = "password"
    if has_second_factor(user):
        factor = factor_of(user, code)
        if not factor:
            raise _failed(raw, username, tell_axes=True)
        method = f"password and {factor}"
    elif lacks_factor(user):
        raise factor_missing()
    # Django's own signal: it stamps the last log-in, and axes forgets the failures before it.
    user_logged_in.send(sender=Account, request=raw, user=user)
    actor = Person(user, "api")
    sign_ins.signed_in(actor=actor, method=method)
    _make_room(user)
    return sign_ins.issue_token(actor=actor, account=user, lasts=LASTS)


def issue(*, actor: Actor, account: Account, days: int) -> tuple[AuthToken, str]:
    """Return a new token and its text for a service account. Raises Invalid for a person or over ninety days."""
    if account.is_person:
        raise Invalid(
            "A person signs in; only service accounts are issued tokens.",
            code="service_account_required",
            todo="POST /api/v1/tokens/ with your name and password.",
        )
    if not account.is_active:
        raise Invalid("The service account is not active.", code="account_inactive")
    if not 1 <= days <= LONGEST.days:
        raise Invalid(
            f"A token lasts from 1 to {LONGEST.days} days.", code="token_too_long", fields={"days": "is out of range"}
        )
    return sign_ins.issue_token(actor=actor, account=account, lasts=timedelta(days=days))


def _failed(raw: HttpRequest, username: str, *, tell_axes: bool) -> CredentialsWrong:
    """Count and record a failure, and return the one answer for all of them."""
    if tell_axes:  # the password was right, so Django has not told axes of a failure
        user_login_failed.send(sender=__name__, credentials={"username": username}, request=raw)
    if not getattr(raw, "axes_locked_out", False):
        sign_ins.sign_in_failed(username=username, via="api")
    return CredentialsWrong(
        "The name, the password or the code is not right.",
        todo="Check all three; accounts with a second factor also need `code`.",
    )


def _make_room(user: Account) -> None:
    """Delete tokens that have run out, and the oldest ones over the limit."""
    AuthToken.objects.filter(user=user, expiry__lt=timezone.now()).delete()
    kept = AuthToken.objects.filter(user=user).order_by(F("expiry").desc())[: TOKENS - 1]
    AuthToken.objects.filter(user=user).exclude(pk__in=list(kept.values_list("pk", flat=True))).delete()
