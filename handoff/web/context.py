"""What every page needs: the number on the inbox, counted only if the page shows it."""

from django.http import HttpRequest
from django.utils.functional import SimpleLazyObject

from audit.models import Account
from handoff.queries.inbox import count_of


def inbox(request: HttpRequest) -> dict[str, object]:
    """Return the count of what waits for the person who is signed in."""
    user = getattr(request, "user", None)
    if not isinstance(user, Account):
        return {"inbox_count": 0}
    return {"inbox_count": SimpleLazyObject(lambda: count_of(user))}
