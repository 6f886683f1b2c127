"""Which chains somebody may read. The trail knows nothing of roles: a function of the site tells it."""

from collections.abc import Callable, Iterable

from django.conf import settings
from django.db.models import Q
from django.utils.module_loading import import_string

from audit.models import Account, AuditEvent
from audit.models.events import Events


def events_visible_to(user: Account) -> Events:
    """Return the events of the chains that an account may read; without any of them, nothing."""
    if not user.is_authenticated or not user.is_active:
        return AuditEvent.objects.none()
    tell: Callable[[Account], Iterable[Q]] = import_string(settings.AUDIT_CHAINS_OF)
    visible = Q(pk__in=[])
    for condition in tell(user):
        visible |= condition
    return AuditEvent.objects.filter(visible)
