"""Lead whoever lacks a second factor that the site asks for to where it is set up."""

from collections.abc import Callable

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect

from audit.factors import factor_missing, lacks_factor
from audit.models import Account
from mdlc_site.errors import answer

OPEN_PATHS = ("/account/", "/admin/logout/", "/healthz/", "/static/", "/.well-known/")


class SecondFactorMiddleware:
    """Let a session without a required second factor set it up, and do nothing else."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Judge before the page does anything. Without the setting nothing is asked of the database."""
        user = request.user
        if not isinstance(user, Account) or request.path_info.startswith(OPEN_PATHS) or not lacks_factor(user):
            return self.get_response(request)
        if request.method not in ("GET", "HEAD") or request.path_info.startswith("/api/"):
            return answer(request, factor_missing())
        messages.warning(request, "This site asks for a second factor: set it up first.")
        return redirect("mfa_activate_totp")
