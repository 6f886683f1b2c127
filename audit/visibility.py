"""Which chains somebody may read. The trail knows nothing of roles: a function of the site tells it."""

from collections.abc import Callable, Iterable
from typing import Any

from django.conf import settings
from django.db.models import QuerySet
from django.utils.module_loading import import_string

from audit.models import Account, AuditEvent
from audit.models.events import Events


def events_visible_to(user: Account) -> Events:
    """Return the events of the chains that an account may read; without any of them, nothing.

    The names of the chains are put together first: with OR between the kinds the database would look at every event
    that there is.
    """
    if not user.is_authenticated or not user.is_active:
        return AuditEvent.objects.none()
    tell: Callable[[Account], Iterable[QuerySet[Any]]] = import_string(settings.AUDIT_CHAINS_OF)
    first, *more = tell(user)
    return AuditEvent.objects.filter(chain__in=first.union(*more))
