"""A session ends by itself when nobody has done anything for a while; what its pages show is kept by nobody."""

import time
from collections.abc import Callable

from allauth.account.adapter import get_adapter
from django.conf import settings
from django.contrib import messages
from django.contrib.messages.storage.cookie import CookieStorage
from django.contrib.messages.storage.fallback import FallbackStorage
from django.contrib.messages.storage.session import SessionStorage
from django.http import HttpRequest, HttpResponse

Next = Callable[[HttpRequest], HttpResponse]
ACTIVE = "active_at"
STEP = 60  # seconds: so often at most an activity is written down


class PrivacyMiddleware:
    """End a session that was idle for too long, and let no cache keep what anybody was shown by session or token."""

    def __init__(self, get_response: Next) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Judge the session before the page sees it."""
        signed_in = request.user.is_authenticated
        if signed_in:
            _end_or_go_on(request)
        response = self.get_response(request)
        by_token = "Authorization" in request.headers
        if (signed_in or by_token) and not response.has_header("Cache-Control"):
            response["Cache-Control"] = "no-store, private"
        return response


def _end_or_go_on(request: HttpRequest) -> None:
    now, last = int(time.time()), request.session.get(ACTIVE)
    if last is not None and now - last > settings.SESSION_IDLE_SECONDS:
        get_adapter().logout(request)
        minutes = settings.SESSION_IDLE_SECONDS // 60
        messages.info(request, f"You were signed out because nothing was done for {minutes} minutes.")
    elif (last is None or now - last >= STEP) and not _by_itself(request):
        request.session[ACTIVE] = now


def _by_itself(request: HttpRequest) -> bool:
    """Tell whether a page asks by itself how things stand: it may be open while nobody is there."""
    return request.method == "GET" and "HX-Request" in request.headers


class _HostCookie(CookieStorage):
    cookie_name = settings.MESSAGES_COOKIE


class MessageStorage(FallbackStorage):
    """Keep messages in a cookie that is called like the others, and in the session what it has no room for."""

    storage_classes = (_HostCookie, SessionStorage)
