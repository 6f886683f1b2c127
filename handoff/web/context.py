"""What every page needs: the number on the inbox, counted only if the page shows it."""

from django.http import HttpRequest
from django.utils.functional import SimpleLazyObject

from audit.models import Account
from handoff.queries.inbox import count_of


def inbox(request: HttpRequest) -> dict[str, object]:
    """Return how many things wait for the person who is signed in, as the menu shows it."""
    user = getattr(request, "user", None)
    if not isinstance(user, Account):
        return {"inbox_count": ""}
    return {"inbox_count": SimpleLazyObject(lambda: told(*count_of(user)))}


def told(count: int, more: bool) -> str:
    """Return a number as the menu shows it: nothing for nought, and a plus where there is more than was counted."""
    return f"{count}+" if more else str(count or "")
