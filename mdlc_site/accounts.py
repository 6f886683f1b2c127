"""Who may come in: accounts are made by an administrator, nobody signs up; every sign-in is on the trail."""

import time
from collections.abc import Sequence
from typing import Any

from allauth.account.adapter import DefaultAccountAdapter
from allauth.account.forms import LoginForm
from allauth.usersessions.adapter import DefaultUserSessionsAdapter
from allauth.usersessions.models import UserSession
from django.contrib.auth.base_user import AbstractBaseUser
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render

from audit import sign_ins
from audit.actors import Person
from audit.errors import Refused
from audit.factors import has_second_factor
from audit.models import Account
from mdlc_site.errors import problem
from mdlc_site.sessions import ACTIVE


class LockedOut(Refused):
    """Too many wrong passwords from one place."""

    status = 429
    code = "locked_out"


class SignInForm(LoginForm):
    """Name and password. There is no way to have a new password mailed, so none is offered."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["password"].help_text = ""


class ClosedDoor(DefaultAccountAdapter):
    """Refuse open sign-up and service accounts, and put who comes and goes on the trail; all else is as usual."""

    def is_open_for_signup(self, request: HttpRequest) -> bool:
        """Say no: a stranger makes no account."""
        return False

    def authenticate(self, request: HttpRequest, **credentials: Any) -> AbstractBaseUser | None:
        """Return the account of a person; a service account has tokens only."""
        user = super().authenticate(request, **credentials)
        if isinstance(user, Account) and not user.is_person:
            self.authentication_failed(request, **credentials)
            return None
        return user

    def authentication_failed(self, request: HttpRequest, **credentials: Any) -> None:
        """Put a wrong password on the trail; once the door is locked nothing more is written."""
        if not getattr(request, "axes_locked_out", False):
            sign_ins.sign_in_failed(username=str(credentials.get("username", "")), via="browser")

    def login(self, request: HttpRequest, user: AbstractBaseUser) -> None:
        """Open the session after every stage is passed."""
        super().login(request, user)
        request.session[ACTIVE] = int(time.time())
        if isinstance(user, Account):
            method = "password and code" if has_second_factor(user) else "password"
            sign_ins.signed_in(actor=Person(user, "browser"), method=method)

    def logout(self, request: HttpRequest) -> None:
        """Close the session first, and then put it on the trail."""
        user = request.user
        super().logout(request)
        if isinstance(user, Account):
            sign_ins.signed_out(actor=Person(user, "browser"))


class OwnSessions(DefaultUserSessionsAdapter):
    """Put it on the trail when somebody ends their other sessions."""

    def end_sessions(self, sessions: Sequence[UserSession]) -> None:
        """End them."""
        super().end_sessions(sessions)
        if sessions:
            sign_ins.sessions_ended(actor=Person(sessions[0].user, "browser"), count=len(sessions))


def locked_out(request: HttpRequest, response: HttpResponse | None, credentials: Any) -> HttpResponse:
    """Answer while the door is locked, whether or not the account exists."""
    refusal = LockedOut(
        "Too many failed attempts; signing in is locked for fifteen minutes.",
        todo="Wait fifteen minutes, then try again, or ask an administrator.",
    )
    if request.path_info.startswith("/api/"):
        return JsonResponse(problem(refusal), status=refusal.status, headers={"Retry-After": "900"})
    return render(request, "account/locked.html", {"problem": refusal}, status=refusal.status)
