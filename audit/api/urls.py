"""Addresses of the trail's API, below /api/v1/."""

from django.urls import path

from audit.api.events import Events
from audit.api.keys import Keys

urlpatterns = [path("events/", Events.as_view(), name="events"), path("keys/", Keys.as_view(), name="keys")]
