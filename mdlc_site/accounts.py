"""Who may come in: accounts are made by an administrator, nobody signs up."""

from allauth.account.adapter import DefaultAccountAdapter
from django.http import HttpRequest


class ClosedDoor(DefaultAccountAdapter):
    """Refuse open sign-up; everything else is as usual."""

    def is_open_for_signup(self, request: HttpRequest) -> bool:
        """Say no: a stranger makes no account."""
        return False
