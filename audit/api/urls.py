"""Addresses of the trail's API, below /api/v1/."""

from django.urls import path

from audit.api.events import Events
from audit.api.keys import Keys
from audit.api.tree import Consistency, Heads, Inclusion

urlpatterns = [
    path("events/", Events.as_view(), name="events"),
    path("keys/", Keys.as_view(), name="keys"),
    path("audit/heads/", Heads.as_view(), name="audit-heads"),
    path("audit/proofs/inclusion/", Inclusion.as_view(), name="audit-inclusion"),
    path("audit/proofs/consistency/", Consistency.as_view(), name="audit-consistency"),
]
