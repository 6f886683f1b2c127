"""Who acts. An actor is built at a door and handed down as an argument; signing accepts only a Person."""

from dataclasses import dataclass
from typing import ClassVar

from django.http import HttpRequest

from audit.errors import Forbidden
from audit.models import Account


@dataclass(frozen=True, slots=True)
class Person:
    """A natural person, logged in."""

    user: Account
    via: str
    kind: ClassVar[str] = "person"

    @property
    def user_id(self) -> int:
        """Return the account's key."""
        return self.user.pk

    @property
    def label(self) -> str:
        """Return the printed name."""
        return self.user.printed_name

    @property
    def mark(self) -> str:
        """Return what stands for the printed name on the trail."""
        return self.user.mark

    @classmethod
    def at(cls, request: HttpRequest, via: str) -> "Person":
        """Return the person behind a request, or refuse a service account."""
        actor = actor_at(request, via)
        if not isinstance(actor, Person):
            raise Forbidden(
                "A service account cannot do this; it needs a natural person.",
                code="person_required",
                todo="Sign in as the person who is responsible and do it yourself.",
            )
        return actor


@dataclass(frozen=True, slots=True)
class ServiceAccount:
    """Automation. It registers, offers, attaches evidence and reads; it never signs."""

    user: Account
    via: str
    kind: ClassVar[str] = "service"

    @property
    def user_id(self) -> int:
        """Return the account's key."""
        return self.user.pk

    @property
    def label(self) -> str:
        """Return the account's name."""
        return self.user.printed_name

    @property
    def mark(self) -> str:
        """Return the account's name, which is nobody's."""
        return self.user.printed_name


@dataclass(frozen=True, slots=True)
class Worker:
    """A background process of ours."""

    name: str
    kind: ClassVar[str] = "worker"
    user: ClassVar[None] = None
    user_id: ClassVar[None] = None
    via: ClassVar[str] = "worker"

    @property
    def label(self) -> str:
        """Return the worker's name."""
        return self.name

    @property
    def mark(self) -> str:
        """Return the worker's name."""
        return self.name


Actor = Person | ServiceAccount | Worker


def actor_at(request: HttpRequest, via: str) -> Person | ServiceAccount:
    """Return who is behind a request that a door has authenticated."""
    user = request.user
    if not isinstance(user, Account) or not user.is_active:
        raise Forbidden("Sign in first.", code="not_signed_in")
    return actor_of(user, via)


def actor_of(user: Account, via: str) -> Person | ServiceAccount:
    """Return an account as whoever acts through a door."""
    return Person(user, via) if user.is_person else ServiceAccount(user, via)
