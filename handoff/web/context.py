"""What every page needs: the number on the inbox."""

from django.http import HttpRequest


def inbox(request: HttpRequest) -> dict[str, object]:
    """Return the count of what waits for the person who is signed in."""
    return {}
