"""Which chains somebody may read. The trail knows nothing of roles: a function of the site tells it."""

from collections.abc import Callable, Collection

from django.conf import settings
from django.db.models import BooleanField, F, Func
from django.utils.module_loading import import_string

from audit.models import Account, AuditEvent
from audit.models.events import Events
from audit.planning import Each

FEW = 10_000  # events that are read and sorted at once


def chains_of(user: Account) -> Collection[str]:
    """Return the names of the chains that an account may read."""
    if not user.is_authenticated or not user.is_active:
        return ()
    tell: Callable[[Account], Collection[str]] = import_string(settings.AUDIT_CHAINS_OF)
    return tell(user)


def events_visible_to(user: Account) -> Events:
    """Return the events of the chains that an account may read; without any of them, nothing."""
    return events_of(chains_of(user))


def events_of(chains: Collection[str]) -> Events:
    """Return the events of some chains, which are read chain by chain."""
    return AuditEvent.objects.filter(chain__in=Each(chains, "text"))


def newest_of(chains: Collection[str]) -> Events:
    """Return the same events for a list by time, if there are many: by going back through all that happened.

    Reading thousands of chains to sort them would take seconds; so would going back for events that are few and old.
    """
    mine = {"template": "(%(expressions)s) IS TRUE", "arg_joiner": " IN ", "output_field": BooleanField()}
    return AuditEvent.objects.filter(Func(F("chain"), Each(chains, "text"), **mine))
