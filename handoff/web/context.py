"""What every page needs: the number on the inbox, counted only if the page shows it, and kept for a minute."""

from collections.abc import Callable

from django.conf import settings
from django.core.cache import cache
from django.http import HttpRequest, HttpResponse
from django.utils.functional import SimpleLazyObject

from audit.models import Account
from handoff.queries.inbox import count_of
from handoff.web.doors import SAFE

KEPT = 60  # seconds
Next = Callable[[HttpRequest], HttpResponse]


def inbox(request: HttpRequest) -> dict[str, object]:
    """Return how many things wait for the person who is signed in, as the menu shows it."""
    user = getattr(request, "user", None)
    if not isinstance(user, Account):
        return {"inbox_count": ""}
    return {"inbox_count": SimpleLazyObject(lambda: _number(user))}


def told(count: int, more: bool) -> str:
    """Return a number as the menu shows it: nothing for nought, and a plus where there is more than was counted."""
    return f"{count}+" if more else str(count or "")


def keep(user: Account, number: str) -> str:
    """Keep a number for the pages of the next minute, if another one is kept, and return it."""
    if cache.get(_key(user)) != number:
        cache.set(_key(user), number, KEPT)
    return number


class CountAnewMiddleware:
    """Forget the number once its holder has done something, for it may have waited for just that."""

    def __init__(self, get_response: Next) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Answer first."""
        response = self.get_response(request)
        by_session = settings.SESSION_COOKIE_NAME in request.COOKIES
        if request.method not in SAFE and by_session and isinstance(request.user, Account):
            cache.delete(_key(request.user))
        return response


def _number(user: Account) -> str:
    kept: str | None = cache.get(_key(user))
    return keep(user, told(*count_of(user))) if kept is None else kept


def _key(user: Account) -> str:
    return f"inbox:{user.pk}"
